"""Fitting by gradient."""

import jax
import numpy as np
import optax
import pytest

from jaxseq.data import load
from jaxseq.structured import hmm

pytestmark = pytest.mark.usefixtures("x64")

KEY = jax.random.key(0)
TWO = hmm.poisson(2)
RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(np.where(RNG.random((3, 6)) < 0.5, 2, 9)).astype(np.float64)
LENGTHS = np.array([6, 2, 4])
START = hmm.HMM(
    np.array([0.0, -np.inf]),
    np.array([[np.log(0.8), np.log(0.2)], [-np.inf, 0.0]]),
    hmm.PoissonParams(np.array([2.0, 7.0])),
)
SGD = optax.sgd(0.5)


def fit(counts=COUNTS, optimizer=SGD, **options):
    options = {"lengths": LENGTHS, "model": START, "steps": 5, **options}
    return hmm.fit_gradient(KEY, TWO, counts, optimizer, **options)


@pytest.fixture
def promotion():
    """Optax mixes its own integers and floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.usefixtures("promotion")
@pytest.mark.parametrize("name", ["adam", pytest.param("lbfgs", marks=pytest.mark.slow)])
def test_the_earthquakes_have_the_same_maximum_by_gradient(name):
    optimizer = {"adam": optax.adam(0.5), "lbfgs": optax.lbfgs()}[name]
    counts = load("earthquakes_yearly").train.count
    found = hmm.fit_gradient(KEY, TWO, counts, optimizer, steps=1500, tolerance=1e-7)
    # Where a probability goes to 0 the slope does too, and Adam is slow to follow.
    assert found.converged == (name == "lbfgs")
    assert abs(found.log_likelihood + 341.8787) < (5e-5 if name == "lbfgs" else 5e-4)
    rates = np.sort(found.model.emission.rate)
    np.testing.assert_allclose(rates, [15.421, 26.018], atol=2e-3)


def test_pads_never_matter_and_what_is_forbidden_stays_so():
    spoilt = np.where(np.arange(6) < LENGTHS[:, None], COUNTS, np.nan)
    clean, found = fit(), fit(spoilt)
    np.testing.assert_array_equal(clean.history, found.history)
    jax.tree.map(np.testing.assert_array_equal, clean.model, found.model)
    assert np.exp(found.model.log_initial).tolist() == [1.0, 0.0]
    assert np.exp(found.model.log_transition[1]).tolist() == [0.0, 1.0]
    assert found.history[-1] > found.history[0] and found.iterations == 5 and not found.converged


def test_the_likeliest_model_on_the_way_is_returned():
    found = fit(optimizer=optax.sgd(-1.0))  # uphill, so that the start is the best
    assert found.history.argmax() == 0 and found.log_likelihood == found.history[0]
    np.testing.assert_allclose(found.model.emission.rate, START.emission.rate, rtol=1e-12)


def test_one_program_serves_all_fits_of_a_shape():
    calls = []

    def log_prob(params, observations):
        calls.append(1)
        return TWO.log_prob(params, observations)

    counting = TWO._replace(log_prob=log_prob)
    for counts, steps in ((COUNTS, 5), (COUNTS[::-1], 7)):
        hmm.fit_gradient(KEY, counting, counts, SGD, steps=steps, restarts=2)
        calls.append("end")
    assert calls.index("end") == len(calls) - 2


def test_a_fit_that_leaves_the_finite_numbers_says_so():
    with pytest.raises(FloatingPointError, match=r"hmm.fit_gradient: the log-posterior became"):
        fit(optimizer=optax.sgd(1e6), steps=50)


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"steps": 0}, ValueError, "hmm.fit_gradient: `steps` must be a positive integer"),
        ({"tolerance": -1.0}, ValueError, "`tolerance` must be a number of at least 0"),
        ({"optimizer": 0.1}, TypeError, "must have `init` and `update`, but it is float.\n  Hint"),
        ({"counts": -COUNTS - 1}, ValueError, "hmm.fit_gradient: `observations` must be counts"),
    ],
)
def test_a_fit_says_what_is_wrong(options, kind, text):
    with pytest.raises(kind, match=text):
        fit(**options)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["categorical", "gaussian", "gaussian_full"])
def test_where_em_ends_the_gradient_is_zero(name):
    emission, xs = {
        "categorical": (hmm.categorical(2, 3, concentration=2.0), RNG.integers(0, 3, (4, 9))),
        "gaussian": (hmm.gaussian(2, 2, prior_variance_weight=1.0), RNG.normal(size=(4, 9, 2))),
        "gaussian_full": (
            hmm.gaussian(2, 2, covariance="full", prior_variance_weight=3.0),
            RNG.normal(size=(4, 9, 2)),
        ),
    }[name]
    prior = hmm.Prior(2.0, 1.5)
    best = hmm.fit(KEY, emission, xs, prior=prior, tolerance=1e-12, max_iterations=5000)
    there = hmm.fit_gradient(
        KEY, emission, xs, SGD, model=best.model, prior=prior, tolerance=1e-5, steps=3
    )
    assert there.converged and there.iterations == 0
    np.testing.assert_allclose(there.history[0], best.history[-1], rtol=1e-10)
    away = hmm.fit_gradient(KEY, emission, xs, SGD, prior=prior, steps=100)
    assert away.history[-1] > away.history[0] + 1
