"""Measures of forecasts by horizon: alignment, definitions, comparisons, simple forecasts."""

import numpy as np
import pytest

from jaxseq.recipes._forecasting_config import Config, resolved
from jaxseq.recipes._forecasting_data import Dataset, Series
from jaxseq.recipes._forecasting_measures import (
    LEVELS,
    RANDOM_WALK,
    Outcome,
    align,
    baselines,
    compare,
    measures,
    outcome_of,
)

RNG = np.random.default_rng(0)


def outcome(value, targets, quantiles=None, times=None):
    count = len(targets)
    quantiles = value[..., None] + np.zeros(len(LEVELS)) if quantiles is None else quantiles
    times = np.arange(count) if times is None else times
    return Outcome(value, quantiles, targets, np.full(count, 2.0), np.full(count, 4.0), times)


def test_forecasts_are_aligned_by_what_they_are_of():
    made = np.array([[100 * t + t + 1 + h for h in range(3)] for t in range(2, 9)], float)
    found = align(made, 2, (4, 12))
    for place, s in enumerate(range(4, 12)):
        for h in range(3):
            t = s - 1 - h
            wanted = 100 * t + s if 2 <= t < 9 else np.nan
            np.testing.assert_equal(found[place, h], wanted)
    assert align(np.zeros((5, 2, 3)), 0, (0, 4)).shape == (4, 2, 3)


def test_measures_are_those_of_the_definitions():
    targets, value = RNG.normal(size=50), RNG.normal(size=(50, 2))
    spread = value[..., None] + np.linspace(-2, 2, len(LEVELS))
    value[3, 1] = np.nan
    found = measures(outcome(value, targets, spread))
    errors = abs(value - targets[:, None])
    np.testing.assert_allclose(found["mase"], np.nanmean(errors, 0) / 2, rtol=1e-5)
    np.testing.assert_allclose(found["rmse"], np.sqrt(np.nanmean(errors**2, 0)), rtol=1e-5)
    np.testing.assert_allclose(found["arv"], np.nanmean(errors**2, 0) / 4, rtol=1e-5)
    inside = (spread[..., 3] <= targets[:, None]) & (targets[:, None] <= spread[..., 35])
    assert found["coverage_80"][0] == pytest.approx(inside[:, 0].mean())
    left = targets[:, None, None] - spread
    crps = 2 * np.maximum(LEVELS * left, (LEVELS - 1) * left).mean((0, 2))
    assert found["crps"][0] == pytest.approx(crps[0], rel=1e-5)
    np.testing.assert_allclose(found["scaled_crps"], np.array(found["crps"]) / 2, rtol=1e-5)


def test_what_cannot_be_measured_is_none():
    value = np.full((5, 2), np.nan)
    value[:, 0] = 1.0
    quantiles = np.full((5, 2, len(LEVELS)), np.nan)
    found = measures(outcome(value, np.arange(5.0), quantiles))
    assert found["mase"][0] > 0 and found["mase"][1] is None
    assert found["crps"] == [None, None]


def test_small_errors_of_large_values_are_not_lost():
    targets = 1e6 + RNG.normal(size=20) * 1e-3
    found = measures(outcome(targets[:, None] + 1e-3, targets))
    assert found["rmse"][0] == pytest.approx(1e-3, rel=1e-4)


def test_a_model_beats_another_by_more_than_chance_or_not():
    targets = RNG.normal(size=200)
    near, far = targets + RNG.normal(size=200) * 0.1, targets + RNG.normal(size=200)
    found = compare(outcome(near[:, None], targets), outcome(far[:, None], targets))
    assert found.beaten == [True] and found.difference[0] > 0
    assert compare(outcome(far[:, None], targets), outcome(near[:, None], targets)).beaten == [
        False
    ]
    like = targets + RNG.permutation(far - targets)
    assert compare(outcome(like[:, None], targets), outcome(far[:, None], targets)).beaten == [
        False
    ]
    one = outcome(near[:1, None], targets[:1])
    assert compare(one, one).beaten == [False]


def test_series_that_come_together_count_once():
    targets, value = np.zeros(80), RNG.normal(size=(80, 1))
    other = np.abs(value) + 0.05 + np.abs(RNG.normal(size=(80, 1))) * 0.1
    alone = compare(outcome(value, targets), outcome(other, targets))
    times = np.concatenate([np.arange(80)] * 3)
    three = compare(
        outcome(np.tile(value, (3, 1)), np.zeros(240), times=times),
        outcome(np.tile(other, (3, 1)), np.zeros(240), times=times),
    )
    np.testing.assert_allclose(three.standard_error, alone.standard_error)


def test_simple_forecasts_have_the_errors_of_training_as_their_spread():
    config = resolved(Config(data="my.csv", horizon=2, season=(5, 60), order=2))
    values = np.cumsum(RNG.normal(size=100))
    found = baselines(config, values, {"train": (0, 60), "test": (60, 100)})
    assert [*found] == [
        RANDOM_WALK,
        "seasonal naive, 5 steps",
        "seasonal naive, 60 steps",
        "drift",
        "AR(2)",
    ]
    value, quantiles, first = found[RANDOM_WALK]
    assert first == 0 and value.shape == (100, 2)
    wanted = np.quantile(values[2:60] - values[:58], LEVELS)
    np.testing.assert_allclose(quantiles[70, 1] - value[70, 1], wanted)
    assert np.isnan(found["seasonal naive, 60 steps"][1]).all()  # no error in training to go by
    short = baselines(config, values[:5], {"train": (0, 5)})
    assert "AR(2)" not in short


def test_the_outcome_is_of_all_series_that_have_the_part():
    times = [np.arange(6), np.arange(3, 9)]
    series = [
        Series(str(n), t, np.arange(6.0)[:, None] + n, np.zeros((6, 0)), np.zeros((6, 0)))
        for n, t in enumerate(times)
    ]
    spans = [{"train": (0, 4), "test": (4, 6)}, {"train": (0, 3), "test": (3, 6)}]
    dataset = Dataset("t", ("x",), [*series, series[0]], [*spans, {"train": (0, 6)}])
    units = [((n + 1.0,), (1.0,)) for n in range(3)]
    made = np.zeros((6, 1)), np.zeros((6, 1, len(LEVELS))), 0
    found = outcome_of(dataset, units, "test", 0, lambda number: made)
    assert found.targets.tolist() == [4, 5, 4, 5, 6] and found.unit.tolist() == [1, 1, 2, 2, 2]
    assert found.times.tolist() == [4, 5, 6, 7, 8]
