"""What every family of emissions must do: one table, each row through every check."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.structured import hmm

SYMBOLS = np.array([[0, 3, 1, 1, 2], [3, 3, 0, 2, 1]])
COUNTS = np.array([[0, 3, 11, 1, 2], [7, 3, 0, 25, 1]])
VECTORS = np.random.default_rng(0).normal(2.0, 3.0, (2, 5, 2))
K = 3
# A family, observations [2, 5, *event], and one that is impossible.
FAMILIES = {
    "categorical": (hmm.categorical(K, 4), SYMBOLS, 4),
    "categorical, prior": (hmm.categorical(K, 4, concentration=1.5), SYMBOLS, -1),
    "poisson": (hmm.poisson(K), COUNTS, -1),
    "poisson, prior": (hmm.poisson(K, prior_count=2.0, prior_exposure=0.5), COUNTS, -3),
    "gaussian": (hmm.gaussian(K, 2), VECTORS, np.nan),
    "gaussian, prior": (
        hmm.gaussian(
            K,
            2,
            prior_mean=1.0,
            prior_mean_weight=0.5,
            prior_variance=2.0,
            prior_variance_weight=1.5,
        ),
        VECTORS,
        np.inf,
    ),
    "full": (hmm.gaussian(K, 2, covariance="full"), VECTORS, np.nan),
    "full, prior": (
        hmm.gaussian(
            K,
            2,
            covariance="full",
            prior_mean=1.0,
            prior_mean_weight=0.5,
            prior_variance=2.0,
            prior_variance_weight=1.5,
        ),
        VECTORS,
        np.nan,
    ),
}
pytestmark = pytest.mark.usefixtures("x64")
PLAIN = ("categorical", "poisson", "gaussian", "full")
every_family = pytest.mark.parametrize("name", PLAIN)
FUNCTIONS = ("init", "log_prob", "estimate", "log_prior", "sample", "unconstrain", "constrain")


@functools.cache
def compiled(name):
    """A family whose functions are programs, so that each is compiled once for all tests."""
    emission = FAMILIES[name][0]
    return emission._replace(**{f: jax.jit(getattr(emission, f)) for f in FUNCTIONS})


@functools.cache
def start(name):
    return compiled(name).init(jax.random.key(0), FAMILIES[name][1])


def weights_of(*shape, seed=1):
    return jnp.asarray(np.random.default_rng(seed).random((*shape, K)))


def test_equal_arguments_give_the_same_family():
    assert hmm.categorical(2, 4) is hmm.categorical(2, 4)
    assert hmm.categorical(2, 4) is not hmm.categorical(2, 4, concentration=2.0)
    assert hash(hmm.gaussian(2, 3)) == hash(hmm.gaussian(2, 3))
    assert hmm.gaussian(2, 3) != hmm.gaussian(2, 3, covariance="full")
    assert hmm.poisson(2) is hmm.poisson(2)


@every_family
def test_a_batch_is_its_observations_one_by_one(name):
    emission, xs = compiled(name), FAMILIES[name][1]
    params = start(name)
    log_probs = emission.log_prob(params, xs)
    assert log_probs.shape == (2, 5, K) and log_probs.dtype == jnp.float64
    one = emission.log_prob(params, xs[1, 2])
    assert one.shape == (K,)
    np.testing.assert_allclose(one, log_probs[1, 2], rtol=1e-12)


@every_family
def test_half_precision_is_computed_in_float32(name):
    emission, xs, _ = FAMILIES[name]
    xs = jnp.asarray(xs, jnp.float32 if emission.event_shape else jnp.int32)
    params = jax.eval_shape(emission.init, jax.random.key(0), xs)
    low = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16), params)
    assert jax.eval_shape(emission.log_prob, low, xs).dtype == jnp.float32
    with jax.enable_x64(False):
        params = jax.eval_shape(emission.init, jax.random.key(0), xs)
        assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}


@every_family
def test_what_is_impossible_is_nan_and_leaves_gradients_alone(name):
    emission, (_, xs, impossible) = compiled(name), FAMILIES[name]
    params = start(name)
    spoilt = np.array(xs)
    spoilt[0, 1] = impossible
    log_probs = emission.log_prob(params, spoilt)
    assert jnp.isnan(log_probs[0, 1]).all() and jnp.isfinite(log_probs[1]).all()

    def total(free, xs):
        log_probs = emission.log_prob(emission.constrain(free), xs)
        return jnp.where(jnp.isnan(log_probs), 0, log_probs).at[0, 1].set(0).sum()

    free = emission.unconstrain(params)
    slope = jax.jit(jax.grad(total))
    expected, found = slope(free, xs), slope(free, spoilt)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), expected, found)


@pytest.mark.parametrize("name", FAMILIES)
def test_an_estimate_is_the_maximum(name):
    emission, xs = compiled(name), FAMILIES[name][1]
    params, weights = start(name), weights_of(2, 5)
    best = emission.estimate(params, xs, weights)

    def total(free):
        params = emission.constrain(free)
        return (weights * emission.log_prob(params, xs)).sum() + emission.log_prior(params)

    slopes = jax.jit(jax.grad(total))(emission.unconstrain(best))
    for slope in jax.tree.leaves(slopes):
        # Above the diagonal of a root nothing is read; logits have one direction too many.
        np.testing.assert_allclose(slope, np.zeros(slope.shape), atol=2e-5)


@every_family
def test_what_has_no_weight_never_matters(name):
    emission, (_, xs, impossible) = compiled(name), FAMILIES[name]
    params = start(name)
    weights = weights_of(2, 5).at[0, 1].set(0).at[1, 4].set(0)
    spoilt = np.array(xs)
    spoilt[0, 1] = spoilt[1, 4] = impossible
    jax.tree.map(
        np.testing.assert_array_equal,
        emission.estimate(params, xs, weights),
        emission.estimate(params, spoilt, weights),
    )


@every_family
def test_a_state_without_weight_keeps_its_params(name):
    emission, xs = compiled(name), FAMILIES[name][1]
    params = start(name)
    weights = weights_of(2, 5).at[..., 1].set(0)
    for old, new in zip(params, emission.estimate(params, xs, weights), strict=True):
        np.testing.assert_array_equal(old[1], new[1])
        assert jnp.isfinite(new).all() and (old[0] != new[0]).any()


@every_family
def test_a_prior_of_no_weight_is_none(name):
    emission = compiled(name)
    prior = emission.log_prior(start(name))
    assert prior.shape == () and float(prior) == 0


@every_family
def test_a_family_comes_back_from_where_there_are_no_constraints(name):
    emission, xs = compiled(name), FAMILIES[name][1]
    params = emission.estimate(start(name), xs, weights_of(2, 5))
    back = emission.constrain(emission.unconstrain(params))
    assert type(back) is type(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), params, back)


@every_family
def test_a_start_is_another_for_each_key_and_does_not_look_at_what_is_not_used(name):
    emission, (_, xs, impossible) = compiled(name), FAMILIES[name]
    spoilt = np.array(xs)
    spoilt[0, 1] = impossible
    used = np.ones((2, 5), bool)
    used[0, 1] = False
    first = emission.init(jax.random.key(0), xs, used=used)
    again = emission.init(jax.random.key(0), spoilt, used=used)
    jax.tree.map(np.testing.assert_array_equal, first, again)
    other = emission.init(jax.random.key(1), xs, used=used)
    assert any((a != b).any() for a, b in zip(first, other, strict=True))
    assert jnp.isfinite(emission.log_prob(other, xs)).all()


@every_family
def test_a_start_needs_no_observations_and_no_two_states_begin_alike(name):
    emission, xs = compiled(name), FAMILIES[name][1]
    blind = emission.init(jax.random.key(0))
    assert jnp.isfinite(emission.log_prob(blind, xs)).all()
    same = np.broadcast_to(xs[:1, :1], xs.shape)
    log_probs = emission.log_prob(emission.init(jax.random.key(0), same), xs)
    assert len(np.unique(log_probs[0, 2])) == K


@every_family
def test_samples_are_likely_and_have_the_shape_of_observations(name):
    emission = compiled(name)
    params = start(name)
    states = jnp.arange(2 * 3 * 500).reshape(2, 3, 500) % K
    drawn = emission.sample(jax.random.key(1), params, states)
    assert drawn.shape == (2, 3, 500, *emission.event_shape)
    emission.check("test", np.asarray(drawn), np.ones(drawn.shape[:3], bool))
    # Estimated from what was drawn in known states, the params come back.
    found = emission.estimate(params, drawn, jax.nn.one_hot(states, K))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0.3, atol=0.6), params, found)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: hmm.categorical(0, 2), "hmm.categorical: `num_states` must be a positive integer"),
        (lambda: hmm.categorical(2, 0), "`num_symbols` must be a positive integer, but it is 0"),
        (lambda: hmm.categorical(2, 2, concentration=0.5), "`concentration` must be a number of"),
        (lambda: hmm.poisson(0), "hmm.poisson: `num_states` must be a positive integer, but"),
        (lambda: hmm.poisson(2, prior_count=-1.0), "`prior_count` must be a number of at least 0"),
        (lambda: hmm.poisson(2, prior_exposure=np.nan), "`prior_exposure` must be a number of at"),
        (
            lambda: hmm.gaussian(2, 0),
            "hmm.gaussian: `size` must be a positive integer, but it is 0",
        ),
        (lambda: hmm.gaussian(2, 2, prior_mean=np.inf), "`prior_mean` must be a finite number"),
        (lambda: hmm.gaussian(2, 2, prior_mean_weight=-1.0), "`prior_mean_weight` must be a"),
        (lambda: hmm.gaussian(2, 2, prior_variance_weight=-1.0), "`prior_variance_weight` must"),
        (lambda: hmm.gaussian(2, 2, min_variance=0.0), "`min_variance` must be more than 0"),
        (
            lambda: hmm.gaussian(2, 2, covariance="tied"),
            '`covariance` must be "diagonal" or "full", but it is "tied"',
        ),
    ],
)
@pytest.mark.usefixtures("untyped")
def test_a_factory_says_what_is_wrong(make, text):
    with pytest.raises(ValueError, match=text):
        make()


@pytest.mark.parametrize(
    ("name", "xs", "kind", "text"),
    [
        ("categorical", np.array([0.5]), TypeError, "`observations` must be integers, but they"),
        ("categorical", np.array([1, 4]), ValueError, "between 0 and V - 1 = 3, but there is 4"),
        ("categorical", np.array([-1]), ValueError, "V - 1 = 3, but there is -1.\n  Hint: say"),
        ("poisson", np.array(["a"]), TypeError, "`observations` must be counts, but they have"),
        ("poisson", np.array([0.5]), ValueError, "0, 1, 2 and so on, but there is 0.5"),
        ("poisson", np.array([-1]), ValueError, "0, 1, 2 and so on, but there is -1"),
        ("poisson", np.array([np.nan]), ValueError, "but there is nan.\n  Hint: say which steps"),
        ("gaussian", np.array([[1j, 0]]), TypeError, "must be real numbers, but they have dtype"),
        ("gaussian", np.array([[np.nan, 0.0]]), ValueError, "but there is nan.\n  Hint: say which"),
        (
            "full",
            np.array([[1.0, 0.0], [2.0, 0.0]]),
            ValueError,
            "in dimension 1 is 0, less than the family's min_variance = 1e-06.\n  Hint: give",
        ),
    ],
)
def test_a_check_says_what_cannot_be_observed(name, xs, kind, text):
    with pytest.raises(kind, match=text):
        FAMILIES[name][0].check("test", xs, np.ones(len(xs), bool))
