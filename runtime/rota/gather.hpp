/// gather.hpp: gather, which runs several awaitables at once and gives all their results.
#pragma once

#include <rota/detail/completion_watch.hpp>
#include <rota/detail/held.hpp>

#include <cstddef>
#include <exception>
#include <expected>
#include <functional>
#include <memory>
#include <ranges>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace rota {

/// First argument of gather(): errors become elements of the result.
struct ReturnExceptions {
  explicit ReturnExceptions() = default;
};
inline constexpr ReturnExceptions return_exceptions{};

namespace detail {

class GatherCore;

struct GatherChild final : CompletionWatch {
  GatherChild() noexcept : CompletionWatch(&GatherChild::reported) {}
  static void reported(Runnable& node, bool dropped) noexcept;

  GatherCore* gather = nullptr;
  ResultBase* result = nullptr;  ///< Of its type, known to the gather.
};

/// A gather without the types of its results. Owner's thread only.
class GatherCore {
 public:
  void child_done(GatherChild& child) noexcept;
  Completable& outer() noexcept { return outer_; }

 protected:
  GatherCore(Completable& outer, bool errors_are_results) noexcept
      : outer_(outer), errors_are_results_(errors_are_results) {}
  ~GatherCore() = default;

  /// All children are held. Those that are done already count at once.
  void start(GatherChild* children, std::size_t count) noexcept;
  /// False: all are done.
  bool cancel_children(const std::string* message) noexcept;

 private:
  virtual void complete() noexcept = 0;  ///< Every child is done.
  virtual void fail(std::exception_ptr error) noexcept = 0;
  void all_done(const GatherChild& last) noexcept;

  Completable& outer_;
  GatherChild* children_ = nullptr;
  std::size_t count_ = 0;
  std::size_t unfinished_ = 0;
  std::string cancel_message_;
  bool errors_are_results_;
  bool cancel_requested_ = false;
};

/// What the result of an awaitable is in a tuple or vector.
template <typename T>
struct Stored {
  using type = T;
};
template <>
struct Stored<void> {
  using type = std::monostate;
};
template <typename T>
struct Stored<T&> {
  using type = std::reference_wrapper<T>;
};

/// How the results come: as they are, or each with its error.
struct Values {
  static constexpr bool errors_are_results = false;
  template <typename A>
  using Element = typename Stored<ValueOf<A>>::type;

  template <typename A>
  static Element<A> element(const GatherChild& child) {
    using T = ValueOf<A>;
    auto& result = static_cast<Result<T>&>(*child.result);
    if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      return take_value<HeldTraits<A>::shared>(*child.target(), result);
    }
  }
};

std::exception_ptr error_of_child(const GatherChild& child);

struct Outcomes {
  static constexpr bool errors_are_results = true;
  template <typename A>
  using Kept =
      std::conditional_t<std::is_void_v<ValueOf<A>>, void, typename Stored<ValueOf<A>>::type>;
  template <typename A>
  using Element = std::expected<Kept<A>, std::exception_ptr>;

  template <typename A>
  static Element<A> element(const GatherChild& child) {
    if (child.abandoned() || child.target()->outcome() != Outcome::value) {
      return std::unexpected(error_of_child(child));
    }
    if constexpr (std::is_void_v<ValueOf<A>>) {
      return {};
    } else {
      return Values::element<A>(child);
    }
  }
};

/// The outer future of a gather. Children keep it until they have reported.
template <typename R>
class GatherState : public FutureState<R>, protected GatherCore {
 protected:
  explicit GatherState(bool errors_are_results)
      : GatherCore(static_cast<Completable&>(*this), errors_are_results) {
    this->use("gather");
  }
  ~GatherState() override = default;

  template <typename A>
  void hold(GatherChild& child, Held<A> held) noexcept {
    child.gather = this;
    child.result = &held.result();
    child.hold(held.release());
  }

 private:
  virtual R collect() = 0;

  bool cancel_requested(std::string* message) noexcept override {
    const EnteredLoop entered(this->core());
    const std::unique_ptr<std::string> text(message);
    return !this->done() && cancel_children(text.get());
  }
  void complete() noexcept override {
    try {
      this->emplace(collect());
    } catch (...) {
      fail(std::current_exception());  // a copy constructor
      return;
    }
    this->finish(Outcome::value, 0);
  }
  /// A child that was cancelled fails the gather, but does not make it cancelled().
  void fail(std::exception_ptr error) noexcept override {
    ResultBase::exception = std::move(error);
    this->finish(Outcome::exception, 0);
  }
};

template <typename Form, typename... As>
using TupleResult = std::tuple<typename Form::template Element<As>...>;

template <typename Form, typename... As>
class TupleGather final : public GatherState<TupleResult<Form, As...>> {
 public:
  template <typename... Given>
  explicit TupleGather(Given&&... given)
      : GatherState<TupleResult<Form, As...>>(Form::errors_are_results) {
    [[maybe_unused]] std::size_t index = 0;
    (this->hold(children_[index++], Held<As>(std::forward<Given>(given))), ...);
    this->start(children_, sizeof...(As));
  }

