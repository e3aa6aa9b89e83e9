"""Blocks of steps, one after the other, find what all steps at once find."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.structured import _steps, hmm
from jaxseq.structured._partition import (
    expected,
    expected_of_messages,
    posterior,
    posterior_of_messages,
)
from jaxseq.structured._scores import Scores
from jaxseq.structured._steps import forward, in_blocks, padded

ROWS, SIZE = 12, 7


def scores_of(steps, *, far=0.0, given=True):
    rng = np.random.default_rng(steps)
    transition = jnp.array(rng.normal(size=(SIZE, SIZE))).at[0, 1].add(-far)
    emission = jnp.array(3 * rng.normal(size=(ROWS, steps, SIZE)))
    ends = jnp.array(rng.normal(size=(2, ROWS, SIZE)))
    lengths = rng.integers(1, steps + 1, ROWS)
    lengths[:2] = steps, 1
    pads = np.arange(steps)[None] >= lengths[:, None]
    emission = jnp.where(given & pads[..., None], jnp.nan, emission)
    return Scores(transition, emission, *ends, jnp.array(lengths, jnp.int32) if given else None)


def valid_lengths(scores):
    steps, rows, _ = scores.sizes
    return np.full(rows, steps) if scores.lengths is None else np.asarray(scores.lengths)


@pytest.mark.parametrize(("steps", "given"), [(1, True), (2, False), (67, True), (130, False)])
@pytest.mark.parametrize("far", [0.0, np.inf])
def test_blocks_find_what_all_steps_find(steps, given, far, x64, monkeypatch):
    monkeypatch.setattr(_steps, "GRADIENT_NUMBERS", _steps.NUMBERS)  # several blocks, not one
    scores = scores_of(steps, far=far, given=given)
    valid = np.arange(steps) < valid_lengths(scores)[:, None]
    want, got = (
        jax.jit(functools.partial(of, "sequential"))(scores)
        for of in (expected_of_messages, expected)
    )
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-12, rtol=1e-12), got, want)
    want = jax.jit(functools.partial(posterior_of_messages, "sequential"))(scores)
    got = posterior("sequential", scores)
    for one, other in zip(got, want, strict=True):
        if one.ndim == 3 and one.shape[1] == steps:
            one, other = (np.where(valid[..., None], x, 0) for x in (one, other))
        np.testing.assert_allclose(one, other, atol=1e-11, rtol=1e-11)


def test_a_number_of_steps_without_divisors_is_padded_and_another_is_not():
    for steps, want in ((127, 128), (130, 130)):
        scores = scores_of(steps)
        count, length = in_blocks(scores, _steps.NUMBERS)
        assert padded(scores, count * length).emission.shape[1] == count * length == want


def test_what_floats_cannot_hold_is_seen_in_a_block():
    scores = jax.tree.map(lambda x: x.astype(jnp.float32), scores_of(40)._replace(lengths=None))
    scores = scores._replace(emission=jnp.nan_to_num(scores.emission))
    assert forward(scores, keep=False).trust
    alone = jnp.where(jnp.eye(SIZE, dtype=bool), 0, -jnp.inf).astype(jnp.float32)
    lost = scores.emission.at[:, 20, 0].add(-95.0)  # of the only way on from the first state
    assert not forward(scores._replace(transition=alone, emission=lost), keep=False).trust


def test_memory_is_of_the_messages_forward_and_the_gradient():
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((9,), (9, 9), (8, 6400, 9))]
    unit = 4 * 8 * 6400 * 9

    def temporary(function):
        return jax.jit(function).lower(*shapes).compile().memory_analysis().temp_size_in_bytes

    def total(*given):
        return hmm.log_likelihood(*given).sum()

    assert temporary(jax.grad(total, 2)) < 5 * unit
    assert temporary(hmm.smooth) < 7 * unit
    assert temporary(total) < 2 * unit
    assert temporary(hmm.viterbi) < 0.7 * unit
