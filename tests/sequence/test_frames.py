"""Frames: several as one, and each row brought to one scale; what is in the pads never matters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxseq.sequence import stack_frames, standardize

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(2.0, 3.0, size=(3, 7, 2)).astype(np.float32)
LENGTHS = np.array([7, 0, 4], np.int32)
PADDED = np.arange(7) >= LENGTHS[:, None]


def standard(row):
    """The definition, of one row in float64."""
    row = np.float64(row)
    return (row - row.mean(0)) / np.sqrt(row.var(0) + 1e-5) if len(row) else row


def spoilt(features):
    return np.where(PADDED[..., None], np.float32(np.nan), features)


def test_each_row_has_mean_0_and_variance_1_over_its_valid_frames():
    found = np.asarray(standardize(spoilt(FEATURES), lengths=LENGTHS))
    for row, length, features in zip(found, LENGTHS, FEATURES, strict=True):
        np.testing.assert_allclose(row[:length], standard(features[:length]), atol=1e-5)
        assert (row[length:] == 0).all()


def test_without_lengths_all_frames_count():
    found = standardize(FEATURES)
    np.testing.assert_allclose(found, [standard(row) for row in FEATURES], atol=1e-5)


def test_a_feature_that_never_changes_is_0():
    assert (np.asarray(standardize(np.full((4, 2), 5.0, np.float32))) == 0).all()


def test_gradients_flow_and_never_see_the_pads():
    lengths = jnp.asarray(LENGTHS)

    @jax.jit
    def weighted(features):
        found = standardize(features, lengths=lengths)
        weights = jnp.arange(found.size, dtype=found.dtype).reshape(found.shape) / found.size
        return (found * weights).sum()

    check_grads(weighted, (jnp.asarray(FEATURES),), order=1, modes=["rev"], atol=0.05, rtol=0.05)
    slope = np.asarray(jax.grad(weighted)(jnp.asarray(spoilt(FEATURES))))
    assert np.isfinite(slope).all() and (slope[PADDED] == 0).all()


def test_halves_are_summed_in_float32():
    many = jnp.full((4000, 1), 100.0, jnp.bfloat16).at[::2].add(jnp.asarray(1.0, jnp.bfloat16))
    found = standardize(many)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float32(found[:2, 0]), [1.0, -1.0], atol=0.02)


def test_runs_of_frames_stand_side_by_side():
    found = stack_frames(spoilt(FEATURES), size=3, lengths=LENGTHS)
    assert found.lengths.tolist() == [3, 0, 2]
    expected = np.where(PADDED[..., None], 0, FEATURES)
    expected = np.pad(expected, ((0, 0), (0, 2), (0, 0))).reshape(3, 3, 6)
    np.testing.assert_array_equal(found.features, expected)


def test_one_frame_a_run_changes_nothing():
    found = stack_frames(FEATURES, size=1)
    np.testing.assert_array_equal(found.features, FEATURES)
    assert found.lengths.tolist() == [7, 7, 7]


def test_a_batch_under_vmap_is_the_batch_itself():
    lengths = jnp.asarray(LENGTHS)
    found = stack_frames(FEATURES, size=2, lengths=lengths)
    alone = jax.vmap(lambda row, length: stack_frames(row, size=2, lengths=length))(
        jnp.asarray(FEATURES), lengths
    )
    np.testing.assert_array_equal(found.features, alone.features)
    np.testing.assert_array_equal(found.lengths, alone.lengths)


def test_no_frames_are_no_runs():
    found = stack_frames(np.zeros((2, 0, 3), np.float32), size=2)
    assert found.features.shape == (2, 0, 6) and found.lengths.tolist() == [0, 0]
    assert standardize(np.zeros((2, 0, 3), np.float32)).shape == (2, 0, 3)


def test_what_is_no_frames_is_refused(untyped):
    with pytest.raises(TypeError, match="`features` must be floating, but they have dtype int32"):
        standardize(np.zeros((2, 3), np.int32))
    with pytest.raises(ValueError, match=r"shape \(\*batch, T, I\), but they have shape \(3"):
        stack_frames(np.zeros(3, np.float32), size=2)
    with pytest.raises(ValueError, match="`size` must be a positive integer, but it is 0"):
        stack_frames(FEATURES, size=0)
    with pytest.raises(ValueError, match=r"`lengths` must lie in \[0, T\] = \[0, 7\]"):
        standardize(FEATURES, lengths=np.array([8, 0, 1]))
