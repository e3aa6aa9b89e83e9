"""The LSTM with peepholes: gates that see the cell state."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._types import Array, Key
from jaxseq.cells._affine import (
    Init,
    affine,
    check_init,
    check_sizes,
    check_step,
    init_torch,
    input_map,
    recurrent_map,
    sigmoid,
)
from jaxseq.cells._cell import Cell, Maps
from jaxseq.cells._lstm import LSTMCarry, LSTMParams, lstm_carry, lstm_init


class PeepholeLSTMParams(NamedTuple):
    """The weights of an LSTM with peepholes; gates in the order i, f, g, o.

    Attributes:
      w_ih: input to gates, ``[4*H, I]``.
      w_hh: hidden to gates, ``[4*H, H]``.
      b_ih: ``[4*H]``.
      b_hh: ``[4*H]``.
      w_c: the peepholes, cell state to the gates i, f, o, ``[3*H]``: three diagonal matrices, since
        a gate sees the cell of its own unit alone.

    Example:
      >>> import jax
      >>> from jaxseq.cells import peephole_lstm
      >>> peephole_lstm(3, 4).init(jax.random.key(0)).w_c.shape
      (12,)
    """

    w_ih: Float[Array, "GH I"]
    w_hh: Float[Array, "GH H"]
    b_ih: Float[Array, " GH"]
    b_hh: Float[Array, " GH"]
    w_c: Float[Array, " 3*H"]


def peephole_lstm_init(
    key: Key,
    input_size: int,
    hidden_size: int,
    *,
    forget_bias: float = 1.0,
    init: Init = "glorot",
    dtype: Any = jnp.float32,
) -> PeepholeLSTMParams:
    """Returns fresh weights.

    Args:
      key: a PRNG key.
      input_size: I.
      hidden_size: H.
      forget_bias: what the forget gate's bias begins at, **in the parameter** ``b_ih``.
      init: as in :func:`lstm_init`. The peepholes begin at zero with ``"glorot"``, so the cell
        begins as the LSTM, and uniform in ±1/sqrt(H) with ``"torch"``.
      dtype: of the weights.

    Returns:
      The weights.

    Example:
      >>> import jax
      >>> peephole_lstm_init(jax.random.key(0), 3, 1).w_c.tolist()
      [0.0, 0.0, 0.0]
    """
    key, key_peepholes = jax.random.split(key)
    params = lstm_init(
        key, input_size, hidden_size, forget_bias=forget_bias, init=init, dtype=dtype
    )
    w_c = jnp.zeros(3 * hidden_size, dtype)
    if init == "torch":
        (w_c,) = init_torch(key_peepholes, ((3 * hidden_size,),), hidden_size, dtype)
    return PeepholeLSTMParams(*params[:4], w_c)


def peephole_lstm_carry(
    params: PeepholeLSTMParams, batch_shape: tuple[int, ...] = (), *, key: Key | None = None
) -> LSTMCarry:
    """Returns the initial state: zeros.

    Args:
      params: the weights, which say how wide and of which dtype.
      batch_shape: leading axes.
      key: not used; zeros need none.

    Returns:
      The carry, ``c`` in float32 or better.

    Example:
      >>> import jax
      >>> peephole_lstm_carry(peephole_lstm_init(jax.random.key(0), 3, 2)).c.tolist()
      [0.0, 0.0]
    """
    return lstm_carry(LSTMParams(*params[:4]), batch_shape, key=key)


def peephole_lstm_update(
    z_x: Float[Array, " GH"],
    z_h: Float[Array, " GH"],
    carry: LSTMCarry,
    w_c: Float[Array, " _"],
) -> LSTMCarry:
    r"""Returns the state after a step, from the two affine maps and the peepholes.

    .. math::
        (i, f, g, o) &= z_x + z_h \\
        c_t &= \sigma(f + p_f c_{t-1}) \, c_{t-1} + \sigma(i + p_i c_{t-1}) \tanh(g) \\
        h_t &= \sigma(o + p_o c_t) \tanh(c_t)

    Args:
      z_x: ``w_ih x + b_ih``.
      z_h: ``w_hh h + b_hh``.
      carry: the state before; of ``h`` only the dtype is read.
      w_c: the peepholes :math:`p_i, p_f, p_o`, ``[3*H]``.

    Returns:
      The carry.

    Example:
      A closed peephole is an LSTM's gate:

      >>> import jax.numpy as jnp
      >>> carry = LSTMCarry(jnp.ones(1), jnp.ones(1))
      >>> peephole_lstm_update(jnp.zeros(4), jnp.zeros(4), carry, jnp.zeros(3)).c.tolist()
      [0.5]
    """
    i, f, g, o = jnp.split(z_x + z_h, 4)
    p_i, p_f, p_o = jnp.split(w_c.astype(carry.c.dtype), 3)
    i = sigmoid(i + p_i * carry.c)
    f = sigmoid(f + p_f * carry.c)
    c = f * carry.c + i * jnp.tanh(g)
    h = sigmoid(o + p_o * c) * jnp.tanh(c)
    return LSTMCarry(h.astype(carry.h.dtype), c)


def peephole_lstm_step(
    params: PeepholeLSTMParams, carry: LSTMCarry, x: Float[Array, " I"]
) -> tuple[LSTMCarry, Float[Array, " H"]]:
    r"""Advances an LSTM with peepholes by one time step, on one example.

    .. math::
        i &= \sigma(W_{ii} x_t + b_{ii} + W_{hi} h_{t-1} + b_{hi} + p_i \, c_{t-1}) \\
        f &= \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf} + p_f \, c_{t-1}) \\
        g &= \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) \\
        c_t &= f \, c_{t-1} + i \, g \\
        o &= \sigma(W_{io} x_t + b_{io} + W_{ho} h_{t-1} + b_{ho} + p_o \, c_t) \\
        h_t &= o \tanh(c_t)

    The output gate looks at the new cell state, the other two at the old one.

    Args:
      params: the weights, from :func:`peephole_lstm_init`.
      carry: the state after the previous step.
      x: the input at this step.

    Returns:
      The carry after this step, and the output ``y``, which is ``carry.h``.

    Raises:
      ValueError: if ``x`` is not one input of the size that ``params`` expect.
      TypeError: if ``x`` does not have the dtype of ``params``.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> params = peephole_lstm_init(jax.random.key(0), 3, 4)
      >>> carry, y = peephole_lstm_step(params, peephole_lstm_carry(params), jnp.ones(3))
      >>> y.shape, carry.c.shape
      ((4,), (4,))

    References:
      Gers and Schmidhuber, "Recurrent Nets that Time and Count", 2000; Gers, Schraudolph and
      Schmidhuber, "Learning Precise Timing with LSTM Recurrent Networks", JMLR 3, 2002.
    """
    check_step("peephole_lstm_step", params, carry.h, x)
    z_x = affine(params.w_ih, params.b_ih, x)
    z_h = affine(params.w_hh, params.b_hh, carry.h)
    carry = peephole_lstm_update(z_x, z_h, carry, params.w_c)
    return carry, carry.h


def _peepholes(params: PeepholeLSTMParams) -> tuple[Array]:
    return (params.w_c,)


@functools.cache
def peephole_lstm(
    input_size: int, hidden_size: int, *, forget_bias: float = 1.0, init: Init = "glorot"
) -> Cell:
    """Returns an LSTM cell with peepholes: its gates see the cell state.

    An LSTM learns from them to count and to time, also while its output gate is closed. There is no
    GRU with peepholes: a GRU has no cell state beside ``h``, and its gates see all of ``h``.

    Args:
      input_size: I.
      hidden_size: H.
      forget_bias: what the forget gate's bias begins at, in the parameter.
      init: ``"glorot"`` or ``"torch"``, as in :func:`peephole_lstm_init`.

    Returns:
      The cell; its params are :class:`PeepholeLSTMParams`, its carry :class:`LSTMCarry`.

    Raises:
      ValueError: if a size is not a positive integer, or ``init`` is unknown.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.peephole_lstm(3, 4)
      >>> params = cell.init(jax.random.key(0))
      >>> carry, ys = jaxseq.scan(cell, params, jnp.ones((2, 5, 3)))
      >>> ys.shape, carry.h.shape, carry.c.shape
      ((2, 5, 4), (2, 4), (2, 4))

    References:
      Gers and Schmidhuber, "Recurrent Nets that Time and Count", 2000; Gers, Schraudolph and
      Schmidhuber, "Learning Precise Timing with LSTM Recurrent Networks", JMLR 3, 2002.
    """
    check_sizes("peephole_lstm", input_size=input_size, hidden_size=hidden_size)
    check_init("peephole_lstm", init)
    return Cell(
        name="peephole_lstm",
        input_size=input_size,
        output_size=hidden_size,
        init=lambda key, dtype=jnp.float32: peephole_lstm_init(
            key, input_size, hidden_size, forget_bias=forget_bias, init=init, dtype=dtype
        ),
        carry=peephole_lstm_carry,
        step=peephole_lstm_step,
        maps=Maps(
            input=input_map,
            recurrent=recurrent_map,
            update=peephole_lstm_update,
            weights=_peepholes,
            additive=1.0,
        ),
    )
