import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.training import clip_by_global_norm


@pytest.fixture
def grads():
    rng = np.random.default_rng(0)
    return {"w": jnp.asarray(rng.normal(size=(3, 5)), "float32"), "b": jnp.ones(1)}


def flat(grads):
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(grads)])


def test_clipping_is_the_formula(grads):
    norm = np.linalg.norm(flat(grads))
    clipped = clip_by_global_norm(grads, 0.5)
    np.testing.assert_allclose(clipped.norm, norm, rtol=1e-6)
    np.testing.assert_allclose(flat(clipped.grads), flat(grads) * 0.5 / norm, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(flat(clipped.grads)), 0.5, rtol=1e-6)
    assert float(clipped.clipped_norm) == 0.5


@pytest.mark.parametrize("max_norm", [None, 1e3])
def test_what_is_short_enough_stays_as_it_is(grads, max_norm):
    clipped = clip_by_global_norm(grads, max_norm)
    np.testing.assert_array_equal(flat(clipped.grads), flat(grads))
    assert clipped.norm == clipped.clipped_norm


def test_the_norm_of_bfloat16_gradients_is_not_rounded_to_bfloat16():
    grads = [jnp.full(257, 1.0, jnp.bfloat16), jnp.full((40, 100), 0.1, jnp.bfloat16)]
    clipped = clip_by_global_norm(grads, 1.0)
    exact = np.sqrt(257 + 4000 * float(jnp.bfloat16(0.1)) ** 2)
    assert clipped.norm.dtype == jnp.float32
    np.testing.assert_allclose(clipped.norm, exact, rtol=1e-6)
    assert [leaf.dtype for leaf in clipped.grads] == [jnp.bfloat16, jnp.bfloat16]


def test_the_norm_of_float16_gradients_does_not_overflow():
    clipped = clip_by_global_norm(jnp.full(4, 6e4, jnp.float16), 2.0)
    np.testing.assert_allclose(clipped.norm, 2 * float(jnp.float16(6e4)), rtol=1e-6)
    assert clipped.grads.tolist() == [1.0, 1.0, 1.0, 1.0]


def test_leaves_of_different_dtypes_are_clipped_together(x64):
    grads = {"a": jnp.array([3.0], jnp.float64), "b": jnp.array([4.0], jnp.bfloat16)}
    clipped = clip_by_global_norm(grads, 2.5)
    assert clipped.norm.dtype == jnp.float64
    assert {name: leaf.dtype for name, leaf in clipped.grads.items()} == {
        "a": jnp.float64,
        "b": jnp.bfloat16,
    }
    assert flat(clipped.grads).tolist() == [1.5, 2.0]


def test_zero_gradients_stay_zero_and_no_gradients_have_norm_zero():
    assert clip_by_global_norm(jnp.zeros(3), 1.0).grads.tolist() == [0.0, 0.0, 0.0]
    assert float(clip_by_global_norm({}, 1.0).norm) == 0.0


def test_complex_gradients_are_clipped_by_their_absolute_values():
    clipped = clip_by_global_norm({"a": jnp.array([3.0 + 4.0j]), "b": jnp.zeros(1)}, 2.5)
    assert (float(clipped.norm), clipped.grads["a"].tolist()) == (5.0, [1.5 + 2.0j])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_bad_gradient_is_seen_in_the_norm(value):
    clipped = clip_by_global_norm(jnp.array([1.0, value]), 1.0)
    assert not np.isfinite(clipped.norm)


@pytest.mark.parametrize("max_norm", [0.0, -1.0, float("nan")])
def test_a_limit_that_is_not_positive_is_refused(max_norm):
    with pytest.raises(
        ValueError,
        match=r"clip_by_global_norm: `max_norm` must be positive, but it is .*\n"
        r"  Hint: max_norm=None clips nothing",
    ):
        clip_by_global_norm(jnp.ones(2), max_norm)
