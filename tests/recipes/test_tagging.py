"""The tagger as a whole: training, evaluation, prediction, and spaces put into a text."""

import dataclasses
import itertools
import json
import math
import os
import shutil
import signal

import jax
import numpy as np
import pytest
import tiny
import tiny_tasks

from jaxseq import data, training
from jaxseq._checks import InputError
from jaxseq.losses import span_f1
from jaxseq.recipes import tagging
from jaxseq.recipes._run import initial_state
from jaxseq.recipes._tagging_config import resolved
from jaxseq.recipes._tagging_data import with_held_out
from jaxseq.recipes.tagging import Config

SMALL = Config(
    **{"cell": "elman", "embed_size": 2, "hidden_size": 2, "num_layers": 1, "spelling": False},
    **{"batch_size": 8, "epochs": 1, "hold_out": 4, "dropout": 0.0, "output": "softmax"},
    affixes=0,
)


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return tiny_tasks.tagger(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def model(run):
    return tagging.load(run.directory)


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run.directory, tmp_path / "copy")


def read(path):
    return json.loads(path.read_text())


def write(path, pairs):
    path.write_text(tiny_tasks.columns(pairs))
    return str(path)


def words_of(rows):
    return [[pair[0] for pair in row] for row in rows]


def labels_of(rows):
    return [[pair[1] for pair in row] for row in rows]


def state_of(directory):
    """The latest state of a run."""
    model = tagging.load(directory)
    with training.Checkpoints(directory / "checkpoints") as checkpoints:
        state, _ = checkpoints.restore(initial_state(model.config, model.params, 1))
    return state


# ------------------------------------------------------------------------------------ training


def test_a_run_leaves_its_files(run):
    names = {path.name for path in run.directory.iterdir()}
    assert names == {
        *("config.json", "checkpoints", "report.json", "history.json"),
        *("learning_curve.png", "confusion.png", "errors.tsv"),
    }
    page = read(run.directory / "config.json")
    assert page["task"] == "tagging" and page["labels"] == ["B-city", "B-길", "I-길", "O"]
    assert page["settings"]["scheme"] == "bio" and page["settings"]["output"] == "crf"
    assert [k for k, value in page["settings"].items() if value is None] == ["valid"]


def test_the_report_is_of_the_held_out_part(run, model):
    report = read(run.directory / "report.json")
    train, valid, _ = with_held_out(tagging.read_parts(str(run.data)), model.config)
    found = tagging.label_words(model, words_of(valid))
    pairs = [*zip(itertools.chain(*valid), itertools.chain(*found), strict=True)]
    page = report["valid"]
    assert page["accuracy"] == np.mean([token.label == label for token, label in pairs])
    known = {token.token for row in train for token in row}
    unknown = [token.label == label for token, label in pairs if token.token not in known]
    assert page["unknown_words"] == {"tokens": len(unknown), "accuracy": np.mean(unknown)}
    assert page["span_f1"] == span_f1(found, labels_of(valid), scheme="bio").f1
    assert report["labels"] == 4 and report["parameters"] > 0 and "test" not in report
    assert report["others"]["valid"].keys() == {
        "the most frequent label of each word",
        "a hidden Markov model",
    }


def test_the_best_epoch_is_the_one_with_the_best_span_f1(run):
    report, history = (read(run.directory / f"{name}.json") for name in ("report", "history"))
    values = history["evaluations"]["value"]
    assert len(values) == 2  # one an epoch
    assert 100 * (1 - report["valid"]["span_f1"]) == pytest.approx(min(values), abs=1e-3)


def test_without_spans_the_measure_is_the_share_of_wrong_tokens(tmp_path):
    rows = [data.Token("a", "X"), data.Token("b", "Y")], [data.Token("c", "Y")]
    config = resolved(dataclasses.replace(SMALL, data="my.conll"), {"X", "Y"})
    model = tagging.build(config, ["X", "Y"], {}, {})
    params = jax.tree.map(lambda leaf: leaf * 0, model.params)  # all are X
    assess = tagging._assessor(model, [list(row) for row in rows])
    assert assess(params) == pytest.approx(200 / 3)
    assert math.isnan(assess(jax.tree.map(lambda leaf: leaf * math.nan, model.params)))
    assert tagging._assessor(model, [])(params) == 0
    spans = model._replace(config=dataclasses.replace(config, scheme="runs"))
    # X X and X are found, where X and Y, and Y, are right.
    assert tagging._assessor(spans, [list(row) for row in rows])(params) == 100


