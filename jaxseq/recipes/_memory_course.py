"""A network's way from length to length: batches, examinations, and where it stands."""

import functools
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from jaxseq import training
from jaxseq._types import PyTree
from jaxseq.cells import Cell
from jaxseq.recipes._memory_config import Config
from jaxseq.recipes._memory_network import Params, Score, begin, loss_of, score
from jaxseq.recipes._memory_tasks import TASKS, Examples

THRESHOLD = 0.01
"""A length is solved if the error on the test set is below."""
ENOUGH = 0.005
"""A network goes on if its error on the validation set is below: half, so that both agree."""
VALIDATION, TEST = 1, 2
VALIDATION_ROWS, TEST_ROWS = 200, 1000


class Network(NamedTuple):
    """Which network this is.

    Attributes:
      task: the name of its task.
      cell: the name of its cell.
      seed: of its weights and of its examples.

    Example:
      >>> str(Network("adding", "gru", 0))
      'adding-gru-0'
    """

    task: str
    cell: str
    seed: int

    def __str__(self) -> str:
        """Returns the name of its directory."""
        return f"{self.task}-{self.cell}-{self.seed}"


class Lesson(NamedTuple):
    """What became of one length.

    Attributes:
      length: T.
      steps: of training at this length.
      threshold_step: the first of them after which the validation error was below the threshold,
        or None.
      loss: the mean of the task's loss on the test set at the end.
      error: the same of its error.
      curve: steps and the error on the validation set after them, pair by pair.
      seconds: that all of it took.

    Example:
      >>> Lesson(10, 50, None, 0.17, 0.17, [[50, 0.17]], 1.2).error < THRESHOLD
      False
    """

    length: int
    steps: int
    threshold_step: int | None
    loss: float
    error: float
    curve: list[list[float]]
    seconds: float


class Course:
    """The batches of one network, ever longer ones; they end with the last length.

    An iterator with a cursor, for :func:`jaxseq.training.fit`, which calls :meth:`assess` too. A
    batch is a function of its number, so the cursor is the whole state.
    """

    def __init__(self, network: Network, cell: Cell, config: Config) -> None:
        self.network, self.cell, self.config = network, cell, config
        self.lessons: list[Lesson] = []
        self.taken, self.curve = 0, []
        self.before, self.started = 0.0, time.monotonic()

    @property
    def over(self) -> bool:
        """Whether all lengths are behind the network."""
        return len(self.lessons) == len(self.config.lengths)

    @property
    def steps(self) -> int:
        """How many steps of training there have been, at all lengths."""
        return sum(lesson.steps for lesson in self.lessons) + self.taken

    @property
    def length(self) -> int:
        """T of the next batch."""
        return self.config.lengths[len(self.lessons)]

    @property
    def seconds(self) -> float:
        """How long the length under way has taken, without interruptions."""
        return round(self.before + time.monotonic() - self.started, 2)

    @property
    def cursor(self) -> dict[str, Any]:
        """Where the network stands, for JSON."""
        return {
            "lessons": [lesson._asdict() for lesson in self.lessons],
            "taken": self.taken,
            "curve": self.curve,
            "seconds": self.seconds,
        }

    def seek(self, cursor: dict[str, Any]) -> None:
        """Goes on from where a network stood."""
        self.lessons = [Lesson(**lesson) for lesson in cursor["lessons"]]
        self.taken, self.curve = cursor["taken"], cursor["curve"]
        self.before, self.started = cursor["seconds"], time.monotonic()

    def __iter__(self) -> "Course":
        return self

    def __next__(self) -> Examples:
        if self.over:
            raise StopIteration
        rng = np.random.default_rng([0, self.network.seed, self.length, self.taken])
        self.taken += 1
        return TASKS[self.network.task].draw(rng, self.config.batch_size, self.length)

    def assess(self, params: Params) -> float:
        """Takes a look at the network, and lets it go on to the next length if it is time.

        Args:
          params: its weights.

        Returns:
          How many lengths are left.
        """
        error = self._score(params, VALIDATION, VALIDATION_ROWS).error
        self.curve.append([self.taken, error])
        if error < ENOUGH or self.taken >= self.config.steps:
            self._examine(params)
        return float(len(self.config.lengths) - len(self.lessons))

    def _score(self, params: Params, seed: int, rows: int) -> Score:
        task = self.network.task
        return score(task, self.cell, params, self.length, seed=seed, rows=rows)

    def _examine(self, params: Params) -> None:
        test = self._score(params, TEST, TEST_ROWS)
        below = (int(step) for step, error in self.curve if error < THRESHOLD)
        lesson = Lesson(
            length=self.length,
            steps=self.taken,
            threshold_step=next(below, None),
            loss=test.loss,
            error=test.error,
            curve=self.curve,
            seconds=self.seconds,
        )
        self.lessons.append(lesson)
        self.taken, self.curve = 0, []
        self.before, self.started = 0.0, time.monotonic()
        solved = "solved" if lesson.error < THRESHOLD else "not solved"
        print(
            f"{self.network}, T = {lesson.length}: {solved} after {lesson.steps} steps, "
            f"error {lesson.error:.4f} ({lesson.seconds:.0f} s)",
            file=sys.stderr,
            flush=True,
        )


def _optimizer(rate: float, steps: int) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(rate, steps, alpha=0.1), b2=0.99)


@functools.cache
def _step(task: str, cell: Cell, rate: float, config: Config) -> Callable[..., Any]:
    """Returns the training step, which is compiled once for all seeds."""
    optimizer = _optimizer(rate, config.steps)
    return training.make_step(loss_of(task, cell), optimizer, max_norm=config.max_norm)


def follow(network: Network, config: Config) -> tuple[Course, PyTree]:
    """Trains a network from length to length, in the directory of the settings.

    Args:
      network: which.
      config: the settings.

    Returns:
      The course, which is over unless a signal has ended it, and the weights at its end.

    Raises:
      InputError: if a checkpoint is damaged.
      DivergedError: if loss or gradient are no longer finite.
      OSError: if a checkpoint cannot be written.
    """
    rate = config.elman_learning_rate if network.cell == "elman" else config.learning_rate
    key_weights, key_steps = jax.random.split(jax.random.key(network.seed))
    cell, params = begin(
        key_weights,
        network.task,
        network.cell,
        config.hidden_size,
        span=TASKS[network.task].sequence(config.lengths[0]),
    )
    state = training.init_state(params, _optimizer(rate, config.steps), key=key_steps)
    course = Course(network, cell, config)
    every = min(config.evaluate_every, config.steps)
    with training.Checkpoints(config.out / "checkpoints" / str(network)) as checkpoints:
        if config.resume and checkpoints.exists:
            latest, extra = checkpoints.restore(state)
            course.seek(extra["fit"]["cursor"])
            if course.over:
                return course, latest.params
        result = training.fit(
            state,
            _step(network.task, cell, rate, config),
            course,
            steps=len(config.lengths) * every * -(-config.steps // every),
            evaluate=course.assess,
            evaluate_every=every,
            checkpoints=checkpoints,
            resume=config.resume,
            progress=False,
        )
    return course, result.state.params
