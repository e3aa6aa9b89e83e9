"""The language model: its figures against sums by hand, what it writes, and how it comes back."""

import dataclasses
import json
import math
import shutil
import unicodedata
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from jaxseq import data, decoding, training
from jaxseq._checks import InputError
from jaxseq.recipes import language_model
from jaxseq.recipes._directory import write_settings
from jaxseq.recipes._language_model import initial_state
from jaxseq.recipes._language_model_text import mark, vocabulary_of
from jaxseq.recipes.language_model import Config

SMALL = Config(embed_size=4, hidden_size=8, batch_size=2)


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return tiny.trained(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def model(run):
    return language_model.load(run.directory)


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run.directory, tmp_path / "copy")


def bits_by_hand(model, ids, rows):
    """The bits that the symbols after the first take, read as so many rows, each begun anew."""
    bits, cuts = 0.0, np.array_split(np.arange(1, len(ids)), rows)
    for targets in cuts:
        _, logits = model.apply(model.params, ids[None, targets - 1])
        logits = np.asarray(logits[0], np.float64)
        logits -= logits.max(-1, keepdims=True)
        chosen = logits[np.arange(len(targets)), ids[targets]]
        bits += np.sum(np.log(np.exp(logits).sum(-1)) - chosen) / math.log(2)
    return bits


# -------------------------------------------------------------------------------------- figures


def test_the_held_out_bits_are_those_of_one_pass_over_the_text(run, model):
    report = json.loads((run.directory / "report.json").read_text())
    text = data.split_text(data.read_text(run.text)).test
    ids = model.vocabulary.encode(text)
    expected = bits_by_hand(model, ids, rows=1) / (len(text) - 1)
    assert report["test"]["bits_per_character"] == pytest.approx(expected, rel=1e-5)
    assert report["test"]["characters"] == report["test"]["symbols"] == len(text) - 1


def test_a_long_text_is_measured_in_rows_that_begin_anew(copy, model, tmp_path):
    text = tiny.prose(320, seed=1) + "Ω" + tiny.prose(20, seed=2) + "ΩΩ"
    (tmp_path / "other.txt").write_text(text)
    report = language_model.evaluate(copy, source=str(tmp_path / "other.txt"))
    ids = model.vocabulary.encode(text)
    assert len(ids) > 8 * 128  # several windows a row, the last of them padded
    expected = bits_by_hand(model, ids, rows=8) / (len(text) - 1)
    assert report["bits_per_character"] == pytest.approx(expected, rel=1e-5)
    assert report["unknown_symbols"] == 3
    assert json.loads((copy / "evaluations/other/report.json").read_text()) == report


def test_evaluating_without_a_text_repeats_the_report(copy):
    report = json.loads((copy / "report.json").read_text())
    found = language_model.evaluate(copy)
    assert found.items() >= report["test"].items()
    written = copy / "evaluations" / "prose" / "report.json"
    assert json.loads(written.read_text()) == found


@pytest.mark.usefixtures("blank")
def test_another_text_can_choose_the_weights(tmp_path):
    for name, seed in (("train.txt", 1), ("valid.txt", 2)):
        (tmp_path / name).write_text(tiny.prose(200, seed=seed))
    words = tiny.train(tmp_path / "train.txt", tmp_path / "run", "--steps", "2")
    assert tiny.main([*words, "--valid", str(tmp_path / "valid.txt")]) == 0
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    characters = len((tmp_path / "valid.txt").read_text()) - 1
    assert "test" not in report and report["valid"]["characters"] == characters
    found = language_model.evaluate(tmp_path / "run")
    assert found.items() >= report["valid"].items()


@pytest.mark.usefixtures("blank")
def test_a_run_by_words_reports_what_it_does_not_know(run, tmp_path):
    (tmp_path / "a.txt").write_text(run.text.read_text() + "once-upon-a-time")
    config = Config(
        data=str(tmp_path / "a.txt"),
        out=tmp_path / "run",
        units="words",
        embed_size=4,
        hidden_size=8,
        batch_size=4,
        window=8,
        steps=2,
    )
    report = language_model.train(config)
    assert report["test"]["unknown_symbols"] >= 4
    assert report["test"]["symbols"] < report["test"]["characters"]
    written = language_model.generate(tmp_path / "run", prompt="the white whale", length=20)
    assert written.startswith("the white whale") and "\ufffd" not in written
    with pytest.raises(InputError, match="the symbol 'whal' at character 4 is not among the"):
        language_model.generate(tmp_path / "run", prompt="the whal")


