"""``torch.nn.LSTM``, ``GRU`` and ``RNN``, eager, with PyTorch's default threads.

On a GPU these are cuDNN's. Ragged rows are packed and unpacked, which leaves the padding out.
"""

import jax
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from peers.case import Case, Data, Program

MODULES = {"elman": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}


def load(module: torch.nn.Module, data: Data) -> None:
    """Copies the weights into a module."""
    state = {}
    for depth, layer in enumerate(data.layers):
        for d, one in enumerate(layer):
            for name, field in zip(
                ("weight_ih", "weight_hh", "bias_ih", "bias_hh"), one, strict=True
            ):
                state[f"{name}_l{depth}{d * '_reverse'}"] = torch.from_numpy(field)
    module.load_state_dict(state)


def build(case: Case, data: Data) -> Program | str:
    on_gpu = jax.default_backend() == "gpu"
    if on_gpu and not torch.cuda.is_available():
        return "this build of PyTorch cannot use the GPU"
    device = "cuda" if on_gpu else "cpu"
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    _, steps, width, hidden = case.size
    options = {"bidirectional": case.bidirectional, "batch_first": True}
    module = MODULES[case.kind](width, hidden, case.layers, **options)
    load(module, data)
    module.to(device)
    xs = torch.from_numpy(data.xs).to(device).requires_grad_()
    lengths = None if data.lengths is None else torch.from_numpy(data.lengths)

    def run():
        if lengths is None:
            return module(xs)[0]
        packed = pack_padded_sequence(xs, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(module(packed)[0], batch_first=True, total_length=steps)[0]

    def train():
        loss = run().square().mean()
        *gradients, of_xs = torch.autograd.grad(loss, [*module.parameters(), xs])
        wait()
        return gradients, of_xs

    def infer():
        with torch.inference_mode():
            ys = run()
        wait()
        return ys

    return Program(train, infer)
