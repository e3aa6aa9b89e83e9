// Memory of a thread that calls come back to: nothing fresh is touched from the second call on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "pages.h"

namespace jaxseq {

class Arena {
 public:
  // Frees in the reverse order of what was taken inside a scope.
  class Scope {
   public:
    Scope() : arena_(mine()), block_(arena_.block_), used_(arena_.used_) {}
    ~Scope() { arena_.release(block_, used_); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

    // `n` values, aligned to a cache line, not set to anything.
    template <class S>
    S* take(int64_t n) {
      int64_t bytes;
      if (n < 0 || __builtin_mul_overflow(n, int64_t(sizeof(S)), &bytes)) throw std::bad_alloc();
      return static_cast<S*>(arena_.take(bytes));
    }

   private:
    Arena& arena_;
    size_t block_;
    int64_t used_;
  };

 private:
  static constexpr int64_t kLine = 64, kKept = int64_t(1) << 28;
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  struct Block {
    std::unique_ptr<char, Free> memory;
    int64_t size;
  };
  std::vector<Block> blocks_;
  size_t block_ = 0;
  int64_t used_ = 0;

  static Arena& mine() {
    static thread_local Arena arena;
    return arena;
  }

  void* take(int64_t bytes) {
    if (bytes > INT64_MAX - kLine) throw std::bad_alloc();
    bytes = (bytes + kLine - 1) / kLine * kLine;
    while (block_ < blocks_.size() && blocks_[block_].size - used_ < bytes) next();
    if (block_ == blocks_.size()) {
      Block made = allocate(bytes);
      if (made.memory == nullptr) throw std::bad_alloc();
      blocks_.push_back(std::move(made));
    }
    void* found = blocks_[block_].memory.get() + used_;
    used_ += bytes;
    return found;
  }

  // Whole large pages: what lies in one of these is spread evenly over a cache, while small ones may
  // happen to compete for the same places in it.
  static Block allocate(int64_t bytes) {
    if (bytes > INT64_MAX - kLargePage) return {nullptr, 0};
    const int64_t size = (bytes + kLargePage - 1) / kLargePage * kLargePage;
    std::unique_ptr<char, Free> memory(static_cast<char*>(std::aligned_alloc(kLargePage, size_t(size))));
    if (memory) prefer_large_pages(memory.get(), size);
    return {std::move(memory), size};
  }

  void next() {
    ++block_;
    used_ = 0;
  }

  void release(size_t block, int64_t used) {
    block_ = block;
    used_ = used;
    if (block_ == 0 && used_ == 0) {
      // The call is over. What was left in several pieces, or is very much, is not kept.
      int64_t total = 0;
      for (const Block& b : blocks_) total += b.size;
      if (total > kKept) {
        blocks_.clear();
      } else if (blocks_.size() > 1) {
        blocks_.clear();
        Block made = allocate(total);
        if (made.memory != nullptr) blocks_.push_back(std::move(made));
      }
    }
  }
};

}  // namespace jaxseq
