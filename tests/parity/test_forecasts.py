"""Scores of forecasts against scoringrules, properscoring and SciPy; AR(p) against statsmodels."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from forecast_cases import FIXTURES, draw, draw_series

from jaxseq import losses
from jaxseq.recipes import _autoregression

PAGE = json.loads((FIXTURES / "forecasts.json").read_text())
GIVEN = {name: jnp.asarray(values) for name, values in PAGE["scores"]["given"].items()}
FOUND = PAGE["scores"]["found"]
STUDENT = tuple(GIVEN[name] for name in ("loc", "scale", "df"))
MIXTURE = (jnp.log(GIVEN["weights"]), GIVEN["means"], GIVEN["scales"])
SCORES = {
    "crps_student_t": (losses.crps_student_t, STUDENT, ()),
    "crps_gaussian_mixture": (losses.crps_gaussian_mixture, MIXTURE, ()),
    "crps_samples_fair": (losses.crps_samples, (GIVEN["samples"],), ()),
    "crps_quantiles": (losses.crps_quantiles, (GIVEN["quantiles"],), (GIVEN["levels"],)),
    "student_t_loss": (losses.student_t_loss, STUDENT, ()),
    "gaussian_mixture_loss": (losses.gaussian_mixture_loss, MIXTURE, ()),
}


def test_the_fixture_is_of_the_cases():
    assert PAGE["scores"]["given"] == draw()
    assert PAGE["autoregression"]["given"] == draw_series()


@pytest.mark.parametrize("name", SCORES)
def test_scores_agree(name):
    score, forecast, more = SCORES[name]
    found = score(*forecast, GIVEN["targets"], *more)
    np.testing.assert_allclose(found.total, np.sum(FOUND[name]), rtol=2e-6)
    assert found.count == len(GIVEN["targets"])


def test_the_fair_score_of_samples_is_less_than_the_biased_one_by_what_is_known():
    samples, targets = (np.array(PAGE["scores"]["given"][name]) for name in ("samples", "targets"))
    count = samples.shape[1]
    apart = np.abs(samples[:, :, None] - samples[:, None, :]).sum((1, 2))
    less = (apart / (2 * count * (count - 1)) - apart / (2 * count**2)).sum()
    found = losses.crps_samples(GIVEN["samples"], GIVEN["targets"])
    np.testing.assert_allclose(found.total + less, np.sum(FOUND["crps_samples_biased"]), rtol=2e-6)
    assert len(targets) == found.count


def test_quantiles_of_students_t_agree():
    found = losses.student_t_quantiles(*STUDENT, GIVEN["levels"])
    np.testing.assert_allclose(found, FOUND["student_t_quantiles"], rtol=2e-4, atol=2e-5)


def test_the_autoregression_agrees():
    case, found = PAGE["autoregression"]["given"], PAGE["autoregression"]["found"]
    values = np.array(case["values"])
    model = _autoregression.fit(values, case["order"])
    assert model is not None
    np.testing.assert_allclose([model.intercept, *model.weights], found["params"], rtol=1e-8)
    ahead = _autoregression.forecast(model, values, case["horizon"])[-1]
    np.testing.assert_allclose(ahead, found["forecast"], rtol=1e-8)
