// The kernels without JAX, for sanitizers: every array is of exactly the size that it must have, and
// results are held to a plain loop, to one thread, and to the other element type.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <deque>
#include <limits>
#include <random>
#include <thread>
#include <vector>

#if defined(__linux__) || defined(__APPLE__)
#include <sys/mman.h>
#endif

#include "../src/threads.h"

using namespace jaxseq;

namespace {

int failures = 0;

void expect(bool holds, const char* what, const Sizes& s, Cell cell) {
  if (holds) return;
  ++failures;
  std::printf("FAILED %s: cell %d, T %d B %d I %d H %d\n", what, int(cell), int(s.T), int(s.B), int(s.I),
              int(s.H));
}

// A pool with the two functions that XLA's has. Some of its tasks come late, or when all is over.
class Pool {
 public:
  explicit Pool(int n) : n_(n) {
    for (int k = 0; k < n; ++k) threads_.emplace_back([this] { loop(); });
  }
  ~Pool() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      over_ = true;
    }
    ready_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  int64_t num_threads() const { return n_; }
  template <class F>
  void Schedule(F&& task) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      tasks_.emplace_back(std::forward<F>(task));
    }
    ready_.notify_one();
  }

 private:
  void loop() {
    for (;;) {
      std::function<void()> task;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        ready_.wait(lock, [this] { return over_ || !tasks_.empty(); });
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      task();
    }
  }
  int n_;
  bool over_ = false;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> tasks_;
  std::vector<std::thread> threads_;
};

template <class S>
std::vector<S> draw(std::mt19937& random, int64_t n, double scale) {
  std::uniform_real_distribution<double> uniform(-scale, scale);
  std::vector<S> values(n);
  for (S& value : values) value = S(uniform(random));
  return values;
}

// All arrays of a call and its backward pass.
template <class S>
struct Case {
  Sizes s;
  Cell cell;
  bool reverse, masked;
  std::vector<S> xs, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr, d_ys, d_h, d_c;
  std::vector<int32_t> lengths;
  std::unique_ptr<bool[]> resets;
  std::vector<S> ys, h, c, kept, d_xs, d_h0, d_c0, d_w_ih, d_w_hh, d_b_ih, d_b_hh, d_w_hr;

  Case(const Sizes& sizes, Cell cell, bool reverse, bool masked) : s(sizes), cell(cell), reverse(reverse), masked(masked) {
    std::mt19937 random(7);
    const int64_t rows = gates(cell) * s.H, c_rows = cell == Cell::kLstm ? s.B : 0;
    const double scale = 1 / std::sqrt(double(s.H));
    xs = draw<S>(random, s.T * s.B * s.I, 1);
    h0 = draw<S>(random, s.B * s.P, 1), c0 = draw<S>(random, c_rows * s.H, 1);
    w_ih = draw<S>(random, rows * s.I, scale), w_hh = draw<S>(random, rows * s.P, scale);
    if (s.projected()) w_hr = draw<S>(random, s.P * s.H, scale);
    b_ih = draw<S>(random, rows, scale), b_hh = draw<S>(random, rows, scale);
    d_ys = draw<S>(random, s.T * s.B * s.P, 1);
    d_h = draw<S>(random, s.B * s.P, 1), d_c = draw<S>(random, c_rows * s.H, 1);
    // Some longer than there are steps: they count as all of them.
    for (int64_t b = 0; b < s.B; ++b) lengths.push_back(int32_t(random() % (s.T + s.T / 4 + 1)));
    resets.reset(new bool[s.T * s.B]);
    for (int64_t n = 0; n < s.T * s.B; ++n) resets[n] = random() % 5 == 0;
    // Nothing that stands in the padding comes out.
    for (int64_t b = 0; masked && b < s.B; ++b)
      for (int64_t t = std::min<int64_t>(lengths[b], s.T); t < s.T; ++t) {
        std::fill_n(&xs[(b * s.T + t) * s.I], s.I, std::numeric_limits<S>::quiet_NaN());
        std::fill_n(&d_ys[(b * s.T + t) * s.P], s.P, std::numeric_limits<S>::quiet_NaN());
      }
    // What a call writes holds nothing that it may read or add to.
    const auto blank = [](size_t n) { return std::vector<S>(n, std::numeric_limits<S>::quiet_NaN()); };
    ys = blank(d_ys.size()), h = blank(h0.size()), c = blank(c0.size());
    kept = blank(s.T * s.B * kept_blocks(cell) * kept_width(s.H));
    d_xs = blank(xs.size()), d_h0 = blank(h0.size()), d_c0 = blank(c0.size());
    d_w_ih = blank(w_ih.size()), d_w_hh = blank(w_hh.size());
    d_b_ih = blank(rows), d_b_hh = blank(rows), d_w_hr = blank(w_hr.size());
  }

