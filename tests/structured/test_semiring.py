"""The two semirings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from jaxseq.structured._semiring import LOG, MAX, log, logsumexp, matmul, matvec, vecmat


def test_the_log_of_a_sum_is_that_of_scipy(x64):
    x = np.random.default_rng(0).normal(size=(3, 5)) * 300
    x[0, :2] = -np.inf
    np.testing.assert_allclose(logsumexp(jnp.asarray(x), -1), special.logsumexp(x, -1), rtol=1e-14)
    np.testing.assert_allclose(logsumexp(jnp.asarray(x), 0), special.logsumexp(x, 0), rtol=1e-14)


def test_of_nothing_it_is_minus_infinity_with_no_gradient():
    nothing = jnp.full((2, 3), -jnp.inf)
    value, gradient = jax.value_and_grad(lambda x: logsumexp(x, -1)[0])(nothing)
    assert value == -jnp.inf
    np.testing.assert_array_equal(gradient, 0)
    assert jax.grad(log)(0.0) == 0


def test_a_nan_stays_a_nan():
    assert jnp.isnan(logsumexp(jnp.array([0.0, jnp.nan]), 0))


@pytest.mark.parametrize("semiring", [LOG, MAX])
def test_products_are_those_of_matrices(semiring, x64):
    rng = np.random.default_rng(1)
    left, right, vector = rng.normal(size=(2, 3, 3)), rng.normal(size=(2, 3, 3)), rng.normal(size=3)
    sums = {"log": special.logsumexp, "max": np.max}[semiring.name]
    want = sums(left[:, :, :, None] + right[:, None], axis=2)
    got = matmul(semiring, jnp.asarray(left), jnp.asarray(right))
    np.testing.assert_allclose(got, want, rtol=1e-13)
    vectors = jnp.broadcast_to(jnp.asarray(vector), (2, 3))
    np.testing.assert_allclose(
        vecmat(semiring, vectors, jnp.asarray(left)), sums(vector[:, None] + left, axis=1)
    )
    np.testing.assert_allclose(
        matvec(semiring, jnp.asarray(left[0]), vectors)[1], sums(left[0] + vector, axis=1)
    )
