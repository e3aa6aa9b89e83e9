"""The pictures of a run: classes of any number and script, without a warning, at a sane size."""

import json
import math
import unicodedata

import matplotlib.image
import numpy as np
import pytest

from jaxseq.recipes import _pictures
from jaxseq.recipes._pictures import (
    LONGEST,
    SHOWN,
    Fonts,
    confusion_picture,
    fonts_for,
    history_picture,
    label_names,
    prefix_picture,
)
from jaxseq.training import EvaluationRecord, History, StepRecord

HISTORY = History(
    [StepRecord(n, 1 / n, 1.0, 0.5, 8.0, 0.1 * n) for n in range(1, 9)],
    [EvaluationRecord(4, 25.0000003), EvaluationRecord(8, 12.5)],
)


def matrix_of(size):
    return np.random.default_rng(0).integers(0, 9, (size, size)) + 40 * np.eye(size, dtype=int)


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn, with their axes."""
    figures, make = [], _pictures.figure

    def figure(width, height):
        figures.append(make(width, height))
        return figures[-1]

    monkeypatch.setattr(_pictures, "figure", figure)
    return figures


def names_on(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def numbers_on(axes):
    return {(*map(int, text.get_position()),): text.get_text() for text in axes.texts}


def without_hangul(monkeypatch):
    """Lets no font have Hangul, whatever is installed."""
    real = _pictures._letters

    def letters(font):
        return frozenset(c for c in real(font) if "HANGUL" not in unicodedata.name(c, ""))

    monkeypatch.setattr(_pictures, "_letters", letters)


# ------------------------------------------------------------------------------ the confusions


def test_the_rows_are_the_right_classes_and_have_their_counts(drawn, tmp_path):
    path = confusion_picture(tmp_path / "a.png", np.array([[3, 1], [0, 2]]), ["a", "b"], title="x")
    ((_, axes),) = drawn
    assert names_on(axes) == ["a", "b"] and axes.get_ylabel() == "right class"
    assert numbers_on(axes) == {(0, 0): "3", (1, 0): "1", (1, 1): "2"}
    np.testing.assert_allclose(axes.images[0].get_array(), [[75, 25], [0, 100]])
    assert axes.get_xlabel() == "class found"
    assert matplotlib.image.imread(path).shape[2] == 4


@pytest.mark.parametrize("size", [2, 12, 40, 95])
def test_any_number_of_classes_can_be_read(size, drawn, tmp_path):
    labels = [f"label {number:02}" for number in range(size)]
    matrix = matrix_of(size) if size < SHOWN else np.eye(size, k=1, dtype=int) + np.eye(size)
    path = confusion_picture(tmp_path / "a.png", matrix, labels, title="many")
    ((_, axes),) = drawn
    height, width, _ = matplotlib.image.imread(path).shape
    assert len(names_on(axes)) == min(size, SHOWN) and max(height, width) < 3200
    told = f"the {SHOWN} most frequent of 95 labels" in axes.get_title(loc="left")
    assert told == (size > SHOWN)


def test_of_many_classes_the_most_frequent_are_drawn_in_their_order(drawn, tmp_path):
    matrix = np.diag(np.arange(50))
    matrix[:, 0] += 1  # all are taken for the first at times, so that it is frequent too
    labels = [f"l{number:02}" for number in range(50)]
    confusion_picture(tmp_path / "a.png", matrix, labels, title="many")
    ((_, axes),) = drawn
    assert names_on(axes) == ["l00", *labels[11:]]


def test_classes_that_do_not_occur_are_left_out(drawn, tmp_path):
    matrix = np.zeros((4, 4), int)
    matrix[1, 3], matrix[3, 3] = 1, 5
    confusion_picture(tmp_path / "a.png", matrix, ["a", "b", "c", "d"], title="few")
    ((_, axes),) = drawn
    assert names_on(axes) == ["b", "d"] and numbers_on(axes) == {(1, 0): "1", (1, 1): "5"}


def test_labels_that_no_font_has_stand_as_their_numbers(drawn, tmp_path, monkeypatch):
    without_hangul(monkeypatch)
    labels = ["noun", "동사", "none", "조사"]
    matrix = np.diag([3, 2, 0, 1])
    confusion_picture(tmp_path / "a.png", matrix, labels, title="말뭉치.conll: 100 %")
    ((_, axes),) = drawn
    assert names_on(axes) == ["noun", "(2)", "(4)"]
    assert axes.get_xlabel() == "class found: (n) is the n-th of report.json"
    assert axes.get_title(loc="left") == "???.conll: 100 %"


ODD = [
    *("PRP$", "$x$", r"$\frac$", r"a\b", "_", "", "a\nb", "\x01", "x" * 400),
    *("동사", "動詞", "глагол", "فعل", "क्रिया", "🙂", "\U0010ffff", "e\u0301"),
]


def test_any_label_can_be_drawn(tmp_path):
    matrix = matrix_of(len(ODD))
    path = confusion_picture(tmp_path / "a.png", matrix, ODD, title="odd labels")
    height, width, _ = matplotlib.image.imread(path).shape
    assert max(height, width) < 2000


@pytest.mark.parametrize("title", ["x" * 400, "말뭉치 🙂 動詞 $x$ and $y\n\x01"])
def test_any_title_can_be_drawn(title, tmp_path):
    confusion_picture(tmp_path / "a.png", np.array([[3, 1], [0, 2]]), ["a", "b"], title=title)
    prefix_picture(tmp_path / "b.png", {"this model": {5: 0.5}}, title=title)
    history_picture(tmp_path, HISTORY, unit="nats", measure="error (%)", title=title)
    for name in ("a.png", "b.png", "learning_curve.png"):
        height, width, _ = matplotlib.image.imread(tmp_path / name).shape
        assert max(height, width) < 1300


# ---------------------------------------------------------------------------------- the letters


def test_the_usual_font_has_what_is_usual():
    fonts = fonts_for(["Straße, žluť: 5 %", "глагол"])
    assert fonts.lacking == frozenset() and len(fonts.families) == 1
    assert fonts_for([]) == fonts


def test_a_font_is_found_for_what_the_usual_one_lacks(monkeypatch):
    from matplotlib import font_manager

    entry = font_manager.FontEntry
    listed = [
        entry(fname="a", name="Last Resort Font", style="normal", weight=400),
        entry(fname="b", name="Bold", style="normal", weight=700),
        entry(fname="c", name="Slanted", style="italic", weight=400),
        entry(fname="d", name="Latin", style="normal", weight=400),
        entry(fname="e", name="Korean", style="normal", weight=400),
        entry(fname="f", name="Unneeded", style="normal", weight=400),
    ]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", listed)
    has = {"d": frozenset("abc"), "e": frozenset("한글")}
    usual = _pictures._usual()
    everything = frozenset("abc한글\u0e01")
    monkeypatch.setattr(
        _pictures, "_letters", lambda f: frozenset("abc") if f == usual else has.get(f, everything)
    )
    fonts = fonts_for(["한 a", "글\x01"])
    assert fonts.families[1:] == ["Korean"]
    assert fonts.lacking == {" ", "\x01"}


def test_labels_are_short_and_no_formulas():
    fonts = Fonts(["serif"], frozenset("동사"))
    long = "a label that is too long for a picture"
    names = label_names(["PRP$", "동사", long, "x" * LONGEST, "x" * LONGEST + "동"], fonts)
    assert names[:2] == [r"PRP\$", "(2)"]
    assert names[2] == long[: LONGEST - 1] + "…" and names[3] == "x" * LONGEST
    assert names[4] == "x" * (LONGEST - 1) + "…"  # what is cut off needs no font
    assert fonts.line("동 $a$") == r"? \$a\$"


# -------------------------------------------------------------------------- beginnings, history


def test_a_curve_has_a_point_for_each_number_of_characters(drawn, tmp_path):
    curves = {"this model": {5: 0.5, 50: 0.75}, "naive Bayes": {5: 0.25, 50: 1.0}}
    prefix_picture(tmp_path / "a.png", curves, title="udhr")
    ((_, axes),) = drawn
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert lines == {"this model": [[5, 50], [50, 75]], "naive Bayes": [[5, 25], [50, 100]]}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["5", "50"]
    assert axes.get_title(loc="left") == "udhr"


def test_a_history_is_written_and_drawn(tmp_path):
    history_picture(tmp_path, HISTORY, unit="nats", measure="error (%)", title="a run")
    page = json.loads((tmp_path / "history.json").read_text())
    assert page["evaluations"] == {"step": [4, 8], "value": [25.0, 12.5]}
    assert len(page["steps"]["loss"]) == 8
    assert matplotlib.image.imread(tmp_path / "learning_curve.png").std() > 0.05


def test_a_measure_of_nothing_is_no_part_of_the_history(tmp_path):
    history = History(HISTORY.steps, [EvaluationRecord(8, 0.0)])
    history_picture(tmp_path, history, unit="nats", measure=None, title="a run")
    page = json.loads((tmp_path / "history.json").read_text())
    assert page["evaluations"] == {"step": [], "value": []}


def test_a_measure_that_was_never_finite_is_not_drawn(tmp_path):
    history = History(HISTORY.steps, [EvaluationRecord(8, math.nan)])
    history_picture(tmp_path, history, unit="nats", measure="error (%)", title="a run")
    assert (tmp_path / "learning_curve.png").stat().st_size > 0
