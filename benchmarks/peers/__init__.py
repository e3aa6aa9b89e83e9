"""What jaxseq is compared with: one small adapter a peer, all given the same work.

A :class:`Case` says what is computed. Its weights, inputs and lengths are drawn once, in PyTorch's
layout, and every adapter loads them, so that outputs and gradients can be held against each other
before anything is timed. An adapter is a module with ``build(case, data)``, which returns a
:class:`Program`, or a string that says why the peer cannot do it.

    name, adapter, package         whose layer
    jaxseq, reference              ours: the backend that "auto" chooses, and the plain lax.scan
    flax                           flax.nnx.RNN, flax.nnx.Bidirectional
    equinox                        an eqx.nn cell under lax.scan and vmap, as its documentation says
    haiku                          hk.dynamic_unroll
    keras                          Keras 3 on JAX, stateless_call
    torch                          torch.nn, eager, default threads; cuDNN on a GPU
    cudnn                          jax.experimental.rnn.lstm
    products                       no peer: the matrix products alone, a bound
"""

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from peers.case import KINDS, Case, Data, Program, draw

__all__ = [
    "KINDS",
    "PEERS",
    "Case",
    "Data",
    "Peer",
    "Program",
    "build",
    "draw",
    "reason",
    "version",
]


class Peer(NamedTuple):
    """A row of the table below.

    Attributes:
      title: what tables call it.
      adapter: the module in this folder.
      package: what must be importable.
      distribution: whose version is reported.
      other_maths: the kinds whose formula is another one there, and which: timed, but not held
        against ours.
    """

    title: str
    adapter: str
    package: str
    distribution: str
    other_maths: Mapping[str, str] = MappingProxyType({})


HAIKU = {"gru": "the reset gate acts before the product", "elman": "ReLU in place of tanh"}

PEERS = {
    "jaxseq": Peer("jaxseq", "ours", "jaxseq", "jaxseq"),
    "reference": Peer("jaxseq, plain lax.scan", "ours", "jaxseq", "jaxseq"),
    "flax": Peer("Flax nnx.RNN", "flax_nnx", "flax", "flax"),
    "equinox": Peer("Equinox, lax.scan", "eqx", "equinox", "equinox"),
    "haiku": Peer("Haiku dynamic_unroll", "hk", "haiku", "dm-haiku", HAIKU),
    "keras": Peer("Keras 3 on JAX", "keras_jax", "keras", "keras"),
    "torch": Peer("PyTorch torch.nn", "torch_nn", "torch", "torch"),
    "cudnn": Peer("jax.experimental.rnn (cuDNN)", "cudnn", "jax", "jax"),
    "products": Peer("the products alone", "products", "jax", "jax"),
}


def version(name: str) -> str | None:
    """Returns the version of a peer that is installed, else None."""
    peer = PEERS[name]
    if importlib.util.find_spec(peer.package) is None:
        return None
    try:
        return importlib.metadata.version(peer.distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not known"


def reason(name: str, case: Case) -> str | None:
    """Returns why a peer cannot do a case, without building it; None where that is not known."""
    if version(name) is None:
        return "not installed"
    if case.resets and name not in ("jaxseq", "reference"):
        return "not compared with resets"
    return None


def build(name: str, case: Case, data: Data | None = None) -> Program | str:
    """Returns a peer's program for a case, or why there is none."""
    why = reason(name, case)
    if why is not None:
        return why
    adapter = importlib.import_module(f"peers.{PEERS[name].adapter}")
    data = draw(case) if data is None else data
    if name == "reference":
        return adapter.build(case, data, backend="reference")
    return adapter.build(case, data)
