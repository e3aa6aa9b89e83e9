"""How much memory the gradient of a scan takes, with and without rematerialisation.

Each case runs in a process of its own, so that its peak is its own (Linux: the peak is read from
/proc). Run from the root of the repository: ``python benchmarks/memory.py`` prints the page and
writes it to docs/memory.md.
"""

import argparse
import json
import platform
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import jaxlib

import jaxseq
from jaxseq.sequence._arguments import choose_backend

STEPS = (1_000, 10_000, 100_000)
REMATS = (None, "sqrt")
LOSSES = {"final": "the final state", "mean": "the mean of ys**2"}
BATCH, INPUT, HIDDEN = 4, 8, 32
PAGE = Path(__file__).parent.parent / "docs" / "memory.md"

TEXT = """# Memory of a gradient over time

What `jaxseq.scan(..., remat=...)` saves: the gradient with respect to the weights of an LSTM with
I = {input}, H = {hidden}, B = {batch}, in float32, on a CPU, with the backend that "auto" chooses,
which is "{backend}". Measured by `python benchmarks/memory.py`, which writes this page.

{versions}.

{tables}
- **temporary**: what XLA reserves for the compiled program beside its arguments and its results
  (`compiled.memory_analysis().temp_size_in_bytes`).
- **a step**: the same, divided by T, in bytes.
- **beside copies**: the same without what any program holds here that has all of `xs` (and, where
  the loss reads them, all of `ys`) in memory: one copy of `xs` with time in front, {xs} bytes a
  step; `ys` and its gradient, {ys} bytes a step each. Buffers that are not alive at the same time
  share memory, so this is a lower bound.
- **run**: the peak of the process's resident memory while the program runs, above what was
  resident just before: measured, where the others are counted. Results and pages that the
  allocator holds back are in it: a few MB in every case.
- **peak**: that peak itself, with Python, JAX and the compiler in it.

MB are 10^6 bytes. With `remat="sqrt"` the backward pass keeps the carries between about sqrt(T)
windows and the intermediate values of one window; what still grows with T is inputs and outputs.
Ragged rows (`lengths`) add a mask of 1 byte a row and a step.
"""


def build(steps, remat, loss):
    """Returns the compiled gradient and its arguments."""
    cell = jaxseq.lstm(INPUT, HIDDEN)
    params = cell.init(jax.random.key(0))
    xs = jax.random.normal(jax.random.key(1), (BATCH, steps, INPUT))

    def value(params, xs):
        carry, ys = jaxseq.scan(cell, params, xs, remat=remat)
        return jnp.sum(carry.h**2) if loss == "final" else jnp.mean(ys**2)

    return jax.jit(jax.grad(value)).lower(params, xs).compile(), (params, xs)


def resident(field):
    """Returns a field of this process's status in bytes: VmRSS now, VmHWM at its peak."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)[1])


def measure(steps, remat, loss):
    """Returns the bytes of one case; to be called in a fresh process."""
    compiled, arguments = jax.block_until_ready(build(steps, remat, loss))
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far was the compiler's
    before = resident("VmRSS")
    jax.block_until_ready(compiled(*arguments))
    peak = resident("VmHWM")
    temporary = compiled.memory_analysis().temp_size_in_bytes
    return {"temporary": temporary, "run": peak - before, "peak": peak}


def in_a_process(*case):
    """Measures a case in a process of its own."""
    command = [sys.executable, __file__, "--case", json.dumps(case)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def table(loss):
    """Returns the cases of one loss as a Markdown table."""
    head = "T | remat | temporary (MB) | a step (B) | beside copies (MB) | run (MB) | peak (MB)"
    copies = 4 * BATCH * (INPUT + (2 * HIDDEN if loss == "mean" else 0))
    lines = [f"The loss reads {LOSSES[loss]}:", "", f"| {head} |", "|" + 7 * " ---: |"]
    for steps in STEPS:
        for remat in REMATS:
            case = in_a_process(steps, remat, loss)
            temporary = case["temporary"]
            cells = (
                f"{steps:,}",
                "None" if remat is None else f'"{remat}"',
                f"{temporary / 1e6:.2f}",
                f"{temporary / steps:.0f}",
                f"{(temporary - copies * steps) / 1e6:.2f}",
                f"{case['run'] / 1e6:.0f}",
                f"{case['peak'] / 1e6:.0f}",
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def versions():
    """Returns what the numbers were measured with."""
    names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    processor = f"{names[0]}, {len(names)} cores" if names else platform.machine()
    return (
        f"Python {platform.python_version()}, jax {jax.__version__}, jaxlib {jaxlib.__version__}, "
        f"{platform.system()}, {processor}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", help="measure one case in this process and print it as JSON")
    case = parser.parse_args().case
    if case is not None:
        print(json.dumps(measure(*json.loads(case))))
        return
    page = TEXT.format(
        input=INPUT,
        hidden=HIDDEN,
        batch=BATCH,
        backend=choose_backend("memory", "auto", jaxseq.lstm(INPUT, HIDDEN)),
        xs=4 * BATCH * INPUT,
        ys=4 * BATCH * HIDDEN,
        versions=versions(),
        tables="\n".join(map(table, LOSSES)),
    )
    print(page)
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
