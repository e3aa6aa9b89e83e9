"""What the native kernels compute, in ordinary JAX: their specification."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseq._types import Array, PyTree
from jaxseq.cells import (
    ElmanCarry,
    ElmanParams,
    GRUCarry,
    GRUParams,
    LSTMCarry,
    LSTMParams,
    LSTMProjParams,
)
from jaxseq.sequence._fused import Inputs, Loop, Residuals, Shared, run, tangent
from jaxseq.sequence._padding import batch_major, time_major, zero_padding
from jaxseq.sequence._schedule import Schedule

KINDS = ("elman_tanh", "elman_relu", "lstm", "gru")
"""What there is a kernel for; the numbers are those of the library."""
KEPT = {"elman_tanh": 0, "elman_relu": 0, "lstm": 5, "gru": 4}
"""Blocks of H values that the backward pass finds kept of each step, beside the states."""
MULTIPLE = 16
"""A block is as wide as a multiple of this."""


class Problem(NamedTuple):
    """What a kernel is called for; static."""

    kind: str
    loop: Loop

    @property
    def attributes(self) -> dict[str, Any]:
        """What the library is told beside the arrays."""
        return {"cell": np.int64(KINDS.index(self.kind)), "reverse": self.loop.reverse}

    def shared(self, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array, w_hr: Array) -> Shared:
        """Returns the weights as the cell has them."""
        weights = (w_ih, w_hh, b_ih, b_hh)
        if self.kind == "lstm":
            weights = LSTMParams(*weights) if w_hr.ndim == 1 else LSTMProjParams(*weights, w_hr)
        else:
            weights = GRUParams(*weights) if self.kind == "gru" else ElmanParams(*weights)
        return Shared(weights, None)

    def carry(self, h: Array, c: Array) -> PyTree:
        """Returns the state as the cell has it."""
        if self.kind == "lstm":
            return LSTMCarry(h, c)
        return GRUCarry(h) if self.kind == "gru" else ElmanCarry(h)


class Operands(NamedTuple):
    """The arrays of a call, weights first; what is not there is empty.

    A kernel has the time axis of sequences behind that of the rows; loops have it in front, and so
    has what is kept.
    """

    w_ih: Array
    w_hh: Array
    b_ih: Array
    b_hh: Array
    w_hr: Array
    xs: Array
    lengths: Array
    resets: Array
    h: Array
    c: Array

    @property
    def size(self) -> int:
        """H, the width of a gate."""
        return self.c.shape[1]  # a cell without c has an empty one

    @property
    def inputs(self) -> Inputs:
        """What is read at each step, time first, as the fused path reads it."""
        xs = time_major(self.xs, 1)
        resets = time_major(self.resets, 1) if self.resets.ndim == 2 else None
        valid = None
        if self.lengths.size:
            valid = jax.lax.broadcasted_iota(jnp.int32, xs.shape[:2], 0) < self.lengths[None]
        return Inputs(xs, valid, resets, None)


WEIGHTS, OPERANDS = Operands._fields.index("xs"), len(Operands._fields)
RESIDUALS = OPERANDS + 2
"""The operands, the states after each step, and what is kept."""


def width(size: int) -> int:
    """Returns how wide a block of what is kept is."""
    return -(-size // MULTIPLE) * MULTIPLE


def forward_spec(*operands: Array, problem: Problem, keeps: bool) -> tuple[Array, ...]:
    """Returns the states after each step, the last h and c, and what is kept, in ordinary JAX.

    The states, and what is kept, are zeros in the padding.
    """
    given = Operands(*operands)
    loop = problem.loop._replace(states_only=False)
    carry = problem.carry(given.h, given.c)
    schedule = Schedule(hoist=False, window=None)
    shared = problem.shared(*given[:WEIGHTS])
    last, (hs, before) = run(loop, schedule, shared, given.inputs, carry)
    kept = _kept(problem.kind, given, before) if keeps else jnp.zeros(0, hs.dtype)
    hs = zero_padding(given.inputs.valid, hs)
    return batch_major(hs, 1), last.h, getattr(last, "c", given.c), kept


def _kept(kind: str, given: Operands, before: Any) -> Array:
    """Returns what the kernel keeps, from what the fused path does."""
    size, inputs = given.size, given.inputs
    blocks = [*before.gates]
    if kind == "lstm":
        i, f, g, _ = blocks
        blocks.append(f * before.before.c + i * g)
    if not KEPT[kind]:
        return jnp.zeros((*inputs.xs.shape[:2], 0, width(size)), inputs.xs.dtype)
    blocks = [zero_padding(inputs.valid, block) for block in blocks]
    pad = [(0, 0)] * 3 + [(0, width(size) - size)]
    return jnp.pad(jnp.stack(blocks, axis=2), pad)


def _before(problem: Problem, given: Operands, hs: Array, kept: Array) -> PyTree:
    """Returns the state before each step, time first."""
    states = [(given.h, time_major(hs, 1))]
    if problem.kind == "lstm":
        states.append((given.c, kept[:, :, 4, : given.size]))
    _, valid, resets, _ = given.inputs

    def shifted(first, after):
        if valid is not None:  # in reverse a row's padding comes before its steps
            after = jnp.where(valid[..., None], after, first)
        pair = [after[1:], first[None]] if problem.loop.reverse else [first[None], after[:-1]]
        before = jnp.concatenate(pair)[: after.shape[0]]
        return before if resets is None else jnp.where(resets[..., None], 0, before)

    h, *c = (shifted(*pair) for pair in states)
    return problem.carry(h, c[0] if c else given.c)


def tangent_spec(*operands: Array, problem: Problem, inputs: bool) -> tuple[Array, ...]:
    """Returns the tangents of the states after each step and of the last ones: linear in the rest.

    Args:
      operands: those of :func:`forward_spec`, the states after each step, what is kept; and then
        the tangents of the weights, of the inputs if ``inputs``, and of the first h and c.
      problem: what is run.
      inputs: whether the inputs have a tangent.
    """
    given = Operands(*operands[:OPERANDS])
    hs, kept = operands[OPERANDS:RESIDUALS]
    *d_weights, d_xs, d_h, d_c = _with_inputs(operands[RESIDUALS:], given.xs, inputs)
    before = Residuals(_before(problem, given, hs, kept), None)
    d_last, d_hs = tangent(
        problem.loop._replace(states_only=True),
        problem.shared(*given[:WEIGHTS]),
        given.inputs,
        before,
        problem.shared(*d_weights),
        Inputs(time_major(d_xs, 1), None, None, None),
        problem.carry(d_h, d_c),
    )
    d_hs = zero_padding(given.inputs.valid, d_hs)
    return batch_major(d_hs, 1), d_last.h, getattr(d_last, "c", d_c)


def _with_inputs(tangents: Sequence[Array], xs: Array, inputs: bool) -> list[Array]:
    if inputs:
        return [*tangents]
    return [*tangents[:WEIGHTS], jnp.zeros_like(xs), *tangents[WEIGHTS:]]


def backward_spec(*operands: Array, problem: Problem, inputs: bool) -> tuple[Array, ...]:
    """Returns what :func:`tangent_spec` is the transpose of, at three cotangents."""
    residuals, cotangents = operands[:RESIDUALS], operands[RESIDUALS:]
    given = Operands(*residuals[:OPERANDS])
    linear = [*given[:WEIGHTS], *([given.xs] if inputs else []), given.h, given.c]
    run = functools.partial(tangent_spec, *residuals, problem=problem, inputs=inputs)
    return jax.vjp(run, *map(jnp.zeros_like, linear))[1](cotangents)
