"""The pure functions compute what PyTorch computes, to 1e-10: outputs, final states, gradients."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from torch_cases import CASES, Case, load
from torch_compare import ATOL, RTOL, Leaves, check_agreement

from jaxseq import cells, sequence


def cell_of(case: Case, width: int) -> cells.Cell:
    """Returns the cell of one layer that reads ``width`` features."""
    hidden = case.sizes[3]
    match case.kind:
        case "LSTM":
            return cells.lstm(width, hidden, proj_size=case.proj_size or None)
        case "GRU":
            return cells.gru(width, hidden)
        case "RNN_RELU":
            return cells.elman(width, hidden, activation=jax.nn.relu)
        case _:
            return cells.elman(width, hidden)


def params_of(case: Case, leaves: Leaves, suffix: str) -> Any:
    """Returns one layer's parameters in one direction: the arrays are torch's, as they stand."""
    fused = {
        "w_ih": leaves["weight_ih" + suffix],
        "w_hh": leaves["weight_hh" + suffix],
        "b_ih": leaves["bias_ih" + suffix],
        "b_hh": leaves["bias_hh" + suffix],
    }
    if case.proj_size:
        return cells.LSTMProjParams(**fused, w_hr=leaves["weight_hr" + suffix])
    types = {"LSTM": cells.LSTMParams, "GRU": cells.GRUParams}
    return types.get(case.kind, cells.ElmanParams)(**fused)


def carry_of(case: Case, leaves: Leaves, index: Any) -> Any:
    """Returns the initial state number ``index``."""
    if case.kind == "LSTM":
        return cells.LSTMCarry(leaves["h_0"][index], leaves["c_0"][index])
    return {"GRU": cells.GRUCarry}.get(case.kind, cells.ElmanCarry)(leaves["h_0"][index])


def named(ys: jax.Array, carry: Any) -> Leaves:
    """Returns the results under torch's names."""
    return {"ys": ys} | {name + "_n": leaf for name, leaf in carry._asdict().items()}


def run_cell(case: Case, leaves: Leaves) -> Leaves:
    """One step of a batch."""
    step = jax.vmap(cell_of(case, case.sizes[2]).step, in_axes=(None, 0, 0))
    carry, ys = step(params_of(case, leaves, ""), carry_of(case, leaves, ...), leaves["xs"])
    return named(ys, carry)


def run_stack(case: Case, leaves: Leaves, lengths: jax.Array | None) -> Leaves:
    """Layers in one direction: a stack of cells, which is a cell, in one scan."""
    layers = range(case.num_layers)
    stack = cells.stack([cell_of(case, case.output_size if k else case.sizes[2]) for k in layers])
    params = tuple(params_of(case, leaves, suffix) for suffix in case.suffixes)
    carry = tuple(carry_of(case, leaves, k) for k in layers)
    carry, ys = sequence.scan(stack, params, leaves["xs"], carry=carry, lengths=lengths)
    return named(ys, jax.tree.map(lambda *layers: jnp.stack(layers), *carry))


def run_both(case: Case, leaves: Leaves, lengths: jax.Array | None) -> Leaves:
    """Layers in both directions, each over the whole output of the one below."""
    ys, finals = leaves["xs"], []
    for k in range(0, 2 * case.num_layers, 2):
        params = sequence.Directions(
            *(params_of(case, leaves, s) for s in case.suffixes[k : k + 2])
        )
        carry = sequence.Directions(carry_of(case, leaves, k), carry_of(case, leaves, k + 1))
        carry, ys = sequence.bidirectional(
            cell_of(case, ys.shape[-1]), params, ys, carry=carry, lengths=lengths
        )
        finals += [carry.forward, carry.backward]
    return named(ys, jax.tree.map(lambda *layers: jnp.stack(layers), *finals))


def often(case: Case) -> bool:
    """Says which cases every run compiles; many layers in both directions are those of the modules.

    Every kind has its cell, a layer, a ragged layer in both directions, and a ragged stack.
    """
    return not (case.bidirectional and case.num_layers > 1) or case.proj_size > 0


FUNCTIONS = [
    pytest.param(case, id=case.name, marks=[] if often(case) else [pytest.mark.slow])
    for case in CASES
]


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("case", FUNCTIONS)
def test_the_functions_compute_what_torch_computes(case: Case) -> None:
    lengths = jnp.array(case.lengths) if case.lengths else None
    if case.num_layers == 0:
        check_agreement(case, lambda leaves: run_cell(case, leaves))
    elif case.bidirectional:
        check_agreement(case, lambda leaves: run_both(case, leaves, lengths))
    else:
        check_agreement(case, lambda leaves: run_stack(case, leaves, lengths))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_fixtures_are_what_the_installed_torch_computes(case: Case) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed: only its recording is compared")
    from make_torch_fixtures import compute

    recorded = load(case)
    for name, value in compute(case, recorded).items():
        np.testing.assert_allclose(recorded[name], value, RTOL, ATOL, err_msg=name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_recorded_state_bias_or_gradient_is_trivially_zero(case: Case) -> None:
    recorded = load(case)
    for name, value in recorded.items():
        assert value.dtype == np.float64, name
        assert np.isfinite(value).all(), name
        assert np.any(value != 0), name
