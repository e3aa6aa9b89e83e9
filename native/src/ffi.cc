// What XLA calls: arguments are checked against each other here, and nowhere below.
#include <limits>
#include <string>

#include "pages.h"
#include "threads.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace jaxseq {
namespace {

using Dims = ffi::Span<const int64_t>;

std::string text(Dims dims) {
  std::string found = "[";
  for (size_t k = 0; k < dims.size(); ++k) found += (k ? ", " : "") + std::to_string(dims[k]);
  return found + "]";
}

// Collects what is wrong with a call; the first thing is reported.
class Check {
 public:
  void shape(const char* name, const ffi::AnyBuffer& buffer, std::initializer_list<int64_t> wanted,
             ffi::DataType type) {
    const Dims dims = buffer.dimensions(), all(wanted.begin(), wanted.size());
    bool same = dims.size() == all.size();
    for (size_t k = 0; same && k < dims.size(); ++k) same = dims[k] == all[k];
    if (!same) fail(std::string(name) + " is " + text(dims) + ", but must be " + text(all));
    if (buffer.element_type() != type) fail(std::string(name) + " has another element type");
  }
  void that(bool holds, const std::string& problem) {
    if (!holds) fail(problem);
  }
  bool passed() const { return problem_.empty(); }
  ffi::Error error() const { return ffi::Error::InvalidArgument("jaxseq_native: " + problem_); }

 private:
  void fail(const std::string& problem) {
    if (problem_.empty()) problem_ = problem;
  }
  std::string problem_;
};

template <class S>
constexpr ffi::DataType kType = sizeof(S) == 4 ? ffi::F32 : ffi::F64;

// The sizes of a call, from its inputs and its recurrent weight.
Sizes sizes_of(Check& check, Cell cell, const ffi::AnyBuffer& xs, const ffi::AnyBuffer& w_hh) {
  const Dims x = xs.dimensions(), w = w_hh.dimensions();
  check.that(int64_t(cell) >= 0 && int64_t(cell) <= 3, "there is no such cell");
  check.that(x.size() == 3, "xs is " + text(x) + ", but must be [B, T, I]");
  check.that(w.size() == 2, "w_hh is " + text(w) + ", but must be [G*H, H]");
  if (!check.passed()) return {};
  const Sizes sizes{x[1], x[0], x[2], w[0] / gates(cell), w[1]};
  check.that(sizes.I > 0 && sizes.P > 0 && sizes.H > 0, "inputs and states must have a size");
  check.that(sizes.P == sizes.H || cell == Cell::kLstm, "only an LSTM has a projection");
  check.that(sizes.P <= sizes.H, "a projection must not widen the state");
  if (!check.passed()) return {};
  int64_t most;  // of what is made here, nothing is larger than this
  const bool small = !__builtin_mul_overflow(sizes.T + 1, sizes.B + 1, &most) &&
                     !__builtin_mul_overflow(most, 8 * (sizes.H + 64), &most) &&
                     !__builtin_mul_overflow(8 * (sizes.H + 64), 8 * (sizes.I + sizes.H + 64), &most);
  check.that(small && most < std::numeric_limits<int64_t>::max() / 64, "the sizes are too large");
  return sizes;
}

template <class S>
const S* input(const ffi::AnyBuffer& buffer) {
  return reinterpret_cast<const S*>(buffer.untyped_data());
}
template <class S>
S* output(ffi::Result<ffi::AnyBuffer>& buffer) {
  prefer_large_pages(buffer->untyped_data(), int64_t(buffer->size_bytes()));
  return reinterpret_cast<S*>(buffer->untyped_data());
}

// Lengths or resets that are not there are an empty array.
template <class S>
const S* optional(Check& check, const char* name, const ffi::AnyBuffer& buffer,
                  std::initializer_list<int64_t> wanted, ffi::DataType type) {
  if (buffer.dimensions().size() == 1 && buffer.dimensions()[0] == 0) return nullptr;
  check.shape(name, buffer, wanted, type);
  return input<S>(buffer);
}

template <class Work>
ffi::Error guarded(Work work) {
  try {
    work();
    return ffi::Error::Success();
  } catch (const std::bad_alloc&) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted, "jaxseq_native: out of memory");
  } catch (const std::exception& problem) {
    return ffi::Error::Internal(std::string("jaxseq_native: ") + problem.what());
  }
}

struct Weights {
  const ffi::AnyBuffer &w_ih, &w_hh, &b_ih, &b_hh, &w_hr;
};

template <class S>
void check_weights(Check& check, const Sizes& s, Cell cell, const Weights& w) {
  const int64_t rows = gates(cell) * s.H;
  check.shape("w_ih", w.w_ih, {rows, s.I}, kType<S>);
  check.shape("w_hh", w.w_hh, {rows, s.P}, kType<S>);
  check.shape("b_ih", w.b_ih, {rows}, kType<S>);
  check.shape("b_hh", w.b_hh, {rows}, kType<S>);
  if (s.projected())
    check.shape("w_hr", w.w_hr, {s.P, s.H}, kType<S>);
  else
    check.shape("w_hr", w.w_hr, {0}, kType<S>);
}

