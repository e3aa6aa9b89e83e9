from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxseq.losses import SumCount, mean
from jaxseq.training import clip_by_global_norm, init_state, make_evaluate, make_step


def linear_loss(params, carry, batch, key):
    """A line through points, some of which may not count."""
    errors = batch["mask"] * (batch["x"] * params - batch["y"]) ** 2
    return SumCount(jnp.sum(errors), jnp.sum(batch["mask"])), carry


def points(**changes):
    batch = {"x": jnp.array([1.0, 2.0]), "y": jnp.array([3.0, 5.0]), "mask": jnp.array([1.0, 1.0])}
    return {**batch, **changes}


def line(optimizer, carry=()):
    return init_state(jnp.array(2.0), optimizer, key=jax.random.key(0), carry=carry)


def test_a_step_is_the_gradient_of_the_mean_clipped_and_applied(state, step, loss, batches):
    batch = next(batches())
    optimizer = optax.adam(0.01)
    key, subkey = jax.random.split(state.key)

    def objective(params):
        sums, carry = loss(params, state.carry, batch, subkey)
        return mean(SumCount(*sums)), carry

    (value, carry), grads = jax.value_and_grad(objective, has_aux=True)(state.params)
    clipped = clip_by_global_norm(grads, 1.0)
    with jax.numpy_dtype_promotion("standard"):
        updates, _ = optimizer.update(clipped.grads, optimizer.init(state.params), state.params)
    expected = optax.apply_updates(state.params, updates)
    after, metrics = step(state, batch)
    np.testing.assert_allclose(metrics.loss, value, rtol=1e-5)
    np.testing.assert_allclose(metrics.norm, clipped.norm, rtol=1e-5)
    np.testing.assert_allclose(metrics.clipped_norm, clipped.clipped_norm, rtol=1e-5)
    assert bool(metrics.finite)
    assert float(metrics.count) == 24.0
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), after.params, expected)
    np.testing.assert_allclose(after.carry["h"], carry["h"], atol=1e-6)
    assert after.key == key
    assert (int(after.step), int(after.skipped)) == (1, 0)


def test_the_state_given_is_donated_unless_told_otherwise():
    optimizer = optax.sgd(0.1)
    for donate in (True, False):
        state = line(optimizer)
        make_step(linear_loss, optimizer, donate=donate)(state, points())
        assert state.params.is_deleted() is donate


def test_a_step_is_traced_once(batches, state, optimizer, loss):
    traces = []

    def counted(*arguments):
        traces.append(1)
        return loss(*arguments)

    step, data = make_step(counted, optimizer), batches()
    for _ in range(3):
        state, _ = step(state, next(data))
    assert len(traces) == 1


def test_where_nothing_counts_the_loss_and_the_gradient_are_zero():
    def bad_slope(params, carry, batch, key):
        sums, carry = linear_loss(params, carry, batch, key)
        return SumCount(sums.total + 0.0 * jnp.sqrt(params - 2.0), sums.count), carry

    optimizer = optax.sgd(0.1)
    for loss in (linear_loss, bad_slope):
        state, metrics = make_step(loss, optimizer)(line(optimizer), points(mask=jnp.zeros(2)))
        assert (float(metrics.loss), float(metrics.norm), bool(metrics.finite)) == (0.0, 0.0, True)
        assert (float(state.params), int(state.skipped)) == (2.0, 0)


