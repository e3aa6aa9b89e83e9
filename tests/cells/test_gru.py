"""Both forms of the GRU against the textbook, and how they begin."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import twins
from examples import example

import jaxseq
from jaxseq.cells import GRUCarry

KEY = jax.random.key(0)


@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("sizes", [(1, 1), (3, 5), (5, 3)], ids=str)
def test_a_step_is_the_textbooks(sizes, reset_after, x64):
    cell = jaxseq.gru(*sizes, reset_after=reset_after)
    params, xs, carry = example(cell, dtype=np.float64)
    actual = jax.jit(cell.step)(params, carry, xs[0])
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-13, atol=1e-15),
        actual,
        twins.gru_step(params, carry, xs[0], reset_after=reset_after),
    )


@pytest.mark.parametrize("reset_after", [True, False])
def test_the_output_is_the_state(reset_after):
    cell = jaxseq.gru(2, 3, reset_after=reset_after)
    params, xs, carry = example(cell)
    after, y = cell.step(params, carry, xs[0])
    assert isinstance(after, GRUCarry) and after.h is y


def test_the_two_forms_differ():
    after, before = (jaxseq.gru(2, 3, reset_after=form) for form in (True, False))
    params, xs, carry = example(after)
    difference = after.step(params, carry, xs[0])[1] - before.step(params, carry, xs[0])[1]
    assert np.abs(difference).max() > 1e-3


def test_only_the_reset_after_form_decomposes():
    assert jaxseq.gru(2, 3).maps is not None
    assert jaxseq.gru(2, 3, reset_after=False).maps is None


def test_equal_arguments_give_the_same_cell():
    assert jaxseq.gru(2, 3) is jaxseq.gru(2, 3)
    assert jaxseq.gru(2, 3, reset_after=False) is jaxseq.gru(2, 3, reset_after=False)
    for options in ({"reset_after": False}, {"init": "torch"}):
        assert jaxseq.gru(2, 3) is not jaxseq.gru(2, 3, **options)


def test_a_closed_update_gate_keeps_the_state():
    cell = jaxseq.gru(1, 2)
    params, xs, carry = example(cell)
    params = params._replace(b_ih=params.b_ih.at[2:4].set(100.0))
    after, _ = cell.step(params, carry, xs[0])
    np.testing.assert_allclose(after.h, carry.h, rtol=1e-6)


def test_glorot_begins_orthogonal_gate_by_gate_with_zero_biases():
    params = jax.jit(jaxseq.gru(2, 3).init)(KEY)
    for gate in np.split(np.asarray(params.w_hh), 3):
        np.testing.assert_allclose(gate.T @ gate, np.eye(3), atol=1e-5)
    assert np.abs(params.w_ih).max() <= np.sqrt(6 / 5)
    assert not np.any(params.b_ih) and not np.any(params.b_hh)


def test_torch_begins_uniform_with_biases():
    params = jax.jit(jaxseq.gru(2, 9, init="torch").init)(KEY)
    for leaf in params:
        assert 0.25 < np.abs(leaf).max() <= 1 / 3
    assert np.any(params.b_ih != params.b_hh)


@pytest.mark.parametrize("init", ["glorot", "torch"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_weights_and_state_have_the_dtype_asked_for(dtype, init, x64):
    cell = jaxseq.gru(2, 3, init=init)
    params = jax.eval_shape(lambda: cell.init(KEY, jnp.dtype(dtype)))
    carry = jax.eval_shape(lambda p: cell.carry(p, (4,)), params)
    assert [(leaf.shape, str(leaf.dtype)) for leaf in params] == [
        (shape, dtype) for shape in ((9, 2), (9, 3), (9,), (9,))
    ]
    assert carry.h.shape == (4, 3) and carry.h.dtype == dtype