using In = ffi::AnyBuffer;
using Out = ffi::Result<ffi::AnyBuffer>;

template <class S>
ffi::Error forward(ffi::ThreadPool pool, Cell cell, bool reverse, In xs, In lengths, In resets, In h0,
                   In c0, const Weights& w, Out ys, Out h, Out c, Out kept) {
  Check check;
  const Sizes s = sizes_of(check, cell, xs, w.w_hh);
  if (!check.passed()) return check.error();
  const auto* steps = optional<int32_t>(check, "lengths", lengths, {s.B}, ffi::S32);
  const auto* starts = optional<bool>(check, "resets", resets, {s.B, s.T}, ffi::PRED);
  const int64_t c_rows = cell == Cell::kLstm ? s.B : 0;
  check_weights<S>(check, s, cell, w);
  check.shape("xs", xs, {s.B, s.T, s.I}, kType<S>);
  check.shape("h", h0, {s.B, s.P}, kType<S>);
  check.shape("c", c0, {c_rows, s.H}, kType<S>);
  check.shape("ys", *ys, {s.B, s.T, s.P}, kType<S>);
  check.shape("the last h", *h, {s.B, s.P}, kType<S>);
  check.shape("the last c", *c, {c_rows, s.H}, kType<S>);
  const bool keeps = kept->dimensions().size() == 4;
  if (keeps)
    check.shape("kept", *kept, {s.T, s.B, kept_blocks(cell), kept_width(s.H)}, kType<S>);
  else
    check.shape("kept", *kept, {0}, kType<S>);
  if (!check.passed()) return check.error();
  const Forward<S> f{cell, s, reverse, input<S>(xs), steps, starts, input<S>(h0), input<S>(c0),
                     input<S>(w.w_ih), input<S>(w.w_hh), input<S>(w.b_ih), input<S>(w.b_hh),
                     input<S>(w.w_hr), output<S>(ys), output<S>(h), output<S>(c),
                     keeps ? output<S>(kept) : nullptr};
  return guarded([&] {
    const PoolThreads<ffi::ThreadPool> threads(pool);
    if constexpr (sizeof(S) == 4)
      kernels().forward_float(f, threads);
    else
      kernels().forward_double(f, threads);
  });
}

template <class S>
ffi::Error backward(ffi::ThreadPool pool, Cell cell, bool reverse, In xs, In lengths, In resets, In h0,
                    In c0, In w_ih, In w_hh, In w_hr, In ys, In kept, In d_ys, In d_h, In d_c, Out d_xs,
                    Out d_h0, Out d_c0, Out d_w_ih, Out d_w_hh, Out d_b_ih, Out d_b_hh, Out d_w_hr) {
  Check check;
  const Sizes s = sizes_of(check, cell, xs, w_hh);
  if (!check.passed()) return check.error();
  const auto* steps = optional<int32_t>(check, "lengths", lengths, {s.B}, ffi::S32);
  const auto* starts = optional<bool>(check, "resets", resets, {s.B, s.T}, ffi::PRED);
  const int64_t c_rows = cell == Cell::kLstm ? s.B : 0;
  check.shape("xs", xs, {s.B, s.T, s.I}, kType<S>);
  check_weights<S>(check, s, cell, {w_ih, w_hh, *d_b_ih, *d_b_hh, w_hr});
  check_weights<S>(check, s, cell, {*d_w_ih, *d_w_hh, *d_b_ih, *d_b_hh, *d_w_hr});
  for (const auto& [name, buffer] : {std::pair{"h", h0}, {"the cotangent of h", d_h}, {"d_h", *d_h0}})
    check.shape(name, buffer, {s.B, s.P}, kType<S>);
  for (const auto& [name, buffer] : {std::pair{"c", c0}, {"the cotangent of c", d_c}, {"d_c", *d_c0}})
    check.shape(name, buffer, {c_rows, s.H}, kType<S>);
  for (const auto& [name, buffer] : {std::pair{"ys", ys}, {"the cotangent of ys", d_ys}})
    check.shape(name, buffer, {s.B, s.T, s.P}, kType<S>);
  check.shape("kept", kept, {s.T, s.B, kept_blocks(cell), kept_width(s.H)}, kType<S>);
  const bool inputs = d_xs->dimensions().size() == 3;
  if (inputs)
    check.shape("d_xs", *d_xs, {s.B, s.T, s.I}, kType<S>);
  else
    check.shape("d_xs", *d_xs, {0}, kType<S>);
  if (!check.passed()) return check.error();
  const Backward<S> b{cell,           s,             reverse,         input<S>(xs),
                      steps,          starts,        input<S>(h0),    input<S>(c0),
                      input<S>(w_ih), input<S>(w_hh), input<S>(w_hr), input<S>(ys), input<S>(kept),
                      input<S>(d_ys), input<S>(d_h), input<S>(d_c),   inputs ? output<S>(d_xs) : nullptr,
                      output<S>(d_h0), output<S>(d_c0), output<S>(d_w_ih), output<S>(d_w_hh),
                      output<S>(d_b_ih), output<S>(d_b_hh), output<S>(d_w_hr)};
  return guarded([&] {
    const PoolThreads<ffi::ThreadPool> threads(pool);
    if constexpr (sizeof(S) == 4)
      kernels().backward_float(b, threads);
    else
      kernels().backward_double(b, threads);
  });
}

