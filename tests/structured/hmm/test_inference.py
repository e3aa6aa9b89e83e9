"""Hidden Markov models against all paths, one by one; ragged rows, NaN in the pads."""

import functools
import itertools

import jax
import jax.numpy as jnp
import lattices
import numpy as np
import pytest

from jaxseq.structured import hmm

BACKENDS = ("associative", "reference", "sequential")
ROWS = range(lattices.ROWS)
SLOWLY = [pytest.param(steps, marks=pytest.mark.slow) for steps in (1, 2, 3, 31, 257)]


@functools.cache
def problem(form="one", forbid=0.0):
    initial, transition, emission, _ = lattices.scores(3, form, forbid=forbid)
    arrays = (initial, transition, emission)
    return arrays, [lattices.paths(*arrays, np.zeros(lattices.STATES), row) for row in ROWS]


@functools.cache
def everything(backend):
    """All that is read off a lattice, in one program a shape."""

    @jax.jit
    def run(initial, transition, emission, lengths):
        arrays, given = (initial, transition, emission), {"lengths": lengths, "backend": backend}
        return (
            hmm.log_likelihood(*arrays, **given),
            hmm.smooth(*arrays, **given),
            hmm.pairwise(*arrays, **given),
            hmm.viterbi(*arrays, **given),
        )

    return run


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("form", "forbid"), [("one", 0), ("one", 0.4), ("a row", 0), ("a step", 0.3)]
)
def test_everything_equals_all_paths(form, forbid, backend, x64):
    arrays, found = problem(form, forbid)
    log_z = np.array([lattices.posterior(one)[0] for one in found])
    one, two = (np.stack(part) for part in zip(*map(lattices.marginals, found), strict=True))

    value, smooth, pairs, (states, score) = everything(backend)(*arrays, lattices.LENGTHS)
    np.testing.assert_allclose(value, log_z, rtol=1e-12)
    np.testing.assert_allclose(smooth.log_likelihood, log_z, rtol=1e-12)
    np.testing.assert_allclose(np.exp(smooth.log_marginals), one, atol=1e-13)
    np.testing.assert_allclose(smooth.transition_counts, two.sum(1), atol=1e-13)
    np.testing.assert_allclose(np.exp(pairs), two, atol=1e-13)
    for row in ROWS:
        best, path = max(found[row])
        np.testing.assert_allclose(score[row], best, rtol=1e-12)
        if best > -np.inf:
            assert tuple(states[row][: len(path)].tolist()) == path
        assert not states[row][len(path) :].any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_gradient_is_the_posterior(backend, x64):
    arrays, found = problem(forbid=0.2)
    one, two = (np.stack(part) for part in zip(*map(lattices.marginals, found), strict=True))

    def total(*arrays):
        values = hmm.log_likelihood(*arrays, lengths=lattices.LENGTHS, backend=backend)
        return jnp.where(values > -jnp.inf, values, 0).sum()

    initial, transition, emission = jax.jit(jax.grad(total, argnums=(0, 1, 2)))(*arrays)
    np.testing.assert_allclose(initial, one[:, 0].sum(0), atol=1e-13)
    np.testing.assert_allclose(transition, two.sum((0, 1)), atol=1e-13)
    np.testing.assert_allclose(emission, one, atol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_filtering_a_sequence_is_smoothing_its_beginnings(backend, x64):
    (initial, transition, emission), _ = problem()
    got = jax.jit(functools.partial(hmm.filter, backend=backend))(initial, transition, emission[:1])
    for steps in range(1, lattices.STEPS + 1):
        want = everything("reference")(initial, transition, emission[:1], np.int32([steps]))[1]
        np.testing.assert_allclose(
            got.log_probs[0, steps - 1], want.log_marginals[0, steps - 1], atol=1e-12
        )
    np.testing.assert_allclose(got.log_likelihood, want.log_likelihood)


def enumerated(initial, transition, emission):
    """Marginals, filtered and pair probabilities by all paths; JAX differentiates it."""
    steps, size = emission.shape
    paths = np.array(list(itertools.product(range(size), repeat=steps)), np.int32)
    states = jax.nn.one_hot(paths, size, dtype=emission.dtype)

    def probs(steps):
        score = initial[paths[:, 0]] + jnp.einsum("ptk,tk->p", states[:, :steps], emission[:steps])
        for t in range(1, steps):
            score = score + transition[paths[:, t - 1], paths[:, t]]
        return jax.nn.softmax(score)

    full = probs(steps)
    filtered = [jnp.einsum("p,pk->k", probs(t + 1), states[:, t]) for t in range(steps)]
    pairs = jnp.einsum("p,pti,ptj->tij", full, states[:, :-1], states[:, 1:])
    return jnp.einsum("p,ptk->tk", full, states), jnp.stack(filtered), pairs


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_of_probabilities_are_those_of_all_paths(backend, x64):
    rng = np.random.default_rng(4)
    arrays = rng.normal(size=3), rng.normal(size=(3, 3)), rng.normal(size=(4, 3))
    weights = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.normal(size=(3, 3, 3))

    def total(probs):
        return sum(jnp.vdot(weight, prob) for weight, prob in zip(weights, probs, strict=True))

    def ours(*arrays):
        logs = (
            hmm.smooth(*arrays, backend=backend).log_marginals,
            hmm.filter(*arrays, backend=backend).log_probs,
            hmm.pairwise(*arrays, backend=backend),
        )
        return total(map(jnp.exp, logs))

    got = jax.jit(jax.grad(ours, argnums=(0, 1, 2)))(*arrays)
    want = jax.grad(lambda *a: total(enumerated(*a)), argnums=(0, 1, 2))(*arrays)
    for one, other in zip(got, want, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.slow
def test_what_follows_is_a_missing_observation(x64):
    (initial, transition, emission), _ = problem()
    transition = transition - np.logaddexp.reduce(transition, axis=1, keepdims=True)
    initial = initial - np.logaddexp.reduce(initial)
    ahead = hmm.predict(initial, transition, emission, steps=2, lengths=lattices.LENGTHS)
    assert ahead.shape == (lattices.ROWS, 2, lattices.STATES)
    for row, length in enumerate(lattices.LENGTHS):
        longer = np.concatenate([emission[row, :length], np.full((2, lattices.STATES), np.nan)])
        observed = np.arange(length + 2) < length
        want = hmm.filter(initial, transition, longer, observed=observed).log_probs[length:]
        np.testing.assert_allclose(ahead[row], want, atol=1e-12)


def test_a_missing_observation_is_summed_out(x64):
    (initial, transition, emission), _ = problem()
    hidden = emission[0].copy()
    hidden[2] = np.nan
    observed = np.arange(lattices.STEPS) != 2

    def value(emission):
        return hmm.log_likelihood(initial, transition, emission, observed=observed)

    known = hidden.copy()
    known[2] = 0
    want = hmm.log_likelihood(initial, transition, known)
    got, gradient = jax.value_and_grad(value)(jnp.asarray(hidden))
    np.testing.assert_allclose(got, want)
    assert not gradient[2].any()
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("steps", [1024, *SLOWLY])
def test_blocks_of_steps_are_steps(steps, x64):
    rng = np.random.default_rng(steps)
    arrays = rng.normal(size=3), rng.normal(size=(3, 3)), rng.normal(size=(2, steps, 3)) * 3
    lengths = np.array([steps, steps // 2], np.int32)

    def run(backend):
        given = {"lengths": lengths, "backend": backend}
        gradient = jax.grad(lambda *a: hmm.log_likelihood(*a, **given).sum(), argnums=(0, 1, 2))
        return jax.jit(gradient)(*arrays), everything(backend)(*arrays, lengths)

    want, got = run("reference"), run("associative")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), got, want)


def test_two_batch_axes_are_one(x64):
    (initial, transition, emission), _ = problem()
    given = {"lengths": lattices.LENGTHS}
    want = hmm.smooth(initial, transition, emission, **given)
    given = {"lengths": lattices.LENGTHS.reshape(2, 2)}
    got = hmm.smooth(initial, transition, emission.reshape(2, 2, *emission.shape[1:]), **given)
    for one, other in zip(got, want, strict=True):
        np.testing.assert_array_equal(one, other.reshape(one.shape))


def test_a_model_of_each_row_is_a_batch_of_models(x64):
    (initial, transition, emission), _ = problem("a row")
    initials = np.stack([initial + row for row in ROWS])
    got = hmm.log_likelihood(initials, transition, emission, lengths=lattices.LENGTHS)
    rows = jax.jit(jax.vmap(lambda i, t, e, n: hmm.log_likelihood(i, t, e, lengths=n)))
    want = rows(initials, transition, emission, lattices.LENGTHS)
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_samples_are_distributed_as_the_posterior(x64):
    (initial, transition, emission), found = problem()
    keys = jax.random.split(jax.random.key(0), 4000)
    arrays = (initial, transition, emission[1], found[1])[:3]
    draw = jax.jit(jax.vmap(lambda key: hmm.sample(key, *arrays, lengths=jnp.int32(3))))
    states = draw(keys)
    assert not states[:, 3:].any()
    probs = lattices.posterior(found[1])[1]
    for prob, (_, path) in zip(probs, found[1], strict=True):
        share = np.mean((np.asarray(states)[:, :3] == path).all(1))
        assert abs(share - prob) < 5 * np.sqrt(prob * (1 - prob) / 4000) + 1e-9


def test_padding_changes_no_draw():
    initial, transition, emission, _ = lattices.scores(dtype=np.float32)
    longer = np.concatenate([emission, np.full_like(emission, np.nan)], axis=1)
    given = {"lengths": lattices.LENGTHS}
    short = hmm.sample(jax.random.key(1), initial, transition, emission, **given)
    long = hmm.sample(jax.random.key(1), initial, transition, longer, **given)
    np.testing.assert_array_equal(long[:, : lattices.STEPS], short)


def test_half_precision_is_computed_in_single():
    arrays = [jnp.asarray(a, jnp.bfloat16) for a in lattices.scores(dtype=np.float32)[:3]]
    assert hmm.log_likelihood(*arrays, lengths=lattices.LENGTHS).dtype == jnp.float32


def test_forty_eight_thousand_steps_have_a_finite_gradient():
    rng = np.random.default_rng(0)
    stay = np.log(np.array([[0.9998, 0.0002], [0.0003, 0.9997]], np.float32))
    arrays = np.log(np.float32([0.5, 0.5])), stay, rng.normal(size=(48_502, 2)).astype(np.float32)

    def gradient(backend):
        value = functools.partial(hmm.log_likelihood, backend=backend)
        return jax.jit(jax.grad(value, argnums=(0, 1, 2)))(*arrays)

    got, want = gradient("associative"), gradient("sequential")
    for one, other in zip(got, want, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(np.sum(got[2], axis=1), 1, rtol=1e-4)


def test_it_is_traced_once_a_shape():
    traces = []

    @jax.jit
    def value(*arrays):
        traces.append(1)
        return hmm.log_likelihood(*arrays)

    initial, transition, emission, _ = lattices.scores(dtype=np.float32)
    for shift in range(3):
        value(initial, transition, emission + shift)
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        ({"log_obs": np.zeros(3)}, ValueError, r"`log_obs` must have shape \(\*batch, T, K\)"),
        ({"log_obs": np.zeros((2, 3), int)}, TypeError, "`log_obs` must be floating"),
        ({"log_transition": np.zeros((2, 2))}, ValueError, r"`log_transition` must have shape"),
        (
            {"log_initial": np.zeros(2)},
            ValueError,
            r"`log_initial` must have shape \(K,\) = \(3,\)",
        ),
        (
            {"lengths": np.int32([7, 0, 0, 0])},
            ValueError,
            "`lengths` .* 0 and T = 6, but there is 7",
        ),
        ({"lengths": np.float32([1, 0, 0, 0])}, TypeError, "`lengths` must be integers"),
        (
            {"lengths": np.int32([1])},
            ValueError,
            r"`lengths` must have shape \(\*batch,\) = \(4,\)",
        ),
        ({"observed": np.ones((4, 4), bool)}, ValueError, "`observed` must have shape"),
        ({"observed": np.ones((4, 6))}, TypeError, "`observed` must be bool"),
        ({"backend": "fast"}, ValueError, '`backend` must be one of .* but it is "fast"'),
    ],
)
def test_what_is_wrong_is_said(change, kind, text, untyped):
    initial, transition, emission, _ = lattices.scores(dtype=np.float32)
    given = {"log_initial": initial, "log_transition": transition, "log_obs": emission, **change}
    with pytest.raises(kind, match=r"hmm\.log_likelihood: " + text):
        hmm.log_likelihood(**given)


def test_prediction_needs_a_step_and_one_transition():
    initial, transition, emission, _ = lattices.scores(dtype=np.float32)
    with pytest.raises(ValueError, match=r"hmm\.predict: `steps` must be at least 1, but it is 0"):
        hmm.predict(initial, transition, emission, steps=0)


def test_a_length_that_jit_hides_is_clamped():
    initial, transition, emission, _ = lattices.scores(dtype=np.float32)
    value = jax.jit(lambda n: hmm.log_likelihood(initial, transition, emission, lengths=n))
    at_most = value(jnp.array([9, 3, 1, -2]))
    np.testing.assert_array_equal(at_most, value(lattices.LENGTHS))


def test_no_steps_at_all():
    nothing = [np.zeros(shape, np.float32) for shape in ((2,), (2, 2), (3, 0, 2))]
    assert hmm.log_likelihood(*nothing).tolist() == [0] * 3
    assert hmm.viterbi(*nothing)[0].shape == (3, 0)
