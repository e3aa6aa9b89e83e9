"""Emissions of counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxseq.structured import hmm

pytestmark = pytest.mark.usefixtures("x64")


def test_log_probabilities_are_those_of_scipy():
    rate, counts = np.array([0.3, 4.0, 250.0]), np.array([[0, 1, 7], [300, 2, 40]])
    for xs in (counts, counts.astype(np.float64)):
        found = hmm.poisson(3).log_prob(hmm.PoissonParams(jnp.asarray(rate)), xs)
        np.testing.assert_allclose(found, stats.poisson.logpmf(counts[..., None], rate), rtol=1e-12)


def test_a_rate_of_zero_is_sure_of_nothing_happening():
    family = hmm.poisson(2)
    params = hmm.PoissonParams(jnp.array([0.0, 2.0]))
    assert family.log_prob(params, np.array([0, 3]))[:, 0].tolist() == [0.0, -np.inf]
    slope = jax.jit(jax.grad(lambda params: family.log_prob(params, jnp.array([0]))[0, 0]))(params)
    assert slope.rate.tolist() == [-1.0, 0.0]
    assert jnp.isfinite(family.unconstrain(params)).all()


def test_an_estimate_is_the_mean_of_the_counts_and_of_the_prior():
    rng = np.random.default_rng(0)
    counts, weights = rng.integers(0, 9, (3, 7)), rng.random((3, 7, 2))
    total, exposure = np.einsum("bt,btk->k", counts, weights), weights.sum((0, 1))
    for prior in ((0.0, 0.0), (3.0, 2.0)):
        family = hmm.poisson(2, prior_count=prior[0], prior_exposure=prior[1])
        found = family.estimate(family.init(jax.random.key(0)), counts, jnp.asarray(weights))
        expected = (total + prior[0]) / (exposure + prior[1])
        np.testing.assert_allclose(found.rate, expected, rtol=1e-12)


def test_the_prior_is_a_gamma_distribution_up_to_a_constant():
    family = hmm.poisson(2, prior_count=3.0, prior_exposure=2.0)
    rates = np.array([[0.5, 2.0], [4.0, 1.0]])
    ours = [family.log_prior(hmm.PoissonParams(jnp.asarray(rate))) for rate in rates]
    theirs = stats.gamma.logpdf(rates, 4.0, scale=0.5).sum(1)
    np.testing.assert_allclose(ours[0] - ours[1], theirs[0] - theirs[1], rtol=1e-12)


def test_a_start_lies_among_the_counts():
    counts = np.array([2, 2, 2, 100, 100, 100])
    init = jax.jit(hmm.poisson(2).init)
    for seed in range(3):
        rates = np.sort(init(jax.random.key(seed), counts).rate)
        assert 1 < rates[0] < 5 and 70 < rates[1] < 140
