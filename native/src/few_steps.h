// So few steps that laying the weights out would take longer than they do, as when a stream is
// followed one step at a time: rows of the weights are read once, where they are.
#pragma once

#include "one_row.h"

namespace jaxseq::JAXSEQ_ISA {

// Weights are laid out for more steps, or more rows of steps; and products worth a thread's waking.
constexpr int64_t kFewSteps = 4, kFewStepRows = 16, kWakes = 1 << 21;

// sums[n * R + r] += w[n] . x[r], lane by lane.
template <class S, int N, int R>
inline void add_dots(const S* const* w, const S* x, int64_t ldx, int64_t depth, Vec<S>* sums) {
  constexpr int64_t V = Vector<S>::size;
  const auto add = [&](const auto& read, int64_t k) {
    Vec<S> right[R];
    for (int r = 0; r < R; ++r) right[r] = read(x + r * ldx + k);
    for (int n = 0; n < N; ++n) {
      const Vec<S> left = read(w[n] + k);
      for (int r = 0; r < R; ++r) sums[n * R + r] += left * right[r];
    }
  };
  int64_t k = 0;
  for (; k + V <= depth; k += V) add([](const S* from) { return load(from); }, k);
  if (k == depth) return;
  add([rest = depth - k](const S* from) { return load_some(from, rest); }, k);
}

template <class S, Cell CELL>
class FewSteps {
 public:
  explicit FewSteps(const Forward<S>& f)
      : f_(f), walk_(f.walk()), width_(padded<S>(f.sizes.H)), state_width_(padded<S>(f.sizes.P)),
        row_width_(map_blocks(CELL) * width_) {
    const auto [T, B, I, H, P] = f.sizes;
    z_ = zeros(B * row_width_), c_ = zeros(B * width_);
    full_ = f.sizes.projected() ? zeros(B * width_) : nullptr;
    for (S*& h : h_) h = zeros(B * state_width_);
    for (int64_t b = 0; b < B; ++b) {
      std::copy_n(f.h0 + b * P, P, h_[0] + b * state_width_);
      if (CELL == Cell::kLstm) std::copy_n(f.c0 + b * H, H, c_ + b * width_);
      clear_padding(f, b);
    }
  }

  void run(const Threads& threads) {
    const auto [T, B, I, H, P] = f_.sizes;
    // Of several parts for each thread, one that comes late takes few.
    const int64_t parts = B * gates(CELL) * H * (I + P) < kWakes ? 1 : 4 * threads.count();
    for (int64_t n = 0; n < T; ++n) {
      reset(n);
      threads.run(parts, [&](int64_t part) { step(Share::of<S>(part, parts, width_), n); });
      if (full_)
        threads.run(parts, [&](int64_t part) { project(Share::of<S>(part, parts, state_width_), n); });
    }
    for (int64_t b = 0; b < B; ++b) {
      std::copy_n(h_[T % 2] + b * state_width_, P, f_.h + b * P);
      if (CELL == Cell::kLstm) std::copy_n(c_ + b * width_, H, f_.c + b * H);
    }
  }

 private:
  S* zeros(int64_t n) {
    S* made = scope_.template take<S>(n);
    std::fill_n(made, n, S(0));
    return made;
  }

  bool padding(int64_t row, int64_t step) const {
    return step < walk_.begin(row) || walk_.end(row) <= step;
  }

  void reset(int64_t step) {
    for (int64_t b = 0; f_.resets && b < f_.sizes.B; ++b) {
      if (padding(b, step) || !f_.resets[walk_.place(b, step)]) continue;
      std::fill_n(h_[step % 2] + b * state_width_, state_width_, S(0));
      std::fill_n(c_ + b * width_, width_, S(0));
    }
  }

  void step(const Share& units, int64_t step) {
    const auto [T, B, I, H, P] = f_.sizes;
    const S *before = h_[step % 2], *xs = f_.xs + walk_.place(0, step) * I;
    const int64_t there = std::min(units.end, H);
    constexpr int U = gates(CELL) == 1 ? 4 : 1;  // a gate alone leaves room for several units at once
    int64_t u = units.begin;
    for (; u + U <= there; u += U) map_all<U>(u, xs, before);
    for (; u < there; ++u) map_all<1>(u, xs, before);
    const int64_t kept = kept_width(H);
    for (int64_t b = 0; b < B; ++b) {
      S* after = h_[(step + 1) % 2] + b * state_width_;
      if (padding(b, step)) {
        const S* h = before + b * state_width_;
        if (!full_) std::copy(h + units.begin, h + units.end, after + units.begin);
        continue;
      }
      const Row<S> row{z_ + b * row_width_, before + b * state_width_, c_ + b * width_,
                       f_.kept ? f_.kept + walk_.kept_place(b, step) * kept_blocks(CELL) * kept : nullptr,
                       full_ ? full_ + b * width_ : after};
      update_row<S, CELL>(row, width_, kept, units.begin, units.end);
      if (full_) continue;
      std::copy_n(after + units.begin, units.count(H), f_.ys + walk_.place(b, step) * P + units.begin);
    }
  }

