// So few steps that laying the weights out would take longer than they do, as when a stream is
// followed one step at a time: rows of the weights are read once, where they are.
#pragma once

#include "one_row.h"

namespace jaxseq::JAXSEQ_ISA {

// Rows of steps, from which on weights are laid out; and products worth a thread's waking.
constexpr int64_t kFewSteps = 8, kWakes = 1 << 20;

// sums[n] = w[n] . x, for N rows at once.
template <class S, int N>
void dots(const S* const* w, const S* x, int64_t depth, S* sums) {
  constexpr int64_t V = Vector<S>::size;
  Vec<S> sum[N][2] = {};
  int64_t k = 0;
  for (; k + 2 * V <= depth; k += 2 * V)
    for (int n = 0; n < N; ++n)
      for (int v = 0; v < 2; ++v) sum[n][v] += load(w[n] + k + v * V) * load(x + k + v * V);
  for (; k + V <= depth; k += V)
    for (int n = 0; n < N; ++n) sum[n][0] += load(w[n] + k) * load(x + k);
  for (int n = 0; n < N; ++n) {
    const Vec<S> lanes = sum[n][0] + sum[n][1];
    S total = 0;
    for (int64_t lane = 0; lane < V; ++lane) total += lanes[lane];
    for (int64_t rest = k; rest < depth; ++rest) total += w[n][rest] * x[rest];
    sums[n] = total;
  }
}

template <class S, Cell CELL>
class FewSteps {
 public:
  explicit FewSteps(const Forward<S>& f)
      : f_(f), width_(padded<S>(f.sizes.H)), state_width_(padded<S>(f.sizes.P)),
        row_width_(map_blocks(CELL) * width_) {
    const auto [T, B, I, H, P] = f.sizes;
    z_ = zeros(B * row_width_), c_ = zeros(B * width_);
    full_ = f.sizes.projected() ? zeros(B * width_) : nullptr;
    for (S*& h : h_) h = zeros(B * state_width_);
    for (int64_t b = 0; b < B; ++b) {
      std::copy_n(f.h0 + b * P, P, h_[0] + b * state_width_);
      if (CELL == Cell::kLstm) std::copy_n(f.c0 + b * H, H, c_ + b * width_);
    }
  }

  void run(const Threads& threads) {
    const auto [T, B, I, H, P] = f_.sizes;
    const int64_t parts = std::min(4 * threads.count(), 1 + gates(CELL) * H * (I + P) / kWakes);
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

  int64_t place(int64_t step) const { return time_of(step, f_.sizes.T, f_.reverse) * f_.sizes.B; }

  void reset(int64_t step) {
    for (int64_t b = 0; f_.resets && b < f_.sizes.B; ++b) {
      if (!f_.resets[place(step) + b]) continue;
      std::fill_n(h_[step % 2] + b * state_width_, state_width_, S(0));
      std::fill_n(c_ + b * width_, width_, S(0));
    }
  }

  void step(const Share& units, int64_t step) {
    const auto [T, B, I, H, P] = f_.sizes;
    const S *before = h_[step % 2], *xs = f_.xs + place(step) * I;
    const int64_t there = std::min(units.end, H);
    for (int64_t u = units.begin; u < there; ++u)
      for (int64_t b = 0; b < B; ++b)
        map_unit(u, xs + b * I, before + b * state_width_, z_ + b * row_width_ + u);
    const int64_t kept = kept_width(H);
    for (int64_t b = 0; b < B; ++b) {
      const int64_t at = place(step) + b;
      S* after = h_[(step + 1) % 2] + b * state_width_;
      const Row<S> row{z_ + b * row_width_, before + b * state_width_, c_ + b * width_,
                       f_.kept ? f_.kept + at * kept_blocks(CELL) * kept : nullptr,
                       full_ ? full_ + b * width_ : after};
      if (!f_.valid || f_.valid[at]) {
        update_row<S, CELL>(row, width_, kept, units.begin, units.end);
      } else {
        keep_nothing<S, CELL>(row, kept, units.begin, units.end);
        if (!full_) std::copy(row.h + units.begin, row.h + units.end, after + units.begin);
      }
      if (!full_) std::copy_n(after + units.begin, units.count(H), f_.ys + at * P + units.begin);
    }
  }

  // The values that the maps give one unit of a row.
  void map_unit(int64_t u, const S* x, const S* h, S* z) const {
    constexpr int G = int(gates(CELL));
    const auto [T, B, I, H, P] = f_.sizes;
    const S *w_ih[G], *w_hh[G];
    for (int64_t g = 0; g < G; ++g)
      w_ih[g] = f_.w_ih + (g * H + u) * I, w_hh[g] = f_.w_hh + (g * H + u) * P;
    S of_x[G], of_h[G];
    dots<S, G>(w_ih, x, I, of_x), dots<S, G>(w_hh, h, P, of_h);
    for (int64_t g = 0; g < G; ++g) {
      of_x[g] += f_.b_ih[g * H + u], of_h[g] += f_.b_hh[g * H + u];
      const bool apart = CELL == Cell::kGru && g == 2;
      z[g * width_] = apart ? of_x[g] : of_x[g] + of_h[g];
      if (apart) z[(g + 1) * width_] = of_h[g];
    }
  }

  void project(const Share& states, int64_t step) {
    const auto [T, B, I, H, P] = f_.sizes;
    for (int64_t b = 0; b < B; ++b) {
      const int64_t at = place(step) + b;
      const S* before = h_[step % 2] + b * state_width_;
      S* after = h_[(step + 1) % 2] + b * state_width_;
      for (int64_t p = states.begin; p < std::min(states.end, P); ++p) {
        const S* w = f_.w_hr + p * H;
        if (!f_.valid || f_.valid[at])
          dots<S, 1>(&w, full_ + b * width_, H, after + p);
        else
          after[p] = before[p];
      }
      std::copy_n(after + states.begin, states.count(P), f_.ys + at * P + states.begin);
    }
  }

  Arena::Scope scope_;
  const Forward<S>& f_;
  const int64_t width_, state_width_, row_width_;
  S *z_, *c_, *full_, *h_[2];
};

}  // namespace jaxseq::JAXSEQ_ISA
