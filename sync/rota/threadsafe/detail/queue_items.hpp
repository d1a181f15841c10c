/// queue_items.hpp: how the three thread-safe queues keep their items.
///
/// An *item* outside of the queue is in a container of its own, made before the queue's lock is
/// taken. Under the lock it only changes its container: no memory is asked for or given back there,
/// and no code of the user's runs (but for the comparison of priorities). Nothing here fails.
#pragma once

#include <list>
#include <set>
#include <utility>

namespace rota::threadsafe::detail {

/// First in, first out.
template <typename T>
class FifoItems {
 public:
  using Item = std::list<T>;

  template <typename... Args>
  static Item make(Args&&... args) {
    Item item;
    item.emplace_back(std::forward<Args>(args)...);
    return item;
  }
  static T take(Item item) { return std::move(item.front()); }

  void push(Item& item) noexcept { items_.splice(items_.end(), item); }
  void pop(Item& item) noexcept { item.splice(item.end(), items_, items_.begin()); }
  /// It was popped, and nobody has got it: it is the next again.
  void put_back(Item& item) noexcept { items_.splice(items_.begin(), item); }

 private:
  std::list<T> items_;
};

/// Last in, first out.
template <typename T>
class LifoItems {
 public:
  using Item = std::list<T>;

  template <typename... Args>
  static Item make(Args&&... args) {
    return FifoItems<T>::make(std::forward<Args>(args)...);
  }
  static T take(Item item) { return std::move(item.front()); }

  void push(Item& item) noexcept { items_.splice(items_.begin(), item); }
  void pop(Item& item) noexcept { item.splice(item.end(), items_, items_.begin()); }
  void put_back(Item& item) noexcept { push(item); }

 private:
  std::list<T> items_;
};

/// The smallest first; of equal ones the one that came first.
template <typename T, typename Compare>
class SmallestItems {
 public:
  using Item = typename std::multiset<T, Compare>::node_type;

  template <typename... Args>
  static Item make(Args&&... args) {
    std::multiset<T, Compare> one;
    return one.extract(one.emplace(std::forward<Args>(args)...));
  }
  static T take(Item item) { return std::move(item.value()); }

  void push(Item& item) noexcept { items_.insert(std::move(item)); }
  void pop(Item& item) noexcept { item = items_.extract(items_.begin()); }
  void put_back(Item& item) noexcept { items_.insert(items_.begin(), std::move(item)); }

 private:
  std::multiset<T, Compare> items_;
};

}  // namespace rota::threadsafe::detail
