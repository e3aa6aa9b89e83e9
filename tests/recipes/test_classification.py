"""The classifier as a whole: training, evaluation and prediction, on texts and on series."""

import dataclasses
import json
import os
import shutil
import signal

import numpy as np
import pytest
import tiny
import tiny_tasks

from jaxseq import data, training
from jaxseq._checks import InputError
from jaxseq.recipes import _naive_bayes, classification
from jaxseq.recipes._classification_data import Example, with_held_out
from jaxseq.recipes._run import initial_state
from jaxseq.recipes.classification import Config

SMALL = Config(
    **{"cell": "elman", "embed_size": 2, "hidden_size": 2, "num_layers": 1, "pooling": "mean"},
    **{"batch_size": 8, "epochs": 1, "hold_out": 4, "dropout": 0.0, "crop": 0, "noise": 0.0},
    ngrams=1,
)


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return tiny_tasks.classifier(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def series_run(tmp_path_factory):
    return tiny_tasks.series_classifier(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def model(run):
    return classification.load(run.directory)


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run.directory, tmp_path / "copy")


@pytest.fixture
def series_copy(series_run, tmp_path):
    return shutil.copytree(series_run.directory, tmp_path / "copy")


def read(path):
    return json.loads(path.read_text())


def write(path, rows):
    path.write_text(tiny_tasks.table(rows))
    return str(path)


def share_right(found, examples):
    return np.mean([label == row.label for label, row in zip(found, examples, strict=True)])


def state_of(directory):
    """The latest state of a run."""
    model = classification.load(directory)
    with training.Checkpoints(directory / "checkpoints") as checkpoints:
        state, _ = checkpoints.restore(initial_state(model.config, model.params, 1))
    return state


# ----------------------------------------------------------------------------------------- training


def test_a_run_leaves_its_files(run):
    names = {path.name for path in run.directory.iterdir()}
    assert names == {
        *("config.json", "checkpoints", "report.json", "history.json"),
        *("learning_curve.png", "confusion.png", "errors.tsv"),
    }
    page = read(run.directory / "config.json")
    assert page["task"] == "classification" and page["labels"] == ["cold", "warm", "은근"]
    assert [k for k, value in page["settings"].items() if value is None] == ["valid"]


def test_the_report_is_of_the_held_out_part(run, model):
    report = read(run.directory / "report.json")
    parts = with_held_out(classification.read_parts(str(run.data)), model.config)
    values = [example.value for example in parts.valid]
    found = classification.classify(model, values)
    assert report["valid"]["accuracy"] == share_right(found, parts.valid)
    assert report["valid"]["examples"] == len(parts.valid) and "test" not in report
    assert report["classes"] == 3 and report["parameters"] > 0
    simple = _naive_bayes.fit(*zip(*[(e.value, e.label) for e in parts.train], strict=True))
    named = report["others"]["valid"]["naive Bayes of character 1-3-grams"]
    assert named["accuracy"] == share_right(_naive_bayes.predict(simple, values), parts.valid)


def test_the_best_epoch_is_the_one_with_the_fewest_errors(run):
    report, history = (read(run.directory / f"{name}.json") for name in ("report", "history"))
    evaluations = history["evaluations"]
    best = min(evaluations["value"])
    assert 100 * (1 - report["valid"]["accuracy"]) == pytest.approx(best, abs=1e-3)
    assert len(evaluations["value"]) == 3  # one an epoch


def test_series_are_reported_on_by_their_test_part(series_run):
    report = read(series_run.directory / "report.json")
    assert report["test"]["examples"] == 10 and report["valid"]["examples"] > 0
    name = "a hidden Markov model for each class"
    assert report["others"]["test"][name]["accuracy"] > 0.5
    assert "10 examples" in series_run.printed and name in series_run.printed


def test_without_a_held_out_part_the_last_weights_are_taken(tmp_path):
    path = write(tmp_path / "a.tsv", tiny_tasks.texts(16))
    out = tmp_path / "run"
    report = classification.train(dataclasses.replace(SMALL, data=path, out=out, hold_out=0))
    assert report["train"]["examples"] == 16 and report["others"] == {}
    assert report["training"]["best_step"] == report["training"]["steps"] == 2
    tiny.assert_same_bits(classification.load(out).params, state_of(out).params)
    history = read(out / "history.json")
    assert history["evaluations"]["value"] == []  # there was nothing to measure
    again = classification.evaluate(out)
    assert again.items() >= report["train"].items()


@pytest.mark.usefixtures("blank")
def test_a_validation_file_chooses_the_weights(tmp_path):
    train = write(tmp_path / "a.tsv", tiny_tasks.texts(16))
    valid = write(tmp_path / "b.tsv", tiny_tasks.texts(8, seed=1))
    config = dataclasses.replace(SMALL, data=train, valid=valid, out=tmp_path / "run")
    report = classification.train(config)
    assert report["valid"]["examples"] == 8 and "train" not in report
    assert classification.evaluate(tmp_path / "run").items() >= report["valid"].items()
    write(tmp_path / "b.tsv", tiny_tasks.texts(8, seed=2))
    with pytest.raises(InputError, match="are not what they were when the run began"):
        classification.evaluate(tmp_path / "run")


@pytest.mark.slow
def test_texts_are_read_by_word_and_cut_to_random_pieces(tmp_path):
    rows = [("sea and wind " * 4, "calm"), ("gale on the sea " * 3, "wild")] * 6
    path = write(
        tmp_path / "a.tsv", [(f"{text}{n}", label) for n, (text, label) in enumerate(rows)]
    )
    changes = {"units": "words", "min_count": 2, "crop": 5, "hold_out": 3, "ngrams": 2}
    out = tmp_path / "run"
    report = classification.train(dataclasses.replace(SMALL, data=path, out=out, **changes))
    assert (out / "prefixes.png").stat().st_size > 0
    assert {*report["valid"]["accuracy_of_first_characters"]} == {"5", "10", "20", "50", "100"}
    symbols = classification.load(out).vocabulary.symbols
    assert "gale" in symbols and "3" not in symbols and symbols[0] == "\ufffd"
    assert classification.evaluate(out).items() >= report["valid"].items()


def test_an_interrupted_run_goes_on_to_the_same_bits(run, tmp_path, monkeypatch):
    class Killing(data.BucketBatches):
        def __next__(self):
            if self.cursor == {"epoch": 1, "batch": 2}:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().__next__()

    config = dataclasses.replace(
        classification.load(run.directory).config, out=tmp_path / "run", resume=False
    )
    with monkeypatch.context() as patch:
        patch.setattr(data, "BucketBatches", Killing)
        found = classification.train(config)
    before = read(run.directory / "report.json")
    step = before["training"]["steps"] // 3 + 3  # the third of the second epoch
    assert found == {"outcome": "interrupted", "step": step, "out": str(tmp_path / "run")}
    assert not (tmp_path / "run" / "report.json").exists()
    report = classification.train(dataclasses.replace(config, resume=True))
    tiny.assert_same_bits(state_of(tmp_path / "run"), state_of(run.directory))
    same = ("valid", "others", "classes", "parameters")
    assert {name: report[name] for name in same} == {name: before[name] for name in same}
    for name in ("errors.tsv", "confusion.png"):
        assert (tmp_path / "run" / name).read_bytes() == (run.directory / name).read_bytes()


@pytest.mark.usefixtures("blank")
def test_resuming_a_finished_run_writes_its_report_again(copy):
    before = read(copy / "report.json")
    (copy / "report.json").unlink()
    classification.train(Config(out=copy, resume=True))
    assert read(copy / "report.json") == before


@pytest.mark.usefixtures("blank")
def test_data_that_changed_are_refused(run, copy, tmp_path):
    path = shutil.copy(run.data, tmp_path / "moods.tsv")
    tiny.edit(copy, data=str(path))
    assert classification.evaluate(copy)["examples"] > 0
    with open(path, "a") as file:
        file.write("aaaaaa\twarm\n")
    before = tiny.contents(copy)
    problem = r"^classification: the data of .*moods\.tsv are not what they were when the run began"
    for act in (
        lambda: classification.train(Config(out=copy, resume=True)),
        lambda: classification.evaluate(copy),
    ):
        with pytest.raises(InputError, match=problem):
            act()
    assert tiny.contents(copy) == before


def test_a_setting_out_of_range_leaves_no_directory(run, tmp_path):
    for changes, problem in (
        ({"epochs": 0}, "`epochs` must be at least 1"),
        ({"label_smoothing": 1.0}, r"`label_smoothing` must be in \[0, 1\)"),
        ({"dropout": 1.0}, "dropout"),
    ):
        config = dataclasses.replace(SMALL, data=str(run.data), out=tmp_path / "run", **changes)
        with pytest.raises(ValueError, match=problem):
            classification.train(config)
        assert not (tmp_path / "run").exists()


# --------------------------------------------------------------------------------------- evaluation


def test_evaluating_the_own_data_repeats_the_report(copy, series_run, tmp_path):
    series_copy = shutil.copytree(series_run.directory, tmp_path / "series")
    for directory, part, name in ((copy, "valid", "moods"), (series_copy, "test", "walks")):
        before = read(directory / "report.json")
        page = classification.evaluate(directory)
        assert page.items() >= before[part].items() and page["task"] == "classification"
        out = directory / "evaluations" / name
        assert read(out / "report.json") == page
        assert (out / "errors.tsv").read_bytes() == (directory / "errors.tsv").read_bytes()
        assert (out / "confusion.png").stat().st_size > 0
        assert read(directory / "report.json") == before


@pytest.mark.usefixtures("blank")
def test_another_file_is_evaluated_as_a_whole(copy, model, tmp_path):
    rows = tiny_tasks.texts(30, seed=5)
    rows = [row for row in rows if row[1] != "warm"]
    page = classification.evaluate(copy, source=write(tmp_path / "new.v2.tsv", rows))
    found = classification.classify(model, [text for text, _ in rows])
    assert page["accuracy"] == share_right(found, [Example(*row) for row in rows])
    assert page["examples"] == len(rows)
    assert read(copy / "evaluations" / "new.v2" / "report.json") == page


@pytest.mark.usefixtures("blank")
def test_the_file_of_the_run_by_its_name_is_evaluated_as_a_whole(run, copy):
    assert classification.evaluate(copy, source=str(run.data))["examples"] == 80


def test_a_label_that_the_model_does_not_know_is_named(copy, tmp_path):
    source = write(tmp_path / "new.tsv", [("aaaaaa", "warm"), ("bbbbbb", "grey")])
    before = tiny.contents(copy)
    problem = r"new\.tsv`, line 3: training does not have the label 'grey'"
    with pytest.raises(InputError, match=problem):
        classification.evaluate(copy, source=source)
    assert tiny.contents(copy) == before


def test_data_of_the_other_kind_are_refused(run, series_run, tmp_path):
    for directory, source, problem in (
        (run.directory, series_run.data, r"walks\.npz` holds series, where texts are needed"),
        (series_run.directory, run.data, r"moods\.tsv` holds texts, where series are needed"),
    ):
        for act in (classification.evaluate, classification.predict):
            more = {"to": tmp_path / "to.tsv"} if act is classification.predict else {}
            with pytest.raises(InputError, match=problem):
                act(directory, source=str(source), **more)
    assert not (tmp_path / "to.tsv").exists()


def test_series_of_another_width_are_refused(series_copy, tmp_path):
    path = tmp_path / "wide.npz"
    np.savez(path, **tiny_tasks.arrays(*tiny_tasks.series(3, size=3)))
    before = tiny.contents(series_copy)
    problem = r"series 0 has shape \(5, 3\), but the model reads 2 features"
    with pytest.raises(InputError, match=problem):
        classification.evaluate(series_copy, source=str(path))
    with pytest.raises(InputError, match=problem):
        classification.predict(series_copy, source=str(path), to=tmp_path / "to.tsv")
    assert tiny.contents(series_copy) == before


# --------------------------------------------------------------------------------------- prediction


def test_predictions_are_read_back(run, model, tmp_path):
    rows = [*tiny_tasks.texts(9, seed=7), ('"quoted", \\t', "warm"), ("긴 글 " * 400, "cold")]
    source, to = tmp_path / "new.tsv", tmp_path / "labels.tsv"
    source.write_text("id\ttext\n" + "".join(f"{n}\t{t}\n" for n, (t, _) in enumerate(rows)))
    assert classification.predict(run.directory, source=str(source), to=to) == len(rows)
    back = data.read_labelled_text(to)
    assert [row.text for row in back] == [text for text, _ in rows]
    assert [row.label for row in back] == classification.classify(model, [t for t, _ in rows])
    header, *lines = (line.split("\t") for line in to.read_text().splitlines())
    assert header == ["text", "label", "probability"]
    best = np.exp(classification.log_probs(model, [t for t, _ in rows])).max(1)
    np.testing.assert_allclose([float(line[2]) for line in lines], best, atol=1e-4)


def test_predictions_for_series_are_numbered(series_run, tmp_path):
    to = tmp_path / "labels.tsv"
    assert classification.predict(series_run.directory, source=str(series_run.data), to=to) == 10
    lines = [line.split("\t") for line in to.read_text().splitlines()]
    assert lines[0] == ["row", "label", "probability"]
    assert [line[0] for line in lines[1:]] == [str(n) for n in range(10)]
    assert {line[1] for line in lines[1:]} <= {"up", "down"}


def test_labels_that_cannot_be_written_are_an_error(run, tmp_path):
    source = write(tmp_path / "a.tsv", tiny_tasks.texts(3))
    problem = r"labels\.tsv cannot be written: No such file or directory\.\n  Hint: choose another"
    with pytest.raises(OSError, match=problem):
        classification.predict(run.directory, source=source, to=tmp_path / "no" / "labels.tsv")


def test_a_text_of_any_length_is_classified(model):
    found = classification.classify(model, ["", "a", "b" * 5000, "\u1112\u1161\u11ab"])
    assert len(found) == 4 and {*found} <= {*model.labels}
    same = classification.log_probs(model, ["\ud55c", "\u1112\u1161\u11ab"])
    np.testing.assert_array_equal(same[0], same[1])
