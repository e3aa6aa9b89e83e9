"""The Elman network: the textbook's plain recurrent cell."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._types import Activation, Array, Key
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
    zero_biases,
)
from jaxseq.cells._cell import Cell, Gates, Maps


class ElmanParams(NamedTuple):
    """The weights of an Elman cell.

    Attributes:
      w_ih: input to hidden, ``[H, I]``.
      w_hh: hidden to hidden, ``[H, H]``.
      b_ih: ``[H]``.
      b_hh: ``[H]``.

    Example:
      >>> import jax
      >>> from jaxseq.cells import elman
      >>> elman(3, 4).init(jax.random.key(0)).w_ih.shape
      (4, 3)
    """

    w_ih: Float[Array, "H I"]
    w_hh: Float[Array, "H H"]
    b_ih: Float[Array, " H"]
    b_hh: Float[Array, " H"]


class ElmanCarry(NamedTuple):
    """The state of an Elman cell.

    Attributes:
      h: the hidden state, ``[*batch, H]``.

    Example:
      >>> import jax
      >>> from jaxseq.cells import elman
      >>> cell = elman(3, 4)
      >>> cell.carry(cell.init(jax.random.key(0)), (2,)).h.shape
      (2, 4)
    """

    h: Float[Array, "*batch H"]


def elman_init(
    key: Key, input_size: int, hidden_size: int, *, init: Init = "glorot", dtype: Any = jnp.float32
) -> ElmanParams:
    """Returns fresh weights.

    Args:
      key: a PRNG key.
      input_size: I.
      hidden_size: H.
      init: ``"glorot"``: Glorot-uniform ``w_ih``, orthogonal ``w_hh``, zero biases; ``"torch"``:
        everything uniform in ±1/sqrt(H).
      dtype: of the weights.

    Returns:
      The weights.

    Example:
      >>> import jax
      >>> params = elman_init(jax.random.key(0), 3, 4)
      >>> params.b_hh.tolist()
      [0.0, 0.0, 0.0, 0.0]

    References:
      Glorot and Bengio, "Understanding the Difficulty of Training Deep Feedforward Neural
      Networks", 2010; Saxe, McClelland and Ganguli, "Exact Solutions to the Nonlinear Dynamics of
      Learning in Deep Linear Neural Networks", 2014.
    """
    sizes = (input_size, hidden_size, hidden_size)
    if init == "torch":
        shapes = (
            (hidden_size, input_size),
            (hidden_size, hidden_size),
            (hidden_size,),
            (hidden_size,),
        )
        return ElmanParams(*init_torch(key, shapes, hidden_size, dtype))
    return ElmanParams(*init_glorot(key, 1, sizes, dtype), *zero_biases(hidden_size, dtype))


def elman_carry(
    params: ElmanParams, batch_shape: tuple[int, ...] = (), *, key: Key | None = None
) -> ElmanCarry:
    """Returns the initial state: zeros.

    Args:
      params: the weights, which say how wide and of which dtype.
      batch_shape: leading axes.
      key: not used; zeros need none.

    Returns:
      The carry.

    Example:
      >>> import jax
      >>> elman_carry(elman_init(jax.random.key(0), 3, 2)).h.tolist()
      [0.0, 0.0]
    """
    del key
    return ElmanCarry(jnp.zeros((*batch_shape, params.w_hh.shape[1]), params.w_hh.dtype))


def elman_update(
    z_x: Float[Array, " H"],
    z_h: Float[Array, " H"],
    carry: ElmanCarry,
    *,
    activation: Activation = jnp.tanh,
) -> ElmanCarry:
    r"""Returns the state after a step, from the two affine maps.

    .. math:: h_t = \tanh(z_x + z_h)

    Args:
      z_x: ``w_ih x + b_ih``.
      z_h: ``w_hh h + b_hh``.
      carry: the state before; only its dtype is read.
      activation: in place of the tanh.

    Returns:
      The carry.

    Example:
      >>> import jax.numpy as jnp
      >>> elman_update(jnp.zeros(1), jnp.zeros(1), ElmanCarry(jnp.ones(1))).h.tolist()
      [0.0]
    """
    return ElmanCarry(activation(z_x + z_h).astype(carry.h.dtype))


def elman_step(
    params: ElmanParams,
    carry: ElmanCarry,
    x: Float[Array, " I"],
    *,
    activation: Activation = jnp.tanh,
) -> tuple[ElmanCarry, Float[Array, " H"]]:
    r"""Advances an Elman network by one time step, on one example.

    .. math:: h_t = \tanh(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})

    The order ``(carry, x) -> (carry, y)`` is that of :func:`jax.lax.scan`, so
    ``functools.partial(elman_step, params)`` is a scan body as it stands.

    Args:
      params: the weights, from :func:`elman_init`.
      carry: the state after the previous step.
      x: the input at this step.
      activation: in place of the tanh; elementwise.

    Returns:
      The carry after this step, and the output ``y``, which is ``carry.h``.

    Raises:
      ValueError: if ``x`` is not one input of the size that ``params`` expect.
      TypeError: if ``x`` does not have the dtype of ``params``.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> params = elman_init(jax.random.key(0), 3, 4)
      >>> carry, y = elman_step(params, elman_carry(params), jnp.ones(3))
      >>> y.shape
      (4,)

    References:
      Elman, "Finding Structure in Time", Cognitive Science 14(2), 1990.
    """
    check_step("elman_step", params, carry.h, x)
    z_x = affine(params.w_ih, params.b_ih, x)
    z_h = affine(params.w_hh, params.b_hh, carry.h)
    carry = elman_update(z_x, z_h, carry, activation=activation)
    return carry, carry.h


def _update(values: tuple[Array, ...], carry: ElmanCarry) -> ElmanCarry:
    return ElmanCarry(values[0].astype(carry.h.dtype))


def _gates(activation: Activation) -> Gates | None:
    """Returns the update around the activation's value, if that tells its slope."""
    slopes: dict[Any, Activation] = {
        jnp.tanh: lambda h: 1.0 - h * h,
        jax.nn.sigmoid: lambda h: h * (1.0 - h),
        jax.nn.relu: lambda h: (h > 0).astype(h.dtype),
    }
    slope = slopes.get(activation)
    if slope is None:
        return None
    return Gates(
        values=lambda z_x, z_h: (activation(z_x + z_h),),
        tangent=lambda values, d_z_x, d_z_h: (slope(values[0]) * (d_z_x + d_z_h),),
        update=_update,
    )


