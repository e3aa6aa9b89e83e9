// Products of a single row, which are as slow as their weights come from the second cache: that leaves
// more than half of a core's multiplications. Products of some rows are made beside them.
#pragma once

#include "gemm.h"

namespace jaxseq::JAXSEQ_ISA {

// sum += a[k] . row k of some panels.
template <class S, int PANELS>
JAXSEQ_INLINE void add_row(const S* a, const S* const* b, int64_t k, Vec<S> (&sum)[2 * PANELS]) {
  for_each(std::make_integer_sequence<int, 2 * PANELS>{}, [&](auto n) {
    sum[n] += a[k] * load(b[n / 2] + (2 * k + n % 2) * Vector<S>::size);
  });
}

// Both need their sums in registers, for which 16 are too few.
constexpr bool kBeside = kRows == 8;

// What is to be made beside: c[0..kRows) += a . b, with two vectors of columns, in the order of add().
template <class S>
class Beside {
 public:
  // c[0..rows) += a . b. What is left of the rows, and a single vector of columns, is made at once.
  void add(int64_t rows, int64_t vectors, Operands<S> o, S* c, int64_t ldc) {
    for (; rows > 0; rows -= kRows, o.a += kRows * o.lda, c += kRows * ldc) {
      if (kBeside && rows >= kRows && vectors == 2)
        products_.push_back({o, c, ldc});
      else
        block_of<S, false>(std::min<int64_t>(rows, kRows), vectors)(o, Operands<S>{}, nullptr, true, c, ldc);
    }
  }

  // Whatever is left.
  void finish() {
    for (; next_ < products_.size(); ++next_) {
      const auto& [o, c, ldc] = products_[next_];
      block_of<S, false>(kRows, 2)(o, Operands<S>{}, nullptr, true, c, ldc);
    }
    products_.clear(), next_ = 0;
  }

  // Some steps of a single row's product for each one of the next that is to be made: about what goes
  // together in time. Returns how many, which are `most` at most.
  template <int PANELS>
  JAXSEQ_INLINE int64_t along(const S* a, const S* const* b, int64_t most, Vec<S> (&sum)[2 * PANELS]) {
    constexpr int kSteps = 8 / PANELS;
    if (next_ == products_.size() || most < kSteps) return 0;
    constexpr std::make_integer_sequence<int, 2 * kRows> places{};
    Product& made = products_[next_];
    const Operands<S> o = made.o;
    const auto place = [c = made.c, ldc = made.ldc](int n) {
      return c + n / 2 * ldc + n % 2 * Vector<S>::size;
    };
    const int64_t steps = std::min(most / kSteps, o.depth);
    Vec<S> beside[2 * kRows];
    for_each(places, [&](auto n) { beside[n] = load(place(n)); });
    for (int64_t k = 0; k < steps; ++k) {
      for_each(std::make_integer_sequence<int, kSteps>{},
               [&](auto n) { add_row<S, PANELS>(a, b, kSteps * k + n, sum); });
      add_outer<S, kRows, 2, false>(o, k, beside);
    }
    for_each(places, [&](auto n) { store(place(n), beside[n]); });
    made.o.a += steps, made.o.b += steps * o.ldb, made.o.depth -= steps;
    if (made.o.depth == 0) ++next_;
    return kSteps * steps;
  }

 private:
  struct Product {
    Operands<S> o;
    S* c;
    int64_t ldc;
  };
  std::vector<Product> products_;
  size_t next_ = 0;
};

// One row by PANELS panels at once, out[p] += a . b[p]: the sums of a single one would wait for each
// other.
template <class S, int PANELS>
void row_by_panels(const S* a, int64_t depth, const S** b, S* const* out, Beside<S>& beside) {
  constexpr int64_t V = Vector<S>::size;
  constexpr std::make_integer_sequence<int, 2 * PANELS> places{};
  Vec<S> sum[2 * PANELS];
  for_each(places, [&](auto n) { sum[n] = load(out[n / 2] + n % 2 * V); });
  if constexpr (kBeside) {
    while (const int64_t made = beside.template along<PANELS>(a, b, depth, sum)) {
      a += made, depth -= made;
      for (int p = 0; p < PANELS; ++p) b[p] += made * 2 * V;
    }
  }
  for (int64_t k = 0; k < depth; ++k) add_row<S, PANELS>(a, b, k, sum);
  for_each(places, [&](auto n) { store(out[n / 2] + n % 2 * V, sum[n]); });
}

// out[columns of a panel] += a . rows [first, first + depth) of the panel, for all that reach the
// state.
template <class S>
void row_by(const S* a, int64_t depth, const std::vector<Panel<S>>& panels, int64_t first, S* out,
            Beside<S>& beside) {
  constexpr size_t kAtOnce = 4;
  constexpr int64_t V = Vector<S>::size;
  const S* b[kAtOnce];
  S* to[kAtOnce];
  size_t n = 0;
  for (const Panel<S>& panel : panels) {
    if (panel.h == nullptr) continue;
    const S* rows = panel.h + first * panel.vectors * V;
    if (panel.vectors == 1) {  // the last of a matrix
      const Operands<S> one{a, 0, rows, V, depth};
      block<S, 1, 1, false>(one, Operands<S>{}, nullptr, true, out + panel.column, 0);
      continue;
    }
    b[n] = rows, to[n] = out + panel.column;
    if (++n < kAtOnce) continue;
    row_by_panels<S, kAtOnce>(a, depth, b, to, beside);
    n = 0;
  }
  if (n == 1) row_by_panels<S, 1>(a, depth, b, to, beside);
  if (n == 2) row_by_panels<S, 2>(a, depth, b, to, beside);
  if (n == 3) row_by_panels<S, 3>(a, depth, b, to, beside);
}

}  // namespace jaxseq::JAXSEQ_ISA
