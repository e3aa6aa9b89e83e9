"""The language model: embedding, layers, projection; symbols out of range; nothing of the pads."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from readers import drawn

import jaxseq
from jaxseq import cells, decoding, nn

V, E, H = 5, 2, 3
TOKENS = np.array([[1, 4, 0, 2], [3, 3, 1, 4]])


@functools.cache
def build(**settings):
    sizes = (V, settings.pop("embed_size", E), H)
    make = functools.partial(nn.LanguageModel, *sizes, settings.pop("layers", 1), **settings)
    model = drawn(lambda: make(rngs=nnx.Rngs(0)))
    model.bias.set_value(jnp.arange(V, dtype=model.bias.get_value().dtype))
    return model


@jax.jit
def call(model, tokens, **more):
    return model(tokens, **more)


def close(a, b):
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), a, b)


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
def test_it_is_embedding_then_layers_then_projection(cell):
    model = build(cell=cell)
    params = nn.pure(model).params
    xs = params["embedding"][TOKENS]
    core = getattr(jaxseq, cell)(E, H)
    final, ys = jaxseq.scan(core, model.rnn.params[0], xs)
    carry, logits = model(TOKENS)
    close(logits, np.asarray(ys) @ np.asarray(params["projection"]).T + np.arange(V))
    close(carry.h[0], final.h)
    assert type(carry) is type(final)


def test_tied_weights_are_one_array():
    model = build(embed_size=H, tied=True)
    params = nn.pure(model).params
    assert params.keys() == {"bias", "embedding", "rnn"}
    ys = model.rnn(params["embedding"][TOKENS])[1]
    close(model(TOKENS)[1], np.asarray(ys) @ np.asarray(params["embedding"]).T + np.arange(V))


def test_a_projected_lstm_may_be_tied():
    model = build(embed_size=2, proj_size=2, tied=True)
    assert model(TOKENS)[1].shape == (2, 4, V)


def test_options_reach_the_cells():
    model = build(cell="gru", reset_after=False, residual=True, layers=2, init="torch")
    assert model.rnn.cells[0] is jaxseq.gru(E, H, reset_after=False, init="torch")
    assert model.rnn.residual and model.carry((7,)).h.shape == (2, 7, H)


def test_weights_begin_as_documented():
    model = nn.LanguageModel(400, 64, 32, rngs=nnx.Rngs(0))
    params = nn.pure(model).params
    assert abs(float(params["embedding"].std()) - 1.0) < 0.02
    limit = (6.0 / (400 + 32)) ** 0.5
    assert 0.95 * limit < float(jnp.abs(params["projection"]).max()) <= limit
    assert (params["bias"] == 0).all()
    tied = nn.LanguageModel(400, 64, 64, tied=True, rngs=nnx.Rngs(0))
    assert abs(float(tied.embedding.get_value().std()) - 64**-0.25) < 0.01


def test_logits_are_in_float32_or_better():
    model = build(param_dtype=jnp.bfloat16)
    leaves = jax.tree.leaves(nn.pure(model).params)
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype("bfloat16")}
    assert model(TOKENS)[1].dtype == jnp.float32


@pytest.mark.usefixtures("x64")
def test_float64_is_kept():
    model = drawn(lambda: nn.LanguageModel(V, E, H, param_dtype=jnp.float64, rngs=nnx.Rngs(0)))
    assert call(model, TOKENS)[1].dtype == jnp.float64


def test_a_text_may_be_cut_and_stepped_through():
    model = build(layers=2)
    whole = call(model, TOKENS)
    carry, first = call(model, TOKENS[:, :3])
    carry, last = jax.jit(lambda model, *at: model.step(*at))(model, carry, TOKENS[:, 3])
    close((carry, jnp.concatenate([first, last[:, None]], axis=1)), whole)


def test_a_reset_begins_a_new_text():
    model = build()
    logits = call(model, TOKENS, resets=np.tile([False, False, True, False], (2, 1)))[1]
    close(logits[:, 2:], call(model, TOKENS[:, 2:])[1])


def test_the_pads_may_hold_anything():
    graphdef, params = nnx.split(build())
    lengths = np.array([4, 1])

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def run(params, tokens):
        carry, logits = nnx.merge(graphdef, params)(tokens, lengths=lengths)
        return (logits**2).sum(), (carry, logits)

    dirty = np.where(np.arange(4) < lengths[:, None], TOKENS, [[-7, 99, -1, 1000]])
    clean = run(params, TOKENS)
    jax.tree.map(np.testing.assert_array_equal, run(params, dirty), clean)
    logits = build()(dirty, lengths=lengths)[1]  # eagerly too
    np.testing.assert_array_equal(logits[1, 1:], np.tile(np.arange(V), (3, 1)))  # the bias alone
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(clean))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_symbols_may_have_any_integer_dtype(dtype):
    close(build()(TOKENS.astype(dtype)), build()(TOKENS))


def test_symbols_may_be_a_list(untyped):
    close(build()(TOKENS.tolist()), build()(TOKENS))


def test_a_symbol_out_of_range_is_seen_under_jit():
    model = build()
    logits = jax.jit(lambda tokens: model(tokens)[1])(np.array([[1, V, 2], [1, 2, 3], [0, -1, 0]]))
    assert np.isnan(logits[0, 1:]).all() and np.isnan(logits[2, 1:]).all()
    assert np.isfinite(logits[:, 0]).all() and np.isfinite(logits[1]).all()


def test_dropout_is_on_the_embedding_between_layers_and_before_the_projection():
    model = build(dropout=0.5, layers=2)
    key = jax.random.key(3)
    logits = model(TOKENS, rngs=key)[1]
    np.testing.assert_array_equal(logits, model(TOKENS, rngs=key)[1])
    keys = jax.random.split(key, 3)
    xs = model.embedding.get_value()[TOKENS]
    xs = xs * cells.dropout_mask(keys[0], 0.5, xs.shape, xs.dtype)
    ys = model.rnn(xs, rngs=keys[1])[1]
    ys = ys * cells.dropout_mask(keys[2], 0.5, ys.shape, ys.dtype)
    close(logits, np.asarray(ys) @ np.asarray(model.projection.get_value()).T + np.arange(V))
    np.testing.assert_array_equal(model(TOKENS)[1], build(layers=2)(TOKENS)[1])


def test_variational_dropout_is_that_of_the_layers():
    model, key = build(state_dropout=0.5), jax.random.key(3)
    xs = model.embedding.get_value()[TOKENS]
    carry, _ = model.rnn(xs, rngs=jax.random.split(key, 3)[1])
    close(model(TOKENS, rngs=key)[0], carry)
    assert (carry.h != build()(TOKENS)[0].h).any()


def test_it_writes():
    params, read = nn.pure(build(), method="step")

    def step(carry, token):
        params, state = carry
        state, logits = read(params, state, token)
        return (params, state), logits

    text = decoding.greedy(step, (params, build().carry((2,))), TOKENS[:, 0], length=3)
    carry, logits = build().step(build().carry((2,)), TOKENS[:, 0])
    np.testing.assert_array_equal(text.tokens[:, 0], logits.argmax(-1))
    assert ((text.tokens >= 0) & (text.tokens < V)).all() and carry.h.shape == (1, 2, H)


# ------------------------------------------------------------------------------------- messages


def refuses(kind, text, call):
    with pytest.raises(kind, match=re.escape(text)):
        call()


def test_it_cannot_be_bidirectional():
    refuses(
        ValueError,
        "LanguageModel: a language model has no `bidirectional`: running backward it would have "
        "read the symbol that it is to predict.\n  Hint: leave it out; for tags or labels",
        lambda: nn.LanguageModel(V, E, H, bidirectional=True, rngs=nnx.Rngs(0)),
    )


def test_an_unknown_cell_is_refused(untyped):
    refuses(
        ValueError,
        'LanguageModel: `cell` must be one of "elman", "gru", "lstm", but it is \'rnn\'',
        lambda: nn.LanguageModel(V, E, H, cell="rnn", rngs=nnx.Rngs(0)),
    )


def test_tied_weights_must_fit():
    refuses(
        ValueError,
        "LanguageModel: `tied` needs layers that give embed_size = 2 features, but they give 3.\n"
        "  Hint: choose hidden_size = embed_size, or proj_size = embed_size for an LSTM",
        lambda: nn.LanguageModel(V, E, H, tied=True, rngs=nnx.Rngs(0)),
    )


@pytest.mark.parametrize("name", ["vocab_size", "embed_size"])
def test_sizes_are_positive(name):
    sizes = {"vocab_size": V, "embed_size": E, "hidden_size": H} | {name: 0}
    refuses(
        ValueError,
        f"LanguageModel: `{name}` must be a positive integer, but it is 0",
        lambda: nn.LanguageModel(**sizes, rngs=nnx.Rngs(0)),
    )


def test_symbols_out_of_range_are_refused():
    text = "LanguageModel: `tokens` must lie in [0, vocab_size) = [0, 5), but they range from"
    refuses(ValueError, f"{text} 0 to 5", lambda: build()(np.array([[0, 5]])))
    refuses(ValueError, f"{text} -1 to 0", lambda: build()(np.array([[0, -1]])))
    lengths = np.array([2, 1])
    refuses(ValueError, text, lambda: build()(np.array([[0, 9], [0, 9]]), lengths=lengths))
    refuses(ValueError, f"{text} 7 to 7", lambda: build().step(build().carry(), np.array(7)))


def test_symbols_are_integers(untyped):
    refuses(
        TypeError,
        "LanguageModel: `tokens` must be integers, but they are float32",
        lambda: build()(jnp.ones((1, 2))),
    )


def test_one_symbol_is_no_text(untyped):
    refuses(
        ValueError,
        "LanguageModel: `tokens` must have shape (*batch, T), but it has shape ().\n"
        "  Hint: one symbol is model.step",
        lambda: build()(jnp.array(1)),
    )


def test_lengths_of_another_batch_are_refused(untyped):
    with pytest.raises(ValueError, match=r"scan: `lengths` must have shape batch = \(2,\)"):
        build()(TOKENS, lengths=np.array([1, 2, 3]))
