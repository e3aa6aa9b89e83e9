// Vectors of the width that this file is compiled for, by the compiler's own vector extension: one
// source makes SSE2, AVX2, AVX-512 and NEON code. exp, tanh and the logistic function on them.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#ifndef JAXSEQ_VECTOR_BYTES
#define JAXSEQ_VECTOR_BYTES 16
#endif

namespace jaxseq::JAXSEQ_ISA {

template <class S>
struct Lane;
template <>
struct Lane<float> {
  using Int = int32_t;
  static constexpr int mantissa = 23, bias = 127;
  static constexpr float log2e = 1.44269504088896341f;
  static constexpr float ln2_high = 0.693145751953125f, ln2_low = 1.428606765330187e-06f;
  static constexpr float largest = 88.0f;    // exp stays finite, and 2^n can be made by its bits
  static constexpr float saturated = 9.02f;  // from here on tanh rounds to 1
  // (e^r - 1 - r) / r^2 for |r| <= ln(2)/2, to 4e-9 of e^r.
  static constexpr float series[] = {0.49999994f, 0.16666518f, 0.041668423f, 0.008369064f, 0.001381388f};
};
template <>
struct Lane<double> {
  using Int = int64_t;
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr double log2e = 1.44269504088896340736;
  static constexpr double ln2_high = 6.93147180369123816490e-01;
  static constexpr double ln2_low = 1.90821492927058770002e-10;
  static constexpr double largest = 708.0;
  static constexpr double saturated = 19.1;
  static constexpr double series[] = {  // 1/2!, 1/3!, ...: the next one is below half an ulp
      1. / 2, 1. / 6, 1. / 24, 1. / 120, 1. / 720, 1. / 5040, 1. / 40320, 1. / 362880, 1. / 3628800,
      1. / 39916800, 1. / 479001600, 1. / 6227020800, 1. / 87178291200};
};

template <class S>
struct Vector {
  using Int = typename Lane<S>::Int;
  typedef S type __attribute__((vector_size(JAXSEQ_VECTOR_BYTES)));
  typedef Int bits __attribute__((vector_size(JAXSEQ_VECTOR_BYTES)));
  static constexpr int64_t size = JAXSEQ_VECTOR_BYTES / sizeof(S);
};
template <class S>
using Vec = typename Vector<S>::type;
template <class S>
using Bits = typename Vector<S>::bits;

template <class S>
inline Vec<S> load(const S* p) {
  Vec<S> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <class S>
inline void store(S* p, Vec<S> v) {
  std::memcpy(p, &v, sizeof v);
}

// The first `n` lanes, and zeros.
template <class S>
inline Vec<S> load_some(const S* p, int64_t n) {
  Vec<S> v = {};
  std::memcpy(&v, p, size_t(n) * sizeof(S));
  return v;
}

template <class S>
inline Vec<S> all(S value) {
  return value - Vec<S>{};
}

// Of lanes that differ in the bit BY, those where it is set go from `one` to `two`, and the others
// from `two` to `one`.
template <class S, size_t BY, size_t... LANES>
inline void swap_lanes(Vec<S>& one, Vec<S>& two, std::index_sequence<LANES...>) {
  constexpr size_t V = sizeof...(LANES);
#if defined(__clang__) || __GNUC__ >= 12
  const Vec<S> first = __builtin_shufflevector(one, two, (LANES & BY ? V + LANES - BY : LANES)...);
  two = __builtin_shufflevector(one, two, (LANES & BY ? V + LANES : LANES + BY)...);
#else
  const Vec<S> first =
      __builtin_shuffle(one, two, Bits<S>{typename Vector<S>::Int(LANES & BY ? V + LANES - BY : LANES)...});
  two = __builtin_shuffle(one, two, Bits<S>{typename Vector<S>::Int(LANES & BY ? V + LANES : LANES + BY)...});
#endif
  one = first;
}

// The sums of the lanes of as many vectors as a vector has lanes, one in each lane. They go on the way.
template <class S, size_t BY = 1>
inline Vec<S> totals(Vec<S>* vectors) {
  constexpr size_t V = Vector<S>::size;
  if constexpr (BY == V) return vectors[0];
  else {
    for (size_t n = 0; n < V / BY / 2; ++n) {
      swap_lanes<S, BY>(vectors[2 * n], vectors[2 * n + 1], std::make_index_sequence<V>{});
      vectors[n] = vectors[2 * n] + vectors[2 * n + 1];
    }
    return totals<S, 2 * BY>(vectors);
  }
}

// Transposes a square of as many rows as a vector has lanes.
template <class S, size_t BY = 1>
inline void transpose(Vec<S>* rows) {
  constexpr size_t V = Vector<S>::size;
  if constexpr (BY < V) {
    for (size_t n = 0; n < V; ++n)
      if (!(n & BY)) swap_lanes<S, BY>(rows[n], rows[n + BY], std::make_index_sequence<V>{});
    transpose<S, 2 * BY>(rows);
  }
}

template <class S>
inline Bits<S> bits_of(Vec<S> x) {
  Bits<S> bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

template <class S>
inline Vec<S> of_bits(Bits<S> bits) {
  Vec<S> x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// What e^x is made of: 2^n and e^r - 1. `x` is at most Lane::largest in magnitude; a NaN stays one.
template <class S>
struct Parts {
  Vec<S> power, rest;
};

template <class S>
inline Parts<S> parts(Vec<S> x) {
  using L = Lane<S>;
  // Adding 1.5 * 2^mantissa rounds to an integer and leaves it in the lowest bits.
  const S magic = S(3) * S(typename L::Int(1) << (L::mantissa - 1));
  const Vec<S> shifted = x * L::log2e + magic;
  const Vec<S> n = shifted - magic;
  const Vec<S> r = (x - n * L::ln2_high) - n * L::ln2_low;  // the first difference is exact
  constexpr int terms = int(sizeof L::series / sizeof L::series[0]);
  Vec<S> sum = all<S>(L::series[terms - 1]);
  for (int k = terms - 2; k >= 0; --k) sum = sum * r + L::series[k];
  const Bits<S> power = (bits_of<S>(shifted) - bits_of<S>(all<S>(magic)) + L::bias) << L::mantissa;
  return {of_bits<S>(power), r + r * r * sum};
}

template <class S>
inline Vec<S> magnitude(Vec<S> x) {
  return of_bits<S>(bits_of<S>(x) & std::numeric_limits<typename Lane<S>::Int>::max());
}

// `x`, which is not below zero, with the sign of `y`.
template <class S>
inline Vec<S> with_sign(Vec<S> x, Vec<S> y) {
  return of_bits<S>(bits_of<S>(x) | (bits_of<S>(y) & std::numeric_limits<typename Lane<S>::Int>::min()));
}

template <class S>
inline Vec<S> at_most(Vec<S> x, S bound) {
  return x > bound ? all<S>(bound) : x;  // a NaN stays one
}

template <class S>
inline Vec<S> tanh(Vec<S> x) {
  const Vec<S> a = at_most<S>(magnitude<S>(x), Lane<S>::saturated);
  const Parts<S> e = parts<S>(a + a);
  const Vec<S> less_one = e.power * e.rest + (e.power - S(1));  // e^2a - 1
  const Vec<S> y = less_one / (less_one + S(2));
  const Vec<S> signed_y = with_sign<S>(y, x);
  if constexpr (sizeof(S) == 8) return signed_y;
  // Near zero the quotient of two roundings would be 2.3 units in the last place off.
  const Vec<S> s = x * x;
  const Vec<S> near = ((((s * S(-0.008863236) + S(0.021869489)) * s - S(0.053968254)) * s +
                        S(0.13333333)) * s - S(0.33333333)) * s * x + x;
  return a < S(0.35) ? near : signed_y;
}

// By t = e^-|x|, which never overflows: 1 / (1 + t), or t / (1 + t) below zero.
template <class S>
inline Vec<S> sigmoid(Vec<S> x) {
  const Parts<S> e = parts<S>(-at_most<S>(magnitude<S>(x), Lane<S>::largest));
  const Vec<S> t = e.power + e.power * e.rest;
  const Vec<S> sum = S(1) + t, lost = (S(1) - sum) + t;
  const Vec<S> y = (x < 0 ? t : all<S>(1)) / sum;
  return y - y * lost;  // what the sum was rounded by, nearly
}

}  // namespace jaxseq::JAXSEQ_ISA
