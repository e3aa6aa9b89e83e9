"""What may be given to the functions of this room: checked where users enter."""

import functools
from numbers import Integral
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseq._checks import error, shape_text
from jaxseq._types import Array, PyTree
from jaxseq.cells import Cell
from jaxseq.sequence._schedule import choose_unroll

BACKENDS = ("auto", "associative", "fused", "native", "reference")


class Arguments(NamedTuple):
    """Arguments of a scan after the checks: arrays, and a carry in any case."""

    xs: Array
    carry: PyTree
    lengths: Array | None
    resets: Array | None


def check_arguments(
    where: str, cell: Cell, params: PyTree, xs: Any, carry: PyTree, lengths: Any, resets: Any
) -> Arguments:
    """Returns the arguments as arrays, the carry filled in, or raises in the one voice."""
    if not isinstance(cell, Cell):
        raise error(where, f"`cell` must be a jaxseq.Cell, but it is {cell!r}", kind=TypeError)
    check_tree(where, "params", params, _params_shape(cell), f"{cell.name}: cell.init(key)")
    xs = jnp.asarray(xs)
    if xs.ndim < 2 or xs.shape[-1] != cell.input_size:
        raise error(
            where,
            f"`xs` must have shape (*batch, T, input_size) with input_size = {cell.input_size}, "
            f"but it has shape {shape_text(xs.shape)}",
            hint="one step of one example is cell.step" if xs.ndim < 2 else None,
        )
    batch_shape = xs.shape[:-2]
    expected = jax.eval_shape(lambda p: cell.carry(p, batch_shape), params)
    if carry is None:
        carry = cell.carry(params, batch_shape)
    else:
        hint = f"cell.carry(params, batch_shape={shape_text(batch_shape)})"
        check_tree(where, "carry", carry, expected, hint, dtypes=True)
    if lengths is not None:
        lengths = check_lengths(where, lengths, batch_shape, xs.shape[-2])
    if resets is not None:
        resets = check_resets(where, resets, xs.shape[:-1])
    return Arguments(xs, carry, lengths, resets)


@functools.cache
def _params_shape(cell: Cell) -> PyTree:
    return jax.eval_shape(cell.init, jax.random.key(0))


def check_tree(
    where: str, name: str, tree: PyTree, expected: PyTree, source: str, *, dtypes: bool = False
) -> None:
    """Raises unless ``tree`` has the structure, the shapes and, if asked, the dtypes expected."""
    hint = f"it is what {source} returns"
    if jax.tree.structure(tree) != jax.tree.structure(expected):
        raise error(
            where,
            f"`{name}` must have the structure {jax.tree.structure(expected)}, "
            f"but it has {jax.tree.structure(tree)}",
            hint=hint,
            kind=TypeError,
        )
    leaves = zip(jax.tree.leaves_with_path(tree), jax.tree.leaves(expected), strict=True)
    for (path, leaf), like in leaves:
        label = name + jax.tree_util.keystr(path)
        if np.shape(leaf) != like.shape:
            raise error(
                where,
                f"`{label}` must have shape {shape_text(like.shape)}, "
                f"but it has shape {shape_text(np.shape(leaf))}",
                hint=hint,
            )
        if dtypes and jnp.result_type(leaf) != like.dtype:
            raise error(
                where,
                f"`{label}` must have dtype {like.dtype}, but it has {jnp.result_type(leaf)}",
                hint=hint,
                kind=TypeError,
            )


def check_lengths(where: str, lengths: Any, batch_shape: tuple[int, ...], steps: int) -> Array:
    """Returns ``lengths`` as int32 in ``[0, T]``: refused outside if visible, else clamped."""
    known = None if isinstance(lengths, jax.core.Tracer) else np.asarray(lengths)
    lengths = jnp.asarray(lengths)
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise error(
            where, f"`lengths` must be integers, but they are {lengths.dtype}", kind=TypeError
        )
    if lengths.shape != batch_shape:
        raise error(
            where,
            f"`lengths` must have shape batch = {shape_text(batch_shape)}, one a row of `xs`, "
            f"but it has shape {shape_text(lengths.shape)}",
        )
    if known is not None and known.size and (known.min() < 0 or known.max() > steps):
        raise error(
            where,
            f"`lengths` must lie in [0, T] = [0, {steps}], "
            f"but they range from {known.min()} to {known.max()}",
        )
    if lengths.dtype.itemsize < 4:
        lengths = lengths.astype(jnp.int32)  # an 8-bit dtype would clamp to T modulo 256
    return jnp.clip(lengths, 0, steps).astype(jnp.int32)


def check_resets(where: str, resets: Any, expected: tuple[int, ...]) -> Array:
    """Returns ``resets`` as a boolean array ``[*batch, T]``."""
    resets = jnp.asarray(resets)
    if resets.dtype != jnp.bool_:
        raise error(
            where,
            f"`resets` must be boolean, but it is {resets.dtype}",
            hint="resets[..., t] is true where a new piece begins at step t",
            kind=TypeError,
        )
    if resets.shape != expected:
        raise error(
            where,
            f"`resets` must have shape (*batch, T) = {shape_text(expected)}, "
            f"but it has shape {shape_text(resets.shape)}",
        )
    return resets


def check_backend(where: str, backend: str) -> None:
    """Raises unless ``backend`` is a name of one."""
    if backend not in BACKENDS:
        raise error(
            where,
            f"`backend` must be one of {', '.join(map(repr, BACKENDS))}, but it is {backend!r}",
        )


def remat_window(where: str, remat: int | str | None, steps: int) -> int | None:
    """Returns how many steps lie between the carries that are kept, or None to keep everything."""
    if remat is None:
        return None
    if remat == "sqrt":
        return max(1, round(steps**0.5))
    if isinstance(remat, bool) or not isinstance(remat, Integral) or remat < 1:
        raise error(
            where,
            f'`remat` must be None, "sqrt" or a positive number of steps, but it is {remat!r}',
        )
    return remat


def check_unroll(where: str, unroll: int | None, backend: str) -> int:
    """Returns the steps in one iteration, those that suit the device for None; or raises."""
    if unroll is None:
        return 1 if backend == "reference" else choose_unroll(jax.default_backend())
    check_positive(where, "unroll", unroll)
    return int(unroll)


def check_positive(where: str, name: str, value: int) -> None:
    """Raises unless ``value`` is a positive integer."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise error(where, f"`{name}` must be a positive integer, but it is {value!r}")
