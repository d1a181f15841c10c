/// load_run.cpp: a share of the connections for each loop; loops talk by messages only.
#include "load_run.hpp"

#include <rota/error.hpp>
#include <rota/future.hpp>
#include <rota/loop.hpp>
#include <rota/runtime.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>
#include <rota/task_group.hpp>
#include <rota/with.hpp>

#include "load_connection.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

namespace load {
namespace {

using namespace std::chrono_literals;

/// The connections of one loop. Made by main, then used by the loop only, until its task has ended.
class Share {
 public:
  Share(const Plan& plan, rota::LoopHandle loop) : plan_(plan), loop_(std::move(loop)) {}

  void add_connection(unsigned number) {
    connections_.push_back(std::make_unique<Connection>(plan_, stats_, number));
  }
  const rota::LoopHandle& loop() const noexcept { return loop_; }
  const Stats& stats() const noexcept { return stats_; }

  // On its loop, in this order:
  void start() { task_ = rota::create_task(run()); }
  rota::Task<> stop() {
    task_.cancel();
    return task_;
  }
  /// On any, when that task has ended.
  Stats take_stats(rota::TimePoint end) {
    for (const auto& connection : connections_) {
      stats_.unanswered_total += connection->unanswered_by(end);
      if (!connection->was_answered()) ++stats_.silent_connections;
    }
    return std::move(stats_);
  }

 private:
  rota::Coro<> run() {
    co_await rota::with(
        rota::TaskGroup(),
        [](rota::TaskGroup& group, Share* share) -> rota::Coro<> {
          for (const auto& connection : share->connections_) group.create_task(connection->run());
          co_await share->watch();
        },
        this);
  }
  rota::Coro<> watch() {
    const auto period = std::clamp<Seconds>(plan_.options.timeout / 10, 5ms, 500ms);
    for (;;) {
      co_await rota::sleep(period);
      const rota::TimePoint now = rota::get_running_loop().time();
      for (const auto& connection : connections_) connection->check_timeout(now);
    }
  }

  const Plan& plan_;
  rota::LoopHandle loop_;
  Stats stats_;
  std::vector<std::unique_ptr<Connection>> connections_;
  rota::Task<> task_;
};

using Shares = std::vector<std::unique_ptr<Share>>;

Shares make_shares(const Plan& plan) {
  Shares shares;
  for (const rota::LoopHandle& loop : rota::all_loops()) {
    shares.push_back(std::make_unique<Share>(plan, loop));
  }
  for (unsigned number = 0; number < plan.options.connections; ++number) {
    shares[number % shares.size()]->add_connection(number);
  }
  return shares;
}

/// Calls `function()` on `loop`; the future gives here what it gave there.
template <typename Function>
auto call_on(const rota::LoopHandle& loop, Function function) {
  using Result = decltype(function());
  rota::Future<Result> answer;
  const rota::LoopHandle home = rota::get_running_loop().handle();
  loop.call_soon_threadsafe([answer, home, function] {
    home.call_soon_threadsafe([answer, result = function()] {
      if (!answer.done()) answer.set_result(result);  // done: who waited was cancelled
    });
  });
  return answer;
}

void start(const Shares& shares) {
  for (const auto& share : shares) {
    share->loop().call_soon_threadsafe([share = share.get()] { share->start(); });
  }
}

/// Tells all of them before it waits for any: they measure until then.
rota::Coro<> stop(const Shares& shares) {
  std::vector<rota::Future<rota::Task<>>> stopped;
  for (const auto& share : shares) {
    stopped.push_back(call_on(share->loop(), [share = share.get()] { return share->stop(); }));
  }
  std::exception_ptr failure;  // not thrown before all have ended: they use what the caller owns
  for (const rota::Future<rota::Task<>>& stopping : stopped) {
    const rota::Task<> task = co_await stopping;
    try {
      co_await task;
    } catch (const rota::CancelledError&) {
      continue;  // as it should end
    } catch (...) {
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

rota::Coro<Report> report_so_far(const Plan& plan, const Shares& shares) {
  Report report;
  for (const auto& share : shares) {
    const auto copy = call_on(share->loop(), [share = share.get()] { return share->stats(); });
    report.stats.merge(co_await copy);
  }
  report.measured = rota::get_running_loop().time() - plan.from;
  co_return report;
}

/// Returns at the end of the measurement.
rota::Coro<> wait_for_end(const Plan& plan, const Shares& shares, const OnSecond& on_second) {
  rota::EventLoop& loop = rota::get_running_loop();
  for (rota::TimePoint next = plan.from + 1s; next < plan.until; next += 1s) {
    co_await rota::sleep(next - loop.time());
    on_second(co_await report_so_far(plan, shares));
  }
  co_await rota::sleep(plan.until - loop.time());
}

}  // namespace

rota::Coro<Report> run_load(const Options& options, OnSecond on_second) {
  rota::EventLoop& loop = rota::get_running_loop();
  const Plan plan(options, loop.time());
  const Shares shares = make_shares(plan);
  start(shares);
  rota::TimePoint end = plan.until;
  try {
    co_await wait_for_end(plan, shares, on_second);
  } catch (const rota::CancelledError&) {
    end = std::min(end, loop.time());  // Ctrl-C: what was measured until now counts
  }
  co_await stop(shares);
  Report report;
  for (const auto& share : shares) report.stats.merge(share->take_stats(end));
  report.measured = std::max(end - plan.from, rota::Duration::zero());
  co_return report;
}

}  // namespace load
