"""Zoneout: how many units stay, which ones, and that all steps at once are the steps one by one."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import twins
from examples import example

import jaxseq
from jaxseq.cells import LSTMCarry, ZoneoutCarry

KEY = jax.random.key(0)
LSTM = jaxseq.lstm(2, 3)
GRU = jaxseq.gru(2, 3)
CELL = jaxseq.zoneout(LSTM, 0.25, cell_rate=0.5)


def start(cell, inner, key=None):
    """A carry of a cell with zoneout around the carry of the cell inside."""
    batch_shape = inner.h.shape[:-1]
    params = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype),
        jax.eval_shape(functools.partial(cell.init, dtype=inner.h.dtype), KEY),
    )
    return cell.carry(params, batch_shape, key=key)._replace(cell=inner)


def step_by_step(cell, params, carry, xs):
    """Runs ``xs [*batch, T, I]`` and returns the carry before the first step and after each."""

    @jax.jit
    def advance(carry, x):
        step = cell.step
        for _ in range(x.ndim - 1):
            step = jax.vmap(step, in_axes=(None, 0, 0))
        return step(params, carry, x)[0]

    carries = [carry]
    for t in range(xs.shape[-2]):
        carries.append(advance(carries[-1], xs[..., t, :]))
    return jax.tree.map(lambda *leaves: np.stack(leaves), *carries)


def test_without_a_rate_it_is_the_cell():
    params, xs, carry = example(LSTM, batch_shape=(2,), steps=3)
    expected = jaxseq.scan(LSTM, params, xs, carry=carry, backend="reference")
    cell = jaxseq.zoneout(LSTM, 0.0)
    for key in (None, KEY):
        begin = start(cell, carry, key)
        after, ys = jaxseq.scan(cell, params, xs, carry=begin, backend="reference")
        jax.tree.map(np.testing.assert_array_equal, (after.cell, ys), expected)


def test_evaluation_takes_the_expectation(x64):
    params, xs, carry = example(LSTM, dtype=np.float64)
    after, y = CELL.step(params, start(CELL, carry), xs[0])
    expected, _ = twins.lstm_step(params, carry, xs[0])
    np.testing.assert_allclose(y, 0.25 * carry.h + 0.75 * expected.h, rtol=1e-13)
    np.testing.assert_allclose(after.cell.c, 0.5 * carry.c + 0.5 * expected.c, rtol=1e-13)
    assert after.step == -1 and after.cell.h is y


def test_in_training_a_unit_is_the_old_one_or_the_new_one(x64):
    """The new h is that of the new c, also where c itself stays."""
    params, xs, carry = example(LSTM, batch_shape=(50,), dtype=np.float64)
    after = step_by_step(CELL, params, start(CELL, carry, KEY), xs).cell
    for row in range(50):
        inner = jax.tree.map(lambda leaf, row=row: leaf[row], carry)
        expected, _ = twins.lstm_step(params, inner, xs[row, 0])
        for old, new, actual in zip(inner, expected, after, strict=True):
            np.testing.assert_allclose(
                actual[1, row], np.where(actual[1, row] == old, old, new), rtol=1e-12
            )
    kept = [(leaf[0] == leaf[1]).ravel() for leaf in after]
    assert {(bool(h), bool(c)) for h, c in zip(*kept, strict=True)} == {
        (False, False),
        (False, True),
        (True, False),
        (True, True),
    }


@pytest.mark.parametrize("rates", [(0.1, 0.5), (0.25, None)], ids=str)
def test_the_share_that_stays_is_the_rate(rates):
    cell = jaxseq.zoneout(jaxseq.lstm(2, 20), rates[0], cell_rate=rates[1])
    params, xs, inner = example(jaxseq.lstm(2, 20), batch_shape=(20,), steps=15)
    carries = step_by_step(cell, params, start(cell, inner, KEY), xs).cell
    stays = LSTMCarry(*(leaf[1:] == leaf[:-1] for leaf in carries))
    for kept, rate in ((stays.h, rates[0]), (stays.c, rates[1] or rates[0])):
        deviation = np.sqrt(rate * (1 - rate))
        assert abs(kept.mean() - rate) < 4 * deviation / np.sqrt(kept.size)
        for axis in range(3):  # every step, row and unit by itself: 300 or 400 numbers each
            others = tuple({0, 1, 2} - {axis})
            spread = 5 * deviation / np.sqrt(kept.size / kept.shape[axis])
            assert np.abs(kept.mean(others) - rate).max() < spread
    for one, other in ((stays.h, stays.c), (stays.h[1:], stays.h[:-1])):
        correlation = np.corrcoef(one.ravel(), other.ravel())[0, 1]
        assert abs(correlation) < 4 / np.sqrt(one.size)


def test_a_key_makes_the_masks_and_rows_have_their_own():
    params, xs, carry = example(GRU, batch_shape=(8,), steps=4)
    xs, carry = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:1], leaf.shape), (xs, carry))
    cell = jaxseq.zoneout(GRU, 0.5)

    def run(key):
        return jaxseq.scan(cell, params, xs, carry=start(cell, carry, key), backend="reference")[1]

    np.testing.assert_array_equal(run(KEY), run(KEY))
    assert np.any(run(KEY) != run(jax.random.key(1)))
    assert len(np.unique(run(KEY).reshape(8, -1), axis=0)) == 8
    assert len(np.unique(run(None).reshape(8, -1), axis=0)) == 1


def test_masks_are_the_same_ones_in_every_precision():
    def stays(dtype):
        params, xs, inner = example(LSTM, batch_shape=(4,), steps=5, dtype=dtype)
        carries = step_by_step(CELL, params, start(CELL, inner, KEY), xs).cell
        return [np.asarray(leaf[1:] == leaf[:-1]) for leaf in carries]

    expected = stays(np.float32)
    assert 0 < np.mean(expected[0]) < 0.5 < np.mean(expected[1]) + 0.2
    with jax.enable_x64(True):
        for dtype in (np.float32, np.float64):
            jax.tree.map(np.testing.assert_array_equal, stays(dtype), expected)


@pytest.mark.parametrize(
    "key", [jax.random.key(0, impl="rbg"), jax.random.PRNGKey(0)], ids=["rbg", "legacy"]
)
def test_any_kind_of_key_will_do(key):
    params, xs, _ = example(GRU)
    cell = jaxseq.zoneout(GRU, 0.5)
    carry = cell.carry(params, (4,), key=key)
    assert carry.key.shape == (4, 2) and carry.key.dtype == jnp.uint32
    assert len(np.unique(carry.key, axis=0)) == 4
    after, _ = cell.step(params, jax.tree.map(lambda leaf: leaf[0], carry), xs[0])
    assert after.step == 1


def test_the_step_counts_valid_steps_and_stands_still_in_evaluation():
    params, xs, inner = example(LSTM, batch_shape=(3,), steps=4)
    lengths = jnp.array([4, 0, 2])
    for key, expected in ((KEY, [4, 0, 2]), (None, [-1, -1, -1])):
        begin = start(CELL, inner, key)
        after, _ = jaxseq.scan(CELL, params, xs, carry=begin, lengths=lengths, backend="reference")
        assert after.step.tolist() == expected and after.step.dtype == jnp.int32
        np.testing.assert_array_equal(after.key, begin.key)


def test_a_reset_keeps_the_masks_running():
    params, _, inner = example(LSTM)
    carry = start(CELL, inner, KEY)._replace(step=jnp.int32(5))
    after = CELL.reset(params, carry)
    assert isinstance(after, ZoneoutCarry) and not np.any(after.cell.h)
    assert after.key is carry.key and after.step is carry.step


class Loop:
    """A run as ``unfold`` is given one, in plain Python: one batch axis, no padding at the end."""

    def __init__(self, lengths, steps):
        self.steps = jnp.asarray(lengths, jnp.int32)
        self.steps_before = jnp.broadcast_to(
            jnp.arange(steps, dtype=jnp.int32)[:, None], (steps, len(lengths))
        )

    def __call__(self, cell, params, carry, xs, *, state_mask=None, hold=None):
        assert state_mask is None and jax.tree.structure(hold) == jax.tree.structure(carry)
        ys = []
        step = jax.jit(jax.vmap(cell.step, in_axes=(None, 0, 0)))
        for t, x in enumerate(xs):
            after, _ = step(params, carry, x)
            mixed = jax.tree.map(
                lambda share, a, b, t=t: share[t] * a + (1.0 - share[t]) * b, hold, carry, after
            )
            carry = jax.tree.map(
                lambda a, b, t=t: jnp.where((t < self.steps)[:, None], a, b), mixed, carry
            )
            ys.append(carry.h)
        return carry, jnp.stack(ys)


@pytest.mark.parametrize("key", [None, KEY], ids=["evaluation", "training"])
@pytest.mark.parametrize("inner", [LSTM, GRU, jaxseq.lstm(2, 3, proj_size=2)], ids=["c", "", "p"])
def test_all_steps_at_once_are_the_steps_one_by_one(inner, key, x64):
    cell = jaxseq.zoneout(inner, 0.3)
    params, xs, carry = example(inner, batch_shape=(3,), steps=4, dtype=np.float64)
    begin = start(cell, carry, key)
    if key is not None:
        begin = begin._replace(step=jnp.array([0, 7, 2], jnp.int32))
    lengths = jnp.array([4, 4, 1])
    after, ys = cell.unfold(Loop([4, 4, 1], 4), params, begin, jnp.moveaxis(xs, 1, 0))
    expected = jaxseq.scan(cell, params, xs, carry=begin, lengths=lengths, backend="reference")
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-13), after, expected[0])
    np.testing.assert_allclose(jnp.moveaxis(ys, 0, 1)[:2], expected[1][:2], rtol=1e-13)


@pytest.mark.parametrize("key", [None, KEY], ids=["evaluation", "training"])
@pytest.mark.parametrize("reverse", [False, True])
def test_both_backends_agree(reverse, key, x64):
    params, xs, inner = example(LSTM, batch_shape=(2, 2), steps=5, dtype=np.float64)
    options = {
        "carry": start(CELL, inner, key),
        "lengths": jnp.array([[5, 0], [3, 4]]),
        "resets": jax.random.bernoulli(KEY, 0.3, (2, 2, 5)),
        "reverse": reverse,
    }
    fused, plain = (
        jaxseq.scan(CELL, params, xs, **options, backend=backend)
        for backend in ("fused", "reference")
    )
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-12), fused, plain)


def test_what_stays_has_no_gradient_in_the_weights():
    """A unit that stays through all steps hands its gradient to the initial carry, whole."""
    params, xs, inner = example(GRU, batch_shape=(40,), steps=2)
    cell = jaxseq.zoneout(GRU, 0.7)

    def last(h):
        begin = start(cell, inner._replace(h=h), KEY)
        return jaxseq.scan(cell, params, xs, carry=begin, backend="reference")[1][:, -1]

    stays = last(inner.h) == inner.h
    rows = jnp.all(stays, axis=1)  # of a row that stays as a whole
    assert 0 < rows.sum() < 40
    grads = jax.grad(lambda h: jnp.sum(last(h)))(inner.h)
    np.testing.assert_array_equal(grads[rows], 1.0)


def test_equal_arguments_give_the_same_cell():
    assert jaxseq.zoneout(jaxseq.gru(2, 3), 0.5) is jaxseq.zoneout(jaxseq.gru(2, 3), 0.5)
    assert jaxseq.zoneout(LSTM, 0.25) is not CELL
    assert CELL.name == "zoneout(lstm)" and CELL.maps is None and CELL.output_size == 3


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2, float("nan")])
def test_a_rate_lies_between_zero_and_one(rate, untyped):
    message = f"zoneout: `rate` must be in [0, 1), but it is {rate}."
    with pytest.raises(ValueError, match=re.escape(message)):
        jaxseq.zoneout(LSTM, rate)
    message = f"zoneout: `cell_rate` must be in [0, 1), but it is {rate}."
    with pytest.raises(ValueError, match=re.escape(message)):
        jaxseq.zoneout(LSTM, 0.5, cell_rate=rate)


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        (jaxseq.gru(2, 3, reset_after=False), "gru"),
        (jaxseq.stack([GRU]), "stack(gru)"),
        (jaxseq.dropout(GRU, 0.5), "dropout(gru)"),
    ],
)
def test_only_a_cell_that_decomposes_is_zoned_out(cell, name):
    message = (
        f"zoneout: `cell` must decompose into maps, but {name} does not.\n"
        "  Hint: zone out each cell before you wrap or stack it."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        jaxseq.zoneout(cell, 0.5)


def test_a_cell_rate_is_for_cells_with_a_cell_state():
    message = (
        "zoneout: `cell_rate` needs a cell with a state beside h, but gru has none.\n"
        "  Hint: leave cell_rate out: rate is that of h."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        jaxseq.zoneout(GRU, 0.5, cell_rate=0.5)


def test_only_a_cell_is_zoned_out(untyped):
    message = "zoneout: `cell` must be a jaxseq.Cell, but it is 'gru'."
    with pytest.raises(TypeError, match=re.escape(message)):
        jaxseq.zoneout("gru", 0.5)


def test_a_step_takes_one_input_of_its_size(untyped):
    params, _, inner = example(GRU)
    cell = jaxseq.zoneout(GRU, 0.5)
    message = "gru_step: `x` must have shape (input_size,) = (2,), but it has shape (3,)."
    with pytest.raises(ValueError, match=re.escape(message)):
        cell.step(params, start(cell, inner), jnp.ones(3))
