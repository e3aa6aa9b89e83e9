"""The main suite: every cell and wrapper against every check, and checks that do catch errors."""

import itertools

import jax
import jax.numpy as jnp
import pytest

import jaxseq
from jaxseq import testing
from jaxseq.testing import _contract

ZONEOUT = jaxseq.zoneout(jaxseq.lstm(2, 3), 0.25, cell_rate=0.5)

CELLS = {
    "elman": jaxseq.elman(2, 3),
    "elman relu": jaxseq.elman(2, 3, activation=jax.nn.relu),
    "lstm": jaxseq.lstm(2, 3),
    "lstm with a projection": jaxseq.lstm(2, 3, proj_size=2),
    "gru": jaxseq.gru(2, 3),
    "gru, reset before": jaxseq.gru(2, 3, reset_after=False),
    "peephole lstm": jaxseq.peephole_lstm(2, 3),
    "layer norm lstm": jaxseq.layer_norm_lstm(2, 3),
    "layer norm gru": jaxseq.layer_norm_gru(2, 3),
    "lru": jaxseq.lru(2, 3, 4),
    "min gru": jaxseq.min_gru(2, 3),
    "min lstm": jaxseq.min_lstm(2, 3),
    "stack": jaxseq.stack([jaxseq.gru(2, 3), jaxseq.lstm(3, 2)]),
    "residual": jaxseq.residual(jaxseq.lstm(3, 3)),
    "dropout": jaxseq.dropout(jaxseq.lstm(2, 3), 0.5, state_rate=0.25),
    "dropout of the inputs alone": jaxseq.dropout(jaxseq.gru(2, 3, reset_after=False), 0.5),
    "zoneout": ZONEOUT,
    "stack of wrapped cells": jaxseq.stack(
        [jaxseq.dropout(jaxseq.gru(2, 3), 0.5), jaxseq.residual(jaxseq.elman(3, 3))]
    ),
    "stack with zoneout and dropout": jaxseq.stack(
        [jaxseq.elman(2, 3), jaxseq.dropout(jaxseq.zoneout(jaxseq.gru(3, 2), 0.25), 0.5)]
    ),
}


# One cell of each kind of carry: an array, two, real and complex parts, a tuple, masks and keys.
KINDS = {"gru", "lstm", "lru", "stack", "dropout", "zoneout", "stack of wrapped cells"}
# Most of the time is in these, which ask more of the scan than of the cell. The quick run has
# them for one cell of each kind of carry, or for some of those.
LONG = {
    "a_sequence_may_be_cut_anywhere": KINDS,
    "parameters_may_be_mapped": KINDS,
    "padding_never_matters": {"lstm", "zoneout", "stack of wrapped cells"},
    "remat_and_unroll_change_no_value": {"gru"},
    "a_wide_window_truncates_nothing": {"elman", "dropout"},
}
# These are a cell, or wrappers, that the table has beside them with another setting. The quick run
# has the cheap checks for them.
ALIKE = {"elman relu", "dropout of the inputs alone", "stack with zoneout and dropout"}
CHEAP = {"carry_keeps_its_type", "maps_compose_to_the_step", "no_steps_leave_the_carry"}
CHEAP |= {"gates_are_the_update", "reverse_is_flip_scan_flip", "gradients_are_derivatives"}
BY_NAME = {check.__name__: check for check in testing.CHECKS}


def rows():
    """Every cell with every check, and which of them are slow."""
    for name, check in itertools.product(CELLS, testing.CHECKS):
        alike = name in ALIKE and check.__name__ not in CHEAP
        slow = alike or name not in LONG.get(check.__name__, CELLS)
        marks = [pytest.mark.slow] if slow else []
        yield pytest.param(name, check, id=f"{name}-{check.__name__}", marks=marks)


@pytest.mark.parametrize(("name", "check"), [*rows()])
def test_every_cell_keeps_the_contract(name, check, x64):
    cell = CELLS[name]
    if check.__name__ == "scan_is_a_python_loop":
        # Of all operations in a step there is one program, and not one of each.
        cell = cell._replace(step=jax.jit(cell.step))
    check(cell, "reference")


def test_what_is_left_to_the_slow_run_is_there():
    assert CHEAP | set(LONG) <= set(BY_NAME)
    assert ALIKE | set().union(*LONG.values()) <= set(CELLS)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("padding_never_matters", marks=pytest.mark.slow),
        "resets_are_separate_sequences",
    ],
)
def test_evaluation_keeps_the_contract_too(name, x64):
    """The table's rows are in training: an example's carry is made with a key."""

    def without_key(params, batch_shape=(), *, key=None):
        return ZONEOUT.carry(params, batch_shape)

    BY_NAME[name](ZONEOUT._replace(carry=without_key), "reference")


@pytest.mark.slow  # an example of the documentation is the same, and all of it
def test_float32_keeps_the_contract_too():
    testing.check_cell(jaxseq.elman(1, 2))


def _broken(**changes):
    return jaxseq.elman(2, 3)._replace(**changes)


def _with_gates(**changes):
    maps = jaxseq.elman(2, 3).maps
    return _broken(maps=maps._replace(gates=maps.gates._replace(**changes)))


def _all_summed(cell):
    return cell._replace(maps=cell.maps._replace(additive=1.0, gates=None))


def _leaky_step(params, carry, x):
    """Steps well, but for a state outside the carry: it counts its calls."""
    _leaky_step.calls += 1
    carry, y = jaxseq.elman(2, 3).step(params, carry, x)
    return carry, y + _leaky_step.calls


