"""The classifier: layers, pools and a projection; nothing of the pads; what it can learn."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from readers import arrays, drawn, fit, layers

from jaxseq import nn
from jaxseq.nn import _sequence_classifier

V, I, H, K = 5, 2, 2, 3  # noqa: E741 - the house letters
KINDS = ("last", "mean", "max", "attention")
TOKENS = np.array([[1, 4, 0, 2], [3, 3, 1, 4], [2, 0, 1, 3]])
VECTORS = np.random.default_rng(0).normal(size=(3, 4, I)).astype(np.float32)
LENGTHS = np.array([4, 0, 2])
PADDED = np.arange(4) >= LENGTHS[:, None]


@functools.cache
def build(seed=0, *, layers=1, **settings):
    settings = {"vocab_size": V, "cell": "elman", "pooling": KINDS, **settings}
    make = functools.partial(nn.SequenceClassifier, K, I, H, layers, **settings)
    return drawn(lambda: make(rngs=nnx.Rngs(0)), seed)


@functools.cache
def compiled(apply):
    """Logits, and the gradient of their squares by weights and by vectors."""

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True, allow_int=True, argnums=(0, 1))
    def run(params, inputs, lengths):
        logits = apply(params, inputs, lengths=lengths)
        return (logits**2).sum(), logits

    return run


def run(model, inputs=TOKENS, lengths=LENGTHS):
    params, apply = nn.pure(model)
    (_, logits), slopes = compiled(apply)(params, inputs, jnp.asarray(lengths))
    return logits, slopes


@jax.jit
def call(model, inputs, lengths=None):
    return model(inputs, lengths=lengths)


def softmax(scores):
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def twin(model, cell, kinds, lengths=LENGTHS):
    """The formula of the docstring, row by row, in NumPy float64."""
    w = arrays(model)
    xs = w["reader"]["embedding"][TOKENS]
    ys, ends = layers(cell, model.reader.rnn.params, xs, lengths)
    rows = []
    for y, end, n in zip(ys, ends, lengths, strict=True):
        y, pooled = y[:n], dict.fromkeys(kinds, 0 * end)
        if n:
            pooled = {"last": end, "mean": y.mean(0), "max": y.max(0)}
        if n and "attention" in kinds:
            a = w["attention"]
            pooled["attention"] = softmax(np.tanh(y @ a["w"].T + a["b"]) @ a["v"]) @ y
        rows.append(np.concatenate([pooled[kind] for kind in kinds]))
    return np.stack(rows) @ w["projection"].T + w["bias"]


@pytest.mark.parametrize("cell", ["elman", "gru", "lstm"])
def test_logits_are_the_projection_of_all_pools_side_by_side(cell):
    model = build(cell=cell)
    np.testing.assert_allclose(run(model)[0], twin(model, cell, KINDS), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_each_pool_may_stand_alone(kind):
    model = build(pooling=kind, bidirectional=(False, True), layers=2)
    assert model.pooling == (kind,)
    np.testing.assert_allclose(
        call(model, TOKENS, LENGTHS), twin(model, "elman", (kind,)), rtol=1e-4, atol=1e-5
    )


def test_last_is_the_carry_of_both_directions():
    model = build(pooling="last", cell="gru")
    vectors = jax.jit(lambda reader: reader.vectors(TOKENS, None))(model.reader)
    carry, _ = jax.jit(lambda rnn: rnn(vectors, lengths=LENGTHS))(model.reader.rnn)
    w = arrays(model)
    expected = np.concatenate(carry.h, axis=-1) @ w["projection"].T + w["bias"]
    np.testing.assert_allclose(call(model, TOKENS, LENGTHS), expected, rtol=1e-5, atol=1e-6)


def test_vectors_may_be_read_in_place_of_symbols():
    model = build(vocab_size=None)
    table = build().reader.embedding.get_value()
    params = nn.pure(build()).params
    del params["reader"]["embedding"]
    found = call(nn.with_params(model, params), np.asarray(table)[TOKENS], LENGTHS)
    np.testing.assert_allclose(found, run(build())[0], rtol=1e-5, atol=1e-6)


def test_options_reach_the_layers():
    model = build(cell="lstm", layers=2, proj_size=1, residual=True, init="torch", pooling="mean")
    rnn = model.reader.rnn
    assert rnn.residual and rnn.proj_size == 1 and rnn.init == "torch"
    assert jax.eval_shape(model, TOKENS).shape == (3, K)


def test_weights_begin_as_documented():
    model = nn.SequenceClassifier(400, 8, 16, pooling=KINDS, vocab_size=9, rngs=nnx.Rngs(0))
    w = nn.pure(model).params
    assert w.keys() == {"reader", "attention", "projection", "bias"}
    assert w["projection"].shape == (400, 4 * 32)
    assert (w["bias"] == 0).all() and (w["attention"]["b"] == 0).all()
    for leaf, ends in ((w["projection"], 400 + 128), (w["attention"]["w"], 32 + 32)):
        assert 0.95 < float(jnp.abs(leaf).max()) / (6 / ends) ** 0.5 <= 1
    assert nn.SequenceClassifier(3, 2, 2, rngs=nnx.Rngs(0)).attention is None


def test_a_key_gives_the_weights_of_the_key():
    first, again, other = (
        nn.pure(nn.SequenceClassifier(3, 2, 2, rngs=jax.random.key(seed))).params["projection"]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


# ---------------------------------------------------------------------------- ragged batches


def test_what_is_in_the_pads_never_matters():
    clean = run(build())
    dirty = run(build(), np.where(PADDED, [[-7, 99, -1, 1000]], TOKENS))
    jax.tree.map(np.testing.assert_array_equal, dirty[0], clean[0])
    jax.tree.map(np.testing.assert_array_equal, dirty[1][0], clean[1][0])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(clean[1][0]))
    eager = build()(np.where(PADDED, -7, TOKENS), lengths=LENGTHS)
    np.testing.assert_allclose(eager, clean[0], rtol=1e-5, atol=1e-6)


def test_nor_do_vectors_in_the_pads_not_even_nan():
    model = build(vocab_size=None)
    clean = run(model, VECTORS)
    dirty = run(model, np.where(PADDED[..., None], np.nan, VECTORS))
    jax.tree.map(np.testing.assert_array_equal, dirty, clean)
    slope = np.asarray(clean[1][1])
    assert (slope[PADDED] == 0).all() and (slope[~PADDED] != 0).all()


def test_of_a_row_of_length_zero_there_is_the_bias_alone():
    logits, (slopes, _) = run(build(), lengths=[0, 0, 0])
    np.testing.assert_array_equal(logits, np.tile(build().bias.get_value(), (3, 1)))
    bias = slopes.pop("bias")
    assert (bias != 0).all()
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(slopes))
    np.testing.assert_array_equal(call(build(), TOKENS[:, :0]), logits)  # and of no step at all


def test_every_weight_has_a_gradient():
    _, (slopes, _) = run(build())
    for leaf in jax.tree.leaves(slopes):
        assert np.isfinite(leaf).all() and np.asarray(leaf != 0).any()


def test_batch_axes_are_as_one_and_one_example_needs_none():
    expected = run(build())[0]
    two = call(build(), TOKENS[:, None], LENGTHS[:, None])
    np.testing.assert_allclose(two[:, 0], expected, rtol=1e-5, atol=1e-6)
    alone = call(build(), TOKENS[2, :2])
    assert alone.shape == (K,)
    np.testing.assert_allclose(alone, expected[2], rtol=1e-5, atol=1e-6)


def test_vmap_is_the_batch():
    over = jax.vmap(lambda row, length: build()(row, lengths=length))
    found = jax.jit(over)(TOKENS, LENGTHS)
    np.testing.assert_allclose(found, run(build())[0], rtol=1e-5, atol=1e-6)


def test_a_length_beyond_the_steps_is_refused_and_under_jit_the_nearer_end():
    beyond = np.array([9, -1, 2])
    with pytest.raises(
        ValueError, match=r"`lengths` must lie in \[0, T\] = \[0, 4\], but .* -1 to 9"
    ):
        build()(TOKENS, lengths=beyond)
    jax.tree.map(np.testing.assert_array_equal, run(build(), lengths=beyond)[0], run(build())[0])


def test_a_symbol_out_of_range_is_seen_under_jit():
    logits = run(build(), np.where(TOKENS == 4, [[V], [V], [0]], TOKENS))[0]
    assert np.isnan(logits[0]).all() and np.isfinite(logits[1:]).all()


# ----------------------------------------------------------------------- dtypes, dropout, training


def test_logits_of_half_precision_are_in_float32():
    model, plain = build(param_dtype=jnp.bfloat16), build()
    leaves = jax.tree.leaves(nn.pure(model).params)
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype("bfloat16")}
    logits = call(model, TOKENS, LENGTHS)
    assert logits.dtype == jnp.float32
    np.testing.assert_allclose(logits, call(plain, TOKENS, LENGTHS), atol=0.1)


@pytest.mark.usefixtures("x64")
def test_float64_is_kept():
    settings = {"vocab_size": V, "cell": "elman", "pooling": KINDS, "param_dtype": jnp.float64}
    model = drawn(lambda: nn.SequenceClassifier(K, I, H, rngs=nnx.Rngs(0), **settings))
    logits, _ = run(model)
    assert logits.dtype == jnp.float64
    np.testing.assert_allclose(logits, twin(model, "elman", KINDS), rtol=1e-12, atol=1e-12)


def test_dropout_is_for_training_and_follows_its_key():
    model, plain, key = build(dropout=0.5), build(), jax.random.key(3)
    np.testing.assert_array_equal(model(TOKENS), plain(TOKENS))  # no rngs, no dropout
    logits = model(TOKENS, rngs=key)
    np.testing.assert_array_equal(logits, model(TOKENS, rngs=key))
    assert (logits != plain(TOKENS)).any() and (
        logits != model(TOKENS, rngs=jax.random.key(4))
    ).any()
    stream = model(TOKENS, rngs=nnx.Rngs(dropout=1).dropout())
    np.testing.assert_array_equal(model(TOKENS, rngs=nnx.Rngs(dropout=1)), stream)
    np.testing.assert_array_equal(plain(TOKENS, rngs=key), plain(TOKENS))


def test_traced_once_in_a_loop_whatever_the_weights():
    assert nn.pure(build(0)).apply is nn.pure(build(1)).apply
    function = compiled(nn.pure(build()).apply)
    run(build())
    before = function._cache_size()
    for seed in (0, 1):
        run(build(seed), TOKENS[:, ::-1].copy(), LENGTHS[::-1].copy())
    assert function._cache_size() == before


def test_it_learns_that_the_first_symbol_decides():
    model = nn.SequenceClassifier(2, 4, 8, vocab_size=V, cell="elman", rngs=nnx.Rngs(0))
    rng = np.random.default_rng(0)
    tokens, lengths = rng.integers(0, V, size=(80, 6)), rng.integers(1, 7, size=80)
    labels = np.int32(tokens[:, 0] >= 2)
    params, apply = nn.pure(model)

    def loss(params):
        logits = apply(params, tokens[:60], lengths=lengths[:60])
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels[:60]).mean()

    model = nn.with_params(model, fit(loss, params, rate=0.3))
    right = np.asarray(call(model, tokens, lengths)).argmax(-1) == labels
    assert right[:60].all() and right[60:].mean() > 0.9


# --------------------------------------------------------------------------------------- messages


def refuses(kind, text, call):
    with pytest.raises(kind, match=re.escape(text)):
        call()


@pytest.mark.parametrize("pooling", ["first", (), ("last", "last"), ["mean", "no"], 3, None, [[]]])
def test_pooling_is_one_or_several_kinds(untyped, pooling):
    refuses(
        ValueError,
        'SequenceClassifier: `pooling` must be one or several of "last", "mean", "max", '
        f'"attention", each once, but it is {pooling!r}',
        lambda: nn.SequenceClassifier(K, I, H, pooling=pooling, rngs=nnx.Rngs(0)),
    )


def test_pooling_may_be_a_list():
    assert _sequence_classifier.checked_pooling(["max", "last"]) == ("max", "last")


def test_the_number_of_classes_is_positive():
    text = "SequenceClassifier: `num_classes` must be a positive integer, but it is 0"
    refuses(ValueError, text, lambda: nn.SequenceClassifier(0, I, H, rngs=nnx.Rngs(0)))
