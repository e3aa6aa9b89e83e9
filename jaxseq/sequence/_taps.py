"""Taps: the states inside every scan of a function, open to a small addition at each step.

A gradient by what is added to a state is the gradient by that state, and it comes out of the same
backward pass, on the same loops, as the gradients of the weights: an addition is a further input of
a cell. :mod:`jaxseq.diagnostics` is made of this.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax
import jax.extend
import jax.numpy as jnp

from jaxseq._checks import error
from jaxseq._types import Array, PyTree
from jaxseq.cells import Cell, Maps, no_output_map


class Tap(NamedTuple):
    """A cell that runs inside a function.

    Attributes:
      cell: its name.
      reverse: whether it runs from the last step to the first.
      states: what can be added: like its carry, each leaf ``[*batch, T, ...]``; None for what is
        no floating-point number.

    Example:
      >>> Tap._fields
      ('cell', 'reverse', 'states')
    """

    cell: str
    reverse: bool
    states: PyTree


def _level() -> Any:
    """Returns what tells a function's own trace from one inside it."""
    return jax.extend.core.get_opaque_trace_state(convention="nnx")


class _Recorder:
    """What a function under taps has run so far, and what is left to be added."""

    def __init__(self, where: str, nudges: tuple[PyTree, ...] | None):
        self.where = where
        self.nudges = nudges
        self.taps: list[Tap] = []
        self.level: Any = None

    def enter(self) -> None:
        self.level = _level()

    def add(self, found: list[Tap]) -> list[PyTree]:
        """Notes the cells of a scan, and returns what to add to their states."""
        if _level() != self.level:
            raise error(
                self.where,
                "there is a jaxseq.scan inside a jit, a vmap or a loop of the function, whose "
                "states have no place of their own out here",
                hint="give the function without its jit, and take the loop apart",
            )
        begin = len(self.taps)
        self.taps += found
        if self.nudges is None:
            return [_zeros(tap.states) for tap in found]
        return list(self.nudges[begin : len(self.taps)])


_ACTIVE: ContextVar[_Recorder | None] = ContextVar("jaxseq_taps", default=None)


@contextlib.contextmanager
def _recording(recorder: _Recorder) -> Iterator[None]:
    token = _ACTIVE.set(recorder)
    try:
        yield
    finally:
        _ACTIVE.reset(token)


def taps(where: str, function: Callable[..., Any], *args: Any) -> tuple[Tap, ...]:
    """Returns the cells that a function runs, in their order; it is traced, and not computed.

    Args:
      where: the function that the user called, for errors.
      function: it calls :func:`jaxseq.scan`, directly or through layers and models.
      *args: its arguments.

    Returns:
      A :class:`Tap` for each cell, with the shapes of its states.

    Raises:
      ValueError: if there is no scan in it, or one inside a jit, a vmap or a loop.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.stack((jaxseq.gru(2, 3), jaxseq.lstm(3, 4)))
      >>> params = cell.init(jax.random.key(0))
      >>> found = taps("example", lambda xs: jaxseq.scan(cell, params, xs), jnp.ones((5, 7, 2)))
      >>> [(tap.cell, tap.states.h.shape) for tap in found]
      [('gru', (5, 7, 3)), ('lstm', (5, 7, 4))]
    """
    recorder = _Recorder(where, None)
    jax.eval_shape(_under(recorder, function), *args)
    if not recorder.taps:
        raise error(
            where,
            "the function runs no jaxseq.scan, so there is no state to look at",
            hint="give a function that runs a cell, a layer or a model of jaxseq, without a jit "
            "inside: what was compiled before is not run again",
        )
    return tuple(recorder.taps)


def nudged(where: str, function: Callable[..., Any], nudges: tuple[PyTree, ...]) -> Callable:
    """Returns the function with something added to its states after each step.

    Args:
      where: the function that the user called, for errors.
      function: as in :func:`taps`.
      nudges: what is added, like the ``states`` of its taps. In the padding nothing is.

    Returns:
      A function of the same arguments.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.elman(1, 1)
      >>> params = jax.tree.map(jnp.zeros_like, cell.init(jax.random.key(0)))
      >>> run = lambda xs: jaxseq.scan(cell, params, xs)[1]
      >>> half = (jaxseq.cells.ElmanCarry(jnp.full((3, 1), 0.5)),)
      >>> nudged("example", run, half)(jnp.ones((3, 1)))[:, 0].tolist()
      [0.5, 0.5, 0.5]
    """
    return _under(_Recorder(where, nudges), function)


