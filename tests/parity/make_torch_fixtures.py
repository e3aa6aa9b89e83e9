"""Records what PyTorch computes in every case: ``python tests/parity/make_torch_fixtures.py``.

Needs torch and NumPy only; the fixtures that are kept were made with torch 2.13.0. They go into
``fixtures/`` beside this script, one file a case, in float64: the weights, inputs and initial
states, the outputs and final states, and the gradient of one weighted sum of outputs and final
states by every weight, the inputs and the initial states.
"""

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch_cases import CASES, FIXTURES, Arrays, Case, draw, weights


def build(case: Case) -> torch.nn.Module:
    """Returns the case's network, with PyTorch's own initial weights."""
    _, _, width, hidden = case.sizes
    family, _, nonlinearity = case.kind.partition("_")
    options: dict = {"nonlinearity": nonlinearity.lower()} if nonlinearity else {}
    if case.num_layers == 0:
        return getattr(torch.nn, family + "Cell")(width, hidden, dtype=torch.float64, **options)
    if case.proj_size:
        options["proj_size"] = case.proj_size
    return getattr(torch.nn, family)(
        width,
        hidden,
        case.num_layers,
        batch_first=True,
        bidirectional=case.bidirectional,
        dtype=torch.float64,
        **options,
    )


def run(
    case: Case, module: torch.nn.Module, leaves: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Returns ``ys``, ``h_n`` and, for an LSTM, ``c_n``."""
    lstm = case.kind == "LSTM"
    state = (leaves["h_0"], leaves["c_0"]) if lstm else leaves["h_0"]
    xs = leaves["xs"]
    if case.num_layers == 0:
        final = module(xs, state)
        ys = final[0] if lstm else final
    elif case.lengths:
        packed = pack_padded_sequence(
            xs, torch.tensor(case.lengths), batch_first=True, enforce_sorted=False
        )
        ys, final = module(packed, state)
        ys, _ = pad_packed_sequence(ys, batch_first=True, total_length=xs.shape[1])
    else:
        ys, final = module(xs, state)
    return {"ys": ys, "h_n": final[0], "c_n": final[1]} if lstm else {"ys": ys, "h_n": final}


def compute(case: Case, arrays: Arrays) -> Arrays:
    """Returns outputs, final states, and ``grad_*`` of everything that the loss depends on."""
    module = build(case)
    module.load_state_dict({k: torch.from_numpy(a) for k, a in weights(arrays).items()})
    leaves = {
        name: torch.from_numpy(arrays[name]).requires_grad_()
        for name in ("xs", "h_0", "c_0")
        if name in arrays
    }
    outputs = run(case, module, leaves)
    loss = sum(
        (torch.from_numpy(arrays["cotangent_" + name]) * value).sum()
        for name, value in outputs.items()
    )
    loss.backward()
    leaves |= dict(module.named_parameters())
    return {name: value.detach().numpy() for name, value in outputs.items()} | {
        "grad_" + name: leaf.grad.numpy() for name, leaf in leaves.items()
    }


def main() -> None:
    """Writes one file a case."""
    FIXTURES.mkdir(exist_ok=True)
    for case in CASES:
        arrays = draw(case)
        np.savez_compressed(FIXTURES / f"{case.name}.npz", **arrays, **compute(case, arrays))
    print(f"{len(CASES)} cases written to {FIXTURES}, with torch {torch.__version__}")


if __name__ == "__main__":
    main()
