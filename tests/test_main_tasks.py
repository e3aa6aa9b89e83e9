"""The command line of classification and tagging: every verb on a file of one's own."""

import gzip
import json
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import tiny
import tiny_tasks

from jaxseq import data
from jaxseq.__main__ import main
from jaxseq.recipes import classification, tagging

TASKS = ("classification", "tagging")
RECIPES = {"classification": classification, "tagging": tagging}
ENDING = {"classification": "tsv", "tagging": "conll"}


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    base = tmp_path_factory.getbasetemp()
    return {"classification": tiny_tasks.classifier(base), "tagging": tiny_tasks.tagger(base)}


@pytest.fixture
def copies(runs, tmp_path):
    """Copies of the runs, to be damaged."""
    return {task: shutil.copytree(run.directory, tmp_path / task) for task, run in runs.items()}


@pytest.fixture
def refused(capsys, tmp_path):
    """Asserts that a command line fails in one line that says so, and changes no file."""

    def check(arguments, code, *parts):
        before = tiny.contents(tmp_path)
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ") and err.count("\n") == 1
        for part in parts:
            assert part in err
        assert tiny.contents(tmp_path) == before

    return check


def content_of(task, count, *, seed=5):
    """A file of the task, as text."""
    if task == "classification":
        return tiny_tasks.table(tiny_tasks.texts(count, seed=seed))
    return tiny_tasks.columns(tiny_tasks.addresses(count, seed=seed))


def read(path):
    return json.loads(path.read_text())


# ------------------------------------------------------------------------------- what it does


@pytest.mark.parametrize("task", TASKS)
def test_training_prints_the_figures_and_the_files(task, runs):
    run = runs[task]
    report = read(run.directory / "report.json")
    assert run.printed.startswith(RECIPES[task].summary(report))
    assert f"trained for {report['training']['steps']} steps in " in run.printed
    for path in run.directory.iterdir():
        assert f"  {path}\n" in run.printed


@pytest.mark.parametrize("task", TASKS)
def test_evaluating_prints_the_figures_and_where_the_report_is(task, runs, copies, capsys):
    assert main(["evaluate", str(copies[task])]) == 0
    out = copies[task] / "evaluations" / runs[task].data.stem
    page = read(out / "report.json")
    assert capsys.readouterr().out == f"{RECIPES[task].summary(page)}\nwritten to {out}\n"


@pytest.mark.parametrize("task", TASKS)
def test_evaluating_and_predicting_a_gzipped_file(task, copies, tmp_path, capsys):
    source, to = tmp_path / f"new.{ENDING[task]}.gz", tmp_path / "labels"
    source.write_bytes(gzip.compress(content_of(task, 20).encode()))
    assert main(["evaluate", str(copies[task]), "--data", str(source)]) == 0
    page = read(copies[task] / "evaluations" / "new" / "report.json")
    assert page["data"] == str(source) and page["task"] == task
    words = ["predict", str(copies[task]), "--data", str(source), "--to", str(to)]
    capsys.readouterr()
    assert main(words) == 0
    assert capsys.readouterr().out == f"20 rows written to {to}\n"
    if task == "classification":
        labels = [row.label for row in data.read_labelled_text(to)]
        right = [label for _, label in tiny_tasks.texts(20, seed=5)]
    else:
        labels = [token.label for row in data.read_tagged(to) for token in row]
        right = [label for row in tiny_tasks.addresses(20, seed=5) for _, label in row]
    hits = [label == wanted for label, wanted in zip(labels, right, strict=True)]
    assert page["accuracy"] == np.mean(hits)


def test_the_same_labels_are_written_for_any_form_of_a_file(runs, tmp_path):
    rows = [(f'"{text}"', label) for text, label in tiny_tasks.texts(20, seed=5)]
    (tmp_path / "a.csv").write_bytes(
        b"\xef\xbb\xbf" + tiny_tasks.table(rows, mark=",").replace("\n", "\r\n").encode()
    )
    (tmp_path / "a.tsv").write_text(content_of("classification", 20))
    for kind in ("csv", "tsv"):
        words = ["predict", str(runs["classification"].directory)]
        words += ["--data", str(tmp_path / f"a.{kind}"), "--to", str(tmp_path / f"{kind}.tsv")]
        assert main(words) == 0
    assert (tmp_path / "csv.tsv").read_bytes() == (tmp_path / "tsv.tsv").read_bytes()


