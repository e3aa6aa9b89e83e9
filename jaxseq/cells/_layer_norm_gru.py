"""The GRU with layer normalisation."""

import functools
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._types import Array, Key
from jaxseq.cells._affine import Init, check_init, check_sizes, check_step
from jaxseq.cells._cell import Cell, Maps
from jaxseq.cells._gru import GRUCarry, GRUParams, gru_carry, gru_init, gru_update
from jaxseq.cells._layer_norm import check_epsilon, layer_norm, product, recurrent_product


class LayerNormGRUParams(NamedTuple):
    """The weights of a GRU with layer normalisation; gates in the order r, z, n.

    Attributes:
      w_ih: input to gates, ``[3*H, I]``.
      w_hh: hidden to gates, ``[3*H, H]``.
      b_ih: ``[3*H]``, the bias behind the norms of ``w_ih x``.
      b_hh: ``[3*H]``, the bias behind the norms of ``w_hh h``; its last third, b_hn, stands inside
        the reset gate's product.
      gain_ih: ``[3*H]``, what the norms of ``w_ih x`` are multiplied by.
      gain_hh: ``[3*H]``, what the norms of ``w_hh h`` are multiplied by.

    Example:
      >>> import jax
      >>> from jaxseq.cells import layer_norm_gru
      >>> layer_norm_gru(3, 4).init(jax.random.key(0)).gain_ih.shape
      (12,)
    """

    w_ih: Float[Array, "GH I"]
    w_hh: Float[Array, "GH H"]
    b_ih: Float[Array, " GH"]
    b_hh: Float[Array, " GH"]
    gain_ih: Float[Array, " GH"]
    gain_hh: Float[Array, " GH"]


def layer_norm_gru_init(
    key: Key, input_size: int, hidden_size: int, *, init: Init = "glorot", dtype: Any = jnp.float32
) -> LayerNormGRUParams:
    """Returns fresh weights: a GRU's, and every gain 1.

    Args:
      key: a PRNG key.
      input_size: I.
      hidden_size: H.
      init: of ``w_ih``, ``w_hh``, ``b_ih`` and ``b_hh``, as in :func:`gru_init`.
      dtype: of the weights.

    Returns:
      The weights.

    Example:
      >>> import jax
      >>> layer_norm_gru_init(jax.random.key(0), 3, 1).gain_hh.tolist()
      [1.0, 1.0, 1.0]
    """
    params = gru_init(key, input_size, hidden_size, init=init, dtype=dtype)
    # Each an array of its own: one buffer cannot be donated twice.
    gain_ih, gain_hh = (jnp.ones(bias.shape, dtype) for bias in (params.b_ih, params.b_hh))
    return LayerNormGRUParams(*params, gain_ih, gain_hh)


