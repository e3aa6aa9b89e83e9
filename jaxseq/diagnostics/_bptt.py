"""Back-propagation through time, taken apart: what each step adds, what truncation leaves out."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._arrays import accumulator
from jaxseq._checks import error
from jaxseq._types import Array, Inputs, Lengths, PyTree, Resets
from jaxseq.cells import Cell
from jaxseq.diagnostics._arguments import check_cell, check_scalar
from jaxseq.sequence import scan, truncated_bptt

Loss = Callable[[Any, Array], Array]
"""``loss(carry, ys) -> scalar``: of what :func:`jaxseq.scan` returns."""


def bptt_terms(
    cell: Cell,
    params: PyTree,
    xs: Inputs,
    loss: Loss,
    *,
    carry: PyTree = None,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
) -> PyTree:
    r"""Returns what each step adds to the gradient by the weights: the terms of the sum over time.

    .. math:: \frac{dL}{d\theta} = \sum_t
        \left( \frac{\partial \mathit{carry}_t}{\partial \theta} \right)^\top
        \frac{dL}{d \, \mathit{carry}_t}

    Each step is given weights of its own, and the gradient by them is taken. That holds a copy of
    the weights for each row and step, so it is for looking, not for training.

    Args:
      cell: any cell.
      params: its weights.
      xs: the inputs, ``[*batch, T, I]``.
      loss: ``(carry, ys) -> scalar``.
      carry: as in :func:`jaxseq.scan`.
      lengths: as in :func:`jaxseq.scan`.
      resets: as in :func:`jaxseq.scan`.

    Returns:
      Like ``params``, each leaf with a leading axis T; the sum over it is the whole gradient. The
      rows of a batch are summed.

    Raises:
      ValueError: if the loss is no scalar, or as in :func:`jaxseq.scan`.
      TypeError: as in :func:`jaxseq.scan`.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> from jaxseq import diagnostics
      >>> cell = jaxseq.elman(1, 1, activation=lambda z: z)
      >>> params = cell.init(jax.random.key(0))._replace(w_hh=jnp.array([[0.5]]))
      >>> last = lambda carry, ys: carry.h.sum()
      >>> terms = diagnostics.bptt_terms(cell, params, jnp.ones((3, 1)), last)
      >>> terms.b_ih[:, 0].tolist()
      [0.25, 0.5, 1.0]

    References:
      Werbos, "Backpropagation Through Time: What It Does and How to Do It", 1990.
    """
    where = "bptt_terms"
    check_cell(where, cell)
    xs = jnp.asarray(xs)
    leaves, structure = jax.tree.flatten(params)
    steps = xs.shape[-2] if xs.ndim > 1 else 0
    wide = _with_own_weights(cell, structure, tuple((x.shape, x.dtype.name) for x in leaves))

    def of(added: list[Array]) -> Array:
        columns = [xs] + [
            jnp.broadcast_to(leaf.reshape(steps, -1), (*xs.shape[:-1], leaf[0].size))
            for leaf in added
        ]
        dtype = functools.reduce(jnp.promote_types, (column.dtype for column in columns))
        inputs = jnp.concatenate([column.astype(dtype) for column in columns], axis=-1)
        out = scan(
            wide,
            params,
            inputs,
            carry=carry,
            lengths=lengths,
            resets=resets,
            backend="reference",
        )
        return check_scalar(where, loss(*out))

    zeros = [jnp.zeros((steps, *leaf.shape), leaf.dtype) for leaf in leaves]
    if not steps:
        return jax.tree.unflatten(structure, zeros)
    return jax.tree.unflatten(structure, jax.grad(of)(zeros))


class TruncationError(NamedTuple):
    """How far gradients of truncated back-propagation are from the whole one.

    Attributes:
      windows: the lengths of the windows, ``[N]``.
      relative: the norm of the difference by the norm of the whole gradient, ``[N]``.
      cosine: of the angle between the two, ``[N]``; 1 is the same direction.

    Example:
      >>> TruncationError._fields
      ('windows', 'relative', 'cosine')
    """

    windows: tuple[int, ...]
    relative: Float[Array, " N"]
    cosine: Float[Array, " N"]


def truncation_error(
    cell: Cell,
    params: PyTree,
    xs: Inputs,
    loss: Loss,
    *,
    windows: Sequence[int],
    carry: PyTree = None,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
) -> TruncationError:
    """Returns how far the gradient of truncated back-propagation through time is from the whole.

    Args:
      cell: any cell.
      params: its weights, by which the gradients are.
      xs: the inputs, ``[*batch, T, I]``.
      loss: ``(carry, ys) -> scalar``.
      windows: lengths to try, as in :func:`jaxseq.truncated_bptt`.
      carry: as in :func:`jaxseq.scan`.
      lengths: as in :func:`jaxseq.scan`.
      resets: as in :func:`jaxseq.scan`.

    Returns:
      A :class:`TruncationError`.

    Raises:
      ValueError: if there is no window, one is not a positive integer, the loss is no scalar, or as
        in :func:`jaxseq.scan`.
      TypeError: as in :func:`jaxseq.scan`.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> from jaxseq import diagnostics
      >>> cell = jaxseq.elman(1, 1, activation=lambda z: z)
      >>> params = cell.init(jax.random.key(0))._replace(w_hh=jnp.array([[0.5]]))
      >>> last = lambda carry, ys: carry.h.sum()
      >>> found = diagnostics.truncation_error(
      ...     cell, params, jnp.ones((8, 1)), last, windows=(1, 2, 4, 8))
      >>> bool((jnp.diff(found.relative) < 0).all()), float(found.relative[-1])
      (True, 0.0)

    References:
      Williams and Peng, "An Efficient Gradient-Based Algorithm for On-Line Training of Recurrent
      Network Trajectories", Neural Computation 2(4), 1990.
    """
    where = "truncation_error"
    if not len(windows):
        raise error(
            where, "`windows` is empty", hint="give the lengths to try, such as (1, 10, 100)"
        )
    options = {"carry": carry, "lengths": lengths, "resets": resets}

    def gradient(window: int | None) -> Array:
        def of(params: PyTree) -> Array:
            if window is None:
                return check_scalar(where, loss(*scan(cell, params, xs, **options)))
            out = truncated_bptt(cell, params, xs, window=window, **options)
            return check_scalar(where, loss(*out))

        leaves = [leaf.reshape(-1) for leaf in jax.tree.leaves(jax.grad(of)(params))]
        return jnp.concatenate([leaf.astype(accumulator(leaf.dtype)) for leaf in leaves])

    whole = gradient(None)
    length = jnp.linalg.norm(whole)
    relative, cosine = [], []
    for window in windows:
        part = gradient(window)
        own = jnp.linalg.norm(part)
        relative.append(jnp.where(length > 0, jnp.linalg.norm(part - whole) / length, 0.0))
        product = jnp.vdot(part, whole)
        cosine.append(jnp.where(length * own > 0, product / (length * own), 0.0))
    return TruncationError(tuple(windows), jnp.stack(relative), jnp.stack(cosine))


@functools.cache
def _with_own_weights(cell: Cell, structure: Any, kinds: tuple[Any, ...]) -> Cell:
    """Returns the cell that reads ``[x, what is added to its weights in this step]``."""
    size = cell.input_size

    def step(params: PyTree, carry: PyTree, x: Array) -> tuple[PyTree, Array]:
        own, at = [], size
        for leaf, (shape, kind) in zip(jax.tree.leaves(params), kinds, strict=True):
            width = math.prod(shape)
            own.append(leaf + x[at : at + width].reshape(shape).astype(kind))
            at += width
        weights = jax.tree.unflatten(structure, own)
        return cell.step(weights, carry, x[:size].astype(own[0].dtype))

    width = sum(math.prod(shape) for shape, _ in kinds)
    return cell._replace(input_size=size + width, step=step, maps=None, unfold=None, linear=None)