# ----------------------------------------------------------------------------- what it refuses

UNUSABLE = [
    ("classification", b"", ["is empty", "give a file with text"]),
    ("classification", b"\n \n", ["has no text in it"]),
    ("classification", b"text\tlabel\n", ["has no rows below its header"]),
    ("classification", b"text\tclass\na\tx\n", ["line 1: there is no column `label`"]),
    ("classification", b"text\tlabel\na\tx\nb\tx\ty\n", ["line 3: the number of fields is 3"]),
    ("classification", b"text\tlabel\n\tx\n", ["line 2: the text is empty"]),
    ("classification", b'text,label\n"a,x\n', ["line 2: this is no CSV"]),
    ("classification", b"text\tlabel\na\tx\nb\tx\n", ["all examples", "have the label 'x'"]),
    ("classification", "text\tlabel\n고래\tx\n".encode("cp949"), ["in line 2", "iconv -f CP949"]),
    ("classification", "text\tlabel\na\tx".encode("utf-16"), ["is not UTF-8", "UTF-16"]),
    ("classification", b"\x1f\x8b\x08 cut off", ["gzip file that breaks off or is damaged"]),
    ("classification", b"text\tlabel\na\tx\nb\ty\n", ["hold"]),
    ("tagging", b"", ["is empty", "give a file with text"]),
    ("tagging", b"\n\n# only\n", ["has no tokens in it"]),
    ("tagging", b"a\tX\nb\n", ["line 2: there is no tab after 'b'"]),
    ("tagging", b"a\tX\n\n\tX\n", ["line 3: the token is empty"]),
    ("tagging", b"a\tX\nb\t\n", ["line 2: the label of 'b' is empty"]),
    ("tagging", b"a\tX\nb\tX\n", ["all tokens", "have the label 'X'"]),
    ("tagging", b"a\tO\nb\tI-X\nc\tB-X\n", ["line 2: 'I-X' may not follow 'O' in the scheme bio"]),
    ("tagging", "a\tX\n\n고래\tY\n".encode("cp949"), ["in line 3", "iconv -f CP949"]),
    ("tagging", b"\x1f\x8b\x08 cut off", ["gzip file that breaks off or is damaged"]),
]


@pytest.mark.parametrize(("task", "content", "parts"), UNUSABLE)
def test_a_file_that_cannot_be_used_is_refused(task, content, parts, refused, tmp_path):
    path = tmp_path / f"my.{ENDING[task]}"
    path.write_bytes(content)
    refused(tiny_tasks.train(task, path, tmp_path / "run", "--hold-out", 999999), 2, *parts)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("verb", ["evaluate", "predict"])
def test_a_file_that_cannot_be_used_later_is_refused_as_well(verb, task, refused, copies, tmp_path):
    path = tmp_path / f"my.{ENDING[task]}"
    path.write_text({"classification": "text\tlabel\na\n", "tagging": "a\tO\nb\n"}[task])
    words = [verb, copies[task], "--data", path]
    words += ["--to", tmp_path / "labels"] if verb == "predict" else []
    line = {"classification": "line 2: the number of fields is 1"}.get(task, "line 2: ")
    refused(words, 2, f"my.{ENDING[task]}`, {line}")
    refused([*words[:3], "no/such/file", *words[4:]], 2, "there is no file `no/such/file`")
    refused([*words[:3], "zzz", *words[4:]], 2, "no bundled corpus", "use one of ")


@pytest.mark.parametrize("task", TASKS)
def test_a_label_that_training_lacks_is_refused_with_its_line(
    task, refused, copies, runs, tmp_path
):
    path = tmp_path / f"new.{ENDING[task]}"
    added = {"classification": "aaaaaa\tgrey\n", "tagging": "\nElm\tB-강\n"}[task]
    path.write_text(content_of(task, 3) + added)
    line = path.read_text().count("\n")
    said = f"new.{ENDING[task]}`, line {line}: training does not have the label"
    refused(["evaluate", copies[task], "--data", path], 2, said, "the labels are ")
    words = tiny_tasks.train(task, runs[task].data, tmp_path / "run", "--valid", path)
    refused(words, 2, said, "the labels are ")


