"""When the products of the inputs run: a rule by size, from measurements."""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple


class Schedule(NamedTuple):
    """How a fused loop is laid out in time.

    Attributes:
      hoist: whether the inputs' products of all steps of a window are one product before its loop,
        rather than one in each step.
      window: how many steps are laid out together; None for all.

    Example:
      >>> Schedule(hoist=True)
      Schedule(hoist=True, window=None)
    """

    hoist: bool
    window: int | None = None


class Schedules(NamedTuple):
    """The schedules of one loop.

    Attributes:
      infer: of a program that nobody differentiates.
      train: of one that somebody does.

    Example:
      >>> Schedules(infer=Schedule(hoist=True), train=Schedule(hoist=False)).train.hoist
      False
    """

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


# benchmarks/sweep.py times all schedules; docs/design/0005-schedules.md says what these come from.
FEW, FEW_TRAINED = 2, 4  # rows
APART_FROM = 3 * 2**10  # bytes of a step's values, of a row
UNROLL = 8  # steps in an iteration, on an accelerator
SHORTEST = 8  # steps of a window
LONGEST, LONGEST_TRAINED = 32, 64
WINDOW, SMALL, LARGE = 2 * 2**20, 4 * 2**20, 12 * 2**20  # bytes of the maps' values


def even_window(steps: int, longest: int) -> int | None:
    """Returns the longest window that leaves no rest, or None: a rest is another loop to compile.

    Example:
      >>> [even_window(steps, 64) for steps in (512, 100, 101, 40)]
      [64, 50, None, 20]
    """
    shorter = range(min(longest, steps - 1), SHORTEST - 1, -1)
    return next((window for window in shorter if steps % window == 0), None)


def choose_unroll(platform: str) -> int:
    """Returns how many steps one iteration of a loop has, where the caller leaves it open.

    On a CPU an iteration costs nothing by itself. On an accelerator its operations wait for their
    start one by one, and steps side by side start together what does not depend on the state.

    Example:
      >>> choose_unroll("cpu"), choose_unroll("gpu")
      (1, 8)
    """
    return 1 if platform == "cpu" else UNROLL


def choose_schedules(
    batch: int, steps: int, size: int, *, additive: bool, gates: int, platform: str = "cpu"
) -> Schedules:
    """Returns the schedules for a loop.

    On an accelerator every operation in the loop waits for its start, so the product leaves it.

    On a CPU, a product of one row is bound by reading the weight, so the rows of all steps belong
    together; unless the weight is small, the update takes a step's values apart and nobody keeps
    them. From a few rows on, two or, where somebody differentiates, four, the buffer of all the
    values costs what one product saves: the product stays in the loop. In between, a window's
    buffer stays in the cache. That helps where the update reads the whole of a step's values, as
    that of an additive cell does, and nobody keeps them; and in the backward pass where the
    gradients of all the values would be a large buffer. A window that the cache does not hold is
    fresh memory again. With one gate the values are as few as the states, which are kept as well.

    Args:
      batch: B, all batch axes together.
      steps: T.
      size: of the maps' values at one step of one row, in bytes.
      additive: whether the update reads the two maps only through their sum.
      gates: how many values the maps have for each unit of the state.
      platform: of the device, as JAX names it.

    Example:
      >>> choose_schedules(1, 256, 4096, additive=True, gates=4).train
      Schedule(hoist=True, window=None)
      >>> choose_schedules(16, 512, 3072, additive=False, gates=3).train
      Schedule(hoist=False, window=32)
    """
    whole, in_loop = Schedule(hoist=True), Schedule(hoist=False)
    if platform != "cpu":
        return Schedules(whole, whole)
    fitting = WINDOW // max(batch * size, 1)  # steps
    values = batch * steps * size
    infer = in_loop
    if batch <= FEW:
        infer = whole if additive or size >= APART_FROM else in_loop
    elif additive and values <= SMALL:
        infer = whole
    elif additive and (window := even_window(steps, min(fitting, LONGEST))):
        infer = Schedule(hoist=True, window=window)
    train = Schedule(hoist=batch <= FEW_TRAINED or gates == 1)
    if batch > FEW and values >= LARGE:
        window = even_window(steps, min(max(fitting, SHORTEST), LONGEST_TRAINED))
        train = train._replace(window=window)
    return Schedules(infer, train)