  void run(const Threads& threads) {
    const int32_t* n = masked ? lengths.data() : nullptr;
    const bool* r = masked ? resets.get() : nullptr;
    const Forward<S> f{cell, s, reverse, xs.data(), n, r, h0.data(), c0.data(), w_ih.data(), w_hh.data(),
                       b_ih.data(), b_hh.data(), w_hr.data(), ys.data(), h.data(), c.data(), kept.data()};
    const Backward<S> b{cell, s, reverse, xs.data(), n, r, h0.data(), c0.data(), w_ih.data(), w_hh.data(),
                        w_hr.data(), ys.data(), kept.data(), d_ys.data(), d_h.data(), d_c.data(), d_xs.data(),
                        d_h0.data(), d_c0.data(), d_w_ih.data(), d_w_hh.data(), d_b_ih.data(),
                        d_b_hh.data(), d_w_hr.data()};
    if constexpr (sizeof(S) == 4) {
      kernels().forward_float(f, threads), kernels().backward_float(b, threads);
    } else {
      kernels().forward_double(f, threads), kernels().backward_double(b, threads);
    }
  }

  std::vector<const std::vector<S>*> results() const {
    return {&ys, &h, &c, &d_xs, &d_h0, &d_c0, &d_w_ih, &d_w_hh, &d_b_ih, &d_b_hh, &d_w_hr};
  }
};

template <class A, class B>
double distance(const Case<A>& a, const Case<B>& b) {
  double worst = 0;
  const auto left = a.results();
  const auto right = b.results();
  for (size_t k = 0; k < left.size(); ++k)
    for (size_t n = 0; n < left[k]->size(); ++n) {
      const double x = double((*left[k])[n]), y = double((*right[k])[n]);
      worst = std::max(worst, std::abs(x - y) / (1 + std::abs(x)));
      if (std::isnan(x) || std::isnan(y)) return 1e9;
    }
  return worst;
}

// The plain loop, of the state alone.
double distance_to_loop(const Case<double>& a) {
  const auto [T, B, I, H, P] = a.s;
  std::vector<double> h = a.h0, c = a.c0, z(4 * H);
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  double worst = 0;
  for (int64_t step = 0; step < T; ++step) {
    const int64_t t = a.reverse ? T - 1 - step : step;
    for (int64_t b = 0; b < B; ++b) {
      double* hb = &h[b * P];
      double* cb = a.cell == Cell::kLstm ? &c[b * H] : nullptr;
      const bool counts = !a.masked || t < a.lengths[b];
      if (a.masked && counts && a.resets[b * T + t]) {
        std::fill(hb, hb + P, 0.0);
        if (cb) std::fill(cb, cb + H, 0.0);
      }
      if (counts) {
        std::vector<double> x(gates(a.cell) * H), y(gates(a.cell) * H);
        for (size_t n = 0; n < x.size(); ++n) {
          x[n] = a.b_ih[n], y[n] = a.b_hh[n];
          for (int64_t k = 0; k < I; ++k) x[n] += a.w_ih[n * I + k] * a.xs[(b * T + t) * I + k];
          for (int64_t k = 0; k < P; ++k) y[n] += a.w_hh[n * P + k] * hb[k];
        }
        std::vector<double> next(H);
        for (int64_t u = 0; u < H; ++u) {
          const auto z = [&](int64_t gate) { return x[gate * H + u] + y[gate * H + u]; };
          if (a.cell == Cell::kElmanTanh) next[u] = std::tanh(z(0));
          if (a.cell == Cell::kElmanRelu) next[u] = std::max(0.0, z(0));
          if (a.cell == Cell::kLstm) {
            cb[u] = sigmoid(z(1)) * cb[u] + sigmoid(z(0)) * std::tanh(z(2));
            next[u] = sigmoid(z(3)) * std::tanh(cb[u]);
          }
          if (a.cell == Cell::kGru) {
            const double r = sigmoid(z(0)), gate = sigmoid(z(1));
            next[u] = (1 - gate) * std::tanh(x[2 * H + u] + r * y[2 * H + u]) + gate * hb[u];
          }
        }
        if (!a.s.projected()) std::copy(next.begin(), next.end(), hb);
        for (int64_t p = 0; a.s.projected() && p < P; ++p) {
          hb[p] = 0;
          for (int64_t u = 0; u < H; ++u) hb[p] += a.w_hr[p * H + u] * next[u];
        }
      }
      const double* y = &a.ys[(b * T + t) * P];
      for (int64_t u = 0; u < P; ++u) worst = std::max(worst, std::abs((counts ? hb[u] : 0) - y[u]));
    }
  }
  return worst;
}

