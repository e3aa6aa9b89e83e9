"""Times jaxseq.structured beside its peers: ``python benchmarks/structured.py --help``.

One row (model, work, size) after another, all programs of a row in one process, in interleaved
rounds. Before a row is timed, what every peer returns is held against ours. Ratios are ours by
theirs: below 1, jaxseq is faster. Memory is how much the resident memory of a process grows
during one run (Linux), and what XLA says it reserves.
"""

import dataclasses
import gc
import os
import sys
from pathlib import Path
from typing import Any

import growth
import jax
import jax.numpy as jnp
import machine
import numpy as np
import results
import structured_report as report
import tyro
from measure import interleave, quartiles, ratio
from peers import structured as peers
from rich.console import Console

LATTICES = ((32, 200, 20), (8, 2000, 50))
SIZES = {
    "crf": LATTICES,
    "hmm": (*LATTICES, (1, 48_502, 2)),
    "em": ((1, 48_502, 2),),
    "ctc": ((16, 500, 1000, 60), (32, 150, 30, 20)),
}
QUICK_SIZES = {
    "crf": ((8, 50, 10),),
    "hmm": ((4, 50, 10), (1, 3000, 2)),
    "em": ((1, 3000, 2),),
    "ctc": ((4, 60, 40, 10),),
}
# Largest difference from ours, by the largest value: of values, and of gradients and probabilities.
# They are as wide as two peers need. dynamax adds up the log-likelihood step by step in float32:
# over the genome it is 1.4 of 67 041 nats off, ours 0.05. PyTorch takes differences of logarithms
# of some thousands: at CTC 16, 500, 1000, 60 its gradient is 2e-3 off that in float64, ours 2e-5.
TOLERANCES = (1e-4, 5e-3)
BUILD = Path(__file__).parents[1] / "build"


@dataclasses.dataclass(frozen=True)
class Options:
    """Times jaxseq.structured beside its peers; writes tables, a file of results and a page."""

    rows: tuple[str, ...] = tuple(SIZES)
    """Models ("crf", "hmm", "em", "ctc"), or one work of a model, as "crf:viterbi"."""
    peers: tuple[str, ...] = tuple(peers.PEERS)
    """Whom to compare with; ours is always among them."""
    rounds: int = 5
    """Rounds of a row, at least."""
    seconds: float = 6.0
    """More rounds are run until so many seconds have passed, for each row."""
    quick: bool = False
    """Small sizes and two rounds; written into build/ unless told otherwise."""
    memory: bool = True
    """Also measure how much memory a run takes."""
    keep: bool = False
    """Keep rows of the file that are not measured now."""
    out: Path | None = None
    """The file of results; by default benchmarks/results/structured-<device>.json."""
    page: Path | None = None
    """The page, of all files in the folder of the results; docs/structured_benchmarks.md."""


def cases(rows: tuple[str, ...], sizes: dict[str, Any]) -> list[peers.Case]:
    """Returns what is asked for, in the order of the models, or ends with what there is."""
    known = [(model, work) for model, works in peers.WORKS.items() for work in works]
    names = {model: [] for model in peers.WORKS} | {f"{m}:{work}": [] for m, work in known}
    for unknown in set(rows) - set(names):
        sys.exit(f"error: there is no row {unknown!r}: {', '.join(names)}")
    return [
        peers.Case(model, work, size)
        for model, work in known
        if model in rows or f"{model}:{work}" in rows
        for size in sizes[model]
    ]


