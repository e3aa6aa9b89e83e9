"""The minGRU: a GRU whose gate does not read the state, so that time can be run in parallel."""

import functools
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._checks import check_shape
from jaxseq._types import Array, Key
from jaxseq.cells._affine import affine, check_sizes, sigmoid
from jaxseq.cells._cell import Cell
from jaxseq.cells._linear import Linear, check_input, init_gates, zero_state


class MinGRUParams(NamedTuple):
    """The weights of a minGRU; the gate z, then the candidate n.

    Attributes:
      w_ih: input to gates, ``[2*H, I]``.
      b_ih: ``[2*H]``.

    Example:
      >>> import jax
      >>> from jaxseq.cells import min_gru
      >>> min_gru(3, 4).init(jax.random.key(0)).w_ih.shape
      (8, 3)
    """

    w_ih: Float[Array, "GH I"]
    b_ih: Float[Array, " GH"]


class MinGRUCarry(NamedTuple):
    """The state of a minGRU, in float32 or better.

    Attributes:
      h: the hidden state, ``[*batch, H]``.

    Example:
      >>> import jax
      >>> from jaxseq.cells import min_gru
      >>> cell = min_gru(3, 4)
      >>> cell.carry(cell.init(jax.random.key(0)), (2,)).h.shape
      (2, 4)
    """

    h: Float[Array, "*batch H"]


def min_gru_init(
    key: Key, input_size: int, hidden_size: int, *, dtype: Any = jnp.float32
) -> MinGRUParams:
    """Returns fresh weights: Glorot-uniform ``w_ih``, each gate's block by itself, zero biases.

    Args:
      key: a PRNG key.
      input_size: I.
      hidden_size: H.
      dtype: of the weights.

    Returns:
      The weights.

    Example:
      >>> import jax
      >>> min_gru_init(jax.random.key(0), 3, 1).b_ih.tolist()
      [0.0, 0.0]
    """
    w_ih = init_gates(key, 2, (input_size, hidden_size), dtype)
    return MinGRUParams(w_ih, jnp.zeros(2 * hidden_size, dtype))


def min_gru_carry(
    params: MinGRUParams, batch_shape: tuple[int, ...] = (), *, key: Key | None = None
) -> MinGRUCarry:
    """Returns the initial state: zeros.

    Args:
      params: the weights, which say how wide and of which dtype.
      batch_shape: leading axes.
      key: not used; zeros need none.

    Returns:
      The carry.

    Example:
      >>> import jax
      >>> min_gru_carry(min_gru_init(jax.random.key(0), 3, 2)).h.tolist()
      [0.0, 0.0]
    """
    del key
    return MinGRUCarry(zero_state(batch_shape, params.w_ih.shape[0] // 2, params.w_ih.dtype))


def min_gru_coefficients(
    params: MinGRUParams, x: Float[Array, " I"]
) -> tuple[MinGRUCarry, MinGRUCarry]:
    r"""Returns ``(a, b)`` of the recurrence :math:`h_t = a \, h_{t-1} + b`, on one example.

    .. math:: a = 1 - z, \quad b = z \, n

    Args:
      params: the weights.
      x: the input at this step.

    Returns:
      Both, each like the carry.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> a, b = min_gru_coefficients(min_gru_init(jax.random.key(0), 3, 1), jnp.zeros(3))
      >>> a.h.tolist(), b.h.tolist()
      ([0.5], [0.0])
    """
    z, n = jnp.split(affine(params.w_ih, params.b_ih, x), 2)
    z = sigmoid(z)
    return MinGRUCarry(1.0 - z), MinGRUCarry(z * n)


def min_gru_read(
    params: MinGRUParams, carry: MinGRUCarry, x: Float[Array, " I"]
) -> Float[Array, " H"]:
    """Returns the output: the state, in the dtype of the weights."""
    del x
    return carry.h.astype(params.w_ih.dtype)


def min_gru_step(
    params: MinGRUParams, carry: MinGRUCarry, x: Float[Array, " I"]
) -> tuple[MinGRUCarry, Float[Array, " H"]]:
    r"""Advances a minGRU by one time step, on one example.

    .. math::
        z &= \sigma(W_z x_t + b_z) \\
        n &= W_n x_t + b_n \\
        h_t &= (1 - z) \, h_{t-1} + z \, n

    This is the paper's plain form: neither the candidate (its :math:`\tilde h`) nor the state goes
    through the positive function g of its log-space form, so both may be negative. Note that
    ``z`` lets the new in, as in the paper; the ``z`` of :func:`gru_step` keeps the old.

    Args:
      params: the weights, from :func:`min_gru_init`.
      carry: the state after the previous step.
      x: the input at this step.

    Returns:
      The carry after this step, and the output ``y``: ``carry.h`` in the dtype of ``params``.

    Raises:
      ValueError: if ``x`` is not one input of the size that ``params`` expect.
      TypeError: if ``x`` does not have the dtype of ``params``.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> params = min_gru_init(jax.random.key(0), 3, 4)
      >>> carry, y = min_gru_step(params, min_gru_carry(params), jnp.ones(3))
      >>> y.shape
      (4,)

    References:
      Feng et al., "Were RNNs All We Needed?", 2024.
    """
    check_input("min_gru_step", params.w_ih, x)
    size = (params.w_ih.shape[0] // 2,)
    check_shape("min_gru_step", "carry.h", carry.h, "(hidden_size,)", size, hint="see cell.carry")
    a, b = min_gru_coefficients(params, x)
    carry = MinGRUCarry(a.h * carry.h + b.h)
    return carry, min_gru_read(params, carry, x)


@functools.cache
def min_gru(input_size: int, hidden_size: int) -> Cell:
    """Returns a minGRU cell: a linear recurrence, which needs no loop over time.

    Args:
      input_size: I.
      hidden_size: H.

    Returns:
      The cell; its params are :class:`MinGRUParams`, its carry :class:`MinGRUCarry`.

    Raises:
      ValueError: if a size is not a positive integer.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.min_gru(3, 4)
      >>> params = cell.init(jax.random.key(0))
      >>> carry, ys = jaxseq.scan(cell, params, jnp.ones((2, 5, 3)))
      >>> ys.shape, carry.h.shape
      ((2, 5, 4), (2, 4))

    References:
      Feng et al., "Were RNNs All We Needed?", 2024.
    """
    check_sizes("min_gru", input_size=input_size, hidden_size=hidden_size)
    return Cell(
        name="min_gru",
        input_size=input_size,
        output_size=hidden_size,
        init=lambda key, dtype=jnp.float32: min_gru_init(key, input_size, hidden_size, dtype=dtype),
        carry=min_gru_carry,
        step=min_gru_step,
        linear=Linear(min_gru_coefficients, min_gru_read),
    )
