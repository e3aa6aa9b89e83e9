"""What a linear recurrence is, and what the cells that are one share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxseq._arrays import accumulator
from jaxseq._checks import check_shape
from jaxseq._types import Array, Key
from jaxseq.cells._affine import check_dtype

_glorot = jax.nn.initializers.glorot_uniform(in_axis=-1, out_axis=-2)


class Linear(NamedTuple):
    r"""A cell whose state is a linear recurrence, unit by unit: what can be run in parallel.

    .. math:: h_t = a_t \, h_{t-1} + b_t, \quad y_t = \mathrm{read}(h_t, x_t)

    where :math:`a_t` and :math:`b_t` depend on the input :math:`x_t` alone, so that two steps in
    a row are again such a step, :math:`(a_2 a_1, \; a_2 b_1 + b_2)`. All act on one example, and
    ``a``, ``b`` and the carry are alike: the same arrays in the same type. ``reset`` of such a cell
    must not depend on the state that it replaces.

    Attributes:
      coefficients: ``(params, x [I]) -> (a, b)``.
      read: ``(params, carry, x [I]) -> y [O]``.
      complex: whether the carry is one complex array, as the pair of its real and imaginary part;
        each array of the carry is a real number's otherwise. Two real arrays are several times as
        fast as a complex one on a CPU, and every dtype can be in two.
      constant: whether ``a`` does not depend on ``x``: it is then kept once, not once a step.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq.cells import min_gru
      >>> cell = min_gru(3, 4)
      >>> params = cell.init(jax.random.key(0))
      >>> a, b = cell.linear.coefficients(params, jnp.ones(3))
      >>> a.h.shape, b.h.shape
      ((4,), (4,))

    References:
      Blelloch, "Prefix Sums and Their Applications", 1990; Martin and Cundy, "Parallelizing Linear
      Recurrent Neural Nets Over Sequence Length", 2018.
    """

    coefficients: Callable[[Any, Array], tuple[Any, Any]]
    read: Callable[[Any, Any, Array], Array]
    complex: bool = False
    constant: bool = False


def init_gates(key: Key, gates: int, sizes: tuple[int, int], dtype: Any) -> Array:
    """Returns ``w_ih [G*H, I]``, Glorot-uniform, each gate's block by itself.

    Args:
      key: a PRNG key.
      gates: G.
      sizes: I and H.
      dtype: of the weights.
    """
    input_size, hidden_size = sizes
    draw = accumulator(dtype)
    keys = jax.random.split(key, gates)
    w_ih = jax.vmap(lambda k: _glorot(k, (hidden_size, input_size), draw))(keys)
    return w_ih.reshape(gates * hidden_size, input_size).astype(dtype)


def check_input(where: str, w: Array, x: Any) -> None:
    """Raises unless ``x`` is one input of the size and dtype of ``w [N, I]``."""
    check_shape(
        where,
        "x",
        x,
        "(input_size,)",
        (w.shape[1],),
        hint="for a batch use jax.vmap(step, in_axes=(None, 0, 0)); "
        "for a whole sequence use jaxseq.scan",
    )
    check_dtype(where, x, w.dtype)


def zero_state(batch_shape: tuple[int, ...], size: int, dtype: Any) -> Array:
    """Returns zeros, in float32 or better: what is summed up over time is not rounded each step."""
    return jnp.zeros((*batch_shape, size), accumulator(dtype))
