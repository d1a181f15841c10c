#include <rota/detail/buffer_ring.hpp>
#include <rota/detail/operation.hpp>

#include <liburing.h>

#include <algorithm>
#include <new>
#include <sys/mman.h>

namespace rota::detail {
namespace {

/// Between one buffer and the next lies a page that nobody touches. So buffers begin at pages (2 %
/// less CPU for messages of 16 KiB than with a cache line in its place), their beginnings do not
/// fall into the same few sets of the cache, and the end of a buffer that was read to its end is
/// not the next one's beginning: see id_of().
constexpr std::size_t gap = 4096;

void* map_memory(std::size_t bytes) noexcept {
  void* const memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  // A forked child has no use for it, and copy-on-write would part us from what the kernel pinned.
  ::madvise(memory, bytes, MADV_DONTFORK);
  return memory;
}

}  // namespace

/// A buffer on its way home: built in the buffer itself, which nobody else uses any more.
struct BufferSlab::HomeNode : Runnable {
  HomeNode(BufferSlab& home, unsigned buffer_id) noexcept
      : Runnable(&HomeNode::arrived), slab(home), id(buffer_id) {}
  static void arrived(Runnable& node, bool /*dropped*/) noexcept {
    auto& self = static_cast<HomeNode&>(node);
    ++self.slab.counters.foreign;
    self.slab.arrive(self.id);
  }
  BufferSlab& slab;
  unsigned id;
};

BufferSlab::BufferSlab(LoopCore& core, const BufferRingOptions& options) noexcept
    : core_(core),
      max_buffers_(options.max_buffers),
      buffer_bytes_(options.buffer_bytes),
      stride_(options.buffer_bytes + gap) {
  core_.retain();
}

BufferSlab::~BufferSlab() {
  if (memory_ != nullptr) ::munmap(memory_, max_buffers_ * stride_);
  if (ring_ != nullptr) ::munmap(ring_, max_buffers_ * sizeof(io_uring_buf));
  core_.release();
}

BufferSlab* BufferSlab::create(EventLoop& loop, const BufferRingOptions& options) noexcept {
  auto* const slab = new (std::nothrow) BufferSlab(*loop.core, options);
  if (slab == nullptr) return nullptr;
  if (!slab->map() || register_buffer_ring(loop, slab->ring_, options.max_buffers, group) < 0) {
    delete slab;
    return nullptr;
  }
  const unsigned first = std::min(options.first_buffers, options.max_buffers);
  while (slab->circulating_ < first) slab->publish(slab->circulating_++);
  return slab;
}

bool BufferSlab::map() noexcept {
  memory_ = static_cast<std::byte*>(map_memory(max_buffers_ * stride_));
  ring_ = static_cast<io_uring_buf_ring*>(map_memory(max_buffers_ * sizeof(io_uring_buf)));
  if (memory_ == nullptr || ring_ == nullptr) return false;
  io_uring_buf_ring_init(ring_);
  return true;
}

void BufferSlab::publish(unsigned id) noexcept {
  io_uring_buf_ring_add(ring_, buffer(id), buffer_bytes_, static_cast<unsigned short>(id),
                        io_uring_buf_ring_mask(max_buffers_), 0);
  io_uring_buf_ring_advance(ring_, 1);
  ++in_ring_;
}

Bytes BufferSlab::take(unsigned id, std::size_t size) noexcept {
  --in_ring_;
  ++out_;
  ++counters.taken;
  return Bytes(*this, buffer(id), size);
}

void BufferSlab::put_back(unsigned id) noexcept {
  --in_ring_;
  publish(id);
}

bool BufferSlab::grow(std::uint64_t step) noexcept {
  if (grown_at_step_ == step) return true;  // by another receive that ran dry in the same enter
  if (circulating_ == max_buffers_) return false;
  grown_at_step_ = step;
  const unsigned target = std::min(2 * circulating_, max_buffers_);
  while (circulating_ < target) publish(circulating_++);
  ++counters.grown;
  return true;
}

unsigned BufferSlab::id_of(const void* data) const noexcept {
  const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(data) - memory_);
  return static_cast<unsigned>(offset / stride_);
}

void BufferSlab::give_back(const void* data) noexcept {
  const unsigned id = id_of(data);
  if (running_core() == &core_) {
    arrive(id);
    return;
  }
  // Our own reference to the core: once the node is posted, the slab may end, and with it its own.
  LoopCore& core = core_;
  core.retain();
  auto* const node = ::new (buffer(id)) HomeNode(*this, id);
  if (!core.post(*node)) drop_reference(1);
  core.release();
}

void BufferSlab::arrive(unsigned id) noexcept {
  if (detached_) {
    drop_reference(1);
    return;
  }
  --out_;
  publish(id);
}

void BufferSlab::detach() noexcept {
  detached_ = true;
  // Before detach() nobody takes a reference away: what ends comes to the owner. So this cannot be
  // late.
  drop_reference(1 - out_);
}

void BufferSlab::drop_reference(std::int64_t count) noexcept {
  // acq_rel: pairs with itself: the last one sees what the others did before it destroys the slab.
  if (references_.fetch_sub(count, std::memory_order_acq_rel) == count) delete this;
}

BufferRing& BufferRing::of(EventLoop& loop, const BufferRingOptions& options) {
  if (auto* const found = loop.find_service<BufferRing>()) return *found;
  auto made = std::make_unique<BufferRing>(loop, options);
  BufferRing& ring = *made;
  loop.add_service(std::move(made));
  return ring;
}

BufferRing::BufferRing(EventLoop& loop, const BufferRingOptions& options)
    : loop_(loop), slab_(BufferSlab::create(loop, options)) {}

BufferRing::~BufferRing() {
  if (slab_ == nullptr) return;
  unregister_buffer_ring(loop_, BufferSlab::group);
  slab_->detach();
}

}  // namespace rota::detail
