"""The forecaster as a whole: training, evaluation, prediction, backtests by index."""

import csv
import dataclasses
import gzip
import json
import os
import shutil
import signal

import numpy as np
import pytest
import tiny
import tiny_forecaster

from jaxseq import data, training
from jaxseq.__main__ import main
from jaxseq._checks import InputError
from jaxseq.recipes import forecasting
from jaxseq.recipes._run import initial_state
from jaxseq.recipes.forecasting import Config


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return tiny_forecaster.trained(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def model(run):
    return forecasting.load(run.directory)


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run.directory, tmp_path / "copy")


def read(path):
    return json.loads(path.read_text())


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


# ------------------------------------------------------------------------------------ training


def test_a_run_leaves_its_files_and_prints_its_figures(run):
    names = {path.name for path in run.directory.iterdir()}
    assert names == {
        *("config.json", "checkpoints", "report.json", "history.json"),
        *("learning_curve.png", "forecast.png", "horizons.png"),
    }
    assert run.printed.startswith(forecasting.summary(read(run.directory / "report.json")))
    page = read(run.directory / "config.json")
    assert page["columns"] == ["temp", "level"] and page["time"] == "day"
    assert len(read(run.directory / "history.json")["evaluations"]["value"]) == 2  # one an epoch


def test_the_report_is_of_the_parts_after_the_training(run, model):
    report = read(run.directory / "report.json")
    assert report["test"]["targets"] == 20 and report["valid"]["targets"] == 12
    series = forecasting.read_dataset(model.config).series[0]
    found = forecasting.backtest(model, series)
    for column, name in enumerate(model.columns):
        unit = np.abs(np.diff(series.values[:48, column])).mean()
        for h in range(2):
            errors = [
                abs(found.value[o, h, column] - series.values[t + 1 + h, column])
                for o, t in enumerate(found.origins)
                if t + 1 + h in range(60, 80)
            ]
            assert len(errors) == 20
            wanted = np.mean(errors) / unit
            assert report["test"]["columns"][name]["mase"][h] == pytest.approx(wanted, rel=1e-4)
    others = report["others"]["test"]
    names = ("persistence (random walk)", "seasonal naive, 7 steps", "drift", "AR(2)")
    assert tuple(others) == names
    walk = np.abs(np.diff(series.values[59:80, 0])).mean()
    unit = np.abs(np.diff(series.values[:48, 0])).mean()
    assert others[names[0]]["columns"]["temp"]["mase"][0] == pytest.approx(walk / unit, rel=1e-4)


def test_the_scaling_is_that_of_the_training_part_alone(run, model):
    series = forecasting.read_dataset(model.config).series[0]
    own = read(run.directory / "config.json")["scaling"][""]
    np.testing.assert_allclose(own["center"], series.values[:48].mean(0))
    np.testing.assert_allclose(own["scale"], series.values[:48].std(0))
    np.testing.assert_allclose(own["past_center"], series.past[:48].mean(0))


def test_an_interrupted_run_goes_on_to_the_same_bits(run, model, tmp_path, monkeypatch):
    class Killing(data.BucketBatches):
        def __next__(self):
            if self.cursor == {"epoch": 1, "batch": 1}:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().__next__()

    config = dataclasses.replace(model.config, out=tmp_path / "run", resume=False)
    with monkeypatch.context() as patch:
        patch.setattr(data, "BucketBatches", Killing)
        found = forecasting.train(config)
    assert found["outcome"] == "interrupted" and not (tmp_path / "run" / "report.json").exists()
    report = forecasting.train(dataclasses.replace(config, resume=True))
    before = read(run.directory / "report.json")
    assert {name: report[name] for name in ("test", "valid", "others")} == {
        name: before[name] for name in ("test", "valid", "others")
    }

    def state(directory):
        with training.Checkpoints(directory / "checkpoints") as checkpoints:
            return checkpoints.restore(initial_state(model.config, model.params, 1))[0]

    tiny.assert_same_bits(state(tmp_path / "run"), state(run.directory))
    assert (tmp_path / "run" / "forecast.png").read_bytes() == (
        run.directory / "forecast.png"
    ).read_bytes()


