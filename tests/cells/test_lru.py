"""The LRU against its paper's equations, and how it begins."""

import functools

import jax
import jax.numpy as jnp
import linear_twins
import numpy as np
import pytest
from examples import example

import jaxseq
from jaxseq.cells import lru_carry, lru_init, lru_step

KEY = jax.random.key(0)
CELL = jaxseq.lru(3, 2, 5)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 2, 5)], ids=str)
def test_a_step_is_the_papers(sizes, x64):
    cell = jaxseq.lru(*sizes)
    params, xs, carry = example(cell, dtype=np.float64)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-13, atol=1e-14),
        jax.jit(cell.step)(params, carry, xs[0]),
        linear_twins.lru_step(params, carry, xs[0]),
    )


def test_equal_arguments_give_the_same_cell():
    assert jaxseq.lru(3, 2, 5) is CELL
    for options in ({"r_min": 0.5}, {"r_max": 0.9}, {"max_phase": 1.0}):
        assert jaxseq.lru(3, 2, 5, **options) is not CELL


def test_the_eigenvalues_begin_uniform_in_the_ring():
    params = lru_init(KEY, (1, 1, 4000), r_min=0.6, r_max=0.9, max_phase=0.5)
    modulus, phase = np.exp(-np.exp(params.nu_log)), np.exp(params.theta_log)
    assert modulus.min() >= 0.6 - 1e-6 and modulus.max() <= 0.9 + 1e-6
    assert phase.max() <= 0.5 + 1e-6
    np.testing.assert_allclose(np.mean(modulus**2), (0.6**2 + 0.9**2) / 2, rtol=0.02)
    np.testing.assert_allclose(np.mean(phase), 0.25, rtol=0.05)
    np.testing.assert_allclose(np.exp(2 * params.gamma_log), 1 - modulus**2, rtol=1e-4)


def test_the_maps_begin_with_the_papers_variances():
    params = lru_init(KEY, (20, 30, 400))
    for name, variance in (("B_re", 1 / 40), ("B_im", 1 / 40), ("C_re", 1 / 400), ("D", 1 / 20)):
        np.testing.assert_allclose(np.var(getattr(params, name)), variance, rtol=0.15, err_msg=name)


@pytest.mark.parametrize("uniform", [0.0, 1.0])
def test_no_draw_begins_on_the_circle_or_at_infinity(uniform, monkeypatch):
    def edge(key, shape, dtype, low, high):
        return jnp.full(shape, low + uniform * (high - low), dtype)

    monkeypatch.setattr(jax.random, "uniform", edge)
    params = lru_init(KEY, (1, 1, 2))
    assert all(np.isfinite(leaf).all() for leaf in params)
    assert np.all(np.exp(-np.exp(params.nu_log)) < 1.0)


def test_white_noise_keeps_its_scale_in_slow_and_fast_units():
    cell = jaxseq.lru(1, 1, 20, r_min=0.1, r_max=0.95)
    params = cell.init(KEY)
    xs = jax.random.normal(jax.random.key(1), (1000, 100, 1))
    carry, _ = jaxseq.scan(cell, params, xs, backend="reference")
    scale = np.hypot(params.B_re, params.B_im)[:, 0]
    power = np.mean((np.hypot(carry.re, carry.im) / scale) ** 2)
    np.testing.assert_allclose(power, 1.0, rtol=0.15)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_the_weights_have_the_dtype_asked_for_and_the_state_float32_or_better(dtype, x64):
    params = jax.eval_shape(lambda: CELL.init(KEY, jnp.dtype(dtype)))
    assert {str(leaf.dtype) for leaf in params} == {dtype}
    shapes = [leaf.shape for leaf in params]
    assert shapes == [(5,), (5,), (5,), (5, 3), (5, 3), (2, 5), (2, 5), (2, 3)]
    carry = jax.eval_shape(lambda p: CELL.carry(p, (4,)), params)
    expected = "float64" if dtype == "float64" else "float32"
    assert [(part.shape, str(part.dtype)) for part in carry] == [((4, 5), expected)] * 2


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"r_min": -0.1},
            r"`r_min` and `r_max` must satisfy 0 <= r_min < r_max <= 1, but are -0.1",
        ),
        ({"r_min": 0.5, "r_max": 0.5}, "but are 0.5 and 0.5"),
        ({"r_max": 1.5}, "but are 0.0 and 1.5"),
        ({"max_phase": 0.0}, "`max_phase` must be positive and finite, but it is 0.0"),
        ({"max_phase": float("nan")}, "but it is nan"),
    ],
)
def test_eigenvalues_outside_the_circle_are_refused(options, text):
    with pytest.raises(ValueError, match=f"^lru: .*{text}"):
        jaxseq.lru(3, 2, 5, **options)


def test_a_size_that_is_none_is_refused():
    with pytest.raises(ValueError, match="lru: `state_size` must be a positive integer"):
        jaxseq.lru(3, 2, 0)


def test_what_does_not_fit_is_named(untyped):
    params = lru_init(KEY, (3, 2, 5))
    carry = lru_carry(params)
    with pytest.raises(ValueError, match=r"lru_step: `x` must have shape \(input_size,\) = \(3,\)"):
        lru_step(params, carry, jnp.ones((7, 3)))
    with pytest.raises(
        TypeError, match="lru_step: `x` must have the dtype of the weights, float32"
    ):
        lru_step(params, carry, jnp.ones(3, jnp.bfloat16))
    with pytest.raises(ValueError, match=r"lru_step: `carry.im` must have shape \(state_size,\)"):
        lru_step(params, carry._replace(im=jnp.zeros(4)), jnp.ones(3))
