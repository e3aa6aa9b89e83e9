"""The specification (and its fast twin) against the textbook, over any shape; memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import twins
from examples import example
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxseq

TWINS = {
    "elman": (jaxseq.elman(1, 3), twins.elman_step),
    "lstm": (jaxseq.lstm(3, 1), twins.lstm_step),
    "gru": (jaxseq.gru(1, 1), twins.gru_step),
}


@settings(deadline=None, max_examples=20, derandomize=True, database=None)
@given(data=st.data())
def test_a_scan_is_the_textbooks_over_any_shape(data):
    cell, step = TWINS[data.draw(st.sampled_from(sorted(TWINS)), "cell")]
    batch_shape = tuple(data.draw(st.lists(st.integers(1, 3), max_size=2), "batch"))
    steps = data.draw(st.integers(0, 7), "T")
    rng = np.random.default_rng(data.draw(st.integers(0, 99), "seed"))
    ragged, reset = data.draw(st.booleans(), "ragged"), data.draw(st.booleans(), "resets")
    options = {
        "lengths": np.asarray(rng.integers(0, steps + 1, batch_shape)) if ragged else None,
        "resets": rng.random((*batch_shape, steps)) < 0.4 if reset else None,
        "reverse": data.draw(st.booleans(), "reverse"),
    }
    backend = data.draw(st.sampled_from(["reference", "fused"]), "backend")
    remat = data.draw(st.sampled_from([None, "sqrt", 1, 3, 9]), "remat")
    with jax.enable_x64(True):
        params, xs, carry = example(cell, batch_shape=batch_shape, steps=steps, dtype=np.float64)
        expected = twins.sequence(step, params, carry, xs, **options)
        if ragged:
            valid = np.arange(steps) < options["lengths"][..., None]
            xs = jnp.where(valid[..., None], xs, jnp.nan)
        options |= {"backend": backend, "remat": remat}
        actual = jaxseq.scan(cell, params, xs, carry=carry, **options)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def test_a_bad_number_in_a_carry_that_a_reset_replaces_reaches_no_gradient():
    """The state before a reset is not used, whatever it is, and 0 * inf stays away from it."""
    cell = TWINS["lstm"][0]
    params, xs, carry = example(cell, steps=3)
    carry = carry._replace(c=jnp.full_like(carry.c, jnp.inf))
    resets = jnp.array([True, False, False])
    value, grads = jax.jit(
        jax.value_and_grad(
            lambda p: jnp.sum(jaxseq.scan(cell, p, xs, carry=carry, resets=resets)[1])
        )
    )(params)
    assert np.isfinite(value) and all(np.all(np.isfinite(leaf)) for leaf in grads)


def temporary_bytes(steps, remat, backend):
    """What the compiled gradient of the final state needs beside its arguments and results."""
    cell = jaxseq.lstm(2, 4)
    params = jax.eval_shape(cell.init, jax.random.key(0))
    xs = jax.ShapeDtypeStruct((2, steps, 2), jnp.float32)

    def loss(params, xs):
        carry, _ = jaxseq.scan(cell, params, xs, remat=remat, backend=backend)
        return jnp.sum(carry.h)

    compiled = jax.jit(jax.grad(loss)).lower(params, xs).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize("backend", ["reference", "fused"])
def test_memory_grows_with_the_root_of_time_beside_one_copy_of_the_inputs(backend):
    short, long = 32**2, 256**2
    step_bytes = 2 * 2 * 4  # of the copy of xs that has time in front
    kept = [temporary_bytes(steps, "sqrt", backend) - steps * step_bytes for steps in (short, long)]
    scratch = 0 if jax.default_backend() == "cpu" else 5_000  # a GPU's products take some
    assert kept[0] < 25_000 + scratch
    assert kept[1] < 8 * kept[0], "T grew by 64, memory by more than its root"
    assert kept[1] < temporary_bytes(long, None, backend) / 50
