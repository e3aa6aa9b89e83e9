// The forward pass. Rows are independent, so each thread takes some of them through all of time:
// nobody waits for anybody at a step.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "arena.h"
#include "update.h"

namespace jaxseq::JAXSEQ_ISA {

// With so few rows a weight is read for little work: inputs are then mapped for several steps at
// once, so that theirs are read once for all of them. Where there are more, inputs are only gathered.
constexpr int64_t kFewRows = 4, kHoistedRows = 32, kGatheredRows = 64;

// Some rows of a batch: what one thread takes. The longest are first, so that those that go through a
// step are the first few.
class Rows {
 public:
  // Of `groups` threads, the one of that number: neighbours, or where rows have lengths, as many long
  // and short ones as the others have.
  Rows(const Walk& walk, int64_t group, int64_t groups) : walk_(walk) {
    std::vector<int64_t> all(size_t(walk.B));
    std::iota(all.begin(), all.end(), int64_t(0));
    if (walk.lengths)
      std::stable_sort(all.begin(), all.end(),
                       [&](int64_t a, int64_t b) { return walk.length(a) > walk.length(b); });
    for (int64_t n = 0; n < walk.B; ++n) {
      const int64_t round = n % (2 * groups), dealt = std::min(round, 2 * groups - 1 - round);
      if (walk.lengths ? dealt == group : group * walk.B / groups <= n && n < (group + 1) * walk.B / groups)
        rows_.push_back(all[size_t(n)]);
    }
  }

  int64_t count() const { return int64_t(rows_.size()); }
  int64_t operator[](int64_t r) const { return rows_[size_t(r)]; }
  // How many go through a step; and the steps that any goes through.
  int64_t at(int64_t step) const {
    if (!walk_.lengths) return count();
    const auto reaches = [&](int64_t row) { return walk_.length(row) > walk_.time(step); };
    return std::partition_point(rows_.begin(), rows_.end(), reaches) - rows_.begin();
  }
  int64_t begin() const { return rows_.empty() ? 0 : walk_.begin(rows_[0]); }
  int64_t end() const { return rows_.empty() ? 0 : walk_.end(rows_[0]); }

 private:
  const Walk walk_;
  std::vector<int64_t> rows_;
};

// How far apart rows of `n` values are: a cache line more than a power of two, where they would all
// compete for the same places in the cache.
template <class S>
constexpr int64_t apart(int64_t n) {
  return n + 64 / int64_t(sizeof(S));
}

inline int64_t group_count(int64_t B, const Threads& threads) {
  return std::max<int64_t>(1, std::min(B, threads.count()));
}

template <class S>
struct Packed {
  std::vector<Panel<S>> panels, projection;
  const S* bias;
};

// Lays the weights out for the forward products, panel by panel, on all threads.
template <class S>
Packed<S> pack_forward(const Forward<S>& f, int64_t width, Arena::Scope& scope,
                       const Threads& threads) {
  constexpr int64_t V = Vector<S>::size;
  [[maybe_unused]] const int64_t T = f.sizes.T, B = f.sizes.B, I = f.sizes.I,
                                 H = f.sizes.H,
                                 P = f.sizes.P;
  const int64_t blocks = map_blocks(f.cell);
  Packed<S> packed;
  S* bias = scope.take<S>(blocks * width);
  std::fill(bias, bias + blocks * width, S(0));
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t x = input_gate(f.cell, block), h = state_gate(f.cell, block);
    for (int64_t u = 0; u < H; ++u)
      bias[block * width + u] = (x < 0 ? S(0) : f.b_ih[x * H + u]) + (h < 0 ? S(0) : f.b_hh[h * H + u]);
    for_panels<S>(width, [&](int64_t column, int64_t vectors) {
      packed.panels.push_back({block * width + column, vectors,
                               x < 0 ? nullptr : scope.take<S>(I * vectors * V),
                               h < 0 ? nullptr : scope.take<S>(P * vectors * V)});
    });
  }
  packed.bias = bias;
  if (f.sizes.projected())
    for_panels<S>(padded<S>(P), [&](int64_t column, int64_t vectors) {
      packed.projection.push_back({column, vectors, nullptr, scope.take<S>(H * vectors * V)});
    });
  const int64_t maps = int64_t(packed.panels.size()), rest = int64_t(packed.projection.size());
  threads.run(maps + rest, [&](int64_t n) {
    if (n >= maps) {
      const Panel<S>& panel = packed.projection[n - maps];
      return pack_transposed(f.w_hr, H, P, panel.column, panel.vectors * V, const_cast<S*>(panel.h));
    }
    const Panel<S>& panel = packed.panels[n];
    const int64_t block = panel.column / width, column = panel.column % width;
    const auto pack = [&](const S* w, int64_t inner, int64_t gate, const S* out) {
      pack_transposed(w + gate * H * inner, inner, H, column, panel.vectors * V, const_cast<S*>(out));
    };
    if (panel.x) pack(f.w_ih, I, input_gate(f.cell, block), panel.x);
    if (panel.h) pack(f.w_hh, P, state_gate(f.cell, block), panel.h);
  });
  return packed;
}

