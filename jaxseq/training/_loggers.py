"""Where the scalars of a run are written while it runs: a small interface and two back ends."""

import contextlib
import csv
import io
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from jaxseq._checks import InputError, error
from jaxseq.training._history import EvaluationRecord, StepRecord

FLUSH_SECONDS = 2.0
"""TensorBoard sees what was written at most so late."""


@runtime_checkable
class Logger(Protocol):
    """What :func:`fit` tells of a run: write one for the tracker that you use.

    Example:
      >>> class Printed:
      ...     def start(self, step, *, resume):
      ...         print("from step", step)
      ...     def write(self, step, scalars):
      ...         print(step, scalars)
      ...     def close(self):
      ...         print("end")
      >>> logger: Logger = Printed()
      >>> logger.write(3, {"loss": 1.5})
      3 {'loss': 1.5}
    """

    def start(self, step: int, *, resume: bool) -> None:
        """Opens the log of a run that has ``step`` steps behind it.

        Args:
          step: a run that is resumed may have written later steps before it was stopped: they come
            again, and the old ones are to be dropped.
          resume: whether an earlier log is to go on; if not, it must not be overwritten.
        """

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes scalars of a step, each under its name."""

    def close(self) -> None:
        """Ends the log: everything is on the disk after it."""


class CSVLogger:
    """Writes scalars into a CSV file with the columns ``step``, ``name`` and ``value``.

    A line is on its way to the disk as soon as it is written, so the file can be read while the run
    is under way: ``pandas.read_csv(path).pivot(index="step", columns="name", values="value")``.

    Args:
      path: of the file; its directory is made if need be.

    Raises:
      InputError: by ``start``, if there is a log already and the run is not resumed, or the file is
        no such log.
      OSError: if it cannot be written.

    Example:
      >>> import pathlib, tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = pathlib.Path(directory) / "log.csv"
      ...     logger = CSVLogger(path)
      ...     logger.start(0, resume=False)
      ...     logger.write(1, {"loss": 2.0, "norm": 0.5})
      ...     logger.close()
      ...     print(path.read_text())
      step,name,value
      1,loss,2.0
      1,norm,0.5
    """

    HEADER = ("step", "name", "value")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file: Any = None

    def start(self, step: int, *, resume: bool) -> None:
        """Opens the file; what it says of steps after ``step`` is dropped if the run is resumed."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = self._before(step, resume) if self.path.exists() else []
        # The old file stays until the shortened one is whole.
        draft = self.path.with_name(f".{self.path.name}.partial")
        draft.write_text(_lines([self.HEADER, *kept]), encoding="utf-8")
        os.replace(draft, self.path)
        self._file = self.path.open("a", encoding="utf-8", buffering=1, newline="")

    def _before(self, step: int, resume: bool) -> list[tuple[str, ...]]:
        with self.path.open(encoding="utf-8", errors="replace", newline="") as file:
            head, *rows = [tuple(row) for row in csv.reader(file)] or [self.HEADER]
        if head != self.HEADER:
            problem = f"{self.path} is no log: its first line is not {','.join(self.HEADER)}"
            hint = "name another file"
            raise error("CSVLogger", problem, hint=hint, kind=InputError)
        if rows and not resume:
            raise _there_already("CSVLogger", self.path)
        # A run that was killed may have left half a line.
        whole = [row for row in rows if len(row) == len(head) and row[0].isdecimal()]
        return [row for row in whole if int(row[0]) <= step]

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes a line for each scalar."""
        self._file.write(_lines([(step, name, float(value)) for name, value in scalars.items()]))

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


class TensorBoardLogger:
    """Writes scalars that ``tensorboard --logdir DIRECTORY`` shows while the run is under way.

    They are written by this thread, at most two seconds late, so a full disk ends the run with an
    error instead of a log that stays silent.

    Args:
      directory: of the log; it is made if need be.

    Raises:
      ImportError: if tensorboardX is not installed (the extra ``tensorboard``).
      InputError: by ``start``, if there is a log already and the run is not resumed.
      OSError: if it cannot be written.

    Example:
      >>> import pathlib, tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     logger = TensorBoardLogger(directory)
      ...     logger.start(0, resume=False)
      ...     logger.write(1, {"loss": 2.0})
      ...     logger.close()
      ...     [path.name.split(".")[2] for path in pathlib.Path(directory).iterdir()]
      ['tfevents']
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self._writer: Any = None
        self._flushed = 0.0
        try:
            from tensorboardX import event_file_writer
            from tensorboardX.proto import event_pb2, summary_pb2
        except ImportError as cause:
            raise error(
                "TensorBoardLogger",
                "tensorboardX, which writes the files of TensorBoard, is not installed",
                hint="pip install 'jaxseq[tensorboard]'",
                kind=ImportError,
            ) from cause
        # The messages of these modules are made when they are imported: no type checker sees them.
        self._writers: Any = event_file_writer
        self._events: Any = event_pb2
        self._summaries: Any = summary_pb2

    def start(self, step: int, *, resume: bool) -> None:
        """Opens a file of its own; TensorBoard drops what earlier ones say of steps after it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        there = len(list(self.directory.glob("events.out.tfevents.*")))
        if there and not resume:
            raise _there_already("TensorBoardLogger", self.directory)
        # The number keeps apart what begins within the same second.
        prefix = str(self.directory / "events")
        self._writer = self._writers.EventsWriter(prefix, filename_suffix=f".{there}")
        if there:
            begin = self._events.SessionLog(status=self._events.SessionLog.START)
            self._event(step + 1, session_log=begin)

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes the scalars of a step, as one event."""
        value = self._summaries.Summary.Value
        values = [value(tag=name, simple_value=float(found)) for name, found in scalars.items()]
        self._event(step, summary=self._summaries.Summary(value=values))
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._writer.flush()
            self._flushed = time.monotonic()

    def _event(self, step: int, **what: Any) -> None:
        event = self._events.Event(step=step, wall_time=time.time(), **what)
        self._writer.write_event(event)

    def close(self) -> None:
        """Writes what is left and closes the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class Scalars:
    """Tells loggers of the steps and evaluations that the training loop reports.

    Example:
      >>> Scalars(()).update([])
    """

    def __init__(self, loggers: Sequence[Logger]) -> None:
        self.loggers = loggers

    def update(self, records: Sequence[StepRecord]) -> None:
        """Writes the scalars of steps that have ended."""
        for record in records:
            scalars = record._asdict()
            self._write(scalars.pop("step"), scalars)

    def evaluated(self, record: EvaluationRecord) -> None:
        """Writes an evaluation."""
        self._write(record.step, {"evaluation": record.value})

    def _write(self, step: int, scalars: Mapping[str, float]) -> None:
        for logger in self.loggers:
            logger.write(step, scalars)


@contextlib.contextmanager
def scalars_to(loggers: Sequence[Logger], step: int, *, resume: bool) -> Iterator[Scalars]:
    """Opens loggers, and closes them whatever happens.

    Args:
      loggers: any number.
      step: how many steps are behind the run.
      resume: whether earlier logs go on.

    Yields:
      What to tell of steps and evaluations.

    Example:
      >>> with scalars_to((), 0, resume=False) as scalars:
      ...     scalars.update([])
    """
    with contextlib.ExitStack() as stack:
        for logger in loggers:
            logger.start(step, resume=resume)
            stack.callback(logger.close)
        yield Scalars(loggers)


def _lines(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _there_already(where: str, path: Path) -> Exception:
    return error(
        where,
        f"there is a log in {path} already",
        hint="continue its run with resume=True, or choose another place",
        kind=InputError,
    )
