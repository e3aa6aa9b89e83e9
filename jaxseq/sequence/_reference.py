"""The specification: a plain ``lax.scan`` over the vmapped cell, with the padding contract."""

import functools

import jax

from jaxseq._types import Array, PyTree
from jaxseq.cells import Cell
from jaxseq.sequence._padding import select, zero_padding


def padded_step(
    cell: Cell, params: PyTree, carry: PyTree, inputs: tuple[Array, Array | None, Array | None]
) -> tuple[PyTree, Array]:
    """Advances one example by one step, which may be a fresh start, and may be padding."""
    x, valid, reset = inputs
    if reset is not None:
        carry = select(reset, cell.reset(params, carry), carry)
    after, y = cell.step(params, carry, x)
    if valid is None:
        return after, y
    return select(valid, after, carry), zero_padding(valid, y)


def run_reference(
    cell: Cell,
    params: PyTree,
    carry: PyTree,
    inputs: tuple[Array, Array | None, Array | None],
    *,
    reverse: bool,
    unroll: int,
) -> tuple[PyTree, Array]:
    """Runs ``cell`` over ``(xs, valid, resets)``, time first."""
    step = functools.partial(padded_step, cell)
    for _ in range(inputs[0].ndim - 2):
        step = jax.vmap(step, in_axes=(None, 0, 0))
    step = functools.partial(step, params)
    return jax.lax.scan(step, carry, inputs, reverse=reverse, unroll=unroll)
