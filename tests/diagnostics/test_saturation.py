"""Gates against the equations, and shares of saturated values against counting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxseq
from jaxseq import diagnostics

LENGTHS = np.array([4, 2, 0])


def arguments(cell):
    params = jax.tree.map(lambda x: x + 0.1, cell.init(jax.random.key(0)))
    return params, jax.random.normal(jax.random.key(1), (3, 4, 2))


def test_gates_of_an_lstm_make_its_states():
    cell = jaxseq.lstm(2, 3)
    params, xs = arguments(cell)
    gates = diagnostics.gates(cell, params, xs, lengths=LENGTHS)
    assert [*gates] == ["input", "forget", "output", "candidate", "hidden"]
    states = diagnostics.states(cell, params, xs)
    before = jnp.concatenate([jnp.zeros((3, 1, 3)), states.c[:, :-1]], axis=1)
    c = gates["forget"] * before + gates["input"] * gates["candidate"]
    np.testing.assert_allclose(c[0], states.c[0], atol=1e-6)
    np.testing.assert_allclose(gates["output"][0] * jnp.tanh(c[0]), states.h[0], atol=1e-6)
    np.testing.assert_allclose(gates["hidden"][1, :2], states.h[1, :2], atol=1e-6)


@pytest.mark.parametrize("reset_after", [True, False])
def test_gates_of_a_gru_make_its_states(reset_after):
    cell = jaxseq.gru(2, 3, reset_after=reset_after)
    params, xs = arguments(cell)
    gates = diagnostics.gates(cell, params, xs)
    states = diagnostics.states(cell, params, xs)
    before = jnp.concatenate([jnp.zeros((3, 1, 3)), states.h[:, :-1]], axis=1)
    x, h = xs @ params.w_ih[6:].T + params.b_ih[None, None, 6:], before
    if reset_after:
        product = h @ params.w_hh[6:].T + params.b_hh[None, None, 6:]
        new = jnp.tanh(x + gates["reset"] * product)
    else:
        product = (gates["reset"] * h) @ params.w_hh[6:].T + params.b_hh[None, None, 6:]
        new = jnp.tanh(x + product)
    expected = (1 - gates["update"]) * new + gates["update"] * h
    np.testing.assert_allclose(states.h, expected, atol=1e-6)


def test_an_elman_cell_has_its_units():
    cell = jaxseq.elman(2, 3)
    params, xs = arguments(cell)
    gates = diagnostics.gates(cell, params, xs)
    assert [*gates] == ["hidden"]
    np.testing.assert_array_equal(gates["hidden"], jaxseq.scan(cell, params, xs)[1])


def test_shares_and_counts_are_those_of_the_valid_values():
    values = np.random.default_rng(0).uniform(-1, 1, (3, 4, 5))
    values[1, 2:] = np.nan
    found = diagnostics.saturation(values, bounds=(-1.0, 1.0), margin=0.1, lengths=LENGTHS, bins=4)
    for t in range(4):
        rows = [values[row, t] for row in range(3) if t < LENGTHS[row]]
        assert found.low[t] == pytest.approx(np.mean(np.array(rows) < -0.8))
        assert found.high[t] == pytest.approx(np.mean(np.array(rows) > 0.8))
    assert found.counts.sum() == 30 and found.edges.tolist() == [-1, -0.5, 0, 0.5, 1]
    empty = diagnostics.saturation(values[:, :, :], bounds=(-1.0, 1.0), lengths=0 * LENGTHS)
    assert empty.counts.sum() == 0 and (empty.low == 0).all()


def test_wrong_use_is_said_plainly(untyped):
    cell = jaxseq.min_gru(2, 3)
    params, xs = arguments(cell)
    with pytest.raises(
        ValueError, match=r"^gates: the gates of min_gru are not known; those of elman"
    ):
        diagnostics.gates(cell, params, xs)
    with pytest.raises(TypeError, match=r"^gates: `cell` must be a jaxseq.Cell, but it is None"):
        diagnostics.gates(None, params, xs)
    values = jnp.ones((2, 3))
    for options, text in (
        ({"bounds": (1.0, 0.0)}, r"`bounds` must be in order, but they are \(1.0, 0.0\)"),
        (
            {"bounds": (0.0, 1.0), "margin": 0.5},
            "`margin` must be between 0 and 0.5, but it is 0.5",
        ),
        ({"bounds": (0.0, 1.0), "bins": 0}, "`bins` must be a positive integer, but it is 0"),
    ):
        with pytest.raises(ValueError, match=text):
            diagnostics.saturation(values, **options)
