"""The LSTM, with forget gates, and with a projection of its output if asked for."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxseq._arrays import accumulator
from jaxseq._checks import error
from jaxseq._types import Array, Key
from jaxseq.cells._affine import (
    Init,
    affine,
    check_init,
    check_sizes,
    check_step,
    init_glorot,
    init_torch,
    input_map,
    recurrent_map,
)
from jaxseq.cells._cell import Cell, Gates, Maps, no_output_map


class LSTMParams(NamedTuple):
    """The weights of an LSTM; gates in the order i, f, g, o.

    Attributes:
      w_ih: input to gates, ``[4*H, I]``.
      w_hh: hidden to gates, ``[4*H, H]``.
      b_ih: ``[4*H]``.
      b_hh: ``[4*H]``.

    Example:
      >>> import jax
      >>> from jaxseq.cells import lstm
      >>> lstm(3, 4).init(jax.random.key(0)).w_hh.shape
      (16, 4)
    """

    w_ih: Float[Array, "GH I"]
    w_hh: Float[Array, "GH H"]
    b_ih: Float[Array, " GH"]
    b_hh: Float[Array, " GH"]


class LSTMProjParams(NamedTuple):
    """The weights of an LSTM whose hidden state is projected to ``proj_size`` = P.

    Attributes:
      w_ih: input to gates, ``[4*H, I]``.
      w_hh: projected hidden state to gates, ``[4*H, P]``.
      b_ih: ``[4*H]``.
      b_hh: ``[4*H]``.
      w_hr: the projection, ``[P, H]``.

    Example:
      >>> import jax
      >>> from jaxseq.cells import lstm
      >>> lstm(3, 4, proj_size=2).init(jax.random.key(0)).w_hr.shape
      (2, 4)
    """

    w_ih: Float[Array, "GH I"]
    w_hh: Float[Array, "GH P"]
    b_ih: Float[Array, " GH"]
    b_hh: Float[Array, " GH"]
    w_hr: Float[Array, "P H"]


class LSTMCarry(NamedTuple):
    """The state of an LSTM.

    Attributes:
      h: the hidden state, ``[*batch, H]``, or ``[*batch, P]`` with a projection.
      c: the cell state, ``[*batch, H]``, in float32 or better.

    Example:
      >>> import jax
      >>> from jaxseq.cells import lstm
      >>> cell = lstm(3, 4, proj_size=2)
      >>> carry = cell.carry(cell.init(jax.random.key(0)))
      >>> carry.h.shape, carry.c.shape
      ((2,), (4,))
    """

    h: Float[Array, "*batch P"]
    c: Float[Array, "*batch H"]


def lstm_init(
    key: Key,
    input_size: int,
    hidden_size: int,
    *,
    proj_size: int | None = None,
    forget_bias: float = 1.0,
    init: Init = "glorot",
    dtype: Any = jnp.float32,
) -> LSTMParams | LSTMProjParams:
    """Returns fresh weights.

    Args:
      key: a PRNG key.
      input_size: I.
      hidden_size: H.
      proj_size: P, smaller than H; None for no projection.
      forget_bias: what the forget gate's bias begins at, **in the parameter** ``b_ih``.
      init: ``"glorot"``: Glorot-uniform ``w_ih`` and ``w_hr``, orthogonal ``w_hh`` (each gate's
        block by itself), zero biases but for the forget gate; ``"torch"``: everything uniform in
        ±1/sqrt(H), and no forget bias.
      dtype: of the weights.

    Returns:
      The weights.

    Example:
      >>> import jax
      >>> lstm_init(jax.random.key(0), 3, 1).b_ih.tolist()
      [0.0, 1.0, 0.0, 0.0]

    References:
      Gers, Schmidhuber and Cummins, "Learning to Forget", Neural Computation 12(10), 2000;
      Jozefowicz, Zaremba and Sutskever, "An Empirical Exploration of Recurrent Network
      Architectures", 2015 (the forget bias).
    """
    state_size = hidden_size if proj_size is None else proj_size
    gates = 4 * hidden_size
    if init == "torch":
        shapes = ((gates, input_size), (gates, state_size), (gates,), (gates,))
        projection = () if proj_size is None else ((proj_size, hidden_size),)
        weights = init_torch(key, shapes + projection, hidden_size, dtype)
        return LSTMParams(*weights) if proj_size is None else LSTMProjParams(*weights)
    key_gates, key_projection = jax.random.split(key)
    w_ih, w_hh = init_glorot(key_gates, 4, (input_size, hidden_size, state_size), dtype)
    b_ih = jnp.zeros(gates, dtype).at[hidden_size : 2 * hidden_size].set(forget_bias)
    params = LSTMParams(w_ih, w_hh, b_ih, jnp.zeros(gates, dtype))
    if proj_size is None:
        return params
    draw = jax.nn.initializers.glorot_uniform(in_axis=-1, out_axis=-2)
    w_hr = draw(key_projection, (proj_size, hidden_size), accumulator(dtype)).astype(dtype)
    return LSTMProjParams(*params, w_hr)


def lstm_carry(
    params: LSTMParams | LSTMProjParams,
    batch_shape: tuple[int, ...] = (),
    *,
    key: Key | None = None,
) -> LSTMCarry:
    """Returns the initial state: zeros.

    Args:
      params: the weights, which say how wide and of which dtype.
      batch_shape: leading axes.
      key: not used; zeros need none.

    Returns:
      The carry, ``c`` in float32 or better.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> carry = lstm_carry(lstm_init(jax.random.key(0), 3, 2, dtype=jnp.bfloat16))
      >>> carry.h.dtype.name, carry.c.dtype.name
      ('bfloat16', 'float32')
    """
    del key
    dtype = params.w_hh.dtype
    return LSTMCarry(
        h=jnp.zeros((*batch_shape, params.w_hh.shape[1]), dtype),
        c=jnp.zeros((*batch_shape, params.w_hh.shape[0] // 4), accumulator(dtype)),
    )


def lstm_update(z_x: Float[Array, " GH"], z_h: Float[Array, " GH"], carry: LSTMCarry) -> LSTMCarry:
    r"""Returns the state after a step, from the two affine maps.

    .. math::
        (i, f, g, o) &= z_x + z_h \\
        c_t &= \sigma(f) c_{t-1} + \sigma(i) \tanh(g) \\
        h_t &= \sigma(o) \tanh(c_t)

    Args:
      z_x: ``w_ih x + b_ih``.
      z_h: ``w_hh h + b_hh``.
      carry: the state before; of ``h`` only the dtype is read.

    Returns:
      The carry, ``h [H]`` not yet projected.

    Example:
      >>> import jax.numpy as jnp
      >>> lstm_update(jnp.zeros(4), jnp.zeros(4), LSTMCarry(jnp.ones(1), jnp.ones(1))).c.tolist()
      [0.5]
    """
    return _update(_gates(z_x, z_h), carry)


def _gates(z_x: Array, z_h: Array) -> tuple[Array, ...]:
    z = z_x + z_h
    # One tanh over all gates, which lie side by side: sigmoid(z) = (tanh(z / 2) + 1) / 2.
    scale = np.repeat(np.array([0.5, 0.5, 1.0, 0.5], z.dtype), z.size // 4)
    i, f, g, o = jnp.split(jnp.tanh(scale * z), 4)
    return 0.5 * i + 0.5, 0.5 * f + 0.5, g, 0.5 * o + 0.5


def _gates_tangent(gates: tuple[Array, ...], d_z_x: Array, d_z_h: Array) -> tuple[Array, ...]:
    i, f, g, o = gates
    d_i, d_f, d_g, d_o = jnp.split(d_z_x + d_z_h, 4)
    return i * (1.0 - i) * d_i, f * (1.0 - f) * d_f, (1.0 - g * g) * d_g, o * (1.0 - o) * d_o


def _update(gates: tuple[Array, ...], carry: LSTMCarry) -> LSTMCarry:
    i, f, g, o = gates
    c = f * carry.c + i * g
    h = o * jnp.tanh(c)
    return LSTMCarry(h.astype(carry.h.dtype), c)


def lstm_project(params: LSTMProjParams, carry: LSTMCarry) -> LSTMCarry:
    """Returns the carry with its ``h [H]`` projected to ``w_hr h [P]``.

    Args:
      params: the weights.
      carry: the state that :func:`lstm_update` gave.

    Returns:
      The carry, ``h [P]``.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> params = lstm_init(jax.random.key(0), 3, 4, proj_size=2)
      >>> lstm_project(params, LSTMCarry(jnp.ones(4), jnp.ones(4))).h.shape
      (2,)
    """
    h = jnp.dot(params.w_hr, carry.h, preferred_element_type=accumulator(params.w_hr.dtype))
    return carry._replace(h=h.astype(carry.h.dtype))


def lstm_step(
    params: LSTMParams | LSTMProjParams, carry: LSTMCarry, x: Float[Array, " I"]
) -> tuple[LSTMCarry, Float[Array, " O"]]:
    r"""Advances an LSTM by one time step, on one example.

    .. math::
        i &= \sigma(W_{ii} x_t + b_{ii} + W_{hi} h_{t-1} + b_{hi}) \\
        f &= \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf}) \\
        g &= \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) \\
        o &= \sigma(W_{io} x_t + b_{io} + W_{ho} h_{t-1} + b_{ho}) \\
        c_t &= f \, c_{t-1} + i \, g \\
        h_t &= W_{hr} \, (o \tanh(c_t)) \quad (W_{hr} = 1 \text{ without a projection})

    Args:
      params: the weights, from :func:`lstm_init`.
      carry: the state after the previous step.
      x: the input at this step.

    Returns:
      The carry after this step, and the output ``y``, which is ``carry.h``.

    Raises:
      ValueError: if ``x`` is not one input of the size that ``params`` expect.
      TypeError: if ``x`` does not have the dtype of ``params``.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> params = lstm_init(jax.random.key(0), 3, 4)
      >>> carry, y = lstm_step(params, lstm_carry(params), jnp.ones(3))
      >>> y.shape, carry.c.shape
      ((4,), (4,))

    References:
      Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997; Gers,
      Schmidhuber and Cummins, 2000 (the forget gate); Sak, Senior and Beaufays, "Long Short-Term
      Memory Based Recurrent Neural Network Architectures for Large Vocabulary Speech Recognition",
      2014 (the projection).
    """
    check_step("lstm_step", params, carry.h, x)
    z_x = affine(params.w_ih, params.b_ih, x)
    z_h = affine(params.w_hh, params.b_hh, carry.h)
    carry = lstm_update(z_x, z_h, carry)
    if isinstance(params, LSTMProjParams):
        carry = lstm_project(params, carry)
    return carry, carry.h


@functools.cache
def lstm(
    input_size: int,
    hidden_size: int,
    *,
    forget_bias: float = 1.0,
    proj_size: int | None = None,
    init: Init = "glorot",
) -> Cell:
    """Returns an LSTM cell.

    Args:
      input_size: I.
      hidden_size: H.
      forget_bias: what the forget gate's bias begins at, in the parameter.
      proj_size: P: the width that ``h`` is projected to, smaller than H; ``c`` keeps H.
      init: ``"glorot"`` or ``"torch"``, as in :func:`lstm_init`.

    Returns:
      The cell; its params are :class:`LSTMParams` (with a projection :class:`LSTMProjParams`), its
      carry :class:`LSTMCarry`.

    Raises:
      ValueError: if a size is not a positive integer, ``proj_size`` is not smaller than
        ``hidden_size``, or ``init`` is unknown.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.lstm(3, 4, proj_size=2)
      >>> params = cell.init(jax.random.key(0))
      >>> carry, ys = jaxseq.scan(cell, params, jnp.ones((2, 5, 3)))
      >>> ys.shape, carry.h.shape, carry.c.shape
      ((2, 5, 2), (2, 2), (2, 4))

    References:
      Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997.
    """
    check_sizes("lstm", input_size=input_size, hidden_size=hidden_size)
    check_init("lstm", init)
    if proj_size is not None:
        check_sizes("lstm", proj_size=proj_size)
        if proj_size >= hidden_size:
            raise error(
                "lstm",
                f"`proj_size` must be smaller than hidden_size = {hidden_size}, "
                f"but it is {proj_size}",
            )
    return Cell(
        name="lstm",
        input_size=input_size,
        output_size=hidden_size if proj_size is None else proj_size,
        init=lambda key, dtype=jnp.float32: lstm_init(
            key,
            input_size,
            hidden_size,
            proj_size=proj_size,
            forget_bias=forget_bias,
            init=init,
            dtype=dtype,
        ),
        carry=lstm_carry,
        step=lstm_step,
        maps=Maps(
            input=input_map,
            recurrent=recurrent_map,
            update=lstm_update,
            output=no_output_map if proj_size is None else lstm_project,
            additive=1.0,
            gates=Gates(_gates, _gates_tangent, _update),
            native="lstm",
        ),
    )
