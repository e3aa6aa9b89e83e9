"""The command line: what it prints and leaves, and one line for whatever a person can mend."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unicodedata

import pytest
import tiny

from jaxseq import training
from jaxseq.__main__ import main
from jaxseq.recipes import language_model
from jaxseq.recipes._language_model import initial_state


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return tiny.trained(tmp_path_factory.getbasetemp())


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the run, to be damaged."""
    return shutil.copytree(run.directory, tmp_path / "copy")


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


def trained_state(directory):
    """The latest state of a run, as numbers to compare."""
    like = initial_state(language_model.load(directory))
    with training.Checkpoints(directory / "checkpoints") as checkpoints:
        state, _ = checkpoints.restore(like)
    return state


# -------------------------------------------------------------------------------- what it does


def test_training_prints_a_sample_the_figures_and_the_files(run):
    assert (run.directory / "sample.txt").read_text() in run.printed
    assert "this model\n" in run.printed and "xz -9e" in run.printed and "6-gram" in run.printed
    for path in run.directory.iterdir():
        assert f"  {path}\n" in run.printed


def test_evaluating_prints_the_figure_of_the_report(run, copy, capsys):
    assert main(["evaluate", str(copy)]) == 0
    test = json.loads((run.directory / "report.json").read_text())["test"]
    assert f"{test['bits_per_character']:.4f} bits per character" in capsys.readouterr().out


def test_evaluating_another_file_counts_its_unknown_symbols(copy, tmp_path, capsys):
    (tmp_path / "other.txt").write_text("the whale Ω and the sea λλ")
    assert main(["evaluate", str(copy), "--data", str(tmp_path / "other.txt")]) == 0
    assert "(3 unknown symbols)" in capsys.readouterr().out


def test_predicting_writes_the_bits_of_each_line(run, tmp_path, capsys):
    (tmp_path / "lines.txt").write_text("the white whale\n\nΩΩΩ\n")
    words = ["predict", str(run.directory), "--data", str(tmp_path / "lines.txt")]
    assert main([*words, "--to", str(tmp_path / "bits.tsv")]) == 0
    assert "2 rows written" in capsys.readouterr().out
    header, known, unknown = (tmp_path / "bits.tsv").read_text().splitlines()
    assert header == "bits_per_character\ttext"
    assert known.endswith("\tthe white whale") and unknown.endswith("\tΩΩΩ")
    assert 0 < float(known.split("\t")[0]) < float(unknown.split("\t")[0])


