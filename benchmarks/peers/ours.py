"""jaxseq: ``scan`` and ``bidirectional``, a layer at a time."""

from typing import Any

import jaxseq
from jaxseq import cells
from peers.case import Case, Data, Program, program

PARAMS: dict[str, Any] = {
    "elman": cells.ElmanParams,
    "gru": cells.GRUParams,
    "lstm": cells.LSTMParams,
}


def build(case: Case, data: Data, *, backend: str = "auto") -> Program:
    hidden = case.size[-1]
    layers = [getattr(jaxseq, case.kind)(width, hidden) for width in case.widths]
    params = [[PARAMS[case.kind](*direction) for direction in layer] for layer in data.layers]

    def apply(params, ys, lengths, resets):
        options = {"lengths": lengths, "resets": resets, "backend": backend}
        for cell, weights in zip(layers, params, strict=True):
            if case.bidirectional:
                _, ys = jaxseq.bidirectional(cell, jaxseq.Directions(*weights), ys, **options)
            else:
                _, ys = jaxseq.scan(cell, weights[0], ys, **options)
        return ys

    return program(apply, params, data)
