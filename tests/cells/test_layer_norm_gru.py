"""The GRU with layer normalisation against the paper, and what it normalises together."""

import functools

import jax
import numpy as np
import pytest
import twins
from examples import example

import jaxseq
from jaxseq.cells import GRUCarry


@pytest.mark.parametrize("epsilon", [1e-5, 1e-3])
@pytest.mark.parametrize("sizes", [(1, 1), (3, 5), (5, 3)], ids=str)
def test_a_step_is_the_papers(sizes, epsilon, x64):
    cell = jaxseq.layer_norm_gru(*sizes, epsilon=epsilon)
    params, xs, carry = example(cell, dtype=np.float64)
    actual = jax.jit(cell.step)(params, carry, xs[0])
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-14),
        actual,
        twins.layer_norm_gru_step(params, carry, xs[0], epsilon=epsilon),
    )


def test_the_output_is_the_state():
    cell = jaxseq.layer_norm_gru(2, 3)
    params, xs, carry = example(cell)
    after, y = cell.step(params, carry, xs[0])
    assert isinstance(after, GRUCarry) and after.h is y


def test_the_candidate_is_normalised_apart_from_the_gates(x64):
    cell = jaxseq.layer_norm_gru(2, 3, epsilon=1e-12)
    params, xs, carry = example(cell, dtype=np.float64)
    expected = cell.step(params, carry, xs[0])[1]

    def scaled(rows):
        return params._replace(
            w_ih=params.w_ih.at[rows].multiply(10.0), w_hh=params.w_hh.at[rows].multiply(10.0)
        )

    for alone in (slice(0, 6), slice(6, 9)):  # r and z, n
        actual = cell.step(scaled(alone), carry, xs[0])[1]
        np.testing.assert_allclose(actual, expected, rtol=1e-8, atol=1e-9)
    actual = cell.step(scaled(slice(0, 3)), carry, xs[0])[1]  # r without z
    assert np.abs(actual - expected).max() > 1e-3


def test_a_closed_update_gate_keeps_the_state():
    cell = jaxseq.layer_norm_gru(1, 2)
    params, xs, carry = example(cell)
    params = params._replace(b_ih=params.b_ih.at[2:4].set(100.0))
    after, _ = cell.step(params, carry, xs[0])
    np.testing.assert_allclose(after.h, carry.h, rtol=1e-6)


def test_it_decomposes_into_maps_that_do_not_add():
    cell = jaxseq.layer_norm_gru(2, 3)
    params, _, _ = example(cell)
    assert not cell.maps.additive
    assert cell.maps.weights(params) == (params.gain_hh, params.b_hh)
