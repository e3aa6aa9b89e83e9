// Shares tasks between the calling thread and XLA's own pool. The caller works too, so a pool that is
// busy, or has no thread to spare, costs time and nothing else.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>

#include "problem.h"
#include "team.h"

namespace jaxseq {

template <class Pool>
class PoolThreads : public Threads {
 public:
  explicit PoolThreads(Pool& pool) : pool_(pool), count_(pool.num_threads()) {
    if (count_ < 1) count_ = 1;
  }

  int64_t count() const override { return count_; }

  void run(int64_t n, const std::function<void(int64_t)>& task) const override {
    const int64_t helpers = (n < count_ ? n : count_) - 1;
    if (helpers <= 0) {
      for (int64_t i = 0; i < n; ++i) task(i);
      return;
    }
    // A helper that comes when all is done finds no task left, and touches only this.
    const auto shared = std::make_shared<Shared>();
    shared->n = n;
    shared->task = &task;
    shared->leader = processor();
    for (int64_t k = 0; k < helpers; ++k)
      pool_.Schedule([shared] {
        step_aside(shared->leader);
        shared->work();
      });
    shared->work();
    shared->wait();
    if (shared->failure) std::rethrow_exception(shared->failure);
  }

  void in_step(int64_t parts, int64_t items,
               const std::function<void(int64_t, int64_t)>& work) const override {
    if (parts == 1) {
      for (int64_t item = 0; item < items; ++item) work(0, item);
      return;
    }
    const auto team = std::make_shared<Team>(parts, items, work);
    for (int64_t part = 1; part < parts; ++part) pool_.Schedule([team, part] { team->help(part); });
    team->lead();
  }

 private:
  struct Shared {
    std::atomic<int64_t> next{0}, done{0};
    int64_t n = 0;
    int leader = -1;  // its processor
    const std::function<void(int64_t)>* task = nullptr;  // alive while a task is not done
    std::mutex mutex;
    std::condition_variable finished;
    std::exception_ptr failure;

    void work() {
      for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < n;) {
        try {
          (*task)(i);
        } catch (...) {
          const std::lock_guard<std::mutex> lock(mutex);
          failure = std::current_exception();
        }
        if (done.fetch_add(1, std::memory_order_acq_rel) + 1 == n) {
          const std::lock_guard<std::mutex> lock(mutex);
          finished.notify_all();
        }
      }
    }

    void wait() {
      // Tasks are of equal size, so the others end about now; sleeping costs more than a short look.
      for (int k = 0; k < kLooks; ++k)
        if (done.load(std::memory_order_acquire) == n) return;
      std::unique_lock<std::mutex> lock(mutex);
      finished.wait(lock, [this] { return done.load(std::memory_order_acquire) == n; });
    }
  };

  static constexpr int kLooks = 2000;
  Pool& pool_;
  int64_t count_;
};

}  // namespace jaxseq
