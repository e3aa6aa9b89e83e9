"""When the products of the inputs run: a rule by size, from a sweep that the repository keeps."""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple


class Schedule(NamedTuple):
    """How a fused loop is laid out in time.

    Attributes:
      hoist: whether the inputs' products of all steps of a window are one product before its loop,
        rather than one in each step.
      window: how many steps are laid out together; None for all.
    """

    hoist: bool
    window: int | None = None


class Schedules(NamedTuple):
    """The schedule of a program that nobody differentiates, and of one that somebody does."""

    infer: Schedule
    train: Schedule


_overrides: list[Schedules] = []


@contextlib.contextmanager
def override(infer: Schedule, train: Schedule) -> Iterator[None]:
    """Sets both schedules by hand for scans that are begun inside: for sweeps and tests."""
    _overrides.append(Schedules(infer, train))
    try:
        yield
    finally:
        _overrides.pop()


def overridden() -> Schedules | None:
    """Returns the schedules that are set by hand, if any."""
    return _overrides[-1] if _overrides else None


# The sweep is benchmarks/sweep.py; what it measured, benchmarks/results/schedule_sweep.json.
HOIST_UP_TO = 2  # rows
WINDOWS = range(64, 15, -1)  # steps
LARGE = 16 * 2**20  # bytes of the maps' values


def even_window(steps: int) -> int | None:
    """Returns the longest window that leaves no rest, or None: a rest is another loop to compile.

    Example:
      >>> even_window(512), even_window(100), even_window(101)
      (64, 50, None)
    """
    return next((window for window in WINDOWS if steps % window == 0), None)


def choose_schedules(batch: int, steps: int, size: int, *, additive: bool) -> Schedules:
    """Returns the schedules for a loop.

    A product of one row is bound by reading the weight, so the rows of all steps belong together.
    From a few rows on, the buffer of all the values costs what one product saves: the product stays
    in the loop. In between, a window's buffer stays in the cache. That helps where the update reads
    the whole of a step's values, as that of an additive cell does, and nobody keeps them; and in
    the backward pass where the gradients of all the values would be a large buffer.

    Args:
      batch: B, all batch axes together.
      steps: T.
      size: of the maps' values at one step of one row, in bytes.
      additive: whether the update reads the two maps only through their sum.

    Example:
      >>> choose_schedules(1, 256, 4096, additive=True).train
      Schedule(hoist=True, window=None)
      >>> choose_schedules(16, 512, 4096, additive=False).train
      Schedule(hoist=False, window=64)
    """
    if batch <= HOIST_UP_TO:
        return Schedules(Schedule(hoist=True), Schedule(hoist=True))
    window = even_window(steps)
    short = steps <= WINDOWS[0]
    infer = Schedule(hoist=additive and (short or window is not None), window=None)
    if infer.hoist and not short:
        infer = infer._replace(window=window)
    large = batch * steps * size >= LARGE
    return Schedules(infer, Schedule(hoist=False, window=window if large and not short else None))
