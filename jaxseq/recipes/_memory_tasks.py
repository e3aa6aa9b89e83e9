"""The adding problem and copy memory: examples without end, and what an answer is worth."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int32

from jaxseq._types import Array
from jaxseq.losses import SumCount, accuracy, cross_entropy

SYMBOLS = 8
RECALLED = 10
BLANK, DELIMITER = SYMBOLS, SYMBOLS + 1
"""Of copy memory: the symbols to remember are 0..7, so many of them, and two more."""


class Examples(NamedTuple):
    """Sequences and what is asked of them.

    Attributes:
      inputs: the sequences.
      targets: of the adding problem a number for each, of copy memory a symbol for each step.

    Example:
      >>> import numpy as np
      >>> adding(np.random.default_rng(0), 3, 5).inputs.shape
      (3, 5, 2)
    """

    inputs: Float[np.ndarray, "B T I"]
    targets: Float[np.ndarray, " B"] | Int32[np.ndarray, "B T"]


class Task(NamedTuple):
    """A task on which a network shows how long it remembers.

    Attributes:
      title: what it is called in reports.
      inputs: I.
      outputs: how many numbers the network gives at each step.
      sequence: ``(length) -> int``: how many steps a sequence of that T has.
      draw: ``(rng, rows, length) -> Examples``.
      loss: ``(outputs [B, T, O], targets) -> SumCount``: what training makes small.
      error: the same, of what decides whether the task is solved.
      unit: of the loss.
      wrong: of the error.
      guess_loss: ``(length) -> float``: the loss of who remembers nothing.
      guess_error: the error of who remembers nothing.

    Example:
      >>> TASKS["adding"].inputs, TASKS["copy"].inputs
      (2, 10)
    """

    title: str
    inputs: int
    outputs: int
    sequence: Callable[[int], int]
    draw: Callable[[np.random.Generator, int, int], Examples]
    loss: Callable[[Any, Any], SumCount]
    error: Callable[[Any, Any], SumCount]
    unit: str
    wrong: str
    guess_loss: Callable[[int], float]
    guess_error: float


def adding(rng: np.random.Generator, rows: int, length: int) -> Examples:
    """Returns examples of the adding problem.

    A step has a number, uniform in [0, 1), and a mark, which is 1 at two steps and 0 at all others:
    at one step of the first half and at one of the second. The target is the sum of the two marked
    numbers, whose mean is 1 and whose variance is 1/6.

    Args:
      rng: where chance comes from.
      rows: B.
      length: T, at least 2.

    Returns:
      Inputs ``[B, T, 2]`` and targets ``[B]``.

    Example:
      >>> import numpy as np
      >>> inputs, targets = adding(np.random.default_rng(0), 4, 7)
      >>> bool(np.allclose((inputs[..., 0] * inputs[..., 1]).sum(1), targets))
      True

    References:
      Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997; in this form Le, Jaitly and
      Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units", 2015.
    """
    every, half = np.arange(rows), length // 2
    first, second = rng.integers(0, half, rows), rng.integers(half, length, rows)
    inputs = np.zeros((rows, length, 2), np.float32)
    inputs[..., 0] = rng.random((rows, length), np.float32)
    inputs[every, first, 1] = inputs[every, second, 1] = 1.0
    return Examples(inputs, inputs[every, first, 0] + inputs[every, second, 0])


def copy_memory(rng: np.random.Generator, rows: int, length: int) -> Examples:
    """Returns examples of copy memory.

    Ten symbols out of eight, T - 1 blanks, a delimiter, ten blanks; the targets are T + 10 blanks
    and then the ten symbols again. Between a symbol and its copy there are T + 10 steps.

    Args:
      rng: where chance comes from.
      rows: B.
      length: T, at least 1.

    Returns:
      One-hot inputs ``[B, T + 20, 10]`` and targets ``[B, T + 20]``.

    Example:
      >>> import numpy as np
      >>> inputs, targets = copy_memory(np.random.default_rng(0), 1, 3)
      >>> inputs[0, 8:14].argmax(-1).tolist(), targets[0, 8:14].tolist()
      ([1, 6, 8, 8, 9, 8], [8, 8, 8, 8, 8, 6])

    References:
      Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997; in this form Arjovsky, Shah and
      Bengio, "Unitary Evolution Recurrent Neural Networks", 2016.
    """
    remembered = rng.integers(0, SYMBOLS, (rows, RECALLED), np.int32)
    symbols = np.full((rows, length + 2 * RECALLED), BLANK, np.int32)
    targets = symbols.copy()
    symbols[:, :RECALLED] = targets[:, -RECALLED:] = remembered
    symbols[:, RECALLED + length - 1] = DELIMITER
    return Examples(np.eye(SYMBOLS + 2, dtype=np.float32)[symbols], targets)


def squared_error(outputs: Float[Array, "B T 1"], targets: Float[Any, " B"]) -> SumCount:
    """Returns the squared error of what stands at the last step, and the number of rows."""
    errors = outputs[:, -1, 0] - targets
    return SumCount(jnp.sum(errors**2), jnp.asarray(errors.size, errors.dtype))


def not_recalled(outputs: Float[Array, "B T O"], targets: Int32[Any, "B T"]) -> SumCount:
    """Returns how many of the symbols to recall are wrong, and how many there are."""
    hits, count = accuracy(outputs[:, -RECALLED:], targets[:, -RECALLED:])
    return SumCount(count - hits, count)


def guessing(length: int) -> float:
    r"""Returns the nats a step of who knows the blanks and guesses the symbols of copy memory.

    .. math:: \frac{10 \ln 8}{T + 20}
    """
    return RECALLED * math.log(SYMBOLS) / (length + 2 * RECALLED)


TASKS = {
    "adding": Task(
        title="adding problem",
        inputs=2,
        outputs=1,
        sequence=lambda length: length,
        draw=adding,
        loss=squared_error,
        error=squared_error,
        unit="mean squared error",
        wrong="mean squared error",
        guess_loss=lambda length: 1 / 6,
        guess_error=1 / 6,
    ),
    "copy": Task(
        title="copy memory",
        inputs=SYMBOLS + 2,
        outputs=SYMBOLS + 1,
        sequence=lambda length: length + 2 * RECALLED,
        draw=copy_memory,
        loss=cross_entropy,
        error=not_recalled,
        unit="nats a step",
        wrong="share of symbols recalled wrong",
        guess_loss=guessing,
        guess_error=1 - 1 / SYMBOLS,
    ),
}
