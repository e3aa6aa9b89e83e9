"""The LSTM with layer normalisation."""

import functools
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._types import Array, Key
from jaxseq.cells._affine import Init, check_init, check_sizes, check_step, sigmoid
from jaxseq.cells._cell import Cell, Maps
from jaxseq.cells._layer_norm import check_epsilon, layer_norm, product, recurrent_product
from jaxseq.cells._lstm import LSTMCarry, LSTMParams, lstm_carry, lstm_init


class LayerNormLSTMParams(NamedTuple):
    """The weights of an LSTM with layer normalisation; gates in the order i, f, g, o.

    Attributes:
      w_ih: input to gates, ``[4*H, I]``.
      w_hh: hidden to gates, ``[4*H, H]``.
      b_ih: ``[4*H]``, the bias behind the norm of ``w_ih x``.
      b_hh: ``[4*H]``, the bias behind the norm of ``w_hh h``.
      gain_ih: ``[4*H]``, what the norm of ``w_ih x`` is multiplied by.
      gain_hh: ``[4*H]``, what the norm of ``w_hh h`` is multiplied by.
      gain_c: ``[H]``, what the norm of ``c`` is multiplied by.
      b_c: ``[H]``, the bias behind the norm of ``c``.

    Example:
      >>> import jax
      >>> from jaxseq.cells import layer_norm_lstm
      >>> params = layer_norm_lstm(3, 4).init(jax.random.key(0))
      >>> params.gain_ih.shape, params.gain_c.tolist()
      ((16,), [1.0, 1.0, 1.0, 1.0])
    """

    w_ih: Float[Array, "GH I"]
    w_hh: Float[Array, "GH H"]
    b_ih: Float[Array, " GH"]
    b_hh: Float[Array, " GH"]
    gain_ih: Float[Array, " GH"]
    gain_hh: Float[Array, " GH"]
    gain_c: Float[Array, " H"]
    b_c: Float[Array, " H"]


def layer_norm_lstm_init(
    key: Key,
    input_size: int,
    hidden_size: int,
    *,
    forget_bias: float = 1.0,
    init: Init = "glorot",
    dtype: Any = jnp.float32,
) -> LayerNormLSTMParams:
    """Returns fresh weights: an LSTM's, and every gain 1.

    Args:
      key: a PRNG key.
      input_size: I.
      hidden_size: H.
      forget_bias: what the forget gate's bias begins at, **in the parameter** ``b_ih``.
      init: of ``w_ih``, ``w_hh``, ``b_ih`` and ``b_hh``, as in :func:`lstm_init`.
      dtype: of the weights.

    Returns:
      The weights.

    Example:
      >>> import jax
      >>> params = layer_norm_lstm_init(jax.random.key(0), 3, 1)
      >>> params.b_ih.tolist(), params.gain_hh.tolist()
      ([0.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0])
    """
    params = lstm_init(
        key, input_size, hidden_size, forget_bias=forget_bias, init=init, dtype=dtype
    )
    # Each an array of its own: one buffer cannot be donated twice.
    gain_ih, gain_hh = (jnp.ones(bias.shape, dtype) for bias in (params.b_ih, params.b_hh))
    gain_c, b_c = jnp.ones(hidden_size, dtype), jnp.zeros(hidden_size, dtype)
    return LayerNormLSTMParams(*params[:4], gain_ih, gain_hh, gain_c, b_c)


