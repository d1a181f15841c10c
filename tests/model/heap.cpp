/// Memory that one thread has allocated is freed by another only when the allocation happens
/// before. Code under test that passes plain objects on by a pointer writes them after the
/// allocation and reads them before the end, so an order that is missing on the way is seen here,
/// although the model knows nothing of those writes and reads.

#include "model/memory.hpp"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

/// Before every block. As large as the strictest alignment that plain new promises.
struct alignas(std::max_align_t) Header {
  rota::model::Allocation allocation;
};

}  // namespace

void* operator new(std::size_t bytes) {
  auto* const header = static_cast<Header*>(std::malloc(sizeof(Header) + bytes));
  if (header == nullptr) throw std::bad_alloc();
  header->allocation = rota::model::note_allocation();
  return header + 1;
}

void operator delete(void* memory) noexcept {
  if (memory == nullptr) return;
  Header* const header = static_cast<Header*>(memory) - 1;
  rota::model::check_free(header->allocation);
  std::free(header);
}

void operator delete(void* memory, std::size_t /*bytes*/) noexcept { operator delete(memory); }
