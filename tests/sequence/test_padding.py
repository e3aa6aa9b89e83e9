"""The padding contract on arrays: masks, fresh starts, and where the time axis is."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.sequence import _padding


def test_a_mask_counts_the_valid_steps_and_a_reset_in_the_padding_does_not_count():
    lengths = jnp.array([[3, 0], [1, 2]])
    resets = jnp.ones((2, 2, 3), bool)
    valid, counted = _padding.mask_and_resets(lengths, resets, 3, reverse=False)
    assert valid.astype(int).tolist() == [[[1, 1, 1], [0, 0, 0]], [[1, 0, 0], [1, 1, 0]]]
    np.testing.assert_array_equal(counted, valid)


def test_reversed_a_fresh_start_falls_on_the_last_step_of_a_piece():
    resets = jnp.array([True, False, True, True])
    valid, moved = _padding.mask_and_resets(None, resets, 4, reverse=True)
    assert valid is None
    assert moved.tolist() == [False, True, True, False]
    _, moved = _padding.mask_and_resets(jnp.array(3), resets, 4, reverse=True)
    assert moved.tolist() == [False, True, False, False]


def test_without_lengths_and_resets_there_is_no_mask():
    assert _padding.mask_and_resets(None, None, 4, reverse=True) == (None, None)


@pytest.mark.parametrize("batch_axes", [0, 1, 2])
def test_the_time_axis_goes_to_the_front_and_back(batch_axes):
    xs = jnp.ones((2, 3, 4, 5)[: batch_axes + 2])
    moved = _padding.time_major(xs, batch_axes)
    assert moved.shape[0] == xs.shape[batch_axes]
    assert _padding.batch_major(moved, batch_axes).shape == xs.shape


def test_select_chooses_every_leaf():
    yes, no = {"a": jnp.ones(2), "b": jnp.ones(())}, {"a": jnp.zeros(2), "b": jnp.zeros(())}
    assert _padding.select(jnp.asarray(True), yes, no)["a"].tolist() == [1.0, 1.0]
    assert _padding.select(jnp.asarray(False), yes, no)["b"] == 0.0


def test_in_the_padding_there_is_zero_whatever_there_was():
    ys = jnp.array([[1.0, 2.0], [jnp.nan, jnp.inf]])
    assert _padding.zero_padding(jnp.array([True, False]), ys).tolist() == [[1.0, 2.0], [0.0, 0.0]]
    assert _padding.zero_padding(None, ys) is ys
