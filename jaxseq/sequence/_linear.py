r"""Linear recurrences over time: an associative scan, or a loop without a product of matrices.

Nothing that multiplies the state or is added to it depends on the state, so all products are made
for all steps at once, and what is left is :math:`h_t = a_t h_{t-1} + b_t`. As one equation of all
steps it is :math:`(1 - A S) h = b`, where S delays by a step: h is the solution of a linear system.
That is how it is differentiated, in every mode and to every order: a tangent solves the same
system, a cotangent the transposed one, which is the same recurrence in the other direction. So the
backward pass is one more scan of the same kind, and the gradient of ``a`` is then made of all steps
at once. What it finds kept is the products, ``a`` and the states.

References:
  Martin and Cundy, "Parallelizing Linear Recurrent Neural Nets Over Sequence Length", 2018;
  Blelloch, "Prefix Sums and Their Applications", 1990.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxseq._types import Array, PyTree
from jaxseq.cells import Cell, zero_carry
from jaxseq.sequence._padding import zero_padding

Number = tuple[Array, ...]
"""The arrays of a carry: real numbers, or the two parts of a complex one."""


class Form(NamedTuple):
    """How a recurrence is solved; static."""

    complex: bool
    constant: bool
    reverse: bool
    associative: bool
    unroll: int

    def times(self, a: Number, h: Number) -> Number:
        """Returns ``a h``."""
        if not self.complex:
            return tuple(map(jnp.multiply, a, h))
        (a_re, a_im), (h_re, h_im) = a, h
        return a_re * h_re - a_im * h_im, a_re * h_im + a_im * h_re

    def conjugate(self, a: Number) -> Number:
        """Returns what the transpose of the map ``h -> a h`` multiplies by."""
        return (a[0], -a[1]) if self.complex else a

    def one(self, a: Number) -> Number:
        """Returns the number 1, like ``a``."""
        if not self.complex:
            return tuple(map(jnp.ones_like, a))
        return jnp.ones_like(a[0]), jnp.zeros_like(a[1])

    def first(self, tree: PyTree) -> PyTree:
        """Returns each leaf at the step that is run first."""
        return jax.tree.map(lambda leaf: leaf[-1 if self.reverse else 0], tree)

    def but_first(self, tree: PyTree) -> PyTree:
        """Returns each leaf without the step that is run first."""
        kept = slice(None, -1) if self.reverse else slice(1, None)
        return jax.tree.map(lambda leaf: leaf[kept], tree)

    def but_last(self, tree: PyTree) -> PyTree:
        """Returns each leaf without the step that is run last."""
        kept = slice(1, None) if self.reverse else slice(None, -1)
        return jax.tree.map(lambda leaf: leaf[kept], tree)

    def begin(self, first: Number, rest: Number) -> Number:
        """Puts a step before all others, in the order of the run."""
        pairs = ((one[None], leaf) for one, leaf in zip(first, rest, strict=True))
        return tuple(jnp.concatenate(pair[::-1] if self.reverse else pair) for pair in pairs)


class Steps(NamedTuple):
    """What is done to the state at each step, time first; a constant ``a`` has axes of size 1."""

    a: Number
    valid: Array | None
    resets: Array | None


def choose(condition: Array, yes: Number, no: Number) -> Number:
    """Returns ``yes`` where ``condition [*axes]`` holds, else ``no``, arrays ``[*axes, ...]``."""

    def leaf(yes, no):
        axes = tuple(range(condition.ndim, no.ndim))
        return jnp.where(jnp.expand_dims(condition, axes), yes, no)

    return tuple(map(leaf, yes, no))


def add(one: Number, other: Number) -> Number:
    """Returns the sum."""
    return tuple(map(jnp.add, one, other))


def zeros(like: Number) -> Number:
    """Returns zeros."""
    return tuple(map(jnp.zeros_like, like))


def move(form: Form, steps: Steps, h: Number) -> Number:
    """Returns ``a h``; 0 where the state begins afresh, and ``h`` in the padding."""
    if steps.resets is not None:
        h = choose(steps.resets, zeros(h), h)
    moved = form.times(steps.a, h)
    return moved if steps.valid is None else choose(steps.valid, moved, h)


def solve_in_order(
    form: Form, steps: Steps, start: Number, b: Number, *, transposed: bool
) -> tuple[Number, Number]:
    """Solves the recurrence, or its transpose, in a loop of elementwise work."""
    each = steps._replace(a=()) if form.constant else steps

    def body(h, step):
        each, b = step
        if form.constant:
            each = each._replace(a=form.first(steps.a))
        if transposed:
            h = add(h, b)
            return move(form, each, h), h
        h = add(move(form, each, h), b)
        return h, h

    last, hs = jax.lax.scan(
        body,
        zeros(start) if transposed else start,
        (each, b),
        reverse=form.reverse != transposed,
        unroll=form.unroll,
    )
    return (add(start, last) if transposed else start), hs


def solve_in_parallel(
    form: Form, steps: Steps, start: Number, b: Number, *, transposed: bool
) -> tuple[Number, Number]:
    """Solves the recurrence, or its transpose, by an associative scan."""
    a, valid, resets = steps
    first = form.first(steps)
    if valid is not None:
        a = choose(valid, a, form.one(a))
    a = tuple(jnp.broadcast_to(leaf, (b[0].shape[0], *leaf.shape[1:])) for leaf in a)
    if transposed:
        # A cotangent comes through the step that was run after; from beyond the last comes none.
        shift = functools.partial(jnp.roll, shift=1 if form.reverse else -1, axis=0)
        a, resets = jax.tree.map(shift, (a, resets))
    else:
        b = form.begin(add(form.first(b), move(form, first, start)), form.but_first(b))

    def compose(early, late):
        (early_reset, early_a, early_b), (reset, a, b) = early, late
        moved = form.times(a, early_b)
        if reset is not None:  # not a product with 0: what is cut off may be infinite
            moved, reset = choose(reset, zeros(moved), moved), early_reset | reset
        return reset, form.times(a, early_a), add(moved, b)

    elements = (resets, a, b)
    _, _, hs = jax.lax.associative_scan(compose, elements, reverse=form.reverse != transposed)
    return (add(start, move(form, first, form.first(hs))) if transposed else start), hs


def tied(form: Form, steps: Steps, start: Number, b: Number) -> tuple[Number, Number]:
    """Returns ``start`` and ``b``, for autodiff functions of ``a`` and of each other.

    JAX transposes a linear solve only if every part of its right side has a tangent, so that
    without ties a gradient with respect to the weights alone would fail. XLA drops what is never
    chosen.
    """
    parts = jax.tree.leaves(form.first((steps.a, start, b)))
    link = jnp.sum(jnp.stack([jnp.sum(part) for part in parts]))
    return jax.tree.map(lambda leaf: jnp.where(False, link.astype(leaf.dtype), leaf), (start, b))


def recurrence(form: Form, steps: Steps, start: Number, b: Number) -> Number:
    """Returns the state after every step, from the one before all."""

    # What is kept is the states and `a`, and not all but a step of each once more.
    @functools.partial(jax.checkpoint, prevent_cse=False)
    def equation(unknown: tuple[Number, Number]) -> tuple[Number, Number]:
        start, hs = unknown
        masks = form.but_first((steps.valid, steps.resets))
        later = Steps(steps.a if form.constant else form.but_first(steps.a), *masks)
        begun = move(form, form.first(steps), start)
        moved = form.begin(begun, move(form, later, form.but_last(hs)))
        return start, tuple(map(jnp.subtract, hs, moved))

    def solve(_: Callable, right: tuple[Number, Number], *, transposed: bool = False):
        by = solve_in_parallel if form.associative else solve_in_order
        turned = steps._replace(a=form.conjugate(steps.a)) if transposed else steps
        return by(form, turned, *right, transposed=transposed)

    right = tied(form, steps, start, b)
    turned = functools.partial(solve, transposed=True)
    return jax.lax.custom_linear_solve(equation, right, solve, turned)[1]


def over(function: Callable, axes: int, in_axes: PyTree, out_axes: PyTree = 0) -> Callable:
    """Maps a function of one example over leading axes."""
    for _ in range(axes):
        function = jax.vmap(function, in_axes, out_axes)
    return function


def coefficients(
    cell: Cell,
    form: Form,
    params: PyTree,
    inputs: tuple[Array, Array | None, Array | None],
    carry: PyTree,
) -> tuple[Steps, Number]:
    """Returns what multiplies the state at each step, and what is then added to it."""
    assert cell.linear is not None  # the choice of the backend saw to it
    xs, valid, resets = inputs
    axes = xs.ndim - 1
    out_axes = (None if form.constant else 0, 0)
    mapped = over(cell.linear.coefficients, axes, (None, 0), out_axes)
    # Kept are the products; gates, and what their derivatives are made of, are computed again.
    mapped = jax.checkpoint(mapped, policy=jax.checkpoint_policies.dots_saveable)
    a, b = (tuple(jax.tree.leaves(tree)) for tree in mapped(params, xs))
    if form.constant:
        a = tuple(jnp.expand_dims(leaf, tuple(range(axes))) for leaf in a)
    if resets is not None and cell.reset is not zero_carry:
        fresh = over(cell.reset, axes - 1, (None, 0))(params, carry)
        fresh = tuple(leaf[None] for leaf in jax.tree.leaves(fresh))
        b = choose(resets, add(b, form.times(a, fresh)), b)
    return Steps(a, valid, resets), b if valid is None else choose(valid, b, zeros(b))


def run_linear(
    cell: Cell,
    params: PyTree,
    carry: PyTree,
    inputs: tuple[Array, Array | None, Array | None],
    *,
    reverse: bool,
    associative: bool,
    unroll: int,
) -> tuple[PyTree, Array]:
    """Runs a cell that is a linear recurrence over whole sequences, time first.

    Args:
      cell: a cell with ``linear``.
      params: its weights.
      carry: the state before the first step, ``[*batch, ...]``.
      inputs: ``xs [T, *batch, I]``, finite in the padding too; ``valid [T, *batch]``, false in the
        padding, or None; ``resets [T, *batch]``, true where the state is ``cell.reset``'s before
        the step and false in the padding, or None.
      reverse: whether the last step is run first.
      associative: by an associative scan, which is of depth log T; else step by step.
      unroll: steps in one iteration of the loop.

    Returns:
      The carry after the last valid step, and the outputs, 0 in the padding.
    """
    xs, valid, _ = inputs
    linear = cell.linear
    assert linear is not None  # the choice of the backend saw to it
    form = Form(linear.complex, linear.constant, reverse, associative, unroll)
    steps, b = coefficients(cell, form, params, inputs, carry)
    leaves, structure = jax.tree.flatten(carry)
    hs = recurrence(form, steps, tuple(leaves), b) if xs.shape[0] else b
    states = jax.tree.unflatten(structure, hs)
    ys = zero_padding(valid, over(linear.read, xs.ndim - 1, (None, 0, 0))(params, states, xs))
    if not xs.shape[0]:
        return carry, ys
    return jax.tree.map(lambda leaf: leaf[0 if reverse else -1], states), ys