ffi::Error forward_any(ffi::ThreadPool pool, int64_t cell, bool reverse, In xs, In lengths, In resets,
                       In h0, In c0, In w_ih, In w_hh, In b_ih, In b_hh, In w_hr, Out ys, Out h,
                       Out c, Out kept) {
  const auto run = xs.element_type() == ffi::F64 ? forward<double> : forward<float>;
  return run(pool, Cell(cell), reverse, xs, lengths, resets, h0, c0, {w_ih, w_hh, b_ih, b_hh, w_hr}, ys, h, c,
             kept);
}

ffi::Error backward_any(ffi::ThreadPool pool, int64_t cell, bool reverse, In xs, In lengths, In resets,
                        In h0, In c0, In w_ih, In w_hh, In w_hr, In ys, In kept, In d_ys, In d_h,
                        In d_c, Out d_xs, Out d_h0, Out d_c0, Out d_w_ih, Out d_w_hh, Out d_b_ih,
                        Out d_b_hh, Out d_w_hr) {
  const auto run = xs.element_type() == ffi::F64 ? backward<double> : backward<float>;
  return run(pool, Cell(cell), reverse, xs, lengths, resets, h0, c0, w_ih, w_hh, w_hr, ys, kept, d_ys, d_h,
             d_c, d_xs, d_h0, d_c0, d_w_ih, d_w_hh, d_b_ih, d_b_hh, d_w_hr);
}

}  // namespace
}  // namespace jaxseq

#pragma GCC visibility push(default)

XLA_FFI_DEFINE_HANDLER_SYMBOL(JaxseqForward, jaxseq::forward_any,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Attr<int64_t>("cell")
                                  .Attr<bool>("reverse")
                                  .Arg<ffi::AnyBuffer>()   // xs
                                  .Arg<ffi::AnyBuffer>()   // lengths
                                  .Arg<ffi::AnyBuffer>()   // resets
                                  .Arg<ffi::AnyBuffer>()   // h
                                  .Arg<ffi::AnyBuffer>()   // c
                                  .Arg<ffi::AnyBuffer>()   // w_ih
                                  .Arg<ffi::AnyBuffer>()   // w_hh
                                  .Arg<ffi::AnyBuffer>()   // b_ih
                                  .Arg<ffi::AnyBuffer>()   // b_hh
                                  .Arg<ffi::AnyBuffer>()   // w_hr
                                  .Ret<ffi::AnyBuffer>()   // ys
                                  .Ret<ffi::AnyBuffer>()   // h
                                  .Ret<ffi::AnyBuffer>()   // c
                                  .Ret<ffi::AnyBuffer>()); // kept

XLA_FFI_DEFINE_HANDLER_SYMBOL(JaxseqBackward, jaxseq::backward_any,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Attr<int64_t>("cell")
                                  .Attr<bool>("reverse")
                                  .Arg<ffi::AnyBuffer>()   // xs
                                  .Arg<ffi::AnyBuffer>()   // lengths
                                  .Arg<ffi::AnyBuffer>()   // resets
                                  .Arg<ffi::AnyBuffer>()   // h
                                  .Arg<ffi::AnyBuffer>()   // c
                                  .Arg<ffi::AnyBuffer>()   // w_ih
                                  .Arg<ffi::AnyBuffer>()   // w_hh
                                  .Arg<ffi::AnyBuffer>()   // w_hr
                                  .Arg<ffi::AnyBuffer>()   // ys
                                  .Arg<ffi::AnyBuffer>()   // kept
                                  .Arg<ffi::AnyBuffer>()   // cotangent of ys
                                  .Arg<ffi::AnyBuffer>()   // of h
                                  .Arg<ffi::AnyBuffer>()   // of c
                                  .Ret<ffi::AnyBuffer>()   // of xs
                                  .Ret<ffi::AnyBuffer>()   // of the first h
                                  .Ret<ffi::AnyBuffer>()   // of the first c
                                  .Ret<ffi::AnyBuffer>()   // of w_ih
                                  .Ret<ffi::AnyBuffer>()   // of w_hh
                                  .Ret<ffi::AnyBuffer>()   // of b_ih
                                  .Ret<ffi::AnyBuffer>()   // of b_hh
                                  .Ret<ffi::AnyBuffer>()); // of w_hr

// For tests of accuracy, and to say what was chosen.
extern "C" const char* jaxseq_native_isa() { return jaxseq::kernels().name; }
extern "C" void jaxseq_native_tanh(const float* in, float* out, int64_t n) {
  jaxseq::kernels().tanh(in, out, n);
}
extern "C" void jaxseq_native_sigmoid(const float* in, float* out, int64_t n) {
  jaxseq::kernels().sigmoid(in, out, n);
}

#pragma GCC visibility pop
