"""The Elman cell against the textbook, and how it begins."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import twins
from examples import example

import jaxseq
from jaxseq.cells import ElmanCarry, ElmanParams, elman_init, elman_update

KEY = jax.random.key(0)
TWINS = {
    "tanh": ({}, twins.elman_step),
    "relu": (
        {"activation": jax.nn.relu},
        functools.partial(twins.elman_step, activation=twins.relu),
    ),
}


@pytest.mark.parametrize("activation", TWINS)
@pytest.mark.parametrize("sizes", [(1, 1), (3, 5), (5, 3)], ids=str)
def test_a_step_is_the_textbooks(sizes, activation, x64):
    options, twin = TWINS[activation]
    cell = jaxseq.elman(*sizes, **options)
    params, xs, carry = example(cell, dtype=np.float64)
    actual = jax.jit(cell.step)(params, carry, xs[0])
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-13, atol=1e-15),
        actual,
        twin(params, carry, xs[0]),
    )


def test_the_output_is_the_state():
    cell = jaxseq.elman(2, 3)
    params, xs, carry = example(cell)
    after, y = cell.step(params, carry, xs[0])
    assert isinstance(after, ElmanCarry) and after.h is y


def test_equal_arguments_give_the_same_cell():
    assert jaxseq.elman(2, 3) is jaxseq.elman(2, 3)
    assert jaxseq.elman(2, 3, activation=jax.nn.relu) is jaxseq.elman(2, 3, activation=jax.nn.relu)
    assert jaxseq.elman(2, 3) is not jaxseq.elman(2, 3, activation=jax.nn.relu)
    assert jaxseq.elman(2, 3) is not jaxseq.elman(2, 3, init="torch")


def test_sizes_and_name_are_those_of_the_cell():
    cell = jaxseq.elman(2, 3)
    assert (cell.name, cell.input_size, cell.output_size) == ("elman", 2, 3)


def test_glorot_begins_orthogonal_with_zero_biases():
    params = elman_init(KEY, 2, 5)
    np.testing.assert_allclose(params.w_hh @ params.w_hh.T, np.eye(5), atol=1e-5)
    assert np.abs(params.w_ih).max() <= np.sqrt(6 / 7)
    assert not np.any(params.b_ih) and not np.any(params.b_hh)


def test_torch_begins_uniform_with_biases():
    params = jax.jit(jaxseq.elman(2, 9, init="torch").init)(KEY)
    for leaf in params:
        assert 0.15 < np.abs(leaf).max() <= 1 / 3
    assert np.any(params.b_ih != params.b_hh)


@pytest.mark.parametrize("init", ["glorot", "torch"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_weights_and_state_have_the_dtype_asked_for(dtype, init, x64):
    cell = jaxseq.elman(2, 3, init=init)
    params = jax.eval_shape(lambda: cell.init(KEY, jnp.dtype(dtype)))
    carry = jax.eval_shape(lambda p: cell.carry(p, (4, 1)), params)
    assert [(leaf.shape, str(leaf.dtype)) for leaf in params] == [
        (shape, dtype) for shape in ((3, 2), (3, 3), (3,), (3,))
    ]
    assert carry.h.shape == (4, 1, 3) and carry.h.dtype == dtype


def test_the_carry_begins_at_zero_with_a_key_or_without():
    cell = jaxseq.elman(2, 3)
    params = ElmanParams(jnp.ones((3, 2)), jnp.ones((3, 3)), jnp.ones(3), jnp.ones(3))
    for key in (None, KEY):
        assert cell.carry(params, (2,), key=key).h.tolist() == [[0.0] * 3] * 2


def test_the_update_reads_only_the_dtype_of_the_state():
    z = jnp.array([0.5, -2.0])
    state = ElmanCarry(jnp.full(2, jnp.nan, jnp.bfloat16))
    after = elman_update(z, z, state)
    assert after.h.dtype == jnp.bfloat16
    np.testing.assert_allclose(after.h.astype(jnp.float32), np.tanh([1.0, -4.0]), rtol=1e-2)