// z[0..rows) = bias + x . panel.x + h . panel.h for the columns of some panels; `add` starts from what
// z holds. Operands of depth 0 are not there.
template <class S>
void map_rows(const std::vector<Panel<S>>& panels, const S* bias, const Operands<S>& x,
              const Operands<S>& h, bool add, int64_t rows, S* z, int64_t ldz) {
  constexpr int64_t V = Vector<S>::size;
  const Split split(rows, kRows);
  for (const Panel<S>& panel : panels) {
    Operands<S> one = panel.x ? x : Operands<S>{}, two = panel.h ? h : Operands<S>{};
    if (add && two.depth == 0) continue;
    one.b = panel.x, two.b = panel.h;
    one.ldb = two.ldb = panel.vectors * V;
    S* out = z + panel.column;
    for (int64_t n = 0; n < split.blocks; ++n) {
      const int64_t size = split.size(n);
      block_of<S, false>(size, panel.vectors)(one, two, add ? nullptr : bias + panel.column, add, out,
                                              ldz);
      one.a += size * one.lda, two.a += size * two.lda, out += size * ldz;
    }
  }
}

// out[0..rows) = full . w_hr^T.
template <class S>
void project_rows(const Packed<S>& packed, const S* full, int64_t width, int64_t depth, int64_t rows,
                  S* out, int64_t ldo) {
  const Split split(rows, kRows);
  for (const Panel<S>& panel : packed.projection) {
    Operands<S> one{full, width, panel.h, panel.vectors * Vector<S>::size, depth};
    S* to = out + panel.column;
    for (int64_t n = 0; n < split.blocks; ++n) {
      const int64_t size = split.size(n);
      block_of<S, false>(size, panel.vectors)(one, Operands<S>{}, nullptr, false, to, ldo);
      one.a += size * width, to += size * ldo;
    }
  }
}

// What a call gives for a row's padding: zeros.
template <class S>
void clear_padding(const Forward<S>& f, int64_t row) {
  const int64_t T = f.sizes.T, P = f.sizes.P, length = f.walk().length(row);
  std::fill_n(f.ys + (row * T + length) * P, (T - length) * P, S(0));
  const int64_t kept_row = kept_blocks(f.cell) * kept_width(f.sizes.H);
  for (int64_t t = length; f.kept && t < T; ++t)
    std::fill_n(f.kept + (t * f.sizes.B + row) * kept_row, kept_row, S(0));
}

