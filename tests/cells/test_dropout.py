"""Variational dropout: its masks, and what they act on."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import twins
from examples import example

import jaxseq
from jaxseq.cells import DropoutCarry, dropout_mask

KEY = jax.random.key(0)
INNER = jaxseq.gru(2, 3)
BOTH = jaxseq.dropout(INNER, 0.5, state_rate=0.25)
INPUTS = jaxseq.dropout(INNER, 0.5)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.75])
def test_a_mask_is_zero_or_rescaled_and_one_on_average(rate):
    mask = np.asarray(dropout_mask(KEY, rate, (40_000,), jnp.float32))
    kept = np.float32(1.0 / (1.0 - rate))
    assert set(np.unique(mask)) == {np.float32(0.0), kept}
    deviation = np.sqrt(rate / (1.0 - rate) / mask.size)
    assert abs(mask.mean() - 1.0) < 4 * deviation
    assert abs((mask == 0).mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / mask.size)


@pytest.mark.parametrize(("key", "rate"), [(None, 0.5), (KEY, 0.0)])
def test_without_a_key_or_a_rate_nothing_is_dropped(key, rate):
    assert dropout_mask(key, rate, (2, 3), jnp.bfloat16).tolist() == [[1.0] * 3] * 2


def test_a_mask_has_the_dtype_of_the_weights():
    params = jax.eval_shape(lambda: BOTH.init(KEY, jnp.bfloat16))
    carry = jax.eval_shape(lambda p: BOTH.carry(p, (4,), key=KEY), params)
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(carry)} == {"bfloat16"}
    assert carry.input_mask.shape == (4, 2) and carry.state_mask.shape == (4, 3)


def test_a_key_draws_masks_and_no_key_draws_none():
    params, _, _ = example(BOTH)
    carry = BOTH.carry(params, (64,), key=KEY)
    assert set(np.unique(carry.input_mask)) == {0.0, 2.0}
    assert set(np.unique(carry.state_mask)) == {np.float32(0.0), np.float32(4 / 3)}
    other = BOTH.carry(params, (64,), key=jax.random.key(1))
    assert np.any(other.input_mask != carry.input_mask)
    evaluation = BOTH.carry(params, (64,))
    assert np.all(evaluation.input_mask == 1) and np.all(evaluation.state_mask == 1)


def test_without_a_key_a_cell_with_dropout_is_the_cell():
    params, xs, carry = example(INNER, batch_shape=(2,), steps=3)
    expected = jaxseq.scan(INNER, params, xs, carry=carry)
    for cell in (INPUTS, BOTH):
        start = cell.carry(params, (2,))._replace(cell=carry)
        after, ys = jaxseq.scan(cell, params, xs, carry=start)
        np.testing.assert_allclose(ys, expected[1], rtol=1e-6)
        np.testing.assert_allclose(after.cell.h, expected[0].h, rtol=1e-6)


def test_masks_stay_the_same_over_time_and_are_handed_on():
    params, xs, _ = example(BOTH, batch_shape=(3,), steps=4)
    start = BOTH.carry(params, (3,), key=KEY)
    after, ys = jaxseq.scan(BOTH, params, xs, carry=start)
    np.testing.assert_array_equal(after.input_mask, start.input_mask)
    np.testing.assert_array_equal(after.state_mask, start.state_mask)
    masked = jaxseq.scan(
        BOTH,
        params,
        xs * start.input_mask[:, None],
        carry=start._replace(input_mask=jnp.ones_like(start.input_mask)),
    )
    np.testing.assert_allclose(ys, masked[1], rtol=1e-6)


def test_the_state_mask_acts_where_the_recurrent_map_reads_and_nowhere_else(x64):
    """The GRU's ``z h`` sees the state as it is: against the textbook, one gate at a time."""
    params, xs, carry = example(BOTH, dtype=np.float64)
    after, y = BOTH.step(params, carry, xs[0])
    w = twins.gates(params, "rzn")
    x = np.asarray(carry.input_mask * xs[0])
    h = np.asarray(carry.cell.h)
    seen = np.asarray(carry.state_mask) * h
    r = twins.sigmoid(w["W_ir"] @ x + w["b_ir"] + w["W_hr"] @ seen + w["b_hr"])
    z = twins.sigmoid(w["W_iz"] @ x + w["b_iz"] + w["W_hz"] @ seen + w["b_hz"])
    n = np.tanh(w["W_in"] @ x + w["b_in"] + r * (w["W_hn"] @ seen + w["b_hn"]))
    np.testing.assert_allclose(y, (1 - z) * n + z * h, rtol=1e-13)
    np.testing.assert_array_equal(after.cell.h, y)


