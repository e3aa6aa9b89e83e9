"""What a classification run reports: its figures against sums by hand, its files, its lines."""

import json

import numpy as np
import pytest

from jaxseq import data
from jaxseq.recipes import _hmm_classifier, _naive_bayes, classification
from jaxseq.recipes._classification_config import Config, resolved
from jaxseq.recipes._classification_data import Example, Parts
from jaxseq.recipes._classification_model import build, log_probs
from jaxseq.recipes._classification_report import (
    PREFIXES,
    confusion,
    has_prefixes,
    leave_report,
    measures,
    others,
    summary,
)

LABELS = ("a", "b", "c")
RIGHT = "aabbbccccc"
FOUND = "abbbabcccc"
LONG = [Example("in the beginning there was a word", "a"), Example("of the sea and whales", "b"),
        Example("call me by any other name", "b")]  # fmt: skip


@pytest.fixture(scope="module")
def model():
    config = resolved(Config(embed_size=2, hidden_size=2, cell="elman", pooling="mean"), "text")
    text = "".join(example.value for example in LONG)
    return build(config, LABELS, data.Vocabulary.of_characters(text, unknown="\ufffd"))


def examples():
    return [Example(f"t{place}", label) for place, label in enumerate(RIGHT)]


def said():
    """Log-probabilities whose largest is FOUND's, ever surer."""
    shares = np.full((len(FOUND), 3), 0.0)
    for place, label in enumerate(FOUND):
        sure = 0.5 + 0.04 * place
        shares[place] = (1 - sure) / 2
        shares[place, LABELS.index(label)] = sure
    return np.log(shares).astype(np.float32)


# ------------------------------------------------------------------------------------------ figures


def test_the_figures_are_those_by_hand(model):
    page = measures(model, examples(), said())
    assert page["examples"] == 10 and page["accuracy"] == 0.7
    by_hand = {}
    for label in LABELS:
        hits = sum(a == b == label for a, b in zip(RIGHT, FOUND, strict=True))
        precision, recall = hits / FOUND.count(label), hits / RIGHT.count(label)
        f1 = 2 * hits / (FOUND.count(label) + RIGHT.count(label))
        by_hand[label] = {"precision": precision, "recall": recall, "f1": f1}
        by_hand[label]["support"] = RIGHT.count(label)
    for label in LABELS:
        assert page["by_class"][label] == pytest.approx(by_hand[label], abs=5e-5)
        assert isinstance(page["by_class"][label]["support"], int)
    mean = np.mean([row["f1"] for row in by_hand.values()])
    assert page["macro_f1"] == pytest.approx(mean, rel=1e-6)
    assert json.loads(json.dumps(page)) == page


def test_rows_of_the_confusions_are_the_right_classes(model):
    expected = [[1, 1, 0], [1, 2, 0], [0, 1, 4]]
    assert confusion(model, examples(), said()).tolist() == expected


def test_only_long_texts_are_measured_by_their_beginnings(model):
    assert has_prefixes(LONG) and not has_prefixes(examples())
    assert not has_prefixes([Example(np.zeros((99, 2), np.float32), "a")])
    assert "accuracy_of_first_characters" not in measures(model, examples(), said())
    found = log_probs(model, [example.value for example in LONG])
    curve = measures(model, LONG, found)["accuracy_of_first_characters"]
    assert [*curve] == ["5", "10", "20", "50", "100"]
    for length in PREFIXES:
        texts = [example.value[:length] for example in LONG]
        hits = [
            LABELS[best] == example.label
            for best, example in zip(log_probs(model, texts).argmax(1), LONG, strict=True)
        ]
        assert curve[str(length)] == np.mean(hits)


def test_other_models_of_texts_are_those_called_directly(model):
    train = [Example(word, word[0]) for word in ("ant", "axe", "awe", "bat", "bee", "cat")]
    test = [Example("apt", "a"), Example("bet", "b"), Example("rat", "c"), Example("act", "a")]
    page = others(Parts(train, test[:1], test), model)
    simple = _naive_bayes.fit([e.value for e in train], [e.label for e in train])
    found = _naive_bayes.predict(simple, [e.value for e in test])
    accuracy = np.mean([a == e.label for a, e in zip(found, test, strict=True)])
    assert page["test"] == {
        "the largest class": {"accuracy": 0.5},
        "naive Bayes of character 1-3-grams": {"accuracy": accuracy},
    }
    assert [*page] == ["test", "valid"] and page["valid"]["the largest class"]["accuracy"] == 1


def test_other_models_are_measured_by_beginnings_too(model):
    page = others(Parts(LONG, LONG, []), model)["valid"]
    simple = _naive_bayes.fit([e.value for e in LONG], [e.label for e in LONG])
    curve = page["naive Bayes of character 1-3-grams"]["accuracy_of_first_characters"]
    for length in PREFIXES:
        found = _naive_bayes.predict(simple, [e.value[:length] for e in LONG])
        hits = [label == row.label for label, row in zip(found, LONG, strict=True)]
        assert curve[str(length)] == np.mean(hits)
    assert "accuracy_of_first_characters" not in page["the largest class"]


