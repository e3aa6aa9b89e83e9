"""The LSTM against the textbook, with and without a projection, and how it begins."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import twins
from examples import example

import jaxseq
from jaxseq.cells import LSTMCarry, LSTMParams, LSTMProjParams

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("input_size", "hidden_size", "proj_size"),
    [(1, 1, None), (3, 5, None), (5, 3, None), (1, 3, 1), (3, 5, 3)],
)
def test_a_step_is_the_textbooks(input_size, hidden_size, proj_size, x64):
    cell = jaxseq.lstm(input_size, hidden_size, proj_size=proj_size)
    params, xs, carry = example(cell, dtype=np.float64)
    actual = jax.jit(cell.step)(params, carry, xs[0])
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-13, atol=1e-15),
        actual,
        twins.lstm_step(params, carry, xs[0]),
    )


@pytest.mark.parametrize("proj_size", [None, 2])
def test_the_output_is_the_hidden_state(proj_size):
    cell = jaxseq.lstm(2, 3, proj_size=proj_size)
    params, xs, carry = example(cell)
    after, y = cell.step(params, carry, xs[0])
    assert isinstance(after, LSTMCarry) and after.h is y
    assert y.shape == (cell.output_size,) == (proj_size or 3,)


def test_equal_arguments_give_the_same_cell():
    assert jaxseq.lstm(2, 3) is jaxseq.lstm(2, 3)
    assert jaxseq.lstm(2, 3, proj_size=1) is jaxseq.lstm(2, 3, proj_size=1)
    for options in ({"proj_size": 1}, {"forget_bias": 0.0}, {"init": "torch"}):
        assert jaxseq.lstm(2, 3) is not jaxseq.lstm(2, 3, **options)


@pytest.mark.parametrize("forget_bias", [0.0, 1.0, -0.5])
def test_the_forget_bias_is_in_the_parameter(forget_bias):
    params = jax.jit(jaxseq.lstm(2, 3, forget_bias=forget_bias).init)(KEY)
    i, f, g, o = np.split(np.asarray(params.b_ih), 4)
    assert f.tolist() == [forget_bias] * 3
    assert not np.any([i, g, o]) and not np.any(params.b_hh)


def test_the_step_adds_no_forget_bias_of_its_own():
    zeros = LSTMParams(jnp.zeros((4, 1)), jnp.zeros((4, 1)), jnp.zeros(4), jnp.zeros(4))
    carry, _ = jaxseq.lstm(1, 1).step(zeros, LSTMCarry(jnp.zeros(1), jnp.ones(1)), jnp.zeros(1))
    assert carry.c.tolist() == [0.5]


@pytest.mark.parametrize("proj_size", [None, 2])
def test_glorot_begins_orthogonal_gate_by_gate(proj_size):
    params = jax.jit(jaxseq.lstm(2, 3, proj_size=proj_size).init)(KEY)
    for gate in np.split(np.asarray(params.w_hh), 4):
        np.testing.assert_allclose(gate.T @ gate, np.eye(gate.shape[1]), atol=1e-5)
    assert np.abs(params.w_ih).max() <= np.sqrt(6 / 5)
    if proj_size:
        assert 0 < np.abs(params.w_hr).max() <= np.sqrt(6 / 5)


@pytest.mark.parametrize("proj_size", [None, 4])
def test_torch_begins_uniform_without_a_forget_bias(proj_size):
    params = jax.jit(jaxseq.lstm(2, 9, proj_size=proj_size, init="torch").init)(KEY)
    assert isinstance(params, LSTMProjParams if proj_size else LSTMParams)
    for leaf in params:
        assert 0.25 < np.abs(leaf).max() <= 1 / 3
    assert np.abs(np.mean(params.b_ih[9:18])) < 0.25


@pytest.mark.parametrize("init", ["glorot", "torch"])
@pytest.mark.parametrize(
    ("dtype", "wide"),
    [("bfloat16", "float32"), ("float16", "float32"), ("float32",) * 2, ("float64",) * 2],
)
def test_the_cell_state_is_float32_or_better(dtype, wide, init, x64):
    cell = jaxseq.lstm(2, 3, proj_size=1, init=init)
    params = jax.eval_shape(lambda: cell.init(KEY, jnp.dtype(dtype)))
    carry = jax.eval_shape(lambda p: cell.carry(p, (4,)), params)
    assert [(leaf.shape, str(leaf.dtype)) for leaf in params] == [
        (shape, dtype) for shape in ((12, 2), (12, 1), (12,), (12,), (1, 3))
    ]
    assert carry.h.shape == (4, 1) and carry.h.dtype == dtype
    assert carry.c.shape == (4, 3) and carry.c.dtype == wide


def test_a_bfloat16_cell_remembers_in_float32():
    """Where ``c`` was rounded to bfloat16, adding 1/1024 to 1 would never get anywhere."""
    cell = jaxseq.lstm(1, 1)
    b_ih = jnp.array([0.0, 30.0, 0.001953125, 0.0], jnp.bfloat16)  # f = 1, i = 1/2, g = 1/512
    weights = jnp.zeros((4, 1), jnp.bfloat16)
    params = LSTMParams(weights, weights, b_ih, jnp.zeros(4, jnp.bfloat16))
    start = LSTMCarry(jnp.zeros(1, jnp.bfloat16), jnp.ones(1, jnp.float32))
    carry, ys = jaxseq.scan(cell, params, jnp.zeros((64, 1), jnp.bfloat16), carry=start)
    assert ys.dtype == carry.h.dtype == jnp.bfloat16
    np.testing.assert_allclose(carry.c, [1.0 + 64 / 1024], rtol=1e-5)


@pytest.mark.parametrize("proj_size", [3, 4])
def test_a_projection_is_smaller_than_the_state(proj_size):
    message = f"lstm: `proj_size` must be smaller than hidden_size = 3, but it is {proj_size}."
    with pytest.raises(ValueError, match=re.escape(message)):
        jaxseq.lstm(2, 3, proj_size=proj_size)


def test_a_projection_has_a_size():
    message = "lstm: `proj_size` must be a positive integer, but it is 0."
    with pytest.raises(ValueError, match=re.escape(message)):
        jaxseq.lstm(2, 3, proj_size=0)
