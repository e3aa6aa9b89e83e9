"""The model of a forecaster: windows, the loss by hand, ensembles, runs that are damaged."""

import dataclasses
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
import tiny_forecaster

from jaxseq import data
from jaxseq._checks import InputError
from jaxseq.recipes import forecasting
from jaxseq.recipes._forecasting_model import LEVELS, make_loss, parts_of, windows_at
from jaxseq.recipes._forecasting_scaling import Sizes, encode, sizes_of


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return tiny_forecaster.trained(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def model(run):
    return forecasting.load(run.directory)


@pytest.fixture(scope="session")
def encoded(model):
    series = forecasting.read_dataset(model.config).series[0]
    return encode(model.config, model.scaling, series)


def test_windows_hold_what_is_known_at_their_origin(model, encoded):
    rows, lengths = windows_at(model, encoded, np.array([2, 9]))
    assert lengths.tolist() == [3, 6] and rows.shape[1] == 8
    np.testing.assert_array_equal(rows[0, :3], encoded[:3])
    np.testing.assert_array_equal(rows[1, :6], encoded[4:10])
    sizes = sizes_of(model.config, model.scaling)
    hidden = 2 * sizes.values + sizes.past
    for row, origin, length in zip(rows, (2, 9), lengths, strict=True):
        assert not row[length:, :hidden].any()
        ahead = encoded[origin + 1 : origin + 3, hidden:]
        np.testing.assert_array_equal(row[length : length + 2, hidden:], ahead)


def test_the_loss_counts_what_is_forecast_after_the_first_half(model, encoded):
    windows = data.series_windows(encoded[:20], window=6, horizon=2)[:3].copy()
    windows[0, 5, 2] = 0  # a value of the first column that was not there
    batch = data.BucketBatch(windows, np.array([8, 8, 0], np.int32), np.array([0, 1, -1]))
    loss, carry = jax.jit(make_loss(model))(model.params, (), batch, None)
    # Two rows, three steps, two horizons, two columns, two members; the gap is a target twice.
    assert carry == () and loss.count == 2 * (2 * 3 * 2 * 2 - 2)
    sizes = sizes_of(model.config, model.scaling)
    read, values, there, given = parts_of(sizes, 6, jnp.asarray(windows))
    values, there, total = np.asarray(values), np.asarray(there), 0.0
    call = jax.jit(lambda params: model.functions.call(params, read, **given))
    score = jax.jit(lambda one, value, kept: one.loss(value, mask=kept).total)
    for member in range(2):
        params = jax.tree.map(lambda leaf, m=member: np.asarray(leaf)[m], model.params)
        found = jax.tree.map(np.asarray, call(params))
        for row in range(2):
            for t in range(3, 6):
                for h in range(2):
                    kept = there[row, t + 1 + h][None]
                    one = jax.tree.map(lambda a, at=(row, t, h): a[at][None], found)
                    total += float(score(one, values[row, t + 1 + h][None], kept))
    np.testing.assert_allclose(loss.total, total, rtol=1e-4)


def test_the_numbers_of_a_step_are_told_apart():
    numbers = jnp.arange(9.0)[None, None]
    read, values, there, given = parts_of(Sizes(2, 1, 3, 1), 1, numbers)
    assert values.tolist() == read.tolist() == [[[0, 1]]] and there.all()
    assert given["past"].tolist() == [[[4]]] and given["future"].tolist() == [[[5, 6, 7]]]
    assert given["static"].tolist() == [[8]]
    assert parts_of(Sizes(2, 0, 0, 0), 1, numbers)[3] == dict.fromkeys(given)


def test_forecasts_are_the_mean_of_the_members(model):
    series = forecasting.read_dataset(model.config).series[0]
    both = forecasting.backtest(model, series, first=20, last=22)
    found = []
    for member in range(2):
        params = jax.tree.map(lambda leaf, m=member: leaf[np.array([m, m])], model.params)
        made = model._replace(params=params)
        found.append(forecasting.backtest(made, series, first=20, last=22))
    for name in ("value", "quantiles"):
        pair = [getattr(one, name) for one in found]
        wanted = np.mean(pair, axis=0)
        np.testing.assert_allclose(getattr(both, name), wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(both.levels, LEVELS)


def test_runs_that_are_damaged_are_named(run, tmp_path):
    copy = shutil.copytree(run.directory, tmp_path / "copy")
    page = (copy / "config.json").read_text()
    for old, new in (('"scaling"', '"scalling"'), ('"unit"', '"unite"'), ('"columns"', '"column"')):
        (copy / "config.json").write_text(page.replace(old, new))
        with pytest.raises(InputError, match=r"config\.json is damaged"):
            forecasting.load(copy)
    (copy / "config.json").write_text(page)
    tiny.edit(copy, hidden_size=3)
    with pytest.raises(InputError, match="shape"):
        forecasting.load(copy)


def test_a_loaded_model_is_the_one_that_was_trained(model):
    fresh = forecasting.build(
        dataclasses.replace(model.config), model.time, model.columns, model.scaling
    )
    assert jax.tree.structure(fresh.params) == jax.tree.structure(model.params)
    assert fresh.functions == model.functions