template <class S, Cell CELL>
void forward_rows(const Forward<S>& f, const Packed<S>& packed, int64_t width, const Rows& rows) {
  const int64_t T = f.sizes.T, I = f.sizes.I, H = f.sizes.H, P = f.sizes.P;
  const Walk walk = f.walk();
  const int64_t R = rows.count(), ldz = apart<S>(map_blocks(CELL) * width), kept = kept_width(H);
  const int64_t kept_row = kept_blocks(CELL) * kept;
  const int64_t state_width = padded<S>(P);
  const bool hoisted = R < kFewRows, projected = f.sizes.projected();
  // Rows lie far apart: the inputs of a few steps are gathered, a row's one after the other.
  const int64_t window = std::clamp<int64_t>((hoisted ? kHoistedRows : kGatheredRows) / R, 1, T + 1);
  const int64_t ldx = apart<S>(I);
  Arena::Scope scope;
  S *z = scope.take<S>((hoisted ? window : 1) * R * ldz), *xs = scope.take<S>(window * R * ldx);
  std::fill_n(xs, window * R * ldx, S(0));
  const auto gather = [&](int64_t begin, int64_t end) {
    for (int64_t r = 0; r < R; ++r) {
      const auto [first, last] = walk.within(rows[r], begin, end);
      for (int64_t step = first; step < last; ++step)
        std::copy_n(f.xs + walk.place(rows[r], step) * I, I, xs + ((step - begin) * R + r) * ldx);
    }
  };
  S* h = scope.take<S>(R * state_width);
  S* c = scope.take<S>(R * width);
  S* full = projected ? scope.take<S>(R * width) : nullptr;
  S* narrow = projected ? scope.take<S>(R * state_width) : nullptr;
  std::fill(h, h + R * state_width, S(0));
  std::fill(c, c + R * width, S(0));
  if (projected) std::fill(full, full + R * width, S(0));
  for (int64_t r = 0; r < R; ++r) {
    std::copy_n(f.h0 + rows[r] * P, P, h + r * state_width);
    if (CELL == Cell::kLstm) std::copy_n(f.c0 + rows[r] * H, H, c + r * width);
    clear_padding(f, rows[r]);
  }
  for (int64_t step = rows.begin(); step < rows.end(); ++step) {
    const auto at = [&](int64_t r) { return walk.place(rows[r], step); };
    const int64_t inside = (step - rows.begin()) % window, steps = std::min(window, rows.end() - step);
    const int64_t there = rows.at(step);
    if (inside == 0) gather(step, step + steps);
    if (hoisted && inside == 0)
      map_rows<S>(packed.panels, packed.bias, {xs, ldx, nullptr, 0, I}, {}, false, steps * R, z, ldz);
    for (int64_t r = 0; f.resets && r < there; ++r) {
      if (!f.resets[at(r)]) continue;
      std::fill_n(h + r * state_width, state_width, S(0));
      std::fill_n(c + r * width, width, S(0));
    }
    S* here = z + (hoisted ? inside : 0) * R * ldz;
    const Operands<S> x{xs + inside * R * ldx, ldx, nullptr, 0, I}, state{h, state_width, nullptr, 0, P};
    map_rows<S>(packed.panels, packed.bias, hoisted ? Operands<S>{} : x, state, hoisted, there, here, ldz);
    for (int64_t r = 0; r < there; ++r) {
      S* state_row = h + r * state_width;
      const Row<S> row{here + r * ldz, state_row, c + r * width,
                       f.kept ? f.kept + walk.kept_place(rows[r], step) * kept_row : nullptr,
                       projected ? full + r * width : state_row};
      update_row<S, CELL>(row, width, kept, 0, width);
      if (!projected) std::copy_n(row.h, P, f.ys + at(r) * P);
    }
    if (!projected) continue;
    project_rows<S>(packed, full, width, H, there, narrow, state_width);
    for (int64_t r = 0; r < there; ++r) {
      std::copy_n(narrow + r * state_width, P, h + r * state_width);
      std::copy_n(narrow + r * state_width, P, f.ys + at(r) * P);
    }
  }
  for (int64_t r = 0; r < R; ++r) {
    std::copy_n(h + r * state_width, P, f.h + rows[r] * P);
    if (CELL == Cell::kLstm) std::copy_n(c + r * width, H, f.c + rows[r] * H);
  }
}

}  // namespace jaxseq::JAXSEQ_ISA