def test_without_a_held_out_part_the_last_weights_are_taken(tmp_path):
    path = write(tmp_path / "a.conll", tiny_tasks.addresses(16))
    out = tmp_path / "run"
    report = tagging.train(dataclasses.replace(SMALL, data=path, out=out, hold_out=0))
    assert report["train"]["sequences"] == 16 and report["others"] == {}
    assert report["train"]["unknown_words"]["tokens"] == 0
    assert report["training"]["best_step"] == report["training"]["steps"] == 2
    tiny.assert_same_bits(tagging.load(out).params, state_of(out).params)
    assert read(out / "history.json")["evaluations"]["value"] == []
    assert tagging.evaluate(out).items() >= report["train"].items()


@pytest.mark.usefixtures("blank")
def test_a_validation_file_chooses_the_weights(tmp_path):
    train = write(tmp_path / "a.conll", tiny_tasks.addresses(16))
    valid = write(tmp_path / "b.conll", tiny_tasks.addresses(8, seed=1))
    config = dataclasses.replace(SMALL, data=train, valid=valid, out=tmp_path / "run")
    report = tagging.train(config)
    assert report["valid"]["sequences"] == 8 and "train" not in report
    assert tagging.evaluate(tmp_path / "run").items() >= report["valid"].items()
    write(tmp_path / "b.conll", tiny_tasks.addresses(8, seed=2))
    with pytest.raises(InputError, match="are not what they were when the run began"):
        tagging.evaluate(tmp_path / "run")


def test_an_interrupted_run_goes_on_to_the_same_bits(run, model, tmp_path, monkeypatch):
    class Killing(data.BucketBatches):
        def __next__(self):
            if self.cursor == {"epoch": 1, "batch": 1}:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().__next__()

    config = dataclasses.replace(model.config, out=tmp_path / "run", resume=False)
    with monkeypatch.context() as patch:
        patch.setattr(data, "BucketBatches", Killing)
        found = tagging.train(config)
    before = read(run.directory / "report.json")
    step = before["training"]["steps"] // 2 + 2  # the second of the second epoch
    assert found == {"outcome": "interrupted", "step": step, "out": str(tmp_path / "run")}
    assert not (tmp_path / "run" / "report.json").exists()
    report = tagging.train(dataclasses.replace(config, resume=True))
    tiny.assert_same_bits(state_of(tmp_path / "run"), state_of(run.directory))
    same = ("valid", "others", "labels")
    assert {name: report[name] for name in same} == {name: before[name] for name in same}
    for name in ("errors.tsv", "confusion.png"):
        assert (tmp_path / "run" / name).read_bytes() == (run.directory / name).read_bytes()


@pytest.mark.usefixtures("blank")
def test_resuming_a_finished_run_writes_its_report_again(copy):
    before = read(copy / "report.json")
    (copy / "report.json").unlink()
    tagging.train(Config(out=copy, resume=True))
    assert read(copy / "report.json") == before


@pytest.mark.usefixtures("blank")
def test_data_that_changed_are_refused(run, copy, tmp_path):
    path = shutil.copy(run.data, tmp_path / "addresses.conll")
    tiny.edit(copy, data=str(path))
    assert tagging.evaluate(copy)["tokens"] > 0
    with open(path, "a") as file:
        file.write("\n7\tO\n")
    before = tiny.contents(copy)
    problem = r"^tagging: the data of .*addresses\.conll are not what they were when the run began"
    for act in (
        lambda: tagging.train(Config(out=copy, resume=True)),
        lambda: tagging.evaluate(copy),
    ):
        with pytest.raises(InputError, match=problem):
            act()
    assert tiny.contents(copy) == before


def test_what_cannot_be_trained_leaves_no_directory(run, tmp_path):
    for changes, problem in (
        ({"epochs": 0}, "`epochs` must be at least 1"),
        ({"word_dropout": 1.0}, r"`word_dropout` must be in \[0, 1\)"),
        ({"scheme": "bmes"}, "is no label of the scheme"),
        ({"dropout": 1.0}, "dropout"),
    ):
        config = dataclasses.replace(SMALL, data=str(run.data), out=tmp_path / "run", **changes)
        with pytest.raises(ValueError, match=problem):
            tagging.train(config)
    broken = tmp_path / "a.conll"
    broken.write_text(run.data.read_text() + "\nSt\tI-길\n")
    crf = dataclasses.replace(SMALL, data=str(broken), out=tmp_path / "run", output="crf")
    with pytest.raises(InputError, match="'I-길' may not begin a sequence in the scheme bio"):
        tagging.train(crf)
    assert not (tmp_path / "run").exists()


# ---------------------------------------------------------------------------------- evaluation


def test_evaluating_the_own_data_repeats_the_report(copy):
    before = read(copy / "report.json")
    page = tagging.evaluate(copy)
    assert page.items() >= before["valid"].items() and page["task"] == "tagging"
    out = copy / "evaluations" / "addresses"
    assert read(out / "report.json") == page
    assert (out / "errors.tsv").read_bytes() == (copy / "errors.tsv").read_bytes()
    assert (out / "confusion.png").stat().st_size > 0
    assert read(copy / "report.json") == before


