"""The networks of memory runs: weights that remember, and what they are worth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxseq
from jaxseq.recipes._memory_network import ROWS, begin, chrono, outputs, score
from jaxseq.recipes._memory_tasks import adding

KEY = jax.random.key(0)


def test_a_gate_that_remembers_has_a_bias_between_0_and_log_of_the_span():
    lstm = jaxseq.lstm(2, 5).init(KEY)
    biases = np.asarray(chrono(KEY, lstm, 30).b_ih).reshape(4, 5)
    assert (biases[1] >= 0).all() and (biases[1] <= np.log(29)).all() and biases[1].max() > 1
    np.testing.assert_array_equal(biases[0], -biases[1])  # the input gate
    gru = jaxseq.gru(2, 5).init(KEY)
    np.testing.assert_array_equal(chrono(KEY, gru, 30).b_ih[5:10], biases[1])
    np.testing.assert_array_equal(chrono(KEY, gru, 30).b_ih[:5], gru.b_ih[:5])
    elman = jaxseq.elman(2, 5).init(KEY)
    assert chrono(KEY, elman, 30) is elman


@pytest.mark.parametrize("cell", ["elman", "lstm", "gru"])
def test_an_output_is_a_linear_map_of_the_state(cell):
    made, params = begin(KEY, "copy", cell, 4, span=23)
    params = params._replace(b_o=jnp.arange(9.0))
    inputs = np.random.default_rng(0).normal(size=(2, 3, 10)).astype(np.float32)
    _, hs = jaxseq.scan(made, params.cell, inputs, backend="reference")
    expected = np.asarray(hs) @ np.asarray(params.w_ho).T + np.arange(9.0)
    np.testing.assert_allclose(outputs(made, params, inputs), expected, rtol=1e-5, atol=1e-5)


def test_a_score_is_the_mean_over_the_examples_of_a_seed():
    cell, params = begin(KEY, "adding", "elman", 3, span=4)
    found = score("adding", cell, params, 4, seed=7, rows=2 * ROWS - 1)
    rng, errors = np.random.default_rng([7, 4]), []
    for _ in range(2):
        inputs, targets = adding(rng, ROWS, 4)
        errors.append((np.asarray(outputs(cell, params, inputs))[:, -1, 0] - targets) ** 2)
    assert found.loss == found.error == pytest.approx(np.mean(errors), rel=1e-5)
