"""Compares a computation in JAX with what PyTorch recorded: values, final states, all gradients."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from torch_cases import Arrays, Case, load, weights

Leaves = dict[str, jax.Array]
Run = Callable[[Leaves], Leaves]

RTOL, ATOL = 1e-10, 1e-12
QUICK = {"xla_backend_optimization_level": "0"}  # compilation is all of these tests' time


def leaves_of(case: Case, recorded: Arrays) -> Leaves:
    """Returns all that the loss depends on, with NaN in the pads of ``xs``."""
    leaves = weights(recorded) | {k: recorded[k] for k in ("xs", "h_0", "c_0") if k in recorded}
    if case.lengths:
        pads = np.arange(case.sizes[1]) >= np.array(case.lengths)[:, None]
        leaves["xs"] = np.where(pads[..., None], np.nan, leaves["xs"])
    return {name: jnp.asarray(array) for name, array in leaves.items()}


def check_agreement(case: Case, run: Run) -> None:
    """Asserts that ``run`` gives PyTorch's outputs, final states and gradients, to 1e-10.

    Args:
      case: which fixture to compare with.
      run: from the weights under torch's names, ``xs``, ``h_0`` (and ``c_0``) to ``ys``, ``h_n``
        (and ``c_n``).
    """
    recorded = load(case)

    def loss(leaves: Leaves) -> tuple[jax.Array, Leaves]:
        outputs = run(leaves)
        parts = [(recorded["cotangent_" + k] * value).sum() for k, value in outputs.items()]
        return jnp.stack(parts).sum(), outputs

    leaves = leaves_of(case, recorded)
    compute = jax.jit(jax.value_and_grad(loss, has_aux=True), compiler_options=QUICK)
    (_, outputs), gradients = compute(leaves)
    ours = outputs | {"grad_" + name: gradient for name, gradient in gradients.items()}
    assert set(ours) == {k for k in recorded if k in ("ys", "h_n", "c_n") or k.startswith("grad_")}
    for name, value in ours.items():
        assert value.dtype == np.float64, name
        np.testing.assert_allclose(value, recorded[name], RTOL, ATOL, err_msg=name)
