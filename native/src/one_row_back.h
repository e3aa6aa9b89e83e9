// The backward pass of one row, its units shared out.
#pragma once

#include "backward.h"
#include "one_row.h"

namespace jaxseq::JAXSEQ_ISA {

// Steps of a window. There are two of them: one fills while the other is added up. And steps whose
// inputs' cotangents are made together.
constexpr int64_t kRowWindow = 128, kInputWindow = 16;

template <class S, Cell CELL>
class OneRowBack {
 public:
  OneRowBack(const Backward<S>& b, const PackedBack<S>& packed, const Sums<S>& sums, int64_t width,
             int64_t row, int64_t parts)
      : b_(b), sums_(sums), walk_(b.walk()), width_(width), state_width_(padded<S>(b.sizes.P)),
        input_width_(padded<S>(b.sizes.I)), row_(row), steps_(walk_.length(row)),
        window_(std::min(steps_, kRowWindow)),
        ldz_(apart<S>(map_blocks(CELL) * width)), projected_(b.sizes.projected()) {
    const int64_t T = b.sizes.T, I = b.sizes.I, H = b.sizes.H, P = b.sizes.P;
    if (b.d_xs) std::fill_n(b.d_xs + (row * T + steps_) * I, (T - steps_) * I, S(0));
    d_h_ = zeros(state_width_), d_c_ = zeros(width);
    h_ = zeros(width), c_ = zeros(width), after_ = zeros(width), zeros_ = zeros(width);
    for (Buffers& made : buffers_) {
      made.d_z = scope_.template take<S>(window_ * ldz_);
      if (!projected_) continue;
      made.d_states = scope_.template take<S>(window_ * state_width_);
      made.unprojected = scope_.template take<S>(window_ * width);
    }
    if (projected_) d_full_ = scope_.template take<S>(width);
    if (b.d_xs) d_inputs_ = scope_.template take<S>(kInputWindow * input_width_);
    std::copy_n(b.d_h + row * P, P, d_h_);
    if (CELL == Cell::kLstm) std::copy_n(b.d_c + row * H, H, d_c_), std::copy_n(b.c0 + row * H, H, c_);
    for (int64_t part = 0; part < parts; ++part) parts_.push_back(make_part(packed, part, parts));
  }

  void run(const Threads& threads) {
    const int64_t H = b_.sizes.H, P = b_.sizes.P;
    // What a step takes of the products of the one after it comes first, so that the parts meet
    // once a step; and once more where what was projected must be whole in between.
    const int64_t each = projected_ ? 2 : 1;
    threads.in_step(int64_t(parts_.size()), each * steps_ + 1, [this, each](int64_t n, int64_t item) {
      Part& part = parts_[size_t(n)];
      const int64_t step = steps_ - 1 - item / each;
      if (item % each == 0 && step + 1 < steps_) finish(part, step + 1);
      if (item % each == 0 && step >= 0) arrive(part, step);
      if (item % each == each - 1 && step >= 0) back(part, step);
    });
    std::copy_n(d_h_, P, b_.d_h0 + row_ * P);
    if (CELL == Cell::kLstm) std::copy_n(d_c_, H, b_.d_c0 + row_ * H);
  }

 private:
  struct Part {
    Share units, states, inputs;
    std::vector<Panel<S>> of_states, of_inputs, projection;
    Beside<S> beside;  // the cotangents of a window's inputs
  };
  struct Buffers {
    S *d_z, *d_states = nullptr, *unprojected = nullptr;  // the last two where h is projected
  };

  S* zeros(int64_t n) {
    S* made = scope_.template take<S>(n);
    std::fill_n(made, n, S(0));
    return made;
  }

  Part make_part(const PackedBack<S>& packed, int64_t n, int64_t parts) {
    Part made{Share::of<S>(n, parts, width_), Share::of<S>(n, parts, state_width_),
              Share::of<S>(n, parts, input_width_), {}, {}, {}, {}};
    const auto choose = [](const std::vector<Panel<S>>& all, const Share& share) {
      std::vector<Panel<S>> mine;
      for (const Panel<S>& panel : all)
        if (share.has(panel.column)) mine.push_back(panel);
      return mine;
    };
    made.of_states = choose(packed.state, made.states);
    made.of_inputs = choose(packed.inputs, made.inputs);
    made.projection = choose(packed.projection, made.units);
    return made;
  }

  // Where a step of the row is, of those that it goes through.
  int64_t place(int64_t step) const { return walk_.place(row_, walk_.begin(row_) + step); }
  int64_t kept_place(int64_t step) const { return walk_.kept_place(row_, walk_.begin(row_) + step); }
  bool reset(int64_t at) const { return b_.resets && b_.resets[at]; }
  const Buffers& buffers(int64_t step) const { return buffers_[step / window_ % 2]; }

  // Adds the cotangent of a step's output to that of its state.
  void arrive(const Part& part, int64_t step) {
    const auto [begin, end] = part.states;
    const int64_t there = part.states.count(b_.sizes.P);
    const S* d_y = b_.d_ys + place(step) * b_.sizes.P + begin;
    for (int64_t u = 0; u < there; ++u) d_h_[begin + u] += d_y[u];
    if (!projected_) return;
    S* kept = buffers(step).d_states + step % window_ * state_width_;
    std::copy(d_h_ + begin, d_h_ + end, kept + begin);
    std::fill(d_h_ + begin, d_h_ + end, S(0));
  }

