"""The minLSTM against its paper's equations, and how it begins."""

import functools

import jax
import jax.numpy as jnp
import linear_twins
import numpy as np
import pytest
from examples import example

import jaxseq
from jaxseq.cells import MinLSTMCarry, min_lstm_carry, min_lstm_init, min_lstm_step

KEY = jax.random.key(0)
CELL = jaxseq.min_lstm(3, 5)


@pytest.mark.parametrize("sizes", [(1, 1), (3, 5)], ids=str)
def test_a_step_is_the_papers(sizes, x64):
    cell = jaxseq.min_lstm(*sizes)
    params, xs, carry = example(cell, dtype=np.float64)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-13, atol=1e-15),
        jax.jit(cell.step)(params, carry, xs[0]),
        linear_twins.min_lstm_step(params, carry, xs[0]),
    )


def test_the_output_is_the_state():
    params, xs, carry = example(CELL)
    after, y = CELL.step(params, carry, xs[0])
    assert isinstance(after, MinLSTMCarry)
    np.testing.assert_array_equal(after.h, y)


def test_a_negative_state_stays_negative():
    params = jax.tree.map(jnp.zeros_like, min_lstm_init(KEY, 3, 2))
    after, _ = min_lstm_step(params, MinLSTMCarry(jnp.array([-2.0, 2.0])), jnp.ones(3))
    assert after.h.tolist() == [-1.0, 1.0]


def test_equal_arguments_give_the_same_cell():
    assert jaxseq.min_lstm(3, 5) is CELL
    assert jaxseq.min_lstm(3, 5, forget_bias=0.0) is not CELL


@pytest.mark.parametrize("bias", [-200.0, 200.0])
def test_gates_both_shut_or_both_open_still_share_evenly(bias):
    params, xs, carry = example(CELL)
    params = params._replace(w_ih=params.w_ih.at[:10].set(0.0), b_ih=params.b_ih.at[:10].set(bias))

    def run(params):
        after, _ = CELL.step(params, carry, xs[0])
        return jnp.sum(after.h), after.h

    grads, h = jax.grad(run, has_aux=True)(params)
    candidate = params.w_ih[10:] @ xs[0] + params.b_ih[10:]
    np.testing.assert_allclose(h, (carry.h + candidate) / 2, rtol=1e-6, atol=1e-6)
    assert all(np.isfinite(leaf).all() for leaf in grads)


def test_it_begins_glorot_gate_by_gate():
    params = jax.jit(CELL.init)(KEY)
    bound = np.sqrt(6 / 8)
    for gate in np.split(np.asarray(params.w_ih), 3):
        assert 0.5 * bound < np.abs(gate).max() <= bound
    assert np.split(np.asarray(params.b_ih), 3)[1].tolist() == [1.0] * 5
    assert np.sum(np.asarray(params.b_ih)) == 5.0


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_the_weights_have_the_dtype_asked_for_and_the_state_float32_or_better(dtype, x64):
    params = jax.eval_shape(lambda: CELL.init(KEY, jnp.dtype(dtype)))
    assert [(leaf.shape, str(leaf.dtype)) for leaf in params] == [
        (shape, dtype) for shape in ((15, 3), (15,))
    ]
    carry = jax.eval_shape(lambda p: CELL.carry(p, (4,)), params)
    assert carry.h.shape == (4, 5)
    assert carry.h.dtype == ("float64" if dtype == "float64" else "float32")


def test_what_does_not_fit_is_named(untyped):
    params = min_lstm_init(KEY, 3, 5)
    carry = min_lstm_carry(params)
    with pytest.raises(
        ValueError, match=r"min_lstm_step: `x` must have shape \(input_size,\) = \(3,\)"
    ):
        min_lstm_step(params, carry, jnp.ones((7, 3)))
    with pytest.raises(TypeError, match="min_lstm_step: `x` must have the dtype of the weights"):
        min_lstm_step(params, carry, jnp.ones(3, jnp.bfloat16))
    with pytest.raises(
        ValueError, match=r"min_lstm_step: `carry.h` must have shape \(hidden_size,\)"
    ):
        min_lstm_step(params, MinLSTMCarry(jnp.zeros(4)), jnp.ones(3))
    with pytest.raises(ValueError, match="min_lstm: `hidden_size` must be a positive integer"):
        jaxseq.min_lstm(3, 0)