def test_generating_prints_prompt_and_continuation(run, capsys):
    words = ["generate", str(run.directory), "--prompt", "the whale", "--length", "30"]
    assert main(words) == main(words) == 0
    printed = capsys.readouterr().out
    assert len(printed) == 2 * (len("the whale") + 30 + 1)
    first, second = printed[: len(printed) // 2], printed[len(printed) // 2 :]
    assert first == second and first.startswith("the whale")


def test_korean_is_trained_and_written_by_syllable(tmp_path, capsys):
    assert main(tiny.train("korean_constitution", tmp_path / "run", "--steps", "2")) == 0
    prompt = unicodedata.normalize("NFD", "대한민국")
    capsys.readouterr()
    assert main(["generate", str(tmp_path / "run"), "--prompt", prompt, "--length", "5"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("대한민국") and len(printed) == 4 + 5 + 1


@pytest.mark.parametrize(
    "words",
    [
        *([], ["train"], ["evaluate"], ["predict"], ["generate"]),
        *(["train", task] for task in ("language-model", "classification", "tagging", "memory")),
    ],
)
def test_help_is_there_for_every_word(words, capsys):
    try:
        code = main([*words, "--help"])
    except SystemExit as end:  # tyro's way
        code = end.code
    assert code == 0
    assert "usage: jaxseq" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "a word is missing"),
        (["train"], "a word is missing"),
        (["trian"], "'trian' is none of its words"),
        (["train", "poetry"], "'poetry' is none of its words"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_ones(words, problem, capsys):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and problem in err.splitlines()[0] and "usage: jaxseq" in err


# ------------------------------------------------------------------------------- what it refuses


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["is empty", "give a file with text"]),
        (b" \n\n ", ["has no text in it"]),
        (b"the whale and the sea", ["too short", "give more text"]),
        (b"the whale, " * 8, ["fewer than `window` = 100", "give more text"]),
        ("고래".encode("cp949") * 99, ["is not UTF-8", "iconv -f CP949"]),
        (b"\x1f\x8b\x08 cut off", ["gzip file that breaks off or is damaged"]),
    ],
)
def test_a_text_that_cannot_be_used_is_refused(content, parts, refused, tmp_path):
    (tmp_path / "text.txt").write_bytes(content)
    words = tiny.train(tmp_path / "text.txt", tmp_path / "run", "--window", "100")
    refused(words, 2, *parts)


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("no/such/file.txt", ["there is no file `no/such/file.txt`", "check the spelling"]),
        ("moby_dik", ["no file and no bundled text 'moby_dik'", "did you mean 'moby_dick'"]),
        ("zzz", ["no bundled text 'zzz'", "use moby_dick"]),
        ("names", ["the bundled names is no running text", "use moby_dick"]),
        ("/", ["is not a file", "give the path of one text file"]),
    ],
)
def test_a_source_that_is_none_is_refused(source, parts, refused, tmp_path):
    refused(tiny.train(source, tmp_path / "run"), 2, *parts)


@pytest.mark.parametrize(
    ("option", "value", "parts"),
    [
        ("--hidden-size", 0, ["hidden_size", "but it is 0"]),
        ("--embed-size", 0, ["embed_size", "but it is 0"]),
        ("--num-layers", 0, ["num_layers", "but it is 0"]),
        ("--dropout", 1.5, ["dropout", "but it is 1.5"]),
        ("--tied", None, ["`tied` needs", "choose hidden_size = embed_size"]),
        ("--steps", 0, ["`steps` must be at least 1, but it is 0"]),
        ("--window", 0, ["`window` must be at least 1, but it is 0"]),
        ("--patience", -1, ["`patience` must be at least 0, but it is -1"]),
        ("--weight-decay", "nan", ["`weight_decay` must be at least 0, but it is nan"]),
        ("--learning-rate", 0, ["`learning_rate` must be above 0"]),
        ("--max-norm", 0, ["`max_norm` must be above 0"]),
        ("--seed", 2**70, ["`seed` must be at least 0 and below 2^32"]),
    ],
)
def test_a_number_out_of_range_is_refused(option, value, parts, refused, run, tmp_path):
    words = [option] if value is None else [option, value]
    refused(tiny.train(run.text, tmp_path / "run", *words), 2, *parts)