def _under(recorder: _Recorder, function: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any) -> Any:
        recorder.taps.clear()
        recorder.enter()
        with _recording(recorder):
            return function(*args)

    return run


def _zeros(states: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), states)


def tapped() -> bool:
    """Returns whether scans of now are under taps."""
    return _ACTIVE.get() is not None


def tap(
    cell: Cell, params: PyTree, xs: Array, carry: PyTree, *, reverse: bool
) -> tuple[Cell, Array]:
    """Returns the cell and the inputs of a scan with what taps add; both as they are without taps.

    Args:
      cell: of the scan.
      params: its weights.
      xs: ``[*batch, T, I]``.
      carry: the state before the first step.
      reverse: whether time runs backward.

    Returns:
      A cell that reads wider inputs, and these.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.elman(1, 1)
      >>> params = cell.init(jax.random.key(0))
      >>> tap(cell, params, jnp.ones((3, 1)), cell.carry(params), reverse=False)[0] is cell
      True
    """
    recorder = _ACTIVE.get()
    if recorder is None:
        return cell, xs
    steps = xs.shape[:-1]
    plan = _plan(cell, params, carry, xs.ndim - 2, xs.dtype)
    found = [
        Tap(leaf.cell.name, reverse, leaf.states(lambda one: (*steps, *one.shape)))
        for leaf in plan.leaves
    ]
    columns = [
        leaf.reshape(*steps, -1) for nudge in recorder.add(found) for leaf in jax.tree.leaves(nudge)
    ]
    return _wide(cell, plan, xs.dtype.name), concatenated([xs, *columns])


def concatenated(arrays: list[Array]) -> Array:
    """Returns arrays side by side along the last axis, in the widest of their dtypes."""
    dtype = functools.reduce(jnp.promote_types, (array.dtype for array in arrays))
    return jnp.concatenate([array.astype(dtype) for array in arrays], axis=-1)


# ------------------------------------------------------------------ which cells, and how wide each


class _Leaf(NamedTuple):
    """A cell that is run as a whole: ``tree`` and ``kinds`` are of the carry of one example."""

    cell: Cell
    tree: Any
    kinds: tuple[tuple[tuple[int, ...], str], ...]

    def states(self, shape: Callable[[Any], tuple[int, ...]]) -> PyTree:
        ones = [jax.ShapeDtypeStruct(*kind) for kind in self.kinds]
        floats = [
            jax.ShapeDtypeStruct(shape(one), one.dtype) if _floating(one) else None for one in ones
        ]
        return jax.tree.unflatten(self.tree, floats)

    @property
    def width(self) -> int:
        return sum(math.prod(shape) for shape, kind in self.kinds if _is_float(kind))


class _Plan(NamedTuple):
    """What a cell is made of: itself, or the cells that it unfolds into."""

    leaves: tuple[_Leaf, ...]
    parts: tuple["_Plan", ...] | None

    @property
    def width(self) -> int:
        return sum(leaf.width for leaf in self.leaves)


def _is_float(kind: str) -> bool:
    return jnp.issubdtype(jnp.dtype(kind), jnp.floating)


def _floating(leaf: Any) -> bool:
    return _is_float(leaf.dtype.name)


def _plan(cell: Cell, params: PyTree, carry: PyTree, batch_axes: int, dtype: Any) -> _Plan:
    """Returns how a cell unfolds, found by unfolding it over one step of nothing."""
    if cell.unfold is not None:
        parts: list[_Plan] | None = []

        class Spy:
            steps_before = jnp.zeros((1,) + _batch(carry, batch_axes), jnp.int32)
            steps = steps_before[0]

            def __call__(self, inner, weights, state, xs, *, state_mask=None, hold=None):
                nonlocal parts
                if hold is not None:
                    parts = None  # what is held back is no more what was added
                if parts is not None:
                    parts.append(_plan(inner, weights, state, batch_axes, xs.dtype))
                return state, jnp.zeros((*xs.shape[:-1], inner.output_size), xs.dtype)

        spy = Spy()
        xs = jnp.zeros((*spy.steps_before.shape, cell.input_size), dtype)
        jax.eval_shape(lambda p, c, x: cell.unfold(spy, p, c, x), params, carry, xs)
        if parts is not None:
            return _Plan(tuple(leaf for part in parts for leaf in part.leaves), tuple(parts))
    leaves, tree = jax.tree.flatten(carry)
    kinds = tuple((leaf.shape[batch_axes:], leaf.dtype.name) for leaf in leaves)
    return _Plan((_Leaf(cell, tree, kinds),), None)


