"""Attention: the mean that a query asks for, of what is valid alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.sequence import Attention, additive_attention, attention_pool, dot_attention

RNG = np.random.default_rng(0)
B, T, S, A, D = 3, 2, 5, 4, 3
QUERY, KEYS, VALUES = (RNG.normal(size=s) for s in ((B, T, A), (B, S, A), (B, S, D)))
WEIGHT, COTANGENT = RNG.normal(size=A), RNG.normal(size=(B, T, D + S))
LENGTHS = np.array([5, 0, 2])
PADDED = np.arange(S) >= LENGTHS[:, None]

KINDS = {
    "dot": lambda q, k, v, w, lengths=None: dot_attention(q, k, v, scale=0.5, lengths=lengths),
    "additive": lambda q, k, v, w, lengths=None: additive_attention(
        q, k, v, weight=w, lengths=lengths
    ),
}
SCORES = {
    "dot": lambda q, k, w: 0.5 * sum(q * k),
    "additive": lambda q, k, w: sum(w * np.tanh(q + k)),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def twin(kind, query, keys, values, weight, lengths):
    """Each query of each row by itself, over the valid steps, in float64: context and weights."""
    found = np.zeros((*query.shape[:2], values.shape[-1] + keys.shape[1]))
    for b, t in np.ndindex(*query.shape[:2]):
        n = lengths[b]
        if n:
            scores = [SCORES[kind](query[b, t], keys[b, s], weight) for s in range(n)]
            e = np.exp(np.array(scores) - max(scores))
            found[b, t, : values.shape[-1]] = (e / e.sum()) @ values[b, :n]
            found[b, t, values.shape[-1] :][:n] = e / e.sum()
    return found


@jax.jit
def everything(given, lengths, cotangent):
    """Of each kind: context and weights side by side, and the gradients of a weighted sum."""

    def loss(given, kind):
        read = KINDS[kind](*given, lengths)
        both = jnp.concatenate([read.context.astype(read.weights.dtype), read.weights], axis=-1)
        return (both * cotangent.astype(both.dtype)).sum(), both

    gradient = jax.grad(loss, has_aux=True)
    return {kind: gradient(given, kind)[::-1] for kind in KINDS}


def run(given=(QUERY, KEYS, VALUES, WEIGHT), lengths=LENGTHS, dtype=jnp.float32):
    given = tuple(jnp.asarray(array, dtype) for array in given)
    return everything(given, jnp.asarray(lengths), jnp.asarray(COTANGENT))


@every_kind
def test_the_mean_is_that_of_each_query_alone(kind):
    expected = twin(kind, QUERY, KEYS, VALUES, WEIGHT, LENGTHS)
    np.testing.assert_allclose(run()[kind][0], expected, rtol=1e-5, atol=1e-6)
    given = (np.float32(array) for array in (QUERY, KEYS, VALUES, WEIGHT))
    eager = KINDS[kind](*given, LENGTHS)  # NumPy's arrays do
    assert isinstance(eager, Attention)
    np.testing.assert_allclose(eager.context, expected[..., :D], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(eager.weights.sum(-1), [[1, 1], [0, 0], [1, 1]], rtol=1e-6)


@every_kind
def test_gradients_are_those_of_the_twin(kind, x64):
    given = (QUERY, KEYS, VALUES, WEIGHT)
    slopes = run(dtype=jnp.float64)[kind][1]
    for i, slope in enumerate(slopes):
        direction = np.random.default_rng(i).normal(size=given[i].shape)
        ends = []
        for sign in (-1, 1):
            moved = list(given)
            moved[i] = given[i] + sign * 1e-6 * direction
            ends.append((twin(kind, *moved, LENGTHS) * COTANGENT).sum())
        np.testing.assert_allclose(
            (slope * direction).sum(), (ends[1] - ends[0]) / 2e-6, 1e-6, 1e-8
        )


@pytest.mark.parametrize("pad", [np.nan, np.inf, -1e30])
def test_what_is_in_the_pads_never_matters(pad):
    clean = run()
    keys, values = (np.where(PADDED[..., None], pad, array) for array in (KEYS, VALUES))
    jax.tree.map(np.testing.assert_array_equal, run((QUERY, keys, values, WEIGHT)), clean)
    for both, slopes in clean.values():
        assert (both[1] == 0).all()
        for slope in slopes[1:3]:
            assert np.isfinite(slope).all() and (np.asarray(slope)[PADDED] == 0).all()


def test_a_row_of_length_zero_gives_zeros_and_zero_gradients():
    nothing = run(
        (QUERY, np.full_like(KEYS, np.nan), np.full_like(VALUES, np.nan), WEIGHT), [0] * 3
    )
    for array in jax.tree.leaves(nothing):
        assert (array == 0).all()


@every_kind
def test_of_no_step_at_all_there_are_zeros(kind):
    query, weight = np.ones((B, A), np.float32), np.ones(A, np.float32)
    keys, values = np.ones((B, 0, A), np.float32), np.ones((B, 0, D), np.float32)
    for lengths in (None, np.zeros(B, int)):
        read = KINDS[kind](query, keys, values, weight, lengths)
        assert read.context.shape == (B, D) and (read.context == 0).all()
        assert read.weights.shape == (B, 0)


@every_kind
def test_one_query_is_many_without_their_axis(kind):
    given = tuple(jnp.asarray(array, jnp.float32) for array in (QUERY, KEYS, VALUES, WEIGHT))
    many = run()[kind][0]
    one = KINDS[kind](given[0][:, 1], *given[1:], LENGTHS)
    np.testing.assert_allclose(one.context, many[:, 1, :D], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one.weights, many[:, 1, D:], rtol=1e-5, atol=1e-6)
    alone = KINDS[kind](given[0][0, 1], given[1][0], given[2][0], given[3])
    np.testing.assert_allclose(alone.context, many[0, 1, :D], rtol=1e-5, atol=1e-6)
    axes = KINDS[kind](*(array[:, None] for array in given[:3]), given[3], LENGTHS[:, None])
    np.testing.assert_allclose(axes.weights[:, 0], many[..., D:], rtol=1e-5, atol=1e-6)


@every_kind
def test_vmap_is_the_batch(kind):
    given = tuple(jnp.asarray(array, jnp.float32) for array in (QUERY, KEYS, VALUES, WEIGHT))
    over = jax.vmap(KINDS[kind], in_axes=(0, 0, 0, None, 0))
    read = jax.jit(over)(*given, jnp.asarray(LENGTHS))
    both = jnp.concatenate(read, axis=-1)
    np.testing.assert_allclose(both, run()[kind][0], rtol=1e-5, atol=1e-6)


def test_half_precision_is_kept_and_its_softmax_is_in_float32():
    given = tuple(jnp.asarray(array, jnp.bfloat16) for array in (QUERY, KEYS, VALUES, WEIGHT))
    for kind, attend in KINDS.items():
        read = attend(*given, LENGTHS)
        assert read.context.dtype == jnp.bfloat16 and read.weights.dtype == jnp.float32
        expected = twin(kind, *(np.float64(array) for array in given), LENGTHS)
        np.testing.assert_allclose(
            np.float32(read.context), expected[..., :D], rtol=3e-2, atol=3e-2
        )
    ones = jnp.ones((1000, 1), jnp.bfloat16)
    assert dot_attention(jnp.zeros(1, jnp.bfloat16), ones, ones).context == 1


def test_the_scores_of_a_dot_are_those_of_a_pool():
    given = tuple(jnp.asarray(array, jnp.float32) for array in (QUERY[:, 0], KEYS, VALUES))
    scores = jnp.einsum("ba,bsa->bs", given[0], given[1])
    pooled = attention_pool(given[2], scores, lengths=LENGTHS)
    read = dot_attention(*given, lengths=LENGTHS)
    np.testing.assert_allclose(read.context, pooled, rtol=1e-5, atol=1e-6)


def test_wrong_shapes_and_dtypes_are_refused(untyped):
    query, keys, values = jnp.ones((B, A)), jnp.ones((B, S, A)), jnp.ones((B, S, D))
    with pytest.raises(
        ValueError,
        match=r"^dot_attention: `query` must have shape \(\*batch, A\) or \(\*batch, T, A\) with "
        r"\*batch = \(3,\) and A = 4, as the keys of shape \(3, 5, 4\) have, but .* \(3, 3\)\.",
    ):
        dot_attention(jnp.ones((B, 3)), keys, values)
    for wrong in (jnp.ones(A), jnp.ones((2, A)), jnp.ones((B, 1, 1, A)), jnp.ones(())):
        with pytest.raises(ValueError, match=r"`query` must have shape"):
            dot_attention(wrong, keys, values)
    with pytest.raises(ValueError, match=r"`keys` must have shape \(\*batch, S, A\), .* \(4,\)"):
        dot_attention(query, jnp.ones(A), values)
    with pytest.raises(
        ValueError, match=r"`values` must have .* \(\*batch, S\) = \(3, 5\), but .* \(3, 4, 3\)"
    ):
        dot_attention(query, keys, values[:, 1:])
    with pytest.raises(
        ValueError, match=r"`weight` must have shape \(A,\) = \(4,\), but .* \(3,\)"
    ):
        additive_attention(query, keys, values, weight=jnp.ones(3))
    with pytest.raises(TypeError, match=r"`keys` must be floating, but it has dtype int32"):
        dot_attention(query, jnp.ones((B, S, A), jnp.int32), values)
    with pytest.raises(ValueError, match=r"`lengths` must lie in \[0, T\] = \[0, 5\]"):
        dot_attention(query, keys, values, lengths=np.array([1, 2, 6]))
    with pytest.raises(TypeError, match=r"`lengths` must be integers"):
        dot_attention(query, keys, values, lengths=np.ones(3))
