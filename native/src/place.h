// Where a thread runs. One that has just been woken is often put behind the one that woke it, while
// another processor has nothing to do. Woken again, it is given a better place where there are many;
// where there are few, Linux does not look for one, and the thread has to move by itself.
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
// before. Returns false where there is no other one, or where there are many.
inline bool leave([[maybe_unused]] int here) {
#if defined(__linux__)
  constexpr int kFew = 4;
  cpu_set_t all, others;
  if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(0, sizeof all, &all) != 0) return false;
  others = all;
  CPU_CLR(here, &others);
  const int left = CPU_COUNT(&others);
  if (left == 0 || left >= kFew || sched_setaffinity(0, sizeof others, &others) != 0) return false;
  return sched_setaffinity(0, sizeof all, &all) == 0;
#else
  return false;
#endif
}

// Leaves another's processor to it. Gives up soon: there may be no second one.
inline void step_aside(int other) {
  for (int n = 0; n < 3 && other >= 0 && processor() == other; ++n)
    if (!leave(other)) nap();
}

}  // namespace jaxseq
