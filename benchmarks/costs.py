"""What padding and resets cost, how long compiling takes, and how large the loops are."""

import gc
from typing import Any

import jax
import loops
import peers
from measure import interleave, quartiles, ratio, seconds_of

COMPILED = ("jaxseq", "reference", "flax")
COMPILE_SIZE = (32, 128, 64, 128)
COMPILE_ROUNDS = 5


def variants(case: peers.Case, seconds: float) -> list[dict[str, Any]]:
    """Times one layer of ours with lengths, and with resets, by the same without."""
    cases = {
        "full": case,
        "ragged": case._replace(ragged=True),
        "resets": case._replace(resets=True),
    }
    programs = {name: peers.build("jaxseq", one) for name, one in cases.items()}
    rows = []
    for work in ("train", "infer"):
        runs = {name: getattr(program, work) for name, program in programs.items()}
        for run in runs.values():
            run()
        times = interleave(runs, seconds=seconds)
        ratios = {
            name: [round(value, 4) for value in ratio(times[name], times["full"])]
            for name in ("ragged", "resets")
        }
        rows.append({"kind": case.kind, "size": list(case.size), "work": work, **ratios})
    return rows


def compile_times(kind: str) -> dict[str, list[float]]:
    """Returns the seconds that tracing and compiling a training step take, as quartiles."""
    case = peers.Case(kind, COMPILE_SIZE)
    programs = {name: peers.build(name, case) for name in COMPILED}
    times: dict[str, list[float]] = {name: [] for name in COMPILED}
    for _ in range(COMPILE_ROUNDS):
        for name, program in programs.items():
            jax.clear_caches()
            times[name].append(seconds_of(lambda lower=program.lower: lower("train").compile()))
    return {name: [round(value, 3) for value in quartiles(one)] for name, one in times.items()}


def loop_sizes(kind: str) -> dict[str, list[int]]:
    """Returns the HLO instructions in each loop of a training step, forward and backward."""
    case = peers.Case(kind, COMPILE_SIZE)
    return {
        name: loops.sizes(peers.build(name, case).lower("train").compile().as_text())
        for name in COMPILED
    }


def measure(kinds: tuple[str, ...], sizes: tuple[str, ...], seconds: float) -> dict[str, Any]:
    """Returns all of it, for the file of results."""
    found: dict[str, Any] = {"variants": [], "compile_s": {}, "loops": {}}
    for kind in kinds:
        for size in sizes:
            found["variants"] += variants(
                peers.Case(kind, tuple(map(int, size.split(",")))), seconds
            )
            jax.clear_caches()
            gc.collect()
        found["compile_s"][kind] = compile_times(kind)
        found["loops"][kind] = loop_sizes(kind)
    return found
