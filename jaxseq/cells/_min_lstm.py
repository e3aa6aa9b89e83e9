"""The minLSTM: an LSTM whose gates do not read the state, so that time can be run in parallel."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._checks import check_shape
from jaxseq._types import Array, Key
from jaxseq.cells._affine import affine, check_sizes, sigmoid
from jaxseq.cells._cell import Cell
from jaxseq.cells._linear import Linear, check_input, init_gates, zero_state


class MinLSTMParams(NamedTuple):
    """The weights of a minLSTM; the gates i and f, then the candidate g.

    Attributes:
      w_ih: input to gates, ``[3*H, I]``.
      b_ih: ``[3*H]``.

    Example:
      >>> import jax
      >>> from jaxseq.cells import min_lstm
      >>> min_lstm(3, 4).init(jax.random.key(0)).w_ih.shape
      (12, 3)
    """

    w_ih: Float[Array, "GH I"]
    b_ih: Float[Array, " GH"]


class MinLSTMCarry(NamedTuple):
    """The state of a minLSTM, in float32 or better.

    Attributes:
      h: the hidden state, ``[*batch, H]``.

    Example:
      >>> import jax
      >>> from jaxseq.cells import min_lstm
      >>> cell = min_lstm(3, 4)
      >>> cell.carry(cell.init(jax.random.key(0)), (2,)).h.shape
      (2, 4)
    """

    h: Float[Array, "*batch H"]


def min_lstm_init(
    key: Key,
    input_size: int,
    hidden_size: int,
    *,
    forget_bias: float = 1.0,
    dtype: Any = jnp.float32,
) -> MinLSTMParams:
    """Returns fresh weights: Glorot-uniform ``w_ih``, each gate's block by itself.

    Args:
      key: a PRNG key.
      input_size: I.
      hidden_size: H.
      forget_bias: what the forget gate's bias begins as; the other biases are 0.
      dtype: of the weights.

    Returns:
      The weights.

    Example:
      >>> import jax
      >>> min_lstm_init(jax.random.key(0), 3, 1).b_ih.tolist()
      [0.0, 1.0, 0.0]
    """
    w_ih = init_gates(key, 3, (input_size, hidden_size), dtype)
    b_ih = jnp.zeros(3 * hidden_size, dtype).at[hidden_size : 2 * hidden_size].set(forget_bias)
    return MinLSTMParams(w_ih, b_ih)


def min_lstm_carry(
    params: MinLSTMParams, batch_shape: tuple[int, ...] = (), *, key: Key | None = None
) -> MinLSTMCarry:
    """Returns the initial state: zeros.

    Args:
      params: the weights, which say how wide and of which dtype.
      batch_shape: leading axes.
      key: not used; zeros need none.

    Returns:
      The carry.

    Example:
      >>> import jax
      >>> min_lstm_carry(min_lstm_init(jax.random.key(0), 3, 2)).h.tolist()
      [0.0, 0.0]
    """
    del key
    return MinLSTMCarry(zero_state(batch_shape, params.w_ih.shape[0] // 3, params.w_ih.dtype))


def min_lstm_coefficients(
    params: MinLSTMParams, x: Float[Array, " I"]
) -> tuple[MinLSTMCarry, MinLSTMCarry]:
    r"""Returns ``(a, b)`` of the recurrence :math:`h_t = a \, h_{t-1} + b`, on one example.

    .. math::
        a = \frac{f}{f + i} = \sigma(\log f - \log i), \quad b = \frac{i}{f + i} \, g

    The sigmoid of the difference of logarithms is never 0 / 0, however closed both gates are.

    Args:
      params: the weights.
      x: the input at this step.

    Returns:
      Both, each like the carry.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> params = min_lstm_init(jax.random.key(0), 3, 1, forget_bias=0.0)
      >>> a, b = min_lstm_coefficients(params, jnp.zeros(3))
      >>> a.h.tolist(), b.h.tolist()
      ([0.5], [0.0])
    """
    i, f, g = jnp.split(affine(params.w_ih, params.b_ih, x), 3)
    # log f - log i, each the logarithm of a sigmoid.
    f = sigmoid(jax.nn.softplus(-i) - jax.nn.softplus(-f))
    return MinLSTMCarry(f), MinLSTMCarry((1.0 - f) * g)


def min_lstm_read(
    params: MinLSTMParams, carry: MinLSTMCarry, x: Float[Array, " I"]
) -> Float[Array, " H"]:
    """Returns the output: the state, in the dtype of the weights."""
    del x
    return carry.h.astype(params.w_ih.dtype)


def min_lstm_step(
    params: MinLSTMParams, carry: MinLSTMCarry, x: Float[Array, " I"]
) -> tuple[MinLSTMCarry, Float[Array, " H"]]:
    r"""Advances a minLSTM by one time step, on one example.

    .. math::
        i &= \sigma(W_i x_t + b_i) \\
        f &= \sigma(W_f x_t + b_f) \\
        g &= W_g x_t + b_g \\
        h_t &= \frac{f}{f + i} \, h_{t-1} + \frac{i}{f + i} \, g

    The two gates are normalised to a sum of 1, so that the scale of the state does not depend on
    the length. This is the paper's plain form: neither the candidate g (its :math:`\tilde h`) nor
    the state is made positive, as in its log-space form.

    Args:
      params: the weights, from :func:`min_lstm_init`.
      carry: the state after the previous step.
      x: the input at this step.

    Returns:
      The carry after this step, and the output ``y``: ``carry.h`` in the dtype of ``params``.

    Raises:
      ValueError: if ``x`` is not one input of the size that ``params`` expect.
      TypeError: if ``x`` does not have the dtype of ``params``.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> params = min_lstm_init(jax.random.key(0), 3, 4)
      >>> carry, y = min_lstm_step(params, min_lstm_carry(params), jnp.ones(3))
      >>> y.shape
      (4,)

    References:
      Feng et al., "Were RNNs All We Needed?", 2024.
    """
    check_input("min_lstm_step", params.w_ih, x)
    size = (params.w_ih.shape[0] // 3,)
    check_shape("min_lstm_step", "carry.h", carry.h, "(hidden_size,)", size, hint="see cell.carry")
    a, b = min_lstm_coefficients(params, x)
    carry = MinLSTMCarry(a.h * carry.h + b.h)
    return carry, min_lstm_read(params, carry, x)


@functools.cache
def min_lstm(input_size: int, hidden_size: int, *, forget_bias: float = 1.0) -> Cell:
    """Returns a minLSTM cell: a linear recurrence, which needs no loop over time.

    Args:
      input_size: I.
      hidden_size: H.
      forget_bias: what the forget gate's bias begins as, in the parameter.

    Returns:
      The cell; its params are :class:`MinLSTMParams`, its carry :class:`MinLSTMCarry`.

    Raises:
      ValueError: if a size is not a positive integer.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.min_lstm(3, 4)
      >>> params = cell.init(jax.random.key(0))
      >>> carry, ys = jaxseq.scan(cell, params, jnp.ones((2, 5, 3)))
      >>> ys.shape, carry.h.shape
      ((2, 5, 4), (2, 4))

    References:
      Feng et al., "Were RNNs All We Needed?", 2024.
    """
    check_sizes("min_lstm", input_size=input_size, hidden_size=hidden_size)
    return Cell(
        name="min_lstm",
        input_size=input_size,
        output_size=hidden_size,
        init=lambda key, dtype=jnp.float32: min_lstm_init(
            key, input_size, hidden_size, forget_bias=forget_bias, dtype=dtype
        ),
        carry=min_lstm_carry,
        step=min_lstm_step,
        linear=Linear(min_lstm_coefficients, min_lstm_read),
    )
