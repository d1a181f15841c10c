/// rota.hpp: everything. For small programs and examples; larger ones include what they use, and
/// compile faster.
#pragma once

#include <rota/address.hpp>
#include <rota/barrier.hpp>
#include <rota/bytes.hpp>
#include <rota/capacity_limiter.hpp>
#include <rota/clock.hpp>
#include <rota/condition.hpp>
#include <rota/connection.hpp>
#include <rota/context.hpp>
#include <rota/coro.hpp>
#include <rota/error.hpp>
#include <rota/event.hpp>
#include <rota/executor.hpp>
#include <rota/future.hpp>
#include <rota/gather.hpp>
#include <rota/lock.hpp>
#include <rota/loop.hpp>
#include <rota/memory_channel.hpp>
#include <rota/parking_lot.hpp>
#include <rota/queue.hpp>
#include <rota/run_threadsafe.hpp>
#include <rota/runtime.hpp>
#include <rota/semaphore.hpp>
#include <rota/server.hpp>
#include <rota/sleep.hpp>
#include <rota/socket.hpp>
#include <rota/stats.hpp>
#include <rota/streams.hpp>
#include <rota/task.hpp>
#include <rota/task_group.hpp>
#include <rota/timeout.hpp>
#include <rota/wait.hpp>
#include <rota/with.hpp>
