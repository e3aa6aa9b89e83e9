// The backward pass: each thread takes its rows back through time, and adds up the gradients of the
// weights over windows of steps, in a buffer of its own that stays in the cache.
#pragma once

#include "forward.h"

namespace jaxseq::JAXSEQ_ISA {

// The gradients of the weights are products over so many rows of steps at once: twice as many where
// the sums do not fit a core's cache, so that they come and go half as often.
inline int64_t window_rows(int64_t bytes_of_sums) { return bytes_of_sums > (2 << 20) ? 256 : 128; }

// What the products of the backward pass read: w_hh for the cotangent of the state, w_ih for that of
// the inputs, with rows in the maps' blocks.
template <class S>
struct PackedBack {
  std::vector<Panel<S>> state, inputs, projection;
};

// The blocks of the maps that read the inputs, or the state, are two stretches of a row at most.
struct Stretches {
  int64_t first, second_begin, second;  // blocks
};
inline Stretches stretches(Cell cell, bool state) {
  if (cell != Cell::kGru) return {map_blocks(cell), 0, 0};
  return state ? Stretches{2, 3, 1} : Stretches{3, 0, 0};
}

// One thread's sums of gradients, padded: rows in the gates' blocks, `width` each. Those of the first
// are the results themselves where these have no padding.
template <class S>
struct Sums {
  S *w_ih, *w_hh, *z;  // [gates * width, inputs], [gates * width, states], [blocks * width]
  S* w_hr;             // [states, width], where h is projected
};

template <class S>
PackedBack<S> pack_backward(const Backward<S>& b, int64_t width, Arena::Scope& scope,
                            const Threads& threads) {
  constexpr int64_t V = Vector<S>::size;
  [[maybe_unused]] const int64_t T = b.sizes.T, B = b.sizes.B, I = b.sizes.I,
                                 H = b.sizes.H,
                                 P = b.sizes.P;
  const int64_t G = gates(b.cell), depth = G * width;
  PackedBack<S> packed;
  for_panels<S>(padded<S>(P), [&](int64_t column, int64_t vectors) {
    packed.state.push_back({column, vectors, nullptr, scope.take<S>(depth * vectors * V)});
  });
  if (b.sizes.projected())
    for_panels<S>(width, [&](int64_t column, int64_t vectors) {
      packed.projection.push_back({column, vectors, nullptr, scope.take<S>(P * vectors * V)});
    });
  if (b.d_xs)
    for_panels<S>(padded<S>(I), [&](int64_t column, int64_t vectors) {
      packed.inputs.push_back({column, vectors, scope.take<S>(depth * vectors * V), nullptr});
    });
  const int64_t states = int64_t(packed.state.size()), inputs = int64_t(packed.inputs.size());
  const int64_t projections = int64_t(packed.projection.size());
  threads.run(states + inputs + projections, [&](int64_t n) {
    if (n >= states + inputs) {
      const Panel<S>& panel = packed.projection[n - states - inputs];
      const Packing packing{1, P, P, H};
      return pack_panel(b.w_hr, packing, panel.column, panel.vectors * V, const_cast<S*>(panel.h));
    }
    const bool of_state = n < states;
    const Panel<S>& panel = of_state ? packed.state[n] : packed.inputs[n - states];
    const int64_t columns = of_state ? P : I;
    const Packing packing{G, H, width, columns};
    pack_panel(of_state ? b.w_hh : b.w_ih, packing, panel.column, panel.vectors * V,
               const_cast<S*>(of_state ? panel.h : panel.x));
  });
  return packed;
}

// out[0..rows) (+)= d_z . w, of the stretches of d_z that read the inputs or the state.
template <class S>
void back_through(const std::vector<Panel<S>>& panels, Cell cell, bool state, const S* d_z,
                  int64_t ldz, int64_t width, int64_t rows, bool add, S* out, int64_t ldo) {
  constexpr int64_t V = Vector<S>::size;
  const Stretches s = stretches(cell, state);
  const Split split(rows, kRows);
  for (const Panel<S>& panel : panels) {
    const S* w = state ? panel.h : panel.x;
    const int64_t ldb = panel.vectors * V;
    Operands<S> one{d_z, ldz, w, ldb, s.first * width};
    Operands<S> two{d_z + s.second_begin * width, ldz, w + s.first * width * ldb, ldb, s.second * width};
    S* to = out + panel.column;
    for (int64_t n = 0; n < split.blocks; ++n) {
      const int64_t size = split.size(n);
      block_of<S, false>(size, panel.vectors)(one, two, nullptr, add, to, ldo);
      one.a += size * ldz, two.a += size * ldz, to += size * ldo;
    }
  }
}

// Rows [begin, end) of the sums, made of columns [begin, end) of what `d_z` points to.
template <class S>
struct Strip {
  const S* d_z;
  int64_t begin, end;
};

// sums[rows of the strips][columns) (+)= d_z^T . right over a window's rows.
template <class S>
void add_weights(const std::vector<Strip<S>>& strips, int64_t ldz, const S* right, int64_t columns,
                 int64_t depth, bool add, S* sums) {
  constexpr int64_t V = Vector<S>::size;
  Arena::Scope scope;
  S* packed = scope.take<S>(depth * 2 * V);  // these columns, side by side: they are read often
  for_panels<S>(columns, [&](int64_t column, int64_t vectors) {
    const int64_t size = vectors * V;
    for (int64_t k = 0; k < depth; ++k)
      for (int64_t v = 0; v < size; v += V) store(packed + k * size + v, load(right + k * columns + column + v));
    for (const Strip<S>& strip : strips) {
      const Split split(strip.end - strip.begin, kRows);
      int64_t row = strip.begin;
      for (int64_t n = 0; n < split.blocks; ++n) {
        const int64_t rows = split.size(n);
        const Operands<S> one{strip.d_z + row, ldz, packed, size, depth};
        block_of<S, true>(rows, vectors)(one, Operands<S>{}, nullptr, add, sums + row * columns + column,
                                         columns);
        row += rows;
      }
    }
  });
}

// A window of steps that has gone through the recurrence: what the gradients of the weights are made
// of.
template <class S>
struct Window {
  int64_t rows;  // of all steps
  bool first;    // of those that go through: the sums hold nothing yet
  const S *d_z, *states, *inputs;
  const S *d_h, *unprojected;  // where h is projected
  int64_t ldz, width, state_width, input_width;
};

// What a window gives to the weights that lead to units [begin, end) of each gate.
template <class S>
void add_window(Cell cell, const Window<S>& w, int64_t begin, int64_t end, const Sums<S>& sums) {
  // Gates that lie side by side are one strip; the last of a GRU stands in the block behind where it
  // belongs to the state.
  const int64_t all = gates(cell), beside = cell == Cell::kGru ? 2 : all;
  const int64_t together = end - begin == w.width ? beside : 1;
  std::vector<Strip<S>> of_inputs, of_states;
  for (int64_t gate = 0; gate < all; gate += together) {
    const int64_t last_gate = std::min(gate + together, all) - 1;
    const int64_t first = gate * w.width + begin, last = last_gate * w.width + end;
    of_inputs.push_back({w.d_z, first, last});
    of_states.push_back({cell == Cell::kGru && gate == 2 ? w.d_z + w.width : w.d_z, first, last});
  }
  add_weights(of_inputs, w.ldz, w.inputs, w.input_width, w.rows, !w.first, sums.w_ih);
  add_weights(of_states, w.ldz, w.states, w.state_width, w.rows, !w.first, sums.w_hh);
}

// The same for states [begin, end) of the projection.
template <class S>
void add_projection(const Window<S>& w, int64_t begin, int64_t end, const Sums<S>& sums) {
  add_weights<S>({{w.d_h, begin, end}}, w.state_width, w.unprojected, w.width, w.rows, !w.first, sums.w_hr);
}

template <class S, Cell CELL>
class RowsBack {
 public:
  RowsBack(const Backward<S>& b, const PackedBack<S>& packed, const Sums<S>& sums, int64_t width,
           const Rows& rows)
      : b_(b), packed_(packed), sums_(sums), walk_(b.walk()), width_(width), rows_(rows) {}

