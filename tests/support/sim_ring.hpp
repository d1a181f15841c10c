/// sim_ring.hpp: one simulated io_uring: its queues, its requests, and what each opcode does.
///
/// It keeps to what Linux 6.18 was seen to do with DEFER_TASKRUN: a request is tried when it is
/// submitted; what cannot be done waits for its file; a woken request is deferred work, of which
/// one enter runs 20 items (or as many as it waits for); a full completion queue holds completions
/// back and ends multishot requests; a cancel is answered before its target is.
#pragma once

#include <rota/detail/kernel.hpp>

#include "support/sim_files.hpp"

#include <liburing.h>

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <vector>

namespace rota::testing_support {

class SimKernel;

class SimRing : detail::Immovable {
 public:
  SimRing(SimKernel& kernel, unsigned entries, io_uring_params& params);

  void describe(detail::RingMemory& memory);
  /// Takes up to `count` SQEs and tries each. Returns how many.
  unsigned submit(unsigned count);
  /// Runs up to `limit` items of deferred work.
  void run_work(unsigned limit);
  /// Moves completions that were held back into the queue. False: some are left.
  bool flush_overflow();
  void woken(SimFile& file, short events);
  unsigned ready() const { return cq_tail_ - cq_head_; }
  bool has_work() const { return !work_.empty(); }
  int register_something(unsigned opcode, void* argument);
  bool enabled() const { return enabled_; }

 private:
  struct Request {
    std::unique_ptr<io_uring_sqe>
        sqe;  ///< A copy. (By pointer: g++ minds its array of no size as a member.)
    std::shared_ptr<SimFile> file;
    std::size_t done_bytes = 0;  ///< Of a send with MSG_WAITALL.
    bool cancelled = false;
  };
  struct Buffers {
    io_uring_buf_ring* ring;
    unsigned entries;
    unsigned short head;
  };
  struct Completion {
    std::uint64_t user_data;
    std::int32_t result;
    std::uint32_t flags;
  };
  using Requests = std::list<Request>;
  enum class Outcome { finished, blocked, again };

  void try_front(Requests& current);
  Outcome attempt(Request& request);
  Outcome attempt_poll(Request& request);
  Outcome attempt_recv(Request& request);
  Outcome attempt_send(Request& request);
  Outcome attempt_accept(Request& request);
  int connect(Request& request);
  int cancel(const io_uring_sqe& sqe);
  int cancel_matching(Requests& requests, const io_uring_sqe& sqe, bool only_first);
  io_uring_buf* next_buffer(unsigned short group);

  Outcome finish(const Request& request, std::int64_t result, std::uint32_t flags = 0);
  bool post_more(const Request& request, std::int64_t result, std::uint32_t flags);
  void post(const Completion& completion);
  bool has_room() const;
  void store(const Completion& completion);
  void set_flag(unsigned flag, bool on);

  SimKernel& kernel_;
  const unsigned setup_flags_;
  bool enabled_;
  unsigned sq_head_ = 0;
  unsigned sq_tail_ = 0;
  unsigned sq_flags_ = 0;
  unsigned cq_head_ = 0;
  unsigned cq_tail_ = 0;
  std::vector<unsigned> sq_array_;
  std::vector<io_uring_sqe> sqes_;
  std::vector<Completion> cqes_;  ///< Laid out as io_uring_cqe.
  std::deque<Completion> overflow_;
  Requests parked_;  ///< Wait for their file.
  Requests work_;    ///< Woken; run by the next enter that wants events.
  std::map<unsigned short, Buffers> buffers_;
};

}  // namespace rota::testing_support
