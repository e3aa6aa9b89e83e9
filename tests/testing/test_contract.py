"""The main suite: every cell and wrapper against every check, and checks that do catch errors."""

import functools

import jax
import jax.numpy as jnp
import pytest

import jaxseq
from jaxseq import testing

CELLS = {
    "elman": jaxseq.elman(2, 3),
    "elman relu": jaxseq.elman(2, 3, activation=jax.nn.relu),
    "lstm": jaxseq.lstm(2, 3),
    "lstm with a projection": jaxseq.lstm(2, 3, proj_size=2),
    "gru": jaxseq.gru(2, 3),
    "gru, reset before": jaxseq.gru(2, 3, reset_after=False),
    "stack": jaxseq.stack([jaxseq.gru(2, 3), jaxseq.lstm(3, 2)]),
    "residual": jaxseq.residual(jaxseq.lstm(3, 3)),
    "dropout": jaxseq.dropout(jaxseq.lstm(2, 3), 0.5, state_rate=0.25),
    "dropout of the inputs alone": jaxseq.dropout(jaxseq.gru(2, 3, reset_after=False), 0.5),
    "stack of wrapped cells": jaxseq.stack(
        [jaxseq.dropout(jaxseq.gru(2, 3), 0.5), jaxseq.residual(jaxseq.elman(3, 3))]
    ),
}


@pytest.mark.parametrize("check", testing.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", CELLS)
def test_every_cell_keeps_the_contract(name, check, x64):
    check(CELLS[name], "reference")


def test_float32_keeps_the_contract_too():
    testing.check_cell(jaxseq.elman(1, 2))


def _broken(**changes):
    return jaxseq.elman(2, 3)._replace(**changes)


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


@pytest.mark.parametrize(
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
        (
            _broken(
                reset=lambda params, carry: jax.tree.map(lambda h: jnp.full_like(h, 0.5), carry)
            ),
            None,
        ),
    ],
    ids=["output size", "dtype", "hidden state", "cut gradient", "other maps", "own reset"],
)
def test_a_broken_cell_is_caught_by_name(cell, failing, x64):
    if failing is None:
        testing.check_cell(cell, backend="reference")
        return
    with pytest.raises(AssertionError, match=failing):
        testing.check_cell(cell, backend="reference")


def test_a_step_that_is_not_its_maps_is_caught_where_the_maps_run(x64):
    with pytest.raises(AssertionError, match="maps_compose_to_the_step"):
        testing.check_cell(_broken(step=_stopped_step), backend="fused")


def test_an_example_is_the_same_for_the_same_seed():
    cell = jaxseq.elman(1, 2)
    draw = functools.partial(testing.random_example, cell)
    first, again, other = draw(), draw(), draw(seed=1)
    assert (first[1] == again[1]).all()
    assert not (first[1] == other[1]).any()
