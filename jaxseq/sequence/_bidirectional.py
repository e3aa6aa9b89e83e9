"""Both directions of time, side by side."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxseq._checks import error
from jaxseq._types import Array, Inputs, Lengths, Resets
from jaxseq.cells import Cell
from jaxseq.sequence._scan import scan


class Directions(NamedTuple):
    """A pair, one for each direction of time: of params, or of carries.

    Attributes:
      forward: that of the direction from the first step to the last.
      backward: that of the direction from the last valid step to the first.

    Example:
      >>> import jax, jaxseq
      >>> cell = jaxseq.gru(3, 4)
      >>> keys = jax.random.split(jax.random.key(0))
      >>> params = jaxseq.Directions(cell.init(keys[0]), cell.init(keys[1]))
      >>> params.backward.w_ih.shape
      (12, 3)
    """

    forward: Any
    backward: Any


def bidirectional(
    cell: Cell,
    params: Directions,
    xs: Inputs,
    *,
    carry: Directions | None = None,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    backend: str = "auto",
    remat: int | str | None = None,
    unroll: int = 1,
) -> tuple[Directions, Array]:
    """Runs a cell over time in both directions, which share no parameters.

    The backward direction of each row starts at the row's own last valid step. Everything of
    :func:`scan` holds for each direction by itself.

    Args:
      cell: run in both directions.
      params: a :class:`Directions` of its weights.
      xs: the inputs, ``[*batch, T, I]``.
      carry: a :class:`Directions` of initial states: ``forward`` before the first step,
        ``backward`` before the last valid one.
      lengths: as in :func:`scan`.
      resets: as in :func:`scan`: where pieces begin, for both directions the same.
      backend: as in :func:`scan`.
      remat: as in :func:`scan`.
      unroll: as in :func:`scan`.

    Returns:
      A :class:`Directions` of final states (that of ``backward`` is the one after step 0), and the
      outputs ``[*batch, T, 2*O]``, forward first.

    Raises:
      TypeError: if ``params`` or ``carry`` is not a :class:`Directions`; and all of :func:`scan`.
      ValueError: all of :func:`scan`.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.gru(3, 4)
      >>> params = jaxseq.Directions(*map(cell.init, jax.random.split(jax.random.key(0))))
      >>> xs = jnp.ones((2, 5, 3))
      >>> carry, ys = jaxseq.bidirectional(cell, params, xs, lengths=jnp.array([5, 2]))
      >>> ys.shape, carry.backward.h.shape
      ((2, 5, 8), (2, 4))
      >>> bool((carry.backward.h == ys[:, 0, 4:]).all())
      True

    References:
      Schuster and Paliwal, "Bidirectional Recurrent Neural Networks", IEEE Transactions on Signal
      Processing 45(11), 1997.
    """
    for name, value in (("params", params), ("carry", carry)):
        if not isinstance(value, Directions) and not (name == "carry" and value is None):
            raise error(
                "bidirectional",
                f"`{name}` must be a jaxseq.Directions(forward, backward), "
                f"but it is a {type(value).__name__}",
                kind=TypeError,
            )
    carry = Directions(None, None) if carry is None else carry
    carries, outputs = [], []
    for reverse, weights, state in zip((False, True), params, carry, strict=True):
        state, ys = scan(
            cell,
            weights,
            xs,
            carry=state,
            lengths=lengths,
            resets=resets,
            reverse=reverse,
            backend=backend,
            remat=remat,
            unroll=unroll,
        )
        carries.append(state)
        outputs.append(ys)
    return Directions(*carries), jnp.concatenate(outputs, axis=-1)
