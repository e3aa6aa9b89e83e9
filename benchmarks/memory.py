"""How much memory the gradient of a scan takes, with and without rematerialisation.

Each case runs in a process of its own, so that its peak is its own (Linux: the peak is read from
/proc; on a GPU, from the allocator). ``python benchmarks/memory.py`` prints the page and writes it
to docs/memory.md.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import machine
from measure import interleave, quartiles

import jaxseq

LOSSES = {"final": "the final state", "mean": "the mean of ys**2"}
PAGE = Path(__file__).parents[1] / "docs" / "memory.md"


class Case(NamedTuple):
    """A gradient of an LSTM over time.

    Attributes:
      size: (B, T, I, H).
      loss: what it reads: ``"final"`` or ``"mean"``.
      remat: as in ``jaxseq.scan``.
      backend: as in ``jaxseq.scan``.
      inputs: whether the inputs get a gradient too, as in a layer that is not the first.
    """

    size: tuple[int, int, int, int]
    loss: str
    remat: str | None = None
    backend: str = "auto"
    inputs: bool = False

    @property
    def copies(self) -> int:
        """Bytes that any program holds that has all of xs and, if read, of ys in memory once."""
        batch, steps, width, hidden = self.size
        outputs = 2 * hidden if self.loss == "mean" else 0
        return 4 * batch * steps * (width + outputs)


OVER_TIME = [
    Case((4, steps, 8, 32), loss, remat)
    for loss in LOSSES
    for steps in (1_000, 10_000, 100_000)
    for remat in (None, "sqrt")
]
ROOT = [Case((1, 10**power, 8, 16), "final", "sqrt") for power in (3, 4, 5, 6)]
BIG = (16, 4096, 128, 256)
STEPS = {
    "plain `lax.scan`": Case(BIG, "mean", None, "reference", True),
    "jaxseq": Case(BIG, "mean", None, "auto", True),
    'jaxseq, `remat="sqrt"`': Case(BIG, "mean", "sqrt", "auto", True),
    "the fused path": Case(BIG, "mean", None, "fused", True),
    'the fused path, `remat="sqrt"`': Case(BIG, "mean", "sqrt", "fused", True),
}
ROUNDS = 5

TEXT = """# Memory of a gradient over time

What `jaxseq.scan(..., remat=...)` saves: the gradient with respect to the weights of an LSTM in
float32. Measured by `python benchmarks/memory.py`, which writes this page; each case in a process
of its own, on {device}, with {versions}.

## A training step at B, T, I, H = {big}

The gradient of the mean of `ys**2` by weights and inputs. Plain `lax.scan` is
`backend="reference"`, jaxseq is what `scan` does by default, and the fused path is
`backend="fused"`, in plain JAX. Times are by that of plain `lax.scan`: the median and the
quartiles of the ratios in {rounds} interleaved rounds, in one process.

{steps}

## Up to a million steps

B = {root[0]}, I = {root[2]}, H = {root[3]}; the loss reads the final state; `remat="sqrt"`. If what
is beside copies grows like the square root of T, the last column does not grow.

{root_table}

## With and without `remat="sqrt"`

B = {over_time[0]}, I = {over_time[2]}, H = {over_time[3]}, with the default backend.

{tables}

## What the columns mean

- **temporary**: what XLA reserves for the compiled program beside its arguments and its results
  (`compiled.memory_analysis().temp_size_in_bytes`).
- **a step**: the same, divided by T, in bytes.
- **beside copies**: the same without what any program holds here that has all of `xs` (and, where
  the loss reads them, all of `ys`) in memory: one copy of `xs` with time in front, `ys` and its
  gradient. Buffers that are not alive at the same time share memory, so this is a lower bound.
- **run**: the peak of the process's resident memory while the program runs, above what was
  resident just before: measured, where the others are counted. Results and pages that the
  allocator holds back are in it: a few MB in every case.
- **peak**: that peak itself, with Python, JAX and the compiler in it.