def test_a_directory_that_cannot_be_made_is_refused(refused, run, tmp_path):
    (tmp_path / "file").write_text("of somebody")
    hint = "choose another one with --out"
    refused(tiny.train(run.text, tmp_path / "file"), 1, "cannot be made: File exists", hint)
    refused(tiny.train(run.text, tmp_path / "file" / "run"), 1, "cannot be made", hint)
    refused(tiny.train(run.text, "/dev/null/run"), 1, "cannot be made: Not a directory", hint)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_directory_that_cannot_be_written_is_refused(refused, run, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    refused(tiny.train(run.text, locked), 1, "cannot be written", "choose another directory")


def test_a_directory_with_other_files_of_these_names_is_refused(refused, run, tmp_path):
    (tmp_path / "report.json").write_text("somebody's work")
    parts = "report.json, which a run would overwrite", "choose another directory"
    refused(tiny.train(run.text, tmp_path), 2, *parts)


def test_a_run_is_never_overwritten(refused, run, copy):
    parts = "there is a run in", "--resume goes on with it; --out names another directory"
    refused(tiny.train(run.text, copy), 2, *parts)


@pytest.mark.parametrize("option", ["--hidden-size", "--steps"])
def test_a_run_is_resumed_with_its_own_settings_only(option, refused, run, copy):
    name = option.strip("-").replace("-", "_")
    parts = f"{name} = ", "but 9 is asked for", "leave the option out"
    refused(tiny.train(run.text, copy, "--resume", option, "9"), 2, *parts)


def test_a_run_is_resumed_on_its_own_text_only(refused, run, copy, tmp_path):
    text = shutil.copy(run.text, tmp_path / "prose.txt")
    tiny.edit(copy, data=str(text))
    words = ["train", "language-model", "--out", copy, "--resume"]
    with open(text, "a") as file:
        file.write("whale.")
    parts = "is not what it was when the run began", "bring the text of then back"
    refused(words, 2, *parts)
    refused(["evaluate", copy], 2, *parts)


@pytest.mark.parametrize("verb", ["generate", "evaluate", "resume"])
def test_a_checkpoint_of_another_model_is_refused(verb, refused, copy):
    tiny.edit(copy, hidden_size=9)
    refused(command(verb, copy), 2, "is of another model", "build model and optimizer with")


@pytest.mark.parametrize("verb", ["generate", "evaluate", "resume"])
def test_a_truncated_checkpoint_is_refused(verb, refused, copy):
    tiny.truncate(copy / "checkpoints" / "20")
    refused(command(verb, copy), 2, "checkpoints/20 is damaged", "delete that directory")


@pytest.mark.parametrize("verb", ["generate", "evaluate", "resume"])
def test_a_damaged_config_is_refused(verb, refused, copy):
    path = copy / "config.json"
    path.write_text(path.read_text()[:99])
    refused(command(verb, copy), 2, "config.json is damaged", "restore the file from a copy")


def test_a_directory_without_a_run_is_refused(refused, tmp_path):
    parts = "holds no run", f"train TASK --out {tmp_path}"
    refused(["generate", tmp_path], 2, *parts)
    refused(["evaluate", tmp_path], 2, *parts)
    refused(["predict", tmp_path, "--data", "a.txt", "--to", tmp_path / "b.txt"], 2, *parts)


def command(verb, directory):
    if verb == "resume":
        return ["train", "language-model", "--out", directory, "--resume"]
    return [verb, directory]


@pytest.mark.parametrize(
    ("option", "value", "parts"),
    [
        ("--prompt", "", ["the prompt is empty", "give one symbol or more"]),
        ("--prompt", "the Ωhale", ["the symbol 'Ω' at character 4", "leave it out"]),
        ("--prompt", "\ufffd", ["which stands for what the model does not know", "leave it out"]),
        ("--temperature", 0, ["`temperature` must be positive, but it is 0"]),
        ("--top-k", 0, ["`top_k` must be", "0"]),
        ("--top-k", 999, ["`top_k` must be", "999"]),
        ("--top-p", 2, ["`top_p` must be", "2"]),
        ("--length", 0, ["`length` must be at least 1, but it is 0"]),
        ("--seed", -1, ["`seed` must be at least 0"]),
    ],
)
def test_what_cannot_be_generated_is_refused(option, value, parts, refused, run):
    refused(["generate", run.directory, option, value], 2, *parts)


def test_a_text_of_one_symbol_cannot_be_evaluated(refused, copy, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    refused(["evaluate", copy, "--data", tmp_path / "a.txt"], 2, "has 1 symbols", "more text")


# ---------------------------------------------------------------------------- runs that end early


def test_a_loss_that_is_not_finite_ends_the_run_and_leaves_its_checkpoints(run, tmp_path, capsys):
    out = tmp_path / "run"
    wild = ["--learning-rate", "1e38", "--max-norm", "1e38", "--evaluate-every", "1"]
    assert main(tiny.train(run.text, out, *wild, "--steps", "40")) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: fit: the ") and "has not been finite for 21 steps" in last
    assert "lower the learning rate" in last
    assert not (out / "report.json").exists()
    assert main(["generate", str(out), "--length", "3"]) == 0


def test_a_run_without_a_finite_evaluation_says_so(run, tmp_path, capsys):
    wild = ["--learning-rate", "1e38", "--max-norm", "1e38", "--evaluate-every", "20"]
    assert main(tiny.train(run.text, tmp_path / "run", *wild, "--steps", "20")) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "was never finite" in last and "lower the learning rate" in last


def test_a_signal_ends_the_run_and_resuming_makes_up_for_it(run, tmp_path, monkeypatch, capsys):
    class Killing(language_model.data.WindowBatches):
        def __next__(self):
            if self.cursor == {"epoch": 0, "batch": 17}:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().__next__()

    def batches(config, ids):
        sizes = {"batch_size": config.batch_size, "window": config.window}
        return Killing(ids["train"], **sizes, repeat=True)

    out = tmp_path / "a run"
    with monkeypatch.context() as patch:
        patch.setattr(language_model, "_batches", batches)
        assert main(tiny.train(run.text, out)) == 143
    printed = capsys.readouterr().out
    assert "stopped after step 18, with a checkpoint" in printed
    assert f"train language-model --out '{out}' --resume" in printed
    assert not (out / "report.json").exists()
    assert main(["generate", str(out), "--length", "3"]) == 0  # the best of then
    assert main(["train", "language-model", "--out", str(out), "--resume"]) == 0
    tiny.assert_same_bits(trained_state(out), trained_state(run.directory))
    assert (out / "sample.txt").read_text() == (run.directory / "sample.txt").read_text()


def test_resuming_a_finished_run_writes_its_report_again(copy):
    before = json.loads((copy / "report.json").read_text())
    (copy / "report.json").unlink()
    assert main(["train", "language-model", "--out", str(copy), "--resume"]) == 0
    assert json.loads((copy / "report.json").read_text()) == before


def test_what_interrupts_outside_of_the_training_loop_leaves_no_traceback(
    run, tmp_path, monkeypatch, capsys
):
    def interrupt(*sources):
        raise KeyboardInterrupt

    monkeypatch.setattr(language_model, "read_parts", interrupt)
    assert main(tiny.train(run.text, tmp_path / "run")) == 143
    assert capsys.readouterr().err == "error: interrupted\n"


def test_an_error_that_is_a_bug_keeps_its_traceback(run, monkeypatch, tmp_path):
    def bug(*sources):
        raise ValueError("of NumPy")

    monkeypatch.setattr(language_model, "read_parts", bug)
    with pytest.raises(ValueError, match="of NumPy"):
        main(tiny.train(run.text, tmp_path / "run"))


@pytest.mark.slow
def test_a_killed_process_ends_with_143_and_resumes_to_the_same_bits(run, tmp_path):
    def process(out, *options):
        words = tiny.train(run.text, out, "--steps", "4000", "--patience", "0", *options)
        return subprocess.Popen(
            [sys.executable, "-m", "jaxseq", *words], stdout=subprocess.PIPE, text=True
        )

    whole = process(tmp_path / "whole")
    assert "written to" in whole.communicate(timeout=300)[0] and whole.returncode == 0
    killed = process(tmp_path / "killed")
    checkpoints = tmp_path / "killed" / "checkpoints"
    while not any(p.name.isdigit() for p in checkpoints.glob("*")) and killed.poll() is None:
        time.sleep(0.01)
    killed.send_signal(signal.SIGTERM)
    assert "--resume" in killed.communicate(timeout=300)[0]
    assert killed.returncode == 143
    resumed = process(tmp_path / "killed", "--resume")
    resumed.communicate(timeout=300)
    assert resumed.returncode == 0
    tiny.assert_same_bits(trained_state(tmp_path / "killed"), trained_state(tmp_path / "whole"))