  // N sums, whose lanes are summed in the end, as many together as a vector has.
  template <int N>
  struct Sums {
    static constexpr int64_t V = Vector<S>::size, kPadded = round_up(N, V);
    Vec<S> lanes[kPadded] = {};
    S totals[kPadded];
    void total() {
      for (int64_t n = 0; n < kPadded; n += V) store(totals + n, JAXSEQ_ISA::totals<S>(lanes + n));
    }
  };

  // The values that the maps give U units, from u on, of R rows. What a GRU's candidate has of the
  // input comes first, and what it has of the state last, so that each product's sums lie together.
  template <int U, int R>
  void map_units(int64_t u, const S* x, const S* h, S* z) const {
    constexpr bool kApart = CELL == Cell::kGru;
    constexpr int G = int(gates(CELL)), N = G * U;
    const int64_t H = f_.sizes.H, I = f_.sizes.I, P = f_.sizes.P;
    const auto row = [&](int n) { return n / U % G * H + u + n % U; };
    const S *w_ih[N], *w_hh[N];
    for (int n = 0; n < N; ++n)
      w_ih[n] = f_.w_ih + row(kApart ? n + 2 : n) * I, w_hh[n] = f_.w_hh + row(n) * P;
    Sums<(N + kApart) * R> sums;
    add_dots<S, N, R>(w_ih, x, f_.sizes.T * I, I, sums.lanes);
    add_dots<S, N, R>(w_hh, h, state_width_, P, sums.lanes + kApart * R);
    sums.total();
    for (int n = 0; n < N + kApart; ++n) {
      const S of_x = n < N ? f_.b_ih[row(kApart ? n + 2 : n)] : S(0);
      const S of_h = n >= kApart ? f_.b_hh[row(n - kApart)] : S(0);
      const int64_t block = !kApart ? n / U : n == 0 ? 2 : n == 3 ? 3 : n - 1;
      for (int r = 0; r < R; ++r)
        z[r * row_width_ + block * width_ + u + n % U] = sums.totals[n * R + r] + of_x + of_h;
    }
  }

  // U units of all rows, some rows at once: the weights are near when the next rows need them.
  template <int U>
  void map_all(int64_t u, const S* x, const S* h) const {
    S* z = z_;
    const Split split(f_.sizes.B, 4);
    for (int64_t n = 0; n < split.blocks; ++n) {
      const int64_t rows = split.size(n);
      switch (rows) {
        case 1: map_units<U, 1>(u, x, h, z); break;
        case 2: map_units<U, 2>(u, x, h, z); break;
        case 3: map_units<U, 3>(u, x, h, z); break;
        default: map_units<U, 4>(u, x, h, z);
      }
      x += rows * f_.sizes.T * f_.sizes.I, h += rows * state_width_, z += rows * row_width_;
    }
  }

  void project(const Share& states, int64_t step) {
    const auto [T, B, I, H, P] = f_.sizes;
    const int64_t begin = states.begin, end = begin + states.count(P);
    for (int64_t b = 0; b < B; ++b) {
      const S *before = h_[step % 2] + b * state_width_, *full = full_ + b * width_;
      S* after = h_[(step + 1) % 2] + b * state_width_;
      if (padding(b, step)) {
        std::copy(before + begin, before + end, after + begin);
        continue;
      }
      int64_t p = begin;
      for (; p + 4 <= end; p += 4) project_units<4>(p, full, after);
      for (; p < end; ++p) project_units<1>(p, full, after);
      std::copy(after + begin, after + end, f_.ys + walk_.place(b, step) * P + begin);
    }
  }

  template <int N>
  void project_units(int64_t p, const S* full, S* out) const {
    const S* w[N];
    for (int n = 0; n < N; ++n) w[n] = f_.w_hr + (p + n) * f_.sizes.H;
    Sums<N> sums;
    add_dots<S, N, 1>(w, full, 0, f_.sizes.H, sums.lanes);
    sums.total();
    std::copy_n(sums.totals, N, out + p);
  }

  Arena::Scope scope_;
  const Forward<S>& f_;
  const Walk walk_;
  const int64_t width_, state_width_, row_width_;
  S *z_, *c_, *full_, *h_[2];
};

}  // namespace jaxseq::JAXSEQ_ISA
