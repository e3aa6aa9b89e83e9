"""The best path, collapsed: against a loop in Python, and streams cut anywhere."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.structured import ctc

LENGTHS = np.array([12, 7, 1, 0])


def draw(seed, shape):
    logits = np.random.default_rng(seed).normal(size=shape)
    return logits - np.logaddexp.reduce(logits, -1, keepdims=True)


def runs(log_probs, blank):
    """(label, start, end, mean log-probability) of each run that is not blank."""
    best, found, at = log_probs.argmax(-1), [], 0
    for symbol, run in itertools.groupby(best):
        end = at + len(list(run))
        if symbol != blank:
            found.append((int(symbol), at, end, log_probs[at:end, symbol].mean()))
        at = end
    return found


def listed(segments, row=...):
    """The same, of what `segment` returned for one row."""
    labels, starts, ends, means, count = (np.asarray(leaf[row]) for leaf in segments)
    columns = (column.tolist() for column in (labels, starts, ends, means))
    return list(zip(*columns, strict=True))[: int(count)]


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("blank", [0, 2])
def test_greedy_equals_a_loop_over_the_runs(blank):
    log_probs = draw(0, (4, 12, 3))
    with_pads = np.where((np.arange(12) >= LENGTHS[:, None])[..., None], np.nan, log_probs)

    def total(log_probs):
        found = ctc.greedy(log_probs, lengths=jnp.array(LENGTHS), blank=blank)
        return found.score.sum(), found

    gradient, found = jax.jit(jax.grad(total, has_aux=True))(jnp.array(with_pads))
    for row, steps in enumerate(LENGTHS):
        valid = log_probs[row, :steps]
        expected = [label for label, *_ in runs(valid, blank)]
        assert found.label_lengths[row] == len(expected)
        assert found.labels[row].tolist() == expected + [0] * (12 - len(expected))
        np.testing.assert_allclose(found.score[row], valid.max(-1).sum(), rtol=1e-12)
        np.testing.assert_array_equal(gradient[row, :steps], valid == valid.max(-1)[:, None])
        assert np.all(gradient[row, steps:] == 0)


@pytest.mark.usefixtures("x64")
def test_segment_and_flush_give_the_runs_with_their_times():
    log_probs = draw(1, (4, 12, 3))
    with_pads = np.where((np.arange(12) >= LENGTHS[:, None])[..., None], np.nan, log_probs)
    carry, found = ctc.segment(jnp.array(with_pads), lengths=jnp.array(LENGTHS))
    rest = ctc.flush(carry)
    assert found.labels.shape == (4, 12) and rest.labels.shape == (4, 1)
    assert carry.frame.tolist() == LENGTHS.tolist()
    for row, steps in enumerate(LENGTHS):
        got = listed(found, row) + listed(rest, row)
        expected = runs(log_probs[row, :steps], 0)
        assert [one[:3] for one in got] == [one[:3] for one in expected]
        np.testing.assert_allclose([o[3] for o in got], [o[3] for o in expected], rtol=1e-12)
        assert np.all(found.labels[row, found.label_lengths[row] :] == 0)


def test_a_stream_may_be_cut_anywhere_and_the_segments_are_the_same_to_the_last_bit():
    log_probs = jnp.array(draw(2, (12, 3)), jnp.float32)
    carry, whole = ctc.segment(log_probs)
    expected = listed(whole) + listed(ctc.flush(carry))
    assert len(expected) > 3
    padded = jnp.pad(log_probs, ((0, 12), (0, 0)), constant_values=jnp.nan)
    run = jax.jit(ctc.segment)
    for cut in range(13):
        carry, first = run(padded[:12], carry=None, lengths=jnp.array(cut))
        chunk = jax.lax.dynamic_slice_in_dim(padded, cut, 12)
        carry, second = run(chunk, carry=carry, lengths=jnp.array(12 - cut))
        assert listed(first) + listed(second) + listed(ctc.flush(carry)) == expected


def test_frame_by_frame_is_the_same_too_and_an_empty_chunk_changes_nothing():
    log_probs = jnp.array(draw(3, (2, 6, 3)), jnp.float32)
    carry, whole = ctc.segment(log_probs)
    rows = [listed(whole, row) for row in range(2)]
    now, heard = None, [[], []]
    for t in range(6):
        now, found = ctc.segment(log_probs[:, t : t + 1], carry=now)
        for row in range(2):
            heard[row] += listed(found, row)
    assert heard == rows
    same, nothing = ctc.segment(log_probs[:, :0], carry=now)
    jax.tree.map(np.testing.assert_array_equal, same, carry)
    assert nothing.labels.shape == (2, 0) and nothing.label_lengths.tolist() == [0, 0]


def test_greedy_spells_what_segment_and_flush_give():
    log_probs = jnp.array(draw(4, (2, 2, 9, 4)), jnp.float32)
    spelled = ctc.greedy(log_probs)
    carry, found = ctc.segment(log_probs)
    rest = ctc.flush(carry)
    assert spelled.labels.shape == found.labels.shape == (2, 2, 9)
    for row in itertools.product(range(2), range(2)):
        labels = [one[0] for one in listed(found, row) + listed(rest, row)]
        assert spelled.labels[row][: spelled.label_lengths[row]].tolist() == labels


def test_vmap_over_rows_is_a_batch():
    log_probs = jnp.array(draw(5, (3, 7, 3)), jnp.bfloat16)
    carry, found = ctc.segment(log_probs)
    jax.tree.map(
        np.testing.assert_array_equal, jax.jit(jax.vmap(ctc.segment))(log_probs), (carry, found)
    )
    assert found.log_probs.dtype == carry.total.dtype == jnp.float32
    greedy = ctc.greedy(log_probs)
    assert greedy.score.dtype == jnp.float32
    jax.tree.map(np.testing.assert_array_equal, jax.jit(jax.vmap(ctc.greedy))(log_probs), greedy)


def test_a_carry_that_does_not_fit_is_refused():
    carry, _ = ctc.segment(jnp.zeros((2, 4, 3)))
    with pytest.raises(
        ValueError,
        match=r"ctc.segment: `carry.label` must have shape \(\*batch,\) = \(3,\), but it has shape "
        r"\(2,\)\.\n  Hint: it is that of a stream with other batch axes\.",
    ):
        ctc.segment(jnp.zeros((3, 4, 3)), carry=carry)


@pytest.mark.usefixtures("untyped")
def test_a_carry_of_another_kind_is_refused():
    message = (
        r"`carry` must be a SegmentCarry, but it is a int\.\n"
        r"  Hint: give what ctc.segment returned for the chunk before\."
    )
    with pytest.raises(TypeError, match="ctc.segment: " + message):
        ctc.segment(jnp.zeros((3, 4, 3)), carry=3)
    with pytest.raises(TypeError, match="ctc.flush: " + message):
        ctc.flush(3)
