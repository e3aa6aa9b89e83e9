"""The labeller's weights: scores, the loss, and its least value."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.recipes import _address_fit as fit
from jaxseq.recipes._address_features import Encoded
from jaxseq.structured import crf

ENCODED = Encoded(
    np.array([[1, 2], [3, 0], [2, 0], [0, 0]], np.int32),
    np.array([[0, 1, 2], [3, 0, 0]], np.int32),
    np.array([3, 1], np.int32),
)
BATCH = jax.tree.map(jnp.asarray, fit.Batch(ENCODED, np.array([[0, 1, 1], [0, 7, 7]], np.int32)))
WEIGHTS = np.arange(8, dtype=np.float32).reshape(4, 2)


def test_scores_are_sums_of_what_features_say():
    found = fit.scores(WEIGHTS, ENCODED)
    assert found[0].tolist() == [[6, 8], [6, 7], [4, 5]]
    assert found[1, 0].tolist() == [0, 0]  # no feature: the first row is without effect


def test_the_row_of_no_feature_has_no_gradient():
    slope = jax.grad(lambda weights: fit.scores(weights, ENCODED)[:, 0].sum())(WEIGHTS)
    assert slope.tolist() == [[0, 0], [1, 1], [1, 1], [0, 0]]


def test_the_log_likelihood_is_that_of_the_room():
    params = fit.Params(WEIGHTS, WEIGHTS[:2], WEIGHTS[2], WEIGHTS[3])
    found = fit.log_likelihood(params, BATCH)
    expected = crf.log_likelihood(
        fit.scores(WEIGHTS, ENCODED),
        np.array([[0, 1, 1], [0, 0, 0]]),
        WEIGHTS[:2],
        initial=WEIGHTS[2],
        final=WEIGHTS[3],
        lengths=ENCODED.lengths,
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_least_loss_has_no_slope():
    params, training = fit.minimize(fit.begin(3, 2), BATCH, 0.5, max_iterations=50, tolerance=1e-4)
    assert training.converged and training.gradient_norm <= 1e-4
    assert np.isclose(training.losses[0], np.log(2), rtol=1e-5)  # weights of 0: all is as likely
    assert (np.diff(training.losses) <= 1e-6).all()
    assert (params.features[0] == 0).all() and (params.transitions != 0).any()
    squares = sum(float((leaf**2).sum()) for leaf in params)
    nats = float(fit.log_likelihood(params, BATCH).sum())
    assert np.isclose(training.losses[-1], (0.25 * squares - nats) / 4, rtol=1e-5)


def test_iterations_end_where_they_are_told_to():
    _, training = fit.minimize(fit.begin(3, 2), BATCH, 0.5, max_iterations=2, tolerance=0.0)
    assert len(training.losses) == 3 and not training.converged


def test_a_loss_that_is_not_finite_is_named():
    start = fit.begin(3, 2)._replace(initial=jnp.full(2, jnp.nan))
    with pytest.raises(FloatingPointError, match="address-crf: the loss became nan at iteration 0"):
        fit.minimize(start, BATCH, 0.5, max_iterations=2, tolerance=0.0)