  void run() {
    const int64_t T = b_.sizes.T, I = b_.sizes.I, H = b_.sizes.H, P = b_.sizes.P, R = rows_.count();
    input_width_ = padded<S>(I), state_width_ = padded<S>(P);
    const int64_t sums = gates(CELL) * width_ * (input_width_ + state_width_) * int64_t(sizeof(S));
    const int64_t most = std::max(R, std::min(R * T, window_rows(sums)));  // rows of a window
    const bool projected = b_.sizes.projected();
    ldz_ = apart<S>(map_blocks(CELL) * width_);
    Arena::Scope scope;
    Buffers made;
    made.d_z = scope.take<S>(most * ldz_);
    made.states = zeros(scope, most * state_width_);
    made.inputs = zeros(scope, most * input_width_);
    made.d_inputs = scope.take<S>(most * input_width_);
    if (projected) {
      made.d_states = scope.take<S>(most * state_width_);
      made.unprojected = scope.take<S>(most * width_);
    }
    if (projected) d_full_ = scope.take<S>(R * width_);
    d_h_ = zeros(scope, R * state_width_);
    d_c_ = zeros(scope, R * width_);
    after_ = zeros(scope, 2 * width_);
    for (int64_t r = 0; r < R; ++r) {
      std::copy_n(b_.d_h + rows_[r] * P, P, d_h_ + r * state_width_);
      if (CELL == Cell::kLstm) std::copy_n(b_.d_c + rows_[r] * H, H, d_c_ + r * width_);
      const int64_t length = walk_.length(rows_[r]);
      if (b_.d_xs) std::fill_n(b_.d_xs + (rows_[r] * T + length) * I, (T - length) * I, S(0));
    }
    for (int64_t begin, end = rows_.end(); end > rows_.begin(); end = begin) {
      int64_t rows = rows_.at(begin = end - 1);
      while (begin > rows_.begin() && rows + rows_.at(begin - 1) <= most) rows += rows_.at(--begin);
      firsts_.assign(1, 0);
      for (int64_t step = begin; step < end; ++step)
        firsts_.push_back(firsts_.back() + rows_.at(step));
      gather(begin, end, made);
      for (int64_t step = end - 1; step >= begin; --step) back(step, firsts_[size_t(step - begin)], made);
      spread(begin, end, made);
    }
    for (int64_t r = 0; r < R; ++r) {
      std::copy_n(d_h_ + r * state_width_, P, b_.d_h0 + rows_[r] * P);
      if (CELL == Cell::kLstm) std::copy_n(d_c_ + r * width_, H, b_.d_c0 + rows_[r] * H);
    }
  }

