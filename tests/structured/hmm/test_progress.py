"""How a fit shows its progress."""

import io

import jax
import numpy as np
import pytest

from jaxseq.structured import hmm
from jaxseq.structured.hmm import _progress
from jaxseq.structured.hmm._progress import reporter


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_log_has_a_line_now_and_then_and_one_at_the_end(monkeypatch):
    file = io.StringIO()
    with reporter(True, 100, 2, file=file) as report:
        report.begin()
        report.update(1, -20.0, 3.0)
        report.update(5, -12.5, 0.5)
    line = "iteration 5 of at most 100: restart 1/2, log-likelihood -12.5000, gain 5.00e-01"
    assert file.getvalue().startswith(line) and file.getvalue().endswith("it/s\n")
    monkeypatch.setattr(_progress, "SECONDS", 0.0)
    with reporter(True, 100, 1, file=file) as report:
        for iteration in range(3):
            report.update(iteration, -1.0, 0.1)
    assert file.getvalue().count("\n") == 4


def test_a_terminal_has_a_bar():
    file = Terminal()
    with reporter(True, 100, 1, file=file) as report:
        report.begin()
        report.update(7, -12.5, 0.5)
    assert "7/100" in file.getvalue() and "log-likelihood" in file.getvalue()


def test_silence_is_silent(capsys):
    with reporter(False, 100, 1) as report:
        report.begin()
        report.update(7, -12.5, 0.5)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("progress", [True, False])
def test_a_fit_shows_its_progress_if_asked(progress, capsys):
    counts = np.array([1, 2, 1, 9, 8, 9])
    hmm.fit(jax.random.key(0), hmm.poisson(2), counts, progress=progress, restarts=2)
    shown = capsys.readouterr().err
    assert ("restart 2/2, log-likelihood -" in shown) == progress and bool(shown) == progress
