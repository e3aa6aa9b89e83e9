"""Measures of forecasts: their definitions, seasons, scales of 0, pads, messages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq import losses

RNG = np.random.default_rng(1)
VALUES = RNG.normal(size=(2, 9)).astype(np.float32)


@pytest.mark.parametrize("season", [1, 3])
def test_the_naive_scale_is_the_mean_difference_in_training(season):
    wanted = np.abs(VALUES[:, season:] - VALUES[:, :-season]).mean(1)
    np.testing.assert_allclose(losses.naive_scale(VALUES, season=season), wanted, rtol=1e-6)


def test_differences_over_a_gap_are_left_out():
    mask = np.ones(VALUES.shape, bool)
    mask[:, 4] = False
    holes = np.where(mask, VALUES, np.nan)
    kept = np.abs(np.diff(VALUES, axis=1))[:, [0, 1, 2, 5, 6, 7]].mean(1)
    np.testing.assert_allclose(losses.naive_scale(holes, mask=mask), kept, rtol=1e-6)
    short = losses.naive_scale(VALUES, lengths=np.array([3, 1]))
    np.testing.assert_allclose(short, [np.abs(np.diff(VALUES[0, :3])).mean(), 0], rtol=1e-6)
    assert losses.naive_scale(VALUES[0, :2], season=5) == 0


def test_the_mase_of_the_naive_forecast_in_training_is_1():
    scale = losses.naive_scale(VALUES)
    wide = jnp.broadcast_to(scale[:, None], (2, 8))
    found = losses.scaled_error(VALUES[:, :-1], VALUES[:, 1:], wide)
    np.testing.assert_allclose(losses.mean(found), 1, rtol=1e-6)


def test_where_the_scale_is_0_an_error_is_infinite_and_none_is_0():
    zeros = jnp.zeros(2)
    assert losses.scaled_error(zeros, zeros, zeros).total == 0
    assert losses.scaled_error(zeros, zeros + 1, zeros).total == jnp.inf
    grad = jax.grad(lambda x: losses.scaled_error(x, zeros, zeros + 2).total)(zeros + 3)
    assert grad.tolist() == [0.5, 0.5]


def test_pads_never_matter():
    mask = np.array([[True] * 3 + [False] * 6, [False] * 9])
    holes, ones = np.where(mask, VALUES, np.nan), np.ones_like(VALUES)
    for found, wanted in (
        (
            losses.scaled_error(holes, holes + 2, np.where(mask, 4 * ones, np.nan), mask=mask),
            1.5,
        ),
        (losses.relative_variance(holes, holes + 2, 8.0, mask=mask), 1.5),
        (losses.coverage(holes, holes + 1, holes, mask=mask), 3.0),
    ):
        np.testing.assert_allclose(found.total, wanted, rtol=1e-6)
        assert found.count == 3


def test_the_relative_variance_of_the_mean_is_1():
    mean = np.full(9, VALUES[0].mean())
    found = losses.relative_variance(mean, VALUES[0], float(VALUES[0].var()))
    np.testing.assert_allclose(losses.mean(found), 1, rtol=1e-5)


def test_the_root_of_nothing_is_0():
    found = losses.squared_error(VALUES, VALUES + 3, lengths=np.array([9, 2]))
    np.testing.assert_allclose(losses.root_mean_square(found), 3, rtol=1e-5)
    none = losses.squared_error(VALUES, VALUES, lengths=np.array([0, 0]))
    assert losses.root_mean_square(none) == 0


def test_what_does_not_fit_is_named(untyped):
    with pytest.raises(ValueError, match="naive_scale: `season` must be at least 1, but it is 0"):
        losses.naive_scale(VALUES, season=0)
    with pytest.raises(TypeError, match="naive_scale: `values` must be floating"):
        losses.naive_scale(VALUES.astype(int))
    with pytest.raises(ValueError, match=r"naive_scale: `values` must have shape \(\*batch, T\)"):
        losses.naive_scale(jnp.float32(1))
    with pytest.raises(ValueError, match="coverage: `upper` must have shape"):
        losses.coverage(VALUES, VALUES[0], VALUES)
