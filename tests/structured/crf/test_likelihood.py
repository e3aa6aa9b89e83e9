"""The probability of tags against all paths, one by one; ragged rows, NaN in the pads."""

import functools

import jax
import jax.numpy as jnp
import lattices
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxseq.structured import crf

BACKENDS = ("associative", "reference", "sequential")
ROWS = range(lattices.ROWS)
TAGS = np.array([[0, 2, 1, 1, 0, 2], [2, 2, 0, -1, 9, 9], [1, *[7] * 5], [5] * 6])


def given(form="one", forbid=0.0, dtype=np.float64):
    initial, transition, emission, final = lattices.scores(5, form, dtype, forbid=forbid)
    return (emission, transition), {"initial": initial, "final": final}, lattices.LENGTHS


def all_paths(form="one", forbid=0.0):
    scores = lattices.scores(5, form, forbid=forbid)
    return [lattices.paths(*scores, row) for row in ROWS]


@functools.cache
def scored(backend):
    """Score, log-partition and log-likelihood in one program a shape."""

    @jax.jit
    def run(emission, tags, transition, ends):
        return (
            crf.score(emission, tags, transition, **ends),
            crf.log_partition(emission, transition, **ends, backend=backend),
            crf.log_likelihood(emission, tags, transition, **ends, backend=backend),
        )

    return run


@functools.cache
def sloped(backend):
    """Log-partitions, the gradient of their sum by the emissions, and the marginals."""

    @jax.jit
    def run(emission, transition, ends):
        def total(emission):
            value = crf.log_partition(emission, transition, **ends, backend=backend)
            return value.sum(), value

        gradient, value = jax.grad(total, has_aux=True)(emission)
        return value, gradient, crf.marginals(emission, transition, **ends, backend=backend)

    return run


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("form", "forbid"), [("one", 0.0), ("one", 0.4), ("a step", 0.2)])
def test_it_is_the_score_of_the_path_by_that_of_all(form, forbid, backend, x64):
    (emission, transition), ends, lengths = given(form, forbid)
    found = all_paths(form, forbid)
    log_z = [lattices.posterior(one)[0] for one in found]
    paths = [tuple(TAGS[row][: lengths[row]].tolist()) for row in ROWS]
    score = [{path: s for s, path in one}[path] for one, path in zip(found, paths, strict=True)]
    ends = {**ends, "lengths": lengths}
    own, whole, got = scored(backend)(emission, TAGS, transition, ends)
    np.testing.assert_allclose(own, score, rtol=1e-12)
    np.testing.assert_allclose(whole, log_z, rtol=1e-12)
    want = [s - z if s > -np.inf else -np.inf for s, z in zip(score, log_z, strict=True)]
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)


