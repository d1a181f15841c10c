#include <rota/context.hpp>
#include <rota/detail/loop_state.hpp>

namespace rota {
namespace detail {
namespace {

/// The context of a thread outside of tasks and callbacks.
struct ThreadContext {
  ContextCell* cell = nullptr;
  ~ThreadContext() { release(cell); }
};
thread_local ThreadContext thread_context;

}  // namespace

void release_cell(ContextCell* cell) noexcept {
  // acq_rel: pairs with itself: the last holder sees what the others did before it destroys the
  // cell.
  if (cell->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete cell;
}

ContextCell* copy_cell(const ContextCell* cell) {
  return cell == nullptr ? nullptr : new ContextCell(cell->values);
}

ContextCell*& current_context_slot() noexcept {
  if (running_loop != nullptr && running_loop->context_slot != nullptr)
    return *running_loop->context_slot;
  return thread_context.cell;
}

const std::any* find_value(const void* variable) noexcept {
  const ContextCell* cell = current_context_slot();
  if (cell == nullptr || cell->values == nullptr) return nullptr;
  const auto found = cell->values->find(variable);
  return found == cell->values->end() ? nullptr : &found->second;
}

namespace {

/// The map of the current context, copied for a change: others may share the old one.
std::shared_ptr<ContextMap> changeable_copy(ContextCell*& slot) {
  if (slot == nullptr) slot = new ContextCell(nullptr);
  return slot->values == nullptr ? std::make_shared<ContextMap>()
                                 : std::make_shared<ContextMap>(*slot->values);
}

}  // namespace

std::any set_value(const void* variable, std::any value) {
  ContextCell*& slot = current_context_slot();
  std::shared_ptr<ContextMap> values = changeable_copy(slot);
  std::any old = std::exchange((*values)[variable], std::move(value));
  slot->values = std::move(values);
  return old;
}

void erase_value(const void* variable) {
  ContextCell*& slot = current_context_slot();
  std::shared_ptr<ContextMap> values = changeable_copy(slot);
  values->erase(variable);
  slot->values = std::move(values);
}

}  // namespace detail

Context::Context() : cell_(new detail::ContextCell(nullptr)) {}

Context copy_context() {
  const detail::ContextCell* current = detail::current_context_slot();
  return Context(new detail::ContextCell(current == nullptr ? nullptr : current->values));
}

}  // namespace rota
