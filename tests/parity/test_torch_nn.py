"""The Flax modules compute what PyTorch computes, to 1e-10: outputs, final states, gradients."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax import nnx
from torch_cases import CASES, Case
from torch_compare import Leaves, check_agreement

from jaxseq import cells, nn


def often(case: Case) -> bool:
    """Says which cases every run compiles: layers and directions at their fewest and their most.

    Of the networks without gates, which compile the same layers, one has the most of both.
    """
    if case.bidirectional and case.kind.startswith("RNN"):
        return case.num_layers == (3 if case.kind == "RNN_RELU" else 1)
    return case.proj_size > 0 or case.bidirectional == (case.num_layers == 3)


LAYERS = [
    pytest.param(case, id=case.name, marks=[] if often(case) else [pytest.mark.slow])
    for case in CASES
    if case.num_layers
]


def build(case: Case) -> Any:
    """Returns the case's module, with its own initial weights."""
    _, _, width, hidden = case.sizes
    options: dict[str, Any] = {"bidirectional": case.bidirectional, "rngs": nnx.Rngs(0)}
    match case.kind:
        case "LSTM":
            options |= {"proj_size": case.proj_size} if case.proj_size else {}
            return nn.LSTM(width, hidden, case.num_layers, **options)
        case "GRU":
            return nn.GRU(width, hidden, case.num_layers, **options)
        case "RNN_RELU":
            return nn.Elman(width, hidden, case.num_layers, activation=jax.nn.relu, **options)
        case _:
            return nn.Elman(width, hidden, case.num_layers, **options)


def run(case: Case, graphdef: Any, rest: Any, leaves: Leaves) -> Leaves:
    """Calls the module with torch's weights: one entry of ``layers`` a layer and direction."""
    names = {"w_ih": "weight_ih", "w_hh": "weight_hh", "b_ih": "bias_ih", "b_hh": "bias_hh"}
    names |= {"w_hr": "weight_hr"} if case.proj_size else {}
    params = {
        "layers": {
            index: {ours: nnx.Param(leaves[theirs + suffix]) for ours, theirs in names.items()}
            for index, suffix in enumerate(case.suffixes)
        }
    }
    layer = nnx.merge(graphdef, nnx.State(params), rest)
    if case.kind == "LSTM":
        carry = cells.LSTMCarry(leaves["h_0"], leaves["c_0"])
    elif case.kind == "GRU":
        carry = cells.GRUCarry(leaves["h_0"])
    else:
        carry = cells.ElmanCarry(leaves["h_0"])
    lengths = jnp.array(case.lengths) if case.lengths else None
    carry, ys = layer(leaves["xs"], carry=carry, lengths=lengths)
    return {"ys": ys} | {name + "_n": leaf for name, leaf in carry._asdict().items()}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("case", LAYERS)
def test_the_modules_compute_what_torch_computes(case: Case) -> None:
    # Its own weights are not needed, and to compile their draws would take long.
    graphdef, _, rest = nnx.split(nnx.eval_shape(lambda: build(case)), nnx.Param, ...)
    check_agreement(case, lambda leaves: run(case, graphdef, rest, leaves))
