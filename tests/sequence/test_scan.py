"""A cell over time: how often it is traced, and long sequences."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import twins
from examples import example
from jax.test_util import check_grads
from meshes import over_rows

import jaxseq
from jaxseq.sequence._runner import run_scan
from jaxseq.testing import random_example

CELLS = {"elman": jaxseq.elman(2, 3), "lstm": jaxseq.lstm(2, 3), "gru": jaxseq.gru(2, 3)}
BACKENDS = ("reference", "fused")


def counted(cell):
    """The cell, noting each trace of its step and of its recurrent map."""
    traces = []

    def step(params, carry, x):
        traces.append("step")
        return cell.step(params, carry, x)

    def recurrent(params, h):
        traces.append("recurrent")
        return cell.maps.recurrent(params, h)

    return cell._replace(step=step, maps=cell.maps._replace(recurrent=recurrent)), traces


def python_loop(start, stop, body, value):
    """What :func:`jax.lax.fori_loop` means."""
    for turn in range(start, stop):
        value = body(turn, value)
    return value


def ragged(seed):
    _, xs, carry = example(CELLS["gru"], batch_shape=(2,), steps=5, seed=seed)
    return xs, {"carry": carry, "lengths": jnp.array([5, seed])}


@pytest.mark.parametrize("backend", BACKENDS)
def test_equal_shapes_are_compiled_once(backend):
    cell, traces = counted(CELLS["gru"])
    params, _, _ = example(cell)
    results = []
    for seed in (1, 2, 3):
        xs, options = ragged(seed)
        results.append(jaxseq.scan(cell, params, xs, backend=backend, **options)[1])
        if seed == 1:
            first = len(traces)
            assert 1 <= first <= 4
    assert len(traces) == first, "an equal shape was traced again"
    assert not np.allclose(results[0][0], results[1][0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_another_shape_is_compiled_anew(backend):
    cell, traces = counted(CELLS["gru"])
    params, _, _ = example(cell)
    xs, options = ragged(1)
    jaxseq.scan(cell, params, xs, backend=backend, **options)
    first = len(traces)
    options |= {"lengths": jnp.array([4, 1]), "backend": backend}
    jaxseq.scan(cell, params, xs[:, :4], **options)
    assert len(traces) > first


@pytest.mark.parametrize("loop", [jax.lax.fori_loop, python_loop])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_longer_loop_in_the_users_jit_traces_the_cell_no_more_often(backend, loop):
    """Of JAX's own loop, and of a Python loop, which meets the same shapes at every turn."""
    cell, traces = counted(CELLS["elman"])
    params, xs, carry = example(cell, batch_shape=(2,), steps=5)

    @functools.partial(jax.jit, static_argnums=1)
    def run(carry, turns):
        def turn(_, carry):
            return jaxseq.scan(cell, params, xs, carry=carry, backend=backend)[0]

        return loop(0, turns, turn, carry)

    jax.eval_shape(functools.partial(run, turns=2), carry)
    first = len(traces)
    assert 1 <= first <= 4
    jax.eval_shape(functools.partial(run, turns=20), carry)
    assert len(traces) == first


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_training_step_traces_the_cell_a_fixed_number_of_times(backend):
    cell, traces = counted(CELLS["lstm"])
    params, xs, _ = example(cell, batch_shape=(2,), steps=5)

    @jax.jit
    def update(params, xs):
        grads = jax.grad(lambda p: jnp.sum(jaxseq.scan(cell, p, xs, backend=backend)[1] ** 2))(
            params
        )
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)

    params = update(params, xs)
    first = len(traces)
    for scale in (0.5, 2.0):
        params = update(params, scale * xs)
    assert len(traces) == first <= 12


def test_a_cell_is_compiled_by_what_it_is_and_not_by_who_made_it():
    before = run_scan._cache_size()
    for _ in range(2):
        cell = jaxseq.dropout(jaxseq.stack([jaxseq.elman(2, 7)]), 0.5)
        params = jax.eval_shape(cell.init, jax.random.key(0))
        params = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), params)
        jaxseq.scan(cell, params, jnp.ones((3, 2)))
    assert run_scan._cache_size() == before + 1


