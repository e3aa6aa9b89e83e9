// Threads that go through many small items in step. The caller leads: it needs nobody else to come,
// or to come back. A part that nobody has begun, it does itself; where a helper was put aside by the
// system in the middle of one, it waits for that, and then goes on alone for a while.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "place.h"

namespace jaxseq {

class Team {
 public:
  using Work = std::function<void(int64_t part, int64_t item)>;

  // `work` must live until lead() returns.
  Team(int64_t parts, int64_t items, const Work& work)
      : parts_(size_t(parts)), items_(items), work_(&work) {}

  // Part 0, and of the others what no helper has begun.
  void lead() {
    for (int64_t item = 0; item < items_; ++item) {
      if (item % 16 == 0) leader_.store(processor(), std::memory_order_relaxed);
      take(0, item);
      for (size_t part = 1; part < parts_.size(); ++part) {
        const auto done = [&] { return is_done(part, item); };
        // Parts are of equal size, so a helper that is here ends about now.
        if (parts_[part].helped.load(std::memory_order_relaxed) && look(kShort, done)) continue;
        if (take(part, item) || look(kLong, done)) continue;
        alone_until_.store(item + kAlone, std::memory_order_relaxed);
        while (!done()) std::this_thread::yield();
      }
    }
    if (failure_) std::rethrow_exception(failure_);
  }

  // A part of its own, as long as the others keep up. Whoever is on the leader's processor goes to
  // another one, by itself or woken again; whoever does not get on sleeps a little.
  void help(int64_t part) {
    Part& own = parts_[size_t(part)];
    for (int naps = 0; naps < kMostNaps;) {
      const int64_t item = own.begun.load(std::memory_order_relaxed);
      if (item == items_) return;
      const auto ready = [&] {
        for (size_t other = 0; other < parts_.size(); ++other)
          if (!is_done(other, item - 1)) return false;
        return true;
      };
      const int leader = leader_.load(std::memory_order_relaxed);
      const bool apart = processor() != leader || leader < 0;
      if (apart && item >= alone_until_.load(std::memory_order_relaxed) && look(kShort, ready)) {
        own.helped.store(true, std::memory_order_relaxed);
        take(size_t(part), item);
        naps = 0;
      } else {
        own.helped.store(false, std::memory_order_relaxed);
        if (apart || !leave(leader)) nap();
        ++naps;
      }
    }
    own.helped.store(false, std::memory_order_relaxed);
  }

 private:
  // Each on a line of its own, or threads would wait for each other's counters.
  struct alignas(64) Part {
    std::atomic<int64_t> begun{0}, done{0};
    std::atomic<bool> helped{false};
  };

  // Looks for a few microseconds, which is cheaper than doing another's part; and for about as long
  // as the system needs to bring back whom it has put aside for a moment.
  static constexpr int kShort = 200, kLong = 20000;
  // Items for which a leader that was let down goes on alone; and naps in a row before a helper goes.
  static constexpr int kAlone = 64, kMostNaps = 200;

  bool is_done(size_t part, int64_t item) const {
    return parts_[part].done.load(std::memory_order_acquire) > item;
  }

  // Does an item of a part, unless somebody has begun it.
  bool take(size_t part, int64_t item) {
    Part& of = parts_[part];
    int64_t next = item;
    if (!of.begun.compare_exchange_strong(next, item + 1, std::memory_order_acq_rel)) return false;
    try {
      (*work_)(int64_t(part), item);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex_);
      failure_ = std::current_exception();
    }
    of.done.store(item + 1, std::memory_order_release);
    return true;
  }

  template <class Holds>
  static bool look(int times, const Holds& holds) {
    for (int n = 0; n < times; ++n) {
      if (holds()) return true;
      pause();
    }
    return holds();
  }

  static void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  std::vector<Part> parts_;
  const int64_t items_;
  const Work* const work_;
  std::atomic<int> leader_{-1};  // its processor
  std::atomic<int64_t> alone_until_{0};  // items before which nobody helps
  std::mutex mutex_;
  std::exception_ptr failure_;
};

}  // namespace jaxseq