@pytest.mark.parametrize("field", ["x", "y"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_counted_and_never_applied(field, value, same):
    def loss(params, carry, batch, key):
        return linear_loss(params, carry, batch, key)[0], carry + batch["x"]

    optimizer = optax.adam(0.1)
    step = make_step(loss, optimizer, max_norm=1.0, donate=False)
    before, _ = step(line(optimizer, carry=jnp.zeros(2)), points())
    after, metrics = step(before, points(**{field: jnp.array([1.0, value])}))
    assert not bool(metrics.finite)
    for name in ("params", "opt_state", "carry"):
        same(getattr(after, name), getattr(before, name))
    assert (int(after.step), int(after.skipped)) == (2, 1)
    assert after.key != before.key


def test_a_finite_loss_with_a_gradient_that_is_not_is_skipped_too():
    def loss(params, carry, batch, key):
        return SumCount(jnp.sqrt(params - 2.0) + batch, jnp.array(1.0)), carry

    optimizer = optax.sgd(0.1)
    state, metrics = make_step(loss, optimizer)(line(optimizer), jnp.array(1.0))
    assert (float(metrics.loss), bool(metrics.finite), float(state.params)) == (1.0, False, 2.0)


def test_no_gradient_flows_through_the_carry_handed_on():
    optimizer = optax.sgd(0.0)

    def loss(params, carry, batch, key):
        return (params * batch, jnp.array(1.0)), carry + params

    step = make_step(loss, optimizer, donate=False)
    slope = jax.grad(lambda p: step(line(optimizer, p)._replace(params=p), p)[0].carry)
    assert float(slope(jnp.array(2.0))) == 0.0


def test_sums_in_bfloat16_and_counts_in_integers_become_float32():
    def loss(params, carry, batch, key):
        return (jnp.bfloat16(3.0) * params.astype(jnp.bfloat16), jnp.array(2)), carry

    optimizer = optax.sgd(0.1)
    _, metrics = make_step(loss, optimizer)(line(optimizer), jnp.ones(1))
    assert metrics.loss.dtype == metrics.count.dtype == jnp.float32
    assert float(metrics.loss) == 3.0


def test_bfloat16_params_stay_bfloat16():
    def loss(params, carry, batch, key):
        return (jnp.sum(params.astype(jnp.float32) * batch), jnp.array(2.0)), carry

    optimizer = optax.adam(0.1)
    state = init_state(jnp.ones(2, jnp.bfloat16), optimizer, key=jax.random.key(0))
    state, metrics = make_step(loss, optimizer, max_norm=1.0)(state, jnp.ones(2))
    assert state.params.dtype == jnp.bfloat16
    assert metrics.norm.dtype == jnp.float32


def test_an_optimizer_that_looks_at_the_loss_is_given_it():
    optimizer = optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau(patience=1, factor=0.5))
    step = make_step(linear_loss, optimizer)
    state, _ = step(line(optimizer), points())
    assert float(state.params) > 2.0


def returns(value):
    return lambda params, carry, batch, key: value


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (jnp.array(1.0), r"float32\[\]"),
        (((jnp.ones(2), jnp.ones(())), ()), r"\(\(float32\[2\], float32\[\]\), \(\)\)"),
        ((jnp.array(1.0), ()), r"\(float32\[\], \(\)\)"),
        (((1.0, 2.0), (), ()), r"\(\(float, float\), \(\), \(\)\)"),
    ],
)
@pytest.mark.parametrize("where", ["make_step", "make_evaluate"])
def test_a_loss_that_returns_something_else_is_refused(value, seen, where):
    optimizer = optax.sgd(0.1)
    message = (
        rf"{where}: `loss` must return \(\(total, count\), carry\) with two scalars, "
        rf"but it returned {seen}\.\n  Hint: the losses in jaxseq.losses return"
    )
    if where == "make_step":
        called = partial(make_step(returns(value), optimizer), line(optimizer), points())
    else:
        called = partial(make_evaluate(returns(value)), jnp.ones(()), (), [points()])
    with pytest.raises(TypeError, match=message):
        called()


@pytest.mark.parametrize(
    ("carry", "difference"),
    [
        ({"h": jnp.zeros((2, 3))}, r"`carry.h` has shape \(2, 3\) and dtype float32 in what it "
         r"returned, but shape \(2, 4\) and dtype float32 in the state"),
        ({"h": jnp.zeros((2, 4), jnp.bfloat16)}, r"dtype bfloat16 in what it returned"),
        ({}, r"`carry.h` is in the state \(shape \(2, 4\) and dtype float32\), but not in what"),
        ({"h": jnp.zeros((2, 4)), "c": jnp.zeros(1)}, r"`carry.c` is in what it returned"),
    ],
)  # fmt: skip
def test_a_carry_unlike_the_one_before_is_refused(carry, difference):
    optimizer = optax.sgd(0.1)
    loss = returns(((jnp.array(1.0), jnp.array(1.0)), carry))
    with pytest.raises(TypeError, match=r"make_step: `loss` must return a carry like") as caught:
        make_step(loss, optimizer)(line(optimizer, {"h": jnp.zeros((2, 4))}), points())
    assert caught.match(difference)
    assert caught.match("Hint: give init_state the carry that the model starts with")


def test_a_carry_of_another_structure_with_the_same_names_is_refused():
    optimizer = optax.sgd(0.1)
    loss = returns(((jnp.array(1.0), jnp.array(1.0)), [jnp.zeros(1)]))
    with pytest.raises(TypeError, match=r"it is PyTreeDef\(\[\*\]\) in what it returned, but Py"):
        make_step(loss, optimizer)(line(optimizer, (jnp.zeros(1),)), points())


def test_a_limit_that_is_not_positive_is_refused_before_the_first_step():
    with pytest.raises(ValueError, match="make_step: `max_norm` must be positive, but it is 0"):
        make_step(linear_loss, optax.sgd(0.1), max_norm=0.0)
