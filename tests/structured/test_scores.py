"""Scores as they were given, and the chain they make: the same, read a piece at a time."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.structured._scores import Scores

LENGTHS = np.array([5, 3, 1, 0])


def scores_of(given):
    rng = np.random.default_rng(0)
    emission = rng.normal(size=(4, 5, 2))
    emission[np.arange(5) >= LENGTHS[:, None]] = np.nan if given else 0.5
    ends = jnp.array(rng.normal(size=(2, 4, 2)))
    lengths = jnp.array(LENGTHS, jnp.int32) if given else None
    return Scores(jnp.zeros((2, 2)), jnp.array(emission), *ends, lengths)


@pytest.mark.parametrize("given", [True, False])
def test_ends_are_in_the_first_and_the_last_valid_step_and_pads_are_zero(given, x64):
    scores = scores_of(given)
    lengths = LENGTHS if given else np.full(4, 5)
    want = np.where((np.arange(5) < lengths[:, None])[..., None], scores.emission, 0)
    want[:, 0] += scores.initial
    for row, length in enumerate(lengths):
        if length:
            want[row, length - 1] += scores.final[row]
    chain = scores.chain
    np.testing.assert_array_equal(chain.emission, np.moveaxis(want, 1, 0))
    assert (chain.valid is None) != given
    assert scores.ends.tolist() == lengths.tolist()
    assert scores.sizes == chain.sizes == (5, 4, 2)
    np.testing.assert_array_equal(scores.steps(jnp.int32(2), 2), chain.emission[2:4])
    np.testing.assert_array_equal(scores.at(0), chain.emission[0])
    np.testing.assert_array_equal(scores.at(jnp.int32(4)), chain.emission[4])
