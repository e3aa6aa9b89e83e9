import io

from jaxseq.training import EvaluationRecord, StepRecord, fit
from jaxseq.training._progress import Lines, reporter


def records(*numbers, loss=2.0, count=500.0):
    return [StepRecord(n, loss, 0.5, 0.5, count, 0.5 * n) for n in numbers]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_where_there_is_no_terminal_a_line_is_printed_at_the_end():
    file = io.StringIO()
    with reporter(True, 10, 0, file=file) as report:
        report.update(records(1, 2, 3))
        report.evaluated(EvaluationRecord(3, 1.75))
        report.update(records(4))
        assert file.getvalue() == ""
    assert file.getvalue() == (
        "step 4/10: loss 2.0000, norm 0.5000, 1k tokens/s, 0:00:03 left, "
        "evaluation 1.7500 at step 3\n"
    )


def test_a_line_is_printed_when_it_is_time():
    file = io.StringIO()
    lines = Lines(file, 4000, seconds=0.0)
    lines.update(records(1, 2))
    lines.update(records(3, loss=float("nan"), count=5e6))
    lines.line()
    first, second = file.getvalue().splitlines()
    assert first == "step 2/4000: loss 2.0000, norm 0.5000, 1k tokens/s, 0:33:19 left"
    assert second == "step 3/4000: loss not finite, norm 0.5000, 5M tokens/s, 0:33:18 left"


def test_speed_is_that_of_the_last_seconds():
    file = io.StringIO()
    lines = Lines(file, 100, seconds=0.0)
    lines.update(records(*range(1, 30), count=1e9))
    lines.update(records(*range(30, 60), count=10.0))
    assert "20 tokens/s, 0:00:20 left" in file.getvalue().splitlines()[-1]


def test_a_terminal_shows_a_bar(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    file = Terminal()
    with reporter(True, 10, 2, file=file) as report:
        report.evaluated(EvaluationRecord(3, 1.75))
        report.update(records(3, 4))
    text = file.getvalue()
    assert "compiling" in text
    assert "4/10" in text
    assert "loss 2.0000, norm 0.5000, 1k tokens/s, 0:00:03 left, evaluation 1.7500" in text


def test_fit_prints_to_the_error_stream_or_nothing(state, step, batches, capsys):
    fit(state, step, batches(), steps=2)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("step 2/2: loss ")
    fit(state, step, batches(), steps=2, progress=False)
    assert capsys.readouterr().err == ""
