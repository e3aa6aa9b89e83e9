"""The GRU, in its two forms: the reset gate after the recurrent product, or before it."""

import functools
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Float

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
    sigmoid,
    zero_biases,
)
from jaxseq.cells._cell import Cell, Gates, Maps


class GRUParams(NamedTuple):
    """The weights of a GRU; gates in the order r, z, n.

    Attributes:
      w_ih: input to gates, ``[3*H, I]``.
      w_hh: hidden to gates, ``[3*H, H]``.
      b_ih: ``[3*H]``.
      b_hh: ``[3*H]``; its last third, b_hn, stands inside the reset gate's product.

    Example:
      >>> import jax
      >>> from jaxseq.cells import gru
      >>> gru(3, 4).init(jax.random.key(0)).w_hh.shape
      (12, 4)
    """

    w_ih: Float[Array, "GH I"]
    w_hh: Float[Array, "GH H"]
    b_ih: Float[Array, " GH"]
    b_hh: Float[Array, " GH"]


class GRUCarry(NamedTuple):
    """The state of a GRU.

    Attributes:
      h: the hidden state, ``[*batch, H]``.

    Example:
      >>> import jax
      >>> from jaxseq.cells import gru
      >>> cell = gru(3, 4)
      >>> cell.carry(cell.init(jax.random.key(0)), (2,)).h.shape
      (2, 4)
    """

    h: Float[Array, "*batch H"]


def gru_init(
    key: Key, input_size: int, hidden_size: int, *, init: Init = "glorot", dtype: Any = jnp.float32
) -> GRUParams:
    """Returns fresh weights, for both forms of the GRU.

    Args:
      key: a PRNG key.
      input_size: I.
      hidden_size: H.
      init: ``"glorot"``: Glorot-uniform ``w_ih``, orthogonal ``w_hh`` (each gate's block by
        itself), zero biases; ``"torch"``: everything uniform in ±1/sqrt(H).
      dtype: of the weights.

    Returns:
      The weights.

    Example:
      >>> import jax
      >>> gru_init(jax.random.key(0), 3, 1).b_ih.tolist()
      [0.0, 0.0, 0.0]
    """
    gates = 3 * hidden_size
    if init == "torch":
        shapes = ((gates, input_size), (gates, hidden_size), (gates,), (gates,))
        return GRUParams(*init_torch(key, shapes, hidden_size, dtype))
    sizes = (input_size, hidden_size, hidden_size)
    return GRUParams(*init_glorot(key, 3, sizes, dtype), *zero_biases(gates, dtype))


def gru_carry(
    params: GRUParams, batch_shape: tuple[int, ...] = (), *, key: Key | None = None
) -> GRUCarry:
    """Returns the initial state: zeros.

    Args:
      params: the weights, which say how wide and of which dtype.
      batch_shape: leading axes.
      key: not used; zeros need none.

    Returns:
      The carry.

    Example:
      >>> import jax
      >>> gru_carry(gru_init(jax.random.key(0), 3, 2)).h.tolist()
      [0.0, 0.0]
    """
    del key
    return GRUCarry(jnp.zeros((*batch_shape, params.w_hh.shape[1]), params.w_hh.dtype))


def gru_update(z_x: Float[Array, " GH"], z_h: Float[Array, " GH"], carry: GRUCarry) -> GRUCarry:
    r"""Returns the state after a step of the reset-after form, from the two affine maps.

    .. math::
        r &= \sigma(z_{x,r} + z_{h,r}) \\
        z &= \sigma(z_{x,z} + z_{h,z}) \\
        n &= \tanh(z_{x,n} + r \, z_{h,n}) \\
        h_t &= (1 - z) \, n + z \, h_{t-1}

    Args:
      z_x: ``w_ih x + b_ih``.
      z_h: ``w_hh h + b_hh``.
      carry: the state before.

    Returns:
      The carry.

    Example:
      >>> import jax.numpy as jnp
      >>> gru_update(jnp.zeros(3), jnp.zeros(3), GRUCarry(jnp.ones(1))).h.tolist()
      [0.5]
    """
    return _update(_gates(z_x, z_h), carry)


def _gates(z_x: Array, z_h: Array) -> tuple[Array, ...]:
    size = 2 * z_x.size // 3
    r, z = jnp.split(sigmoid(z_x[:size] + z_h[:size]), 2)
    n_x, n_h = z_x[size:], z_h[size:]
    return r, z, jnp.tanh(n_x + r * n_h), n_h


def _gates_tangent(gates: tuple[Array, ...], d_z_x: Array, d_z_h: Array) -> tuple[Array, ...]:
    r, z, n, n_h = gates
    d_r_x, d_z_x, d_n_x = jnp.split(d_z_x, 3)
    d_r_h, d_z_h, d_n_h = jnp.split(d_z_h, 3)
    d_r = r * (1.0 - r) * (d_r_x + d_r_h)
    d_n = (1.0 - n * n) * (d_n_x + d_r * n_h + r * d_n_h)
    return d_r, z * (1.0 - z) * (d_z_x + d_z_h), d_n, d_n_h


def _update(gates: tuple[Array, ...], carry: GRUCarry) -> GRUCarry:
    _, z, n, _ = gates
    h = (1.0 - z) * n + z * carry.h.astype(z.dtype)
    return GRUCarry(h.astype(carry.h.dtype))


