"""Pictures of forecasts: what is drawn, of one panel or of several, with gaps and no bands."""

import numpy as np
import pytest

from jaxseq.recipes._forecast_pictures import Panel, forecast_picture, horizon_picture


def panel(count=5, ahead=2):
    days = np.datetime64("2020-01-01") + np.arange(count)
    values = np.arange(float(count))
    values[1] = np.nan
    band = values[-ahead:, None] + np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    return Panel("after $x$ 온도", days, values, days[-ahead:], values[-ahead:], band)


@pytest.mark.parametrize("count", [1, 3])
def test_panels_are_drawn_two_in_a_row(count, tmp_path):
    path = tmp_path / "a.png"
    panels = [panel()] * count
    assert forecast_picture(path, panels, time="day", column="온도", title="t") == path
    assert path.stat().st_size > 10_000


def test_errors_are_drawn_with_gaps_and_without_coverage(tmp_path):
    for name, coverage in (("a.png", {80: [0.8, None], 95: [0.9, 1.0]}), ("b.png", {})):
        errors = {"this model": [0.5, 0.6], "drift": [None, None], "walk": [1.0, None]}
        path = horizon_picture(tmp_path / name, errors, coverage, title="t")
        assert path.stat().st_size > 10_000
