"""The CTC losses of optax and of PyTorch, from logits in the layout that each reads."""

import jax
import numpy as np

from peers.structured.case import CTC, Case, Program, compiled


def build(case: Case, data: CTC, *, library: str) -> Program:
    return {"optax": build_optax, "torch": build_torch}[library](case, data)


def build_optax(case: Case, data: CTC) -> Program:
    import optax

    _, steps, _, most = case.size
    pads = (np.arange(steps)[None] >= data.lengths[:, None]).astype(np.float32)
    label_pads = (np.arange(most)[None] >= data.label_lengths[:, None]).astype(np.float32)

    def loss(logits, pads, labels, label_pads):
        return optax.losses.ctc_loss(logits, pads, labels, label_pads).sum()

    arguments = (data.logits, pads, data.labels, label_pads)
    if case.work == "loss":
        return compiled(lambda *arguments: (loss(*arguments),), arguments)
    return compiled(jax.value_and_grad(loss), arguments)


def build_torch(case: Case, data: CTC) -> Program:
    import torch
    from torch.nn import functional

    time_first = np.ascontiguousarray(data.logits.swapaxes(0, 1))
    logits = torch.tensor(time_first, requires_grad=case.work == "gradient")
    labels, lengths, label_lengths = (torch.tensor(one, dtype=torch.int64) for one in data[1:])

    def value():
        log_probs = functional.log_softmax(logits, dim=-1)
        return functional.ctc_loss(log_probs, labels, lengths, label_lengths, reduction="sum")

    def loss():
        with torch.no_grad():
            return (value(),)

    def gradient():
        logits.grad = None
        found = value()
        found.backward()
        return found.detach(), logits.grad

    def read(found):
        arrays = [one.numpy().astype(np.float64) for one in found]
        return [arrays[0], *(one.swapaxes(0, 1) for one in arrays[1:])]

    return Program({"loss": loss, "gradient": gradient}[case.work], read)
