"""How much the memory of this process grows during a call (Linux)."""

import ctypes
import gc
import re
from collections.abc import Callable
from pathlib import Path

PROCESS = Path("/proc/self")


def resident(field: str) -> int:
    """Returns the bytes that are resident now (VmRSS), or were at the peak (VmHWM)."""
    status = (PROCESS / "status").read_text()
    return 1024 * int(re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)[1])


def of(run: Callable[[], object]) -> int | None:
    """Returns by how many bytes the resident memory grows at the peak of a call.

    What it returns is counted. It has run before, so that nothing is counted that only a first call
    needs; and the pages which that call freed go back to the system, so that they count again.

    Returns:
      The bytes; None where the system has no such counters.
    """
    if not (PROCESS / "clear_refs").exists():
        return None
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    (PROCESS / "clear_refs").write_text("5")  # the peak begins here
    before = resident("VmRSS")
    result = run()
    peak = resident("VmHWM")
    del result
    return max(0, peak - before)
