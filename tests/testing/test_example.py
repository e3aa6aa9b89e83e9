"""Random examples: what is drawn, and what is left as the cell made it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import jaxseq
from jaxseq import testing
from jaxseq.testing._example import split_inexact

ZONEOUT = jaxseq.zoneout(jaxseq.gru(2, 3), 0.5)


def test_an_example_is_the_same_for_the_same_seed():
    draw = functools.partial(testing.random_example, jaxseq.elman(1, 2))
    first, again, other = draw(), draw(), draw(seed=1)
    assert (first[1] == again[1]).all()
    assert not (first[1] == other[1]).any()


def test_every_number_is_drawn():
    params, xs, carry = testing.random_example(jaxseq.lstm(2, 3), batch_shape=(2, 1), steps=4)
    assert xs.shape == (2, 1, 4, 2) and carry.c.shape == (2, 1, 3)
    for leaf in jax.tree.leaves((params, xs, carry)):
        assert np.all(leaf != 0)


def test_an_example_has_the_widest_dtype_enabled(x64):
    for leaf in jax.tree.leaves(testing.random_example(jaxseq.lstm(2, 3))):
        assert leaf.dtype == jnp.float64


def test_counters_and_keys_are_as_the_cell_made_them_with_a_key():
    _, _, carry = testing.random_example(ZONEOUT, batch_shape=(4,))
    assert carry.step.tolist() == [0, 0, 0, 0]
    assert len(np.unique(carry.key, axis=0)) == 4
    assert np.all(carry.cell.h != 0)


def test_a_tree_is_built_around_other_numbers():
    tree = {"h": jnp.ones(2), "steps": jnp.int32(3), "c": jnp.zeros(1)}
    leaves, build = split_inexact(tree)
    assert [leaf.shape for leaf in leaves] == [(1,), (2,)]
    other = build([2.0 * leaf + 3.0 for leaf in leaves])
    assert {name: leaf.tolist() for name, leaf in other.items()} == {
        "h": [5.0, 5.0],
        "steps": 3,
        "c": [3.0],
    }
