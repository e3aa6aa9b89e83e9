"""The autoregression: the sunspots of the literature, gaps, too little to fit."""

import numpy as np

from jaxseq import data
from jaxseq.recipes._autoregression import Autoregression, fit, forecast


def test_the_sunspots_have_the_errors_of_the_literature():
    parts = data.load("sunspots_yearly")[1:4]
    years = np.concatenate([part.year for part in parts])
    values = np.concatenate([part.sunspots for part in parts])
    model = fit(values, 12, train=years <= 1920)
    ahead = forecast(model, values, 1)[:, 0]
    variance = values[years <= 1979].var()
    for first, last, wanted in ((1712, 1920, 0.132), (1921, 1955, 0.130), (1956, 1979, 0.368)):
        place = np.flatnonzero((years >= first) & (years <= last))
        found = ((ahead[place - 1] - values[place]) ** 2).mean() / variance
        assert round(found, 3) == wanted


def test_a_linear_series_is_found_and_followed_by_index():
    values = [1.0, 3.0]
    for _ in range(20):
        values.append(0.5 + 0.8 * values[-1] - 0.3 * values[-2])
    values = np.array(values)
    model = fit(values, 2)
    np.testing.assert_allclose([model.intercept, *model.weights], [0.5, 0.8, -0.3], rtol=1e-6)
    ahead = forecast(model, values, 3)
    assert np.isnan(ahead[0]).all()
    for t in range(1, 18):
        np.testing.assert_allclose(ahead[t], values[t + 1 : t + 4], rtol=1e-6)


def test_gaps_are_left_out_of_the_fit():
    values = 0.5 * np.arange(40.0)
    values[20] = np.nan
    model = fit(values, 1)
    np.testing.assert_allclose([model.intercept, *model.weights], [0.5, 1.0], atol=1e-8)
    ahead = forecast(model, values, 1)[:, 0]
    assert np.isnan(ahead).tolist() == [t == 20 for t in range(40)]


def test_too_few_steps_fit_nothing():
    assert fit(np.arange(7.0), 3) is None
    assert fit(np.arange(40.0), 3, train=np.arange(40) < 6) is None
    assert len(Autoregression(0.0, np.zeros(2)).weights) == 2
