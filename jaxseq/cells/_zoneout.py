"""Zoneout: at each step, some units of the state keep their previous value."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int32, UInt32

from jaxseq._checks import error
from jaxseq._types import Array, Key, PyTree
from jaxseq.cells._cell import Cell, check_cell

_EVALUATION = -1  # the step of a carry that was made without a key


class ZoneoutCarry(NamedTuple):
    """The state of a cell with zoneout: that of the cell, and where the row's randomness stands.

    Attributes:
      cell: the carry of the cell inside.
      key: ``[*batch, 2]``, one Threefry key a row, as data.
      step: ``[*batch]``, how many steps are drawn from the key; -1, which no step changes, in
        evaluation.

    Example:
      >>> import jax, jaxseq
      >>> cell = jaxseq.zoneout(jaxseq.gru(2, 4), 0.1)
      >>> params = cell.init(jax.random.key(0))
      >>> cell.carry(params, (3,), key=jax.random.key(1)).step.tolist()
      [0, 0, 0]
    """

    cell: Any
    key: UInt32[Array, "*batch 2"]
    step: Int32[Array, "*batch"]


def _shares(rates: PyTree, carry: ZoneoutCarry) -> PyTree:
    """Returns how much of the state before a step stays, on one example: 0 or 1, or the rate.

    Steps are told apart by folding their number into the key: a mask depends on nothing else, so
    all of them can be drawn before the loop. Uniform numbers are float32 whatever the dtype of the
    state, which makes the masks the same ones in every precision.
    """
    leaves, structure = jax.tree.flatten(carry.cell)
    key = jax.random.wrap_key_data(carry.key, impl="threefry2x32")
    sizes = [leaf.size for leaf in leaves]
    drawn = jax.random.uniform(jax.random.fold_in(key, carry.step), (sum(sizes),), jnp.float32)
    shares = []
    for leaf, rate, uniform in zip(
        leaves, jax.tree.leaves(rates), jnp.split(drawn, np.cumsum(sizes)[:-1]), strict=True
    ):
        stays = (uniform < rate).astype(leaf.dtype).reshape(leaf.shape)
        share = jnp.where(carry.step < 0, jnp.full_like(stays, rate), stays)
        shares.append(share)
    return jax.tree.unflatten(structure, shares)


def _advance(step: Array, steps: Array | int) -> Array:
    """Returns the step counter after so many steps; that of an evaluation stands still."""
    return jnp.where(step < 0, step, step + steps)


def _check(cell: Cell, rate: float, cell_rate: float | None) -> None:
    check_cell("zoneout", cell)
    for name, value in (("rate", rate), ("cell_rate", 0.0 if cell_rate is None else cell_rate)):
        if not 0.0 <= value < 1.0:
            raise error("zoneout", f"`{name}` must be in [0, 1), but it is {value}")
    if cell.maps is None:
        raise error(
            "zoneout",
            f"`cell` must decompose into maps, but {cell.name} does not",
            hint="zone out each cell before you wrap or stack it",
        )
    if cell_rate is not None:
        carry = jax.eval_shape(lambda key: cell.carry(cell.init(key)), jax.random.key(0))
        if len(jax.tree.leaves(carry)) == 1:
            raise error(
                "zoneout",
                f"`cell_rate` needs a cell with a state beside h, but {cell.name} has none",
                hint="leave cell_rate out: rate is that of h",
            )


@functools.cache
def zoneout(cell: Cell, rate: float, *, cell_rate: float | None = None) -> Cell:
    r"""Returns the cell with zoneout: at each step, some units keep their previous value.

    .. math::
        h_t &= d_h h_{t-1} + (1 - d_h) \tilde h_t, \quad d_h \sim \mathrm{Bernoulli}(z_h) \\
        c_t &= d_c c_{t-1} + (1 - d_c) \tilde c_t, \quad d_c \sim \mathrm{Bernoulli}(z_c)

    Here :math:`\tilde h_t, \tilde c_t` is what the cell computes from the state before, and masks
    are drawn anew at each step. ``cell.carry(params, batch_shape, key=key)`` draws a key for each
    row, from which each valid step draws its masks; ``cell.carry(params, batch_shape)`` is
    evaluation, where a step takes their expectations, the rates :math:`z_h, z_c`. A reset in the
    middle of a row does not begin the masks again. To go on with a state under new masks:
    ``cell.carry(params, batch_shape, key=key)._replace(cell=old.cell)``.

    Args:
      cell: the cell inside; it must decompose. The output is its ``h`` after the zoneout.
      rate: :math:`z_h`, the share of ``h`` that stays, in [0, 1).
      cell_rate: :math:`z_c`, that of the state beside ``h``, the ``c`` of an LSTM; None for
        ``rate``. The paper's model of the characters of the Penn Treebank has 0.05 for ``h`` and
        0.5 for ``c``.

    Returns:
      The cell; params are those of ``cell``, its carry is a :class:`ZoneoutCarry`.

    Raises:
      ValueError: if a rate is outside [0, 1), ``cell`` does not decompose, or ``cell_rate`` is
        given for a cell whose state is ``h`` alone.
      TypeError: if ``cell`` is not a cell.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.zoneout(jaxseq.lstm(3, 4), 0.05, cell_rate=0.5)
      >>> params = cell.init(jax.random.key(0))
      >>> carry = cell.carry(params, (2,), key=jax.random.key(1))
      >>> carry, ys = jaxseq.scan(cell, params, jnp.ones((2, 5, 3)), carry=carry)
      >>> ys.shape, carry.step.tolist()
      ((2, 5, 4), [5, 5])

    References:
      Krueger et al., "Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations", 2017.
    """
    _check(cell, rate, cell_rate)
    other_rate = rate if cell_rate is None else cell_rate

    def shares(carry: ZoneoutCarry) -> PyTree:
        rates = jax.tree.map(lambda _: other_rate, carry.cell)._replace(h=rate)
        return _shares(rates, carry)

    def carry(
        params: Any, batch_shape: tuple[int, ...] = (), *, key: Key | None = None
    ) -> ZoneoutCarry:
        keys = (None, None) if key is None else jax.random.split(key)
        inner = cell.carry(params, batch_shape, key=keys[0])
        if keys[1] is None:
            row_keys = jnp.zeros((*batch_shape, 2), jnp.uint32)
            return ZoneoutCarry(inner, row_keys, jnp.full(batch_shape, _EVALUATION, jnp.int32))
        row_keys = jax.random.bits(keys[1], (*batch_shape, 2), jnp.uint32)
        return ZoneoutCarry(inner, row_keys, jnp.zeros(batch_shape, jnp.int32))

    def step(params: Any, carry: ZoneoutCarry, x: Array) -> tuple[ZoneoutCarry, Array]:
        after, _ = cell.step(params, carry.cell, x)
        inner = jax.tree.map(
            lambda share, a, b: share * a + (1.0 - share) * b, shares(carry), carry.cell, after
        )
        return ZoneoutCarry(inner, carry.key, _advance(carry.step, 1)), inner.h

    def unfold(run: Any, params: Any, carry: ZoneoutCarry, xs: Array) -> tuple[ZoneoutCarry, Array]:
        """Draws the masks of all steps at once: what the steps would have drawn one by one."""
        batched = shares
        for _ in range(carry.step.ndim):
            batched = jax.vmap(batched)
        steps = _advance(carry.step[None], run.steps_before)
        hold = jax.vmap(lambda step: batched(carry._replace(step=step)))(steps)
        inner, ys = run(cell, params, carry.cell, xs, hold=hold)
        return ZoneoutCarry(inner, carry.key, _advance(carry.step, run.steps)), ys

    def reset(params: Any, carry: ZoneoutCarry) -> ZoneoutCarry:
        return carry._replace(cell=cell.reset(params, carry.cell))

    return cell._replace(
        name=f"zoneout({cell.name})",
        carry=carry,
        step=step,
        reset=reset,
        maps=None,
        unfold=unfold,
        linear=None,
    )