@pytest.mark.parametrize(
    ("task", "option", "value", "parts"),
    [
        ("classification", "--label-smoothing", 1, ["`label_smoothing` must be in [0, 1)"]),
        ("classification", "--max-length", 0, ["`max_length` must be at least 1, but it is 0"]),
        ("classification", "--hidden-size", 0, ["hidden_size", "but it is 0"]),
        ("classification", "--epochs", 0, ["`epochs` must be at least 1, but it is 0"]),
        ("classification", "--min-count", 0, ["`min_count` must be at least 1, but it is 0"]),
        ("classification", "--seed", -1, ["`seed` must be at least 0"]),
        ("tagging", "--word-dropout", 1, ["`word_dropout` must be in [0, 1)"]),
        ("tagging", "--hold-out", 1, ["`hold_out` must be 0, or at least 2, but it is 1"]),
        ("tagging", "--scheme", "bmes", ['"B-city"', "is no label of the scheme"]),
        ("tagging", "--char-hidden-size", 0, ["char_hidden_size", "but it is 0"]),
        ("tagging", "--dropout", 1.5, ["dropout", "but it is 1.5"]),
        ("tagging", "--batch-size", 0, ["`batch_size` must be at least 1, but it is 0"]),
    ],
)
def test_a_setting_out_of_range_is_refused(task, option, value, parts, refused, runs, tmp_path):
    words = tiny_tasks.train(task, runs[task].data, tmp_path / "run", option, value)
    if option == "--scheme":
        parts = parts[1:]  # which label comes first is no matter
    refused(words, 2, *parts)


@pytest.mark.parametrize("task", TASKS)
def test_a_run_is_never_overwritten(task, refused, runs, copies, tmp_path):
    parts = "there is a run in", "--resume goes on with it; --out names another directory"
    refused(tiny_tasks.train(task, runs[task].data, copies[task]), 2, *parts)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "errors.tsv").write_text("somebody's work")
    words = tiny_tasks.train(task, runs[task].data, tmp_path / "taken")
    refused(words, 2, "errors.tsv, which a run would overwrite", "choose another directory")


@pytest.mark.parametrize("task", TASKS)
def test_a_run_is_resumed_with_its_own_settings_data_and_task_only(task, refused, copies):
    resume = ["train", task, "--out", copies[task], "--resume"]
    refused([*resume, "--epochs", 9], 2, "epochs = ", "but 9 is asked for", "leave the option out")
    refused([*resume, "--data", "zzz"], 2, "data = ", "but 'zzz' is asked for")
    other = TASKS[1 - TASKS.index(task)]
    refused(["train", other, *resume[2:]], 2, f"is of the task '{task}'", f"but '{other}'")


@pytest.mark.parametrize("task", TASKS)
def test_a_run_is_resumed_on_its_own_data_only(task, refused, runs, copies, tmp_path):
    path = tmp_path / f"my.{ENDING[task]}"
    path.write_text(runs[task].data.read_text() + content_of(task, 1).split("label\n")[-1])
    tiny.edit(copies[task], data=str(path))
    parts = "are not what they were when the run began", "bring the data of then back"
    refused(["train", task, "--out", copies[task], "--resume"], 2, *parts)
    refused(["evaluate", copies[task]], 2, *parts)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("verb", ["evaluate", "predict", "train"])
def test_what_is_damaged_is_refused(verb, task, refused, runs, copies, tmp_path):
    words = [verb, copies[task], "--data", runs[task].data, "--to", tmp_path / "labels"]
    if verb == "evaluate":
        words = words[:4]
    if verb == "train":
        words = ["train", task, "--out", copies[task], "--resume"]
    settings = copies[task] / "config.json"
    whole = settings.read_text()
    tiny.edit(copies[task], hidden_size=5)
    refused(words, 2, "is of another model", "build model and optimizer with")
    tiny.edit(copies[task], hidden_size="4")
    refused(words, 2, "config.json is damaged: hidden_size = '4' is no setting")
    settings.write_text(whole[:99])
    refused(words, 2, "config.json is damaged", "restore the file from a copy")
    settings.unlink()
    if verb != "train":
        refused(words, 2, "holds no run: there is no config.json in it")


