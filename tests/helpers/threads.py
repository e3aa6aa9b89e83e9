"""What the system says of the threads of this process."""

import contextlib
import os


def pinned() -> list[int]:
    """Returns the threads that may not run wherever this one may; none where nobody says."""
    found = []
    for task in os.listdir("/proc/self/task") if hasattr(os, "sched_getaffinity") else []:
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            if os.sched_getaffinity(int(task)) != os.sched_getaffinity(0):
                found.append(int(task))
    return found
