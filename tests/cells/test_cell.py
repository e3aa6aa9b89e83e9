"""What a cell is: a static value, made of any pure functions."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxseq
from jaxseq.cells import ElmanCarry, Maps, zero_carry
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
    assert counter().maps is None


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
    assert Maps._fields == ("input", "recurrent", "update", "output", "additive")


def test_something_else_is_no_cell():
    check_cell("f", counter())
    with pytest.raises(TypeError, match=re.escape("f: `cell` must be a jaxseq.Cell, but it is 3.")):
        check_cell("f", 3)
