"""Measures of classes, spans and texts are those of scikit-learn, seqeval and jiwer."""

import importlib

import numpy as np
import pytest
from metric_cases import CLASSES, SPANS, TEXTS, draw_classes, draw_spans, draw_texts, load

from jaxseq.losses import (
    confusion_matrix,
    error_rate,
    macro_f1,
    precision_recall_f1,
    span_f1,
    spans,
)


def check_classes(given, found):
    predictions, targets = np.array(given["predictions"]), np.array(given["targets"])
    matrix = confusion_matrix(predictions, targets, num_classes=given["num_classes"])
    assert matrix.tolist() == found["confusion"]
    for name, ours in precision_recall_f1(matrix)._asdict().items():
        np.testing.assert_allclose(ours, found[name], rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(macro_f1(matrix), found["macro_f1"], rtol=1e-6)


def check_spans(given, found):
    for which in ("predicted", "right"):
        for labels, theirs in zip(given[which], found[f"spans_{which}"], strict=True):
            assert [list(span) for span in spans(labels, scheme=given["scheme"])] == theirs, labels
    ours = span_f1(given["predicted"], given["right"], scheme=given["scheme"])
    of_all = [ours.precision, ours.recall, ours.f1, ours.right]
    np.testing.assert_allclose(of_all, found["micro"], rtol=1e-12)
    assert list(ours.per_label) == list(found["per_label"])
    for label, theirs in found["per_label"].items():
        one = ours.per_label[label]
        np.testing.assert_allclose(
            [one.precision, one.recall, one.f1, one.right], theirs, rtol=1e-12
        )


def check_texts(given, found):
    of_characters = error_rate(given["predicted"], given["right"])
    of_words = error_rate(*([text.split() for text in given[name]] for name in given))
    for ours, theirs in ((of_words, found["words"]), (of_characters, found["characters"])):
        assert [ours.errors, ours.length] == theirs[:2]
        assert ours.rate == pytest.approx(theirs[2], rel=1e-12)


TABLE = {
    "classes": ("sklearn", CLASSES, draw_classes, check_classes),
    "spans": ("seqeval", SPANS, draw_spans, check_spans),
    "texts": ("jiwer", TEXTS, draw_texts, check_texts),
}
ALL = [(kind, name) for kind, (_, names, _, _) in TABLE.items() for name in names]


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_measures_are_the_recorded_ones(kind, name):
    case = load(kind)[name]
    TABLE[kind][3](case["given"], case["found"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what the others warn of is their own affair
@pytest.mark.parametrize(("kind", "name"), ALL)
def test_measures_are_those_of_the_installed_library(kind, name):
    library, _, draw, check = TABLE[kind]
    pytest.importorskip(library, reason=f"{library} is not installed: its recording is compared")
    compute = getattr(importlib.import_module("make_metric_fixtures"), f"compute_{kind}")
    check(draw(name), compute(draw(name)))