def gru_step(
    params: GRUParams, carry: GRUCarry, x: Float[Array, " I"]
) -> tuple[GRUCarry, Float[Array, " H"]]:
    r"""Advances a reset-after GRU by one time step, on one example.

    .. math::
        r &= \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{t-1} + b_{hr}) \\
        z &= \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz}) \\
        n &= \tanh(W_{in} x_t + b_{in} + r \, (W_{hn} h_{t-1} + b_{hn})) \\
        h_t &= (1 - z) \, n + z \, h_{t-1}

    This is what PyTorch and cuDNN compute; the recurrent product does not wait for the gate.

    Args:
      params: the weights, from :func:`gru_init`.
      carry: the state after the previous step.
      x: the input at this step.

    Returns:
      The carry after this step, and the output ``y``, which is ``carry.h``.

    Raises:
      ValueError: if ``x`` is not one input of the size that ``params`` expect.
      TypeError: if ``x`` does not have the dtype of ``params``.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> params = gru_init(jax.random.key(0), 3, 4)
      >>> carry, y = gru_step(params, gru_carry(params), jnp.ones(3))
      >>> y.shape
      (4,)

    References:
      Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
      Translation", 2014; Appleyard, Kocisky and Blunsom, "Optimizing Performance of Recurrent
      Neural Networks on GPUs", 2016 (cuDNN, which resets after the product).
    """
    check_step("gru_step", params, carry.h, x)
    z_x = affine(params.w_ih, params.b_ih, x)
    z_h = affine(params.w_hh, params.b_hh, carry.h)
    carry = gru_update(z_x, z_h, carry)
    return carry, carry.h


def gru_reset_before_step(
    params: GRUParams, carry: GRUCarry, x: Float[Array, " I"]
) -> tuple[GRUCarry, Float[Array, " H"]]:
    r"""Advances a reset-before GRU by one time step, on one example.

    As :func:`gru_step`, but the reset gate acts on the state before the product:

    .. math:: n = \tanh(W_{in} x_t + b_{in} + W_{hn} (r \, h_{t-1}) + b_{hn})

    The two forms are different functions, and no choice of weights turns one into the other. This
    one needs a second product that waits for ``r``, so it has no :class:`Maps`.

    Args:
      params: the weights, from :func:`gru_init`.
      carry: the state after the previous step.
      x: the input at this step.

    Returns:
      The carry after this step, and the output ``y``, which is ``carry.h``.

    Raises:
      ValueError: if ``x`` is not one input of the size that ``params`` expect.
      TypeError: if ``x`` does not have the dtype of ``params``.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> params = gru_init(jax.random.key(0), 3, 4)
      >>> carry, y = gru_reset_before_step(params, gru_carry(params), jnp.ones(3))
      >>> y.shape
      (4,)

    References:
      Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
      Translation", 2014.
    """
    check_step("gru_reset_before_step", params, carry.h, x)
    h, last = carry.h, 2 * params.w_hh.shape[1]
    r_x, z_x, n_x = jnp.split(affine(params.w_ih, params.b_ih, x), 3)
    r_h, z_h = jnp.split(affine(params.w_hh[:last], params.b_hh[:last], h), 2)
    r = sigmoid(r_x + r_h)
    z = sigmoid(z_x + z_h)
    kept = (r * h.astype(r.dtype)).astype(h.dtype)
    n = jnp.tanh(n_x + affine(params.w_hh[last:], params.b_hh[last:], kept))
    h = ((1.0 - z) * n + z * h.astype(z.dtype)).astype(h.dtype)
    return GRUCarry(h), h


@functools.cache
def gru(
    input_size: int, hidden_size: int, *, reset_after: bool = True, init: Init = "glorot"
) -> Cell:
    """Returns a GRU cell.

    Args:
      input_size: I.
      hidden_size: H.
      reset_after: True for the form of PyTorch and cuDNN (:func:`gru_step`), False for that of Cho
        et al. (:func:`gru_reset_before_step`).
      init: ``"glorot"`` or ``"torch"``, as in :func:`gru_init`.

    Returns:
      The cell; its params are :class:`GRUParams`, its carry :class:`GRUCarry`.

    Raises:
      ValueError: if a size is not a positive integer, or ``init`` is unknown.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.gru(3, 4)
      >>> params = cell.init(jax.random.key(0))
      >>> carry, ys = jaxseq.scan(cell, params, jnp.ones((2, 5, 3)))
      >>> ys.shape, carry.h.shape
      ((2, 5, 4), (2, 4))

    References:
      Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
      Translation", 2014.
    """
    check_sizes("gru", input_size=input_size, hidden_size=hidden_size)
    check_init("gru", init)
    return Cell(
        name="gru",
        input_size=input_size,
        output_size=hidden_size,
        init=lambda key, dtype=jnp.float32: gru_init(
            key, input_size, hidden_size, init=init, dtype=dtype
        ),
        carry=gru_carry,
        step=gru_step if reset_after else gru_reset_before_step,
        maps=Maps(
            input_map,
            recurrent_map,
            gru_update,
            additive=2 / 3,
            gates=Gates(_gates, _gates_tangent, _update),
            native="gru",
        )
        if reset_after
        else None,
    )
