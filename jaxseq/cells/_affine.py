"""The affine map that every cell is built on, how its weights begin, and the checks of a step."""

from numbers import Integral
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._arrays import accumulator
from jaxseq._checks import check_shape, error
from jaxseq._types import Array, Key

Init = Literal["glorot", "torch"]

_glorot = jax.nn.initializers.glorot_uniform(in_axis=-1, out_axis=-2)
_orthogonal = jax.nn.initializers.orthogonal()


def affine(w: Float[Array, "N M"], b: Float[Array, " N"], x: Float[Array, " M"]) -> Array:
    """Returns ``w x + b``, accumulated in float32 or better."""
    dtype = accumulator(w.dtype)
    # With x first, a vmap over examples is [B, M] times [M, N], with nothing to transpose.
    return jnp.dot(x, w.T, preferred_element_type=dtype) + b.astype(dtype)


def sigmoid(z: Array) -> Array:
    """Returns the logistic function of ``z`` as a tanh: XLA's exponential takes twice its time."""
    return 0.5 * jnp.tanh(0.5 * z) + 0.5


def input_map(params: Any, x: Array) -> Array:
    """Returns ``w_ih x + b_ih``: the map that has no recurrence."""
    return affine(params.w_ih, params.b_ih, x)


def recurrent_map(params: Any, h: Array) -> Array:
    """Returns ``w_hh h + b_hh``."""
    return affine(params.w_hh, params.b_hh, h)


def init_glorot(
    key: Key, gates: int, sizes: tuple[int, int, int], dtype: Any
) -> tuple[Array, Array]:
    """Returns ``w_ih`` Glorot-uniform and ``w_hh`` orthogonal, each gate's block by itself.

    Args:
      key: a PRNG key.
      gates: G.
      sizes: I, H, and the width of the recurrent state (H, or P).
      dtype: of the weights.
    """
    input_size, hidden_size, state_size = sizes
    draw = accumulator(dtype)  # QR knows no bfloat16
    keys = jax.random.split(key, (2, gates))
    w_ih = jax.vmap(lambda k: _glorot(k, (hidden_size, input_size), draw))(keys[0])
    w_hh = jax.vmap(lambda k: _orthogonal(k, (hidden_size, state_size), draw))(keys[1])
    return (
        w_ih.reshape(gates * hidden_size, input_size).astype(dtype),
        w_hh.reshape(gates * hidden_size, state_size).astype(dtype),
    )


def zero_biases(size: int, dtype: Any) -> tuple[Array, Array]:
    """Returns two biases, each an array of its own: one buffer cannot be donated twice."""
    return jnp.zeros(size, dtype), jnp.zeros(size, dtype)


def init_torch(
    key: Key, shapes: tuple[tuple[int, ...], ...], hidden_size: int, dtype: Any
) -> tuple[Array, ...]:
    """Returns arrays of the given shapes, all uniform in ±1/sqrt(H), as ``torch.nn`` does."""
    bound = 1.0 / hidden_size**0.5
    keys = jax.random.split(key, len(shapes))
    return tuple(
        jax.random.uniform(k, shape, accumulator(dtype), -bound, bound).astype(dtype)
        for k, shape in zip(keys, shapes, strict=True)
    )


def check_sizes(where: str, **sizes: int) -> None:
    """Raises unless every size is a positive integer."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
            raise error(where, f"`{name}` must be a positive integer, but it is {size!r}")


def check_init(where: str, init: str) -> None:
    """Raises unless ``init`` names a scheme."""
    if init not in ("glorot", "torch"):
        raise error(where, f'`init` must be "glorot" or "torch", but it is {init!r}')


def check_step(where: str, params: Any, h: Any, x: Any) -> None:
    """Raises unless ``x`` and ``h`` are one example of the sizes and dtype that ``params`` have."""
    check_shape(
        where,
        "x",
        x,
        "(input_size,)",
        (params.w_ih.shape[1],),
        hint="for a batch use jax.vmap(step, in_axes=(None, 0, 0)); "
        "for a whole sequence use jaxseq.scan",
    )
    check_shape(
        where, "carry.h", h, "(hidden_size,)", (params.w_hh.shape[1],), hint="see cell.carry"
    )
    check_dtype(where, x, params.w_ih.dtype)


def check_dtype(where: str, x: Any, dtype: Any) -> None:
    """Raises unless ``x`` has the dtype of the weights."""
    if x.dtype != dtype:
        raise error(
            where,
            f"`x` must have the dtype of the weights, {dtype}, but it has {x.dtype}",
            hint=f"xs.astype({str(dtype)!r}) before the scan"
            if jnp.issubdtype(x.dtype, jnp.floating)
            else "embed or one-hot symbols first",
            kind=TypeError,
        )
