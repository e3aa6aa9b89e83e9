"""Records translators made of PyTorch's modules: ``python tests/parity/make_seq2seq_fixture.py``.

Needs torch and NumPy only; the fixture that is kept was made with torch 2.13.0. It goes into
``fixtures/seq2seq.npz``, in float64, each array under its case's name and its own: the weights and
the symbols of a ragged batch, logits and alignments of every step, and the gradient of a weighted
sum of the logits by every weight. The encoder runs on a packed batch, the decoder one step at a
time, as Luong et al. write it.
"""

import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FIXTURE = Path(__file__).parent / "fixtures" / "seq2seq.npz"
SOURCE_SIZE, TARGET_SIZE, EMBED, HIDDEN, HALF = 6, 5, 3, 4, 2
SOURCE_LENGTHS, LENGTHS = np.array([3, 4, 1]), np.array([3, 1, 2])

Arrays = dict[str, np.ndarray]


class Case(NamedTuple):
    """One translator: its cell, layers of encoder and decoder, attention, and what is fed back."""

    cell: str
    layers: tuple[int, int]
    attention: str
    feeding: bool
    tied: bool = False

    @property
    def name(self) -> str:
        """Says all of the case."""
        return "_".join(
            map(str, [self.cell, *self.layers, self.attention, self.feeding, self.tied])
        )

    @property
    def width(self) -> int:
        """N, of attentional vectors."""
        return EMBED if self.tied else HIDDEN

    @property
    def fields(self) -> tuple[str, ...]:
        """Those of a state."""
        return ("h", "c") if self.cell == "LSTM" else ("h",)


CASES = (
    Case("LSTM", (1, 1), "general", feeding=False),
    Case("LSTM", (1, 2), "additive", feeding=True, tied=True),
    Case("GRU", (2, 1), "dot", feeding=True),
    Case("RNN", (2, 2), "additive", feeding=False, tied=True),
)


def rnn_shapes(case: Case, inputs: int, hidden: int, layers: int, ways: int) -> dict[str, tuple]:
    """Returns the shapes of a stack's weights, under PyTorch's names."""
    rows = {"LSTM": 4, "GRU": 3, "RNN": 1}[case.cell] * hidden
    shapes: dict[str, tuple] = {}
    for k in range(layers):
        for way in ("", "_reverse")[:ways]:
            shapes[f"weight_ih_l{k}{way}"] = (rows, inputs if k == 0 else ways * hidden)
            shapes[f"weight_hh_l{k}{way}"] = (rows, hidden)
            shapes[f"bias_ih_l{k}{way}"] = shapes[f"bias_hh_l{k}{way}"] = (rows,)
    return shapes


def shapes(case: Case) -> dict[str, tuple]:
    """Returns the shape of every weight."""
    wide = EMBED + case.width * case.feeding
    encoder = rnn_shapes(case, EMBED, HALF, case.layers[0], 2)
    decoder = rnn_shapes(case, wide, HIDDEN, case.layers[1], 1)
    found = {f"encoder.{name}": shape for name, shape in encoder.items()}
    found |= {f"decoder.{name}": shape for name, shape in decoder.items()}
    for field in case.fields:
        found[f"bridge.w_{field}"] = (case.layers[1], HIDDEN, 2 * HALF)
        found[f"bridge.b_{field}"] = (case.layers[1], HIDDEN)
    found |= {"source": (SOURCE_SIZE, EMBED), "target": (TARGET_SIZE, EMBED)}
    found |= {"w_attended": (case.width, 2 * HALF + HIDDEN), "b_attended": (case.width,)}
    found |= {} if case.attention == "dot" else {"w_key": (HIDDEN, 2 * HALF)}
    if case.attention == "additive":
        found |= {"w_query": (HIDDEN, HIDDEN), "weight": (HIDDEN,)}
    found |= {} if case.tied else {"projection": (TARGET_SIZE, case.width)}
    return found | {"bias": (TARGET_SIZE,)}


def draw(case: Case) -> Arrays:
    """Returns weights, symbols, and the weights of the loss, which are 0 in the pads."""
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))
    arrays = {f"w/{name}": rng.uniform(-0.9, 0.9, shape) for name, shape in shapes(case).items()}
    rows, long, steps = len(LENGTHS), SOURCE_LENGTHS.max(), LENGTHS.max()
    valid = (np.arange(steps) < LENGTHS[:, None])[..., None]
    return arrays | {
        "symbols": rng.integers(0, SOURCE_SIZE, (rows, long)),
        "read": rng.integers(0, TARGET_SIZE, (rows, steps)),
        "cotangent": valid * rng.uniform(-1.0, 1.0, (rows, steps, TARGET_SIZE)),
    }


