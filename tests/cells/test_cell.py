"""What a cell is: a static value, made of any pure functions."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxseq
from jaxseq.cells import ElmanCarry, Gates, Maps, Run, no_output_map, no_weights, zero_carry
from jaxseq.cells._cell import check_cell


def counter_step(params, carry, x):
    """Counts steps and adds up inputs: nothing but a pure function."""
    carry = {"sum": carry["sum"] + params * x, "steps": carry["steps"] + 1}
    return carry, carry["sum"][:1]


def counter():
    return jaxseq.Cell(
        name="counter",
        input_size=2,
        output_size=1,
        init=counter_init,
        carry=counter_carry,
        step=counter_step,
    )


def counter_init(key, dtype=jnp.float32):
    return jnp.ones((), dtype)


def counter_carry(params, batch_shape=(), *, key=None):
    return {
        "sum": jnp.zeros((*batch_shape, 2), params.dtype),
        "steps": jnp.zeros(batch_shape, jnp.int32),
    }


def test_six_fields_make_a_cell_that_keeps_the_padding_contract():
    xs = jnp.arange(12.0).reshape(2, 3, 2)
    carry, ys = jaxseq.scan(
        counter(),
        jnp.asarray(1.0),
        xs,
        lengths=jnp.array([3, 1]),
        resets=jnp.array([[False, False, True], [False, True, False]]),
    )
    assert ys[..., 0].tolist() == [[0.0, 2.0, 4.0], [6.0, 0.0, 0.0]]
    assert carry["steps"].tolist() == [1, 1]
    assert carry["sum"].tolist() == [[4.0, 5.0], [6.0, 7.0]]


def test_a_cell_of_six_fields_starts_afresh_from_zeros_and_has_no_maps():
    assert counter().reset is zero_carry
    assert counter().maps is counter().unfold is counter().linear is None


def test_zero_carry_keeps_structure_shapes_and_dtypes():
    carry = (ElmanCarry(jnp.ones(3, jnp.bfloat16)), {"steps": jnp.ones((), jnp.int32)})
    zeros = zero_carry(None, carry)
    assert jax.tree.map(str, jax.tree.map(jnp.result_type, zeros)) == (
        ElmanCarry("bfloat16"),
        {"steps": "int32"},
    )
    assert not np.any(zeros[0].h) and zeros[0].h.shape == (3,) and zeros[1]["steps"] == 0


def test_cells_of_the_same_functions_are_the_same_static_argument():
    assert counter() == counter() and hash(counter()) == hash(counter())
    assert counter() != counter()._replace(name="other")


def test_the_maps_of_a_cell_are_named():
    maps = jaxseq.elman(2, 3).maps
    assert isinstance(maps, Maps)
    fields = ("input", "recurrent", "update", "output", "weights", "additive", "gates", "native")
    assert Maps._fields == fields
    assert Gates._fields == ("values", "tangent", "update")


def test_most_cells_have_no_output_map_and_an_update_without_weights():
    maps = jaxseq.elman(2, 3).maps
    assert (maps.output, maps.weights) == (no_output_map, no_weights)
    assert no_weights(3) == () and no_output_map(3, "carry") == "carry"


def doubled(cell):
    """A combinator of one's own: the cell, fed with twice its input."""

    def step(params, carry, x):
        return cell.step(params, carry, 2.0 * x)

    def unfold(run, params, carry, xs):
        assert isinstance(run, Run)
        return run(cell, params, carry, 2.0 * xs)

    return cell._replace(name="doubled", step=step, maps=None, unfold=unfold)


@pytest.mark.parametrize("inner", [jaxseq.elman(2, 3), counter()], ids=["elman", "counter"])
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_a_combinator_of_ones_own_runs_whole_sequences(inner, backend):
    params, xs = inner.init(jax.random.key(0)), jnp.ones((3, 4, 2))
    options = {"lengths": jnp.array([4, 0, 2]), "resets": jnp.eye(3, 4, dtype=bool)}
    actual = jaxseq.scan(doubled(inner), params, xs, backend=backend, **options)
    expected = jaxseq.scan(inner, params, 2.0 * xs, backend="reference", **options)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_something_else_is_no_cell():
    check_cell("f", counter())
    with pytest.raises(TypeError, match=re.escape("f: `cell` must be a jaxseq.Cell, but it is 3.")):
        check_cell("f", 3)
