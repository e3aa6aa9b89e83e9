"""Simple forecasts: by index, with gaps, and where nothing is known yet."""

import numpy as np
import pytest

from jaxseq.recipes._naive_forecasts import drift, persistence, seasonal_naive

VALUES = np.random.default_rng(0).normal(size=9)


def test_every_forecast_is_the_value_that_it_says_by_index():
    walk, season, line = persistence(VALUES, 4), seasonal_naive(VALUES, 4, 3), drift(VALUES, 4)
    for t in range(9):
        for h in range(4):
            assert walk[t, h] == VALUES[t]
            back = t + 1 + h - (3 if h < 3 else 6)
            wanted = VALUES[back] if back >= 0 else np.nan
            np.testing.assert_equal(season[t, h], wanted)
            wanted = VALUES[t] + (h + 1) * (VALUES[t] - VALUES[0]) / t if t else np.nan
            np.testing.assert_allclose(line[t, h], wanted)


def test_a_season_of_one_step_is_persistence():
    np.testing.assert_array_equal(seasonal_naive(VALUES, 3, 1), persistence(VALUES, 3))


@pytest.mark.parametrize("gap", [0, 4])
def test_a_gap_is_a_gap_in_the_forecasts(gap):
    values = VALUES.copy()
    values[gap] = np.nan
    assert np.isnan(persistence(values, 2)[gap]).all()
    found = drift(values, 1)
    first = 1 if gap == 0 else 0
    np.testing.assert_allclose(found[8, 0], VALUES[8] + (VALUES[8] - VALUES[first]) / (8 - first))
