"""What a tagging run reports: its figures against sums by hand, its files, its lines."""

import json

import numpy as np
import pytest
import tiny_tasks

from jaxseq.data import Token
from jaxseq.recipes import _frequent_tag, _hmm_tagger, address_crf, tagging
from jaxseq.recipes._tagging_data import Parts, read_parts
from jaxseq.recipes._tagging_report import confusion, leave_report, measures, others, summary

ROWS = [
    [Token(*pair.split("/")) for pair in row.split()]
    for row in ("7/O Elm/B-X St/I-X", "Oak/B-X", "Elm/O 9/O Ash/B-Y", "7/O")
]
FOUND = [["O", "B-X", "O"], ["B-X"], ["O", "B-Y", "B-Y"], ["O"]]
LABELS = ["B-X", "B-Y", "I-X", "O"]
KNOWN = {"7", "Elm", "St", "9"}


def rows_of(pairs):
    return [[Token(*pair) for pair in row] for row in pairs]


# ------------------------------------------------------------------------------------- figures


def test_the_figures_are_those_by_hand():
    page = measures(FOUND, ROWS, LABELS, "bio", KNOWN)
    assert (page["sequences"], page["tokens"], page["sequence_accuracy"]) == (4, 8, 0.5)
    assert page["accuracy"] == 6 / 8
    assert page["known_words"] == {"tokens": 6, "accuracy": 4 / 6}
    assert page["unknown_words"] == {"tokens": 2, "accuracy": 1.0}
    # Right are Elm St, Oak and Ash; found are Elm, Oak, 9 and Ash.
    assert (page["span_precision"], page["span_recall"]) == (2 / 4, 2 / 3)
    assert page["span_f1"] == pytest.approx(2 * 2 / (4 + 3))
    f1 = {"B-X": 1.0, "B-Y": 2 / 3, "I-X": 0.0, "O": 3 / 4}
    assert {label: row["f1"] for label, row in page["by_label"].items()} == {
        label: round(value, 4) for label, value in f1.items()
    }
    assert {k: row["support"] for k, row in page["by_label"].items()} == {
        **{"B-X": 2, "B-Y": 1, "I-X": 1, "O": 4}
    }
    assert page["by_label"]["O"] == {"precision": 0.75, "recall": 0.75, "f1": 0.75, "support": 4}
    assert page["macro_f1"] == pytest.approx(np.mean([*f1.values()]), rel=1e-6)
    assert json.loads(json.dumps(page)) == page


def test_without_a_scheme_no_spans_are_counted():
    page = measures(FOUND, ROWS, LABELS, "none", KNOWN)
    assert not [name for name in page if "span" in name]
    runs = measures(FOUND, ROWS, LABELS, "runs", KNOWN)
    # Runs of O are spans here. Found in their full lengths: O and B-X, B-X, none, O.
    assert runs["span_f1"] == pytest.approx(2 * 4 / (7 + 7))


def test_a_label_that_training_lacks_counts_as_an_error():
    rows = [[Token("a", "new"), Token("b", "O")]]
    page = measures([["O", "O"]], rows, ["O", "X"], "none", set())
    assert [*page["by_label"]] == ["O", "X", "new"] and page["accuracy"] == 0.5
    assert page["by_label"]["new"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}


def test_rows_of_the_confusions_are_the_right_labels():
    assert confusion(FOUND, ROWS, LABELS).tolist() == [
        *([2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 1, 0, 3])
    ]


def test_other_models_are_those_called_directly():
    train, valid = rows_of(tiny_tasks.addresses(20)), rows_of(tiny_tasks.addresses(9, seed=1))
    page = others(Parts(train, valid, []), "my.conll", "bio")
    assert [*page] == ["valid"]
    words = [[token.token for token in row] for row in valid]
    known = {token.token for row in train for token in row}
    labels = sorted({token.label for row in train for token in row})
    direct = {
        "the most frequent label of each word": _frequent_tag.predict(
            _frequent_tag.fit(train), words
        ),
        "a hidden Markov model": _hmm_tagger.predict(_hmm_tagger.fit(train), words),
    }
    assert page["valid"] == {
        name: measures(found, valid, labels, "bio", known) for name, found in direct.items()
    }


