"""The translator as a whole: training, evaluation, prediction."""

import dataclasses
import json
import math
import os
import shutil
import signal

import jax
import pytest
import tiny
import tiny_tasks

from jaxseq import data, training
from jaxseq.__main__ import main
from jaxseq._checks import InputError
from jaxseq.recipes import translation
from jaxseq.recipes._run import initial_state
from jaxseq.recipes._translation_data import texts_of, with_held_out
from jaxseq.recipes._translation_report import measures
from jaxseq.recipes.translation import Config

SMALL = Config(
    # The sizes of the run, so that what one of them has compiled the other finds.
    **{"cell": "gru", "embed_size": 4, "hidden_size": 8, "num_layers": 1, "dropout": 0.0},
    **{"batch_size": 8, "epochs": 1, "hold_out": 4, "target_units": "spaces", "beam": 1},
)


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return tiny_tasks.translator(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def model(run):
    return translation.load(run.directory)


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run.directory, tmp_path / "copy")


def read(path):
    return json.loads(path.read_text())


def write(path, rows):
    path.write_text(tiny_tasks.pairs(rows))
    return str(path)


def best_of(model, sources):
    return [best[0].text for best in translation.translate(model, sources)]


def state_of(directory):
    """The latest state of a run."""
    model = translation.load(directory)
    with training.Checkpoints(directory / "checkpoints") as checkpoints:
        state, _ = checkpoints.restore(initial_state(model.config, model.params, 1))
    return state


# ------------------------------------------------------------------------------------ training


def test_a_run_leaves_its_files(run):
    names = {path.name for path in run.directory.iterdir()}
    assert names == {
        *("config.json", "checkpoints", "report.json", "history.json"),
        *("learning_curve.png", "alignments.png", "errors.tsv"),
    }
    page = read(run.directory / "config.json")
    assert page["task"] == "translation" and page["placeholders"] == 0
    assert page["source_symbols"] == ["a", "b", "k", "새"]
    assert page["target_symbols"] == ["AA", "B", "EY", "K", "S"] and page["growth"] == 1.0
    assert [k for k, value in page["settings"].items() if value is None] == ["valid"]


def test_the_report_is_of_the_held_out_part(run, model):
    report = read(run.directory / "report.json")
    train, valid, _ = with_held_out(translation.read_parts(str(run.data)), model.config)
    texts = texts_of(valid)
    assert report["valid"] == measures(best_of(model, texts.sources), texts, "spaces")
    assert report["pairs"] == len(train) and report["parameters"] > 0 and "test" not in report
    assert report["others"]["valid"].keys() == {"the nearest training source"}


def test_the_best_epoch_is_the_one_with_the_least_word_errors(run):
    history = read(run.directory / "history.json")
    values = history["evaluations"]["value"]
    assert len(values) == 2 and all(0 <= value <= 100 for value in values)  # one an epoch
    best = read(run.directory / "report.json")["training"]["best_step"]
    assert best == history["evaluations"]["step"][values.index(min(values))]


def test_weights_that_are_not_finite_are_the_worst(model):
    texts = texts_of([data.Pair("ab", "AA B")])
    assess = translation._assessor(model, texts)
    assert assess(model.params) in (0.0, 100.0)
    assert math.isnan(assess(jax.tree.map(lambda leaf: leaf * math.nan, model.params)))
    assert translation._assessor(model, texts_of([]))(model.params) == 0


def test_without_a_held_out_part_the_last_weights_are_taken(tmp_path):
    path = write(tmp_path / "a.tsv", tiny_tasks.spellings(16))
    out = tmp_path / "run"
    report = translation.train(dataclasses.replace(SMALL, data=path, out=out, hold_out=0))
    assert report["train"]["sources"] == len({row[0] for row in tiny_tasks.spellings(16)})
    assert report["others"] == {}
    assert report["training"]["best_step"] == report["training"]["steps"] == 2
    tiny.assert_same_bits(translation.load(out).params, state_of(out).params)
    assert read(out / "history.json")["evaluations"]["value"] == []
    assert translation.evaluate(out).items() >= report["train"].items()


@pytest.mark.usefixtures("blank")
def test_a_validation_file_chooses_the_weights(tmp_path):
    train = write(tmp_path / "a.tsv", tiny_tasks.spellings(16))
    valid = write(tmp_path / "b.tsv", tiny_tasks.spellings(8, seed=1))
    config = dataclasses.replace(SMALL, data=train, valid=valid, out=tmp_path / "run")
    report = translation.train(config)
    assert report["valid"]["sources"] == 8 and "train" not in report
    assert translation.evaluate(tmp_path / "run").items() >= report["valid"].items()
    write(tmp_path / "b.tsv", tiny_tasks.spellings(8, seed=2))
    with pytest.raises(InputError, match="are not what they were when the run began"):
        translation.evaluate(tmp_path / "run")


