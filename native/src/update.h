// The update of each cell and its derivative, on units [begin, end) of one row: what stands between
// the products.
#pragma once

#include "gemm.h"
#include "problem.h"

namespace jaxseq::JAXSEQ_ISA {

// The values that the maps give a row, in blocks of `width` each: LSTM i f g o; GRU r z, then the
// candidate's parts of input and state, which the reset gate keeps apart; Elman's network one.
inline int64_t map_blocks(Cell cell) { return cell == Cell::kElmanTanh || cell == Cell::kElmanRelu ? 1 : 4; }

// Which gate's weights a block of the maps is made of, or -1 if it is not.
inline int64_t input_gate(Cell cell, int64_t block) { return cell == Cell::kGru && block == 3 ? -1 : block; }
inline int64_t state_gate(Cell cell, int64_t block) {
  if (cell != Cell::kGru) return block;
  return block == 2 ? -1 : block == 3 ? 2 : block;
}

// A row's state, in buffers `width` wide, and where what is kept of it goes (null for nowhere).
template <class S>
struct Row {
  const S* z;  // the maps' values
  const S* h;  // before the step
  S* c;        // before the step, and then after it
  S* kept;
  S* out;  // where h goes, which may be over what it was
};

template <class S, Cell CELL>
inline void update_row(const Row<S>& row, int64_t width, int64_t kept_width, int64_t begin,
                       int64_t end) {
  constexpr int64_t V = Vector<S>::size;
  for (int64_t u = begin; u < end; u += V) {
    const auto z = [&](int64_t block) { return load(row.z + block * width + u); };
    const auto keep = [&](int64_t block, Vec<S> value) {
      if (row.kept) store(row.kept + block * kept_width + u, value);
    };
    if constexpr (CELL == Cell::kElmanTanh) {
      store(row.out + u, tanh<S>(z(0)));
    } else if constexpr (CELL == Cell::kElmanRelu) {
      const Vec<S> x = z(0);
      store(row.out + u, x <= 0 ? Vec<S>{} : x);  // a NaN stays one
    } else if constexpr (CELL == Cell::kLstm) {
      const Vec<S> i = sigmoid<S>(z(0)), f = sigmoid<S>(z(1)), g = tanh<S>(z(2));
      const Vec<S> o = sigmoid<S>(z(3));
      const Vec<S> c = f * load(row.c + u) + i * g;
      store(row.c + u, c);
      store(row.out + u, Vec<S>(o * tanh<S>(c)));
      keep(0, i), keep(1, f), keep(2, g), keep(3, o), keep(4, c);
    } else {
      const Vec<S> r = sigmoid<S>(z(0)), gate = sigmoid<S>(z(1)), state = z(3);
      const Vec<S> n = tanh<S>(z(2) + r * state);
      store(row.out + u, Vec<S>((S(1) - gate) * n + gate * load(row.h + u)));
      keep(0, r), keep(1, gate), keep(2, n), keep(3, state);
    }
  }
}

// A row's cotangents: of the state after the step, and then, but for what goes through the
// recurrent map, of the state before it.
template <class S>
struct RowBack {
  const S *kept, *h, *h_before, *c_before;
  S *d_h, *d_c, *d_z;
  S* unprojected;  // where o * tanh(c) goes, or null
};

template <class S, Cell CELL>
inline void update_row_back(const RowBack<S>& row, int64_t width, int64_t kept_width, int64_t begin,
                            int64_t end) {
  constexpr int64_t V = Vector<S>::size;
  for (int64_t u = begin; u < end; u += V) {
    const auto kept = [&](int64_t block) { return load(row.kept + block * kept_width + u); };
    const auto give = [&](int64_t block, Vec<S> value) { store(row.d_z + block * width + u, value); };
    const Vec<S> d_h = load(row.d_h + u);
    if constexpr (CELL == Cell::kElmanTanh) {
      const Vec<S> h = load(row.h + u);
      give(0, d_h * (S(1) - h * h));
      store(row.d_h + u, Vec<S>{});
    } else if constexpr (CELL == Cell::kElmanRelu) {
      give(0, load(row.h + u) > 0 ? d_h : Vec<S>{});
      store(row.d_h + u, Vec<S>{});
    } else if constexpr (CELL == Cell::kLstm) {
      const Vec<S> i = kept(0), f = kept(1), g = kept(2), o = kept(3);
      const Vec<S> y = tanh<S>(kept(4));
      const Vec<S> d_c = load(row.d_c + u) + d_h * o * (S(1) - y * y);
      give(0, d_c * g * i * (S(1) - i));
      give(1, d_c * load(row.c_before + u) * f * (S(1) - f));
      give(2, d_c * i * (S(1) - g * g));
      give(3, d_h * y * o * (S(1) - o));
      store(row.d_c + u, Vec<S>(d_c * f));
      store(row.d_h + u, Vec<S>{});
      if (row.unprojected) store(row.unprojected + u, Vec<S>(o * y));
    } else {
      const Vec<S> r = kept(0), gate = kept(1), n = kept(2), state = kept(3);
      const Vec<S> d_n = d_h * (S(1) - gate) * (S(1) - n * n);
      give(0, d_n * state * r * (S(1) - r));
      give(1, d_h * (load(row.h_before + u) - n) * gate * (S(1) - gate));
      give(2, d_n);
      give(3, d_n * r);
      store(row.d_h + u, Vec<S>(d_h * gate));
    }
  }
}

}  // namespace jaxseq::JAXSEQ_ISA