def stack(case: Case, inputs: int, hidden: int, layers: int, ways: int) -> Any:
    """Returns PyTorch's module of a stack."""
    import torch

    settings = {"batch_first": True, "bidirectional": ways == 2, "dtype": torch.float64}
    return getattr(torch.nn, case.cell)(inputs, hidden, layers, **settings)


def of(w: dict[str, Any], part: str) -> dict[str, Any]:
    """Returns the weights of one part, under their own names."""
    return {name.removeprefix(part): leaf for name, leaf in w.items() if name.startswith(part)}


def encode(case: Case, w: dict[str, Any], symbols: Any) -> tuple[Any, Any]:
    """Returns the memory, and the state that the decoder begins with."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    module = stack(case, EMBED, HALF, case.layers[0], 2)
    options = {"batch_first": True, "enforce_sorted": False}
    packed = pack_padded_sequence(w["source"][symbols], torch.tensor(SOURCE_LENGTHS), **options)
    packed, final = torch.func.functional_call(module, of(w, "encoder."), (packed,))
    memory, _ = pad_packed_sequence(packed, batch_first=True)
    final = final if case.cell == "LSTM" else (final,)
    depth, layers = case.layers
    state = []
    for field, ends in zip(case.fields, final, strict=True):
        begun = []
        for k in range(layers):
            below = max(0, depth - layers + k)
            both = torch.cat([ends[2 * below], ends[2 * below + 1]], dim=-1)
            begun.append(both @ w[f"bridge.w_{field}"][k].T + w[f"bridge.b_{field}"][k])
        state.append(torch.tanh(torch.stack(begun)) if field == "h" else torch.stack(begun))
    return memory, tuple(state)


def attend(case: Case, w: dict[str, Any], h: Any, memory: Any) -> tuple[Any, Any]:
    """Returns the context of states ``[B, H]``, and the weights."""
    import torch

    if case.attention == "additive":
        fit = torch.tanh((h @ w["w_query"].T)[:, None] + memory @ w["w_key"].T)
        scores = fit @ w["weight"]
    else:
        keys = memory if case.attention == "dot" else memory @ w["w_key"].T
        scores = torch.einsum("bh,bsh->bs", h, keys)
    pads = torch.arange(memory.shape[1]) >= torch.tensor(SOURCE_LENGTHS)[:, None]
    weights = scores.masked_fill(pads, -torch.inf).softmax(-1)
    return torch.einsum("bs,bsd->bd", weights, memory), weights


def translate(case: Case, w: dict[str, Any], symbols: Any, read: Any) -> dict[str, Any]:
    """Returns logits and alignments of all steps."""
    import torch

    memory, state = encode(case, w, symbols)
    module = stack(case, EMBED + case.width * case.feeding, HIDDEN, case.layers[1], 1)
    attended = torch.zeros(len(read), case.width, dtype=torch.float64)
    logits, looks = [], []
    for t in range(read.shape[1]):
        x = w["target"][read[:, t]]
        x = torch.cat([x, attended], dim=-1) if case.feeding else x
        given = (x[:, None], state if case.cell == "LSTM" else state[0])
        ys, state = torch.func.functional_call(module, of(w, "decoder."), given)
        state = state if case.cell == "LSTM" else (state,)
        context, weights = attend(case, w, ys[:, 0], memory)
        both = torch.cat([context, ys[:, 0]], dim=-1)
        attended = torch.tanh(both @ w["w_attended"].T + w["b_attended"])
        logits.append(attended @ w["target" if case.tied else "projection"].T + w["bias"])
        looks.append(weights)
    return {"logits": torch.stack(logits, 1), "weights": torch.stack(looks, 1)}


def compute(case: Case, arrays: Arrays) -> Arrays:
    """Returns what PyTorch computes from what was drawn."""
    import torch

    given = {name: torch.from_numpy(array) for name, array in arrays.items()}
    w = {name: leaf.requires_grad_() for name, leaf in of(given, "w/").items()}
    found = translate(case, w, given["symbols"], given["read"])
    (given["cotangent"] * found["logits"]).sum().backward()
    values = {name: leaf.detach().numpy() for name, leaf in found.items()}
    return values | {f"grad/{name}": leaf.grad.numpy() for name, leaf in w.items()}


def load(case: Case) -> Arrays:
    """Returns what was recorded of a case: what was drawn, and what PyTorch computed from it."""
    with np.load(FIXTURE) as recorded:
        return of(dict(recorded), f"{case.name}/")


def main() -> None:
    """Writes the fixture."""
    import torch

    kept = {}
    for case in CASES:
        arrays = draw(case)
        found = arrays | compute(case, arrays)
        kept |= {f"{case.name}/{name}": array for name, array in found.items()}
    np.savez_compressed(FIXTURE, **kept)
    print(f"{len(CASES)} cases written to {FIXTURE}, with torch {torch.__version__}")


if __name__ == "__main__":
    main()
