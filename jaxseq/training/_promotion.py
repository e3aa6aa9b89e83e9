"""Optax under strict promotion rules."""

import contextlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def standard_promotion() -> Iterator[None]:
    """Switches JAX's standard promotion rules on, whatever the caller's are.

    optax relies on them (Adam's bias correction raises a float to an integer), so without this
    nobody who runs JAX with strict rules could train.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> with jax.numpy_dtype_promotion("strict"), standard_promotion():
      ...     print((jnp.ones(1, jnp.bfloat16) + jnp.ones(1, jnp.float32)).dtype)
      float32
    """
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
