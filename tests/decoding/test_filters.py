"""Top-k and top-p against their NumPy twins."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.decoding import filter_top_k, filter_top_p


def twin_top_k(logits, k):
    kept = np.zeros(logits.shape, bool)
    order = np.argsort(-logits, axis=-1, kind="stable")[..., :k]
    np.put_along_axis(kept, order, True, axis=-1)
    return np.where(kept, logits, -np.inf)


def twin_top_p(logits, p):
    out = np.full(logits.shape, -np.inf)
    for row in np.ndindex(logits.shape[:-1]):
        x = logits[row].astype(np.float64)
        probabilities = np.exp(x - x.max()) / np.exp(x - x.max()).sum()
        reached = 0.0
        for symbol in np.argsort(-x, kind="stable"):
            out[row][symbol] = x[symbol]
            reached += probabilities[symbol]
            if reached >= p:
                break
    return out


def rows(*shape):
    return np.random.default_rng(1).normal(size=shape).astype(np.float32) * 2


@pytest.mark.parametrize("shape", [(1,), (7,), (2, 3, 5)])
@pytest.mark.parametrize("k", [1, 3, "V"])
def test_top_k_is_its_numpy_twin(shape, k):
    logits = rows(*shape)
    k = shape[-1] if k == "V" else min(k, shape[-1])
    found = jax.jit(filter_top_k, static_argnums=1)(logits, k)
    np.testing.assert_array_equal(found, twin_top_k(logits, k))


@pytest.mark.parametrize("shape", [(1,), (7,), (2, 3, 5)])
def test_top_p_is_its_numpy_twin(shape):
    logits, nucleus = rows(*shape), jax.jit(filter_top_p)
    for p in (1e-9, 0.3, 0.9, 0.999, 1.0):
        np.testing.assert_array_equal(nucleus(logits, p), twin_top_p(logits, p))


def test_top_p_keeps_the_smallest_set_that_reaches_p():
    logits = jnp.log(jnp.array([0.15, 0.5, 0.05, 0.3]))
    nucleus = jax.jit(filter_top_p)
    kept = [int(np.isfinite(nucleus(logits, p)).sum()) for p in (0.4, 0.6, 0.9, 0.97)]
    assert kept == [1, 2, 3, 4]


def test_of_equals_the_first_are_kept():
    equal = jnp.zeros((2, 8))
    first = [[True] * 3 + [False] * 5] * 2
    assert jnp.isfinite(filter_top_k(equal, 3)).tolist() == first
    assert jnp.isfinite(filter_top_p(equal, 0.3)).tolist() == first


def test_minus_zero_equals_zero():
    zeros = jnp.array([-0.0, 0.0, -1.0])
    assert jnp.isfinite(filter_top_k(zeros, 1)).tolist() == [True, False, False]
    assert jnp.isfinite(filter_top_p(zeros, 0.1)).tolist() == [True, False, False]


def test_forbidden_symbols_stay_forbidden():
    logits = jnp.array([0.0, -jnp.inf, -jnp.inf])
    assert filter_top_k(logits, 2).tolist() == logits.tolist()
    assert filter_top_p(logits, 1.0).tolist() == logits.tolist()


def test_p_of_one_keeps_even_what_rounding_would_lose():
    logits = jnp.concatenate([jnp.zeros(3), jnp.full(500, -80.0)])
    np.testing.assert_array_equal(filter_top_p(logits, 1.0), logits)


def test_nan_stays_nan():
    logits = jnp.array([0.0, jnp.nan, 1.0])
    for out in (filter_top_k(logits, 1), filter_top_p(logits, 0.5)):
        assert jnp.isnan(out).tolist() == [False, True, False]


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_the_dtype_is_kept(dtype):
    logits = rows(3, 5).astype(dtype)
    wide = logits.astype(np.float32)
    found = jax.jit(lambda rows: (filter_top_k(rows, 2), filter_top_p(rows, 0.8)))(logits)
    for out, twin in zip(found, (twin_top_k(wide, 2), twin_top_p(wide, 0.8)), strict=True):
        assert out.dtype == dtype
        np.testing.assert_array_equal(np.asarray(out).astype(np.float32), twin)


def test_float64_stays_float64(x64):
    logits = jnp.asarray(rows(3, 5)).astype(jnp.float64)
    assert filter_top_k(logits, 2).dtype == filter_top_p(logits, 0.8).dtype == jnp.float64


def test_p_may_be_traced_and_rows_mapped_over():
    logits = jnp.asarray(rows(3, 5))
    p = jnp.array([0.2, 0.8, 1.0])
    got = jax.jit(jax.vmap(filter_top_p))(logits, p)
    for row in range(3):
        np.testing.assert_array_equal(got[row], filter_top_p(logits[row], float(p[row])))


def test_a_traced_p_out_of_range_keeps_the_likeliest_or_everything():
    logits = jnp.asarray(rows(5))
    counts = [int(jnp.isfinite(jax.jit(filter_top_p)(logits, p)).sum()) for p in (-1.0, 0.0, 2.0)]
    assert counts == [1, 1, 5]


@pytest.mark.parametrize("k", [0, -1, 6])
def test_a_k_out_of_range_is_refused(k):
    with pytest.raises(
        ValueError, match=rf"^filter_top_k: `k` must be between 1 and V = 5, but it is {k}\."
    ):
        filter_top_k(jnp.zeros(5), k)


@pytest.mark.parametrize("p", [0.0, -0.1, 1.1, np.nan])
def test_a_p_out_of_range_is_refused(p):
    with pytest.raises(
        ValueError, match=rf"^filter_top_p: `p` must be in \(0, 1\], but it is {p}\."
    ):
        filter_top_p(jnp.zeros(5), p)


def test_wrong_kinds_are_refused(untyped):
    with pytest.raises(TypeError, match=r"^filter_top_k: `k` must be a Python integer, but it is "):
        filter_top_k(jnp.zeros(5), 2.0)
    with pytest.raises(TypeError, match=r"^filter_top_p: `p` must be one number, but it is 'all'"):
        filter_top_p(jnp.zeros(5), "all")
    with pytest.raises(TypeError, match=r"`p` must be one number, but it is "):
        filter_top_p(jnp.zeros(5), jnp.ones(2))
    with pytest.raises(TypeError, match=r"^filter_top_k: `logits` must be floating, but they have"):
        filter_top_k(jnp.zeros(5, jnp.int32), 2)
    with pytest.raises(ValueError, match=r"^filter_top_p: `logits` must have shape \(\*batch, V\)"):
        filter_top_p(jnp.zeros(()), 0.5)
