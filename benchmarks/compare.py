"""Times jaxseq beside its peers: ``python benchmarks/compare.py --help``.

All in one process: one row (case, kind, size) after another, and in each row interleaved rounds of
all peers. Before a row is timed, the outputs of every peer and its gradients of the inputs are held
against ours. Ratios are ours by theirs: below 1, jaxseq is faster.
"""

import dataclasses
import gc
import os
import sys
from pathlib import Path
from typing import Any

# Compile times are measured, so nothing may come from a cache; and on a GPU every library has to
# get memory. Both are read when JAX begins.
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import costs
import jax
import jax.numpy as jnp
import machine
import numpy as np
import peers
import picture
import report
import results
import streaming
import tyro
from measure import interleave, quartiles, ratio, seconds_of
from rich.console import Console

SIZES = ("32,128,64,128", "64,64,256,512", "16,512,128,256", "1,256,256,256", "7,100,50,100")
SHAPES = {
    "single": {},
    "both": {"layers": 2, "bidirectional": True},
    "ragged": {"layers": 2, "bidirectional": True, "ragged": True},
}
PICTURES = Path(__file__).parents[1] / "docs" / "images"
# Largest difference from ours, by the largest value; a GPU multiplies in TF32 unless told not to.
TOLERANCE = {"cpu": 1e-3, "gpu": 3e-2}


@dataclasses.dataclass(frozen=True)
class Options:
    """Times jaxseq beside its peers, and writes tables, a file of results and a picture."""

    cases: tuple[str, ...] = tuple(SHAPES)
    """Of "single", "both" (two layers, both directions) and "ragged" (the same with lengths)."""
    kinds: tuple[str, ...] = tuple(peers.KINDS)
    """Of "elman", "gru", "lstm"."""
    sizes: tuple[str, ...] = SIZES
    """Each B,T,I,H."""
    works: tuple[str, ...] = tuple(results.WORKS)
    """Of "train" (the gradients of mean(ys**2) by weights and inputs) and "infer" (the outputs)."""
    peers: tuple[str, ...] = tuple(peers.PEERS)
    """Whom to compare with; ours is always among them."""
    layered: tuple[str, ...] = ("flax", "torch", "cudnn", "products")
    """Those of the peers that also run the cases of two layers, which take long to compile."""
    rounds: int = 5
    """Rounds of a row, at least."""
    seconds: float = 6.0
    """More rounds are run until so many seconds have passed, for each row and kind of work."""
    out: Path | None = None
    """The file of results; by default benchmarks/results/<device>.json."""
    image: Path | None = None
    """The picture; by default docs/images/benchmark-<device>.png."""
    keep: bool = False
    """Keep rows of the file that are not measured now."""
    extras: bool = False
    """Also ragged beside full rows, resets, compile times and sizes of loop bodies."""
    streaming: bool = False
    """Also one step at a time, beside PyTorch's cells."""


def build(options: Options, name: str, case: peers.Case) -> tuple[dict, dict[str, str]]:
    """Builds the programs of a row: returns those that there are, and why there are no others."""
    data = peers.draw(case)
    chosen = [one for one in options.peers if name == "single" or one in options.layered]
    programs, missing = {}, {}
    for peer in dict.fromkeys(["jaxseq", *chosen]):
        made = peers.build(peer, case, data)
        (missing if isinstance(made, str) else programs)[peer] = made
    return programs, missing


def first_calls(options: Options, programs: dict, missing: dict[str, str]) -> dict[str, dict]:
    """Runs everything once: returns the seconds, by work and peer, compilation included.

    A peer that fails is taken out of the programs, and what it said is the reason.
    """
    jax.block_until_ready(jax.jit(jnp.sin)(1.0))  # what the first program of a process waits for
    first: dict[str, dict] = {work: {} for work in options.works}
    for peer in np.random.default_rng(0).permutation(list(programs)).tolist():
        try:
            for work in options.works:
                first[work][peer] = seconds_of(getattr(programs[peer], work))
        except Exception as problem:  # another's library: the other rows are still worth having
            if peer in ("jaxseq", "reference"):
                raise
            missing[peer] = f"failed: {str(problem).splitlines()[0][:200]}"
            del programs[peer]
    return first