MB are 10^6 bytes. With `remat="sqrt"` the backward pass keeps the carries between about sqrt(T)
windows and the intermediate values of one window; what still grows with T is inputs and outputs.
Ragged rows (`lengths`) add a mask of 1 byte a row and a step.
"""


def build(case: Case) -> tuple[Any, tuple[Any, Any]]:
    """Returns the compiled gradient and its arguments."""
    batch, steps, width, hidden = case.size
    cell = jaxseq.lstm(width, hidden)
    params = cell.init(jax.random.key(0))
    xs = jax.random.normal(jax.random.key(1), (batch, steps, width))

    def value(params, xs):
        carry, ys = jaxseq.scan(cell, params, xs, remat=case.remat, backend=case.backend)
        return jnp.sum(carry.h**2) if case.loss == "final" else jnp.mean(ys**2)

    gradient = jax.grad(value, argnums=(0, 1) if case.inputs else 0)
    return jax.jit(gradient).lower(params, xs).compile(), (params, xs)


def resident(field: str) -> int:
    """Returns the bytes in use now (VmRSS) or at the peak (VmHWM), of this process or its GPU."""
    if jax.default_backend() != "cpu":
        names = {"VmRSS": "bytes_in_use", "VmHWM": "peak_bytes_in_use"}
        return jax.devices()[0].memory_stats()[names[field]]
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)[1])


def measure(case: Case) -> dict[str, int]:
    """Returns the bytes of one case; to be called in a fresh process."""
    compiled, arguments = jax.block_until_ready(build(case))
    if jax.default_backend() == "cpu":
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far was the compiler's
    before = resident("VmRSS")
    jax.block_until_ready(compiled(*arguments))
    peak = resident("VmHWM")
    temporary = compiled.memory_analysis().temp_size_in_bytes
    return {"temporary": temporary, "run": peak - before, "peak": peak}


def times() -> dict[str, list[float]]:
    """Returns the seconds of the training steps, round by round."""
    programs = {}
    for name, case in STEPS.items():
        compiled, arguments = build(case)
        programs[name] = lambda c=compiled, a=arguments: jax.block_until_ready(c(*a))
    return interleave(programs, rounds=ROUNDS, seconds=0.0)


def in_a_process(task: Any) -> Any:
    """Measures a case, or the times, in a process of its own."""
    command = [sys.executable, __file__, "--task", json.dumps(task)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def grid(head: str, lines: list[tuple[str, ...]]) -> str:
    """Returns a Markdown table of numbers."""
    rule = "|" + (head.count("|") + 1) * " ---: |"
    return "\n".join([f"| {head} |", rule, *(f"| {' | '.join(cells)} |" for cells in lines)])


def mega(count: float, digits: int = 0) -> str:
    return f"{count / 1e6:.{digits}f}"


def over_time_table(loss: str) -> str:
    """Returns the cases of one loss as a Markdown table."""
    lines = []
    for case in OVER_TIME:
        if case.loss != loss:
            continue
        found, steps = in_a_process(case), case.size[1]
        temporary = found["temporary"]
        lines.append(
            (
                f"{steps:,}",
                "None" if case.remat is None else f'"{case.remat}"',
                mega(temporary, 2),
                f"{temporary / steps:.0f}",
                mega(temporary - case.copies, 2),
                mega(found["run"]),
                mega(found["peak"]),
            )
        )
    head = "T | remat | temporary (MB) | a step (B) | beside copies (MB) | run (MB) | peak (MB)"
    return f"The loss reads {LOSSES[loss]}:\n\n{grid(head, lines)}"


def root_table() -> str:
    """Returns the cases up to a million steps as a Markdown table."""
    lines = []
    for case in ROOT:
        found, steps = in_a_process(case), case.size[1]
        beside = found["temporary"] - case.copies
        cells = (mega(found["temporary"], 2), mega(beside, 3), mega(found["run"]))
        lines.append((f"{steps:,}", *cells, f"{beside / steps**0.5:.0f}"))
    head = "T | temporary (MB) | beside copies (MB) | run (MB) | beside copies / sqrt(T) (B)"
    return grid(head, lines)


def steps_table() -> str:
    """Returns the training steps of the big case as a Markdown table."""
    memory = {name: in_a_process(case) for name, case in STEPS.items()}
    seconds = in_a_process("times")
    plain = next(iter(STEPS))
    lines = []
    for name, found in memory.items():
        by_round = [a / b for a, b in zip(seconds[name], seconds[plain], strict=True)]
        low, middle, high = quartiles(by_round)
        lines.append(
            (
                name,
                mega(found["temporary"]),
                f"{found['temporary'] / memory[plain]['temporary']:.2f}",
                mega(found["run"]),
                f"{found['run'] / memory[plain]['run']:.2f}",
                f"{middle:.2f} ({low:.2f}–{high:.2f})",
            )
        )
    return grid("what | temporary (MB) | by plain | run (MB) | by plain | time by plain", lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", help="measure one case in this process and print it as JSON")
    task = parser.parse_args().task
    if task is not None:
        task = json.loads(task)
        print(json.dumps(times() if task == "times" else measure(Case(*task))))
        return
    wanted = ("python", "jax", "jaxlib")
    page = TEXT.format(
        device=machine.device_and_kernels(),
        versions=", ".join(f"{name} {machine.versions()[name]}" for name in wanted),
        big=", ".join(map(str, BIG)),
        rounds=ROUNDS,
        steps=steps_table(),
        root=ROOT[0].size,
        root_table=root_table(),
        over_time=OVER_TIME[0].size,
        tables="\n\n".join(map(over_time_table, LOSSES)),
    )
    print(page)
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
