"""What the task models are made of: what they read, what they drop, and the map on top."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from readers import arrays, drawn, layers

from jaxseq import cells
from jaxseq.nn import _reader
from jaxseq.nn._reader import Reader

V, E, H = 5, 2, 3
TOKENS = np.array([[1, 4, 0, 2], [3, 3, 1, 4], [2, 0, 1, 3]])
LENGTHS = np.array([4, 0, 2])


def build(cell="elman", *, layers=1, vocab_size=V, dropout=0.0, **settings):
    settings = {"bidirectional": True, "param_dtype": jnp.float32, **settings}
    settings |= {"vocab_size": vocab_size, "cell": cell, "dropout": dropout}
    return drawn(lambda: Reader("Model", E, H, layers, rngs=jax.random.key(0), **settings))


def read(model, tokens=TOKENS, lengths=LENGTHS, rngs=None, **settings):
    return model(model.vectors(tokens, lengths), lengths=lengths, rngs=rngs, **settings)


@pytest.mark.parametrize("cell", ["elman", "gru", "lstm"])
def test_it_is_embedding_then_layers_and_ends_are_the_carry(cell):
    model = build(cell, layers=2)
    ys = read(model)
    expected, ends = layers(cell, model.rnn.params, arrays(model)["embedding"][TOKENS], LENGTHS)
    np.testing.assert_allclose(ys, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.ends(ys, LENGTHS), ends, rtol=1e-5, atol=1e-6)
    carry, _ = model.rnn(model.vectors(TOKENS, LENGTHS), lengths=LENGTHS)
    top = jnp.concatenate([carry.h[-2], carry.h[-1]], axis=-1)
    np.testing.assert_array_equal(model.ends(ys, LENGTHS), top)
    assert model.output_size == ys.shape[-1] == 2 * H


@pytest.mark.parametrize("flags", [False, (True, False)])
def test_one_direction_ends_at_the_last_valid_step(flags):
    model = build(layers=2, bidirectional=flags)
    ys = read(model)
    assert model.output_size == H
    np.testing.assert_array_equal(model.ends(ys, LENGTHS), [ys[0, 3], 0 * ys[1, 0], ys[2, 1]])


def test_of_no_step_the_ends_are_zeros():
    model = build()
    for lengths in (None, np.zeros(3, int)):
        ends = model.ends(read(model, TOKENS[:, :0], lengths), lengths)
        assert ends.shape == (3, 2 * H) and (ends == 0).all()


def test_vectors_are_read_as_they_are():
    model = build(vocab_size=None)
    assert "embedding" not in arrays(model)
    xs = np.random.default_rng(0).normal(size=(3, 4, E)).astype(np.float32)
    expected, _ = layers("elman", model.rnn.params, xs, LENGTHS)
    np.testing.assert_allclose(read(model, xs), expected, rtol=1e-5, atol=1e-6)


def test_the_vectors_of_several_symbols_a_step_are_added():
    model = build(symbols=3)
    tokens = np.random.default_rng(0).integers(0, V, size=(3, 4, 3))
    expected = arrays(model)["embedding"][tokens].sum(-2) / 3**0.5
    found = model.vectors(tokens, LENGTHS)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.vectors(tokens[:, None], None)[:, 0], found)
    in_pads = (np.arange(4) >= LENGTHS[:, None])[..., None]
    dirty = read(model, np.where(in_pads, [99, -1, 0], tokens))
    np.testing.assert_array_equal(dirty, read(model, tokens))


def test_several_symbols_a_step_need_a_vocabulary():
    with pytest.raises(ValueError, match=r"`symbols` = 2 needs `vocab_size`: vectors have one"):
        build(symbols=2, vocab_size=None)


def test_one_symbol_out_of_range_among_several_is_seen_under_jit():
    vectors = jax.jit(lambda tokens: build(symbols=2).vectors(tokens, None))
    found = vectors(np.array([[[0, V], [1, 2]]]))
    np.testing.assert_array_equal(np.isnan(found).all(-1), [[True, False]])


def test_features_may_stand_beside_the_vectors():
    model = build(beside=2)
    xs = model.vectors(TOKENS, LENGTHS)
    ys = model(jnp.concatenate([xs, xs], axis=-1), lengths=LENGTHS, rngs=None)
    assert xs.shape == (3, 4, E) and ys.shape == (3, 4, 2 * H)


def test_settings_of_speed_change_no_value():
    model = build()
    found = read(model, backend="reference", remat=2, unroll=2)
    np.testing.assert_allclose(found, read(model), rtol=1e-5, atol=1e-6)


def test_dropout_is_on_what_goes_in_and_out():
    model, key = build(layers=2, dropout=0.5), jax.random.key(3)
    keys = jax.random.split(key, 3)
    xs = model.vectors(TOKENS, LENGTHS)
    below = cells.dropout_mask(keys[0], 0.5, xs.shape, xs.dtype) * xs
    _, ys = model.rnn(below, lengths=LENGTHS, rngs=keys[1])
    expected = cells.dropout_mask(keys[2], 0.5, ys.shape, ys.dtype) * ys
    np.testing.assert_array_equal(read(model, rngs=key), expected)


@pytest.mark.parametrize("rate", ["dropout", "input_dropout", "state_dropout"])
def test_there_is_dropout_if_any_rate_says_so(rate):
    plain, model = build(), build(**{rate: 0.5})
    assert model.drops and not plain.drops
    np.testing.assert_array_equal(read(model), read(plain))
    assert (read(model, rngs=jax.random.key(0)) != read(plain)).any()
    np.testing.assert_array_equal(read(plain, rngs=jax.random.key(0)), read(plain))


# ---------------------------------------------------------------------------------- the functions


def test_a_symbol_has_its_row_and_what_is_none_has_nan():
    table = jnp.arange(6.0).reshape(3, 2)
    vectors = _reader.embed(table, jnp.array([[2, -1], [3, 0]]))
    np.testing.assert_array_equal(vectors, [[[4, 5], [np.nan] * 2], [[np.nan] * 2, [0, 1]]])
    assert _reader.embed(table.astype(jnp.bfloat16), jnp.array([1])).dtype == jnp.bfloat16


def test_weights_begin_as_documented():
    key = jax.random.key(0)
    assert abs(float(_reader.draw_embedding(key, (400, 64), jnp.float32).std()) - 1) < 0.02
    tied = _reader.draw_embedding(key, (400, 64), jnp.float32, tied=True)
    assert abs(float(tied.std()) - 64**-0.25) < 0.01
    largest = float(jnp.abs(_reader.draw_projection(key, (40, 32), jnp.float32)).max())
    assert 0.95 < largest / (6 / (40 + 32)) ** 0.5 <= 1


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_a_projection_is_in_float32_or_better(dtype):
    rng = np.random.default_rng(0)
    w, b, ys = (jnp.asarray(rng.normal(size=shape), dtype) for shape in ((3, 64), (3,), (2, 4, 64)))
    logits = _reader.project(w, b, ys)
    expected = np.float64(ys) @ np.float64(w).T + np.float64(b)
    assert logits.dtype == jnp.float32
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_nothing_is_dropped_without_a_key_or_a_rate():
    xs, key = jnp.ones((50, 20)), jax.random.key(0)
    assert _reader.drop(None, 0.5, xs) is xs and _reader.drop(key, 0.0, xs) is xs
    dropped = np.asarray(_reader.drop(key, 0.5, xs))
    assert set(np.unique(dropped)) == {0.0, 2.0} and abs(dropped.mean() - 1) < 0.1


def test_the_pads_become_zero():
    array = np.full((2, 3), 7, np.int32)
    assert _reader.without_pads("f", array, np.array([1, 3])).tolist() == [[7, 0, 0], [7, 7, 7]]
    assert _reader.without_pads("f", array, None).tolist() == array.tolist()
    nan = np.full((2, 3, 2), np.nan, np.float32)
    found = _reader.without_pads("f", nan, np.array([0, 2], np.uint8), features=True)
    np.testing.assert_array_equal(np.isnan(found).all(-1), [[False] * 3, [True, True, False]])
    assert (found[0] == 0).all() and found.dtype == jnp.float32


# --------------------------------------------------------------------------------------- messages


def refuses(kind, text, call):
    with pytest.raises(kind, match=re.escape(text)):
        call()


def test_an_unknown_cell_is_refused(untyped):
    text = 'Model: `cell` must be one of "elman", "gru", "lstm", but it is \'rnn\''
    refuses(ValueError, text, lambda: build("rnn"))


def test_sizes_and_rates_are_those_of_the_model():
    text = "Model: `vocab_size` must be a positive integer, but it is 0"
    refuses(ValueError, text, lambda: build(vocab_size=0))
    text = "Model: `letters` must be a positive integer, but it is 0"
    refuses(ValueError, text, lambda: build(vocab_size=0, names=("word", "letters")))
    text = "Model: `num_layers` must be a positive integer, but it is 0"
    refuses(ValueError, text, lambda: build(layers=0))
    text = "Model: `dropout` must be in [0, 1), but it is 1.0"
    refuses(ValueError, text, lambda: build(dropout=1.0))


def test_symbols_are_called_what_the_model_calls_them(untyped):
    text = "Model: `inputs` must lie in [0, vocab_size) = [0, 5), but they range from 0 to 5"
    refuses(ValueError, text, lambda: build().vectors(np.array([[0, 5]]), None))
    model = build(names=("word", "letters"))
    text = "Model: `word` must lie in [0, letters) = [0, 5), but they range from -1 to 0"
    refuses(ValueError, text, lambda: model.vectors(np.array([[0, -1]]), None))
    text = "Model: `word` must be integers, but they are float32"
    refuses(TypeError, text, lambda: model.vectors(jnp.ones((1, 2)), None))
    with pytest.raises(ValueError, match=r"`word` must have shape .* but it has shape \(\)\.$"):
        model.vectors(jnp.array(1), None)


@pytest.mark.parametrize("shape", [(3, 4), (3,)])
def test_there_are_as_many_symbols_a_step_as_the_model_reads(untyped, shape):
    text = (
        "Model: `inputs` must have shape (*batch, T, S) with S = symbols = 3, "
        f"but they have shape {shape}"
    )
    refuses(ValueError, text, lambda: build(symbols=3).vectors(np.zeros(shape, int), None))


def test_each_of_several_symbols_is_in_range():
    text = "Model: `inputs` must lie in [0, vocab_size) = [0, 5), but they range from 5 to 5"
    refuses(ValueError, text, lambda: build(symbols=2).vectors(np.array([[[0, 5]]]), None))
    text = "Model: `symbols` must be a positive integer, but it is 0"
    refuses(ValueError, text, lambda: build(symbols=0))


@pytest.mark.parametrize("shape", [(3, 4), (2,)])
def test_vectors_have_the_width_of_the_model(untyped, shape):
    refuses(
        ValueError,
        "Model: `inputs` must have shape (*batch, T, input_size) with input_size = 2, "
        f"but it has shape {shape}",
        lambda: build(vocab_size=None).vectors(np.ones(shape, np.float32), None),
    )


def test_there_is_one_length_a_row():
    text = "f: `lengths` must have shape (*batch,) = (2,), but it has shape (3,)"
    refuses(ValueError, text, lambda: _reader.without_pads("f", np.ones((2, 3)), np.ones(3, int)))