@pytest.mark.usefixtures("blank")
def test_a_line_is_still_continued_after_training(tmp_path):
    path = tmp_path / "line.csv"
    path.write_text("t,x\n" + "".join(f"{t},{2 * t - 8}\n" for t in range(40)))
    config = Config(
        data=str(path), out=tmp_path / "run", head="point", start="trend", horizon=3, window=6,
        order=1, members=1, hidden_size=2, epochs=2, differences=True, hold_out=0.0,
    )  # fmt: skip
    report = forecasting.train(config)
    assert report["test"]["columns"]["x"]["mase"] == pytest.approx([0, 0, 0], abs=0.1)
    assert "coverage_80" not in report["test"]["columns"]["x"]
    assert read(tmp_path / "run" / "history.json")["evaluations"]["value"] == []
    model = forecasting.load(tmp_path / "run")
    series = forecasting.read_dataset(model.config).series[0]
    found = forecasting.backtest(model, series, first=10, last=20)
    for o, t in enumerate(found.origins):
        for h in range(3):
            assert found.value[o, h, 0] == pytest.approx(2 * (t + 1 + h) - 8, abs=0.2)
    assert forecasting.predict(tmp_path / "run", source=str(path), to=tmp_path / "a.csv") == 3
    rows = rows_of(tmp_path / "a.csv")
    assert [row["t"] for row in rows] == ["40", "41", "42"]
    assert [float(row["x"]) for row in rows] == pytest.approx([72, 74, 76], abs=0.2)


@pytest.mark.slow
def test_a_recursive_model_draws_its_forecasts(run, tmp_path):
    options = ("--strategy", "recursive", "--past-covariates", "rain", "--samples", "50")
    assert main(tiny_forecaster.train(run.data, tmp_path / "run", *options)) == 2
    words = tiny_forecaster.train(run.data, tmp_path / "run", *options)
    place = words.index("--past-covariates")
    del words[place : place + 2], words[words.index("--past-covariates") :][:2]
    words = [word for word in words if word not in ("--past-covariates", "rain")]
    assert main([*words, "--values", "temp,level,rain"]) == 0
    page = read(tmp_path / "run" / "report.json")
    assert all(value > 0 for value in page["test"]["columns"]["rain"]["crps"])