def layer_norm_gru_carry(
    params: LayerNormGRUParams, batch_shape: tuple[int, ...] = (), *, key: Key | None = None
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
      >>> layer_norm_gru_carry(layer_norm_gru_init(jax.random.key(0), 3, 2)).h.tolist()
      [0.0, 0.0]
    """
    return gru_carry(GRUParams(*params[:4]), batch_shape, key=key)


def layer_norm_gru_update(
    z_x: Float[Array, " GH"],
    z_h: Float[Array, " GH"],
    carry: GRUCarry,
    gain_hh: Float[Array, " GH"],
    b_hh: Float[Array, " GH"],
    *,
    epsilon: float = 1e-5,
) -> GRUCarry:
    r"""Returns the state after a step, from the two maps.

    It is that of :func:`gru_update`, with ``gain_hh norm(z_h) + b_hh`` in place of ``z_h``. The
    rows of r and z are normalised together, those of n by themselves.

    Args:
      z_x: ``gain_ih norm(w_ih x) + b_ih``.
      z_h: ``w_hh h``, not yet normalised.
      carry: the state before.
      gain_hh: of the norms of ``z_h``.
      b_hh: the bias behind them.
      epsilon: what is added to a variance.

    Returns:
      The carry.

    Example:
      >>> import jax.numpy as jnp
      >>> carry = GRUCarry(jnp.ones(1))
      >>> layer_norm_gru_update(jnp.zeros(3), jnp.ones(3), carry, jnp.ones(3), jnp.zeros(3))
      GRUCarry(h=Array([0.5], dtype=float32))
    """
    z_h = _norms(z_h, gain_hh, epsilon)
    return gru_update(z_x, z_h + b_hh.astype(z_h.dtype), carry)


def layer_norm_gru_step(
    params: LayerNormGRUParams,
    carry: GRUCarry,
    x: Float[Array, " I"],
    *,
    epsilon: float = 1e-5,
) -> tuple[GRUCarry, Float[Array, " H"]]:
    r"""Advances a GRU with layer normalisation by one time step, on one example.

    .. math::
        (r, z) &= \mathrm{LN}(W_{i,rz} x_t; \mathrm{gain}_{i,rz}, b_{i,rz})
            + \mathrm{LN}(W_{h,rz} h_{t-1}; \mathrm{gain}_{h,rz}, b_{h,rz}) \\
        n &= \tanh(\mathrm{LN}(W_{in} x_t; \mathrm{gain}_{in}, b_{in})
            + \sigma(r) \, \mathrm{LN}(W_{hn} h_{t-1}; \mathrm{gain}_{hn}, b_{hn})) \\
        h_t &= (1 - \sigma(z)) \, n + \sigma(z) \, h_{t-1} \\
        \mathrm{LN}(z; \mathrm{gain}, b) &= \mathrm{gain} \,
            \frac{z - \mathrm{mean}(z)}{\sqrt{\mathrm{var}(z) + \epsilon}} + b

    Args:
      params: the weights, from :func:`layer_norm_gru_init`.
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
      >>> params = layer_norm_gru_init(jax.random.key(0), 3, 4)
      >>> carry, y = layer_norm_gru_step(params, layer_norm_gru_carry(params), jnp.ones(3))
      >>> y.shape
      (4,)

    References:
      Ba, Kiros and Hinton, "Layer Normalization", 2016, supplementary material.
    """
    check_step("layer_norm_gru_step", params, carry.h, x)
    z_x = _input(params, x, epsilon=epsilon)
    z_h = recurrent_product(params, carry.h)
    carry = layer_norm_gru_update(z_x, z_h, carry, *_weights(params), epsilon=epsilon)
    return carry, carry.h


def _norms(z: Array, gain: Array, epsilon: float) -> Array:
    """Normalises the rows of r and z together, and those of n by themselves."""
    last = 2 * (z.shape[0] // 3)
    gates = layer_norm(z[:last], gain[:last], epsilon)
    candidate = layer_norm(z[last:], gain[last:], epsilon)
    return jnp.concatenate([gates, candidate])


def _input(params: LayerNormGRUParams, x: Array, *, epsilon: float) -> Array:
    z = _norms(product(params.w_ih, x), params.gain_ih, epsilon)
    return z + params.b_ih.astype(z.dtype)


def _weights(params: LayerNormGRUParams) -> tuple[Array, Array]:
    return params.gain_hh, params.b_hh


@functools.cache
def layer_norm_gru(
    input_size: int, hidden_size: int, *, epsilon: float = 1e-5, init: Init = "glorot"
) -> Cell:
    """Returns a GRU cell with layer normalisation.

    It is the paper's, and that of its authors' code but for the bias, which they add before the
    norm of ``w_ih x``: the products are normalised apart, r and z together, n by itself, and the
    reset gate acts after the norm. Haste's GRU normalises all three gates together.

    Args:
      input_size: I.
      hidden_size: H, at least 2 to be of use: a single number normalised is 0.
      epsilon: what is added to a variance.
      init: ``"glorot"`` or ``"torch"``, as in :func:`layer_norm_gru_init`.

    Returns:
      The cell; its params are :class:`LayerNormGRUParams`, its carry :class:`GRUCarry`.

    Raises:
      ValueError: if a size is not a positive integer, ``epsilon`` is not positive, or ``init`` is
        unknown.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.layer_norm_gru(3, 4)
      >>> params = cell.init(jax.random.key(0))
      >>> carry, ys = jaxseq.scan(cell, params, jnp.ones((2, 5, 3)))
      >>> ys.shape, carry.h.shape
      ((2, 5, 4), (2, 4))

    References:
      Ba, Kiros and Hinton, "Layer Normalization", 2016.
    """
    check_sizes("layer_norm_gru", input_size=input_size, hidden_size=hidden_size)
    check_epsilon("layer_norm_gru", epsilon)
    check_init("layer_norm_gru", init)
    return Cell(
        name="layer_norm_gru",
        input_size=input_size,
        output_size=hidden_size,
        init=lambda key, dtype=jnp.float32: layer_norm_gru_init(
            key, input_size, hidden_size, init=init, dtype=dtype
        ),
        carry=layer_norm_gru_carry,
        step=functools.partial(layer_norm_gru_step, epsilon=epsilon),
        maps=Maps(
            input=functools.partial(_input, epsilon=epsilon),
            recurrent=recurrent_product,
            update=functools.partial(layer_norm_gru_update, epsilon=epsilon),
            weights=_weights,
        ),
    )