 private:
  // What a window leaves for the gradients of weights and inputs: rows of its steps, one step's behind
  // those of the step before.
  struct Buffers {
    S *d_z, *states, *inputs, *d_inputs;
    S *d_states = nullptr, *unprojected = nullptr;  // where h is projected
  };

  static S* zeros(Arena::Scope& scope, int64_t n) {
    S* made = scope.take<S>(n);
    std::fill_n(made, n, S(0));
    return made;
  }

  // visit(row, step, where they are in the window), the steps of a row one after the other, as they lie.
  template <class Visit>
  void each(int64_t begin, int64_t end, Visit visit) const {
    for (int64_t r = 0; r < rows_.count(); ++r) {
      const auto [first, last] = walk_.within(rows_[r], begin, end);
      for (int64_t step = first; step < last; ++step)
        visit(rows_[r], step, firsts_[size_t(step - begin)] + r);
    }
  }

  // The inputs and the states before each step: the initial ones, or with the step before.
  void gather(int64_t begin, int64_t end, const Buffers& to) {
    const int64_t I = b_.sizes.I, P = b_.sizes.P;
    each(begin, end, [&](int64_t row, int64_t step, int64_t n) {
      std::copy_n(b_.xs + walk_.place(row, step) * I, I, to.inputs + n * input_width_);
      S* h = to.states + n * state_width_;
      if (reset(row, step))
        std::fill_n(h, P, S(0));
      else if (step == walk_.begin(row))
        std::copy_n(b_.h0 + row * P, P, h);
      else
        std::copy_n(b_.ys + walk_.place(row, step - 1) * P, P, h);
    });
  }

  // One step back; its rows begin at `first` in the window.
  void back(int64_t step, int64_t first, const Buffers& to) {
    const int64_t H = b_.sizes.H, P = b_.sizes.P, there = rows_.at(step);
    const int64_t kept = kept_width(H), kept_row = kept_blocks(CELL) * kept;
    S* d_z = to.d_z + first * ldz_;
    for (int64_t r = 0; r < there; ++r) {
      S* d_h = d_h_ + r * state_width_;
      const S* d_y = b_.d_ys + walk_.place(rows_[r], step) * P;
      for (int64_t u = 0; u < P; ++u) d_h[u] += d_y[u];
    }
    if (d_full_) unproject(to.d_states + first * state_width_, there);
    for (int64_t r = 0; r < there; ++r) {
      const int64_t row = rows_[r];
      const S* h = to.states + (first + r) * state_width_;
      S* d_h = d_full_ ? d_full_ + r * width_ : d_h_ + r * state_width_;
      S* unprojected = d_full_ ? to.unprojected + (first + r) * width_ : nullptr;
      const S* c_before = after_ + width_;  // zeros
      if (CELL == Cell::kLstm && !reset(row, step)) {
        if (step == walk_.begin(row)) {
          std::copy_n(b_.c0 + row * H, H, c_first_row());
          c_before = after_;
        } else {
          c_before = b_.kept + walk_.kept_place(row, step - 1) * kept_row + 4 * kept;
        }
      }
      if (CELL == Cell::kElmanTanh || CELL == Cell::kElmanRelu)
        std::copy_n(b_.ys + walk_.place(row, step) * H, H, after_);
      const RowBack<S> back{b_.kept + walk_.kept_place(row, step) * kept_row, after_, h, c_before, d_h,
                            d_c_ + r * width_, d_z + r * ldz_, unprojected};
      update_row_back<S, CELL>(back, width_, kept, 0, width_);
    }
    back_through<S>(packed_.state, CELL, true, d_z, ldz_, width_, there, true, d_h_, state_width_);
    for (int64_t r = 0; b_.resets && r < there; ++r) {
      if (!reset(rows_[r], step)) continue;
      std::fill_n(d_h_ + r * state_width_, state_width_, S(0));
      std::fill_n(d_c_ + r * width_, width_, S(0));
    }
  }

