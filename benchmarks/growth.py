"""How much the memory of a process grows while a program of structured.py runs (Linux).

Each row is measured in processes of its own, which give what they free back to the system: so what
another program, or the run before, has left behind is no memory that a run finds there. What is
left to find, up to 0.1 MB, differs between processes: the median of some is taken, in each of which
another program comes first.
"""

import ctypes
import gc
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
from peers import structured as peers

PROCESS = Path("/proc/self")
# glibc maps blocks of so many bytes one by one, and gives them back when they are freed. By itself
# it would learn to keep those of up to 32 MB, in the heaps of threads for ever.
MAPPED = {"MALLOC_MMAP_THRESHOLD_": "65536"}
RUNS = 5  # of which the median is taken: a thread that takes part for the first time adds 0.1 MB
PROCESSES = 3


def resident(field: str) -> int:
    """Returns the bytes that are resident now (VmRSS), or were at the peak (VmHWM)."""
    status = (PROCESS / "status").read_text()
    return 1024 * int(re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)[1])


def of(run: Callable[[], object]) -> int | None:
    """Returns by how many bytes the resident memory grows at the peak of a call, a median of some.

    What it returns is counted. It has run before, so that nothing is counted that only a first call
    needs.

    Returns:
      The bytes; None where the system has no such counters, or the device has its own memory.
    """
    if not (PROCESS / "clear_refs").exists() or jax.default_backend() != "cpu":
        return None
    return int(statistics.median(once(run) for _ in range(RUNS)))


def once(run: Callable[[], object]) -> int:
    """Returns by how many bytes the resident memory grows at the peak of one call."""
    gc.collect()
    time.sleep(0.1)  # XLA frees its buffers in another thread
    ctypes.CDLL(None).malloc_trim(0)
    (PROCESS / "clear_refs").write_text("5")  # the peak begins here
    before = resident("VmRSS")
    result = run()
    peak = resident("VmHWM")
    del result
    return max(0, peak - before)


def measure(case: peers.Case, names: Sequence[str]) -> dict[str, int | None]:
    """Returns the growth of the named programs; to be called in a process of its own."""
    data = peers.draw(case)
    found = {}
    for name in names:
        program = peers.build(name, case, data)
        program.run()
        found[name] = of(program.run)
    return found


def in_processes(case: peers.Case, names: Sequence[str]) -> dict[str, int | None]:
    """Returns the growth of the named programs, the median of processes."""
    found = []
    for turn in range(PROCESSES):
        first = turn % len(names)
        found.append(in_a_process(case, [*names[first:], *names[:first]]))
    return {name: middle([one[name] for one in found]) for name in names}


def middle(values: Sequence[int | None]) -> int | None:
    """Returns the median of what was measured; None where nothing was."""
    measured = [value for value in values if value is not None]
    return int(statistics.median(measured)) if measured else None


def in_a_process(case: peers.Case, names: Sequence[str]) -> dict[str, int | None]:
    """Returns the growth of the named programs, measured in this order."""
    command = [sys.executable, __file__, json.dumps([case, list(names)])]
    environment = {**os.environ, **MAPPED}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main(task: str) -> None:
    """Prints the growth of a row's programs as JSON."""
    (model, work, size), names = json.loads(task)
    print(json.dumps(measure(peers.Case(model, work, tuple(size)), names)))


if __name__ == "__main__":
    main(sys.argv[1])
