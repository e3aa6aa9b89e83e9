// Where a thread runs. One that has just been woken is often put behind the one that woke it, while
// another processor has nothing to do; the system looks for a better place when it wakes it again.
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

// Leaves another's processor to it. Gives up soon: there may be no second one.
inline void step_aside(int other) {
  for (int n = 0; n < 3 && other >= 0 && processor() == other; ++n)
    nap();
}

}  // namespace jaxseq
