"""What the figures were measured on and with."""

import os
import platform
import re
from pathlib import Path
from typing import Any

import jax
import jaxlib
import peers

from jaxseq.sequence import _native


def processor() -> str:
    """Returns the name of the processor, as the system gives it."""
    path = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.+)$", path.read_text(), re.M) if path.exists() else []
    return names[0].strip() if names else platform.processor() or platform.machine()


def cores() -> int:
    """Returns how many processors this process may run on."""
    known = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1


def device() -> str:
    """Returns the name of the device that JAX computes on."""
    if jax.default_backend() == "cpu":
        return f"{processor()}, {cores()} cores"
    return jax.devices()[0].device_kind


def device_and_kernels() -> str:
    """Returns the device, and whether scans run on the kernels there by default."""
    kernels = _native.library() is not None and jax.default_backend() == "cpu"
    return device() + (", with jaxseq-native" if kernels else "")


def slug(name: str) -> str:
    """Returns a name as a file may have it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def versions() -> dict[str, str]:
    """Returns the versions of all that computes; a peer that is not there is called that."""
    found = {"python": platform.python_version(), "jax": jax.__version__}
    found["jaxlib"] = jaxlib.__version__
    for name, peer in peers.PEERS.items():
        if peer.package != "jax":
            found[peer.distribution] = peers.version(name) or "not installed"
    return found


def threads() -> dict[str, int]:
    """Returns how many threads the libraries use on the processor."""
    found = {"XLA": cores()}
    if peers.version("torch") is not None:
        import torch

        found["torch"] = torch.get_num_threads()
    return found


def describe() -> dict[str, Any]:
    """Returns what belongs beside every figure."""
    return {
        "device": device(),
        "platform": jax.default_backend(),
        "system": platform.system(),
        "processor": processor(),
        "threads": threads(),
        "load": round(os.getloadavg()[0], 2),
        "versions": versions(),
    }
