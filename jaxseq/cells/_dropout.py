"""Variational dropout: one mask for a whole sequence, on the inputs and on the state."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._checks import check_shape, error
from jaxseq._types import Array, Key
from jaxseq.cells._affine import check_dtype
from jaxseq.cells._cell import Cell, Run, check_cell


class DropoutCarry(NamedTuple):
    """The state of a cell with dropout: that of the cell, and the masks of this sequence.

    Attributes:
      cell: the carry of the cell inside.
      input_mask: ``[*batch, I]``: 0 where an input is dropped, else ``1/(1 - rate)``.
      state_mask: ``[*batch, H]``: the same for the state that the recurrent map reads; ``[*batch,
        0]`` where the state is not dropped.

    Example:
      >>> import jax, jaxseq
      >>> cell = jaxseq.dropout(jaxseq.gru(2, 4), 0.5)
      >>> cell.carry(cell.init(jax.random.key(0))).input_mask.tolist()
      [1.0, 1.0]
    """

    cell: Any
    input_mask: Float[Array, "*batch I"]
    state_mask: Float[Array, "*batch H"]


def dropout_mask(key: Key | None, rate: float, shape: tuple[int, ...], dtype: Any) -> Array:
    """Returns a mask of 0 and ``1/(1 - rate)``, or of ones where there is no key.

    Args:
      key: a PRNG key, or None for evaluation.
      rate: the share of zeros, in [0, 1).
      shape: of the mask.
      dtype: of the mask.

    Returns:
      The mask; its mean is 1 in expectation.

    Example:
      >>> import jax.numpy as jnp
      >>> dropout_mask(None, 0.5, (2,), jnp.float32).tolist()
      [1.0, 1.0]
    """
    if key is None or rate == 0.0:
        return jnp.ones(shape, dtype)
    kept = jax.random.bernoulli(key, 1.0 - rate, shape)
    return jnp.where(kept, jnp.asarray(1.0 / (1.0 - rate), dtype), jnp.asarray(0.0, dtype))


@functools.cache
def dropout(cell: Cell, rate: float, *, state_rate: float = 0.0) -> Cell:
    """Returns the cell with variational dropout: the same units are dropped at every step.

    The masks belong to a sequence, so they live in the carry: ``cell.carry(params, batch_shape,
    key=key)`` draws them, once and outside the loop, and ``cell.carry(params, batch_shape)`` gives
    ones, which is evaluation. A reset in the middle of a row keeps its masks. To go on with a state
    under new masks: ``cell.carry(params, batch_shape, key=key)._replace(cell=old.cell)``.

    The mask on the state acts where the recurrent map reads it; what the carry holds is not masked.

    Args:
      cell: the cell inside.
      rate: of the inputs, in [0, 1).
      state_rate: of the state, in [0, 1); needs a cell that decomposes.

    Returns:
      The cell; params are those of ``cell``, its carry is a :class:`DropoutCarry`.

    Raises:
      ValueError: if a rate is outside [0, 1), or the state of a cell that does not decompose
        is to be dropped.
      TypeError: if ``cell`` is not a cell.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.dropout(jaxseq.lstm(3, 4), 0.5, state_rate=0.25)
      >>> params = cell.init(jax.random.key(0))
      >>> carry = cell.carry(params, (2,), key=jax.random.key(1))
      >>> carry, ys = jaxseq.scan(cell, params, jnp.ones((2, 5, 3)), carry=carry)
      >>> ys.shape, carry.cell.h.shape
      ((2, 5, 4), (2, 4))

    References:
      Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural
      Networks", 2016.
    """
    check_cell("dropout", cell)
    for name, value in (("rate", rate), ("state_rate", state_rate)):
        if not 0.0 <= value < 1.0:
            raise error("dropout", f"`{name}` must be in [0, 1), but it is {value}")
    if state_rate > 0.0 and cell.maps is None:
        raise error(
            "dropout",
            f"`state_rate` needs a cell that decomposes into maps, but {cell.name} does not",
            hint="leave state_rate at 0, or wrap each cell before you stack them",
        )

    name = f"dropout({cell.name})"
    maps = cell.maps if state_rate > 0.0 else None

    def carry(
        params: Any, batch_shape: tuple[int, ...] = (), *, key: Key | None = None
    ) -> DropoutCarry:
        keys = (None, None, None) if key is None else jax.random.split(key, 3)
        inner = cell.carry(params, batch_shape, key=keys[0])
        dtype = jax.tree.leaves(params)[0].dtype
        state_size = inner.h.shape[-1] if state_rate > 0.0 else 0
        return DropoutCarry(
            inner,
            dropout_mask(keys[1], rate, (*batch_shape, cell.input_size), dtype),
            dropout_mask(keys[2], state_rate, (*batch_shape, state_size), dtype),
        )

    def step(params: Any, carry: DropoutCarry, x: Array) -> tuple[DropoutCarry, Array]:
        check_shape(name, "x", x, "(input_size,)", (cell.input_size,))
        check_dtype(name, x, carry.input_mask.dtype)
        x = carry.input_mask * x
        if maps is None:
            inner, y = cell.step(params, carry.cell, x)
            return carry._replace(cell=inner), y
        z_x = maps.input(params, x)
        z_h = maps.recurrent(params, carry.state_mask * carry.cell.h)
        after = maps.update(z_x, z_h, carry.cell, *maps.weights(params))
        inner = maps.output(params, after)
        return carry._replace(cell=inner), inner.h

    def unfold(run: Run, params: Any, carry: DropoutCarry, xs: Array) -> tuple[DropoutCarry, Array]:
        mask = None if maps is None else carry.state_mask
        xs = carry.input_mask[None] * xs
        inner, ys = run(cell, params, carry.cell, xs, state_mask=mask)
        return carry._replace(cell=inner), ys

    def reset(params: Any, carry: DropoutCarry) -> DropoutCarry:
        return carry._replace(cell=cell.reset(params, carry.cell))

    return cell._replace(
        name=name, carry=carry, step=step, reset=reset, maps=None, unfold=unfold, linear=None
    )