def _batch(carry: PyTree, axes: int) -> tuple[int, ...]:
    return jax.tree.leaves(carry)[0].shape[:axes]


# ------------------------------------------------------------------- cells that read what is added


@functools.cache
def _wide(cell: Cell, plan: _Plan, kind: str) -> Cell:
    """Returns the cell that reads ``[x, what is added to each of its states]``; x has a dtype."""
    if plan.parts is None or cell.unfold is None:
        return _wide_leaf(plan.leaves[0], kind)
    size, parts_of, unfolded = cell.input_size, plan.parts, cell.unfold

    def unfold(run, params, carry, xs):
        parts, at = iter(parts_of), size

        class Feed:
            steps_before = run.steps_before
            steps = run.steps

            def __call__(self, inner, weights, state, inputs, **masks):
                nonlocal at
                part = next(parts)
                own = xs[..., at : at + part.width]
                at += part.width
                wide = concatenated([inputs, own])
                wider = _wide(inner, part, inputs.dtype.name)
                return run(wider, weights, state, wide, **masks)

        return unfolded(Feed(), params, carry, xs[..., :size].astype(kind))

    return cell._replace(
        input_size=size + plan.width, unfold=unfold, maps=None, linear=None, step=_no_step
    )


def _no_step(params: PyTree, carry: PyTree, x: Array) -> Any:
    raise AssertionError("a cell under taps is unfolded")


def _wide_leaf(leaf: _Leaf, kind: str) -> Cell:
    cell, size = leaf.cell, leaf.cell.input_size
    shapes = [jax.ShapeDtypeStruct(*kind) for kind in leaf.kinds if _is_float(kind[1])]

    def add(carry: PyTree, flat: Array) -> PyTree:
        at, found = 0, []
        floats = iter(shapes)
        for state in jax.tree.leaves(carry):
            if _floating(state):
                one = next(floats)
                own = flat[at : at + math.prod(one.shape)].reshape(one.shape)
                at += math.prod(one.shape)
                state = state + own.astype(state.dtype)
            found.append(state)
        return jax.tree.unflatten(leaf.tree, found)

    def step(params: PyTree, carry: PyTree, x: Array) -> tuple[PyTree, Array]:
        own = x[:size].astype(kind)
        after, y = cell.step(params, carry, own)
        moved = add(after, x[size:])
        if cell.linear is not None:
            return moved, cell.linear.read(params, moved, own)
        pairs = zip(jax.tree.leaves(after), jax.tree.leaves(moved), strict=True)
        return moved, next((new for old, new in pairs if old is y), y)

    return cell._replace(
        input_size=size + leaf.width,
        step=step,
        maps=_wide_maps(leaf, kind, add),
        unfold=None,
        linear=None,
    )


def _wide_maps(leaf: _Leaf, kind: str, add: Callable[[PyTree, Array], PyTree]) -> Maps | None:
    """Returns maps that carry what is added past the products, for the fused loop."""
    maps, size, width = leaf.cell.maps, leaf.cell.input_size, leaf.width
    # What is linear after the update would come after what is added; and one array of the maps'
    # values can carry it past the products only if it is of their dtype.
    alike = {name for _, name in leaf.kinds} == {kind}
    if maps is None or maps.output is not no_output_map or not alike:
        return None

    def input_map(params: PyTree, x: Array) -> Array:
        return jnp.concatenate([maps.input(params, x[:size]), x[size:]])

    def recurrent(params: PyTree, h: Array) -> Array:
        z = maps.recurrent(params, h)
        return jnp.concatenate([z, jnp.zeros(width, z.dtype)])

    def update(z_x: Array, z_h: Array, carry: PyTree, *weights: Any) -> PyTree:
        after = maps.update(z_x[:-width], z_h[:-width], carry, *weights)
        return add(after, z_x[-width:] + z_h[-width:])

    return Maps(
        input=input_map,
        recurrent=recurrent,
        update=update,
        weights=maps.weights,
        additive=float(maps.additive == 1),  # a share of the values, of which there are more now
    )
