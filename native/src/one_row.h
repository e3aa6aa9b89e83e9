// One row, with nobody beside it: what is shared out are its units. Each part takes some of them
// through all of time, with the weights that lead to them, and the parts meet after every step.
#pragma once

#include "forward.h"
#include "row_by.h"

namespace jaxseq::JAXSEQ_ISA {

// A part is worth meeting for with so many products a step, and there are few enough to meet.
constexpr int64_t kLeastProducts = 1 << 15, kMostParts = 8;

inline int64_t part_count(const Sizes& s, Cell cell, int64_t threads) {
  const int64_t products = gates(cell) * s.H * s.P;
  return std::clamp<int64_t>(std::min(threads, products / kLeastProducts), 1, kMostParts);
}

// The panels of a matrix, `vectors` wide in all, that a part has: whole ones of two vectors.
struct Share {
  int64_t begin, end;  // columns
  template <class S>
  static Share of(int64_t part, int64_t parts, int64_t columns) {
    const int64_t panel = 2 * Vector<S>::size, panels = (columns + panel - 1) / panel;
    return {std::min(columns, part * panels / parts * panel),
            std::min(columns, (part + 1) * panels / parts * panel)};
  }
  bool has(int64_t column) const { return begin <= column && column < end; }
  // As many as are not padding.
  int64_t count(int64_t columns) const { return std::min(end, columns) - std::min(begin, columns); }
};

template <class S, Cell CELL>
class OneRow {
 public:
  OneRow(const Forward<S>& f, const Packed<S>& packed, int64_t width, int64_t row, int64_t parts)
      : f_(f), packed_(packed), walk_(f.walk()), width_(width), state_width_(padded<S>(f.sizes.P)),
        row_(row), steps_(walk_.length(row)), ldz_(apart<S>(map_blocks(CELL) * width)) {
    z_ = scope_.template take<S>(2 * kWindow * ldz_);
    c_ = zeros(width);
    zeros_ = zeros(width);
    full_ = f.sizes.projected() ? zeros(width) : nullptr;
    for (S*& h : h_) h = zeros(state_width_);
    std::copy_n(f.h0 + row * f.sizes.P, f.sizes.P, h_[0]);
    if (CELL == Cell::kLstm) std::copy_n(f.c0 + row * f.sizes.H, f.sizes.H, c_);
    for (int64_t part = 0; part < parts; ++part) parts_.push_back(make_part(part, parts));
  }

  void run(const Threads& threads) {
    const int64_t parts = int64_t(parts_.size());
    clear_padding(f_, row_);
    if (!full_)
      threads.in_step(parts, steps_, [this](int64_t part, int64_t item) { step(parts_[part], item); });
    else  // what is projected is first whole
      threads.in_step(parts, 2 * steps_, [this](int64_t part, int64_t item) {
        if (item % 2 == 0)
          step(parts_[part], item / 2);
        else
          project(parts_[part], item / 2);
      });
    std::copy_n(h_[steps_ % 2], f_.sizes.P, f_.h + row_ * f_.sizes.P);
    if (CELL == Cell::kLstm) std::copy_n(c_, f_.sizes.H, f_.c + row_ * f_.sizes.H);
  }

 private:
  struct Part {
    Share units, states;  // of the gates, and of h where it is projected
    std::vector<Panel<S>> panels;
    Beside<S> beside;  // the maps of the next window's inputs
  };

  // Steps whose inputs are mapped together. There are two such windows.
  static constexpr int64_t kWindow = 16;

  S* zeros(int64_t n) {
    S* made = scope_.template take<S>(n);
    std::fill_n(made, n, S(0));
    return made;
  }

  Part make_part(int64_t part, int64_t parts) {
    Part made{Share::of<S>(part, parts, width_), Share::of<S>(part, parts, state_width_), {}, {}};
    for (const Panel<S>& panel : packed_.panels)
      if (made.units.has(panel.column % width_)) made.panels.push_back(panel);
    return made;
  }

  // Where a step of the row is, of those that it goes through.
  int64_t place(int64_t step) const { return walk_.place(row_, walk_.begin(row_) + step); }

  S* z(int64_t step) const { return z_ + step % (2 * kWindow) * ldz_; }

  // What the inputs of a window from `step` on give to a part's units.
  void map_inputs(Part& part, int64_t step) {
    const int64_t I = f_.sizes.I, lda = f_.reverse ? -I : I, rows = std::min(kWindow, steps_ - step);
    if (rows <= 0) return;
    const S* xs = f_.xs + place(step) * I;
    for (const Panel<S>& panel : part.panels) {
      const int64_t columns = panel.vectors * Vector<S>::size;
      S* to = z(step) + panel.column;
      for (int64_t r = 0; r < rows; ++r) std::copy_n(packed_.bias + panel.column, columns, to + r * ldz_);
      if (panel.x) part.beside.add(rows, panel.vectors, {xs, lda, panel.x, columns, I}, to, ldz_);
    }
  }

  void step(Part& part, int64_t step) {
    const int64_t H = f_.sizes.H, P = f_.sizes.P, kept = kept_width(H), at = place(step);
    const int64_t kept_place = walk_.kept_place(row_, walk_.begin(row_) + step);
    if (step == 0) map_inputs(part, 0);
    if (step % kWindow == 0) part.beside.finish(), map_inputs(part, step + kWindow);
    const bool reset = f_.resets && f_.resets[at];
    const S* before = reset ? zeros_ : h_[step % 2];
    S* after = h_[(step + 1) % 2];
    const auto [begin, end] = part.units;
    if (reset) std::fill(c_ + begin, c_ + end, S(0));
    const Row<S> row{z(step), before, c_,
                     f_.kept ? f_.kept + kept_place * kept_blocks(CELL) * kept : nullptr,
                     full_ ? full_ : after};
    if (!reset) row_by<S>(before, P, part.panels, 0, z(step), part.beside);
    update_row<S, CELL>(row, width_, kept, begin, end);
    if (!full_) std::copy_n(after + begin, part.units.count(H), f_.ys + at * P + begin);
  }

  void project(const Part& part, int64_t step) {
    const auto [T, B, I, H, P] = f_.sizes;
    S* after = h_[(step + 1) % 2];
    const int64_t begin = part.states.begin;
    for (const Panel<S>& panel : packed_.projection)
      if (part.states.has(panel.column))
        block_of<S, false>(1, panel.vectors)(
            {full_, 0, panel.h, panel.vectors * Vector<S>::size, H}, {}, nullptr, false,
            after + panel.column, 0);
    std::copy_n(after + begin, part.states.count(P), f_.ys + place(step) * P + begin);
  }

  Arena::Scope scope_;
  const Forward<S>& f_;
  const Packed<S>& packed_;
  const Walk walk_;
  const int64_t width_, state_width_, row_, steps_, ldz_;
  S *z_, *c_, *zeros_, *full_, *h_[2];
  std::vector<Part> parts_;
};

}  // namespace jaxseq::JAXSEQ_ISA
