"""Spans by hand and by rules of their own; against seqeval they are in tests/parity."""

import itertools

import numpy as np
import pytest

from jaxseq.losses import PRFCounts, span_f1, spans


def read(text, scheme, **options):
    """Spans as ``label:start-end``, of labels in one line."""
    found = spans(text.split(), scheme=scheme, **options)
    return " ".join(f"{span.label}:{span.start}-{span.end}" for span in found)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("B-A I-A O B-B", "A:0-2 B:3-4"),
        ("B-A B-A I-A", "A:0-1 A:1-3"),
        ("I-A I-A O", "A:0-2"),  # a stray I begins
        ("O I-A", "A:1-2"),
        ("B-A I-B I-B", "A:0-1 B:1-3"),  # another label begins
        ("I-A B-A", "A:0-1 A:1-2"),
        ("B-X-1 I-X-1 I-X-2", "X-1:0-2 X-2:2-3"),
        ("B I O I", ":0-2 :3-4"),  # spans of one kind have no label
        ("O O", ""),
        ("", ""),
    ],
)
def test_bio(labels, expected):
    assert read(labels, "bio") == expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("B-A I-A E-A S-B O", "A:0-3 B:3-4"),
        ("B-A I-A O", "A:0-2"),  # without an end
        ("B-A B-A E-A", "A:0-1 A:1-3"),
        ("E-A I-A", "A:0-1 A:1-2"),  # after an end, inside begins
        ("S-A I-A E-A", "A:0-1 A:1-3"),
        ("O E-A E-A", "A:1-2 A:2-3"),
        ("B-A E-B", "A:0-1 B:1-2"),
        ("I-A E-A", "A:0-2"),
        ("B-A S-A", "A:0-1 A:1-2"),
    ],
)
def test_bioes_and_bmes_with_strays(labels, expected):
    assert read(labels, "bioes") == expected
    assert read(labels.replace("I-", "M-"), "bmes") == expected


def test_bmes_cuts_a_text_into_words():
    assert read("B E S B M E", "bmes") == ":0-2 :2-3 :3-6"


@pytest.mark.parametrize(
    ("labels", "outside", "expected"),
    [
        ("a a b a", None, "a:0-2 b:2-3 a:3-4"),
        ("a O O b", "O", "a:0-1 b:3-4"),
        ("a O a - b b", {"O", "-"}, "a:0-1 a:2-3 b:4-6"),
        ("O O", "O", ""),
        ("ab a b", "ab", "a:1-2 b:2-3"),  # one label, not the letters of it
    ],
)
def test_runs(labels, outside, expected):
    assert read(labels, "runs", outside=outside) == expected


def test_runs_are_the_groups_of_itertools():
    rng = np.random.default_rng(0)
    for _ in range(50):
        labels = rng.choice(["a", "b", ""], rng.integers(12)).tolist()
        groups = [(label, len(list(group))) for label, group in itertools.groupby(labels)]
        ends = np.cumsum([size for _, size in groups]).tolist()
        expected = [(label, end - n, end) for (label, n), end in zip(groups, ends, strict=True)]
        assert spans(labels, scheme="runs") == expected
        assert spans(labels, scheme="runs", outside="") == [one for one in expected if one[0]]


@pytest.mark.parametrize(
    ("scheme", "letters"), [("bio", "BI"), ("bioes", "BIES"), ("bmes", "BMES")]
)
def test_every_step_that_is_not_outside_is_in_one_span_of_its_label(scheme, letters):
    rng = np.random.default_rng(1)
    choices = ["O", *(f"{letter}-{name}" for letter in letters for name in "xy")]
    for _ in range(50):
        labels = rng.choice(choices, rng.integers(12)).tolist()
        names = [None] * len(labels)
        for label, start, end in spans(labels, scheme=scheme):
            assert names[start:end] == [None] * (end - start)
            names[start:end] = [label] * (end - start)
        assert names == [None if label == "O" else label[2:] for label in labels]


def test_f1_counts_spans_and_not_steps():
    right = [["B-A", "I-A", "O", "B-B"], ["B-A"], ["O"]]
    predicted = [["B-A", "O", "O", "B-B"], ["B-B"], ["B-A"]]
    found = span_f1(predicted, right, scheme="bio")
    assert (found.correct, found.predicted, found.right) == (1, 4, 3)
    assert (found.precision, found.recall, found.f1) == (1 / 4, 1 / 3, 2 / 7)
    assert found.per_label == {
        "A": PRFCounts(0.0, 0.0, 0.0, 0, 2, 2),
        "B": PRFCounts(0.5, 1.0, 2 / 3, 1, 2, 1),
    }
    assert list(found.per_label) == ["A", "B"]


def test_of_perfect_predictions_f1_is_one():
    rows = [["x", "x", "y"], ["", "x"]]
    assert span_f1(rows, rows, scheme="runs", outside="").f1 == 1
    assert span_f1(rows, rows, scheme="runs").right == 4


def test_of_no_spans_all_is_zero():
    for rows in ([], [["O", "O"]], [[]]):
        assert span_f1(rows, rows, scheme="bio") == (0.0, 0.0, 0.0, 0, 0, 0, {})


def test_equal_spans_of_different_sequences_are_two():
    found = span_f1([["B-A"], ["O"]], [["O"], ["B-A"]], scheme="bio")
    assert (found.correct, found.predicted, found.right) == (0, 1, 1)


def test_a_label_of_another_scheme_is_refused():
    with pytest.raises(
        ValueError,
        match=r'^spans: "E-A" is no label of the scheme\.\n  Hint: a label is "O", or one of B, I',
    ):
        spans(["B-A", "E-A"], scheme="bio")
    with pytest.raises(
        ValueError, match=r'^span_f1: "NOUN" is no label .*\n.* of B, E, M, S, a hyp'
    ):
        span_f1([["S"]], [["NOUN"]], scheme="bmes")
    with pytest.raises(ValueError, match=r'^spans: "" is no label of the scheme'):
        spans([""], scheme="bio")


def test_an_unknown_scheme_is_refused():
    with pytest.raises(
        ValueError,
        match=r'^spans: `scheme` must be one of "bio", "bioes", "bmes", "runs", but it is "iob1"\.',
    ):
        spans(["O"], scheme="iob1")


def test_outside_goes_with_runs_only():
    with pytest.raises(
        ValueError, match=r"^spans: `outside` is 'O', but in the scheme \"bio\" what"
    ):
        spans(["O"], scheme="bio", outside="O")


def test_not_as_many_sequences_are_refused():
    with pytest.raises(
        ValueError,
        match=r"^span_f1: `predicted` and `right` must be as many sequences, but they are 1 and 2",
    ):
        span_f1([["O"]], [["O"], ["O"]], scheme="bio")


def test_sequences_not_as_long_are_refused():
    with pytest.raises(
        ValueError,
        match=r"^span_f1: `predicted\[1\]` and `right\[1\]` must be as long, but they have 2 and",
    ):
        span_f1([["O"], ["O", "O"]], [["O"], ["O"]], scheme="bio")


def test_one_sequence_in_place_of_several_is_refused():
    with pytest.raises(
        TypeError,
        match=r'^span_f1: `right` must be sequences of labels, but among them is the text "stree',
    ):
        span_f1([["street"]], ["street"], scheme="runs")
