"""Layer normalisation of one vector, and what its two cells have in common."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import twins
from examples import example

import jaxseq
from jaxseq.cells import _layer_norm

CELLS = {"layer_norm_lstm": jaxseq.layer_norm_lstm, "layer_norm_gru": jaxseq.layer_norm_gru}


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_vector_is_normalised_as_the_paper_says(size, x64):
    rng = np.random.default_rng(0)
    z, gain = rng.normal(3.0, 2.0, size), rng.normal(size=size)
    actual = _layer_norm.layer_norm(jnp.asarray(z), jnp.asarray(gain), 1e-5)
    expected = twins.layer_norm(z, gain, np.zeros(size), 1e-5)
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-15)


def test_mean_and_variance_become_0_and_1(x64):
    z = jnp.asarray(np.random.default_rng(0).normal(5.0, 3.0, 7))
    z = _layer_norm.layer_norm(z, jnp.ones(7), 1e-12)
    np.testing.assert_allclose([np.mean(z), np.var(z)], [0.0, 1.0], atol=1e-12)


def test_equal_numbers_become_0_and_have_a_gradient():
    z, gain = jnp.full(3, 2.0), jnp.ones(3)
    assert _layer_norm.layer_norm(z, gain, 1e-5).tolist() == [0.0, 0.0, 0.0]
    grads = jax.jacobian(_layer_norm.layer_norm)(z, gain, 1e-5)
    np.testing.assert_allclose(grads, (np.eye(3) - 1 / 3) / np.sqrt(1e-5), rtol=1e-5)


def test_half_precision_is_normalised_in_float32():
    z = jnp.array([256.0, 258.0], jnp.bfloat16)  # their mean, 257, is no bfloat16
    actual = _layer_norm.layer_norm(z, jnp.ones(2, jnp.bfloat16), 1e-5)
    assert actual.dtype == jnp.float32
    np.testing.assert_allclose(actual, [-1.0, 1.0], rtol=1e-5)


@pytest.mark.parametrize("name", CELLS)
def test_the_scale_of_the_weights_does_not_matter(name, x64):
    cell = CELLS[name](2, 3, epsilon=1e-12)
    params, xs, carry = example(cell, dtype=np.float64)
    scaled = params._replace(w_ih=10.0 * params.w_ih, w_hh=0.1 * params.w_hh)
    actual, expected = (cell.step(p, carry, xs[0])[1] for p in (scaled, params))
    np.testing.assert_allclose(actual, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", CELLS)
def test_epsilon_reaches_every_norm(name, x64):
    """Where epsilon is huge, every norm is 0 and the biases alone are left."""
    cell = CELLS[name](2, 3, epsilon=1e30)
    params, xs, carry = example(cell, dtype=np.float64)
    gains = {field: 0.0 * leaf for field, leaf in params._asdict().items() if "gain" in field}
    actual = cell.step(params, carry, xs[0])[1]
    expected = CELLS[name](2, 3).step(params._replace(**gains), carry, xs[0])[1]
    np.testing.assert_allclose(actual, expected, rtol=1e-12)
    z_x = cell.maps.input(params, xs[0])
    np.testing.assert_allclose(
        z_x, CELLS[name](2, 3).maps.input(params._replace(**gains), xs[0]), rtol=1e-12
    )


@pytest.mark.parametrize("name", CELLS)
def test_gains_begin_at_1_and_all_else_as_without_them(name):
    plain = {"layer_norm_lstm": jaxseq.lstm, "layer_norm_gru": jaxseq.gru}[name](2, 3)
    key = jax.random.key(0)
    params, expected = jax.jit(lambda: (CELLS[name](2, 3).init(key), plain.init(key)))()
    for field, leaf in params._asdict().items():
        if hasattr(expected, field):
            np.testing.assert_array_equal(leaf, getattr(expected, field))
        else:
            assert np.unique(leaf).tolist() == [1.0 if "gain" in field else 0.0]


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_weights_and_state_have_the_dtype_asked_for(name, dtype, x64):
    cell = CELLS[name](2, 3, init="torch")
    params = jax.eval_shape(lambda: cell.init(jax.random.key(0), jnp.dtype(dtype)))
    carry = jax.eval_shape(lambda p: cell.carry(p, (4,)), params)
    assert {str(leaf.dtype) for leaf in params} == {dtype}
    assert (carry.h.shape, str(carry.h.dtype)) == ((4, 3), dtype)


@pytest.mark.parametrize("name", CELLS)
def test_equal_arguments_give_the_same_cell(name):
    assert CELLS[name](2, 3) is CELLS[name](2, 3)
    for options in ({"epsilon": 1e-3}, {"init": "torch"}):
        assert CELLS[name](2, 3) is not CELLS[name](2, 3, **options)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("epsilon", [0.0, -1e-5, float("nan")])
def test_epsilon_is_positive(name, epsilon):
    message = f"{name}: `epsilon` must be positive, but it is {epsilon}."
    with pytest.raises(ValueError, match=re.escape(message)):
        CELLS[name](2, 3, epsilon=epsilon)


@pytest.mark.parametrize("name", CELLS)
def test_sizes_and_init_are_checked(name, untyped):
    message = f"{name}: `input_size` must be a positive integer, but it is -1."
    with pytest.raises(ValueError, match=re.escape(message)):
        CELLS[name](-1, 3)
    message = f'{name}: `init` must be "glorot" or "torch", but it is \'xavier\'.'
    with pytest.raises(ValueError, match=re.escape(message)):
        CELLS[name](2, 3, init="xavier")


@pytest.mark.parametrize("name", CELLS)
def test_a_step_takes_one_input_of_its_size(name, untyped):
    cell = CELLS[name](2, 3)
    params, _, carry = example(cell)
    message = f"{name}_step: `x` must have shape (input_size,) = (2,), but it has shape (3,)."
    with pytest.raises(ValueError, match=re.escape(message)):
        cell.step(params, carry, jnp.ones(3))
