"""pytorch-crf, eager, default threads."""

import numpy as np
import torch
from torchcrf import CRF as Module

from peers.structured.case import CRF, Case, Program, float64, path_scores


def build(case: Case, data: CRF) -> Program:
    module = Module(data.transitions.shape[0], batch_first=True)
    for name in ("transitions", "initial", "final"):
        owned = {"initial": "start_transitions", "final": "end_transitions"}.get(name, name)
        getattr(module, owned).data = torch.tensor(getattr(data, name))
    # The work is the gradient of emissions and transitions alone.
    module.start_transitions.requires_grad_(False)
    module.end_transitions.requires_grad_(False)
    emissions = torch.tensor(data.emissions, requires_grad=case.work == "gradient")
    tags = torch.tensor(data.tags, dtype=torch.int64)
    mask = torch.tensor(np.arange(data.tags.shape[1])[None] < data.lengths[:, None])

    def likelihood():
        with torch.no_grad():
            return (module(emissions, tags, mask=mask),)

    def gradient():
        emissions.grad = None
        module.zero_grad(set_to_none=True)
        value = module(emissions, tags, mask=mask)
        value.backward()
        return value.detach(), emissions.grad, module.transitions.grad

    def viterbi():
        return module.decode(emissions, mask=mask)

    if case.work == "viterbi":
        return Program(viterbi, lambda paths: [path_scores(data, paths)])
    return Program({"likelihood": likelihood, "gradient": gradient}[case.work], float64)
