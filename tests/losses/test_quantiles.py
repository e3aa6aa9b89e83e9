"""Quantiles of distributions: against SciPy, and back through the distribution function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxseq import losses

LEVELS = np.arange(1, 40) / 40
FAR = np.array([1e-3, *LEVELS, 0.995])
STUDENT = jax.jit(losses.student_t_quantiles)


@pytest.mark.parametrize("df", [1.0, 2.0, 2.7, 6.0, 300.0])
def test_quantiles_of_students_t_are_those_of_scipy(df):
    found = STUDENT(*map(jnp.array, (0.5, 2.0, df)), jnp.asarray(FAR))
    wanted = scipy.stats.t.ppf(FAR, df, 0.5, 2.0)
    np.testing.assert_allclose(found, wanted, rtol=3e-4, atol=5e-5)
    assert (np.diff(found) > 0).all() and found[20] == 0.5


def test_quantiles_of_a_mixture_have_their_levels():
    logits, means = jnp.array([[0.0, 1.0], [2.0, -1.0]]), jnp.array([[-3.0, 2.0], [0.0, 1.0]])
    scales = jnp.array([[0.5, 1.0], [2.0, 0.1]])
    quantiles = jax.jit(losses.gaussian_mixture_quantiles)
    found = quantiles(logits, means, scales, jnp.asarray(LEVELS))
    weights = np.asarray(jax.nn.softmax(logits))
    inside = scipy.stats.norm.cdf(
        np.asarray(found)[..., None], np.asarray(means)[:, None], np.asarray(scales)[:, None]
    )
    back = (weights[:, None] * inside).sum(-1)
    np.testing.assert_allclose(back, np.broadcast_to(LEVELS, back.shape), atol=1e-5)


def test_no_gradient_flows_through_quantiles():
    def total(loc):
        one, levels = jnp.ones(2), jnp.array([0.1, 0.9])
        pair = jnp.stack([loc, loc], -1)
        student = losses.student_t_quantiles(loc, one, 5 * one, levels)
        mixture = losses.gaussian_mixture_quantiles(pair, pair, pair + 9, levels)
        return student.sum() + mixture.sum()

    assert (jax.jit(jax.grad(total))(jnp.array([1.0, 2.0])) == 0).all()


def test_levels_that_are_none_are_named():
    one, problem = jnp.ones(1), "`levels` must lie between 0 and 1, and grow"
    with pytest.raises(ValueError, match=f"student_t_quantiles: {problem}"):
        losses.student_t_quantiles(one, one, one, jnp.array([0.5, 1.0]))
    with pytest.raises(ValueError, match=f"gaussian_mixture_quantiles: {problem}"):
        losses.gaussian_mixture_quantiles(one, one, one, jnp.array([0.0]))
