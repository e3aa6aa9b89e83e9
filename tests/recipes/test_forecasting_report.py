"""The report of a forecaster in words, and what is drawn of it."""

import numpy as np
import pytest
import tiny_forecaster

from jaxseq.recipes import forecasting
from jaxseq.recipes._forecasting_report import forecasts_of, panels_of, summary, verdict


@pytest.mark.parametrize(
    ("beaten", "text"),
    [
        ([True] * 3, "beats the random walk 1 to 3 steps ahead"),
        ([False], "does not beat the random walk 1 step ahead"),
        ([False, False], "does not beat the random walk 1 and 2 steps ahead"),
        (
            [True, False, True, False],
            "beats the random walk 1 and 3 steps ahead; does not beat it 2 and 4 steps ahead",
        ),
    ],
)
def test_the_verdict_is_plain(beaten, text):
    assert verdict(beaten) == text


def test_the_summary_says_when_the_random_walk_is_not_beaten():
    row = {name: [1.0, None] for name in ("mase", "rmse", "crps", "arv")}
    other = row | {"beaten": {"beaten": [False, False]}}
    page = {
        "task": "forecasting",
        "data": "my.csv",
        "test": {"targets": 3, "columns": {"x": row}},
        "others": {"test": {"persistence (random walk)": {"columns": {"x": other}}}},
        "training": {"seconds": 1.0},
    }
    lines = summary(page).split("\n")
    assert lines[0] == "my.csv, test part, x, 3 targets"
    assert lines[2].split() == ["1", "1.000", "1", "1", "1.000", "–", "–", "this", "model"]
    assert lines[4].split()[:4] == ["2", "–", "–", "–"]
    assert lines[-1] == "  does not beat the random walk 1 and 2 steps ahead"


def test_panels_hold_forecasts_and_what_came_by_index(tmp_path_factory):
    run = tiny_forecaster.trained(tmp_path_factory.getbasetemp())
    model = forecasting.load(run.directory)
    dataset = forecasting.read_dataset(model.config)
    series = dataset.series[0]
    found = forecasts_of(model, dataset, "test")
    panels = panels_of(model, dataset, "test", found)
    assert len(panels) == 4
    for panel in panels:
        origin = int(np.flatnonzero(series.times == panel.ahead[0])[0]) - 1
        assert panel.title == f"after {series.times[origin]}" and origin >= 59
        np.testing.assert_array_equal(panel.values[-2:], series.values[origin + 1 : origin + 3, 0])
        at = origin - found[0].origins[0]
        np.testing.assert_array_equal(panel.value, found[0].value[at, :, 0])
        assert (np.diff(panel.quantiles, axis=1) >= 0).all()
