"""The LSTM with layer normalisation against the paper, and what it does not normalise."""

import functools

import jax
import numpy as np
import pytest
import twins
from examples import example

import jaxseq
from jaxseq.cells import LSTMCarry


@pytest.mark.parametrize("epsilon", [1e-5, 1e-3])
@pytest.mark.parametrize("sizes", [(1, 1), (3, 5), (5, 3)], ids=str)
def test_a_step_is_the_papers(sizes, epsilon, x64):
    cell = jaxseq.layer_norm_lstm(*sizes, epsilon=epsilon)
    params, xs, carry = example(cell, dtype=np.float64)
    actual = jax.jit(cell.step)(params, carry, xs[0])
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-14),
        actual,
        twins.layer_norm_lstm_step(params, carry, xs[0], epsilon=epsilon),
    )


def test_the_output_is_the_hidden_state():
    cell = jaxseq.layer_norm_lstm(2, 3)
    params, xs, carry = example(cell)
    after, y = cell.step(params, carry, xs[0])
    assert isinstance(after, LSTMCarry) and after.h is y


def test_the_cell_state_is_carried_on_as_it_is(x64):
    """With open gates it adds up; only what the output sees of it is normalised."""
    cell = jaxseq.layer_norm_lstm(1, 2)
    params, xs, carry = example(cell, steps=3, dtype=np.float64)
    b_ih = np.array([50.0, 50.0, 50.0, 50.0, 1.0, -1.0, 50.0, 50.0])  # i = f = o = 1
    params = params._replace(
        b_ih=jax.numpy.asarray(b_ih),
        gain_ih=0.0 * params.gain_ih,
        gain_hh=0.0 * params.gain_hh,
        b_hh=0.0 * params.b_hh,
    )
    after, ys = jaxseq.scan(cell, params, xs, carry=carry, backend="reference")
    np.testing.assert_allclose(after.c, carry.c + 3 * np.tanh([1.0, -1.0]), rtol=1e-12)
    norm = twins.layer_norm(np.asarray(after.c), params.gain_c, params.b_c, 1e-5)
    np.testing.assert_allclose(ys[-1], np.tanh(norm), rtol=1e-12)


def test_all_gates_are_normalised_together(x64):
    """Larger rows of one gate make those of the others smaller."""
    cell = jaxseq.layer_norm_lstm(2, 3)
    params, xs, carry = example(cell, dtype=np.float64)
    scaled = params._replace(w_hh=params.w_hh.at[6:9].multiply(10.0))  # of g alone
    zeros = carry._replace(c=0.0 * carry.c)
    one, other = (cell.step(p, carry, xs[0])[0].c for p in (params, scaled))
    still, moved = (cell.step(p, zeros, xs[0])[0].c for p in (params, scaled))
    forgotten = (one - still) / carry.c, (other - moved) / carry.c  # the forget gate
    assert np.abs(forgotten[0] - forgotten[1]).max() > 1e-2


def test_the_forget_bias_is_in_the_parameter():
    params = jax.jit(jaxseq.layer_norm_lstm(2, 3, forget_bias=0.5).init)(jax.random.key(0))
    assert params.b_ih.tolist() == 3 * [0.0] + 3 * [0.5] + 6 * [0.0]
    assert not np.any(params.b_hh)
    other = jaxseq.layer_norm_lstm(2, 3, forget_bias=0.5)
    assert other is not jaxseq.layer_norm_lstm(2, 3)


def test_the_cell_state_is_float32_where_the_weights_are_not():
    cell = jaxseq.layer_norm_lstm(2, 3)
    carry = jax.eval_shape(lambda: cell.carry(cell.init(jax.random.key(0), jax.numpy.bfloat16)))
    assert carry.c.dtype == "float32"


def test_it_decomposes_into_maps_that_do_not_add():
    cell = jaxseq.layer_norm_lstm(2, 3)
    params, _, _ = example(cell)
    assert not cell.maps.additive
    assert cell.maps.weights(params) == (params.gain_hh, params.gain_c, params.b_c)
