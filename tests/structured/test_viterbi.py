"""The best path by pointers, made once or block by block, is that of all messages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.structured import _viterbi, hmm
from jaxseq.structured._scores import Scores
from jaxseq.structured._viterbi import best_of_steps, blocks_of, viterbi

ONCE, BLOCKS, TWO_PLACES, LOOKED_UP = (2, 3), (12, 23), (9, 31), (2, 260)  # rows and states


def scores_of(steps, rows, states, *, form="one", given=True):
    rng = np.random.default_rng(steps)
    shape = {"one": (), "a row": (rows,), "a step": (steps - 1, rows)}[form]
    transition = jnp.array(rng.normal(size=(*shape, states, states)))
    emission = jnp.array(2 * rng.normal(size=(rows, steps, states)))
    ends = jnp.array(rng.normal(size=(2, rows, states)))
    lengths = rng.integers(1, steps + 1, rows)
    lengths[:2] = steps, 1
    pads = np.arange(steps)[None] >= lengths[:, None]
    emission = jnp.where(given & pads[..., None], jnp.nan, emission)
    return Scores(transition, emission, *ends, jnp.array(lengths, jnp.int32) if given else None)


def score_of(scores, path):
    """Returns what each path scores, summed up in Python."""
    emission, lengths = np.asarray(scores.emission), np.asarray(scores.ends)
    steps, rows, size = scores.sizes
    move = np.broadcast_to(scores.transition, (max(steps - 1, 1), rows, size, size))
    total = []
    for row, (states, length) in enumerate(zip(np.asarray(path), lengths, strict=True)):
        states = states[:length]
        one = emission[row, np.arange(length), states].sum()
        one += scores.initial[row, states[0]] + scores.final[row, states[-1]]
        total.append(one + sum(move[t, row, states[t], states[t + 1]] for t in range(length - 1)))
    return np.array(total)


def check(scores):
    path, best = viterbi("sequential", scores)
    same, score = viterbi("associative", scores)
    np.testing.assert_allclose(best, score, rtol=1e-12)
    np.testing.assert_allclose(score_of(scores, path), score, rtol=1e-12)
    valid = np.arange(scores.sizes[0]) < np.asarray(scores.ends)[:, None]
    np.testing.assert_array_equal(np.where(valid, path, 0), np.where(valid, same, 0))


@pytest.mark.parametrize(("steps", "given"), [(1, True), (2, False), (26, True), (37, False)])
@pytest.mark.parametrize("sizes", [ONCE, BLOCKS, TWO_PLACES])
def test_the_best_path_is_that_of_all_messages(steps, given, sizes, x64):
    check(scores_of(steps, *sizes, given=given))


@pytest.mark.parametrize("form", ["a row", "a step"])
@pytest.mark.parametrize("sizes", [ONCE, BLOCKS])
def test_transitions_may_differ_by_row_and_by_step(form, sizes, x64):
    check(scores_of(21, *sizes, form=form))


@pytest.mark.parametrize("form", ["one", "a step"])
@pytest.mark.parametrize("given", [True, False])
def test_ways_into_many_states_are_looked_up(form, given, x64, monkeypatch):
    monkeypatch.setattr(_viterbi, "WRITTEN_OUT", 20)
    monkeypatch.setattr(_viterbi, "ONE_PLACE", 20)
    scores = scores_of(21, *BLOCKS, form=form, given=given)
    want, got = (
        viterbi("associative", scores),
        jax.jit(lambda scores: best_of_steps(scores))(scores),
    )
    np.testing.assert_allclose(got[1], want[1], rtol=1e-12)
    valid = np.arange(21) < np.asarray(scores.ends)[:, None]
    np.testing.assert_array_equal(np.where(valid, got[0], 0), np.where(valid, want[0], 0))


def test_more_states_than_a_byte_can_name(x64):
    check(scores_of(5, *LOOKED_UP))


def test_blocks_are_as_long_as_memory_asks_for():
    assert blocks_of(scores_of(1, *BLOCKS)) == (1, 1)
    assert blocks_of(scores_of(500, *ONCE)) == (1, 499)
    count, length = blocks_of(scores_of(500, *BLOCKS))  # bytes of pointers, and floats of messages
    assert (count - 1) * length < 499 <= count * length
    assert 0.8 < 4 * count / length < 1.25


@pytest.mark.parametrize("sizes", [ONCE, BLOCKS, TWO_PLACES])
def test_of_equal_paths_it_is_the_first(sizes):
    rows, states = sizes
    path, best = hmm.viterbi(
        jnp.zeros(states), jnp.zeros((states, states)), jnp.zeros((rows, 40, states))
    )
    assert not path.any() and not best.any()


@pytest.mark.parametrize("sizes", [ONCE, BLOCKS, TWO_PLACES])
def test_a_score_that_is_nan_makes_its_row_nan(sizes):
    rows, states = sizes
    log_obs = jnp.zeros((rows, 40, states)).at[1, 20, 2].set(jnp.nan)
    start, move = jnp.zeros(states), jnp.zeros((states, states))
    found = np.isnan(hmm.viterbi(start, move, log_obs)[1])
    np.testing.assert_array_equal(found, np.arange(rows) == 1)
    short = jnp.full(rows, 20)  # it is in the pads
    assert not np.isnan(hmm.viterbi(start, move, log_obs, lengths=short)[1]).any()


@pytest.mark.parametrize("form", ["one", "a row", "a step"])
@pytest.mark.parametrize("sizes", [ONCE, BLOCKS, TWO_PLACES])
def test_a_transition_that_is_nan_makes_those_rows_nan_that_have_one(sizes, form):
    scores = scores_of(9, *sizes, form=form)._replace(final=None)
    spoilt = scores._replace(transition=scores.transition.at[..., 2, 1].set(jnp.nan))
    np.testing.assert_array_equal(np.isnan(viterbi("sequential", scores)[1]), False)
    np.testing.assert_array_equal(
        np.isnan(viterbi("sequential", spoilt)[1]), np.asarray(scores.lengths) > 1
    )


@pytest.mark.parametrize("sizes", [ONCE, BLOCKS, TWO_PLACES])
def test_the_gradient_of_the_score_is_the_path(sizes):
    rows, states = sizes
    rng = np.random.default_rng(0)
    start, move, log_obs = (
        jnp.array(rng.normal(size=shape), jnp.float32)
        for shape in ((states,), (states, states), (rows, 17, states))
    )
    by_move, by_obs = jax.grad(lambda *given: hmm.viterbi(start, *given)[1].sum(), (0, 1))(
        move, log_obs
    )
    path = hmm.viterbi(start, move, log_obs)[0]
    np.testing.assert_array_equal(by_obs, jax.nn.one_hot(path, states))
    taken = jax.nn.one_hot(path, states)
    np.testing.assert_array_equal(by_move, jnp.einsum("bti,btj->ij", taken[:, :-1], taken[:, 1:]))


def test_a_step_of_many_states_is_one_threads():
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((50,), (50, 50), (8, 90, 50))]
    compiled = jax.jit(hmm.viterbi).lower(*shapes).compile()
    assert "outer_dimension_partitions" not in compiled.as_text()