def test_a_masked_projection_projects_the_state_as_it_is(x64):
    inner = jaxseq.lstm(2, 3, proj_size=2)
    cell = jaxseq.dropout(inner, 0.5, state_rate=0.5)
    params, xs, carry = example(cell, dtype=np.float64)
    (after, _, _), y = cell.step(params, carry, xs[0])
    expected, _ = twins.lstm_step(
        params,
        carry.cell._replace(h=carry.state_mask * carry.cell.h),
        carry.input_mask * xs[0],
    )
    np.testing.assert_allclose(after.h, expected.h, rtol=1e-13)
    np.testing.assert_allclose(after.c, expected.c, rtol=1e-13)
    assert y is after.h and carry.state_mask.shape == (2,)


@pytest.mark.parametrize(
    "inner", [jaxseq.peephole_lstm(2, 3), jaxseq.layer_norm_gru(2, 3)], ids=lambda cell: cell.name
)
def test_the_state_of_a_cell_whose_update_reads_weights_may_be_dropped(inner, x64):
    cell = jaxseq.dropout(inner, 0.5, state_rate=0.5)
    params, xs, carry = example(cell, batch_shape=(2,), steps=3, dtype=np.float64)
    ones = jax.tree.map(jnp.ones_like, carry)._replace(cell=carry.cell)
    for start in (carry, ones):
        results = [
            jaxseq.scan(cell, params, xs, carry=start, backend=backend)
            for backend in ("fused", "reference")
        ]
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), *results)
    after, ys = jaxseq.scan(inner, params, xs * carry.input_mask[:, None], carry=carry.cell)
    assert not np.allclose(ys, results[0][1]) and after.h.shape == (2, 3)
    np.testing.assert_allclose(
        jaxseq.scan(inner, params, xs, carry=carry.cell)[1], results[0][1], rtol=1e-12
    )


def test_a_reset_keeps_the_masks():
    params, _, carry = example(BOTH)
    after = BOTH.reset(params, carry)
    assert isinstance(after, DropoutCarry) and not np.any(after.cell.h)
    assert after.input_mask is carry.input_mask and after.state_mask is carry.state_mask


def test_without_a_state_rate_there_is_no_state_mask():
    params, _, _ = example(INPUTS)
    assert INPUTS.carry(params, (4,), key=KEY).state_mask.shape == (4, 0)


def test_a_dropped_input_has_no_gradient():
    params, xs, carry = example(INPUTS, steps=3)
    start = carry._replace(input_mask=jnp.array([0.0, 2.0]))
    grads = jax.grad(lambda xs: jnp.sum(jaxseq.scan(INPUTS, params, xs, carry=start)[1]))(xs)
    assert not np.any(grads[:, 0]) and np.all(grads[:, 1] != 0)


def test_equal_arguments_give_the_same_cell():
    assert jaxseq.dropout(jaxseq.gru(2, 3), 0.5) is jaxseq.dropout(jaxseq.gru(2, 3), 0.5)
    assert INPUTS is not BOTH and INPUTS.name == BOTH.name == "dropout(gru)"


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2, float("nan")])
def test_a_rate_lies_between_zero_and_one(rate, untyped):
    with pytest.raises(
        ValueError, match=re.escape(f"dropout: `rate` must be in [0, 1), but it is {rate}.")
    ):
        jaxseq.dropout(INNER, rate)
    message = f"dropout: `state_rate` must be in [0, 1), but it is {rate}."
    with pytest.raises(ValueError, match=re.escape(message)):
        jaxseq.dropout(INNER, 0.5, state_rate=rate)


@pytest.mark.parametrize(
    ("cell", "name"),
    [(jaxseq.gru(2, 3, reset_after=False), "gru"), (jaxseq.stack([INNER]), "stack(gru)")],
)
def test_the_state_of_a_cell_without_maps_cannot_be_dropped(cell, name):
    message = (
        f"dropout: `state_rate` needs a cell that decomposes into maps, but {name} does not.\n"
        "  Hint: leave state_rate at 0, or wrap each cell before you stack them."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        jaxseq.dropout(cell, 0.5, state_rate=0.5)


def test_only_a_cell_can_drop(untyped):
    message = "dropout: `cell` must be a jaxseq.Cell, but it is 'gru'."
    with pytest.raises(TypeError, match=re.escape(message)):
        jaxseq.dropout("gru", 0.5)


@pytest.mark.parametrize("cell", [INPUTS, BOTH], ids=["inputs", "inputs and state"])
def test_a_step_takes_one_input_of_its_size_and_dtype(cell, untyped):
    params, _, carry = example(cell)
    message = "dropout(gru): `x` must have shape (input_size,) = (2,), but it has shape (3,)."
    with pytest.raises(ValueError, match=re.escape(message)):
        cell.step(params, carry, jnp.ones(3))
    message = (
        "dropout(gru): `x` must have the dtype of the weights, float32, but it has int32.\n"
        "  Hint: embed or one-hot symbols first."
    )
    with pytest.raises(TypeError, match=re.escape(message)):
        cell.step(params, carry, jnp.ones(2, jnp.int32))
