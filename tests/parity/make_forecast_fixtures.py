"""Records what other libraries score: ``python tests/parity/make_forecast_fixtures.py``.

Needs scoringrules, properscoring, statsmodels, SciPy and NumPy only; with which versions the
fixture that is kept was made, it says. It goes into ``fixtures/forecasts.json`` beside this script.
"""

import json
from importlib.metadata import version

import numpy as np
from forecast_cases import FIXTURES, Case, draw, draw_series

LIBRARIES = ("scoringrules", "properscoring", "statsmodels", "scipy")


def score(case: Case) -> Case:
    """Returns the scores of each target."""
    import properscoring
    import scipy.stats
    import scoringrules

    given = {name: np.array(values) for name, values in case.items()}
    targets, student = given["targets"], (given["df"], given["loc"], given["scale"])
    mixture = (given["means"], given["scales"], given["weights"])
    densities = given["weights"] * scipy.stats.norm.pdf(
        targets[:, None], given["means"], given["scales"]
    )
    found = {
        "crps_student_t": scoringrules.crps_t(targets, *student),
        "crps_gaussian_mixture": scoringrules.crps_mixnorm(targets, *mixture, m_axis=-1),
        "crps_samples_fair": scoringrules.crps_ensemble(
            targets, given["samples"], estimator="fair"
        ),
        "crps_samples_biased": properscoring.crps_ensemble(targets, given["samples"]),
        "crps_quantiles": scoringrules.crps_quantile(targets, given["quantiles"], given["levels"]),
        "student_t_loss": -scipy.stats.t.logpdf(targets, *student),
        "gaussian_mixture_loss": -np.log(densities.sum(1)),
        "student_t_quantiles": scipy.stats.t.ppf(
            given["levels"], *(row[:, None] for row in student)
        ),
    }
    return {name: np.asarray(values).tolist() for name, values in found.items()}


def regress(case: Case) -> Case:
    """Returns the autoregression that statsmodels fits, and its forecasts after the end."""
    from statsmodels.tsa.ar_model import AutoReg

    fitted = AutoReg(case["values"], case["order"], trend="c").fit()
    count = len(case["values"])
    ahead = fitted.predict(count, count + case["horizon"] - 1)
    return {"params": fitted.params.tolist(), "forecast": np.asarray(ahead).tolist()}


def main() -> None:
    """Writes the fixture."""
    page = {
        "made_with": {name: version(name) for name in LIBRARIES},
        "scores": {"given": draw(), "found": score(draw())},
        "autoregression": {"given": draw_series(), "found": regress(draw_series())},
    }
    text = json.dumps(page, separators=(",", ":"))
    (FIXTURES / "forecasts.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
