// Where a thread runs. One that has just been woken is often put behind the one that woke it, while
// another processor has nothing to do; and on a machine with few of them it is put there again and
// again, however often it sleeps.
#pragma once

#include <chrono>
#include <thread>
#if defined(__linux__)
#include <sched.h>
#endif

namespace jaxseq {

// The processor that runs this, or -1 where nobody can say.
inline int processor() {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

inline void nap() { std::this_thread::sleep_for(std::chrono::microseconds(1)); }

// Goes to another processor than `here`. Nothing is pinned: the thread may then run wherever it might
// before. Returns whether there is another one.
inline bool leave([[maybe_unused]] int here) {
#if defined(__linux__)
  cpu_set_t all, others;
  if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(0, sizeof all, &all) != 0) return false;
  others = all;
  CPU_CLR(here, &others);
  if (CPU_COUNT(&others) == 0 || sched_setaffinity(0, sizeof others, &others) != 0) return false;
  return sched_setaffinity(0, sizeof all, &all) == 0;
#else
  return false;
#endif
}

}  // namespace jaxseq
