"""What every room asks of arrays: whether their values are there, and what their sums run in."""

from typing import Any

import jax
import jax.numpy as jnp


def known(*arrays: Any) -> bool:
    """Returns whether the values are there to be looked at: none is traced by jit, vmap or grad.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> known(jnp.ones(2), None), jax.eval_shape(lambda x: print(known(x)), jnp.ones(2))
      False
      (True, None)
    """
    return not any(isinstance(array, jax.core.Tracer) for array in arrays)


def accumulator(dtype: Any) -> Any:
    """Returns the dtype that sums and recursions run in: float32 or better.

    Example:
      >>> import jax.numpy as jnp
      >>> accumulator(jnp.bfloat16), accumulator(jnp.float64)
      (dtype('float32'), dtype('float64'))
    """
    return jnp.dtype(dtype) if jnp.finfo(dtype).bits >= 32 else jnp.dtype(jnp.float32)
