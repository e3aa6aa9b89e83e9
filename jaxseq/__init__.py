"""Sequence modelling for JAX: recurrent networks as pure functions, and all that is around them.

The names here are the functional core. The rooms ``nn`` (Flax modules), ``training``, ``decoding``,
``losses``, ``diagnostics``, ``recipes``, ``structured`` and ``testing`` are loaded when they are
first used, so that the core does not import Flax or Orbax.
"""

import importlib
from types import ModuleType

from jaxseq import cells, data, sequence
from jaxseq._version import __version__ as __version__
from jaxseq.cells import (
    Cell,
    dropout,
    elman,
    gru,
    layer_norm_gru,
    layer_norm_lstm,
    lru,
    lstm,
    min_gru,
    min_lstm,
    peephole_lstm,
    residual,
    stack,
    zoneout,
)
from jaxseq.sequence import Directions, bidirectional, plan, scan, truncated_bptt

__all__ = [
    "Cell",
    "Directions",
    "bidirectional",
    "cells",
    "data",
    "dropout",
    "elman",
    "gru",
    "layer_norm_gru",
    "layer_norm_lstm",
    "lru",
    "lstm",
    "min_gru",
    "min_lstm",
    "peephole_lstm",
    "plan",
    "residual",
    "scan",
    "sequence",
    "stack",
    "truncated_bptt",
    "zoneout",
]

_ROOMS = frozenset(
    {
        *("decoding", "diagnostics", "losses", "nn", "recipes"),
        *("structured", "testing", "training"),
    }
)


def __getattr__(name: str) -> ModuleType:
    if name in _ROOMS:
        return importlib.import_module(f"jaxseq.{name}")
    raise AttributeError(f"module 'jaxseq' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS})
