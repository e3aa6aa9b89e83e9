// Chooses the instruction set when the first call comes.
#include <cstdlib>
#include <cstring>

#include "problem.h"

namespace jaxseq {

#define JAXSEQ_DECLARE(ISA) \
  namespace ISA {           \
  extern const Kernels table; \
  }
JAXSEQ_DECLARE(portable)
#ifdef JAXSEQ_X86
JAXSEQ_DECLARE(avx2)
JAXSEQ_DECLARE(avx512)
#endif

namespace {

bool runs(const Kernels& set) {
#ifdef JAXSEQ_X86
  if (&set == &avx512::table)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
  if (&set == &avx2::table) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return &set == &portable::table;
}

const Kernels& choose() {
  const Kernels* sets[] = {
#ifdef JAXSEQ_X86
      &avx512::table, &avx2::table,
#endif
      &portable::table};
  const char* named = std::getenv("JAXSEQ_NATIVE_ISA");
  for (const Kernels* set : sets)
    if (runs(*set) && (named == nullptr || std::strcmp(named, set->name) == 0)) return *set;
  return portable::table;
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

}  // namespace jaxseq