def test_a_run_leaves_its_settings_and_its_vocabulary(run):
    page = json.loads((run.directory / "config.json").read_text())
    assert page["schema"] == 1 and page["task"] == "language-model"
    assert page["settings"]["hidden_size"] == 8 and page["settings"]["data"] == str(run.text)
    assert page["text"] == mark(run.text.read_text())
    assert page["vocabulary"]["symbols"][0] == "\ufffd"


# -------------------------------------------------------------------------------------- writing


def test_the_same_seed_writes_the_same_text(run):
    def write(seed):
        return language_model.generate(run.directory, prompt="the sea", length=40, seed=seed)

    assert write(1) == write(1) != write(2)


def test_greedy_writes_the_likeliest_symbols(run, model):
    text = language_model.generate(run.directory, prompt="the ", length=6, greedy=True, seed=5)
    assert text.startswith("the ") and len(text) == 10
    ids = model.vocabulary.encode(text)
    _, logits = model.apply(model.params, ids[None, :-1])
    known = np.asarray(logits[0, 3:]).copy()
    known[:, model.vocabulary.unknown_id] = -np.inf
    assert known.argmax(-1).tolist() == ids[4:].tolist()


def test_sampling_among_one_symbol_is_greedy(model):
    greedy = language_model.write(model, "the sea", decoding.greedy, length=9)
    options = {"key": jax.random.key(3), "length": 9}
    assert language_model.write(model, "the sea", decoding.sample, top_k=1, **options) == greedy
    assert language_model.write(model, "the sea", decoding.sample, top_p=1e-6, **options) == greedy


def test_without_a_prompt_it_begins_with_a_new_line(run):
    text = language_model.generate(run.directory, length=3)
    assert text.startswith("\n") and len(text) == 4


def preferring(model, symbol):
    """The model, with all weights but the bias of one symbol at zero."""
    params = jax.tree.map(jnp.zeros_like, model.params)
    leaves, treedef = jax.tree.flatten(params)
    size = len(model.vocabulary)
    bias = next(place for place, leaf in enumerate(leaves) if leaf.shape == (size,))
    leaves[bias] = leaves[bias].at[model.vocabulary.symbols.index(symbol)].set(99.0)
    return model._replace(params=jax.tree.unflatten(treedef, leaves))


@pytest.mark.parametrize("decode", [decoding.greedy, decoding.sample])
def test_what_is_unknown_is_never_written(decode, model):
    options = {"key": jax.random.key(0)} if decode is decoding.sample else {}
    written = language_model.write(preferring(model, "w"), "the", decode, length=20, **options)
    assert written == "the" + 20 * "w"
    unknown = preferring(model, "\ufffd")
    assert "\ufffd" not in language_model.write(unknown, "the", decode, length=20, **options)


def test_a_prompt_in_loose_jamo_is_composed():
    model = language_model.build(SMALL, vocabulary_of("대한민국은 민주공화국이다.", "characters"))
    prompt = unicodedata.normalize("NFD", "대한\r\n".strip())
    assert language_model.write(model, prompt, decoding.greedy, length=1).startswith("대한")


def test_a_prompt_that_cannot_be_read_is_an_error(model):
    for prompt, problem in [
        ("", r"generate: the prompt is empty\.\n  Hint: give one symbol or more"),
        ("the Ω", "the symbol 'Ω' at character 4 is not among the"),
        ("a\ufffd", r"the prompt holds '\ufffd', which stands for what the model does not know"),
    ]:
        with pytest.raises(InputError, match=problem):
            language_model.write(model, prompt, decoding.greedy, length=1)


def test_predictions_that_are_not_finite_are_an_error(model):
    broken = model._replace(params=jax.tree.map(lambda leaf: leaf * jnp.nan, model.params))
    problem = r"the model's predictions are not finite\.\n  Hint: train another one"
    with pytest.raises(training.DivergedError, match=problem):
        language_model.write(broken, "the", decoding.greedy, length=2)


# ------------------------------------------------------------------------------ starting, loading


