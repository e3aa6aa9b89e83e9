"""How times are taken: interleaved rounds in one process, medians and quartiles, ratios of medians.

Times drift with the machine by more than peers differ. So every round runs each program once, in
an order that is drawn anew, and what is reported is a ratio within the same rounds.
"""

import contextlib
import gc
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

# Thread pools of another library spin for a while after their work, on the cores that the next
# program needs; this long they are waited for.
REST = 0.005
# A program shorter than this runs once before it is timed: its threads and caches are its own then.
SHORT = 0.05


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Keeps Python's garbage collector out of the times."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def seconds_of(run: Callable[[], object]) -> float:
    """Times one call. What it returns is freed after the clock has stopped."""
    begin = time.perf_counter()
    result = run()
    seconds = time.perf_counter() - begin
    del result
    return seconds


def interleave(
    programs: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 5,
    seconds: float = 5.0,
    most: int = 50,
) -> dict[str, list[float]]:
    """Times programs in interleaved rounds.

    Args:
      programs: by name; each returns when its results are there, and has run before.
      rounds: at least so many.
      seconds: more rounds are run as long as fewer seconds than these have passed.
      most: at most so many.

    Returns:
      The seconds of each program, in the order of the rounds.
    """
    random = np.random.default_rng(0)
    last = {name: seconds_of(run) for name, run in programs.items()}
    times: dict[str, list[float]] = {name: [] for name in programs}
    begin = time.perf_counter()
    with no_collection():
        for done in range(max(rounds, most)):
            if done >= rounds and time.perf_counter() - begin > seconds:
                break
            for name in random.permutation(list(programs)).tolist():
                time.sleep(REST)
                if last[name] < SHORT:
                    programs[name]()
                last[name] = seconds_of(programs[name])
                times[name].append(last[name])
    return times


def quartiles(values: Sequence[float]) -> list[float]:
    """Returns the lower quartile, the median and the upper quartile."""
    return [float(value) for value in np.percentile(values, [25, 50, 75])]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Returns the ratio of the medians between the quartiles of the ratios within a round."""
    low, _, high = quartiles(np.divide(ours, theirs))
    middle = float(np.median(ours) / np.median(theirs))
    return [min(low, middle), middle, max(high, middle)]


def geometric_mean(values: Iterable[float]) -> float:
    """Returns the geometric mean, the mean that ratios have."""
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs))
