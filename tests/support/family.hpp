/// family.hpp: the primitives that the tests of sync/ speak of: those of one loop; or, with
/// ROTA_TEST_THREADSAFE, those of rota::threadsafe, which have the same names and interfaces.
///
/// Those tests are built twice (tests/CMakeLists.txt, which also names what the families do not
/// have in common).
#pragma once

#ifdef ROTA_TEST_THREADSAFE

#include <rota/threadsafe/barrier.hpp>
#include <rota/threadsafe/condition.hpp>
#include <rota/threadsafe/event.hpp>
#include <rota/threadsafe/lock.hpp>
#include <rota/threadsafe/queue.hpp>
#include <rota/threadsafe/semaphore.hpp>

namespace rota::testing_support {
using rota::threadsafe::Barrier;
using rota::threadsafe::BoundedSemaphore;
using rota::threadsafe::Condition;
using rota::threadsafe::Event;
using rota::threadsafe::LifoQueue;
using rota::threadsafe::Lock;
using rota::threadsafe::PriorityQueue;
using rota::threadsafe::Queue;
using rota::threadsafe::Semaphore;
}  // namespace rota::testing_support

#else

#include <rota/barrier.hpp>
#include <rota/condition.hpp>
#include <rota/event.hpp>
#include <rota/lock.hpp>
#include <rota/queue.hpp>
#include <rota/semaphore.hpp>

namespace rota::testing_support {
using rota::Barrier;
using rota::BoundedSemaphore;
using rota::Condition;
using rota::Event;
using rota::LifoQueue;
using rota::Lock;
using rota::PriorityQueue;
using rota::Queue;
using rota::Semaphore;
}  // namespace rota::testing_support

#endif