def test_a_validation_file_goes_on_where_the_data_end(run, model, tmp_path):
    lines = tiny_forecaster.table().splitlines()
    first, later = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text("\n".join(lines[:61]) + "\n")
    later.write_text("\n".join([lines[0], *lines[61:]]) + "\n")
    config = dataclasses.replace(model.config, data=str(first), valid=str(later))
    dataset = forecasting.read_dataset(config)
    assert dataset.spans == [{"train": (0, 60), "valid": (60, 80)}]
    whole = forecasting.read_dataset(model.config).series[0]
    for a, b in zip(dataset.series[0][1:], whole[1:], strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(
        InputError, match=r"b\.csv` begins at 2020-03-01, but .* ends at 2020-03-20"
    ):
        forecasting.read_dataset(dataclasses.replace(config, data=str(run.data)))


def test_what_cannot_be_trained_leaves_no_directory(run, model, tmp_path):
    base = dataclasses.replace(model.config, out=tmp_path / "run", resume=False)
    for changes, problem in (
        ({"epochs": 0}, "`epochs` must be at least 1"),
        ({"window": 60}, "the training part has 48 steps, but window \\+ horizon are 62"),
        ({"strategy": "recursive"}, "a recursive model cannot have past_covariates"),
        ({"transform": "log"}, "which has no logarithm"),
    ):
        with pytest.raises(ValueError, match=problem):
            forecasting.train(dataclasses.replace(base, **changes))
    assert not (tmp_path / "run").exists()


# ---------------------------------------------------------------------------------- evaluation


def test_evaluating_the_own_data_repeats_the_report(copy, capsys):
    before = read(copy / "report.json")
    assert main(["evaluate", str(copy)]) == 0
    out = copy / "evaluations" / "shop"
    page = read(out / "report.json")
    assert page.items() >= before["test"].items()
    assert capsys.readouterr().out == f"{forecasting.summary(page)}\nwritten to {out}\n"
    assert {path.name for path in out.iterdir()} == {"report.json", "forecast.png", "horizons.png"}


@pytest.mark.usefixtures("blank")
def test_another_file_is_forecast_but_for_its_first_window(copy, model, tmp_path):
    path = tmp_path / "new.csv.gz"
    path.write_bytes(gzip.compress(tiny_forecaster.table(30, seed=4, gap=20).encode()))
    page = forecasting.evaluate(copy, source=str(path))
    assert page["targets"] == 24 and (copy / "evaluations" / "new" / "report.json").exists()
    assert all(np.isfinite(page["columns"]["temp"]["mase"]))
    path.write_bytes(tiny_forecaster.table(6).encode())
    with pytest.raises(InputError, match="has 6 steps, and the first 6 are only read"):
        forecasting.evaluate(copy, source=str(path))


@pytest.mark.usefixtures("blank")
def test_data_that_changed_are_refused(run, copy, tmp_path):
    path = shutil.copy(run.data, tmp_path / "shop.csv")
    tiny.edit(copy, data=str(path))
    forecasting.evaluate(copy)
    path.write_text(tiny_forecaster.table(seed=1))
    with pytest.raises(InputError, match="are not what they were when the run began"):
        forecasting.evaluate(copy)


# ----------------------------------------------------------------------------------- backtests


def test_what_comes_after_an_origin_never_matters(model):
    series = forecasting.read_dataset(model.config).series[0]
    values, past = series.values.copy(), series.past.copy()
    values[50:], past[50:] = 1e6, 1e6
    found = [
        forecasting.backtest(model, one, first=40, last=49)
        for one in (series, series._replace(values=values, past=past))
    ]
    np.testing.assert_array_equal(found[0].value, found[1].value)
    np.testing.assert_array_equal(found[0].quantiles, found[1].quantiles)


def test_a_backtest_is_one_compiled_call_of_the_forecasts_one_by_one(model):
    series = forecasting.read_dataset(model.config).series[0]
    together = forecasting.backtest(model, series, first=3, last=30)
    assert together.origins.tolist() == list(range(3, 31))
    for t in (3, 4, 20):
        alone = forecasting.forecast(
            model,
            series._replace(values=series.values[: t + 1], past=series.past[: t + 1]),
        )
        np.testing.assert_allclose(alone.value[0], together.value[t - 3], rtol=1e-5)
    assert (np.diff(together.quantiles, axis=-1) >= 0).all()
    with pytest.raises(InputError, match=r"backtest: `first` = 9 and `last` = 8 must be steps"):
        forecasting.backtest(model, series, first=9, last=8)


# ---------------------------------------------------------------------------------- prediction


def test_predictions_go_on_after_the_lines_with_values(run, model, tmp_path, capsys):
    source, to = tmp_path / "new.csv", tmp_path / "forecasts.csv"
    source.write_text(tiny_forecaster.table(more=2))
    words = ["predict", str(run.directory), "--data", str(source), "--to", str(to)]
    assert main(words) == 0
    assert capsys.readouterr().out == f"2 rows written to {to}\n"
    rows = rows_of(to)
    assert [row["day"] for row in rows] == ["2020-03-21", "2020-03-22"]
    dataset = forecasting.read_series(model.config, str(source))[2][0]
    found = forecasting.forecast(model, dataset)
    for h, row in enumerate(rows):
        for column, name in enumerate(model.columns):
            assert float(row[name]) == pytest.approx(found.value[0, h, column], rel=1e-4)
            told = [float(row[f"{name} {q}"]) for q in (0.025, 0.1, 0.5, 0.9, 0.975)]
            assert told == sorted(told)
            np.testing.assert_allclose(told[2], found.quantiles[0, h, column, 19], rtol=1e-4)


def test_what_is_not_known_beforehand_is_asked_for(run, tmp_path):
    problem = "what is known beforehand ends 0 steps after the last value, but horizon = 2"
    with pytest.raises(InputError, match=problem):
        forecasting.predict(run.directory, source=str(run.data), to=tmp_path / "a.csv")
    assert not (tmp_path / "a.csv").exists()


def test_a_file_without_the_columns_is_refused_in_one_line(run, tmp_path, capsys):
    path = tmp_path / "bad.csv"
    for content, problem in (
        ("day,temp\n2020-01-01,1\n", "line 1: there is no column `level`"),
        (tiny_forecaster.table().replace("2020-01-05", "2020-01-01"), "line 6: the day 2020-01-01"),
        (tiny_forecaster.table().replace("2020-01-05,", "2020-01-05,x"), "line 6: the temp is"),
        ("", "is empty"),
    ):
        path.write_text(content)
        words = ["predict", str(run.directory), "--data", str(path), "--to", str(tmp_path / "o")]
        assert main(words) == 2
        said = capsys.readouterr().err
        assert problem in said and said.count("\n") == 1
