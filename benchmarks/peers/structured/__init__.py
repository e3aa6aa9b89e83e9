"""What ``jaxseq.structured`` is compared with: small adapters, all given the same work.

As in :mod:`peers`: an adapter is a module with ``build(case, data, **options)``, which returns a
:class:`Program`, or a string that says why the library cannot do it.
"""

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from peers.structured.case import AXES, WORKS, Case, Program, draw

__all__ = ["AXES", "PEERS", "WORKS", "Case", "Peer", "Program", "build", "draw", "versions"]


class Peer(NamedTuple):
    """A row of the table below.

    Attributes:
      title: what tables call it.
      adapter: the module in this folder.
      package: what must be importable.
      distribution: whose version is reported.
      models: those that it has.
      options: of the adapter's ``build``.
    """

    title: str
    adapter: str
    package: str
    distribution: str
    models: tuple[str, ...]
    options: Mapping[str, Any] = MappingProxyType({})


def hmmlearn(implementation: str) -> Peer:
    return Peer(
        f"hmmlearn, {implementation}, float64",
        "hmmlearn_hmm",
        "hmmlearn",
        "hmmlearn",
        ("hmm", "em"),
        {"implementation": implementation},
    )


PEERS = {
    "jaxseq": Peer("jaxseq", "ours", "jaxseq", "jaxseq", tuple(WORKS)),
    "pytorch-crf": Peer("pytorch-crf", "torch_crf", "torchcrf", "pytorch-crf", ("crf",)),
    "dynamax": Peer("dynamax", "dynamax_hmm", "dynamax", "dynamax", ("hmm", "em")),
    "dynamax-parallel": Peer(
        "dynamax, parallel", "dynamax_hmm", "dynamax", "dynamax", ("hmm",), {"parallel": True}
    ),
    "hmmlearn-log": hmmlearn("log"),
    "hmmlearn-scaling": hmmlearn("scaling"),
    "optax": Peer("optax", "ctc", "optax", "optax", ("ctc",), {"library": "optax"}),
    "torch": Peer("PyTorch", "ctc", "torch", "torch", ("ctc",), {"library": "torch"}),
}


def versions() -> dict[str, str]:
    """Returns the versions of all that computes; what is not there is called that."""
    found = {}
    for name in ("jax", "jaxlib", *(peer.distribution for peer in PEERS.values()), "torch"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    if found["jaxseq"] == "not installed":
        found["jaxseq"] = importlib.import_module("jaxseq").__version__
    return found


def build(name: str, case: Case, data: Any) -> Program | str:
    """Returns a library's program for a case, or why there is none."""
    peer = PEERS[name]
    if importlib.util.find_spec(peer.package) is None:
        return "not installed"
    adapter = importlib.import_module(f"peers.structured.{peer.adapter}")
    return adapter.build(case, data, **peer.options)
