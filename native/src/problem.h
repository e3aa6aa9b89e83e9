// What a call is about: sizes, arrays, and the threads that it may use. Shared by all instruction
// sets, so nothing here depends on the width of a vector.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace jaxseq {

enum class Cell : int64_t { kElmanTanh = 0, kElmanRelu = 1, kLstm = 2, kGru = 3 };

// T steps of B rows; inputs are I wide, gates H. The state h is P wide: H, or less where an LSTM
// projects it. Sequences are by rows, then steps; what is kept, by steps, then rows.
struct Sizes {
  int64_t T, B, I, H, P;
  bool projected() const { return P != H; }
};

// Which steps a row goes through, and where they lie. Its padding is passed over: that is behind its
// steps, and so before them in reverse.
struct Walk {
  int64_t T, B;
  bool reverse;
  const int32_t* lengths;  // [B], or null if no row has padding

  int64_t length(int64_t row) const { return lengths ? std::clamp<int64_t>(lengths[row], 0, T) : T; }
  int64_t begin(int64_t row) const { return reverse ? T - length(row) : 0; }
  int64_t end(int64_t row) const { return reverse ? T : length(row); }
  // Those of its steps that are in [first, last).
  std::pair<int64_t, int64_t> within(int64_t row, int64_t first, int64_t last) const {
    return {std::max(first, begin(row)), std::min(last, end(row))};
  }
  int64_t time(int64_t step) const { return reverse ? T - 1 - step : step; }
  int64_t place(int64_t row, int64_t step) const { return row * T + time(step); }
  int64_t kept_place(int64_t row, int64_t step) const { return time(step) * B + row; }
};

constexpr int64_t gates(Cell cell) {
  return cell == Cell::kLstm ? 4 : cell == Cell::kGru ? 3 : 1;
}

// Blocks of H values that the backward pass finds kept of each step and row: the gates and, of an
// LSTM, c; of a GRU the recurrent part of the candidate; of Elman's network nothing but the states.
inline int64_t kept_blocks(Cell cell) {
  return cell == Cell::kLstm ? 5 : cell == Cell::kGru ? 4 : 0;
}

// What is kept is as wide as a multiple of this, which every vector's size divides.
constexpr int64_t kKeptMultiple = 16;

inline int64_t kept_width(int64_t H) {
  return (H + kKeptMultiple - 1) / kKeptMultiple * kKeptMultiple;
}

class Threads {
 public:
  virtual ~Threads() = default;
  virtual int64_t count() const = 0;
  // Runs tasks 0..n-1, on as many threads as there are, and returns when all are done.
  virtual void run(int64_t n, const std::function<void(int64_t)>& task) const = 0;
  // Runs work(part, item) for all parts of item 0, then of item 1, and so on: a part's items mostly
  // on one thread, and no item before all parts of the one before are done.
  virtual void in_step(int64_t parts, int64_t items,
                       const std::function<void(int64_t, int64_t)>& work) const = 0;
};

template <class S>
struct Forward {
  Cell cell;
  Sizes sizes;
  bool reverse;
  const S* xs;                  // [B, T, I]
  const int32_t* lengths;       // [B], or null
  const bool* resets;           // [B, T], or null
  const S *h0, *c0;             // [B, P], [B, H]; c0 is null but for an LSTM
  const S *w_ih, *w_hh;         // [G*H, I], [G*H, P]
  const S *b_ih, *b_hh;         // [G*H]
  const S* w_hr;                // [P, H], where h is projected
  S* ys;                        // [B, T, P]: the state after each step; zeros in the padding
  S *h, *c;                     // [B, P], [B, H]
  S* kept;                      // [T, B, kept_blocks, kept_width], or null if nobody differentiates

  Walk walk() const { return {sizes.T, sizes.B, reverse, lengths}; }
};

template <class S>
struct Backward {
  Cell cell;
  Sizes sizes;
  bool reverse;
  const S* xs;
  const int32_t* lengths;
  const bool* resets;
  const S *h0, *c0, *w_ih, *w_hh, *w_hr;
  const S *ys, *kept;           // of the forward pass
  const S *d_ys, *d_h, *d_c;    // cotangents of its outputs
  S* d_xs;                      // [B, T, I], or null if nobody wants it
  S *d_h0, *d_c0;
  S *d_w_ih, *d_w_hh, *d_b_ih, *d_b_hh, *d_w_hr;

  Walk walk() const { return {sizes.T, sizes.B, reverse, lengths}; }
};

// What is compiled once for each instruction set.
struct Kernels {
  const char* name;
  void (*forward_float)(const Forward<float>&, const Threads&);
  void (*forward_double)(const Forward<double>&, const Threads&);
  void (*backward_float)(const Backward<float>&, const Threads&);
  void (*backward_double)(const Backward<double>&, const Threads&);
  void (*tanh)(const float*, float*, int64_t);
  void (*sigmoid)(const float*, float*, int64_t);
};

// The fastest that this processor has, or the one that the environment names; never null.
const Kernels& kernels();

}  // namespace jaxseq