 private:
  TupleResult<Form, As...> collect() override { return collect(std::index_sequence_for<As...>()); }
  template <std::size_t... Index>
  TupleResult<Form, As...> collect(std::index_sequence<Index...>) {
    return TupleResult<Form, As...>(Form::template element<As>(children_[Index])...);
  }

  GatherChild children_[sizeof...(As) + 1];  // one more: there may be none
};

template <typename Form, typename A>
using VectorResult = std::vector<typename Form::template Element<A>>;

template <typename Form, typename A>
class VectorGather final : public GatherState<VectorResult<Form, A>> {
 public:
  /// `range`: as many elements as `count`. An rvalue container is emptied, anything else is only
  /// looked at.
  template <typename Range>
  VectorGather(Range&& range, std::size_t count)
      : GatherState<VectorResult<Form, A>>(Form::errors_are_results),
        children_(std::make_unique<GatherChild[]>(count)),
        count_(count) {
    constexpr bool emptied = !std::is_lvalue_reference_v<Range> && !std::ranges::view<Range>;
    std::size_t index = 0;
    for (auto&& element : range) {
      if constexpr (emptied) {
        this->hold(children_[index++], Held<A>(std::move(element)));
      } else {
        this->hold(children_[index++], Held<A>(std::forward<decltype(element)>(element)));
      }
    }
    this->start(children_.get(), count_);
  }

 private:
  VectorResult<Form, A> collect() override {
    VectorResult<Form, A> results;
    results.reserve(count_);
    for (std::size_t index = 0; index < count_; ++index) {
      results.push_back(Form::template element<A>(children_[index]));
    }
    return results;
  }

  const std::unique_ptr<GatherChild[]> children_;
  const std::size_t count_;
};

template <typename R>
concept AwaitableRange = std::ranges::input_range<R> && !Awaitable<R> &&
                         Awaitable<std::remove_cvref_t<std::ranges::range_value_t<R>>>;

}  // namespace detail

/// The result of gather(): a future. Copies mean the same one. Awaiting an rvalue moves the results
/// out.
template <typename T>
class Gather : public detail::GivenFuture<T> {
 public:
  using detail::GivenFuture<T>::GivenFuture;
};

namespace detail {

template <typename Form, typename... As>
auto gather_tuple(As&&... awaitables) {
  using State = TupleGather<Form, std::remove_cvref_t<As>...>;
  require_running_loop();
  return Gather<TupleResult<Form, std::remove_cvref_t<As>...>>(
      new State(std::forward<As>(awaitables)...));
}

template <typename Form, typename Range>
auto gather_range(Range&& range) {
  using A = std::remove_cvref_t<std::ranges::range_value_t<Range>>;
  require_running_loop();
  if constexpr (std::ranges::sized_range<Range>) {
    const auto count = static_cast<std::size_t>(std::ranges::size(range));
    return Gather<VectorResult<Form, A>>(
        new VectorGather<Form, A>(std::forward<Range>(range), count));
  } else {
    std::vector<A> awaitables;
    for (auto&& element : range) awaitables.push_back(std::forward<decltype(element)>(element));
    return gather_range<Form>(std::move(awaitables));
  }
}

}  // namespace detail

/// Runs all `awaitables` at once and gives a std::tuple of their results, in the order of the
/// arguments; std::monostate stands for void. Coros start as tasks at the call; Tasks and Futures
/// may belong to other loops. The first error is thrown to whoever awaits, at once; the others go
/// on, and their errors count as looked at. A task or future that somebody else holds too keeps its
/// result: gather copies it. Otherwise results are moved.
///
/// Cancelling the gather, or a task that awaits it, cancels all that are not done. It then ends
/// with CancelledError: when the first child ends so, or (with return_exceptions) when all have
/// ended. Errors:   of the children; CancelledError; RuntimeError "no running event loop".
/// Suspends: the call never; the await while a child is not done.
/// As:       asyncio.gather. (Children of several loops are allowed.)
template <Awaitable... As>
auto gather(As&&... awaitables) {
  return detail::gather_tuple<detail::Values>(std::forward<As>(awaitables)...);
}
/// The same; gives std::expected<T, std::exception_ptr> for each: an error does not end the gather.
/// As: asyncio.gather(..., return_exceptions=True).
template <Awaitable... As>
auto gather(ReturnExceptions, As&&... awaitables) {
  return detail::gather_tuple<detail::Outcomes>(std::forward<As>(awaitables)...);
}
/// The same for a range of awaitables of one type; gives a std::vector. An rvalue container is
/// emptied.
template <detail::AwaitableRange Range>
auto gather(Range&& awaitables) {
  return detail::gather_range<detail::Values>(std::forward<Range>(awaitables));
}
template <detail::AwaitableRange Range>
auto gather(ReturnExceptions, Range&& awaitables) {
  return detail::gather_range<detail::Outcomes>(std::forward<Range>(awaitables));
}

}  // namespace rota