def array(value: Any) -> np.ndarray:
    """Returns an array of any library as NumPy's."""
    return value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)


def differences(case: peers.Case, programs: dict) -> dict[str, float]:
    """Returns how far each peer is from ours, in outputs and gradients, by the largest value."""

    def values(program: peers.Program) -> list[np.ndarray]:
        return [array(program.infer()), array(program.train()[1])]

    ours = values(programs["jaxseq"])
    found = {}
    for peer, program in programs.items():
        if peer not in ("jaxseq", "products") and case.kind not in peers.PEERS[peer].other_maths:
            pairs = zip(ours, values(program), strict=True)
            found[peer] = max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in pairs)
    return found


def measure(options: Options, name: str, case: peers.Case) -> list[results.Row]:
    """Measures a case: returns a row for each kind of work."""
    programs, missing = build(options, name, case)
    first = first_calls(options, programs, missing)
    differ = differences(case, programs)
    limit = TOLERANCE.get(jax.default_backend(), 3e-2)
    rows = []
    for work in options.works:
        runs = {peer: getattr(program, work) for peer, program in programs.items()}
        times = interleave(runs, rounds=options.rounds, seconds=options.seconds)
        ours = times["jaxseq"]
        rows.append(
            {
                "case": name,
                "kind": case.kind,
                "size": list(case.size),
                "work": work,
                "flops": case.flops * (3 if work == "train" else 1),
                "rounds": len(ours),
                "times": {
                    peer: [round(1e3 * value, 4) for value in quartiles(one)]
                    for peer, one in times.items()
                },
                "ratios": {
                    peer: [round(value, 4) for value in ratio(ours, one)]
                    for peer, one in times.items()
                    if peer != "jaxseq"
                },
                "compile_s": {
                    peer: round(first[work][peer] - float(np.median(times[peer])), 3)
                    for peer, program in programs.items()
                    if program.lower is not None
                },
                "missing": missing,
                "disagree": {peer: one for peer, one in differ.items() if not one <= limit},
            }
        )
    return rows


def product_rate() -> float:
    """Returns how many GFLOP/s one large product reaches here, in float32."""
    size = 2048 if jax.default_backend() == "cpu" else 8192
    matrix = jax.random.normal(jax.random.key(0), (size, size))
    product = jax.jit(jnp.dot)
    run = {"product": lambda: jax.block_until_ready(product(matrix, matrix))}
    run["product"]()
    return 2e-9 * size**3 / quartiles(interleave(run, seconds=2.0)["product"])[0]


def main(options: Options) -> None:
    """Measures all rows, showing and writing them as they come."""
    console = Console()
    # With the kernels it is a table of its own, beside that of plain JAX.
    about = machine.describe() | {"device": machine.device_and_kernels()}
    slug = machine.slug(about["device"])
    path = options.out or results.FOLDER / f"{slug}.json"
    found = {**about, "product_gflops": round(product_rate(), 1), "extras": {}, "rows": []}
    if options.keep and path.exists():
        found = {**results.load(path), **about, "product_gflops": found["product_gflops"]}
    report.show_machine(console, found)
    measured: list[results.Row] = []
    for name in options.cases:
        for kind in options.kinds:
            for size in options.sizes:
                case = peers.Case(kind, tuple(map(int, size.split(","))), **SHAPES[name])
                with console.status(f"{results.CASES[name]}, {kind}, {size}"):
                    rows = measure(options, name, case)
                measured += rows
                found["rows"] = results.merge(found["rows"], rows)
                results.save(path, found)
                report.show_rows(console, rows)
                jax.clear_caches()
                gc.collect()
    if options.extras:
        with console.status("extras"):
            found["extras"] = costs.measure(options.kinds, options.sizes, options.seconds)
        results.save(path, found)
    if options.streaming:
        with console.status("one step at a time"):
            found["streaming"] = streaming.measure(options.seconds)
        results.save(path, found)
    report.show(console, {**found, "rows": measured})
    image = picture.draw(found, options.image or PICTURES / f"benchmark-{slug}.png")
    console.print(f"written to {path} and {image}", highlight=False)
    if any(row["disagree"] for row in measured):
        sys.exit("error: peers above do not compute what jaxseq computes")


if __name__ == "__main__":
    main(tyro.cli(Options))
