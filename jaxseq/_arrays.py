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


def varying(array: Any) -> frozenset[str]:
    """Returns the axes of a mesh that an array varies over inside ``jax.shard_map``.

    Example:
      >>> import jax.numpy as jnp
      >>> varying(jnp.ones(2))
      frozenset()
    """
    kind = jax.typeof(array)
    types = getattr(kind, "manual_axis_type", None)
    return getattr(kind, "vma", frozenset()) if types is None else types.varying


def vary_alike(tree: Any, like: Any) -> Any:
    """Returns arrays that vary over the axes that those of ``like`` vary over, and their own.

    Inside ``jax.shard_map`` weights and first states are the same on all devices, and what a loop
    makes of them and of its inputs is not. Elsewhere nothing changes.

    Args:
      tree: arrays.
      like: arrays.

    Example:
      >>> import jax.numpy as jnp
      >>> vary_alike({"h": jnp.ones(2)}, jnp.ones(3))["h"].tolist()
      [1.0, 1.0]
    """
    axes = frozenset().union(*map(varying, jax.tree.leaves((tree, like))))

    def cast(leaf):
        missing = tuple(sorted(axes - varying(leaf)))
        return jax.lax.pcast(leaf, missing, to="varying") if missing else leaf

    return jax.tree.map(cast, tree)
