/// sim_files.hpp: what the descriptors of the simulated kernel stand for: streams, listeners,
/// doorbells.
///
/// Plain state machines that never block: what cannot be done now is -EAGAIN. A file tells its
/// observer, the kernel, when something about it has changed; the kernel then tries again what
/// waits for it. A file lives while a descriptor or a request refers to it: closing a descriptor
/// under a request ends nothing, as with the real kernel.
#pragma once

#include <rota/detail/immovable.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

namespace rota::testing_support {

class SimFile;

/// Who is told that `file` was woken: some of `events` (POLLIN, ...) may have become true.
class SimObserver {
 public:
  virtual void woken(SimFile& file, short events) = 0;

 protected:
  ~SimObserver() = default;
};

class SimFile : detail::Immovable {
 public:
  explicit SimFile(SimObserver& observer) : observer_(observer) {}
  virtual ~SimFile() = default;
  virtual short poll() const = 0;  ///< The events that hold now.

 protected:
  void wake(short events) { observer_.woken(*this, events); }
  SimObserver& observer_;
};

/// As an eventfd that nobody reads.
class SimDoorbell final : public SimFile {
 public:
  using SimFile::SimFile;
  void ring();
  short poll() const override;

 private:
  bool rung_ = false;
};

/// One end of a byte stream, or a socket that is not connected yet.
class SimStream final : public SimFile {
 public:
  SimStream(SimObserver& observer, std::size_t capacity) : SimFile(observer), capacity_(capacity) {}
  ~SimStream() override;

  void connect(SimStream& peer);
  bool connected() const { return connected_; }
  /// Bytes, or -EAGAIN, -EPIPE, -ECONNRESET, -ENOTCONN.
  std::int64_t send(const void* data, std::size_t bytes);
  /// Bytes, 0 at the end of the stream, or -EAGAIN, -ECONNRESET, -ENOTCONN.
  std::int64_t recv(void* data, std::size_t bytes, bool peek);
  int shutdown(int how);
  short poll() const override;

 private:
  bool end_of_stream() const { return peer_closed_ || read_shut_; }

  const std::size_t capacity_;  ///< Of the inbox of each side.
  std::string inbox_;
  SimStream* peer_ = nullptr;
  bool connected_ = false;
  bool peer_closed_ = false;  ///< The peer sends no more.
  bool read_shut_ = false;
  bool write_shut_ = false;
  bool reset_ = false;  ///< The peer went away without having read all: the next call says so.
};

class SimListener final : public SimFile {
 public:
  SimListener(SimObserver& observer, std::size_t backlog) : SimFile(observer), backlog_(backlog) {}
  /// Makes `client` connected to a stream that accept() will give. 0 or -ECONNREFUSED.
  int connect(SimStream& client, std::size_t capacity);
  bool empty() const { return waiting_.empty(); }
  std::shared_ptr<SimStream> accept();
  short poll() const override;

 private:
  const std::size_t backlog_;
  std::deque<std::shared_ptr<SimStream>> waiting_;
};

}  // namespace rota::testing_support
