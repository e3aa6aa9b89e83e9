"""The table of what is compared with PyTorch, and the numbers that each case starts from.

Everything random comes from NumPy, so a case does not depend on PyTorch's generators; and a fixture
records what was drawn, so that it does not depend on NumPy's either. NumPy only.
"""

import zlib
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

FIXTURES = Path(__file__).parent / "fixtures"

Arrays = dict[str, np.ndarray]


class Case(NamedTuple):
    """One network and one batch.

    Attributes:
      kind: ``RNN_TANH``, ``RNN_RELU``, ``LSTM`` or ``GRU``.
      num_layers: L; 0 stands for the single step of ``torch.nn.RNNCell`` and its like.
      bidirectional: both directions in every layer.
      lengths: of the rows of a packed batch; None for a full one.
      proj_size: P of an LSTM with projection, or 0.
      sizes: B, T, I and H.
    """

    kind: Literal["RNN_TANH", "RNN_RELU", "LSTM", "GRU"]
    num_layers: int
    bidirectional: bool = False
    lengths: tuple[int, ...] | None = None
    proj_size: int = 0
    sizes: tuple[int, int, int, int] = (3, 5, 3, 4)

    @property
    def name(self) -> str:
        """Says all of the case, as in ``lstm_3layers_both_ragged``."""
        batch, time, width, hidden = self.sizes
        parts = [self.kind.lower(), f"{self.num_layers}layers" if self.num_layers else "cell"]
        parts += ["both"] if self.bidirectional else []
        parts += ["ragged"] if self.lengths else []
        parts += [f"proj{self.proj_size}"] if self.proj_size else []
        parts += [] if self.sizes == (3, 5, 3, 4) else [f"b{batch}t{time}i{width}h{hidden}"]
        return "_".join(parts)

    @property
    def directions(self) -> tuple[str, ...]:
        """Torch's suffixes of the two directions."""
        return ("", "_reverse") if self.bidirectional else ("",)

    @property
    def gates(self) -> int:
        """G, the number of blocks in the fused matrices."""
        return {"LSTM": 4, "GRU": 3}.get(self.kind, 1)

    @property
    def output_size(self) -> int:
        """The width of h: P, or H without a projection."""
        return self.proj_size or self.sizes[3]

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The endings of torch's names of weights: one a layer and direction, in their order."""
        if self.num_layers == 0:
            return ("",)
        return tuple(f"_l{k}{way}" for k in range(self.num_layers) for way in self.directions)


RAGGED = (2, 5, 1)  # not sorted; a full row, and one of a single step

KINDS = ("RNN_TANH", "RNN_RELU", "LSTM", "GRU")
CASES = (
    *(Case(kind, 0) for kind in KINDS),
    *(Case(kind, 1) for kind in KINDS),
    *(Case(kind, 1, bidirectional=True, lengths=RAGGED) for kind in KINDS),
    *(Case(kind, 2, bidirectional=True) for kind in KINDS),
    *(Case(kind, 3, lengths=RAGGED) for kind in KINDS),
    *(Case(kind, 3, bidirectional=True, lengths=RAGGED) for kind in KINDS),
    Case("LSTM", 1, proj_size=2),
    Case("LSTM", 2, bidirectional=True, lengths=RAGGED, proj_size=3),
    Case("LSTM", 3, proj_size=1, lengths=(4, 4, 1)),
    Case("RNN_TANH", 2, lengths=(1, 1, 1)),
    Case("LSTM", 2, sizes=(1, 7, 1, 1)),
    Case("GRU", 2, sizes=(5, 1, 2, 3)),
)


def draw(case: Case) -> Arrays:
    """Returns weights (torch's names), inputs, initial states, and the weights of the loss.

    Every number is uniform; the states and the biases are not zero. The loss is the sum of
    ``ys * cotangent_ys``, ``h_n * cotangent_h_n`` and ``c_n * cotangent_c_n``.
    """
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))
    batch, time, width, hidden = case.sizes
    rows, out = case.gates * hidden, case.output_size
    arrays = {}
    for k, suffix in enumerate(case.suffixes):
        below = width if k < len(case.directions) else len(case.directions) * out
        arrays["weight_ih" + suffix] = rng.uniform(-0.8, 0.8, (rows, below))
        arrays["weight_hh" + suffix] = rng.uniform(-0.8, 0.8, (rows, out))
        arrays["bias_ih" + suffix] = rng.uniform(-0.8, 0.8, rows)
        arrays["bias_hh" + suffix] = rng.uniform(-0.8, 0.8, rows)
        if case.proj_size:
            arrays["weight_hr" + suffix] = rng.uniform(-0.8, 0.8, (out, hidden))
    steps = (batch, time) if case.num_layers else (batch,)
    stacked = (len(case.suffixes), batch) if case.num_layers else (batch,)
    states = {"h": out, "c": hidden} if case.kind == "LSTM" else {"h": out}
    arrays["xs"] = rng.uniform(-2.0, 2.0, (*steps, width))
    arrays["cotangent_ys"] = rng.uniform(-1.0, 1.0, (*steps, len(case.directions) * out))
    for name, size in states.items():
        arrays[name + "_0"] = rng.uniform(-1.0, 1.0, (*stacked, size))
        arrays[f"cotangent_{name}_n"] = rng.uniform(-1.0, 1.0, (*stacked, size))
    return arrays


def weights(arrays: Arrays) -> Arrays:
    """Returns the network's parameters among the arrays of a case."""
    return {name: a for name, a in arrays.items() if name.startswith(("weight_", "bias_"))}


def load(case: Case) -> Arrays:
    """Returns what was recorded: what was drawn, and what PyTorch computed from it."""
    with np.load(FIXTURES / f"{case.name}.npz") as recorded:
        return dict(recorded)
