"""What every room asks of arrays."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxseq._arrays import accumulator, known


def test_sums_run_in_single_precision_or_better(x64):
    wanted = {"bfloat16": "float32", "float16": "float32", "float32": "float32"}
    for dtype, want in {**wanted, "float64": "float64"}.items():
        assert accumulator(jnp.dtype(dtype)) == accumulator(getattr(jnp, dtype)) == want


def test_what_is_traced_is_not_known():
    seen = []
    jax.jit(lambda x: seen.append(known(np.ones(2), x)))(1.0)
    assert seen == [False]
    assert known(np.ones(2), jnp.ones(2), None, 3)
