"""Saturation: gates and units whose activation is flat, so that no gradient passes through it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxseq._checks import error
from jaxseq._types import Array, ArrayLike, Inputs, Lengths, PyTree
from jaxseq.cells import Cell
from jaxseq.diagnostics._arguments import check_cell, check_count
from jaxseq.diagnostics._trajectory import before, states

KNOWN = ("elman", "lstm", "gru")
NAMES = ("input", "forget", "output", "candidate", "reset", "update")


class Saturation(NamedTuple):
    """How saturated the values of one gate or unit are.

    Attributes:
      low: the share of values near the lower bound, by step, ``[T]``; 0 where no row is so long.
      high: the share near the upper bound, ``[T]``.
      counts: the histogram of all valid values, ``[bins]``.
      edges: of its bins, ``[bins + 1]``, from the lower to the upper bound.

    Example:
      >>> Saturation._fields
      ('low', 'high', 'counts', 'edges')
    """

    low: Float[np.ndarray, " T"]
    high: Float[np.ndarray, " T"]
    counts: Int[np.ndarray, " bins"]
    edges: Float[np.ndarray, " bins_and_one"]


def gates(
    cell: Cell,
    params: PyTree,
    xs: Inputs,
    *,
    carry: PyTree = None,
    lengths: Lengths | None = None,
) -> dict[str, Array]:
    """Returns what the gates and units of an Elman, LSTM or GRU cell are at each step.

    Args:
      cell: from :func:`jaxseq.elman`, :func:`jaxseq.lstm` or :func:`jaxseq.gru`.
      params: its weights.
      xs: the inputs, ``[*batch, T, I]``.
      carry: as in :func:`jaxseq.scan`.
      lengths: as in :func:`jaxseq.scan`.

    Returns:
      By name, each ``[*batch, T, H]``: ``input``, ``forget``, ``output`` (in 0..1) and
      ``candidate`` and ``hidden`` (in -1..1) of an LSTM; ``reset``, ``update`` (in 0..1) and
      ``hidden`` of a GRU; ``hidden`` of an Elman cell. In the padding they mean nothing.

    Raises:
      ValueError: if it is another cell.
      TypeError: if ``cell`` is not a cell.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> from jaxseq import diagnostics
      >>> cell = jaxseq.lstm(2, 3)
      >>> params = cell.init(jax.random.key(0))
      >>> found = diagnostics.gates(cell, params, jnp.ones((4, 5, 2)))
      >>> found["forget"].shape, float(found["forget"].mean()) > 0.5  # its bias begins at 1
      ((4, 5, 3), True)

    References:
      Karpathy, Johnson and Fei-Fei, "Visualizing and Understanding Recurrent Networks", 2015.
    """
    where = "gates"
    check_cell(where, cell)
    if cell.name not in KNOWN:
        raise error(
            where,
            f"the gates of {cell.name} are not known; those of {', '.join(KNOWN)} are",
            hint="of a stack or a wrapper, give the cell inside with its own params and inputs",
        )
    xs = jnp.asarray(xs)
    after = states(cell, params, xs, carry=carry, lengths=lengths)
    found = {"hidden": after.h}
    if cell.name == "elman":
        return found
    earlier = before(cell, params, after, xs.shape[:-2], carry).h
    of = _split_lstm if cell.name == "lstm" else _split_gru
    for _ in range(xs.ndim - 1):
        of = jax.vmap(of, in_axes=(None, 0, 0))
    made = of(params, xs, earlier)  # mapped, a dict has lost its order
    return {name: made[name] for name in NAMES if name in made} | found


def saturation(
    values: Float[ArrayLike, "*batch T H"],
    *,
    bounds: tuple[float, float],
    margin: float = 0.05,
    lengths: Lengths | None = None,
    bins: int = 50,
) -> Saturation:
    """Returns how often values are near their bounds, step by step, and their histogram.

    Args:
      values: of a gate or of units, ``[*batch, T, H]``, as from :func:`gates`.
      bounds: the least and the greatest value that there can be: (0, 1) of a sigmoid, (-1, 1) of a
        tanh.
      margin: near is within this share of the distance between the bounds.
      lengths: how many steps of each row are valid, ``[*batch]``.
      bins: of the histogram.

    Returns:
      A :class:`Saturation`, on the host.

    Raises:
      ValueError: if the bounds are not in order, ``margin`` is not between 0 and 0.5, ``bins`` is
        not positive, or the values have no axes of time and units.

    Example:
      >>> import jax.numpy as jnp
      >>> values = jnp.array([[0.01, 0.5], [0.99, 0.98]])
      >>> found = saturation(values, bounds=(0.0, 1.0), bins=2)
      >>> found.low.tolist(), found.high.tolist(), found.counts.tolist()
      ([0.5, 0.0], [0.0, 1.0], [1, 3])

    References:
      Glorot and Bengio, "Understanding the Difficulty of Training Deep Feedforward Neural
      Networks", 2010.
    """
    where = "saturation"
    least, most = bounds
    if not least < most:
        raise error(where, f"`bounds` must be in order, but they are {bounds}")
    if not 0.0 < margin < 0.5:
        raise error(where, f"`margin` must be between 0 and 0.5, but it is {margin}")
    check_count(where, "bins", bins)
    array = np.asarray(values, np.float64)
    if array.ndim < 2:
        problem = f"`values` must have shape (*batch, T, H), but it has shape {array.shape}"
        raise error(where, problem)
    valid = np.ones(array.shape[:-1], bool)
    if lengths is not None:
        valid = np.arange(array.shape[-2]) < np.asarray(lengths)[..., None]
    array = np.where(valid[..., None], array, np.nan)
    width = margin * (most - least)
    rows = array.reshape(-1, *array.shape[-2:])
    # NaN compares false, so the padding is near no bound.
    number = np.maximum(valid.reshape(-1, array.shape[-2]).sum(0) * array.shape[-1], 1)
    low = (rows < least + width).sum((0, 2)) / number
    high = (rows > most - width).sum((0, 2)) / number
    counts, edges = np.histogram(array[valid], bins=bins, range=(least, most))
    return Saturation(low, high, counts, edges)


def _sigmoid_of(z: Array, names: tuple[str, ...]) -> dict[str, Array]:
    return dict(zip(names, jnp.split(jax.nn.sigmoid(z), len(names)), strict=True))


def _split_lstm(params: Any, x: Array, h: Array) -> dict[str, Array]:
    z = params.w_ih @ x + params.b_ih + params.w_hh @ h + params.b_hh
    i, f, g, o = jnp.split(z, 4)
    gates = _sigmoid_of(jnp.concatenate([i, f, o]), ("input", "forget", "output"))
    return gates | {"candidate": jnp.tanh(g)}


def _split_gru(params: Any, x: Array, h: Array) -> dict[str, Array]:
    size = 2 * h.size
    z = params.w_ih[:size] @ x + params.b_ih[:size] + params.w_hh[:size] @ h + params.b_hh[:size]
    return _sigmoid_of(z, ("reset", "update"))
