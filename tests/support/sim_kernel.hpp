/// sim_kernel.hpp: a Kernel without a kernel: rings, sockets, doorbells and time, all in this
/// process and on one thread.
///
/// A loop that runs over it makes the same SQEs and reads the same CQEs as over the real one; what
/// happens, and in which order, depends on nothing but the calls. Its clock starts at zero and
/// moves only when a wait has nothing else to do: to the next action given to at(), or to the end
/// of the wait. A wait without end that nothing can end is a bug of whoever waits, and aborts with
/// a message. Descriptors start at 10000, so that a real system call on one fails. Opcodes: NOP
/// POLL_ADD RECV SEND ACCEPT CONNECT CLOSE SHUTDOWN ASYNC_CANCEL; others complete with -EINVAL.
#pragma once

#include <rota/detail/kernel.hpp>

#include "support/sim_files.hpp"
#include "support/sim_ring.hpp"

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

struct sockaddr;

namespace rota::testing_support {

class SimKernel final : public detail::Kernel, public SimObserver {
 public:
  /// May be changed at any time.
  struct Limits {
    std::size_t transfer_bytes =
        std::numeric_limits<std::size_t>::max();  ///< One send or recv moves at most this.
    std::size_t descriptors = 1'000'000;          ///< Then accept says -EMFILE.
    std::size_t stream_bytes = 65536;             ///< What a stream holds unread; at its making.
  };
  Limits limits;

  SimKernel() = default;
  ~SimKernel() override;

  // --- the world, for tests ---
  std::pair<int, int> make_stream_pair();
  int make_socket();  ///< For CONNECT.
  /// A socket that listens on a port of its own; -EADDRINUSE if that is taken.
  int make_listener(std::uint16_t port, std::size_t backlog = 128);
  /// Lets `action` happen at `time` (nanoseconds on our clock) while a loop waits; in the order
  /// given for equal times.
  void at(std::int64_t time, std::function<void()> action);
  std::size_t open_descriptors() const { return files_.size(); }
  std::int64_t backed_off() const { return backed_off_; }  ///< The sum of back_off().

  // --- Kernel ---
  int ring_setup(unsigned entries, io_uring_params& params,
                 detail::RingMemory& memory) noexcept override;
  int ring_enter(int fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                 const __kernel_timespec* timeout) noexcept override;
  int ring_register(int fd, unsigned opcode, void* argument, unsigned count) noexcept override;
  void ring_exit(detail::RingMemory& memory) noexcept override;
  std::int64_t now() noexcept override { return now_; }
  void back_off(std::int64_t nanoseconds) noexcept override { backed_off_ += nanoseconds; }
  std::int64_t send(int fd, const void* data, std::size_t bytes, int flags) noexcept override;
  std::int64_t sendmsg(int fd, const void* message_header, int flags) noexcept override;
  std::int64_t recv(int fd, void* data, std::size_t bytes, int flags) noexcept override;
  int accept(int fd, void* address, unsigned* address_bytes, int flags) noexcept override;
  int shutdown(int fd, int how) noexcept override;
  int close(int fd) noexcept override;
  int make_doorbell() noexcept override;
  int ring_doorbell(int fd) noexcept override;

  // --- for SimRing ---
  std::shared_ptr<SimFile> file(int fd) const;
  int accept_from(SimListener& listener);
  int connect_to(SimStream& stream, const sockaddr* address);

  void woken(SimFile& file, short events) override;  ///< SimObserver

 private:
  int add(std::shared_ptr<SimFile> file);
  template <typename File>
  std::shared_ptr<File> file_as(int fd) const;
  int wait(SimRing& ring, unsigned min_complete, const __kernel_timespec* timeout);
  void run_due_actions();

  int next_descriptor_ = 10000;
  std::map<int, std::shared_ptr<SimFile>> files_;
  std::map<std::uint16_t, std::weak_ptr<SimFile>> listeners_;
  std::map<int, std::unique_ptr<SimRing>> rings_;  ///< By descriptor.
  std::vector<int> registered_rings_;              ///< Index: what IORING_REGISTER_RING_FDS gave.
  std::multimap<std::int64_t, std::function<void()>> actions_;
  std::int64_t now_ = 0;
  std::int64_t backed_off_ = 0;
  const std::thread::id thread_ = std::this_thread::get_id();
};

}  // namespace rota::testing_support
