"""What the kernels are held to is itself held to the specification of a scan; needs no kernel."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxseq
from jaxseq.sequence._fused import Loop
from jaxseq.sequence._native_spec import (
    OPERANDS,
    WEIGHTS,
    Operands,
    Problem,
    backward_spec,
    forward_spec,
    tangent_spec,
    width,
)
from jaxseq.sequence._schedule import Schedule, Schedules

CELLS = {
    "elman_tanh": jaxseq.elman(2, 3),
    "elman_relu": jaxseq.elman(2, 3, activation=jax.nn.relu),
    "lstm": jaxseq.lstm(2, 3),
    "gru": jaxseq.gru(2, 3),
    "projected": jaxseq.lstm(2, 3, proj_size=2),
}
T, B = 4, 3
SCHEDULE = Schedule(hoist=False)


def case(name, reverse):
    """Returns the cell, what is to be computed and random operands, ragged and with resets."""
    cell = CELLS[name]
    params = cell.init(jax.random.key(0), dtype=jnp.float64)
    rng = np.random.default_rng(1)

    def drawn(like):
        return jnp.asarray(rng.normal(size=jnp.shape(like)))

    params, carry = jax.tree.map(drawn, (params, cell.carry(params, (B,))))
    lengths = np.array([4, 0, 2], np.int32)
    valid = np.arange(T) < lengths[:, None]
    # A reversed scan moves a reset to the step before, so it falls where the next one is valid.
    there = np.concatenate([valid[:, 1:], np.zeros((B, 1), bool)], axis=1) if reverse else valid
    resets = jnp.asarray((rng.random((B, T)) < 0.4) & there)
    loop = Loop(
        maps=cell.maps,
        reset=cell.reset,
        batch_axes=1,
        reverse=reverse,
        unroll=1,
        states_only=False,
        schedules=Schedules(SCHEDULE, SCHEDULE),
    )
    kind = cell.maps.native
    empty = jnp.zeros(0)
    c = carry.c if kind == "lstm" else jnp.zeros((0, 3))
    xs = drawn(jnp.zeros((B, T, 2)))
    weights = (params.w_ih, params.w_hh, params.b_ih, params.b_hh, getattr(params, "w_hr", empty))
    operands = Operands(*weights, xs, jnp.asarray(lengths), resets, carry.h, c)
    return cell, Problem(kind, loop), operands, (params, carry)


def by_scan(cell, operands, problem, given):
    """The same by the specification: scan's mask and resets are those before it made them."""
    params, carry = given
    resets = operands.resets
    if problem.loop.reverse:  # undone: a reversed scan moves a reset to the step before
        resets = jnp.concatenate([jnp.zeros_like(resets[:, :1]), resets[:, :-1]], axis=1)
    options = {"lengths": operands.lengths, "resets": resets, "reverse": problem.loop.reverse}
    return jaxseq.scan(cell, params, operands.xs, carry=carry, backend="reference", **options)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_the_forward_pass_is_a_scan(name, reverse, x64):
    cell, problem, operands, given = case(name, reverse)
    last, ys = by_scan(cell, operands, problem, given)
    hs, h, c, kept = forward_spec(*operands, problem=problem, keeps=False)
    np.testing.assert_allclose(hs, ys, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(h, last.h, rtol=1e-12, atol=1e-14)
    if problem.kind == "lstm":
        np.testing.assert_allclose(c, last.c, rtol=1e-12, atol=1e-14)
    assert kept.shape == (0,)


@pytest.mark.parametrize("inputs", [True, False])
@pytest.mark.parametrize("name", CELLS)
def test_the_tangent_is_that_of_the_forward_pass_and_the_backward_pass_its_transpose(
    name, inputs, x64
):
    _, problem, operands, _ = case(name, reverse=True)
    moving = [*range(WEIGHTS + inputs), OPERANDS - 2, OPERANDS - 1]
    rng = np.random.default_rng(2)
    tangents = [jnp.asarray(rng.normal(size=operands[n].shape)) for n in moving]

    def run(*some):
        everything = [*operands]
        for n, operand in zip(moving, some, strict=True):
            everything[n] = operand
        return forward_spec(*everything, problem=problem, keeps=False)[:3]

    expected = jax.jvp(run, tuple(operands[n] for n in moving), tuple(tangents))[1]
    hs, _, _, kept = forward_spec(*operands, problem=problem, keeps=True)
    options = {"problem": problem, "inputs": inputs}
    found = tangent_spec(*operands, hs, kept, *tangents, **options)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    cotangents = [jnp.asarray(rng.normal(size=part.shape)) for part in found]
    back = backward_spec(*operands, hs, kept, *cotangents, **options)
    inner = functools.partial(map, jnp.vdot)
    np.testing.assert_allclose(
        sum(inner(back, tangents)), sum(inner(cotangents, found)), rtol=1e-12
    )


@pytest.mark.parametrize(("size", "wide"), [(1, 16), (16, 16), (17, 32), (1023, 1024)])
def test_what_is_kept_is_as_wide_as_every_vector_divides(size, wide):
    assert width(size) == wide