def layer_norm_lstm_carry(
    params: LayerNormLSTMParams, batch_shape: tuple[int, ...] = (), *, key: Key | None = None
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
      >>> layer_norm_lstm_carry(layer_norm_lstm_init(jax.random.key(0), 3, 2)).c.tolist()
      [0.0, 0.0]
    """
    return lstm_carry(LSTMParams(*params[:4]), batch_shape, key=key)


def layer_norm_lstm_update(
    z_x: Float[Array, " GH"],
    z_h: Float[Array, " GH"],
    carry: LSTMCarry,
    gain_hh: Float[Array, " GH"],
    gain_c: Float[Array, " H"],
    b_c: Float[Array, " H"],
    *,
    epsilon: float = 1e-5,
) -> LSTMCarry:
    r"""Returns the state after a step, from the two maps.

    .. math::
        (i, f, g, o) &= z_x + \mathrm{gain}_{hh} \, \mathrm{norm}(z_h) \\
        c_t &= \sigma(f) c_{t-1} + \sigma(i) \tanh(g) \\
        h_t &= \sigma(o) \tanh(\mathrm{gain}_c \, \mathrm{norm}(c_t) + b_c)

    Args:
      z_x: ``gain_ih norm(w_ih x) + b_ih + b_hh``: what waits for no state.
      z_h: ``w_hh h``, not yet normalised.
      carry: the state before; of ``h`` only the dtype is read.
      gain_hh: of the norm of ``z_h``.
      gain_c: of the norm of ``c``.
      b_c: the bias behind the norm of ``c``.
      epsilon: what is added to a variance.

    Returns:
      The carry; its ``c`` is not normalised.

    Example:
      >>> import jax.numpy as jnp
      >>> carry = LSTMCarry(jnp.ones(1), jnp.ones(1))
      >>> gains = jnp.ones(4), jnp.ones(1), jnp.zeros(1)
      >>> layer_norm_lstm_update(jnp.zeros(4), jnp.ones(4), carry, *gains).c.tolist()
      [0.5]
    """
    i, f, g, o = jnp.split(z_x + layer_norm(z_h, gain_hh, epsilon), 4)
    c = sigmoid(f) * carry.c + sigmoid(i) * jnp.tanh(g)
    h = sigmoid(o) * jnp.tanh(layer_norm(c, gain_c, epsilon) + b_c.astype(c.dtype))
    return LSTMCarry(h.astype(carry.h.dtype), c)


def layer_norm_lstm_step(
    params: LayerNormLSTMParams,
    carry: LSTMCarry,
    x: Float[Array, " I"],
    *,
    epsilon: float = 1e-5,
) -> tuple[LSTMCarry, Float[Array, " H"]]:
    r"""Advances an LSTM with layer normalisation by one time step, on one example.

    .. math::
        (i, f, g, o) &= \mathrm{LN}(W_{ih} x_t; \mathrm{gain}_{ih}, b_{ih})
            + \mathrm{LN}(W_{hh} h_{t-1}; \mathrm{gain}_{hh}, b_{hh}) \\
        c_t &= \sigma(f) \, c_{t-1} + \sigma(i) \tanh(g) \\
        h_t &= \sigma(o) \tanh(\mathrm{LN}(c_t; \mathrm{gain}_c, b_c)) \\
        \mathrm{LN}(z; \mathrm{gain}, b) &= \mathrm{gain} \,
            \frac{z - \mathrm{mean}(z)}{\sqrt{\mathrm{var}(z) + \epsilon}} + b

    The two products are normalised by themselves, each over all 4H units and not gate by gate.

    Args:
      params: the weights, from :func:`layer_norm_lstm_init`.
      carry: the state after the previous step.
      x: the input at this step.
      epsilon: what is added to a variance.

    Returns:
      The carry after this step, and the output ``y``, which is ``carry.h``.

    Raises:
      ValueError: if ``x`` is not one input of the size that ``params`` expect.
      TypeError: if ``x`` does not have the dtype of ``params``.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> params = layer_norm_lstm_init(jax.random.key(0), 3, 4)
      >>> carry, y = layer_norm_lstm_step(params, layer_norm_lstm_carry(params), jnp.ones(3))
      >>> y.shape, carry.c.shape
      ((4,), (4,))

    References:
      Ba, Kiros and Hinton, "Layer Normalization", 2016, supplementary material.
    """
    check_step("layer_norm_lstm_step", params, carry.h, x)
    z_x = _input(params, x, epsilon=epsilon)
    z_h = recurrent_product(params, carry.h)
    carry = layer_norm_lstm_update(z_x, z_h, carry, *_weights(params), epsilon=epsilon)
    return carry, carry.h


def _input(params: LayerNormLSTMParams, x: Array, *, epsilon: float) -> Array:
    z = layer_norm(product(params.w_ih, x), params.gain_ih, epsilon)
    # b_hh stands here because it can: what is added here has its gradient outside the loop.
    return z + params.b_ih.astype(z.dtype) + params.b_hh.astype(z.dtype)


def _weights(params: LayerNormLSTMParams) -> tuple[Array, Array, Array]:
    return params.gain_hh, params.gain_c, params.b_c


@functools.cache
def layer_norm_lstm(
    input_size: int,
    hidden_size: int,
    *,
    forget_bias: float = 1.0,
    epsilon: float = 1e-5,
    init: Init = "glorot",
) -> Cell:
    """Returns an LSTM cell with layer normalisation.

    It is the paper's: ``w_ih x`` and ``w_hh h`` are normalised apart, each over all gates together,
    and ``c`` where the output reads it; the ``c`` that is carried on is not normalised. The LSTM of
    Haste is the same function. The one in PyTorch's benchmarks and that of TensorFlow Addons carry
    the normalised ``c`` on, and TensorFlow's ``LayerNormBasicLSTMCell`` normalises gate by gate.

    Args:
      input_size: I.
      hidden_size: H, at least 2 to be of use: a single number normalised is 0.
      forget_bias: what the forget gate's bias begins at, in the parameter.
      epsilon: what is added to a variance.
      init: ``"glorot"`` or ``"torch"``, as in :func:`layer_norm_lstm_init`.

    Returns:
      The cell; its params are :class:`LayerNormLSTMParams`, its carry :class:`LSTMCarry`.

    Raises:
      ValueError: if a size is not a positive integer, ``epsilon`` is not positive, or ``init`` is
        unknown.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.layer_norm_lstm(3, 4)
      >>> params = cell.init(jax.random.key(0))
      >>> carry, ys = jaxseq.scan(cell, params, jnp.ones((2, 5, 3)))
      >>> ys.shape, carry.h.shape, carry.c.shape
      ((2, 5, 4), (2, 4), (2, 4))

    References:
      Ba, Kiros and Hinton, "Layer Normalization", 2016.
    """
    check_sizes("layer_norm_lstm", input_size=input_size, hidden_size=hidden_size)
    check_epsilon("layer_norm_lstm", epsilon)
    check_init("layer_norm_lstm", init)
    return Cell(
        name="layer_norm_lstm",
        input_size=input_size,
        output_size=hidden_size,
        init=lambda key, dtype=jnp.float32: layer_norm_lstm_init(
            key, input_size, hidden_size, forget_bias=forget_bias, init=init, dtype=dtype
        ),
        carry=layer_norm_lstm_carry,
        step=functools.partial(layer_norm_lstm_step, epsilon=epsilon),
        maps=Maps(
            input=functools.partial(_input, epsilon=epsilon),
            recurrent=recurrent_product,
            update=functools.partial(layer_norm_lstm_update, epsilon=epsilon),
            weights=_weights,
        ),
    )
