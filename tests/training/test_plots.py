import math
import sys

import matplotlib.image
import numpy as np
import pytest

from jaxseq._checks import InputError
from jaxseq.training import EvaluationRecord, History, StepRecord, learning_curve


@pytest.fixture
def history():
    rng = np.random.default_rng(0)
    history = History()
    for step in range(1, 401):
        loss = 1.5 + 2 * math.exp(-step / 80) + 0.1 * float(rng.normal())
        norm = math.exp(0.5 * float(rng.normal()))
        history.steps.append(StepRecord(step, loss, norm, min(norm, 1.0), 64.0, 0.01 * step))
    history.evaluations += [
        EvaluationRecord(n, 1.6 + 2 * math.exp(-n / 80)) for n in (100, 200, 400)
    ]
    return history


def test_a_picture_is_drawn(history, tmp_path):
    path = learning_curve(history, tmp_path / "run.png", title="a run")
    picture = matplotlib.image.imread(path)
    assert picture.shape[:2] == (900, 1200)
    assert picture.std() > 0.05


def test_what_is_not_finite_is_left_out(history, tmp_path):
    bad = [StepRecord(n, math.nan, math.inf, math.inf, 64.0, 5.0) for n in range(401, 405)]
    learning_curve(
        History(history.steps + bad, [EvaluationRecord(9, math.nan)]), tmp_path / "a.png"
    )
    learning_curve(History(bad), tmp_path / "b.png")
    assert (tmp_path / "b.png").stat().st_size > 0


def test_a_scale_turns_nats_into_bits(history, tmp_path):
    svg = learning_curve(history, tmp_path / "run.svg", unit="bits per character", scale=1.44)
    assert "bits per character" in svg.read_text()


@pytest.fixture
def panels(monkeypatch):
    """The axes of the pictures that are drawn."""
    from matplotlib.figure import Figure

    found, make = [], Figure.subplots

    def subplots(*arguments, **options):
        found.append(make(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(Figure, "subplots", subplots)
    return found


def dots(axes):
    (line,) = [line for line in axes.get_lines() if line.get_label() == "evaluation"]
    return line.get_xydata().tolist()


def test_another_measure_than_the_loss_is_drawn_by_itself(history, panels, tmp_path):
    learning_curve(history, tmp_path / "a.png", scale=2.0, evaluation="error (%)")
    ((loss, error, norm),) = panels
    assert [axes.get_ylabel() for axes in (loss, error, norm)] == [
        *("loss (nats per token)", "error (%)", "gradient norm")
    ]
    assert dots(error) == [[record.step, record.value] for record in history.evaluations]
    assert "evaluation" not in {line.get_label() for line in loss.get_lines()}
    assert loss.get_xlim() == error.get_xlim() == norm.get_xlim()
    assert not error.yaxis.get_major_formatter().get_useOffset()


def test_the_loss_measured_is_drawn_beside_the_loss(history, panels, tmp_path):
    learning_curve(history, tmp_path / "a.png", scale=2.0)
    ((loss, _),) = panels
    assert dots(loss) == [[record.step, 2 * record.value] for record in history.evaluations]


@pytest.mark.parametrize("values", [[], [math.nan]])
def test_without_a_finite_evaluation_there_is_no_panel_for_it(values, history, panels, tmp_path):
    evaluations = [EvaluationRecord(9, value) for value in values]
    history = History(history.steps, evaluations)
    learning_curve(history, tmp_path / "a.png", evaluation="error (%)")
    assert [len(axes) for axes in panels] == [2]


def test_an_empty_history_is_refused(tmp_path):
    with pytest.raises(InputError, match="learning_curve: `history` has no steps to draw"):
        learning_curve(History(), tmp_path / "run.png")


def test_without_matplotlib_the_extra_is_named(history, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"matplotlib, which draws, .*\n.*'jaxseq\[plot\]'"):
        learning_curve(history, tmp_path / "run.png")