_leaky_step.calls = 0


def _stopped_step(params, carry, x):
    return jaxseq.elman(2, 3).step(
        params._replace(b_hh=jax.lax.stop_gradient(params.b_hh)), carry, x
    )


def _widening_step(params, carry, x):
    carry, y = jaxseq.elman(2, 3).step(params, carry, x)
    return carry._replace(h=carry.h.astype(jnp.float64)), y


def _drifting_step(params, carry, x):
    """Steps well, but for a key of large numbers that counts the calls."""
    _drifting_step.calls += 1
    inner, y = jaxseq.elman(2, 3).step(params, carry["cell"], x)
    return {"cell": inner, "key": carry["key"] + jnp.uint32(_drifting_step.calls)}, y


_drifting_step.calls = 0


def _drifting_carry(params, batch_shape=(), *, key=None):
    inner = jaxseq.elman(2, 3).carry(params, batch_shape)
    return {"cell": inner, "key": jnp.full((*batch_shape, 2), 2**31, jnp.uint32)}


broken_cells = pytest.mark.parametrize(
    ("cell", "failing"),
    [
        (_broken(output_size=4), "carry_keeps_its_type"),
        (_broken(step=_widening_step), "carry_keeps_its_type"),
        (_broken(step=_leaky_step), "scan_is_a_python_loop"),
        (_broken(step=_stopped_step), "every_weight_has_a_gradient"),
        (
            _broken(maps=jaxseq.elman(2, 3, activation=jax.nn.relu).maps),
            "maps_compose_to_the_step",
        ),
        (_with_gates(tangent=lambda values, *d_z: (sum(d_z),)), "gates_are_the_update"),
        (_with_gates(update=lambda values, carry: carry), "gates_are_the_update"),
        (_all_summed(jaxseq.gru(2, 3)), "gates_are_the_update"),
        (_broken(reset=lambda params, carry: carry), "resets_are_separate_sequences"),
        (_broken(step=_drifting_step, carry=_drifting_carry, maps=None), "scan_is_a_python_loop"),
    ],
    ids=[
        "output size",
        "dtype",
        "hidden state",
        "cut gradient",
        "other maps",
        "slopes of one",
        "another update",
        "more than a sum",
        "no reset",
        "drifting key",
    ],
)


@broken_cells
def test_a_broken_cell_is_caught_by_name(cell, failing, x64, monkeypatch):
    monkeypatch.setattr(_contract, "CHECKS", (BY_NAME[failing],))
    with pytest.raises(AssertionError, match=failing):
        testing.check_cell(cell, backend="reference")


@pytest.mark.slow  # the checks before the one that is to fail take most of the time
@broken_cells
def test_of_all_checks_no_other_catches_a_broken_cell_first(cell, failing, x64):
    with pytest.raises(AssertionError, match=failing):
        testing.check_cell(cell, backend="reference")


def test_all_checks_are_run_until_one_fails(monkeypatch):
    def failing(cell, backend):
        raise AssertionError(f"nothing holds for {cell.name} on {backend}")

    seen = []
    passing = [lambda cell, backend, k=k: seen.append(k) for k in range(3)]
    monkeypatch.setattr(_contract, "CHECKS", (*passing, failing, *passing))
    with pytest.raises(AssertionError, match="failing: nothing holds for elman on fused"):
        testing.check_cell(jaxseq.elman(2, 3), backend="fused")
    assert seen == [0, 1, 2]


def _half_reset(params, carry):
    return jax.tree.map(lambda h: jnp.full_like(h, 0.5), carry)


def test_a_reset_to_other_values_is_no_fault_of_resets(x64):
    BY_NAME["resets_are_separate_sequences"](_broken(reset=_half_reset), "reference")


@pytest.mark.slow
def test_a_reset_to_other_values_is_no_fault(x64):
    testing.check_cell(_broken(reset=_half_reset), backend="reference")


@pytest.mark.parametrize("alone", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_step_that_is_not_its_maps_is_caught_where_the_maps_run(alone, x64, monkeypatch):
    if alone:
        monkeypatch.setattr(_contract, "CHECKS", (BY_NAME["maps_compose_to_the_step"],))
    with pytest.raises(AssertionError, match="maps_compose_to_the_step"):
        testing.check_cell(_broken(step=_stopped_step), backend="fused")


def _clock_step(params, carry, x):
    """Steps well, and counts its steps, which a reset leaves alone."""
    inner, y = jaxseq.elman(2, 3).step(params, carry["cell"], x)
    return {"cell": inner, "steps": carry["steps"] + 1}, y


def _clock_carry(params, batch_shape=(), *, key=None):
    inner = jaxseq.elman(2, 3).carry(params, batch_shape)
    return {"cell": inner, "steps": jnp.zeros(batch_shape, jnp.int32)}


def _clock_reset(params, carry):
    return {"cell": jax.tree.map(jnp.zeros_like, carry["cell"]), "steps": carry["steps"]}


@pytest.mark.parametrize("reset", [_clock_reset, jaxseq.cells.zero_carry], ids=["on", "back"])
def test_a_reset_may_leave_a_clock_or_set_it_back(reset, x64):
    cell = _broken(step=_clock_step, carry=_clock_carry, reset=reset, maps=None)
    BY_NAME["resets_are_separate_sequences"](cell, "reference")
