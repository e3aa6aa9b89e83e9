// What a call does: packs the weights, and shares the rows out, or the units where there are fewer
// rows than threads.
#pragma once

#include "few_steps.h"
#include "one_row_back.h"

namespace jaxseq::JAXSEQ_ISA {

// visit(cell as a constant), for kernels that are compiled for each cell.
template <class Visit>
void with_cell(Cell cell, Visit visit) {
  switch (cell) {
    case Cell::kElmanTanh: return visit(std::integral_constant<Cell, Cell::kElmanTanh>{});
    case Cell::kElmanRelu: return visit(std::integral_constant<Cell, Cell::kElmanRelu>{});
    case Cell::kLstm: return visit(std::integral_constant<Cell, Cell::kLstm>{});
    case Cell::kGru: return visit(std::integral_constant<Cell, Cell::kGru>{});
  }
}

template <class S>
void forward(const Forward<S>& f, const Threads& threads) {
  if (f.sizes.B == 0) return;
  if (f.sizes.T <= kFewSteps && f.sizes.T * f.sizes.B <= kFewStepRows)
    return with_cell(f.cell, [&](auto cell) { FewSteps<S, cell>(f).run(threads); });
  Arena::Scope scope;
  const int64_t width = padded<S>(f.sizes.H);
  const Packed<S> packed = pack_forward(f, width, scope, threads);
  const int64_t groups = group_count(f.sizes.B, threads);
  const int64_t parts = part_count(f.sizes, f.cell, threads.count() / groups);
  with_cell(f.cell, [&](auto cell) {
    threads.run(groups, [&](int64_t group) {
      const Rows rows(f.walk(), group, groups);
      if (groups == f.sizes.B)
        OneRow<S, cell>(f, packed, width, rows[0], parts).run(threads);
      else
        forward_rows<S, cell>(f, packed, width, rows);
    });
  });
}

template <class S>
void backward(const Backward<S>& b, const Threads& threads) {
  Arena::Scope scope;
  const int64_t B = b.sizes.B, I = b.sizes.I, H = b.sizes.H, P = b.sizes.P;
  const int64_t width = padded<S>(H), G = gates(b.cell);
  const PackedBack<S> packed = pack_backward(b, width, scope, threads);
  const int64_t groups = group_count(B, threads);
  const int64_t parts = part_count(b.sizes, b.cell, threads.count() / groups);
  std::vector<Sums<S>> sums;
  const int64_t of_inputs = G * width * padded<S>(I), of_states = G * width * padded<S>(P);
  const int64_t of_projection = b.sizes.projected() ? padded<S>(P) * width : 0;
  const int64_t of_maps = map_blocks(b.cell) * width;
  const bool unpadded = width == H && padded<S>(I) == I && padded<S>(P) == P;
  for (int64_t group = 0; group < groups; ++group) {
    S* maps = scope.take<S>(of_maps);
    if (group == 0 && unpadded)
      sums.push_back({b.d_w_ih, b.d_w_hh, maps, b.d_w_hr});
    else
      sums.push_back({scope.take<S>(of_inputs), scope.take<S>(of_states), maps,
                      scope.take<S>(of_projection)});
  }
  with_cell(b.cell, [&](auto cell) {
    threads.run(groups, [&](int64_t group) {
      const Sums<S>& mine = sums[size_t(group)];
      const Rows rows(b.walk(), group, groups);
      std::fill_n(mine.z, of_maps, S(0));
      if (rows.begin() == rows.end()) {  // otherwise the first window writes over what is there
        std::fill_n(mine.w_ih, of_inputs, S(0));
        std::fill_n(mine.w_hh, of_states, S(0));
        std::fill_n(mine.w_hr, of_projection, S(0));
      }
      if (groups == B)
        OneRowBack<S, cell>(b, packed, mine, width, rows[0], parts).run(threads);
      else if (rows.count() > 0)
        RowsBack<S, cell>(b, packed, mine, width, rows).run();
    });
  });
  write_sums(b, sums, width, threads);
}

}  // namespace jaxseq::JAXSEQ_ISA
