"""Distributions cut to their likeliest symbols."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxseq._arrays import accumulator
from jaxseq._checks import error, shape_text
from jaxseq._types import Array, ArrayLike

Scalar = float | int | Float[ArrayLike, ""]
"""A number, or a traced one."""


def filter_top_k(logits: Float[ArrayLike, "*batch V"], k: int) -> Float[Array, "*batch V"]:
    r"""Returns the logits with all but the ``k`` largest of each row at minus infinity.

    Exactly ``k`` are kept: of equal logits those that come first, as in :func:`jax.numpy.argmax`,
    so that ``k = 1`` leaves what greedy decoding would choose. NaN stays NaN.

    Args:
      logits: unnormalised log-probabilities.
      k: how many to keep; a Python integer, since it is the size of an array.

    Returns:
      The logits, in their dtype.

    Raises:
      ValueError: if ``k`` is not in 1..V, or ``logits`` have no axis V.
      TypeError: if ``k`` is not an integer, or ``logits`` are not floating.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.decoding import filter_top_k
      >>> filter_top_k(jnp.array([1.0, 3.0, 2.0, 2.0]), 2).tolist()
      [-inf, 3.0, 2.0, -inf]

    References:
      Fan, Lewis and Dauphin, "Hierarchical Neural Story Generation", 2018.
    """
    check_logits("filter_top_k", logits)
    k = check_top_k("filter_top_k", "k", k, logits.shape[-1])
    logits = _one_zero(logits)
    values, indices = jax.lax.top_k(logits, k)
    return _keep(logits, values[..., -1:], indices[..., -1:])


def filter_top_p(logits: Float[ArrayLike, "*batch V"], p: Scalar) -> Float[Array, "*batch V"]:
    r"""Returns the logits with all but the nucleus of each row at minus infinity.

    The nucleus is the smallest set of symbols whose probability is at least ``p``: the likeliest
    symbol, the second likeliest, and so on, the first always, and no more once ``p`` is reached.
    Of equally likely symbols those that come first are taken first. Probabilities are summed in
    float32 or better; ``p = 1`` keeps everything. NaN stays NaN.

    Args:
      logits: unnormalised log-probabilities.
      p: the probability to be reached, in (0, 1]; it may be traced, and is not checked then: at 0
        or less the likeliest symbol alone is kept, at more than 1 everything.

    Returns:
      The logits, in their dtype.

    Raises:
      ValueError: if ``p`` is not in (0, 1], or ``logits`` have no axis V.
      TypeError: if ``p`` is not a number, or ``logits`` are not floating.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.decoding import filter_top_p
      >>> logits = jnp.log(jnp.array([0.1, 0.5, 0.4]))
      >>> jnp.isfinite(filter_top_p(logits, 0.8)).tolist()
      [False, True, True]

    References:
      Holtzman, Buys, Du, Forbes and Choi, "The Curious Case of Neural Text Degeneration", 2020.
    """
    check_logits("filter_top_p", logits)
    check_top_p("filter_top_p", "p", p)
    logits = _one_zero(logits)
    wide = logits.astype(accumulator(logits.dtype))
    p = jnp.asarray(p, wide.dtype)
    symbols = jax.lax.broadcasted_iota(jnp.int32, wide.shape, wide.ndim - 1)
    # Stable, and ascending in the negative: the largest first, and of equals the first.
    falling, symbols = jax.lax.sort((-wide, symbols), num_keys=1, is_stable=True)
    reached = jnp.cumsum(jax.nn.softmax(-falling, axis=-1), axis=-1)[..., :-1]
    # Rounded sums may reach 1 before the last symbol does.
    last = ((reached < p) | (p >= 1)).sum(-1, keepdims=True)
    value = -jnp.take_along_axis(falling, last, axis=-1)
    return _keep(logits, value.astype(logits.dtype), jnp.take_along_axis(symbols, last, axis=-1))


def _one_zero(logits: Any) -> Array:
    """Returns the logits with 0 for -0, which sorts may tell apart and ``==`` does not."""
    return jnp.where(logits == 0, 0, jnp.asarray(logits))


def _keep(logits: Array, value: Array, index: Array) -> Array:
    """Returns the logits from the largest down to the one of this value at this index."""
    symbols = jax.lax.broadcasted_iota(index.dtype, logits.shape, logits.ndim - 1)
    kept = (logits > value) | ((logits == value) & (symbols <= index)) | jnp.isnan(logits)
    return jnp.where(kept, logits, -jnp.inf)


def check_logits(where: str, logits: Any) -> None:
    """Raises unless these are rows of logits."""
    if logits.ndim < 1 or logits.shape[-1] < 1:
        raise error(
            where,
            "`logits` must have shape (*batch, V) with V at least 1, "
            f"but they have shape {shape_text(logits.shape)}",
        )
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise error(
            where, f"`logits` must be floating, but they have dtype {logits.dtype}", kind=TypeError
        )


def check_integer(where: str, name: str, value: Any) -> int:
    """Returns the value as a Python integer, or raises."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise error(
            where, f"`{name}` must be a Python integer, but it is {value!r}", kind=TypeError
        )
    return int(value)


def check_top_k(where: str, name: str, k: Any, vocabulary_size: int | None = None) -> int:
    """Returns ``k`` as a Python integer, or raises unless it is in 1..V."""
    k = check_integer(where, name, k)
    if k < 1 or (vocabulary_size is not None and k > vocabulary_size):
        size = "" if vocabulary_size is None else f" = {vocabulary_size}"
        raise error(where, f"`{name}` must be between 1 and V{size}, but it is {k}")
    return k


def check_number(where: str, name: str, value: Any) -> float | None:
    """Returns the value where it is known, and None where it is traced, or raises."""
    if isinstance(value, bool) or jnp.ndim(value) != 0 or not hasattr(value, "__float__"):
        raise error(where, f"`{name}` must be one number, but it is {value!r}", kind=TypeError)
    return None if isinstance(value, jax.core.Tracer) else float(value)


def check_top_p(where: str, name: str, p: Any) -> None:
    """Raises unless ``p`` is a probability above 0, or traced."""
    known = check_number(where, name, p)
    if known is not None and not 0 < known <= 1:
        raise error(where, f"`{name}` must be in (0, 1], but it is {known}")