  // A step's cotangents of its maps.
  void back(Part& part, int64_t step) {
    const auto [T, B, I, H, P] = b_.sizes;
    const int64_t at = place(step), inside = step % window_, kept = kept_width(H);
    const int64_t kept_row = kept_blocks(CELL) * kept;
    const Buffers& to = buffers(step);
    S* d_z = to.d_z + inside * ldz_;
    S* unprojected = projected_ ? to.unprojected + inside * width_ : nullptr;
    const auto [begin, end] = part.units;
    const int64_t there = part.units.count(H);
    if (projected_) {
      std::fill(d_full_ + begin, d_full_ + end, S(0));
      row_by<S>(to.d_states + inside * state_width_, P, part.projection, 0, d_full_, part.beside);
    }
    if (CELL == Cell::kGru) {
      const S* states = step == 0 ? b_.h0 : b_.ys;
      if (reset(at))
        std::fill_n(h_ + begin, there, S(0));
      else
        std::copy_n(states + (step == 0 ? row_ : place(step - 1)) * P + begin, there, h_ + begin);
    }
    if (CELL == Cell::kElmanTanh || CELL == Cell::kElmanRelu)
      std::copy_n(b_.ys + at * H + begin, there, after_ + begin);
    const S* c_before = reset(at)    ? zeros_
                        : step == 0 ? c_
                                    : b_.kept + kept_place(step - 1) * kept_row + 4 * kept;
    const RowBack<S> row{b_.kept + kept_place(step) * kept_row, after_, h_, c_before,
                         projected_ ? d_full_ : d_h_, d_c_, d_z, unprojected};
    update_row_back<S, CELL>(row, width_, kept, begin, end);
  }

  // What a step gives to the state before it and, once a window has gone through, to inputs and weights.
  void finish(Part& part, int64_t step) {
    const Buffers& from = buffers(step);
    const S* d_z = from.d_z + step % window_ * ldz_;
    const auto [first, second_begin, second] = stretches(CELL, true);
    if (reset(place(step))) {
      std::fill(d_h_ + part.states.begin, d_h_ + part.states.end, S(0));
      std::fill(d_c_ + part.units.begin, d_c_ + part.units.end, S(0));
    } else {
      row_by<S>(d_z, first * width_, part.of_states, 0, d_h_, part.beside);
      if (second > 0)
        row_by<S>(d_z + second_begin * width_, second * width_, part.of_states, first * width_, d_h_,
                  part.beside);
    }
    if (b_.d_xs && step % kInputWindow == 0) spread_inputs(part, step, from);
    if (step % window_ == 0) spread(part, step, std::min(window_, steps_ - step), from);
  }

  void spread(const Part& part, int64_t step, int64_t steps, const Buffers& from) {
    const auto [T, B, I, H, P] = b_.sizes;
    Arena::Scope scope;
    S* inputs = scope.take<S>(steps * input_width_);
    S* states = scope.take<S>(steps * state_width_);
    for (int64_t n = 0; n < steps; ++n) {
      const int64_t at = place(step + n);
      const S* before = step + n == 0 ? b_.h0 + row_ * P : b_.ys + place(step + n - 1) * P;
      gather(b_.xs + at * I, I, inputs + n * input_width_, input_width_);
      gather(reset(at) ? nullptr : before, P, states + n * state_width_, state_width_);
    }
    const Window<S> window{steps, step + steps == steps_, from.d_z, states, inputs, from.d_states,
                           from.unprojected, ldz_, width_, state_width_, input_width_};
    const auto [begin, end] = part.units;
    add_window(CELL, window, begin, end, sums_);
    if (projected_) add_projection(window, part.states.begin, part.states.end, sums_);
    for (int64_t n = 0; n < steps; ++n)
      for (int64_t block = 0; block < map_blocks(CELL); ++block)
        for (int64_t u = begin; u < end; ++u)
          sums_.z[block * width_ + u] += from.d_z[n * ldz_ + block * width_ + u];
  }

  // What a window gives to its inputs is made beside the steps before it, and written after those.
  void spread_inputs(Part& part, int64_t step, const Buffers& from) {
    write_inputs(part, step + kInputWindow);
    const int64_t rows = std::min(kInputWindow, steps_ - step), columns = part.inputs.count(input_width_);
    for (int64_t r = 0; r < rows; ++r)
      std::fill_n(d_inputs_ + r * input_width_ + part.inputs.begin, columns, S(0));
    const S* d_z = from.d_z + step % window_ * ldz_;
    const int64_t depth = stretches(CELL, false).first * width_;
    for (const Panel<S>& panel : part.of_inputs)
      part.beside.add(rows, panel.vectors, {d_z, ldz_, panel.x, panel.vectors * Vector<S>::size, depth},
                      d_inputs_ + panel.column, input_width_);
    if (step == 0) write_inputs(part, 0);
  }

  void write_inputs(Part& part, int64_t step) {
    part.beside.finish();
    const int64_t I = b_.sizes.I, first = part.inputs.begin, there = part.inputs.count(I);
    for (int64_t n = 0; n < std::min(kInputWindow, steps_ - step); ++n)
      std::copy_n(d_inputs_ + n * input_width_ + first, there, b_.d_xs + place(step + n) * I + first);
  }

  // A row of `n` values, or zeros where it is not there, in `width` places.
  static void gather(const S* from, int64_t n, S* to, int64_t width) {
    const int64_t there = from ? n : 0;
    if (there) std::copy_n(from, there, to);
    std::fill(to + there, to + width, S(0));
  }

  Arena::Scope scope_;
  const Backward<S>& b_;
  const Sums<S>& sums_;
  const Walk walk_;
  const int64_t width_, state_width_, input_width_, row_, steps_, window_, ldz_;
  const bool projected_;
  Buffers buffers_[2];
  S *d_h_, *d_c_, *h_, *c_, *after_, *zeros_, *d_full_ = nullptr, *d_inputs_ = nullptr;
  std::vector<Part> parts_;
};

}  // namespace jaxseq::JAXSEQ_ISA
