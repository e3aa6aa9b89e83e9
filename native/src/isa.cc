// Everything above the FFI, compiled once for each instruction set.
#include "scan.h"

namespace jaxseq::JAXSEQ_ISA {
namespace {

template <Vec<float> FUNCTION(Vec<float>)>
void map(const float* in, float* out, int64_t n) {
  constexpr int64_t V = Vector<float>::size;
  float rest[V] = {};
  int64_t i = 0;
  for (; i + V <= n; i += V) store(out + i, FUNCTION(load(in + i)));
  if (i == n) return;
  std::copy(in + i, in + n, rest);
  store(rest, FUNCTION(load(rest)));
  std::copy(rest, rest + (n - i), out + i);
}

}  // namespace

extern const Kernels table;
const Kernels table = {JAXSEQ_NAME,     &forward<float>, &forward<double>,   &backward<float>,
                       &backward<double>, &map<tanh<float>>, &map<sigmoid<float>>};

}  // namespace jaxseq::JAXSEQ_ISA