def saved_run(directory, *evaluations):
    """A run of some checkpoints with different weights, a metric or None for each."""
    vocabulary = data.Vocabulary.of_characters("abc", unknown="\ufffd")
    config = dataclasses.replace(SMALL, out=directory)
    write_settings(directory, "language-model", config, vocabulary=vocabulary.to_dict())
    model, best = language_model.build(config, vocabulary), None
    with training.Checkpoints(directory / "checkpoints") as checkpoints:
        for step, metric in enumerate(evaluations, start=1):
            params = jax.tree.map(lambda leaf, step=step: leaf + step, model.params)
            best = best if metric is None else [step, metric]
            state = initial_state(model)._replace(params=params, step=jnp.array(step, jnp.int32))
            checkpoints.save(state, extra={"fit": {"best": best}}, metric=metric)
    return model


def offset(directory, model):
    """By how much the weights that are loaded differ from the first ones."""
    leaves = zip(
        jax.tree.leaves(language_model.load(directory).params),
        jax.tree.leaves(model.params),
        strict=True,
    )
    (difference,) = {round(float(np.mean(new - old)), 3) for new, old in leaves}
    return difference


def test_the_best_weights_are_loaded(tmp_path):
    assert offset(tmp_path, saved_run(tmp_path, 1.0, None)) == 1


def test_the_latest_weights_are_loaded_where_nothing_was_evaluated(tmp_path):
    assert offset(tmp_path, saved_run(tmp_path, None, None)) == 2


def test_damaged_best_weights_are_not_replaced_by_the_latest(tmp_path):
    saved_run(tmp_path, 1.0, None)
    tiny.truncate(tmp_path / "checkpoints" / "1")
    with pytest.raises(InputError, match="checkpoints/1 is damaged"):
        language_model.load(tmp_path)


def test_a_run_without_a_checkpoint_is_an_error(tmp_path):
    saved_run(tmp_path)
    with pytest.raises(InputError, match="there is no checkpoint in"):
        language_model.load(tmp_path)


def test_a_damaged_vocabulary_is_an_error(copy):
    path = copy / "config.json"
    page = json.loads(path.read_text())
    for vocabulary in ({}, page["vocabulary"] | {"symbols": 3}):
        path.write_text(json.dumps(page | {"vocabulary": vocabulary}))
        with pytest.raises(InputError, match=r"config\.json is damaged: Vocabulary\.from_dict"):
            language_model.load(copy)
    del page["vocabulary"]
    path.write_text(json.dumps(page))
    with pytest.raises(InputError, match=r"config\.json is damaged: 'vocabulary'"):
        language_model.load(copy)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_an_error(seed):
    problem = rf"`seed` must be at least 0 and below 2\^32, but it is {seed}"
    with pytest.raises(InputError, match=problem):
        language_model.train(Config(seed=seed))
    with pytest.raises(InputError, match=problem):
        language_model.generate(Path("no/such/run"), seed=seed)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("steps", 0, "at least 1, but it is 0"),
        ("evaluate_every", 0, "at least 1, but it is 0"),
        ("batch_size", 0, "at least 1, but it is 0"),
        ("window", -3, "at least 1, but it is -3"),
        ("patience", -1, "at least 0, but it is -1"),
        ("weight_decay", math.nan, "at least 0, but it is nan"),
        ("learning_rate", 0.0, "above 0, but it is 0.0"),
        ("max_norm", math.nan, "above 0, but it is nan"),
    ],
)
def test_a_setting_out_of_range_is_an_error(name, value, problem):
    with pytest.raises(InputError, match=f"language-model: `{name}` must be {problem}"):
        language_model.train(dataclasses.replace(Config(), **{name: value}))


@pytest.mark.parametrize(
    ("text", "part"), [("ab " * 8, "valid"), ("the sea " * 20 + "whale" * 3, "test")]
)
def test_a_text_too_short_to_measure_anything_is_an_error(text, part, tmp_path):
    (tmp_path / "a.txt").write_text(text)
    units = "characters" if part == "valid" else "words"
    config = dataclasses.replace(
        SMALL, data=str(tmp_path / "a.txt"), out=tmp_path / "run", units=units, window=2
    )
    problem = rf"its {part} part, a twentieth, has no symbol to predict\.\n  Hint: give more text"
    with pytest.raises(InputError, match=problem):
        language_model.train(config)
    assert not (tmp_path / "run").exists()
