"""Times the schedules of the fused path over a grid: what the rule by size is taken from.

``python benchmarks/sweep.py`` writes benchmarks/results/schedule_sweep.json: for each cell, size
and kind of work, the median time of each schedule by that of the best one.
"""

import contextlib
import dataclasses
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import machine
import numpy as np
import results
import tyro
from measure import interleave, quartiles
from rich.console import Console

import jaxseq
from jaxseq.sequence import _schedule

WINDOWS = (None, 8, 16, 32, 64)
BATCHES = (1, 4, 16, 64)
STEPS = (64, 512)
HIDDEN = (64, 128, 256, 512)
# Sizes off the grid, so that a rule is not taken from powers of two alone.
ODD = ((7, 100, 50, 100), (3, 200, 90, 300), (24, 33, 40, 170))


@dataclasses.dataclass(frozen=True)
class Options:
    """Times the schedules of the fused path over a grid of cells and sizes."""

    kinds: tuple[str, ...] = ("elman", "gru", "lstm")
    """Of "elman", "gru", "lstm"."""
    sizes: tuple[str, ...] = ()
    """Each B,T,I,H; by default the grid of this file."""
    works: tuple[str, ...] = ("train", "infer")
    """Of "train", "infer"."""
    rounds: int = 5
    """Rounds, at least."""
    seconds: float = 2.0
    """More rounds are run until so many seconds have passed, for each row."""
    out: Path = results.FOLDER / "schedule_sweep.json"
    """The file of results."""


@contextlib.contextmanager
def with_schedule(schedule: Any) -> Iterator[None]:
    """Makes what is traced inside use a schedule: the one place that knows how it is given."""
    with _schedule.override(infer=schedule, train=schedule):
        yield


def schedules(steps: int) -> dict[str, Any]:
    """Returns the schedules to try at T ``steps``, by name."""
    found = {}
    for hoist in (False, True):
        for window in WINDOWS:
            if window is None or window < steps:
                name = f"{'hoist' if hoist else 'in loop'}, {window or 'whole'}"
                found[name] = _schedule.Schedule(hoist=hoist, window=window)
    return found


def grid() -> list[tuple[int, int, int, int]]:
    """Returns all sizes, I being H/2, without those that take seconds a step."""
    sizes = [(b, t, h // 2, h) for b in BATCHES for t in STEPS for h in HIDDEN]
    return [size for size in sizes if size[0] * size[1] * size[3] ** 2 <= 2**31] + list(ODD)


def compiled(kind: str, size: tuple[int, ...], work: str, schedule: Any) -> Callable[[], Any]:
    """Returns a call of the program with one schedule, on data that depend on the size alone."""
    batch, steps, width, hidden = size
    cell = getattr(jaxseq, kind)(width, hidden)
    params = cell.init(jax.random.key(0))
    xs = jax.random.normal(jax.random.key(1), (batch, steps, width))

    def infer(params, xs):
        return jaxseq.scan(cell, params, xs, backend="fused")[1]

    train = jax.grad(lambda params, xs: jnp.mean(infer(params, xs) ** 2), argnums=(0, 1))
    with with_schedule(schedule):
        program = jax.jit({"train": train, "infer": infer}[work]).lower(params, xs).compile()
    return lambda: jax.block_until_ready(program(params, xs))


def row(kind: str, size: tuple[int, ...], work: str, options: Options) -> dict[str, Any]:
    """Measures one cell, size and kind of work."""
    chosen = schedules(size[1])
    programs = {name: compiled(kind, size, work, one) for name, one in chosen.items()}
    times = interleave(programs, rounds=options.rounds, seconds=options.seconds)
    best = min(float(np.median(one)) for one in times.values())
    return {
        "kind": kind,
        "size": list(size),
        "work": work,
        "rounds": len(next(iter(times.values()))),
        "best_ms": round(1e3 * best, 4),
        "by_best": {
            name: [round(value / best, 3) for value in quartiles(one)]
            for name, one in times.items()
        },
    }


def main(options: Options) -> None:
    """Measures all rows, writing them as they come."""
    console = Console()
    given = [tuple(map(int, size.split(","))) for size in options.sizes]
    found = {**machine.describe(), "rows": []}
    for kind in options.kinds:
        for size in given or grid():
            for work in options.works:
                measured = row(kind, size, work, options)
                found["rows"].append(measured)
                results.save(options.out, found)
                ordered = sorted(measured["by_best"].items(), key=lambda item: item[1][1])
                text = "; ".join(f"{name} {values[1]:.2f}" for name, values in ordered)
                console.print(f"{kind} {size} {work}: {text}", highlight=False)
                gc.collect()
    console.print(f"written to {options.out}", highlight=False)


if __name__ == "__main__":
    main(tyro.cli(Options))
