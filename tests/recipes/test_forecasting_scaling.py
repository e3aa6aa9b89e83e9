"""Series as a network reads them: back and forth, gaps, what is known beforehand, messages."""

import numpy as np
import pytest

from jaxseq._checks import InputError
from jaxseq.recipes._forecasting_config import Config, resolved
from jaxseq.recipes._forecasting_data import Series
from jaxseq.recipes._forecasting_scaling import (
    encode,
    fit_scaling,
    restored,
    sizes_of,
    times_ahead,
    transformed,
)

DAYS = np.datetime64("2020-01-01") + np.arange(12)


def series(values=None, future=0, name=""):
    values = np.arange(1.0, 13.0) ** 2 if values is None else values
    known = np.arange(12.0 + future)[:, None]
    times = np.datetime64("2020-01-01") + np.arange(12 + future)
    return Series(name, times, values[:, None], values[:, None] + 1, known)


def config_of(**changes):
    return resolved(Config(data="my.csv", **{"horizon": 2, **changes}))


@pytest.mark.parametrize("transform", ["none", "log", "sqrt"])
@pytest.mark.parametrize("differences", [True, False])
def test_values_come_back_as_they_were(transform, differences):
    config, one = config_of(transform=transform, differences=differences), series()
    scaling = fit_scaling(config, one, (0, 8))
    numbers = encode(config, {"": scaling}, one)[:12, :1]
    back = restored(config, scaling, numbers, axis=1)
    np.testing.assert_allclose(back, one.values, rtol=1e-5)
    steps = np.diff(transformed(config, one)[:8], axis=0)
    spread = steps.std() if differences else transformed(config, one)[:8].std()
    np.testing.assert_allclose(scaling.scale, spread if spread > 1e-9 else 1)


def test_the_scaling_sees_the_training_part_only():
    values = np.arange(1.0, 13.0)
    later = np.where(np.arange(12) < 8, values, 1e9)
    config = config_of()
    found = [fit_scaling(config, series(v), (0, 8)) for v in (values, later)]
    assert found[0] == found[1]
    assert found[0].unit == (1.0,) and found[0].variance == (values[:8].var(),)


def test_what_never_changes_is_scaled_to_0():
    config, one = config_of(), series(np.full(12, 5.0))
    numbers = encode(config, {"": fit_scaling(config, one, (0, 8))}, one)
    assert not numbers[:, 0].any()


def test_a_gap_is_the_last_value_before_it_and_known_as_a_gap():
    values = np.array([np.nan, 2.0, np.nan, np.nan, 5.0, *range(6, 13)])
    config, one = config_of(), series(values)
    scaling = fit_scaling(config, one, (0, 12))
    numbers = encode(config, {"": scaling}, one)
    filled = restored(config, scaling, numbers[:5, :1], axis=1)[:, 0]
    np.testing.assert_allclose(filled, [2, 2, 2, 2, 5], rtol=1e-5)
    assert numbers[:5, 1].tolist() == [0, 1, 0, 0, 1] and not numbers[12:, :2].any()


def test_several_series_are_told_apart():
    config, parts = config_of(), {"a": series(name="a"), "b": series(name="b")}
    scaling = {name: fit_scaling(config, one, (0, 8)) for name, one in parts.items()}
    assert sizes_of(config, scaling) == (1, 1, 1, 2)
    assert (encode(config, scaling, parts["b"])[:, -2:] == [0, 1]).all()
    with pytest.raises(InputError, match="the model was trained on other series: a, b"):
        encode(config, scaling, series(name="c"))


def test_what_is_known_beforehand_reaches_as_far_as_it_must():
    config = config_of(calendar=("week",))
    scaling = {"": fit_scaling(config, series(), (0, 8))}
    found = encode(config, scaling, series(future=2), required=True)
    assert found.shape == (14, 1 + 1 + 1 + 3)
    np.testing.assert_allclose(found[:7, -2:], found[7:14, -2:], atol=1e-6)
    with pytest.raises(InputError, match="ends 1 steps after the last value, but horizon = 2"):
        encode(config, scaling, series(future=1), required=True)
    assert not encode(config, scaling, series())[12:, 3].any()  # no target is there either


def test_times_that_nobody_knows_are_asked_for_or_left_out():
    days = np.delete(np.datetime64("2020-01-01") + np.arange(13), 5)
    config = config_of(calendar=("week",))
    one = series()._replace(times=days, future=np.zeros((12, 0)))
    scaling = {"": fit_scaling(config, one, (0, 8))}
    assert times_ahead(one, 2) is None
    assert not encode(config, scaling, one)[12:, -2:].any()
    with pytest.raises(InputError, match="the times are not equally far apart, so nobody knows"):
        encode(config, scaling, one, required=True)
    assert times_ahead(series(), 2).astype(str).tolist()[-1] == "2020-01-14"


def test_a_value_without_logarithm_or_root_is_named():
    one = series(np.where(np.arange(12) == 3, -1.0, 2.0))
    for kind, lacking in (("log", "logarithm"), ("sqrt", "root")):
        problem = f"a value is -1, at 2020-01-04, which has no {lacking}"
        with pytest.raises(InputError, match=problem):
            transformed(config_of(transform=kind), one)