def test_other_models_of_series_are_those_called_directly(model):
    rng = np.random.default_rng(0)
    line = np.linspace(-1, 1, 6)[:, None]
    rows = [
        Example((sign * line + 0.8 * rng.normal(size=(6, 2))).astype(np.float32), label)
        for sign, label in [(1, "up"), (-1, "down")] * 6
    ]
    rows[0] = rows[0]._replace(label="once")  # a class of one series
    page = others(Parts(rows, [], rows[:5]), model)
    simple = _hmm_classifier.fit([e.value for e in rows], [e.label for e in rows])
    found = _hmm_classifier.predict(simple, [e.value for e in rows[:5]])
    accuracy = np.mean([a == e.label for a, e in zip(found, rows[:5], strict=True)])
    name = "a hidden Markov model for each class"
    assert page["test"][name] == {"accuracy": accuracy} and [*page] == ["test"]


def test_where_nothing_is_held_out_there_is_nothing_to_compare(model):
    assert others(Parts(LONG, [], []), model) == {}


# -------------------------------------------------------------------------------------------- files


def test_the_errors_are_there_with_the_surest_first(model, tmp_path):
    leave_report(tmp_path, {"data": "my.tsv"}, model, examples(), said())
    lines = [line.split("\t") for line in (tmp_path / "errors.tsv").read_text().splitlines()]
    header = ["text", "label", "found", "probability_of_found", "probability_of_label"]
    assert lines == [
        header,
        ["t5", "c", "b", "0.7000", "0.1500"],
        ["t4", "b", "a", "0.6600", "0.1700"],
        ["t1", "a", "b", "0.5400", "0.2300"],
    ]
    assert json.loads((tmp_path / "report.json").read_text()) == {"data": "my.tsv"}
    assert not (tmp_path / "prefixes.png").exists()


def test_a_text_of_several_lines_is_one_row_of_the_errors(model, tmp_path):
    rows = [Example("a\tb\nc\r", "a"), Example("d", "b")]
    leave_report(tmp_path, {"data": "my.csv"}, model, rows, said()[1:3])
    assert (tmp_path / "errors.tsv").read_text().splitlines()[1].startswith("a b c \ta\tb\t")


def test_without_errors_there_is_only_the_header(model, tmp_path):
    leave_report(tmp_path, {"data": "my.tsv"}, model, examples()[:1], said()[:1])
    assert (tmp_path / "errors.tsv").read_text().count("\n") == 1


def test_series_are_named_by_their_rows(model, tmp_path):
    rows = [Example(np.zeros((2, 1), np.float32), label) for label in "ab"]
    of_series = model._replace(vocabulary=None)
    leave_report(tmp_path, {"data": "my.npz"}, of_series, rows, said()[[1, 1]])
    lines = (tmp_path / "errors.tsv").read_text().splitlines()
    assert lines[0].startswith("row\tlabel") and lines[1].startswith("0\ta\tb\t")


def test_beginnings_are_drawn_for_a_part_and_for_an_evaluation(model, tmp_path):
    curve = {str(length): 0.5 for length in PREFIXES}
    page = {"accuracy_of_first_characters": curve}
    reports = {
        "train": {"data": "my.tsv", "test": page, "others": {"test": {"other": page, "none": {}}}},
        "evaluation": {"data": "my.tsv", **page},
    }
    for name, report in reports.items():
        (tmp_path / name).mkdir()
        leave_report(tmp_path / name, report, model, examples(), said())
        assert (tmp_path / name / "prefixes.png").stat().st_size > 0


# -------------------------------------------------------------------------------------------- lines


def test_the_summary_has_a_line_for_each_model_of_each_part():
    part = {"examples": 8, "accuracy": 0.75, "macro_f1": 0.7}
    report = {
        "data": "my.tsv",
        "test": part | {"accuracy_of_first_characters": {"5": 0.5, "10": 1.0}},
        "valid": part,
        "others": {
            "test": {
                "the largest class": {"accuracy": 0.25},
                "naive Bayes": {
                    "accuracy": 1.0,
                    "accuracy_of_first_characters": {"5": 0.25, "10": 0.5},
                },
            },
            "valid": {"the largest class": {"accuracy": 0.125}},
        },
    }
    assert summary(report).split("\n") == [
        "my.tsv, test part, 8 examples",
        "   75.00 %  accuracy of this model (macro-F1 70.00 %)",
        "   25.00 %  accuracy of the largest class",
        "  100.00 %  accuracy of naive Bayes",
        "  accuracy (%) over the first       5      10  characters",
        "                                50.00  100.00  this model",
        "                                25.00   50.00  naive Bayes",
        "my.tsv, valid part, 8 examples",
        "   75.00 %  accuracy of this model (macro-F1 70.00 %)",
        "   12.50 %  accuracy of the largest class",
    ]
    assert classification.summary is summary


def test_the_summary_of_an_evaluation_names_no_part():
    page = {"data": "my.tsv", "examples": 8, "accuracy": 1.0, "macro_f1": 1.0}
    assert summary(page) == (
        "my.tsv, 8 examples\n  100.00 %  accuracy of this model (macro-F1 100.00 %)"
    )
