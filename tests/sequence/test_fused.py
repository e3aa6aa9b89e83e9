"""The fast path against the specification: values, carries, derivatives of every order."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxseq
from jaxseq import testing

CELLS = {
    "elman": jaxseq.elman(2, 3),
    "elman relu": jaxseq.elman(2, 3, activation=jax.nn.relu),
    "lstm": jaxseq.lstm(2, 3),
    "lstm with a projection": jaxseq.lstm(2, 3, proj_size=2),
    "gru": jaxseq.gru(2, 3),
}
LENGTHS = np.array([[4, 0, 1], [2, 4, 3]])
RESETS = np.random.default_rng(0).random((2, 3, 4)) < 0.4


def scalar(result):
    """A weighted sum of all that a scan returns, in which every number has its own weight."""
    leaves = [leaf.ravel() for leaf in jax.tree.leaves(result)]
    flat = jnp.concatenate(leaves)
    return jnp.dot(flat, jnp.sin(jnp.arange(1.0, flat.size + 1.0, dtype=flat.dtype)))


def problem(cell, *, padded):
    """Returns a scalar function of params, inputs and carry for each backend, and a point."""
    params, xs, carry = testing.random_example(cell, batch_shape=(2, 3), steps=4)
    options = {}
    if padded:
        valid = np.arange(4) < LENGTHS[..., None]
        xs = jnp.where(valid[..., None], xs, jnp.nan)
        options = {"lengths": jnp.asarray(LENGTHS), "resets": jnp.asarray(RESETS)}

    def run(point, backend, **more):
        params, xs, carry = point
        return jaxseq.scan(cell, params, xs, carry=carry, backend=backend, **options, **more)

    return run, (params, xs, carry)


def assert_equal(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_values_and_gradients_are_those_of_the_reference(name, padded, reverse, x64):
    run, point = problem(CELLS[name], padded=padded)
    results = []
    for backend in ("fused", "reference"):

        def loss(point, backend=backend):
            result = run(point, backend, reverse=reverse)
            return scalar(result), result

        results.append(jax.jit(jax.value_and_grad(loss, has_aux=True))(point))
    assert_equal(*results)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(results[0][1]))


@pytest.mark.parametrize("name", ["gru", "lstm with a projection"])
def test_every_order_of_derivative_is_that_of_the_reference(name, x64):
    run, point = problem(CELLS[name], padded=True)
    point = jax.tree.map(jnp.nan_to_num, point)
    direction = jax.tree.map(jnp.cos, point)
    results = []
    for backend in ("fused", "reference"):

        def loss(point, backend=backend):
            return scalar(run(point, backend))

        def orders(point, direction, loss=loss):
            forward = jax.jvp(loss, (point,), (direction,))
            forward_over_reverse = jax.jvp(jax.grad(loss), (point,), (direction,))[1]

            def slope(point):
                grads = jax.tree.leaves(jax.grad(loss)(point))
                directions = jax.tree.leaves(direction)
                return sum(jnp.sum(g * d) for g, d in zip(grads, directions, strict=True))

            return forward, forward_over_reverse, jax.grad(slope)(point)

        results.append(jax.jit(orders)(point, direction))
    assert_equal(*results)


@pytest.mark.parametrize("check", [*testing.CHECKS[2:4], *testing.CHECKS[6:9], testing.CHECKS[13]])
@pytest.mark.parametrize("name", ["lstm with a projection", "gru"])
def test_the_contract_holds(name, check, x64):
    check(CELLS[name], "fused")


@pytest.mark.slow
@pytest.mark.parametrize("check", testing.CHECKS)
@pytest.mark.parametrize("name", CELLS)
def test_the_whole_contract_holds_for_every_cell(name, check, x64):
    check(CELLS[name], "fused")


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_lower_precisions_agree_with_the_reference(dtype):
    cell = jaxseq.lstm(3, 5)
    params = cell.init(jax.random.key(0), dtype)
    xs = jax.random.normal(jax.random.key(1), (2, 7, 3), dtype)
    run = functools.partial(jaxseq.scan, cell, params, xs, lengths=jnp.array([7, 4]))
    (fused, ys), (reference, expected) = run(backend="fused"), run(backend="reference")
    assert ys.dtype == dtype
    assert fused.c.dtype == jnp.float32
    tolerance = 2e-2 if dtype == jnp.bfloat16 else 1e-6
    np.testing.assert_allclose(ys.astype(jnp.float32), expected.astype(jnp.float32), atol=tolerance)
    np.testing.assert_allclose(fused.c, reference.c, atol=tolerance)


def test_auto_is_fused_where_the_cell_decomposes():
    def products(cell):
        params = cell.init(jax.random.key(0))
        xs = jnp.zeros((2, 5, 3))
        text = str(jax.make_jaxpr(lambda xs: jaxseq.scan(cell, params, xs))(xs))
        return "scan_fused" in text, "scan_reference" in text

    assert products(jaxseq.gru(3, 4)) == (True, False)
    assert products(jaxseq.gru(3, 4, reset_after=False)) == (False, True)


def test_a_cell_that_does_not_decompose_is_refused_by_name():
    cell = jaxseq.stack([jaxseq.gru(3, 4)])
    params = cell.init(jax.random.key(0))
    with pytest.raises(ValueError, match=r'"fused" needs a cell that decomposes.*stack\(gru\)'):
        jaxseq.scan(cell, params, jnp.zeros((5, 3)), backend="fused")