def build(case: peers.Case, names: tuple[str, ...]) -> tuple[dict, dict[str, Any], dict[str, str]]:
    """Builds the programs of a row and runs each once.

    Returns:
      The programs; what they return, as NumPy's; and why there are no others.
    """
    data = peers.draw(case)
    programs, found, missing = {}, {}, {}
    for name in dict.fromkeys(["jaxseq", *names]):
        if case.model not in peers.PEERS[name].models:
            continue
        try:
            made = peers.build(name, case, data)
            if isinstance(made, str):
                missing[name] = made
                continue
            found[name] = made.read(made.run())
            programs[name] = made
        except Exception as problem:  # another's library: the other rows are still worth having
            if name == "jaxseq":
                raise
            missing[name] = f"failed: {str(problem).splitlines()[0][:200]}"
    return programs, found, missing


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Returns how far an array is from ours, by the largest of ours; of another shape, infinitely.

    All are finite where the data are; one that is not makes this NaN, which no tolerance allows.
    """
    if ours.shape != theirs.shape:
        return float("inf")
    return float(np.abs(ours - theirs).max() / max(np.abs(ours).max(), 1e-30))


def differences(found: dict[str, list[np.ndarray]]) -> dict[str, list[float]]:
    """Returns how far each peer is from ours: in the values, and in all else."""
    differ = {}
    for name, arrays in found.items():
        if name != "jaxseq":
            each = [difference(a, b) for a, b in zip(found["jaxseq"], arrays, strict=True)]
            differ[name] = [each[0], *([float(np.max(each[1:]))] if each[1:] else [])]
    return differ


def disagree(differ: dict[str, list[float]]) -> list[str]:
    """Returns the peers that are beyond the tolerances."""
    return [
        name
        for name, each in differ.items()
        if not all(one <= limit for one, limit in zip(each, TOLERANCES, strict=False))
    ]


def measure(options: Options, case: peers.Case) -> dict[str, Any]:
    """Measures a row."""
    programs, found, missing = build(case, options.peers)
    differ = differences(found)
    del found
    grown = growth.in_processes(case, list(programs)) if options.memory else {}
    taken = {
        name: {"growth": grown.get(name), "temporary": program.temporary}
        for name, program in programs.items()
    }
    runs = {name: program.run for name, program in programs.items()}
    times = interleave(
        runs,
        rounds=2 if options.quick else options.rounds,
        seconds=0.0 if options.quick else options.seconds,
    )
    times = {
        name: [value / programs[name].count for value in values] for name, values in times.items()
    }
    return {
        "model": case.model,
        "work": case.work,
        "size": list(case.size),
        "rounds": len(times["jaxseq"]),
        "times": {
            name: [round(1e3 * value, 5) for value in quartiles(one)] for name, one in times.items()
        },
        "ratios": {
            name: [round(value, 4) for value in ratio(times["jaxseq"], one)]
            for name, one in times.items()
            if name != "jaxseq"
        },
        "memory": taken,
        "off": {name: [float(f"{one:.1e}") for one in each] for name, each in differ.items()},
        "missing": missing,
        "disagree": disagree(differ),
    }


def merge(old: list[dict], new: list[dict]) -> list[dict]:
    """Returns the rows of both, the new ones in the place of old ones of their key, in order."""
    order = [(model, work) for model, works in peers.WORKS.items() for work in works]
    rows = {(row["model"], row["work"], *row["size"]): row for row in [*old, *new]}
    return sorted(rows.values(), key=lambda row: order.index((row["model"], row["work"])))


def paths(options: Options, device: str) -> tuple[Path, Path]:
    """Returns where results and page go: what is quick stays out of the documentation."""
    name = f"structured-{machine.slug(device)}.json"
    out = options.out or (BUILD if options.quick else results.FOLDER) / name
    page = BUILD / report.PAGE.name if options.quick else report.PAGE
    return out, options.page or page


def main(options: Options) -> None:
    """Measures all rows, showing and writing them as they come."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # read with the first program
    console = Console()
    about = {**machine.describe(), "versions": peers.versions(), "tolerances": list(TOLERANCES)}
    out, page = paths(options, about["device"])
    found = {**about, "quick": options.quick, "rows": []}
    if options.keep and out.exists():
        found["rows"] = results.load(out)["rows"]
    report.show_machine(console, found)
    jax.block_until_ready(jax.jit(jnp.sin)(1.0))  # what the first program of a process waits for
    measured: list[dict] = []
    for case in cases(options.rows, QUICK_SIZES if options.quick else SIZES):
        with console.status(report.title(case.model, case.work, case.size)):
            row = measure(options, case)
        measured.append(row)
        found["rows"] = merge(found["rows"], [row])
        results.save(out, found)
        report.show_row(console, row)
        jax.clear_caches()
        gc.collect()
    report.show(console, measured)
    page.parent.mkdir(parents=True, exist_ok=True)
    files = sorted({out, *report.files(out.parent)})
    page.write_text(report.page([results.load(path) for path in files]))
    console.print(f"written to {out} and {page}", highlight=False)
    if any(row["disagree"] for row in measured):
        sys.exit("error: peers above do not compute what jaxseq computes")


if __name__ == "__main__":
    main(tyro.cli(Options))