class Killing(data.BucketBatches):
    """Batches whose run is told to end at the second of the second epoch."""

    def __next__(self):
        if self.cursor == {"epoch": 1, "batch": 1}:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().__next__()


def test_an_interrupted_run_goes_on_to_the_same_bits(run, model, tmp_path, monkeypatch):
    config = dataclasses.replace(model.config, out=tmp_path / "run", resume=False)
    with monkeypatch.context() as patch:
        patch.setattr(data, "BucketBatches", Killing)
        found = translation.train(config)
    before = read(run.directory / "report.json")
    step = before["training"]["steps"] // 2 + 2  # the second of the second epoch
    assert found == {"outcome": "interrupted", "step": step, "out": str(tmp_path / "run")}
    assert not (tmp_path / "run" / "report.json").exists()
    report = translation.train(dataclasses.replace(config, resume=True))
    tiny.assert_same_bits(state_of(tmp_path / "run"), state_of(run.directory))
    same = ("valid", "others", "pairs")
    assert {name: report[name] for name in same} == {name: before[name] for name in same}
    for name in ("errors.tsv", "alignments.png"):
        assert (tmp_path / "run" / name).read_bytes() == (run.directory / name).read_bytes()


@pytest.mark.usefixtures("blank")
def test_several_networks_are_trained_and_go_on_and_translate_together(tmp_path, monkeypatch):
    path = write(tmp_path / "a.tsv", tiny_tasks.spellings(32))
    out = tmp_path / "run"
    config = dataclasses.replace(SMALL, data=path, out=out, networks=2, epochs=2, max_norm=0.1)
    with monkeypatch.context() as patch:
        patch.setattr(data, "BucketBatches", Killing)
        assert translation.train(config)["outcome"] == "interrupted"
    report = translation.train(dataclasses.replace(config, resume=True))
    assert report["training"]["outcome"] == "finished"
    # The mean of their losses has a gradient that is smaller than theirs by the root of 2.
    norms = read(out / "history.json")["steps"]["clipped_norm"]
    assert max(norms) == pytest.approx(0.1 / math.sqrt(2))
    model = translation.load(out)
    assert model.config.networks == len(model.params) == 2
    assert report["parameters"] == sum(leaf.size for leaf in jax.tree.leaves(model.params))
    assert translation.evaluate(out).items() >= report["valid"].items()
    valid = with_held_out(translation.read_parts(path), model.config).valid
    source, to = write(tmp_path / "b.tsv", valid), tmp_path / "found.tsv"
    assert translation.predict(out, source=source, to=to) == len(valid)
    found = [line.split("\t")[1] for line in to.read_text().splitlines()[1:]]
    assert found == best_of(model, [row.source for row in valid])


@pytest.mark.usefixtures("blank")
def test_a_run_older_than_several_networks_has_one_and_goes_on(copy, model):
    page = read(copy / "config.json")
    del page["settings"]["networks"]
    (copy / "config.json").write_text(json.dumps(page))
    old = translation.load(copy)
    tiny.assert_same_bits(old.params, model.params)
    assert old.config.networks == 1
    before = read(copy / "report.json")
    report = translation.train(Config(out=copy, resume=True))  # which has come to its end
    assert {name: report[name] for name in ("valid", "parameters")}.items() <= before.items()


@pytest.mark.usefixtures("blank")
def test_data_that_changed_are_refused(run, copy, tmp_path):
    path = shutil.copy(run.data, tmp_path / "spellings.tsv")
    tiny.edit(copy, data=str(path))
    assert translation.evaluate(copy)["sources"] > 0
    with open(path, "a") as file:
        file.write("kk\tK K\n")
    before = tiny.contents(copy)
    problem = r"^translation: the data of .*spellings\.tsv are not what they were when the run"
    for act in (
        lambda: translation.train(Config(out=copy, resume=True)),
        lambda: translation.evaluate(copy),
    ):
        with pytest.raises(InputError, match=problem):
            act()
    assert tiny.contents(copy) == before


def test_what_cannot_be_trained_leaves_no_directory(run, tmp_path):
    for changes, problem in (
        ({"epochs": 0}, "`epochs` must be at least 1"),
        ({"networks": 0}, "`networks` must be at least 1, but it is 0"),
        ({"sampling": 2.0}, r"`sampling` must be in \[0, 1\]"),
        ({"full": True}, "there are no larger settings"),
        ({"dropout": 1.0}, "dropout"),
        ({"hidden_size": 5}, "hidden_size"),
    ):
        config = dataclasses.replace(SMALL, data=str(run.data), out=tmp_path / "run", **changes)
        with pytest.raises(ValueError, match=problem):
            translation.train(config)
    assert not (tmp_path / "run").exists()


