"""How far a run has come: a bar on a terminal, a line now and then elsewhere."""

import contextlib
import math
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from jaxseq.training._history import EvaluationRecord, StepRecord

WINDOW = 10.0
"""Speed is measured over so many seconds."""


class Reporter(Protocol):
    """Tells a person how far a run has come."""

    def update(self, records: Sequence[StepRecord]) -> None:
        """Takes note of steps that have ended."""

    def evaluated(self, record: EvaluationRecord) -> None:
        """Takes note of an evaluation."""


class Silent:
    """Says nothing.

    Example:
      >>> Silent().update([])
    """

    def update(self, records: Sequence[StepRecord]) -> None:
        """Ignores the steps."""

    def evaluated(self, record: EvaluationRecord) -> None:
        """Ignores the evaluation."""


class Status:
    """The text that bar and lines share.

    Example:
      >>> status = Status(steps=10)
      >>> losses = (2.0, 1.0)
      >>> status.add([StepRecord(n, losses[n - 1], 0.5, 0.5, 8.0, 0.5 * n) for n in (1, 2)])
      >>> status.text()
      'loss 1.5000, norm 0.5000, 16 tokens/s, 0:00:04 left'
    """

    def __init__(self, steps: int) -> None:
        self.steps, self.step = steps, 0
        self.recent: deque[StepRecord] = deque()
        self.fresh: Sequence[StepRecord] = ()
        self.evaluation: EvaluationRecord | None = None

    def add(self, records: Sequence[StepRecord]) -> None:
        """Takes note of steps that have ended."""
        self.recent.extend(records)
        self.fresh = records or self.fresh
        if self.recent:
            self.step = self.recent[-1].step
            while self.recent[-1].seconds - self.recent[0].seconds > WINDOW:
                self.recent.popleft()

    def text(self) -> str:
        """Returns loss, gradient norm, speed, time left, and the last evaluation."""
        losses = [record.loss for record in self.fresh if math.isfinite(record.loss)]
        parts = [f"loss {sum(losses) / len(losses):.4f}" if losses else "loss not finite"]
        if self.fresh:
            parts.append(f"norm {self.fresh[-1].norm:.4f}")
        if len(self.recent) > 1:
            seconds = max(self.recent[-1].seconds - self.recent[0].seconds, 1e-9)
            tokens = sum(record.count for record in self.recent) - self.recent[0].count
            left = (self.steps - self.step) * seconds / (len(self.recent) - 1)
            parts += [f"{_short(tokens / seconds)} tokens/s", f"{_clock(left)} left"]
        if self.evaluation is not None:
            parts.append(f"evaluation {self.evaluation.value:.4f} at step {self.evaluation.step}")
        return ", ".join(parts)


def _short(number: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


class Bar:
    """A progress bar on a terminal."""

    def __init__(self, progress: Progress, steps: int, start: int) -> None:
        self.progress, self.status = progress, Status(steps)
        self.task = progress.add_task("", total=steps, completed=start, text="compiling")

    def update(self, records: Sequence[StepRecord]) -> None:
        """Takes note of steps that have ended, and draws."""
        self.status.add(records)
        if records:
            text = self.status.text()
            self.progress.update(self.task, completed=self.status.step, text=text, refresh=True)

    def evaluated(self, record: EvaluationRecord) -> None:
        """Takes note of an evaluation."""
        self.status.evaluation = record


class Lines:
    """A line now and then, for logs and notebooks."""

    def __init__(self, file: Any, steps: int, *, seconds: float = 10.0) -> None:
        self.file, self.status, self.seconds = file, Status(steps), seconds
        self.printed = (0, time.monotonic())

    def update(self, records: Sequence[StepRecord]) -> None:
        """Takes note of steps that have ended, and prints a line if it is time."""
        self.status.add(records)
        if time.monotonic() - self.printed[1] >= self.seconds:
            self.line()

    def evaluated(self, record: EvaluationRecord) -> None:
        """Takes note of an evaluation."""
        self.status.evaluation = record

    def line(self) -> None:
        """Prints a line, unless nothing has happened since the last one."""
        if self.status.step > self.printed[0]:
            text = f"step {self.status.step}/{self.status.steps}: {self.status.text()}"
            print(text, file=self.file, flush=True)
        self.printed = (self.status.step, time.monotonic())


@contextlib.contextmanager
def reporter(shown: bool, steps: int, start: int, *, file: Any = None) -> Iterator[Reporter]:
    """Chooses how progress is shown: a bar on a terminal, lines elsewhere, or not at all.

    Args:
      shown: whether to show anything.
      steps: the number of the last step.
      start: how many steps are behind us already.
      file: where to; the standard error stream.

    Yields:
      What to tell about steps and evaluations.

    Example:
      >>> with reporter(False, steps=10, start=0) as report:
      ...     report.update([])
    """
    file = file or sys.stderr
    console = Console(file=file)
    if not shown:
        yield Silent()
    elif console.is_terminal and not console.is_jupyter:
        # Drawn whenever results arrive: a drawing thread would only get in the way of signals.
        columns = (MofNCompleteColumn(), BarColumn(), TextColumn("{task.fields[text]}"))
        with Progress(*columns, console=console, auto_refresh=False) as progress:
            yield Bar(progress, steps, start)
    else:
        lines = Lines(file, steps)
        yield lines
        lines.line()