#if !defined(__SANITIZE_THREAD__) && (defined(__linux__) || defined(__APPLE__))
// Inputs of more than 2^31 values. Pages that nobody has written to take no memory; the last row is
// what could not be reached by 32 bits.
void large(const Threads& threads) {
  const Sizes s{1, 2052, int64_t(1) << 20, 1, 1};
  const size_t bytes = size_t(s.B * s.I) * sizeof(float);
  void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) {
    std::printf("inputs of more than 2^31 values: left out, there is no room for them\n");
    return;
  }
  float* xs = static_cast<float*>(pages);
  xs[s.B * s.I - 1] = 1;
  std::vector<float> h0(s.B), w_ih(s.I, 0.25f), w_hh(1), b(1), ys(s.B), h(s.B);
  const Forward<float> f{Cell::kElmanTanh, s, false, xs, nullptr, nullptr, h0.data(), nullptr, w_ih.data(),
                         w_hh.data(), b.data(), b.data(), nullptr, ys.data(), h.data(), nullptr, nullptr};
  kernels().forward_float(f, threads);
  double others = 0;
  for (int64_t row = 0; row + 1 < s.B; ++row) others += std::abs(double(ys[row]));
  expect(others == 0 && std::abs(ys[s.B - 1] - std::tanh(0.25f)) < 1e-6f, "beyond 32 bits", s, f.cell);
  munmap(pages, bytes);
}
#else
void large(const Threads&) {}
#endif

}  // namespace

int main() {
  Pool none(1), pool(3);
  const PoolThreads<Pool> alone(none), threads(pool);
  const int64_t sizes[][4] = {{3, 1, 1, 1}, {5, 2, 3, 7}, {4, 7, 2, 33}, {9, 20, 17, 16},
                              {150, 1, 5, 20}, {2, 130, 3, 5}, {0, 3, 2, 4}, {3, 0, 2, 4}, {2, 3, 1, 1023},
                              {70, 1, 6, 200}, {20, 1, 40, 300}, {45, 1, 70, 150}, {9, 4, 3, 20},
                              {1, 1, 70, 150}, {2, 3, 40, 37}, {1, 7, 9, 65}, {1, 16, 30, 70},
                              {4, 4, 5, 21}, {2, 8, 300, 250},
                              {130, 1, 16, 128}, {70, 5, 32, 16}, {0, 2, 16, 16}, {3, 0, 16, 16}};
  for (const auto& [T, B, I, H] : sizes)
    for (int kind = 0; kind < 4; ++kind)
      for (int flags = 0; flags < 8; ++flags) {
        const Cell cell = Cell(kind);
        if (flags >= 4 && (cell != Cell::kLstm || H < 2)) continue;
        const Sizes s{T, B, I, H, flags < 4 ? H : H / 2};
        Case<double> one(s, cell, flags & 1, flags & 2), several(s, cell, flags & 1, flags & 2);
        Case<float> single(s, cell, flags & 1, flags & 2);
        one.run(alone), several.run(threads), single.run(threads);
        expect(distance_to_loop(one) < 1e-12, "against the plain loop", s, cell);
        expect(distance(one, several) < 1e-12, "on several threads", s, cell);
        expect(distance(one, single) < 2e-3, "in float32", s, cell);
      }
  large(threads);
  // Several calls at once share one pool.
  std::vector<std::thread> callers;
  for (int k = 0; k < 4; ++k)
    callers.emplace_back([&] {
      for (int n = 0; n < 20; ++n) {
        Case<float> call({6, 9, 3, 12, 12}, Cell::kLstm, false, true);
        call.run(threads);
      }
    });
  for (std::thread& caller : callers) caller.join();
  std::printf("%s: %d failures\n", kernels().name, failures);
  return failures != 0;
}