@pytest.mark.parametrize("name", CELLS)
def test_gradients_over_a_thousand_steps_are_finite_and_remat_keeps_them(name):
    cell = CELLS[name]
    params, xs, carry = example(cell, batch_shape=(2,), steps=1000)

    def gradient(remat):
        def loss(params, xs, carry):
            after, ys = jaxseq.scan(cell, params, xs, carry=carry, remat=remat)
            return jnp.mean(ys**2) + sum(jnp.sum(leaf) for leaf in jax.tree.leaves(after))

        return jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(params, xs, carry)

    everything = gradient(None)
    for path, leaf in jax.tree.leaves_with_path(everything):
        assert np.all(np.isfinite(leaf)), jax.tree_util.keystr(path)
    assert all(np.all(leaf != 0) for leaf in jax.tree.leaves(everything[0]))
    for a, b in zip(jax.tree.leaves(gradient("sqrt")), jax.tree.leaves(everything), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_thousand_steps_are_the_textbooks(x64):
    cell = CELLS["lstm"]
    params, xs, carry = example(cell, batch_shape=(1,), steps=1000, dtype=np.float64)
    after, ys = jaxseq.scan(cell, params, xs, carry=carry)
    expected, outputs = twins.sequence(twins.lstm_step, params, carry, xs)
    np.testing.assert_allclose(ys, outputs, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(after.c, expected.c, rtol=1e-10)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_bfloat16_scan_keeps_its_dtypes(reverse):
    cell = CELLS["lstm"]
    params, xs, carry = example(cell, batch_shape=(2,), steps=3, dtype=jnp.bfloat16)
    wide, _, _ = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), (params, xs, carry))
    after, ys = jaxseq.scan(
        cell, params, xs, carry=carry, lengths=jnp.array([3, 1]), reverse=reverse
    )
    assert (ys.dtype, after.h.dtype, after.c.dtype) == (jnp.bfloat16, jnp.bfloat16, jnp.float32)
    expected, _ = twins.sequence(twins.lstm_step, wide, carry, xs, lengths=[3, 1], reverse=reverse)
    np.testing.assert_allclose(after.c, expected.c, rtol=0.02, atol=0.02)


def test_gradients_of_a_bfloat16_scan_have_the_dtype_of_what_they_belong_to():
    cell = CELLS["lstm"]
    arguments = example(cell, batch_shape=(2,), steps=3, dtype=jnp.bfloat16)

    def loss(params, xs, carry):
        return jnp.sum(jaxseq.scan(cell, params, xs, carry=carry)[1].astype(jnp.float32))

    grads = jax.eval_shape(jax.grad(loss, argnums=(0, 1, 2)), *arguments)
    jax.tree.map(lambda g, a: np.testing.assert_equal(g.dtype, a.dtype), grads, arguments)


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_second_derivatives_are_derivatives_of_the_first(name, x64):
    cell = CELLS[name]
    params, xs, carry = example(cell, batch_shape=(2,), steps=3, dtype=np.float64)
    lengths = jnp.array([3, 1])
    for options in ({"remat": 2}, {"backend": "reference", "reverse": True}):
        run = jax.jit(
            lambda p, x, c, options=options: jaxseq.scan(
                cell, p, x, carry=c, lengths=lengths, **options
            )
        )
        check_grads(run, (params, xs, carry), order=2, eps=1e-5, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_may_be_shared_out_by_shard_map(backend, x64):
    """The weights and the zeros that a state begins with are the same on every device."""
    cell = jaxseq.gru(2, 3)
    params, xs, _ = random_example(cell, batch_shape=(2,), steps=3)

    def loss(params, xs):
        carry, ys = jaxseq.scan(cell, params, xs, lengths=lengths_of(xs), backend=backend)
        return jnp.sum(jnp.sin(ys)) + jnp.sum(carry.h)

    def lengths_of(xs):
        return jnp.full(xs.shape[0], 2)

    actual = jax.jit(jax.value_and_grad(over_rows(loss), argnums=(0, 1)))(params, xs)
    expected = jax.value_and_grad(loss, argnums=(0, 1))(params, xs)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), actual, expected)
