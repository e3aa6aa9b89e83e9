// Products of small matrices with packed ones. A register block of up to kRows rows by two vectors
// of columns stays in registers over the whole inner dimension.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "vec.h"

namespace jaxseq::JAXSEQ_ISA {

// With 16 registers, 6 rows of 2 vectors leave room for what is loaded; with 32, 8 rows do.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kRows = 8;
#else
constexpr int kRows = 6;
#endif

constexpr int64_t round_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

template <class S>
constexpr int64_t padded(int64_t n) {
  return round_up(n, Vector<S>::size);
}

// One product's operands: `a` has rows `lda` apart, `b` has `depth` rows of the block's columns.
template <class S>
struct Operands {
  const S* a = nullptr;
  int64_t lda = 0;
  const S* b = nullptr;
  int64_t ldb = 0;
  int64_t depth = 0;
};

// Where sums are handed over by reference: a function that is not part of its caller has them in memory.
#define JAXSEQ_INLINE inline __attribute__((always_inline))

// Calls visit(0), visit(1), ... visit(N - 1) with constants. Sums that are named by constants alone stay
// in registers; where loops name them, a compiler puts them into memory before and after a product.
template <class Visit, int... N>
JAXSEQ_INLINE void for_each(std::integer_sequence<int, N...>, Visit visit) {
  (visit(std::integral_constant<int, N>{}), ...);
}

// sum[r * NV + v] += step k of the product, of MR rows and NV vectors.
template <class S, int MR, int NV, bool TURNED>
JAXSEQ_INLINE void add_outer(const Operands<S>& o, int64_t k, Vec<S> (&sum)[MR * NV]) {
  Vec<S> columns[NV];
  for (int v = 0; v < NV; ++v) columns[v] = load(o.b + k * o.ldb + v * Vector<S>::size);
  for_each(std::make_integer_sequence<int, MR>{}, [&](auto r) {
    const S left = TURNED ? o.a[k * o.lda + r] : o.a[r * o.lda + k];
    for_each(std::make_integer_sequence<int, NV>{}, [&](auto v) { sum[r * NV + v] += left * columns[v]; });
  });
}

// The whole of it.
template <class S, int MR, int NV, bool TURNED>
JAXSEQ_INLINE void add_product(const Operands<S>& o, Vec<S> (&sum)[MR * NV]) {
  for (int64_t k = 0; k < o.depth; ++k) add_outer<S, MR, NV, TURNED>(o, k, sum);
}

// c[r][0..NV) = start + the sum of one or two products, and what it held before if `add`. `start` is a
// row (a bias), or null for zeros.
template <class S, int MR, int NV, bool TURNED>
void block(const Operands<S>& one, const Operands<S>& two, const S* start, bool add, S* c,
           int64_t ldc) {
  constexpr std::make_integer_sequence<int, MR * NV> places{};
  const auto place = [=](int n) { return c + n / NV * ldc + n % NV * Vector<S>::size; };
  Vec<S> sum[MR * NV];
  for_each(places, [&](auto n) { sum[n] = start ? load(start + n % NV * Vector<S>::size) : Vec<S>{}; });
  if (add) for_each(places, [&](auto n) { __builtin_prefetch(place(n), 1); });  // wanted at the end
  add_product<S, MR, NV, TURNED>(one, sum);
  add_product<S, MR, NV, TURNED>(two, sum);
  if (add) for_each(places, [&](auto n) { sum[n] += load(place(n)); });
  for_each(places, [&](auto n) { store(place(n), sum[n]); });
}

template <class S>
using Block = void (*)(const Operands<S>&, const Operands<S>&, const S*, bool, S*, int64_t);

template <class S, bool TURNED>
Block<S> block_of(int64_t rows, int64_t vectors) {
#define JAXSEQ_ROW(R) {block<S, R, 1, TURNED>, block<S, R, 2, TURNED>}
  static constexpr Block<S> table[8][2] = {
      JAXSEQ_ROW(1), JAXSEQ_ROW(2), JAXSEQ_ROW(3), JAXSEQ_ROW(4),
      JAXSEQ_ROW(5), JAXSEQ_ROW(6), JAXSEQ_ROW(7), JAXSEQ_ROW(8)};
#undef JAXSEQ_ROW
  return table[rows - 1][vectors - 1];
}

// Rows in blocks as equal as they can be: 9 rows are 5 and 4, not 8 and 1.
struct Split {
  int64_t blocks, least, larger;
  Split(int64_t rows, int64_t most) {
    blocks = (rows + most - 1) / most;
    least = blocks ? rows / blocks : 0;
    larger = blocks ? rows % blocks : 0;
  }
  int64_t size(int64_t n) const { return least + (n < larger); }
};

// Columns of a packed matrix: `width` vectors side by side, and where their packed rows begin. A
// matrix that does not reach these columns has none.
template <class S>
struct Panel {
  int64_t column, vectors;
  const S* x = nullptr;
  const S* h = nullptr;
};

// Calls visit(column, vectors) for the columns of a matrix, two vectors at a time.
template <class S, class Visit>
void for_panels(int64_t columns, Visit visit) {
  constexpr int64_t V = Vector<S>::size;
  for (int64_t column = 0; column < columns; column += 2 * V)
    visit(column, columns - column >= 2 * V ? 2 : 1);
}

// Packs columns [column, column + width) of a matrix with `columns` of them into a panel, zeros where
// it has none. Its rows are `gates` blocks of `units` each, which become blocks of `padded_units`.
struct Packing {
  int64_t gates, units, padded_units, columns;
};

template <class S>
void pack_panel(const S* m, const Packing& p, int64_t column, int64_t width, S* out) {
  const int64_t there = std::clamp<int64_t>(p.columns - column, 0, width);
  for (int64_t g = 0; g < p.gates; ++g) {
    for (int64_t u = 0; u < p.padded_units; ++u, out += width) {
      const int64_t here = u < p.units ? there : 0;
      if (here) std::copy_n(m + (g * p.units + u) * p.columns + column, here, out);
      std::fill(out + here, out + width, S(0));
    }
  }
}

// The same of the transpose of a matrix, whose rows are then `depth` long.
template <class S>
void pack_transposed(const S* m, int64_t depth, int64_t columns, int64_t column, int64_t width, S* out) {
  constexpr int64_t V = Vector<S>::size;
  const int64_t there = std::clamp<int64_t>(columns - column, 0, width);
  const S* from = m + column * depth;
  int64_t k = 0;
  for (; k + V <= depth; k += V) {
    for (int64_t first = 0; first < width; first += V) {
      Vec<S> square[V];
      for (int64_t n = 0; n < V; ++n)
        square[n] = first + n < there ? load(from + (first + n) * depth + k) : Vec<S>{};
      transpose<S>(square);
      for (int64_t n = 0; n < V; ++n) store(out + (k + n) * width + first, square[n]);
    }
  }
  for (; k < depth; ++k)
    for (int64_t n = 0; n < width; ++n) out[k * width + n] = n < there ? from[n * depth + k] : S(0);
}

}  // namespace jaxseq::JAXSEQ_ISA
