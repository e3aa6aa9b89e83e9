"""The CRPS: closed forms against its integral, and samples against the closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from jaxseq import losses

mixture = jax.jit(losses.crps_gaussian_mixture)


def integral(cdf, x):
    """The score by its definition, the squared distance of the distribution from the step at x."""
    left = scipy.integrate.quad(lambda z: cdf(z) ** 2, -np.inf, x)[0]
    return left + scipy.integrate.quad(lambda z: (1 - cdf(z)) ** 2, x, np.inf)[0]


@pytest.mark.parametrize(("df", "x"), [(2.5, -1.0), (5.0, 0.0), (40.0, 3.0)])
def test_the_score_of_students_t_is_the_integral(df, x):
    arrays = [jnp.array([number]) for number in (0.3, 1.7, df, x)]
    wanted = integral(lambda z: scipy.stats.t.cdf(z, df, 0.3, 1.7), x)
    np.testing.assert_allclose(jax.jit(losses.crps_student_t)(*arrays).total, wanted, rtol=1e-5)


def test_the_score_of_a_mixture_is_the_integral():
    weights, means, scales = (
        np.array([0.2, 0.5, 0.3]),
        np.array([-1, 0, 4.0]),
        np.array([1, 0.5, 2]),
    )
    wanted = integral(lambda z: (weights * scipy.stats.norm.cdf((z - means) / scales)).sum(), 0.7)
    rows = [jnp.asarray(row, jnp.float32)[None] for row in (np.log(weights), means, scales)]
    found = mixture(*rows, jnp.array([0.7]))
    np.testing.assert_allclose(found.total, wanted, rtol=1e-5)


def test_the_fair_score_of_samples_is_right_on_average():
    keys = jax.random.split(jax.random.key(0), 2)
    samples = jax.random.normal(keys[0], (4000, 3))
    found = losses.mean(jax.jit(losses.crps_samples)(samples, jnp.full(4000, 0.5)))
    one, zero = jnp.ones((1, 1)), jnp.zeros((1, 1))
    wanted = losses.mean(mixture(zero, zero, one, jnp.array([0.5])))
    np.testing.assert_allclose(found, wanted, atol=0.02)


def test_many_quantiles_come_close_to_the_closed_form():
    levels = jnp.arange(1, 400) / 400
    quantiles = jax.scipy.special.ndtri(levels)[None]
    zero = jnp.zeros((1, 1))
    wanted = mixture(zero, zero, jnp.ones((1, 1)), jnp.array([0.4]))
    found = losses.crps_quantiles(quantiles, jnp.array([0.4]), levels)
    np.testing.assert_allclose(found.total, wanted.total, rtol=0.01)


def test_a_number_scores_its_absolute_error():
    levels = jnp.arange(1, 40) / 40
    found = losses.crps_quantiles(jnp.full((1, 39), 2.0), jnp.array([5.0]), levels)
    np.testing.assert_allclose(found.total, 3.0, rtol=1e-6)
