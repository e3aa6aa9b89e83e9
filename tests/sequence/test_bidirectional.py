"""Both directions are two scans, side by side."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import example

import jaxseq
from jaxseq import Directions

CELL = jaxseq.lstm(2, 3)
FORWARD, XS, BEFORE = example(CELL, batch_shape=(3,), steps=5, seed=0)
BACKWARD, _, AFTER = example(CELL, batch_shape=(3,), steps=5, seed=1)
PARAMS, CARRY = Directions(FORWARD, BACKWARD), Directions(BEFORE, AFTER)
LENGTHS = jnp.array([5, 0, 2])
RESETS = jnp.zeros((3, 5), bool).at[0, 2].set(True).at[2, 1].set(True)


@pytest.mark.parametrize(
    "options",
    [{}, {"lengths": LENGTHS}, {"lengths": LENGTHS, "resets": RESETS, "remat": 2, "unroll": 2}],
    ids=["full", "ragged", "everything"],
)
def test_both_directions_are_two_scans(options):
    forward, first = jaxseq.scan(CELL, FORWARD, XS, carry=BEFORE, **options)
    backward, second = jaxseq.scan(CELL, BACKWARD, XS, carry=AFTER, reverse=True, **options)
    actual = jaxseq.bidirectional(CELL, PARAMS, XS, carry=CARRY, **options)
    expected = Directions(forward, backward), jnp.concatenate([first, second], -1)
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


@pytest.mark.parametrize(
    "options",
    [{}, {"lengths": LENGTHS[1:]}, {"resets": RESETS[:2]}, {"lengths": LENGTHS[::2], "remat": 2}],
    ids=["full", "ragged", "resets", "kept apart"],
)
def test_a_few_rows_in_one_loop_are_two_scans(options, x64):
    cell = jaxseq.gru(2, 3)
    forward, xs, before = example(cell, batch_shape=(2,), steps=5, seed=0, dtype=np.float64)
    backward, _, after = example(cell, batch_shape=(2,), steps=5, seed=1, dtype=np.float64)
    point = Directions(forward, backward), xs, Directions(before, after)

    def loss(point, backend):
        params, xs, carry = point
        result = jaxseq.bidirectional(cell, params, xs, carry=carry, backend=backend, **options)
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(result)), result

    one, two = (
        jax.jit(jax.value_and_grad(lambda point, b=b: loss(point, b), has_aux=True))(point)
        for b in ("auto", "reference")
    )
    assert jax.tree.structure(one) == jax.tree.structure(two)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12), one, two)


def test_a_few_rows_run_in_one_loop_and_many_in_two_but_on_an_accelerator(monkeypatch):
    def loops(batch):
        xs = jnp.zeros((batch, 5, 2))
        return str(jax.make_jaxpr(lambda xs: jaxseq.bidirectional(CELL, PARAMS, xs))(xs)).count(
            "scan["
        )

    assert loops(1) == 1 and loops(3) == 2
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert loops(4) == 1


@pytest.mark.parametrize("name", [pytest.param("gru", marks=pytest.mark.slow), "lstm"])
def test_what_is_laid_out_for_an_accelerator_is_the_specification(name, x64, monkeypatch):
    """Eleven steps, so that iterations of eight leave a rest. It runs here all the same."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    cell = getattr(jaxseq, name)(2, 3)
    forward, xs, before = example(cell, batch_shape=(3,), steps=11, seed=0, dtype=np.float64)
    backward, _, after = example(cell, batch_shape=(3,), steps=11, seed=1, dtype=np.float64)
    lengths = jnp.array([11, 0, 9])
    resets = jnp.zeros((3, 11), bool).at[0, 3].set(True)
    bad = jnp.where(jnp.arange(11)[None, :, None] < lengths[:, None, None], xs, jnp.nan)
    point = Directions(forward, backward), bad, Directions(before, after)

    def loss(point, backend):
        params, xs, carry = point
        options = {"carry": carry, "lengths": lengths, "resets": resets, "backend": backend}
        result = jaxseq.bidirectional(cell, params, xs, **options)
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(result)), result

    one, two = (
        jax.jit(jax.value_and_grad(lambda point, b=b: loss(point, b), has_aux=True))(point)
        for b in ("auto", "reference")
    )
    assert jaxseq.plan(cell, forward, xs).layers[0].schedules.train.hoist
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12), one, two)


def test_without_a_carry_both_directions_begin_at_zero():
    zeros = CELL.carry(FORWARD, (3,))
    expected = jaxseq.bidirectional(CELL, PARAMS, XS, carry=Directions(zeros, zeros))
    for carry in (None, Directions(None, None), Directions(zeros, None)):
        actual = jaxseq.bidirectional(CELL, PARAMS, XS, carry=carry)
        jax.tree.map(np.testing.assert_array_equal, actual, expected)


def test_the_backward_direction_starts_at_the_last_valid_step_of_each_row():
    poisoned = XS.at[2, 2:].set(jnp.nan)
    carry, ys = jaxseq.bidirectional(CELL, PARAMS, poisoned, carry=CARRY, lengths=LENGTHS)
    alone, row = jaxseq.bidirectional(
        CELL, PARAMS, XS[2, :2], carry=jax.tree.map(lambda leaf: leaf[2], CARRY)
    )
    np.testing.assert_allclose(ys[2, :2], row, rtol=1e-6)
    assert not np.any(ys[2, 2:]) and not np.any(ys[1])
    np.testing.assert_allclose(carry.backward.c[2], alone.backward.c, rtol=1e-6)
    np.testing.assert_array_equal(carry.backward.h[2], ys[2, 0, 3:])
    np.testing.assert_array_equal(carry.forward.h[2], ys[2, 1, :3])
    np.testing.assert_array_equal(carry.backward.c[1], AFTER.c[1])


def test_a_first_output_knows_the_last_input_and_the_forward_half_does_not():
    def first_output(last):
        return jaxseq.bidirectional(CELL, PARAMS, XS[0].at[-1].set(last))[1][0]

    gradient = jax.jit(jax.jacobian(first_output))(XS[0, -1])
    assert not np.any(gradient[:3]) and np.all(gradient[3:] != 0)


@pytest.mark.parametrize("name", ["params", "carry"])
def test_a_plain_pair_is_no_directions(name, untyped):
    options = {"params": PARAMS, "carry": CARRY}
    options[name] = tuple(options[name])
    message = (
        f"bidirectional: `{name}` must be a jaxseq.Directions(forward, backward), "
        "but it is a tuple."
    )
    with pytest.raises(TypeError, match=re.escape(message)):
        jaxseq.bidirectional(CELL, options["params"], XS, carry=options["carry"])


def test_params_may_not_be_left_out(untyped):
    with pytest.raises(TypeError, match=r"bidirectional: `params` must be .* but it is a NoneType"):
        jaxseq.bidirectional(CELL, None, XS)


def test_each_direction_is_checked():
    wrong, _, _ = example(jaxseq.lstm(2, 4))
    with pytest.raises(ValueError, match=re.escape("`params.w_ih` must have shape (12, 2)")):
        jaxseq.bidirectional(CELL, Directions(FORWARD, wrong), XS)