  // The cotangent of what was projected, and what the projection's gradient is made of.
  void unproject(S* kept, int64_t there) {
    std::copy_n(d_h_, there * state_width_, kept);
    std::fill_n(d_h_, there * state_width_, S(0));
    const Split split(there, kRows);
    for (const Panel<S>& panel : packed_.projection) {
      Operands<S> one{kept, state_width_, panel.h, panel.vectors * Vector<S>::size, b_.sizes.P};
      S* to = d_full_ + panel.column;
      for (int64_t n = 0; n < split.blocks; ++n) {
        const int64_t size = split.size(n);
        block_of<S, false>(size, panel.vectors)(one, Operands<S>{}, nullptr, false, to, width_);
        one.a += size * state_width_, to += size * width_;
      }
    }
  }

  // What a window gives to the weights, the biases and the inputs.
  void spread(int64_t begin, int64_t end, const Buffers& from) {
    const int64_t I = b_.sizes.I, rows = firsts_.back();
    const Window<S> window{rows, end == rows_.end(), from.d_z, from.states, from.inputs, from.d_states,
                           from.unprojected, ldz_, width_, state_width_, input_width_};
    add_window(CELL, window, 0, width_, sums_);
    if (d_full_) add_projection(window, 0, state_width_, sums_);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t n = 0; n < map_blocks(CELL) * width_; ++n) sums_.z[n] += from.d_z[row * ldz_ + n];
    if (!b_.d_xs) return;
    back_through<S>(packed_.inputs, CELL, false, from.d_z, ldz_, width_, rows, false, from.d_inputs,
                    input_width_);
    each(begin, end, [&](int64_t row, int64_t step, int64_t n) {
      std::copy_n(from.d_inputs + n * input_width_, I, b_.d_xs + walk_.place(row, step) * I);
    });
  }

  bool reset(int64_t row, int64_t step) const { return b_.resets && b_.resets[walk_.place(row, step)]; }
  S* c_first_row() { return after_; }

  const Backward<S>& b_;
  const PackedBack<S>& packed_;
  const Sums<S>& sums_;
  const Walk walk_;
  const int64_t width_;
  const Rows& rows_;
  std::vector<int64_t> firsts_;  // where the rows of each step begin in the window
  int64_t ldz_ = 0, input_width_ = 0, state_width_ = 0;
  S *d_h_, *d_c_, *after_;
  S* d_full_ = nullptr;  // where h is projected
};

// Adds the threads' sums up, and writes them without their padding where they are not yet there.
template <class S>
void write_sums(const Backward<S>& b, const std::vector<Sums<S>>& sums, int64_t width,
                const Threads& threads) {
  [[maybe_unused]] const int64_t T = b.sizes.T, B = b.sizes.B, I = b.sizes.I,
                                 H = b.sizes.H,
                                 P = b.sizes.P;
  const int64_t G = gates(b.cell), inputs = padded<S>(I), states = padded<S>(P);
  threads.run(G, [&](int64_t g) {
    const auto write = [&](S* Sums<S>::*of, int64_t from, int64_t n, S* to) {
      if (sums[0].*of + from != to) std::copy_n(sums[0].*of + from, n, to);
      for (size_t k = 1; k < sums.size(); ++k)
        for (int64_t j = 0; j < n; ++j) to[j] += (sums[k].*of)[from + j];
    };
    for (int64_t u = 0; u < H; ++u) {
      write(&Sums<S>::w_ih, (g * width + u) * inputs, I, b.d_w_ih + (g * H + u) * I);
      write(&Sums<S>::w_hh, (g * width + u) * states, P, b.d_w_hh + (g * H + u) * P);
    }
    if (b.sizes.projected() && g == 0)
      for (int64_t u = 0; u < P; ++u) write(&Sums<S>::w_hr, u * width, H, b.d_w_hr + u * H);
    const int64_t block = b.cell == Cell::kGru && g == 2 ? 3 : g;
    write(&Sums<S>::z, g * width, H, b.d_b_ih + g * H);
    write(&Sums<S>::z, block * width, H, b.d_b_hh + g * H);
  });
}

}  // namespace jaxseq::JAXSEQ_ISA
