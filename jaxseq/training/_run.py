"""A run under way: what the training loop keeps, and the parts of one round."""

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseq._checks import InputError, error
from jaxseq._types import PyTree
from jaxseq.training._checkpoints import Checkpoints
from jaxseq.training._evaluate import IN_FLIGHT
from jaxseq.training._history import EvaluationRecord, History, StepRecord
from jaxseq.training._progress import Reporter
from jaxseq.training._state import TrainState
from jaxseq.training._step import Metrics, Step

FETCH_SECONDS = 0.2
"""Results are fetched from the device at most so often."""

PACK = 16
"""So many steps' results become one on the device: what a fetch costs depends on their number."""


class DivergedError(ArithmeticError):
    """Too many steps in a row had a loss or a gradient that was not finite.

    Attributes:
      state: after the last step; its params are those of the last finite one.
      history: until then.

    Example:
      >>> issubclass(DivergedError, ArithmeticError)
      True
    """

    state: TrainState | None = None
    history: History | None = None


class Best(NamedTuple):
    """The best evaluation of a run.

    Attributes:
      step: when.
      value: what it returned.
      params: what it was of.

    Example:
      >>> Best(step=100, value=1.7, params={}).value
      1.7
    """

    step: int
    value: float
    params: PyTree


class Run:
    """A run under way; :func:`fit` documents the arguments."""

    def __init__(
        self,
        state: TrainState,
        step: Step,
        batches: Any,
        *,
        evaluate: Callable[[PyTree], Any] | None,
        checkpoints: Checkpoints | None,
        max_skipped: int,
    ) -> None:
        # A step overwrites the state that it is given; the caller's own must survive that.
        self.state: TrainState = jax.tree.map(jnp.copy, state)
        self.step, self.batches = step, batches
        self.iterator = batches if hasattr(batches, "__next__") else iter(batches)
        self.evaluate, self.checkpoints, self.max_skipped = evaluate, checkpoints, max_skipped
        self.history = History()
        self.reports: tuple[Reporter, ...] = ()
        self.number = self.first = int(state.step)
        self.best: Best | None = None
        self.waited = self.streak = 0
        self.saved = self.evaluated = -1
        self.pending: list[Metrics] = []
        self.packed: list[Metrics] = []
        self.flight: deque[Any] = deque()
        self.seconds, self.origin = 0.0, time.monotonic()

    def restore(self, checkpoints: Checkpoints) -> None:
        """Continues from the latest checkpoint."""
        like = self.state
        self.state, extra = checkpoints.restore(like)
        if "fit" not in extra:
            raise error(
                "fit",
                f"the checkpoint in {checkpoints.directory} was not written by fit, so it does not "
                "say where the data stood",
                hint="use Checkpoints.restore, and fit without `resume`",
                kind=InputError,
            )
        kept = extra["fit"]
        self.batches.seek(kept["cursor"])
        self.waited, self.streak, self.evaluated = kept["waited"], kept["streak"], kept["evaluated"]
        if kept["best"] is not None:
            step, value = kept["best"]
            params = checkpoints.restore_params(like.params, which="best")
            self.best = Best(step, value, params)
        before = History.from_json(kept["history"])
        self.history.steps[:], self.history.evaluations[:] = before.steps, before.evaluations
        self.number = self.first = self.saved = int(self.state.step)
        self.seconds = kept["seconds"]
        self.origin = time.monotonic() - self.seconds

    def advance(self) -> bool:
        """Takes one step; returns False if there is no batch for it."""
        try:
            batch = next(self.iterator)
        except StopIteration:
            if self.number == self.first:
                raise error(
                    "fit",
                    "`batches` gave no batch to train on",
                    hint="an iterator that was read to its end gives nothing more: make a new one",
                    kind=InputError,
                ) from None
            return False
        self.state, metrics = self.step(self.state, batch)
        self.number += 1
        self.pending.append(metrics)
        if len(self.pending) == PACK:
            self.packed.append(_pack(self.pending))
            self.pending = []
        self.flight.append(metrics.loss)
        if len(self.flight) > IN_FLIGHT:
            # Running far ahead would only delay the end that a signal asks for.
            jax.block_until_ready(self.flight.popleft())
        return True

    def look_after(self, evaluate_every: int | None, checkpoint_every: int | None) -> None:
        """Fetches, evaluates and saves, as far as it is time to."""
        evaluate = evaluate_every is not None and self.number % evaluate_every == 0
        save = checkpoint_every is not None and self.number % checkpoint_every == 0
        waiting = time.monotonic() - self.origin - self.seconds
        if evaluate or save or waiting >= FETCH_SECONDS:
            self.collect()
        improved = evaluate and self.assess()
        if improved or save:
            self.save(improved=improved)

    def finish(self, *, evaluate: bool) -> None:
        """Fetches what is left, evaluates if asked to, and saves."""
        self.collect()
        due = evaluate and self.evaluate is not None and self.evaluated != self.number
        improved = due and self.assess()
        if improved or self.saved != self.number:
            self.save(improved=improved)

    def collect(self) -> None:
        """Fetches the results of the steps since the last time.

        Raises:
          DivergedError: if too many in a row were not finite.
        """
        packed, pending = jax.device_get((self.packed, self.pending))
        self.packed, self.pending = [], []
        fetched = [Metrics(*row) for pack in packed for row in zip(*pack, strict=True)] + pending
        if not fetched:
            return
        numbers = range(self.number - len(fetched) + 1, self.number + 1)
        start, self.seconds = self.seconds, time.monotonic() - self.origin
        times = np.linspace(start, self.seconds, len(numbers) + 1)[1:]
        records = [_record(*row) for row in zip(numbers, fetched, times, strict=True)]
        self.history.steps.extend(records)
        for report in self.reports:
            report.update(records)
        for number, metric in zip(numbers, fetched, strict=True):
            self.streak = 0 if metric.finite else self.streak + 1
            if self.streak > self.max_skipped:
                raise self.diverged(number)

    def diverged(self, number: int) -> Exception:
        """Returns the error that says since when nothing is finite."""
        last = self.history.steps[-1]
        what = "gradient" if math.isfinite(last.loss) else "loss"
        diverged = error(
            "fit",
            f"the {what} has not been finite for {self.streak} steps in a row, up to step {number};"
            " none of them was applied",
            hint="lower the learning rate, or max_norm in make_step",
            kind=DivergedError,
        )
        assert isinstance(diverged, DivergedError)
        diverged.state, diverged.history = self.state, self.history
        return diverged

    def assess(self) -> bool:
        """Evaluates; returns whether the params are the best so far."""
        if self.evaluate is None:
            return False
        started = time.monotonic()
        value = float(self.evaluate(self.state.params))
        self.origin += time.monotonic() - started
        self.evaluated = self.number
        record = EvaluationRecord(self.number, value)
        self.history.evaluations.append(record)
        for report in self.reports:
            report.evaluated(record)
        improved = math.isfinite(value) and (self.best is None or value < self.best.value)
        self.waited = 0 if improved else self.waited + 1
        if improved:
            self.best = Best(self.number, value, jax.tree.map(jnp.copy, self.state.params))
        return improved

    def save(self, *, improved: bool) -> None:
        """Writes a checkpoint, if there is a place for it."""
        if self.checkpoints is None:
            return
        started = time.monotonic()
        best = None if self.best is None else [self.best.step, self.best.value]
        kept = {
            "cursor": self.batches.cursor,
            "best": best,
            "waited": self.waited,
            "streak": self.streak,
            "evaluated": self.evaluated,
            "seconds": self.seconds,
            "history": self.history.to_json(),
        }
        metric = self.best.value if improved and self.best is not None else None
        self.checkpoints.save(self.state, extra={"fit": kept}, metric=metric)
        self.saved = self.number
        self.origin += time.monotonic() - started


@jax.jit
def _pack(metrics: list[Metrics]) -> Metrics:
    return jax.tree.map(lambda *values: jnp.stack(values), *metrics)


def _record(number: int, metrics: Metrics, seconds: float) -> StepRecord:
    loss, norm, clipped_norm, count = (
        # The shortest decimal that is this float32: a third of the digits of the float64 in files.
        float(str(value))
        for value in (metrics.loss, metrics.norm, metrics.clipped_norm, metrics.count)
    )
    return StepRecord(number, loss, norm, clipped_norm, count, round(float(seconds), 4))
