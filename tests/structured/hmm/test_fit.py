"""Expectation maximisation."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.data import load
from jaxseq.structured import hmm

pytestmark = pytest.mark.usefixtures("x64")

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(np.where(RNG.random((3, 6)) < 0.5, 2, 9))
LENGTHS = np.array([6, 2, 4])
OBSERVED = np.ones((3, 6), bool)
OBSERVED[0, 2] = OBSERVED[2, 0] = False
TWO = hmm.poisson(2)
START = hmm.HMM(  # of NumPy, for float64 stays float64 outside of a test too
    np.log([0.3, 0.7]), np.log([[0.8, 0.2], [0.4, 0.6]]), hmm.PoissonParams(np.array([2.0, 7.0]))
)


def fit(counts=COUNTS, **options):
    """A fit of the ragged batch above."""
    options = {"lengths": LENGTHS, "observed": OBSERVED, **options}
    return hmm.fit(options.pop("key", KEY), options.pop("emission", TWO), counts, **options)


@pytest.mark.parametrize(
    ("num_states", "log_likelihood", "rates"),
    [(2, -341.8787, [15.421, 26.018]), (3, -328.5275, [13.134, 19.713, 29.710])],
)
def test_the_earthquakes_have_their_published_maxima(num_states, log_likelihood, rates):
    counts = load("earthquakes_yearly").train.count
    found = hmm.fit(KEY, hmm.poisson(num_states), counts, restarts=3, tolerance=1e-9)
    assert round(found.log_likelihood, 4) == log_likelihood
    assert np.sort(found.model.emission.rate).round(3).tolist() == rates
    assert found.converged and [restart.converged for restart in found.restarts] == [True] * 3
    assert all(round(restart.log_posterior, 4) == log_likelihood for restart in found.restarts)


def phage():
    return np.array(["ACGT".index(base) for base in load("lambda_phage").train])


def test_the_lambda_phage_has_its_maximum_from_the_start_that_is_given():
    start = hmm.HMM(
        jnp.log(jnp.array([0.5, 0.5])),
        jnp.log(jnp.array([[0.999, 0.001], [0.001, 0.999]])),
        hmm.CategoricalParams(jnp.log(jnp.array([[25, 25, 30, 20], [27, 21, 20, 32]]) / 100)),
    )
    found = hmm.fit(KEY, hmm.categorical(2, 4), phage(), model=start, tolerance=1e-5)
    assert round(found.log_likelihood, 2) == -66678.07
    stay = np.exp(np.diagonal(found.model.log_transition))
    assert stay.round(6).tolist() == [0.999884, 0.999774]
    assert np.exp(found.model.emission.log_probs).round(4).tolist() == [
        [0.2464, 0.2475, 0.2983, 0.2078],
        [0.2697, 0.2085, 0.1984, 0.3235],
    ]


def enumerated(prior):
    """One step of EM over all paths of states, in NumPy: a log-likelihood and a model."""
    initial, transition = np.exp(START.log_initial), np.exp(START.log_transition)
    rate, total = np.asarray(START.emission.rate), 0.0
    first, moves = np.full(2, prior[0] - 1.0), np.full((2, 2), prior[1] - 1.0)
    count, exposure = np.zeros(2), np.zeros(2)
    for row, length, seen in zip(COUNTS, LENGTHS, OBSERVED, strict=True):
        paths = []
        for path in itertools.product(range(2), repeat=int(length)):
            weight = initial[path[0]]
            for one, next_ in itertools.pairwise(path):
                weight *= transition[one, next_]
            for t, state in enumerate(path):
                factorial = np.prod(np.arange(1.0, row[t] + 1))
                chance = np.exp(-rate[state]) * rate[state] ** row[t] / factorial
                weight *= chance if seen[t] else 1.0
            paths.append((path, weight))
        likelihood = sum(weight for _, weight in paths)
        total += np.log(likelihood)
        for path, weight in paths:
            share = weight / likelihood
            first[path[0]] += share
            for one, next_ in itertools.pairwise(path):
                moves[one, next_] += share
            for t, state in enumerate(path):
                count[state] += share * row[t] * seen[t]
                exposure[state] += share * seen[t]
    return total, first / first.sum(), moves / moves.sum(1, keepdims=True), count / exposure


@pytest.mark.parametrize("prior", [(1.0, 1.0), (2.0, 3.5)])
@pytest.mark.parametrize("backend", ["reference", "sequential", "associative"])
def test_a_step_is_that_over_all_paths_of_states(prior, backend):
    found = fit(model=START, prior=hmm.Prior(*prior), max_iterations=1, backend=backend)
    total, initial, transition, rate = enumerated(prior)
    chain = (prior[0] - 1) * START.log_initial.sum() + (prior[1] - 1) * START.log_transition.sum()
    np.testing.assert_allclose(found.history[0], total + chain, rtol=1e-12)
    np.testing.assert_allclose(np.exp(found.model.log_initial), initial, rtol=1e-10)
    np.testing.assert_allclose(np.exp(found.model.log_transition), transition, rtol=1e-10)
    np.testing.assert_allclose(found.model.emission.rate, rate, rtol=1e-10)
    assert found.iterations == 1 and not found.converged and len(found.history) == 2


def test_a_log_posterior_only_rises_and_its_last_is_that_of_the_model():
    found = fit(model=START, prior=hmm.Prior(1.5, 2.0))
    assert found.converged and (np.diff(found.history) > -1e-12).all()
    assert found.history[-1] - found.history[-2] <= 1e-8 < found.history[1] - found.history[0]
    evidence = TWO.log_prob(found.model.emission, COUNTS)
    value = hmm.log_likelihood(
        found.model.log_initial,
        found.model.log_transition,
        evidence,
        lengths=LENGTHS,
        observed=OBSERVED,
    ).sum()
    np.testing.assert_allclose(found.log_likelihood, value, rtol=1e-12)
    again = fit(model=found.model, prior=hmm.Prior(1.5, 2.0))
    assert again.iterations <= 2


def test_what_is_in_pads_and_missing_steps_never_matters():
    spoilt = np.where(OBSERVED & (np.arange(6) < LENGTHS[:, None]), COUNTS, np.nan)
    clean, found = fit(COUNTS.astype(np.float64)), fit(spoilt)
    np.testing.assert_array_equal(clean.history, found.history)
    jax.tree.map(np.testing.assert_array_equal, clean.model, found.model)


def test_more_pads_and_more_batch_axes_change_nothing():
    wide = np.pad(COUNTS, ((0, 0), (0, 3)), constant_values=-1)
    seen = np.pad(OBSERVED, ((0, 0), (0, 3)))
    found = fit(wide[:, None], lengths=LENGTHS[:, None], observed=seen[:, None], model=START)
    np.testing.assert_array_equal(found.history, fit(model=START).history)


def test_one_sequence_needs_no_batch_axis():
    row = hmm.fit(KEY, TWO, COUNTS[0], model=START)
    np.testing.assert_array_equal(hmm.fit(KEY, TWO, COUNTS[:1], model=START).history, row.history)


@pytest.mark.parametrize("prior", [1.0, 2.0])
def test_what_a_start_forbids_stays_forbidden(prior):
    forward = START._replace(
        log_initial=jnp.array([0.0, -jnp.inf]),
        log_transition=jnp.log(jnp.array([[0.8, 0.2], [0.0, 1.0]])),
    )
    found = fit(model=forward, prior=hmm.Prior(prior, prior))
    assert np.exp(found.model.log_initial).tolist() == [1.0, 0.0]
    assert np.exp(found.model.log_transition[1]).tolist() == [0.0, 1.0]
    assert 0 < np.exp(found.model.log_transition[0, 1]) < 1


def test_a_prior_of_transitions_holds_on_to_states():
    sticky = fit(prior=hmm.Prior(transition=1 + 1000 * np.eye(2)))
    assert np.exp(np.diagonal(sticky.model.log_transition)).min() > 0.95


def test_restarts_differ_and_the_best_is_returned():
    found = fit(restarts=5)
    ends = [restart.log_posterior for restart in found.restarts]
    assert len(set(ends)) > 1 and found.history[-1] == max(ends)
    best = found.restarts[ends.index(max(ends))]
    assert best == hmm.Restart(max(ends), found.iterations, found.converged, None)


def starts(*models):
    """A function of a key that makes these models in turn."""
    left = iter(models)
    return lambda key: next(left)


IMPOSSIBLE = START._replace(emission=hmm.PoissonParams(np.zeros(2)))


def test_a_restart_that_comes_to_grief_is_told_of_and_is_not_the_best():
    found = fit(model=starts(IMPOSSIBLE, START), restarts=2)
    np.testing.assert_array_equal(found.history, fit(model=START).history)
    problem = "the log-posterior of the start is -inf"
    assert found.restarts[0] == hmm.Restart(-np.inf, 0, False, problem)
    assert found.restarts[1].problem is None


def test_a_fit_without_a_good_end_says_so():
    with pytest.raises(
        FloatingPointError, match=r"hmm.fit: the log-posterior of the start is -inf"
    ):
        fit(model=IMPOSSIBLE)
    spoiling = TWO._replace(estimate=lambda params, xs, weights: hmm.PoissonParams(params.rate * 0))
    with pytest.raises(FloatingPointError, match=r"log-posterior became -inf at iteration 1.\n  H"):
        fit(model=START, emission=spoiling)
    spoiling = TWO._replace(log_prior=lambda params: params.rate.sum() * jnp.nan)
    with pytest.raises(FloatingPointError, match="the log-posterior of the start is nan"):
        fit(model=START, emission=spoiling)


def test_a_log_posterior_that_falls_is_an_error():
    wrong = TWO._replace(estimate=lambda params, xs, weights: hmm.PoissonParams(params.rate + 1))
    with pytest.raises(
        FloatingPointError, match=r"fell from -.* to -.* at iteration \d+, .*\n  Hint: the `estima"
    ):
        fit(model=START, emission=wrong)


def test_one_program_serves_all_fits_of_a_shape():
    calls = []

    def log_prob(params, observations):
        calls.append(1)
        return TWO.log_prob(params, observations)

    counting = TWO._replace(log_prob=log_prob)
    fit(emission=counting)
    first = len(calls)
    fit(COUNTS[::-1], emission=counting, max_iterations=5, tolerance=0.5, prior=hmm.Prior(2.0))
    fit(emission=counting, restarts=3, observed=OBSERVED[::-1], progress=True)
    assert first == len(calls)


def test_float32_ends_where_its_digits_end():
    with jax.enable_x64(False):
        found = hmm.fit(KEY, TWO, load("earthquakes_yearly").train.count)
    assert found.converged and found.model.emission.rate.dtype == jnp.float32
    assert abs(found.log_likelihood + 341.8787) < 0.01


BAD_SUM = START._replace(log_initial=np.zeros(2))


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"lengths": np.zeros(3, int)}, ValueError, "there is no step to learn from"),
        ({"observed": np.zeros((3, 6), bool)}, ValueError, "there is no step to learn from"),
        ({"lengths": np.array([7, 1, 1])}, ValueError, "must be between 0 and T = 6, but there is"),
        ({"observed": OBSERVED[0]}, ValueError, r"`observed` must have shape \(\*batch, T\)"),
        ({"observed": OBSERVED.astype(int)}, TypeError, "`observed` must be bool, but it has"),
        ({"counts": np.zeros((), int)}, ValueError, r"must have shape \(\*batch, T\), but they"),
        ({"counts": -COUNTS}, ValueError, "must be counts, 0, 1, 2 and so on, but there is -"),
        ({"restarts": 0}, ValueError, "`restarts` must be a positive integer, but it is 0"),
        ({"max_iterations": 0}, ValueError, "`max_iterations` must be a positive integer"),
        ({"tolerance": -1.0}, ValueError, "`tolerance` must be a number of at least 0"),
        ({"backend": "fast"}, ValueError, "`backend` must be one of"),
        ({"model": START, "restarts": 2}, ValueError, "`model` is one start for all of them.\n"),
        ({"model": 3}, TypeError, "`model` must be an HMM, or a function of a key"),
        ({"model": BAD_SUM}, ValueError, "sum to 1, but there is a sum of 2.\n  Hint: jax.nn.log"),
        (
            {"model": START._replace(emission=hmm.PoissonParams(np.array([1.0, np.nan])))},
            ValueError,
            "there is a NaN in `model.emission`",
        ),
        (
            {"model": lambda key: START, "emission": hmm.poisson(3)},
            ValueError,
            "`log_initial` must",
        ),
        ({"prior": hmm.Prior(0.5)}, ValueError, "`prior.initial` must be at least 1, but there is"),
        (
            {"prior": hmm.Prior(transition=np.ones(3))},
            ValueError,
            r"`prior.transition` must be a number or have shape \(2, 2\), but it has shape \(3,\)",
        ),
    ],
)
@pytest.mark.usefixtures("untyped")
def test_a_fit_says_what_is_wrong(options, kind, text):
    with pytest.raises(kind, match=text):
        fit(**options)


def test_observations_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(\*batch, T, D\) with D = 2, but they have shape \(7"):
        hmm.fit(KEY, hmm.gaussian(2, 2), np.zeros((7, 3)))
    with pytest.raises(ValueError, match=r"Hint: a series of numbers is one of vectors of size 1"):
        hmm.fit(KEY, hmm.gaussian(2, 1), np.zeros(7))
    with pytest.raises(
        ValueError, match=r"no step to learn from: `observations` have shape \(0, 7"
    ):
        hmm.fit(KEY, TWO, np.zeros((0, 7), int))
    with pytest.raises(
        ValueError, match=r"no step to learn from: `observations` have shape \(2, 0"
    ):
        hmm.fit(KEY, TWO, np.zeros((2, 0), int))


def test_a_fit_is_not_for_jit():
    with pytest.raises(TypeError, match=r"it cannot run under jit, vmap or grad.\n  Hint: differ"):
        jax.jit(lambda xs: hmm.fit(KEY, TWO, xs).log_likelihood)(jnp.asarray(COUNTS))


@pytest.mark.slow
def test_the_lambda_phage_has_its_maximum_from_free_starts():
    bases, family = phage(), hmm.categorical(2, 4)

    def start(key):
        return hmm.init(key, family, bases, self_transition=0.999)

    found = hmm.fit(KEY, family, bases, model=start, restarts=4, tolerance=1e-5)
    assert round(found.log_likelihood, 2) == -66678.07
    # Where the genome begins in the other state there is a lower maximum, and some end there.
    assert {round(restart.log_posterior) for restart in found.restarts} <= {-66678, -66680}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["categorical", "poisson", "gaussian", "gaussian_full"])
def test_what_was_simulated_is_found_again(name):
    families = {
        "categorical": hmm.categorical(2, 3, concentration=1.01),
        "poisson": TWO,
        "gaussian": hmm.gaussian(2, 2),
        "gaussian_full": hmm.gaussian(2, 2, covariance="full"),
    }
    emission = families[name]
    truth = hmm.init(jax.random.key(5), emission, self_transition=0.9)
    if name == "poisson":
        truth = truth._replace(emission=hmm.PoissonParams(jnp.array([1.0, 6.0])))
    elif name.startswith("gaussian"):
        mean = jnp.array([[0.0, 0.0], [3.0, -2.0]])
        truth = truth._replace(emission=truth.emission._replace(mean=mean))
    _, xs = hmm.simulate(jax.random.key(1), emission, truth, 200, batch_shape=(20,))
    lengths = np.random.default_rng(0).integers(0, 201, 20)
    found = hmm.fit(KEY, emission, xs, lengths=lengths, restarts=3, tolerance=1e-3)
    by_truth = hmm.fit(KEY, emission, xs, lengths=lengths, model=truth, max_iterations=1)
    assert found.log_likelihood > by_truth.history[0]
    moves = np.exp(found.model.log_transition)
    assert np.abs(np.diag(moves) - 0.9).max() < 0.05
