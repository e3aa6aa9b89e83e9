"""Emissions of real vectors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxseq.structured import hmm

pytestmark = pytest.mark.usefixtures("x64")

PRIOR = {
    "prior_mean": 1.5,
    "prior_mean_weight": 2.0,
    "prior_variance": 0.5,
    "prior_variance_weight": 3.0,
}
K, D = 2, 3


def draw(size=D):
    rng = np.random.default_rng(0)
    mean, root = rng.standard_normal((K, size)), rng.standard_normal((K, size, size))
    xs, weights = 2 + 3 * rng.standard_normal((4, 5, size)), rng.random((4, 5, K))
    return mean, root @ root.swapaxes(1, 2) + 0.1 * np.eye(size), xs, jnp.asarray(weights)


@pytest.mark.parametrize("size", [1, D, 20])  # few dimensions are written out
def test_log_probabilities_are_those_of_scipy(size):
    mean, covariance, xs, _ = draw(size)
    full = hmm.FullGaussianParams(jnp.asarray(mean), jnp.asarray(covariance))
    found = jax.jit(hmm.gaussian(K, size, covariance="full").log_prob)(full, xs)
    for k in range(K):
        expected = stats.multivariate_normal.logpdf(xs, mean[k], covariance[k])
        np.testing.assert_allclose(found[..., k], expected, rtol=1e-10)
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    diagonal = hmm.GaussianParams(full.mean, jnp.asarray(variance))
    found = jax.jit(hmm.gaussian(K, size).log_prob)(diagonal, xs)
    for k in range(K):
        expected = stats.norm.logpdf(xs, mean[k], np.sqrt(variance[k])).sum(-1)
        np.testing.assert_allclose(found[..., k], expected, rtol=1e-10)


def params_of(kind, num_states=K, size=D):
    """Params from before: what they are is of no weight."""
    mean, spread = np.zeros((num_states, size)), np.ones((num_states, size))
    if kind == "diagonal":
        return hmm.GaussianParams(jnp.asarray(mean), jnp.asarray(spread))
    return hmm.FullGaussianParams(jnp.asarray(mean), jnp.asarray(spread[..., None] * np.eye(size)))


def moments(xs, weights, prior):
    """The closed form, in NumPy: means and covariances of observations and pseudo-observations."""
    xs, weights = xs.reshape(-1, D), np.asarray(weights).reshape(-1, K)
    means, covariances = [], []
    for w in weights.T:
        center, pull = prior.get("prior_mean", 0.0), prior.get("prior_mean_weight", 0.0)
        mean = (w @ xs + pull * center) / (w.sum() + pull)
        scatter = (w[:, None] * (xs - mean)).T @ (xs - mean)
        scatter += pull * np.outer(mean - center, mean - center)
        extra = prior.get("prior_variance_weight", 0.0)
        scatter += extra * prior.get("prior_variance", 1.0) * np.eye(D)
        means.append(mean)
        covariances.append(scatter / (w.sum() + extra))
    return np.array(means), np.array(covariances)


@pytest.mark.parametrize("prior", [{}, PRIOR], ids=["likelihood", "prior"])
def test_an_estimate_is_mean_and_covariance(prior):
    _, _, xs, weights = draw()
    means, covariances = moments(xs, weights, prior)
    for kind in ("diagonal", "full"):
        family = hmm.gaussian(K, D, covariance=kind, **prior)
        mean, spread = jax.jit(family.estimate)(params_of(kind), xs, weights)
        np.testing.assert_allclose(mean, means, rtol=1e-10)
        expected = covariances if kind == "full" else np.diagonal(covariances, axis1=1, axis2=2)
        np.testing.assert_allclose(spread, expected, rtol=1e-10)


def test_the_prior_of_a_full_covariance_is_that_of_its_diagonal():
    family, full = hmm.gaussian(K, D, **PRIOR), hmm.gaussian(K, D, covariance="full", **PRIOR)
    mean, covariance, _, _ = draw()
    mean, variance = jnp.asarray(mean), np.diagonal(covariance, axis1=1, axis2=2)
    same = jnp.asarray(variance[:, :, None] * np.eye(D))
    np.testing.assert_allclose(
        family.log_prior(hmm.GaussianParams(mean, jnp.asarray(variance))),
        full.log_prior(hmm.FullGaussianParams(mean, same)),
        rtol=1e-12,
    )


def test_the_prior_is_normal_and_inverse_wishart_up_to_a_constant():
    full = hmm.gaussian(K, D, covariance="full", **PRIOR)
    _, covariance, xs, _ = draw()

    def theirs(mean, covariance):
        # So few degrees of freedom, 3 - D - 2, are no distribution yet: 2 D more, taken back.
        wishart = stats.invwishart(df=3.0 - D - 2 + 2 * D, scale=3.0 * 0.5 * np.eye(D))
        shift = D * np.linalg.slogdet(covariance)[1]
        normal = stats.multivariate_normal(np.full(D, 1.5), covariance / 2.0)
        return normal.logpdf(mean) + wishart.logpdf(covariance) + shift

    pairs = [(xs[0, i : i + 2], covariance * (i + 1)) for i in (0, 2)]
    log_prior = jax.jit(full.log_prior)
    ours = [log_prior(hmm.FullGaussianParams(*map(jnp.asarray, pair))) for pair in pairs]
    other = [sum(theirs(*state) for state in zip(*pair, strict=True)) for pair in pairs]
    np.testing.assert_allclose(ours[0] - ours[1], other[0] - other[1], rtol=1e-10)


def test_the_least_variance_is_kept_and_the_estimate_is_the_best_that_keeps_it():
    rng = np.random.default_rng(3)
    xs = rng.standard_normal((9, 2)) @ np.array([[1.0, 0.3], [0.3, 0.1]])  # all but a line
    weights = jnp.ones((9, 1))
    full = hmm.gaussian(1, 2, covariance="full", min_variance=0.05)
    found = jax.jit(full.estimate)(params_of("full", 1, 2), xs, weights)
    values = np.linalg.eigvalsh(found.covariance[0])
    np.testing.assert_allclose(values[0], 0.05, rtol=1e-10)
    log_prob = jax.jit(full.log_prob)
    reached = log_prob(found, xs).sum()
    start = np.linalg.cholesky(np.asarray(found.covariance[0]) - 0.0499 * np.eye(2))
    for _ in range(50):  # any other that keeps it is worse
        root = start + 0.05 * np.tril(rng.standard_normal((2, 2)))
        other = found._replace(covariance=jnp.asarray(root @ root.T + 0.05 * np.eye(2))[None])
        assert log_prob(other, xs).sum() <= reached
    flat = hmm.gaussian(1, 2, min_variance=5.0)
    found = jax.jit(flat.estimate)(params_of("diagonal", 1, 2), xs, weights)
    assert (found.variance == 5.0).all()


def test_a_state_on_one_observation_has_the_least_variance():
    for kind in ("diagonal", "full"):
        family = hmm.gaussian(2, 3, covariance=kind)
        xs = np.array([[1.0, 2.0, 0.0], [3.0, 5.0, 1.0], [2.0, 2.0, 2.0]])
        weights = jnp.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        mean, spread = jax.jit(family.estimate)(params_of(kind), xs, weights)
        assert mean[0].tolist() == [1.0, 2.0, 0.0]
        expected = 1e-6 * np.eye(3) if kind == "full" else np.full(3, 1e-6)
        np.testing.assert_allclose(spread[0], expected, atol=1e-18)


def test_a_start_lies_among_the_observations_whatever_their_units():
    rng = np.random.default_rng(0)
    centers = np.array([[0.0, 0.0], [1e4, 0.0], [0.0, 0.3]])
    xs = centers[np.arange(60) % 3] + rng.standard_normal((60, 2)) * np.array([100.0, 0.003])
    init = jax.jit(hmm.gaussian(3, 2).init)
    for seed in range(3):
        mean = np.asarray(init(jax.random.key(seed), xs).mean)
        distances = np.abs((mean[:, None] - centers) / np.array([1e4, 0.3])).max(-1)
        assert sorted(distances.argmin(1)) == [0, 1, 2]


@pytest.mark.parametrize("kind", ["diagonal", "full"])
def test_what_is_at_the_least_variance_can_be_made_free_of_constraints(kind):
    family = hmm.gaussian(2, 2, covariance=kind, min_variance=0.5)
    params = params_of(kind, 2, 2)
    low = 0.5 * jnp.eye(2) if kind == "full" else jnp.full(2, 0.5)
    params = params._replace(**{params._fields[1]: params[1].at[0].set(low)})
    back = jax.jit(lambda params: family.constrain(family.unconstrain(params)))(params)
    np.testing.assert_allclose(back[1], params[1], atol=1e-3)
