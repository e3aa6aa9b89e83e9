"""How far a fit has come: a bar on a terminal, a line now and then elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

SECONDS = 10.0
"""Lines are so far apart."""


class Report:
    """Takes note of a fit's iterations, and shows them.

    Example:
      >>> report = Report(1, print)
      >>> report.begin()
      >>> report.update(3, -342.5, 0.25)
      3 log-likelihood -342.5000, gain 2.50e-01
    """

    def __init__(self, restarts: int, show: Callable[[int, str], None]) -> None:
        self.restarts, self.restart, self.show = restarts, 0, show
        self.began: tuple[int, float] | None = None

    def begin(self) -> None:
        """Begins the next restart."""
        self.restart += 1
        self.began = None

    def update(self, iteration: int, log_likelihood: float, gain: float) -> None:
        """Takes note of how far a restart has come."""
        now = time.monotonic()
        # Speed is measured from the first report on, which compiling came before.
        self.began = self.began or (iteration, now)
        parts = [f"restart {self.restart}/{self.restarts}"] if self.restarts > 1 else []
        parts += [f"log-likelihood {log_likelihood:.4f}", f"gain {gain:.2e}"]
        done, seconds = iteration - self.began[0], now - self.began[1]
        if done and seconds > 0:
            parts.append(f"{done / seconds:.3g} it/s")
        self.show(iteration, ", ".join(parts))


@contextlib.contextmanager
def reporter(shown: bool, iterations: int, restarts: int, *, file: Any = None) -> Iterator[Report]:
    """Chooses how progress is shown: a bar on a terminal, lines elsewhere, or not at all.

    Args:
      shown: whether to show anything.
      iterations: at most, in each restart.
      restarts: how many there are.
      file: where to; the standard error stream.

    Yields:
      What to tell about iterations.

    Example:
      >>> with reporter(False, 10, 1) as report:
      ...     report.update(1, -3.0, 0.5)
    """
    file = file or sys.stderr
    console = Console(file=file)
    if not shown:
        yield Report(restarts, lambda iteration, text: None)
    elif console.is_terminal and not console.is_jupyter:
        columns = (MofNCompleteColumn(), BarColumn(), TextColumn("{task.fields[text]}"))
        # Drawn whenever results arrive: a drawing thread would only get in the way of signals.
        with Progress(*columns, console=console, auto_refresh=False) as progress:
            task = progress.add_task("", total=iterations, text="compiling")

            def draw(iteration: int, text: str) -> None:
                progress.update(task, completed=iteration, text=text, refresh=True)

            yield Report(restarts, draw)
    else:
        lines = Lines(file, iterations)
        yield Report(restarts, lines.note)
        lines.print()


class Lines:
    """A line now and then, and one at the end."""

    def __init__(self, file: Any, iterations: int) -> None:
        self.file, self.iterations = file, iterations
        self.text, self.printed = "", time.monotonic()

    def note(self, iteration: int, text: str) -> None:
        """Takes note of how far it is, and prints if it is time."""
        self.text = f"iteration {iteration} of at most {self.iterations}: {text}"
        if time.monotonic() - self.printed >= SECONDS:
            self.print()

    def print(self) -> None:
        """Prints what was noted last, unless it was printed."""
        if self.text:
            print(self.text, file=self.file, flush=True)
        self.text, self.printed = "", time.monotonic()