@pytest.mark.usefixtures("blank")
def test_another_file_is_evaluated_as_a_whole(copy, model, tmp_path):
    rows = [[("Newtown", "B-city"), ("7", "O")], *tiny_tasks.addresses(12, seed=5)]
    page = tagging.evaluate(copy, source=write(tmp_path / "new.v2.conll", rows))
    found = tagging.label_words(model, words_of(rows))
    pairs = zip(itertools.chain(*found), itertools.chain(*labels_of(rows)), strict=True)
    right = [label == wanted for label, wanted in pairs]
    assert page["accuracy"] == np.mean(right) and page["tokens"] == len(right) == 50
    assert page["unknown_words"]["tokens"] >= 1
    assert read(copy / "evaluations" / "new.v2" / "report.json") == page


@pytest.mark.usefixtures("blank")
def test_another_file_is_evaluated_where_the_training_data_are_gone(copy, tmp_path):
    tiny.edit(copy, data="no/such/file.conll")
    source = write(tmp_path / "new.conll", tiny_tasks.addresses(4, seed=5))
    assert tagging.evaluate(copy, source=source)["sequences"] == 4
    with pytest.raises(InputError, match=r"there is no file `no/such/file\.conll`"):
        tagging.evaluate(copy)


@pytest.mark.usefixtures("blank")
def test_the_file_of_the_run_by_its_name_is_evaluated_as_a_whole(run, copy):
    assert tagging.evaluate(copy, source=str(run.data))["sequences"] == 60


def test_a_label_that_the_model_does_not_know_is_named(copy, tmp_path):
    source = write(tmp_path / "new.conll", [[("7", "O")], [("Elm", "B-강")]])
    before = tiny.contents(copy)
    problem = r"new\.conll`, line 3: training does not have the label 'B-강' \(of 'Elm'\)"
    with pytest.raises(InputError, match=problem):
        tagging.evaluate(copy, source=source)
    assert tiny.contents(copy) == before


# ---------------------------------------------------------------------------------- prediction


@pytest.mark.parametrize("labelled", [True, False])
def test_predictions_are_read_back(labelled, run, model, tmp_path):
    rows = [*tiny_tasks.addresses(5, seed=7), [("#", "O"), ("새로운", "O"), ("#7", "O")]]
    source, to = tmp_path / "new.conll", tmp_path / "labels.conll"
    source.write_text(
        tiny_tasks.columns(rows) if labelled else "\n\n".join(map("\n".join, words_of(rows)))
    )
    assert tagging.predict(run.directory, source=str(source), to=to) == 6
    back = data.read_tagged(to)
    assert words_of(back) == words_of(rows)
    assert labels_of(back) == tagging.label_words(model, words_of(rows))


def test_labels_that_cannot_be_written_are_an_error(run, tmp_path):
    source = write(tmp_path / "a.conll", tiny_tasks.addresses(2))
    problem = r"labels\.conll cannot be written: No such file or directory\.\n  Hint: choose anoth"
    with pytest.raises(OSError, match=problem):
        tagging.predict(run.directory, source=source, to=tmp_path / "no" / "labels.conll")


# ------------------------------------------------------------------------------------- spacing


def spaced(words):
    """A model of `korean_spacing` that knows these characters, and an untrained one's spaces."""
    config = resolved(dataclasses.replace(SMALL, data="korean_spacing"), {"NONE", "SPACE"})
    return tagging.build(config, ["NONE", "SPACE"], {c: n for n, c in enumerate(words, 1)}, {})


def always(model, label):
    """Params with which every label is this one."""
    leaves, tree = jax.tree.flatten(jax.tree.map(lambda leaf: leaf * 0, model.params))
    place = model.labels.index(label)
    for number, leaf in enumerate(leaves):
        if leaf.shape == (len(model.labels),):
            changed = jax.tree.unflatten(
                tree, [*leaves[:number], leaf.at[place].set(1.0), *leaves[number + 1 :]]
            )
            made = model._replace(params=changed)
            if {*tagging.label_words(made, [["가", "나"]])[0]} == {label}:
                return made
    raise AssertionError("no leaf is the bias")


def test_spaces_are_put_where_the_model_says():
    model = spaced("가나다")
    texts = ["가나 다", "", "  나\t가 "]
    assert tagging.respace(always(model, "SPACE"), texts) == ["가 나 다", "", "나 가"]
    assert tagging.respace(always(model, "NONE"), texts) == ["가나다", "", "나가"]


def test_only_a_model_of_spacing_puts_spaces(model):
    problem = r"respace: the labels of the model are B-city, .*, and none is SPACE\.\n  Hint: train"
    with pytest.raises(InputError, match=problem):
        tagging.respace(model, ["가나"])
    with pytest.raises(InputError, match="there is no word to label"):
        tagging.respace(spaced("가"), [" "])