def test_of_a_forbidden_path_the_gradient_is_zero(x64):
    (emission, _), _, lengths = given()
    forbidden = jnp.full((3, 3), -jnp.inf)

    def value(emission, transition):
        return crf.log_likelihood(emission, TAGS, transition, lengths=lengths)

    np.testing.assert_array_equal(value(emission, forbidden)[:2], -np.inf)
    slope = jax.jit(jax.grad(lambda *a: value(*a)[:2].sum(), argnums=(0, 1)))
    for gradient in slope(emission, forbidden):
        np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_gradient_of_the_partition_is_the_marginals(backend, x64):
    (emission, transition), ends, lengths = given(forbid=0.2)
    _, gradient, marginals = sloped(backend)(emission, transition, {**ends, "lengths": lengths})
    np.testing.assert_allclose(gradient, marginals, atol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_derivatives_of_two_orders(backend, x64):
    (emission, transition), ends, lengths = given()
    emission = np.nan_to_num(emission)

    @jax.jit
    def value(emission, transition, initial):
        return crf.log_partition(
            emission, transition, **{**ends, "initial": initial}, lengths=lengths, backend=backend
        )

    check_grads(value, (emission, transition, ends["initial"]), order=2)


def test_the_path_of_a_softmax_is_a_field_without_transitions(x64):
    (emission, _), _, lengths = given()
    log_probs = jax.nn.log_softmax(jnp.nan_to_num(emission))
    tags = np.clip(TAGS, 0, 2)
    chosen = np.take_along_axis(log_probs, tags[..., None], -1)[..., 0]
    want = np.where(np.arange(lattices.STEPS) < lengths[:, None], chosen, 0).sum(1)
    got = crf.log_likelihood(emission, TAGS, np.zeros((3, 3)), lengths=lengths)
    np.testing.assert_allclose(got, want, atol=1e-12)


def test_scores_that_a_probability_cannot_hold_are_summed_in_logarithms():
    # The second tag is all but impossible, and the only one from which the third can be reached.
    emission = np.float32([[0, -150, -np.inf], [0, 0, 0], [-np.inf, -np.inf, 0]])
    transition = np.float32([[0, -np.inf, -np.inf], [-np.inf, -np.inf, 0], [-np.inf, -np.inf, 0]])
    for backend in BACKENDS:
        value, gradient, marginals = sloped(backend)(emission, transition, {})
        np.testing.assert_allclose(value, -150, rtol=1e-6)
        np.testing.assert_allclose(marginals, [[0, 1, 0], [0, 0, 1], [0, 0, 1]], atol=1e-6)
        np.testing.assert_allclose(gradient, marginals, atol=1e-6)


@pytest.mark.parametrize("steps", [slice(183, None), slice(0, 14), slice(60, 90)])
@pytest.mark.parametrize("score", [6.8, 30.0])
def test_what_is_not_reached_drowns_nothing(steps, score):
    # Two tags that never follow one another; the scores are for the one that cannot be the first.
    transition = np.where(np.eye(2, dtype=bool), 0, -np.inf).astype(np.float32)
    emission = np.zeros((197, 2), np.float32)
    emission[steps, 1] = score
    for backend in BACKENDS:
        ends = {"initial": np.float32([0, -np.inf])}
        value, gradient, marginals = sloped(backend)(emission, transition, ends)
        np.testing.assert_allclose(marginals, [[1, 0]] * 197, atol=1e-5)
        np.testing.assert_allclose(value, 0, atol=1e-4)
        np.testing.assert_allclose(gradient, marginals, atol=1e-5)


def test_a_tag_out_of_range_is_said_and_under_jit_makes_a_nan():
    (emission, transition), ends, _ = given(dtype=np.float32)
    emission = np.nan_to_num(emission)
    with pytest.raises(
        ValueError, match=r"crf.log_likelihood: `tags` .* 0 and K - 1 = 2, but there is -1"
    ):
        crf.log_likelihood(emission, TAGS, transition, **ends)
    got = jax.jit(lambda tags: crf.log_likelihood(emission, tags, transition, **ends))(TAGS)
    np.testing.assert_array_equal(np.isnan(got), [False, True, True, True])


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        ({"tags": TAGS[:3]}, ValueError, r"crf.score: `tags` must have shape \(\*batch, T\)"),
        ({"tags": TAGS * 1.0}, TypeError, "crf.score: `tags` must be integers"),
        ({"final": np.zeros(2)}, ValueError, r"crf.score: `final` must have shape \(K,\) = \(3,\)"),
        (
            {"allowed": crf.Allowed(np.ones((2, 2), bool), np.ones(2, bool), np.ones(2, bool))},
            ValueError,
            r"crf.score: `allowed.transitions` must have shape \(K, K\) = \(3, 3\)",
        ),
    ],
)
def test_what_is_wrong_is_said(change, kind, text, untyped):
    (emission, transition), _, lengths = given(dtype=np.float32)
    arguments = {"emissions": emission, "tags": TAGS, "transitions": transition, "lengths": lengths}
    with pytest.raises(kind, match=text):
        crf.score(**{**arguments, **change})
