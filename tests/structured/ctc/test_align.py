"""The best alignment: held against the enumeration of all of them."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.structured import ctc

T, V = 6, 3
LABELS = np.array([[1, 2, 1], [1, 1, 2], [2, 2, -5], [1, 9, 9], [7, 7, 7], [1, 2, 1], [0, 0, 0]])
LABEL_LENGTHS = np.array([3, 3, 2, 1, 0, 3, 0])
LENGTHS = np.array([6, 5, 4, 6, 3, 3, 0])


def draw(seed, shape):
    logits = 1.5 * np.random.default_rng(seed).normal(size=shape)
    return logits - np.logaddexp.reduce(logits, -1, keepdims=True)


def best(log_probs, labels):
    """The best path that spells the labels, and its score."""
    steps, size = log_probs.shape
    paths = [
        path
        for path in itertools.product(range(size), repeat=steps)
        if [symbol for symbol, _ in itertools.groupby(path) if symbol] == list(labels)
    ]
    scores = [sum(log_probs[t, symbol] for t, symbol in enumerate(path)) for path in paths]
    return paths[int(np.argmax(scores))], max(scores)


def times(path):
    """Each label's (start, end) along a path."""
    found, at = [], 0
    for symbol, run in itertools.groupby(path):
        end = at + len(list(run))
        if symbol:
            found.append((at, end))
        at = end
    return found


@pytest.mark.usefixtures("x64")
def test_the_alignment_is_the_best_of_all_and_the_gradient_of_its_score_marks_it():
    log_probs = draw(0, (len(LABELS), T, V))
    pads = np.arange(T) >= LENGTHS[:, None]

    def total(log_probs):
        found = ctc.align(
            log_probs,
            jnp.array(LABELS),
            lengths=jnp.array(LENGTHS),
            label_lengths=jnp.array(LABEL_LENGTHS),
        )
        return found.score.sum(), found

    with_pads = jnp.array(np.where(pads[..., None], np.nan, log_probs))
    gradient, found = jax.jit(jax.grad(total, has_aux=True))(with_pads)
    for row, (steps, count) in enumerate(zip(LENGTHS, LABEL_LENGTHS, strict=True)):
        path, score = best(log_probs[row, :steps], LABELS[row, :count])
        np.testing.assert_allclose(found.score[row], score, rtol=1e-12)
        marked = np.zeros((T, V))
        marked[np.arange(steps), list(path)] = 1
        np.testing.assert_array_equal(gradient[row], marked)
        spans = times(path)
        frames = np.full(T, -1)
        for n, (start, end) in enumerate(spans):
            frames[start:end] = n
        assert found.frames[row].tolist() == frames.tolist()
        spans += [(0, 0)] * (3 - count)
        assert list(zip(found.starts[row].tolist(), found.ends[row].tolist(), strict=True)) == spans


def test_a_row_without_an_alignment_has_the_documented_result():
    log_probs = jnp.log(jnp.array([[0.5, 0.5, 0.0]] * 3))
    rows = jnp.stack([log_probs] * 3)
    labels = jnp.array([[1, 1, 1], [1, 2, 1], [1, 1, 1]])  # too many, impossible, and one that is
    label_lengths = jnp.array([3, 3, 1])

    def total(rows):
        found = ctc.align(rows, labels, label_lengths=label_lengths)
        return jnp.where(found.score > -jnp.inf, found.score, 0).sum(), found

    gradient, found = jax.jit(jax.grad(total, has_aux=True))(rows)
    assert found.score[:2].tolist() == [-np.inf, -np.inf]
    assert np.all(found.frames[:2] == -1)
    assert np.all(found.starts[:2] == 0) and np.all(found.ends[:2] == 0)
    assert np.all(gradient[:2] == 0)
    np.testing.assert_allclose(found.score[2], 3 * np.log(0.5), rtol=1e-6)


def test_what_jit_hides_has_the_documented_result():
    log_probs = jnp.array(draw(1, (3, 4, V)), jnp.float32)

    @jax.jit
    def run(labels, lengths, label_lengths):
        return ctc.align(log_probs, labels, lengths=lengths, label_lengths=label_lengths)

    labels = jnp.array([[1, 0], [5, 1], [1, 2]])
    found = run(labels, jnp.array([4, 4, 99]), jnp.array([2, 2, 99]))
    assert np.isnan(found.score).tolist() == [True, True, False]
    assert np.all(found.frames[:2] == -1) and np.all(found.ends[:2] == 0)
    jax.tree.map(
        np.testing.assert_array_equal,
        jax.tree.map(lambda leaf: leaf[2], found),
        ctc.align(log_probs[2], labels[2]),
    )


def test_batch_axes_and_vmap_agree():
    log_probs = jnp.array(draw(2, (2, 2, 5, V)), jnp.float32)
    labels = jnp.array([[[1, 2], [1, 1]], [[2, 1], [2, 2]]])
    found = ctc.align(log_probs, labels)
    assert found.frames.shape == (2, 2, 5) and found.starts.shape == (2, 2, 2)
    jax.tree.map(
        np.testing.assert_array_equal, jax.jit(jax.vmap(ctc.align))(log_probs, labels), found
    )


def test_without_labels_or_frames_there_is_nothing_to_align():
    found = ctc.align(jnp.zeros((2, 3, 2)), jnp.zeros((2, 0), int))
    assert found.frames.tolist() == [[-1] * 3] * 2 and found.starts.shape == (2, 0)
    assert found.score.tolist() == [0, 0]
    found = ctc.align(jnp.zeros((2, 0, 2)), jnp.ones((2, 1), int), label_lengths=jnp.array([0, 1]))
    assert found.frames.shape == (2, 0) and found.score.tolist() == [0, -np.inf]
