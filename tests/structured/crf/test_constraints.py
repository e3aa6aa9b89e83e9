"""Labelling schemes as masks, against what a reader of labels accepts."""

import itertools

import pytest

from jaxseq.structured import crf


def accepts(allowed, path):
    """Whether masks allow a path of tag numbers."""
    steps = all(allowed.transitions[i, j] for i, j in itertools.pairwise(path))
    return bool(allowed.initial[path[0]] and allowed.final[path[-1]] and steps)


def spans_end(labels, inside, ends):
    """Whether labels are whole spans: read from left to right, the open span's kind in hand."""
    open_kind = None
    for label in labels:
        part, _, kind = label.partition("-")
        if part in (inside, "E"):
            if open_kind != kind:
                return False
        elif open_kind is not None and ends:
            return False
        open_kind = None if part in "OES" else kind
    return not (ends and open_kind is not None)


@pytest.mark.parametrize(
    ("scheme", "parts", "inside", "ends"),
    [(crf.bio, "BI", "I", False), (crf.bioes, "BIES", "I", True), (crf.bmes, "BMES", "M", True)],
)
def test_a_scheme_allows_whole_spans_alone(scheme, parts, inside, ends):
    labels = ["O", *(f"{part}-{kind}" for kind in ("X", "Y") for part in parts)]
    allowed = scheme(labels)
    for path in itertools.product(range(len(labels)), repeat=3):
        assert accepts(allowed, path) == spans_end([labels[i] for i in path], inside, ends)


@pytest.mark.parametrize(
    ("scheme", "labels", "text"),
    [
        (crf.bio, ["O", "E-X"], r'crf\.bio: "E-X" is no label of the scheme.\n  Hint: .* B, I'),
        (crf.bioes, [], r"crf\.bioes: `labels` must be distinct and at least one"),
        (crf.bmes, ["B", "B"], r"crf\.bmes: `labels` must be distinct"),
    ],
)
def test_what_is_no_label_is_said(scheme, labels, text):
    with pytest.raises(ValueError, match=text):
        scheme(labels)
