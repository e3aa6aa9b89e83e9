"""The LSTM with peepholes against the textbook, what its gates see, and how it begins."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import twins
from examples import example

import jaxseq
from jaxseq.cells import LSTMCarry, LSTMParams, PeepholeLSTMParams

KEY = jax.random.key(0)


@pytest.mark.parametrize("sizes", [(1, 1), (3, 5), (5, 3)], ids=str)
def test_a_step_is_the_textbooks(sizes, x64):
    cell = jaxseq.peephole_lstm(*sizes)
    params, xs, carry = example(cell, dtype=np.float64)
    actual = jax.jit(cell.step)(params, carry, xs[0])
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-13, atol=1e-15),
        actual,
        twins.peephole_lstm_step(params, carry, xs[0]),
    )


def test_a_sequence_is_the_textbooks(x64):
    cell = jaxseq.peephole_lstm(2, 3)
    params, xs, carry = example(cell, batch_shape=(2,), steps=4, dtype=np.float64)
    lengths = np.array([4, 2])
    actual = jaxseq.scan(
        cell, params, xs, carry=carry, lengths=lengths, reverse=True, backend="reference"
    )
    expected = twins.sequence(
        twins.peephole_lstm_step, params, carry, xs, lengths=lengths, reverse=True
    )
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-12), actual, expected)


def test_the_output_is_the_hidden_state():
    cell = jaxseq.peephole_lstm(2, 3)
    params, xs, carry = example(cell)
    after, y = cell.step(params, carry, xs[0])
    assert isinstance(after, LSTMCarry) and after.h is y


def test_with_closed_peepholes_it_is_the_lstm():
    cell = jaxseq.peephole_lstm(2, 3)
    params, xs, carry = example(cell)
    params = params._replace(w_c=jnp.zeros(9))
    actual = cell.step(params, carry, xs[0])
    expected = jaxseq.lstm(2, 3).step(LSTMParams(*params[:4]), carry, xs[0])
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), actual, expected)


def weights(w_c, b_ih=(0.0, 0.0, 0.0, 0.0)):
    """A cell of one unit that sees nothing but its biases and its peepholes."""
    zeros = jnp.zeros((4, 1))
    return PeepholeLSTMParams(zeros, zeros, jnp.array(b_ih), jnp.zeros(4), jnp.array(w_c))


@pytest.mark.parametrize(
    ("w_c", "c"),
    [
        ([0.0, 0.0, 0.0], 0.5 * 1.0 + 0.5 * 0.5),
        ([-1e9, 0.0, 0.0], 0.5 * 1.0),
        ([0.0, -1e9, 0.0], 0.5 * 0.5),
        ([0.0, 0.0, -1e9], 0.5 * 1.0 + 0.5 * 0.5),
    ],
    ids=["closed", "i", "f", "o"],
)
def test_the_input_and_the_forget_gate_see_the_old_cell(w_c, c):
    params = weights(w_c, [0.0, 0.0, np.arctanh(0.5), 0.0])
    carry, _ = jaxseq.peephole_lstm(1, 1).step(
        params, LSTMCarry(jnp.zeros(1), jnp.ones(1)), jnp.zeros(1)
    )
    np.testing.assert_allclose(carry.c, [c], rtol=1e-6)


def test_the_output_gate_sees_the_new_cell():
    """The old cell is 0, so the peepholes of i and f are blind; the new one opens the output."""
    params = weights([7.0, 7.0, 100.0], [0.0, 0.0, np.arctanh(0.5), 0.0])
    start = LSTMCarry(jnp.zeros(1), jnp.zeros(1))
    carry, y = jaxseq.peephole_lstm(1, 1).step(params, start, jnp.zeros(1))
    np.testing.assert_allclose(carry.c, [0.25], rtol=1e-6)
    np.testing.assert_allclose(y, np.tanh([0.25]), rtol=1e-6)


def test_glorot_begins_as_the_lstm():
    params = jax.jit(jaxseq.peephole_lstm(2, 3).init)(KEY)
    for gate in np.split(np.asarray(params.w_hh), 4):
        np.testing.assert_allclose(gate.T @ gate, np.eye(3), atol=1e-5)
    assert params.b_ih.tolist() == 3 * [0.0] + 3 * [1.0] + 6 * [0.0]
    assert not np.any(params.b_hh) and not np.any(params.w_c)
    other = jax.jit(jaxseq.peephole_lstm(2, 3, forget_bias=2.0).init)(KEY)
    assert other.b_ih[3:6].tolist() == [2.0] * 3


def test_torch_begins_uniform_with_peepholes():
    params = jax.jit(jaxseq.peephole_lstm(2, 9, init="torch").init)(KEY)
    for leaf in params:
        assert 0.25 < np.abs(leaf).max() <= 1 / 3


@pytest.mark.parametrize("init", ["glorot", "torch"])
@pytest.mark.parametrize(
    ("dtype", "wide"), [("bfloat16", "float32"), ("float32",) * 2, ("float64",) * 2]
)
def test_weights_and_state_have_the_dtype_asked_for(dtype, wide, init, x64):
    cell = jaxseq.peephole_lstm(2, 3, init=init)
    params = jax.eval_shape(lambda: cell.init(KEY, jnp.dtype(dtype)))
    carry = jax.eval_shape(lambda p: cell.carry(p, (4,)), params)
    assert [(leaf.shape, str(leaf.dtype)) for leaf in params] == [
        (shape, dtype) for shape in ((12, 2), (12, 3), (12,), (12,), (9,))
    ]
    assert (carry.h.shape, str(carry.h.dtype)) == ((4, 3), dtype)
    assert (carry.c.shape, str(carry.c.dtype)) == ((4, 3), wide)


def test_it_decomposes_into_maps_that_add():
    cell = jaxseq.peephole_lstm(2, 3)
    params, _, _ = example(cell)
    assert cell.maps.additive
    assert cell.maps.weights(params) == (params.w_c,)


def test_equal_arguments_give_the_same_cell():
    assert jaxseq.peephole_lstm(2, 3) is jaxseq.peephole_lstm(2, 3)
    for options in ({"forget_bias": 0.0}, {"init": "torch"}):
        assert jaxseq.peephole_lstm(2, 3) is not jaxseq.peephole_lstm(2, 3, **options)


def test_sizes_and_init_are_checked(untyped):
    message = "peephole_lstm: `hidden_size` must be a positive integer, but it is 0."
    with pytest.raises(ValueError, match=re.escape(message)):
        jaxseq.peephole_lstm(2, 0)
    message = 'peephole_lstm: `init` must be "glorot" or "torch", but it is \'xavier\'.'
    with pytest.raises(ValueError, match=re.escape(message)):
        jaxseq.peephole_lstm(2, 3, init="xavier")


def test_a_step_takes_one_input_of_its_size(untyped):
    cell = jaxseq.peephole_lstm(2, 3)
    params, _, carry = example(cell)
    message = "peephole_lstm_step: `x` must have shape (input_size,) = (2,), but it has shape (3,)."
    with pytest.raises(ValueError, match=re.escape(message)):
        cell.step(params, carry, jnp.ones(3))
