"""Random weights, inputs and states for a cell, drawn by NumPy: no bias is zero, no key is used."""

import functools
from typing import Any

import jax
import numpy as np


def example(
    cell: Any,
    *,
    batch_shape: tuple[int, ...] = (),
    steps: int = 1,
    seed: int = 0,
    dtype: Any = np.float32,
) -> tuple[Any, Any, Any]:
    """Returns ``(params, xs [*batch, T, I], carry)``, all of it random and non-zero."""
    rng = np.random.default_rng(seed)

    def draw(like):
        return jax.numpy.asarray(rng.uniform(-1.0, 1.0, like.shape).astype(like.dtype))

    params = jax.eval_shape(functools.partial(cell.init, dtype=dtype), jax.random.key(0))
    carry = jax.eval_shape(functools.partial(cell.carry, batch_shape=batch_shape), params)
    xs = jax.ShapeDtypeStruct((*batch_shape, steps, cell.input_size), dtype)
    return jax.tree.map(draw, (params, xs, carry))
