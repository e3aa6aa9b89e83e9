"""Pooling: what is valid makes the vector, what is in the pads never does."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.sequence import attention_pool, last_pool, max_pool, mean_pool

RNG = np.random.default_rng(0)
YS, SCORES = RNG.normal(size=(3, 5, 2)), RNG.normal(size=(3, 5))
LENGTHS = np.array([5, 0, 2])
PADDED = np.arange(5) >= LENGTHS[:, None]
POOLS = {
    "last": lambda ys, scores, lengths: last_pool(ys, lengths=lengths),
    "mean": lambda ys, scores, lengths: mean_pool(ys, lengths=lengths),
    "max": lambda ys, scores, lengths: max_pool(ys, lengths=lengths),
    "attention": lambda ys, scores, lengths: attention_pool(ys, scores, lengths=lengths),
}
every_pool = pytest.mark.parametrize("kind", POOLS)


def softmax(scores):
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


TWINS = {  # of the valid steps of one row
    "last": lambda ys, scores: ys[-1],
    "mean": lambda ys, scores: sum(ys) / len(ys),
    "max": lambda ys, scores: np.array([max(feature) for feature in ys.T]),
    "attention": lambda ys, scores: sum(softmax(scores)[:, None] * ys),
}


def twin(kind, ys, scores, lengths=LENGTHS):
    rows = zip(ys, scores, lengths, strict=True)
    return np.stack([TWINS[kind](y[:n], s[:n]) if n else np.zeros(2) for y, s, n in rows])


def weighted(pooled):
    return (pooled * np.arange(1.0, 7.0).reshape(3, 2).astype(pooled.dtype)).sum()


@jax.jit
def everything(ys, scores, lengths):
    """Of each pool: the vectors, and the gradients of a weighted sum of them."""

    def loss(ys, scores, kind):
        pooled = POOLS[kind](ys, scores, lengths)
        return weighted(pooled), pooled

    gradient = jax.grad(loss, argnums=(0, 1), has_aux=True)
    return {kind: gradient(ys, scores, kind)[::-1] for kind in POOLS}


def run(ys=YS, scores=SCORES, lengths=LENGTHS, dtype=jnp.float32):
    return everything(jnp.asarray(ys, dtype), jnp.asarray(scores, dtype), jnp.asarray(lengths))


@every_pool
def test_the_vectors_are_those_of_each_row_alone(kind):
    np.testing.assert_allclose(run()[kind][0], twin(kind, YS, SCORES), rtol=1e-5, atol=1e-6)
    eager = POOLS[kind](np.float32(YS), np.float32(SCORES), LENGTHS)  # NumPy's arrays do
    np.testing.assert_allclose(eager, twin(kind, YS, SCORES), rtol=1e-5, atol=1e-6)


def differences(function, array):
    """The gradient by central differences, in float64."""
    slope = np.zeros(array.shape)
    for at in np.ndindex(array.shape):
        step = np.zeros(array.shape)
        step[at] = 1e-6
        slope[at] = (function(array + step) - function(array - step)) / 2e-6
    return slope


@every_pool
def test_gradients_are_those_of_the_twin(kind):
    of_ys, of_scores = run()[kind][1]
    expected = differences(lambda ys: weighted(twin(kind, ys, SCORES)), YS)
    np.testing.assert_allclose(of_ys, expected, rtol=1e-4, atol=1e-5)
    expected = differences(lambda scores: weighted(twin(kind, YS, scores)), SCORES)
    np.testing.assert_allclose(of_scores, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pad", [np.nan, np.inf, -1e30])
def test_what_is_in_the_pads_never_matters(pad):
    clean = run()
    dirty = run(np.where(PADDED[..., None], pad, YS), np.where(PADDED, pad, SCORES))
    jax.tree.map(np.testing.assert_array_equal, dirty, clean)
    for _, slopes in clean.values():
        for slope in slopes:
            assert np.isfinite(slope).all() and (np.asarray(slope)[PADDED] == 0).all()


@every_pool
def test_a_row_of_length_zero_gives_zeros(kind):
    nothing = run(np.full(YS.shape, np.nan), np.full(SCORES.shape, np.nan), [0, 0, 0])
    for array in jax.tree.leaves(nothing[kind]):
        assert (array == 0).all()


@every_pool
def test_without_lengths_every_step_is_valid(kind):
    ys, scores = np.float32(YS), np.float32(SCORES)
    expected = twin(kind, YS, SCORES, [5, 5, 5])
    np.testing.assert_allclose(POOLS[kind](ys, scores, None), expected, rtol=1e-5, atol=1e-6)


@every_pool
def test_of_no_step_at_all_there_are_zeros(kind):
    for lengths in (None, np.zeros(3, int)):
        pooled = POOLS[kind](np.ones((3, 0, 2), np.float32), np.ones((3, 0), np.float32), lengths)
        assert pooled.shape == (3, 2) and (pooled == 0).all()


@every_pool
def test_batch_axes_are_as_one_and_one_example_needs_none(kind):
    ys, scores, lengths = np.float32(YS), np.float32(SCORES), LENGTHS
    expected = run()[kind][0]
    pooled = POOLS[kind](ys[:, None], scores[:, None], lengths[:, None])
    np.testing.assert_allclose(pooled[:, 0], expected, rtol=1e-6)
    alone = POOLS[kind](ys[2], scores[2], np.array(2))
    np.testing.assert_allclose(alone, expected[2], rtol=1e-5, atol=1e-7)


def test_vmap_is_the_batch():
    ys, scores = jnp.float32(YS), jnp.float32(SCORES)

    @jax.jit
    def together(ys, scores, lengths):
        return {kind: jax.vmap(pool)(ys, scores, lengths) for kind, pool in POOLS.items()}

    for kind, pooled in together(ys, scores, jnp.asarray(LENGTHS)).items():
        np.testing.assert_allclose(pooled, run()[kind][0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_is_kept_and_its_sums_are_in_float32(dtype):
    ys, scores = (np.float64(jnp.asarray(array, dtype)) for array in (YS, SCORES))
    for kind, (pooled, slopes) in run(dtype=dtype).items():
        assert {pooled.dtype, *(slope.dtype for slope in slopes)} == {jnp.dtype(dtype)}
        expected = jnp.asarray(twin(kind, ys, scores), dtype)
        np.testing.assert_allclose(np.float32(pooled), np.float32(expected), rtol=1e-2, atol=1e-3)
    assert (mean_pool(jnp.ones((1000, 1), dtype)) == 1).all()  # in bfloat16 the sum ends at 256
    assert (attention_pool(jnp.ones((1000, 1), dtype), jnp.zeros(1000, dtype)) == 1).all()


@pytest.mark.usefixtures("x64")
def test_float64_is_kept():
    for kind, (pooled, slopes) in run(dtype=jnp.float64).items():
        assert {pooled.dtype, *(slope.dtype for slope in slopes)} == {jnp.dtype("float64")}
        np.testing.assert_allclose(pooled, twin(kind, YS, SCORES), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64])
def test_lengths_may_have_any_integer_dtype(dtype):
    ys = np.arange(300, dtype=np.float32)[:, None]  # more steps than eight bits hold
    assert last_pool(ys, lengths=np.array(100, dtype)).tolist() == [99.0]
    assert mean_pool(ys, lengths=np.array(101, dtype)).tolist() == [50.0]


def test_traced_once_in_a_loop():
    traces = []

    @jax.jit
    def step(ys, lengths):
        traces.append(ys)
        return max_pool(ys, lengths=lengths)

    for length in range(3):
        step(jnp.ones((1, 2, 1)), jnp.array([length]))
    assert len(traces) == 1


# ----------------------------------------------------------------------------- one pool by itself


def test_the_largest_may_be_the_lowest_number_there_is():
    lowest = float(jnp.finfo(jnp.float32).min)
    ys = jnp.array([[-jnp.inf, lowest], [-jnp.inf, -jnp.inf]])
    assert max_pool(ys).tolist() == [-jnp.inf, lowest]


def test_attention_with_equal_scores_is_the_mean():
    ys = jnp.float32(YS)
    for level in (0.0, -1e30, 1e30):
        pooled = attention_pool(ys, jnp.full((3, 5), level), lengths=LENGTHS)
        np.testing.assert_allclose(pooled, mean_pool(ys, lengths=LENGTHS), rtol=1e-5, atol=1e-6)


def test_attention_weights_add_up_to_one():
    pooled = attention_pool(jnp.ones((3, 5, 1)), jnp.float32(50 * SCORES), lengths=LENGTHS)
    np.testing.assert_allclose(pooled[:, 0], [1, 0, 1], rtol=1e-6)


def test_attention_does_not_heed_what_all_scores_share():
    ys, scores = jnp.float32(YS), jnp.float32(SCORES)
    moved = attention_pool(ys, scores + 3.0, lengths=LENGTHS)
    np.testing.assert_allclose(moved, run()["attention"][0], rtol=1e-5, atol=1e-6)


def test_attention_on_one_step_is_that_step_even_by_minus_infinity():
    scores = jnp.full((3, 5), -jnp.inf).at[:, 1].set(0.0)
    pooled = attention_pool(jnp.float32(YS), scores, lengths=LENGTHS)
    np.testing.assert_array_equal(pooled, np.float32(YS[:, 1] * [[1], [0], [1]]))


# --------------------------------------------------------------------------------------- messages


@every_pool
def test_a_length_beyond_the_steps_is_refused_and_under_jit_the_nearer_end(kind):
    ys, scores = np.float32(YS), np.float32(SCORES)
    message = rf"^{kind}_pool: `lengths` must lie in \[0, T\] = \[0, 5\], but .* from -1 to 6"
    with pytest.raises(ValueError, match=message):
        POOLS[kind](ys, scores, np.array([6, -1, 2]))
    pooled, (slope, _) = run(lengths=[6, -1, 2])[kind]
    np.testing.assert_array_equal(pooled, run()[kind][0])
    np.testing.assert_array_equal(slope, run()[kind][1][0])


@every_pool
def test_wrong_arguments_are_named(untyped, kind):
    def refuses(error, text, *arguments):
        with pytest.raises(error, match=re.escape(f"{kind}_pool: {text}")):
            POOLS[kind](*arguments)

    ys, scores = np.ones((3, 5, 2), np.float32), np.ones((3, 5), np.float32)
    text = "`ys` must have shape (*batch, T, O), but it has shape (2,)"
    refuses(ValueError, text, ys[0, 0], scores, None)
    text = "`ys` must be floating, but they have dtype int32"
    refuses(TypeError, text, ys.astype(np.int32), scores, None)
    text = "`lengths` must have shape batch = (3,)"
    refuses(ValueError, text, ys, scores, np.array([1, 2]))
    text = "`lengths` must be integers, but they are float32"
    refuses(TypeError, text, ys, scores, np.ones(3, np.float32))


def test_attention_takes_one_score_a_step(untyped):
    text = (
        "attention_pool: `scores` must have shape (*batch, T) = (3, 5), but it has shape (3, 5, 1)"
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        attention_pool(np.float32(YS), np.float32(SCORES)[..., None])