@pytest.mark.parametrize("task", TASKS)
def test_only_language_models_write(task, refused, copies):
    problem = f"holds a run of the task '{task}', for which there is no generate"
    refused(["generate", copies[task]], 2, problem, "there is one for language-model")


def test_a_run_of_an_unknown_task_is_refused(refused, copies):
    path = copies["tagging"] / "config.json"
    path.write_text(json.dumps(read(path) | {"task": "parsing"}))
    problem = "holds a run of the task 'parsing', for which there is no evaluate"
    refused(["evaluate", copies["tagging"]], 2, problem, "language-model, classification, tagging")


@pytest.mark.parametrize("task", TASKS)
def test_a_file_is_not_overwritten_by_its_own_labels(task, refused, runs, tmp_path):
    path = shutil.copy(runs[task].data, tmp_path / "my data")
    (tmp_path / "link").symlink_to(path)
    for to in (path, tmp_path / "link"):
        words = ["predict", runs[task].directory, "--data", path, "--to", to]
        refused(words, 2, "is the file that is read, and would be overwritten", "with --to")


@pytest.mark.parametrize("task", TASKS)
def test_labels_that_cannot_be_written_are_an_error(task, refused, runs, tmp_path):
    words = ["predict", runs[task].directory, "--data", runs[task].data]
    refused([*words, "--to", tmp_path], 1, "cannot be written: Is a directory", "another directory")


def test_series_and_texts_are_told_apart(refused, runs, tmp_path, tmp_path_factory):
    walks = tiny_tasks.series_classifier(tmp_path_factory.getbasetemp())
    texts = runs["classification"]
    parts = "walks.npz` holds series, where texts are needed", "give a TSV or CSV file"
    refused(["evaluate", texts.directory, "--data", walks.data], 2, *parts)
    parts = "moods.tsv` holds texts, where series are needed", "give an NPZ or .ts file"
    words = ["predict", walks.directory, "--data", texts.data, "--to", tmp_path / "labels"]
    refused(words, 2, *parts)
    refused(["evaluate", walks.directory, "--data", "names"], 2, "`names` holds texts")
    words = tiny_tasks.train("classification", texts.data, tmp_path / "run")
    refused([*words, "--valid", str(walks.data)], 2, "holds series, where texts are needed")


# ------------------------------------------------------------------------- runs that end early


def test_a_loss_that_is_not_finite_ends_the_run(runs, tmp_path, capsys):
    wild = ["--learning-rate", "1e38", "--max-norm", "1e38", "--epochs", "30"]
    words = tiny_tasks.train("classification", runs["classification"].data, tmp_path / "run", *wild)
    assert main(words) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ") and "lower the learning rate" in last
    assert not (tmp_path / "run" / "report.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_killed_process_ends_with_143_and_resumes_to_the_same_bits(task, runs, tmp_path):
    def process(out, *options):
        words = tiny_tasks.train(task, runs[task].data, out, "--epochs", 150, *options)
        return subprocess.Popen(
            [sys.executable, "-m", "jaxseq", *words], stdout=subprocess.PIPE, text=True
        )

    whole = process(tmp_path / "whole")
    assert "written to" in whole.communicate(timeout=600)[0] and whole.returncode == 0
    killed = process(tmp_path / "killed")
    checkpoints = tmp_path / "killed" / "checkpoints"
    while not any(p.name.isdigit() for p in checkpoints.glob("*")) and killed.poll() is None:
        time.sleep(0.01)
    killed.terminate()
    printed = killed.communicate(timeout=600)[0]
    assert killed.returncode == 143 and f"train {task} --out" in printed and "--resume" in printed
    resumed = process(tmp_path / "killed", "--resume")
    resumed.communicate(timeout=600)
    assert resumed.returncode == 0
    one, other = (RECIPES[task].load(tmp_path / name).params for name in ("whole", "killed"))
    tiny.assert_same_bits(one, other)
    for name in ("errors.tsv", "confusion.png"):
        same = {(tmp_path / directory / name).read_bytes() for directory in ("whole", "killed")}
        assert len(same) == 1