def test_where_nothing_is_held_out_there_is_nothing_to_compare():
    assert others(Parts(ROWS, [], []), "my.conll", "bio") == {}


@pytest.mark.slow
def test_addresses_are_also_compared_with_features_by_hand():
    parts = read_parts("usaddress")
    parts = Parts(parts.train[:60], [], parts.test[:20])
    page = others(parts, "usaddress", "runs")["test"]
    words = [[token.token for token in row] for row in parts.test]
    found = address_crf.label(address_crf.train(parts.train), words)
    right = [token.label for row in parts.test for token in row]
    hits = [a == b for a, b in zip([k for row in found for k in row], right, strict=True)]
    assert page["a CRF with features by hand"]["accuracy"] == pytest.approx(np.mean(hits))


# --------------------------------------------------------------------------------------- files


def test_the_errors_are_there_with_the_worst_sequence_first(tmp_path):
    rows = [*ROWS, [Token("a\tb", "O"), Token("c", "B-X")]]
    found = [*FOUND, [*("B-X", "I-X")]]
    leave_report(tmp_path, {"data": "my.conll"}, found, rows, LABELS)
    lines = [line.split("\t") for line in (tmp_path / "errors.tsv").read_text().splitlines()]
    assert lines == [
        ["sequence", "token", "label", "found", "text"],
        ["5", "a b", "O", "B-X", "a b c"],
        ["5", "c", "B-X", "I-X", "a b c"],
        ["1", "St", "I-X", "O", "7 Elm St"],
        ["3", "9", "O", "B-Y", "Elm 9 Ash"],
    ]
    assert json.loads((tmp_path / "report.json").read_text()) == {"data": "my.conll"}
    assert (tmp_path / "confusion.png").stat().st_size > 0


def test_labels_of_any_number_and_script_are_drawn(tmp_path):
    rows = [[Token(f"w{n}", f"표지{n:02}") for n in range(60)]]
    found = [[f"표지{n // 2:02}" for n in range(60)]]
    labels = sorted({token.label for token in rows[0]})
    leave_report(tmp_path, {"data": "폴더/말뭉치.conll"}, found, rows, labels)
    assert (tmp_path / "confusion.png").stat().st_size > 0


# --------------------------------------------------------------------------------------- lines


def test_the_summary_has_a_line_for_each_model_of_each_part():
    row = {"accuracy": 0.75, "unknown_words": {"tokens": 2, "accuracy": 0.5}, "span_f1": 1.0}
    none = row | {"unknown_words": {"tokens": 0, "accuracy": 0.0}}
    size = {"sequences": 2, "tokens": 8}
    report = {
        "data": "my.conll",
        "test": size | row,
        "valid": size | none,
        "others": {"test": {"a simple model": row | {"accuracy": 1.0}}, "valid": {}},
    }
    assert summary(report).split("\n") == [
        "my.conll, test part, 2 sequences, 8 tokens",
        "  tokens   unknown  span F1  (%)",
        "   75.00     50.00   100.00  this model",
        "  100.00     50.00   100.00  a simple model",
        "my.conll, valid part, 2 sequences, 8 tokens",
        "  tokens   unknown  span F1  (%)",
        "   75.00         –   100.00  this model",
    ]
    assert tagging.summary is summary


def test_the_summary_of_an_evaluation_without_spans():
    row = {"accuracy": 0.75, "unknown_words": {"tokens": 2, "accuracy": 0.5}}
    page = {"data": "my.conll", "sequences": 2, "tokens": 8, **row}
    assert summary(page).split("\n") == [
        "my.conll, 2 sequences, 8 tokens",
        "  tokens   unknown  (%)",
        "   75.00     50.00  this model",
    ]
