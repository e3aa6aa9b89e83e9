// What a call writes lies mostly in fresh memory, and every page of that is a fault: with pages of
// 4 KB they take a tenth of a long training step. And what lies in one large page is spread evenly
// over a cache.
#pragma once

#include <cstdint>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace jaxseq {

constexpr int64_t kLargePage = int64_t(1) << 21;

// Asks for large pages, where whole ones lie inside. The system is free not to give them.
inline void prefer_large_pages([[maybe_unused]] void* data, [[maybe_unused]] int64_t bytes) {
#if defined(__linux__)
  constexpr uintptr_t kPage = kLargePage;
  const uintptr_t from = reinterpret_cast<uintptr_t>(data), to = from + uintptr_t(bytes);
  const uintptr_t first = (from + kPage - 1) / kPage * kPage, last = to / kPage * kPage;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
}

}  // namespace jaxseq
