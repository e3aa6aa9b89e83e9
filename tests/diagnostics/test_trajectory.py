"""Jacobians along a trajectory, against the matrices themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import example
from jax.flatten_util import ravel_pytree

import jaxseq
from jaxseq import diagnostics

pytestmark = pytest.mark.usefixtures("x64")

LENGTHS = np.array([6, 3, 0])
CELLS = {"elman": jaxseq.elman(2, 3), "lstm": jaxseq.lstm(2, 3), "gru": jaxseq.gru(2, 3)}


def arguments(cell):
    return example(cell, batch_shape=(3,), steps=6, dtype=np.float64)[:2]


def matrices(cell, params, xs, length):
    """The Jacobian of each step of one row, written out, and the states."""
    carry, found, after = cell.carry(params), [], []
    flat, unravel = ravel_pytree(carry)

    @jax.jit
    def step(flat, x):
        def next_state(flat):
            return ravel_pytree(cell.step(params, unravel(flat), x)[0])[0]

        return jax.jacobian(next_state)(flat), next_state(flat)

    for x in np.asarray(xs)[:length]:
        jacobian, flat = step(flat, x)
        found.append(np.asarray(jacobian))
        after.append(unravel(flat))
    return found, after


@pytest.mark.parametrize("name", CELLS)
def test_states_norms_and_exponents_are_those_of_the_matrices(name):
    cell = CELLS[name]
    params, xs = arguments(cell)
    key = jax.random.key(2)
    states = diagnostics.states(cell, params, xs, lengths=LENGTHS)
    norms = diagnostics.jacobian_norms(cell, params, xs, lengths=LENGTHS, key=key, iterations=400)
    exponents = diagnostics.lyapunov_exponents(cell, params, xs, lengths=LENGTHS, number=2, key=key)
    for row, length in enumerate(LENGTHS):
        jacobians, after = matrices(cell, params, xs[row], length)
        for t, (jacobian, state) in enumerate(zip(jacobians, after, strict=True)):
            for a, b in zip(jax.tree.leaves(states), jax.tree.leaves(state), strict=True):
                np.testing.assert_allclose(a[row, t], b, atol=1e-12)
            np.testing.assert_allclose(norms[row, t], np.linalg.norm(jacobian, 2), rtol=1e-6)
        assert (np.asarray(norms)[row, length:] == 0).all()
        size = sum(leaf.shape[-1] for leaf in jax.tree.leaves(states))
        basis = np.asarray(
            jnp.linalg.qr(jax.random.normal(jax.random.split(key, 3)[row], (size, 2), jnp.float64))[
                0
            ]
        )
        growth = np.zeros(2)
        for jacobian in jacobians:
            basis, stretched = np.linalg.qr(jacobian @ basis)
            growth += np.log(np.abs(np.diag(stretched)))
        np.testing.assert_allclose(exponents[row], growth / max(length, 1), atol=1e-10)


def test_it_goes_on_from_a_carry():
    cell = CELLS["gru"]
    params, xs = arguments(cell)
    key = jax.random.key(0)
    half, _ = jaxseq.scan(cell, params, xs[:, :4])
    whole = diagnostics.jacobian_norms(cell, params, xs, key=key, iterations=300)
    rest = diagnostics.jacobian_norms(cell, params, xs[:, 4:], carry=half, key=key, iterations=300)
    np.testing.assert_allclose(rest, whole[:, 4:], rtol=1e-5)
    assert diagnostics.states(
        cell, params, xs[0, 4:], carry=jax.tree.map(lambda x: x[0], half)
    ).h.shape == (2, 3)


def test_wrong_use_is_said_plainly(untyped):
    cell = CELLS["elman"]
    params, xs = arguments(cell)
    key = jax.random.key(0)
    with pytest.raises(
        ValueError, match=r"^jacobian_norms: `iterations` must be a positive integer"
    ):
        diagnostics.jacobian_norms(cell, params, xs, key=key, iterations=0)
    with pytest.raises(
        ValueError, match=r"`number` must be an integer between 1 and 3, but it is 4"
    ):
        diagnostics.lyapunov_exponents(cell, params, xs, key=key, number=4)
    zoned = jaxseq.zoneout(cell, 0.1)
    with pytest.raises(ValueError, match=r"^states: the state of zoneout\(elman\) holds more than"):
        diagnostics.states(zoned, params, xs)
    with pytest.raises(TypeError, match=r"^states: `cell` must be a jaxseq.Cell, but it is 3"):
        diagnostics.states(3, params, xs)