# ---------------------------------------------------------------------------------- evaluation


def test_evaluating_the_own_data_repeats_the_report(copy):
    before = read(copy / "report.json")
    page = translation.evaluate(copy)
    assert page.items() >= before["valid"].items() and page["task"] == "translation"
    out = copy / "evaluations" / "spellings"
    assert read(out / "report.json") == page
    assert (out / "errors.tsv").read_bytes() == (copy / "errors.tsv").read_bytes()
    assert (out / "alignments.png").stat().st_size > 0
    assert read(copy / "report.json") == before


@pytest.mark.usefixtures("blank")
def test_another_file_is_evaluated_as_a_whole(copy, model, tmp_path):
    rows = [("zzzz", "Z Z"), *tiny_tasks.spellings(12, seed=5)]
    tiny.edit(copy, data="no/such/file.tsv")
    page = translation.evaluate(copy, source=write(tmp_path / "new.v2.tsv", rows))
    texts = texts_of([data.Pair(*row) for row in rows])
    assert page.items() >= measures(best_of(model, texts.sources), texts, "spaces").items()
    assert read(copy / "evaluations" / "new.v2" / "report.json") == page
    with pytest.raises(InputError, match=r"there is no file `no/such/file\.tsv`"):
        translation.evaluate(copy)


# ---------------------------------------------------------------------------------- prediction


@pytest.mark.parametrize("best", [1, 3])
def test_predictions_are_written_with_their_probability(best, run, model, tmp_path):
    rows = [*tiny_tasks.spellings(5, seed=7), ("새 zz", "S")]
    source, to = write(tmp_path / "new.tsv", rows), tmp_path / "found.tsv"
    assert translation.predict(run.directory, source=source, to=to, n_best=best) == 6
    header, *lines = [line.split("\t") for line in to.read_text().splitlines()]
    assert header == ["source", "prediction", "log_probability"]
    found = translation.translate(model, [row[0] for row in rows], beam=max(best, 2))
    assert lines == [
        [row[0], one.text, f"{one.log_prob:.4f}"]
        for row, some in zip(rows, found, strict=True)
        for one in some[:best]
    ]


def test_predictions_that_cannot_be_made_or_written_are_an_error(run, tmp_path):
    source = write(tmp_path / "a.tsv", tiny_tasks.spellings(2))
    with pytest.raises(InputError, match="`n_best` must be at least 1, but it is 0"):
        translation.predict(run.directory, source=source, to=tmp_path / "found.tsv", n_best=0)
    problem = r"found\.tsv cannot be written: No such file or directory\.\n  Hint: choose another"
    with pytest.raises(OSError, match=problem):
        translation.predict(run.directory, source=source, to=tmp_path / "no" / "found.tsv")


def test_the_command_line_writes_as_many_as_asked_for(run, tmp_path, capsys):
    other = tmp_path / "other"  # of which no more is read
    other.mkdir()
    (other / "config.json").write_text(json.dumps({"schema": 1, "task": "tagging"}))
    source, to = write(tmp_path / "a.tsv", tiny_tasks.spellings(2)), tmp_path / "found.tsv"
    words = ["--data", source, "--to", str(to), "--n-best", "2"]
    assert main(["predict", str(run.directory), *words]) == 0
    assert "2 rows written to" in capsys.readouterr().out
    assert len(to.read_text().splitlines()) == 1 + 2 * 2
    assert main(["predict", str(other), *words]) == 2
    problem = "error: jaxseq: tagging has one prediction of each, and no `n_best`."
    assert capsys.readouterr().err == f"{problem} Hint: leave --n-best out.\n"


# --------------------------------------------------------------------------------------- texts


@pytest.mark.usefixtures("blank")
def test_texts_with_placeholders_are_trained_and_scored(tmp_path):
    rows = [(f"Set {{{name}}} up", f"{{{name}}} 설정") for name in "abcdefgh"]
    config = dataclasses.replace(
        SMALL,
        **{"data": write(tmp_path / "a.tsv", rows), "out": tmp_path / "run", "hold_out": 0},
        **{"target_units": "characters", "source_units": "words", "epochs": 100},
        **{"learning_rate": 0.05, "embed_size": 2},
    )
    report = translation.train(config)
    assert report["train"]["chrf"] == pytest.approx(100)
    model = translation.load(tmp_path / "run")
    assert best_of(model, ["Set {never seen} up"]) == ["{never seen} 설정"]