def _native(activation: Activation) -> str | None:
    """Returns the name of the kernel that computes the same, if there is one."""
    if activation is jnp.tanh:
        return "elman_tanh"
    return "elman_relu" if activation is jax.nn.relu else None


@functools.cache
def elman(
    input_size: int, hidden_size: int, *, activation: Activation = jnp.tanh, init: Init = "glorot"
) -> Cell:
    """Returns an Elman cell: the textbook's recurrent network.

    Args:
      input_size: I.
      hidden_size: H.
      activation: elementwise, in place of the tanh; :func:`jax.nn.relu` gives the ReLU network.
      init: ``"glorot"`` or ``"torch"``, as in :func:`elman_init`.

    Returns:
      The cell; its params are :class:`ElmanParams`, its carry :class:`ElmanCarry`.

    Raises:
      ValueError: if a size is not a positive integer, or ``init`` is unknown.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.elman(3, 4, activation=jax.nn.relu)
      >>> params = cell.init(jax.random.key(0))
      >>> carry, ys = jaxseq.scan(cell, params, jnp.ones((2, 5, 3)))
      >>> ys.shape, carry.h.shape
      ((2, 5, 4), (2, 4))

    References:
      Elman, "Finding Structure in Time", Cognitive Science 14(2), 1990.
    """
    check_sizes("elman", input_size=input_size, hidden_size=hidden_size)
    check_init("elman", init)
    return Cell(
        name="elman",
        input_size=input_size,
        output_size=hidden_size,
        init=lambda key, dtype=jnp.float32: elman_init(
            key, input_size, hidden_size, init=init, dtype=dtype
        ),
        carry=elman_carry,
        step=functools.partial(elman_step, activation=activation),
        maps=Maps(
            input=input_map,
            recurrent=recurrent_map,
            update=functools.partial(elman_update, activation=activation),
            additive=1.0,
            gates=_gates(activation),
            native=_native(activation),
        ),
    )
