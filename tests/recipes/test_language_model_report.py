"""What a run reports: figures against the direct calls, and files that can be read back."""

import json
import math

import numpy as np
import pytest
import tiny

from jaxseq import data, training
from jaxseq.recipes._baselines import witten_bell_bits, xz_bits
from jaxseq.recipes._language_model_report import measures, others
from jaxseq.recipes._language_model_text import vocabulary_of


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return tiny.trained(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def report(run):
    return json.loads((run.directory / "report.json").read_text())


def test_the_report_says_all_there_is_to_say(report, run):
    assert set(report) == {
        *("task", "data", "test", "valid", "bits_per_character_of_others"),
        *("parameters", "training", "versions", "device", "sample"),
    }
    assert report["task"] == "language-model" and report["data"] == str(run.text)
    took = report["training"]
    assert took["outcome"] == "finished" and took["steps"] == 20 and took["skipped_steps"] == 0
    assert took["best_step"] in (10, 20)
    assert took["seconds"] > 0 and took["symbols_per_second"] > 0
    assert set(report["versions"]) == {"jaxseq", "jax", "flax", "optax"}


def test_the_report_counts_the_weights(report, run):
    vocabulary = json.loads((run.directory / "config.json").read_text())["vocabulary"]
    v, e, h = len(vocabulary["symbols"]), 4, 8
    assert report["parameters"] == v * e + 3 * h * (e + h) + 2 * 3 * h + v * h + v


@pytest.mark.parametrize("part", ["valid", "test"])
def test_the_model_has_learned_something(part, report, run):
    vocabulary = json.loads((run.directory / "config.json").read_text())["vocabulary"]
    assert report[part]["bits_per_character"] < math.log2(len(vocabulary["symbols"])) - 0.2
    assert report[part]["perplexity_per_symbol"] == pytest.approx(
        2 ** report[part]["bits_per_character"]
    )


def test_the_others_are_measured_on_the_same_text(report, run):
    parts = data.split_text(data.read_text(run.text))
    characters = vocabulary_of(parts.train, "characters")
    ngram = witten_bell_bits(
        characters.encode(parts.train),
        characters.encode(parts.test),
        order=6,
        vocabulary_size=len(characters),
    )
    packed = xz_bits(parts.train, parts.test)
    expected = {
        "interpolated Witten-Bell 6-gram": ngram,
        "xz -9e after the training text": packed.after_training,
        "xz -9e alone": packed.alone,
    }
    assert report["bits_per_character_of_others"] == expected == others(parts, characters)


def test_the_curve_is_a_picture_and_the_history_comes_back(run):
    assert (run.directory / "learning_curve.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    history = training.History.from_json(json.loads((run.directory / "history.json").read_text()))
    assert [record.step for record in history.steps] == list(range(1, 21))
    assert [record.step for record in history.evaluations] == [10, 20]


def test_the_sample_is_text_of_known_symbols(run):
    sample = (run.directory / "sample.txt").read_text()
    assert 300 < len(sample) <= 402 and set(sample) <= set(run.text.read_text())


def test_bits_are_spread_over_the_characters_that_were_predicted():
    vocabulary = data.Vocabulary.of_words("the sea, the sea", unknown="\ufffd")
    text = "whales the sea whales"  # the first word is given, and unknown
    ids = vocabulary.encode(text)
    evaluation = training.Evaluation(mean=math.log(2), total=6 * math.log(2), count=6.0)
    found = measures(evaluation, text, ids, vocabulary)
    assert found == {
        "bits_per_character": pytest.approx(6 / 15),
        "perplexity_per_symbol": pytest.approx(2.0),
        "characters": 15,
        "symbols": 6,
        "unknown_symbols": 2,
    }


def test_an_absurd_loss_is_still_a_number():
    vocabulary = data.Vocabulary.of_characters("ab")
    evaluation = training.Evaluation(mean=1e6, total=1e6, count=1.0)
    ids = np.array([0, 1], np.int32)
    found = measures(evaluation, "ab", ids, vocabulary)
    assert math.isfinite(found["perplexity_per_symbol"])
