"""Emissions of symbols."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.structured import hmm

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize("num_symbols", [5, 40])  # counted by a product, and by a scatter
def test_an_estimate_is_the_share_of_each_symbol(num_symbols):
    rng = np.random.default_rng(0)
    symbols = rng.integers(0, num_symbols - 1, (3, 7))  # the last is never seen
    weights = rng.random((3, 7, 2))
    counts = np.zeros((2, num_symbols))
    for symbol, weight in zip(symbols.ravel(), weights.reshape(-1, 2), strict=True):
        counts[:, symbol] += weight
    for concentration in (1.0, 2.5):
        family = hmm.categorical(2, num_symbols, concentration=concentration)
        found = family.estimate(family.init(jax.random.key(0)), symbols, jnp.asarray(weights))
        expected = counts + concentration - 1
        expected /= expected.sum(1, keepdims=True)
        np.testing.assert_allclose(np.exp(found.log_probs), expected, rtol=1e-12)


def test_the_prior_is_a_dirichlet_distribution_up_to_a_constant():
    from scipy import stats

    family = hmm.categorical(2, 3, concentration=2.5)
    tables = np.random.default_rng(0).dirichlet(np.ones(3), (2, 2))
    ours = [family.log_prior(hmm.CategoricalParams(jnp.log(table))) for table in tables]
    theirs = [sum(stats.dirichlet.logpdf(row, [2.5] * 3) for row in table) for table in tables]
    np.testing.assert_allclose(ours[0] - ours[1], theirs[0] - theirs[1], rtol=1e-12)


def test_log_probabilities_are_looked_up():
    table = np.log(np.random.default_rng(0).dirichlet(np.ones(4), 2))
    symbols = np.array([[3, 0], [1, 1]], np.uint8)
    found = hmm.categorical(2, 4).log_prob(hmm.CategoricalParams(jnp.asarray(table)), symbols)
    np.testing.assert_array_equal(found, np.moveaxis(table[:, symbols], 0, -1))


def test_a_symbol_that_a_state_never_shows_stays_impossible():
    family = hmm.categorical(1, 3, concentration=2.0)
    params = hmm.CategoricalParams(jnp.log(jnp.array([[0.5, 0.5, 0.0]])))
    found = family.estimate(params, np.array([0, 0, 1]), jnp.ones((3, 1)))
    np.testing.assert_allclose(np.exp(found.log_probs), [[0.6, 0.4, 0.0]], rtol=1e-12)
    assert jnp.isfinite(family.log_prior(found))
