"""The recogniser as a whole: training, evaluation, transcripts, and what goes wrong."""

import json
import os
import shutil
import signal

import numpy as np
import pytest
import tiny_speech

from jaxseq import data
from jaxseq.__main__ import main
from jaxseq._checks import InputError
from jaxseq.recipes import speech


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return tiny_speech.recogniser(tmp_path_factory.getbasetemp())


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run.directory, tmp_path / "copy")


def read(path):
    return json.loads(path.read_text())


def test_a_run_leaves_its_files_and_says_what_it_found(run):
    names = {path.name for path in run.directory.iterdir()}
    assert names == {
        *("config.json", "checkpoints", "report.json", "history.json"),
        *("learning_curve.png", "alignment.png", "errors.tsv"),
    }
    report = read(run.directory / "report.json")
    assert report["valid"]["recordings"] == 2 and report["valid"]["words"] == 4
    assert set(report["valid"]["with_noise"]) == {"20 dB", "10 dB", "5 dB", "0 dB"}
    assert "hidden Markov models of words" in report["others"]["valid"]
    assert report["training"]["outcome"] == "finished" and report["labels"] == 3
    assert "said.tsv, valid part, 2 recordings, 4 words" in run.printed


def test_evaluation_says_again_what_the_report_says(run, copy):
    report, again = read(run.directory / "report.json"), speech.evaluate(copy)
    for name in ("word_error_rate", "character_error_rate", "by_speaker", "with_noise"):
        assert again[name] == report["valid"][name]
    assert read(copy / "evaluations" / "said" / "report.json")["data"] == again["data"]


def test_evaluation_of_a_file_is_of_all_of_it(run, copy, capsys):
    assert main(["evaluate", str(copy), "--data", str(run.data)]) == 0
    assert "6 recordings, 12 words" in capsys.readouterr().out


def test_transcripts_are_those_of_python(run, tmp_path):
    new, to = run.data.with_name("new.tsv"), tmp_path / "found.tsv"
    new.write_text("path\none_two.wav\ntwo_one.wav\n")
    assert main(["predict", str(run.directory), "--data", str(new), "--to", str(to)]) == 0
    rows = [line.split("\t") for line in to.read_text().splitlines()]
    assert rows[0] == ["path", "transcript", "log_probability"]
    model = speech.load(run.directory)
    sounds = [data.read_wav(run.data.with_name(row[0])) for row in rows[1:]]
    assert [row[1] for row in rows[1:]] == speech.transcribe(model, [s.samples for s in sounds])
    assert all(float(row[2]) < 0 for row in rows[1:])
    spans = speech.align(model, sounds[0].samples, "one two")
    assert [span.label for span in spans] == ["one", "two"]


def test_a_run_that_was_stopped_goes_on_to_the_same_end(run, tmp_path, monkeypatch, capsys):
    out, count = tmp_path / "run", iter(range(100))
    at = speech.assessor

    def assessor(model, examples):
        assess = at(model, examples)

        def stop(params):
            if next(count) == 0:
                os.kill(os.getpid(), signal.SIGTERM)
            return assess(params)

        return stop

    monkeypatch.setattr(speech, "assessor", assessor)
    assert main(tiny_speech.train(run.data, out)) == 143
    assert "--resume" in capsys.readouterr().out
    assert main(tiny_speech.train(run.data, out, "--resume")) == 0
    whole, resumed = read(run.directory / "report.json"), read(out / "report.json")
    assert resumed["valid"] == whole["valid"]


def test_data_that_have_changed_are_not_gone_on_with(run, copy):
    folder = tiny_speech.recordings(copy / "data").parent
    page = read(copy / "config.json")
    page["settings"]["data"] = str(folder / "said.tsv")
    (copy / "config.json").write_text(json.dumps(page))
    speech.evaluate(copy)
    (folder / "one_two.wav").write_bytes((folder / "two_one.wav").read_bytes())
    with pytest.raises(InputError, match="are not what they were when the run began"):
        speech.evaluate(copy)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--data", "none.tsv"), "error: read_speech: there is no file `none.tsv`."),
        (("--data", "digit"), "error: speech: there is no file and no bundled corpus for speech"),
        (("--beam", "0"), "error: speech: `beam` must be at least 1, but it is 0."),
        (("--epochs", "0"), "error: speech: `epochs` must be at least 1, but it is 0."),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(tmp_path, words, message, capsys):
    assert main(["train", "speech", "--out", str(tmp_path / "run"), *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith(message) and err.count("\n") == 1


def test_a_wav_file_that_is_none_is_said_with_its_line(run, copy, capsys):
    folder = tiny_speech.recordings(copy / "data").parent
    (folder / "two_two.wav").write_bytes(b"OggS" + bytes(40))
    assert main(["evaluate", str(copy), "--data", str(folder / "said.tsv")]) == 2
    err = capsys.readouterr().err
    assert "said.tsv`, line 5: `" in err and "is no WAV file: it begins with b'OggS" in err


@pytest.mark.slow
def test_a_few_digits_are_learnt(tmp_path):
    pytest.importorskip("espeakng_loader", reason="the synthesiser is an extra")
    config = speech.Config(out=tmp_path, utterances=300, epochs=48, hidden_size=64)
    report = speech.train(config)
    assert report["test"]["word_error_rate"] < 0.6
    assert np.isfinite(report["test"]["alignment"]["inside_their_word"])
