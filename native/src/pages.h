// What a call writes lies mostly in fresh memory, and every page of that is a fault: with pages of
// 4 KB they take a tenth of a long training step.
#pragma once

#include <cstdint>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace jaxseq {

// Asks for large pages, of 2 MB, where whole ones lie inside. The system is free not to give them.
inline void prefer_large_pages([[maybe_unused]] void* data, [[maybe_unused]] int64_t bytes) {
#if defined(__linux__)
  constexpr uintptr_t kPage = uintptr_t(1) << 21;
  const uintptr_t from = reinterpret_cast<uintptr_t>(data), to = from + uintptr_t(bytes);
  const uintptr_t first = (from + kPage - 1) / kPage * kPage, last = to / kPage * kPage;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
}

}  // namespace jaxseq
