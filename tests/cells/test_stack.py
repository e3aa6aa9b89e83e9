"""A stack of cells, and a cell with a residual connection."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import example

import jaxseq

LOWER, UPPER = jaxseq.gru(2, 3), jaxseq.lstm(3, 4)


def equal(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def test_a_stack_of_one_is_the_cell_up_to_the_tuple():
    params, xs, carry = example(LOWER)
    after, y = LOWER.step(params, carry, xs[0])
    equal(jaxseq.stack([LOWER]).step((params,), (carry,), xs[0]), ((after,), y))


def test_a_stack_feeds_each_layer_to_the_next():
    cell = jaxseq.stack([LOWER, UPPER])
    params, xs, carry = example(cell)
    below, y = LOWER.step(params[0], carry[0], xs[0])
    above, y = UPPER.step(params[1], carry[1], y)
    equal(cell.step(params, carry, xs[0]), ((below, above), y))


def test_a_stack_over_time_is_its_layers_over_time():
    cell = jaxseq.stack([LOWER, UPPER])
    params, xs, carry = example(cell, batch_shape=(2,), steps=3)
    lengths = jnp.array([3, 1])
    below, ys = jaxseq.scan(LOWER, params[0], xs, carry=carry[0], lengths=lengths)
    above, ys = jaxseq.scan(UPPER, params[1], ys, carry=carry[1], lengths=lengths)
    actual = jaxseq.scan(cell, params, xs, carry=carry, lengths=lengths)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(((below, above), ys)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_stack_has_the_sizes_of_its_ends():
    cell = jaxseq.stack([LOWER, UPPER])
    assert (cell.input_size, cell.output_size) == (2, 4)
    assert cell.name == "stack(gru, lstm)"
    assert cell.maps is cell.linear is None


@pytest.mark.parametrize("reverse", [False, True])
def test_each_layer_of_a_stack_runs_on_the_loop_that_suits_it(reverse, x64):
    """One layer decomposes, one does not, and one is a linear recurrence."""
    layers = [LOWER, jaxseq.residual(jaxseq.gru(3, 3, reset_after=False)), jaxseq.min_gru(3, 2)]
    cell = jaxseq.stack(layers)
    params, xs, carry = example(cell, batch_shape=(2,), steps=4, dtype=np.float64)
    options = {
        "lengths": jnp.array([4, 2]),
        "resets": jnp.array([[False, False, True, False]] * 2),
        "reverse": reverse,
    }
    actual = jaxseq.scan(cell, params, xs, carry=carry, **options)
    expected = jaxseq.scan(cell, params, xs, carry=carry, backend="reference", **options)
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_the_layers_of_a_stack_begin_apart():
    first, second = jaxseq.stack([jaxseq.elman(3, 3)] * 2).init(jax.random.key(0))
    assert np.any(first.w_ih != second.w_ih) and np.any(first.w_hh != second.w_hh)


def test_a_stack_begins_in_the_dtype_asked_for():
    cell = jaxseq.stack([LOWER, UPPER])
    params = jax.eval_shape(lambda: cell.init(jax.random.key(0), jnp.bfloat16))
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(params)} == {"bfloat16"}


def test_the_layers_of_a_stack_draw_masks_of_their_own():
    layer = jaxseq.dropout(jaxseq.elman(9, 9), 0.5)
    cell = jaxseq.stack([layer, layer])
    params, _, _ = example(cell)
    below, above = cell.carry(params, (4,), key=jax.random.key(0))
    assert np.any(below.input_mask != above.input_mask)
    below, above = cell.carry(params, (4,))
    assert np.all(below.input_mask == 1) and np.all(above.input_mask == 1)


def test_a_stack_starts_each_layer_afresh_in_its_own_way():
    ones = LOWER._replace(reset=lambda params, carry: jax.tree.map(jnp.ones_like, carry))
    cell = jaxseq.stack([ones, UPPER])
    params, _, carry = example(cell)
    below, above = cell.reset(params, carry)
    assert np.all(below.h == 1) and not np.any(above.h) and not np.any(above.c)


def test_equal_cells_give_the_same_stack():
    assert jaxseq.stack([LOWER, UPPER]) is jaxseq.stack((LOWER, UPPER))
    assert jaxseq.residual(jaxseq.elman(3, 3)) is jaxseq.residual(jaxseq.elman(3, 3))


def test_a_residual_cell_adds_its_input_to_its_output_alone():
    cell = jaxseq.lstm(3, 3)
    params, xs, carry = example(cell)
    after, y = cell.step(params, carry, xs[0])
    equal(jaxseq.residual(cell).step(params, carry, xs[0]), (after, xs[0] + y))


def test_a_residual_cell_keeps_the_rest_of_the_cell():
    inner = jaxseq.dropout(jaxseq.lstm(3, 3), 0.5)
    cell = jaxseq.residual(inner)
    assert (cell.init, cell.carry, cell.reset) == (inner.init, inner.carry, inner.reset)
    assert cell.name == "residual(dropout(lstm))"
    assert cell.maps is cell.linear is None
    assert jaxseq.residual(jaxseq.min_gru(3, 3)).linear is None


def test_an_empty_stack_is_refused():
    message = "stack: `cells` must hold at least one cell, but it is empty."
    with pytest.raises(ValueError, match=re.escape(message)):
        jaxseq.stack([])


def test_a_stack_of_something_else_is_refused(untyped):
    message = "stack: `cells` must hold cells, but it holds 3."
    with pytest.raises(TypeError, match=re.escape(message)):
        jaxseq.stack([LOWER, 3])


def test_layers_must_fit_upon_each_other():
    message = (
        "stack: cells[2] (elman) must have input_size = 4, the output_size of cells[1] (lstm), "
        "but it has input_size = 5."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        jaxseq.stack([LOWER, UPPER, jaxseq.elman(5, 2)])


def test_a_residual_connection_needs_equal_widths():
    message = (
        "residual: `cell` (gru) must have equal input_size and output_size, but it has 2 and 3."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        jaxseq.residual(LOWER)


def test_only_a_cell_has_a_residual_connection(untyped):
    message = "residual: `cell` must be a jaxseq.Cell, but it is 'lstm'."
    with pytest.raises(TypeError, match=re.escape(message)):
        jaxseq.residual("lstm")
