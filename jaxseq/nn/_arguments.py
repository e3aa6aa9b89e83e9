"""What may be given to the modules: settings of a constructor, and randomness."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxseq._checks import error
from jaxseq._types import Key


def check_sizes(where: str, **sizes: int) -> None:
    """Raises unless every size is a positive integer."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
            raise error(where, f"`{name}` must be a positive integer, but it is {size!r}")


def check_rates(where: str, **rates: float) -> None:
    """Raises unless every rate of dropout is in [0, 1)."""
    for name, rate in rates.items():
        if not isinstance(rate, int | float) or not 0.0 <= rate < 1.0:
            raise error(where, f"`{name}` must be in [0, 1), but it is {rate!r}")


def check_param_dtype(where: str, param_dtype: Any) -> None:
    """Raises unless weights can have this dtype."""
    if not jnp.issubdtype(param_dtype, jnp.floating):
        raise error(
            where,
            f"`param_dtype` must be a floating-point dtype, but it is {jnp.dtype(param_dtype)}",
            kind=TypeError,
        )


def directions(
    where: str, bidirectional: bool | Sequence[bool], num_layers: int
) -> tuple[bool, ...]:
    """Returns for each layer whether it runs both ways."""
    flags = (bidirectional,) * num_layers if _is_bool(bidirectional) else bidirectional
    if not isinstance(flags, Sequence) or len(flags) != num_layers or not all(map(_is_bool, flags)):
        raise error(
            where,
            "`bidirectional` must be a bool, or one bool a layer "
            f"(num_layers = {num_layers}), but it is {bidirectional!r}",
        )
    return tuple(map(bool, flags))


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool | np.bool_)


def draw_key(where: str, rngs: nnx.Rngs | Key, stream: str) -> Key:
    """Returns a key: the next one of a stream of ``rngs``, or ``rngs`` if it is a key itself."""
    if isinstance(rngs, nnx.Rngs):
        return rngs[stream]()
    if isinstance(rngs, jax.Array) and jnp.issubdtype(rngs.dtype, jax.dtypes.prng_key):
        return rngs
    arrived = f"{rngs.dtype}{list(rngs.shape)}" if isinstance(rngs, jax.Array) else repr(rngs)
    raise error(
        where,
        f"`rngs` must be an nnx.Rngs or a key, but it is {arrived}",
        hint="nnx.Rngs(0), or jax.random.key(0)",
        kind=TypeError,
    )


def check_tokens(
    where: str,
    tokens: Any,
    vocab_size: int,
    lengths: Any,
    *,
    names: tuple[str, str] = ("tokens", "vocab_size"),
    hint: str | None = None,
) -> None:
    """Raises unless ``tokens`` are symbols, as far as their values can be seen.

    ``names`` are what the user calls them and their number; ``hint`` is for a single one.
    """
    name, size = names
    dtype = tokens.dtype
    if not jnp.issubdtype(dtype, jnp.integer):
        raise error(where, f"`{name}` must be integers, but they are {dtype}", kind=TypeError)
    if tokens.ndim < 1:
        raise error(where, f"`{name}` must have shape (*batch, T), but it has shape ()", hint=hint)
    if isinstance(tokens, jax.core.Tracer) or isinstance(lengths, jax.core.Tracer):
        return
    seen = np.asarray(tokens)
    if lengths is not None and np.shape(lengths) == seen.shape[:-1]:
        seen = seen[np.arange(seen.shape[-1]) < np.asarray(lengths)[..., None]]
    if seen.size and not (seen.min() >= 0 and seen.max() < vocab_size):
        raise error(
            where,
            f"`{name}` must lie in [0, {size}) = [0, {vocab_size}), "
            f"but they range from {seen.min()} to {seen.max()}",
        )
