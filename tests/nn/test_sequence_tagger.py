"""The tagger: a label for every step, alone or as a path; words by their characters too."""

import functools
import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from readers import arrays, drawn, fit, layers

from jaxseq import nn
from jaxseq.structured import crf

V, I, H, K = 5, 2, 2, 3  # noqa: E741 - the house letters
BIO = crf.bio(["O", "B-X", "I-X"])
TOKENS = np.array([[1, 4, 0, 2], [3, 3, 1, 4], [2, 0, 1, 3]])
CHARACTERS = np.random.default_rng(1).integers(0, 4, size=(3, 4, 3))
CHAR_LENGTHS = np.array([[3, 0, 1, 2], [1, 1, 1, 1], [2, 3, 1, 1]])
LENGTHS = np.array([4, 0, 2])
PADDED = np.arange(4) >= LENGTHS[:, None]
EMISSIONS = np.random.default_rng(2).normal(size=(3, 4, K)).astype(np.float32)
TAGS = np.array([[1, 2, 0, 1], [0, 0, 0, 0], [0, 1, 2, 2]])


@functools.cache
def build(seed=0, *, layers=1, **settings):
    settings = {"vocab_size": V, "cell": "elman", **settings}
    if settings.get("output") == "crf":
        settings["allowed"] = BIO
    return drawn(lambda: nn.SequenceTagger(K, I, H, layers, rngs=nnx.Rngs(0), **settings), seed)


def speller(seed=0, **settings):
    sizes = {"char_vocab_size": 4, "char_embed_size": 2, "char_hidden_size": 2}
    return build(seed, **sizes, **settings)


@functools.cache
def compiled(apply):
    """Emissions, and the gradient of their squares by weights and by vectors."""

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True, allow_int=True, argnums=(0, 1))
    def run(params, inputs, lengths, more):
        emissions = apply(params, inputs, lengths=lengths, **more)
        valid = jnp.arange(4, dtype=jnp.int32)[None] < lengths[:, None]
        return (jnp.where(valid[..., None], emissions, 0) ** 2).sum(), emissions

    return run


def run(model, inputs=TOKENS, lengths=LENGTHS, **more):
    params, apply = nn.pure(model)
    (_, emissions), slopes = compiled(apply)(params, inputs, jnp.asarray(lengths, jnp.int32), more)
    return emissions, slopes


@functools.partial(jax.jit, static_argnames="method")
def call(model, *inputs, method="__call__", **more):
    return getattr(model, method)(*inputs, **more)


def spelling(characters=CHARACTERS, char_lengths=CHAR_LENGTHS):
    return {"characters": characters, "char_lengths": char_lengths}


def close(a, b):
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), a, b)


def log_softmax(emissions):
    """By hand, in float64."""
    emissions = np.float64(emissions)
    return emissions - np.log(np.exp(emissions).sum(-1, keepdims=True))


# --------------------------------------------------------------------------------------- emissions


def twin(model, cell, *beside):
    """The formula of the docstring in NumPy float64."""
    w = arrays(model)
    xs = np.concatenate([w["reader"]["embedding"][TOKENS], *beside], axis=-1)
    ys, _ = layers(cell, model.reader.rnn.params, xs, LENGTHS)
    return ys @ w["projection"].T + w["bias"]


@pytest.mark.parametrize("cell", ["elman", "gru", "lstm"])
def test_emissions_are_the_projection_of_the_layers(cell):
    model = build(cell=cell)
    np.testing.assert_allclose(run(model)[0], twin(model, cell), rtol=1e-4, atol=1e-5)


def test_a_spelt_word_stands_beside_its_symbol():
    model = speller(layers=2, bidirectional=(True, False))
    letters = arrays(model)["speller"]["reader"]["embedding"][CHARACTERS]
    counts = np.where(PADDED, 0, CHAR_LENGTHS)
    _, spelt = layers("elman", model.speller.reader.rnn.params, letters, counts)
    found = run(model, **spelling())[0]
    np.testing.assert_allclose(found, twin(model, "elman", spelt), rtol=1e-4, atol=1e-5)


def test_in_the_pads_there_is_the_bias_alone():
    emissions, _ = run(build())
    for emission in np.asarray(emissions)[PADDED]:
        np.testing.assert_array_equal(emission, build().bias.get_value())
    assert call(build(), TOKENS[:, :0]).shape == (3, 0, K)


def test_what_is_in_the_pads_never_matters():
    model = speller()
    clean = run(model, **spelling())
    letters = np.arange(3) >= np.where(PADDED, 0, CHAR_LENGTHS)[..., None]
    dirty = spelling(np.where(letters, -3, CHARACTERS), np.where(PADDED, 99, CHAR_LENGTHS))
    tokens = np.where(PADDED, 1000, TOKENS)
    again = run(model, tokens, **dirty)
    jax.tree.map(np.testing.assert_array_equal, again[0], clean[0])
    jax.tree.map(np.testing.assert_array_equal, again[1][0], clean[1][0])
    for leaf in jax.tree.leaves(clean[1][0]):
        assert np.isfinite(leaf).all() and (leaf != 0).any()
    close(model(tokens, lengths=LENGTHS, **dirty), clean[0])  # eagerly too


def test_nor_do_vectors_in_the_pads_not_even_nan():
    model = build(vocab_size=None)
    xs = np.random.default_rng(0).normal(size=(3, 4, I)).astype(np.float32)
    clean = run(model, xs)
    dirty = run(model, np.where(PADDED[..., None], np.nan, xs))
    jax.tree.map(np.testing.assert_array_equal, dirty, clean)
    slope = np.asarray(clean[1][1])
    assert (slope[PADDED] == 0).all() and (slope[~PADDED] != 0).all()


def test_batch_axes_are_as_one_and_one_example_needs_none():
    model = speller()
    expected = run(model, **spelling())[0]
    more = spelling(CHARACTERS[:, None], CHAR_LENGTHS[:, None])
    close(call(model, TOKENS[:, None], lengths=LENGTHS[:, None], **more)[:, 0], expected)
    alone = call(model, TOKENS[2, :2], **spelling(CHARACTERS[2, :2], CHAR_LENGTHS[2, :2]))
    close(alone, expected[2, :2])


def test_vmap_is_the_batch():
    model = speller()

    def one(tokens, length, characters, char_lengths):
        return model(tokens, lengths=length, **spelling(characters, char_lengths))

    found = jax.jit(jax.vmap(one))(TOKENS, LENGTHS, CHARACTERS, CHAR_LENGTHS)
    close(found, run(model, **spelling())[0])


def test_a_length_beyond_the_steps_is_refused_and_under_jit_the_nearer_end():
    beyond = np.array([9, -1, 2])
    with pytest.raises(ValueError, match=r"`lengths` must lie in \[0, T\] = \[0, 4\], but .* 9"):
        build()(TOKENS, lengths=beyond)
    jax.tree.map(np.testing.assert_array_equal, run(build(), lengths=beyond)[0], run(build())[0])


def test_a_symbol_out_of_range_is_seen_under_jit():
    emissions, _ = run(build(), np.where(TOKENS == 4, [[V], [V], [0]], TOKENS))
    assert np.isnan(emissions[0]).all() and np.isfinite(emissions[1:]).all()


def test_emissions_of_half_precision_are_in_float32():
    params, apply = nn.pure(speller(param_dtype=jnp.bfloat16))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("bfloat16")}
    emissions = jax.jit(apply)(params, TOKENS, lengths=LENGTHS, **spelling())
    assert emissions.dtype == jnp.float32
    np.testing.assert_allclose(emissions, run(speller(), **spelling())[0], atol=0.1)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("output", ["softmax", "crf"])
def test_float64_is_kept(output):
    settings = {"vocab_size": V, "cell": "elman", "output": output, "param_dtype": jnp.float64}
    model = drawn(lambda: nn.SequenceTagger(K, I, H, rngs=nnx.Rngs(0), **settings))
    emissions, _ = run(model)
    nats, slope, tags, score = _scored(model, emissions, TAGS, LENGTHS)
    assert {array.dtype.name for array in (emissions, nats, slope, score)} == {"float64"}
    assert tags.dtype == jnp.int32


def test_dropout_is_in_both_readers_and_follows_its_key():
    model, plain, more = speller(dropout=0.5), speller(), spelling()
    np.testing.assert_array_equal(model(TOKENS, **more), plain(TOKENS, **more))  # no rngs
    rngs = nnx.Rngs(dropout=1)
    found = model(TOKENS, rngs=rngs, **more)
    key = nnx.Rngs(dropout=1).dropout()
    np.testing.assert_array_equal(found, model(TOKENS, rngs=key, **more))
    keys = jax.random.split(key)
    given = {"lengths": None, "char_lengths": CHAR_LENGTHS, "rngs": keys[0]}
    spelt = model.speller(CHARACTERS, (3, 4), **given)
    xs = jnp.concatenate([model.reader.vectors(TOKENS, None), spelt], axis=-1)
    ys = np.float64(model.reader(xs, lengths=None, rngs=keys[1]))
    w = arrays(model)
    np.testing.assert_allclose(found, ys @ w["projection"].T + w["bias"], rtol=1e-5, atol=1e-5)
    plain(TOKENS, rngs=rngs, **more)  # draws nothing, for there is nothing to drop
    assert rngs.dropout.count.get_value() == 1


# ---------------------------------------------------------------------- what is read off emissions


def scored(output, emissions=EMISSIONS, lengths=LENGTHS, tags=TAGS):
    """Of the functions under jit: the log-likelihood, its gradient, tags and their score."""
    return _scored(build(output=output), *map(jnp.asarray, (emissions, tags, lengths)))


@nnx.jit
def _scored(model, emissions, tags, lengths):
    def loss(emissions):
        nats = model.log_likelihood(emissions, tags, lengths=lengths)
        return nats.sum(), nats

    slope, nats = jax.grad(loss, has_aux=True)(emissions)
    return nats, slope, *model.decode(emissions, lengths=lengths)


def test_softmax_is_the_sum_of_each_steps_log_probability():
    log_probs = log_softmax(EMISSIONS)
    nats, slope, tags, score = scored("softmax")
    given = np.take_along_axis(log_probs, TAGS[..., None], -1)[..., 0]
    close(nats, np.where(PADDED, 0, given).sum(-1))
    close(slope, np.where(PADDED[..., None], 0, np.eye(K)[TAGS] - np.exp(log_probs)))
    np.testing.assert_array_equal(tags, np.where(PADDED, 0, EMISSIONS.argmax(-1)))
    close(score, np.where(PADDED, 0, log_probs.max(-1)).sum(-1))
    assert tags.dtype == jnp.int32


def test_a_crf_is_the_module_of_that_name_on_the_emissions():
    alone = nn.CRF(K, allowed=BIO, rngs=nnx.Rngs(7))
    alone = nn.with_params(alone, nn.pure(build(output="crf")).params["crf"])
    nats, _, *decoded = scored("crf")
    close(nats, call(alone, EMISSIONS, TAGS, lengths=LENGTHS, method="log_likelihood"))
    close(tuple(decoded), call(alone, EMISSIONS, lengths=LENGTHS, method="viterbi"))


@pytest.mark.parametrize("output", ["softmax", "crf"])
def test_emissions_and_tags_in_the_pads_never_matter(output):
    clean = scored(output)
    for pad in (np.nan, np.inf, -1e30):
        dirty = np.where(PADDED[..., None], np.float32(pad), EMISSIONS)
        again = scored(output, dirty, tags=np.where(PADDED, -9, TAGS))
        jax.tree.map(np.testing.assert_array_equal, again, clean)
    nats, slope, tags, score = clean
    assert np.isfinite(slope).all() and (np.asarray(slope)[PADDED] == 0).all()
    assert (np.asarray(tags)[PADDED] == 0).all()
    assert nats[1] == 0 and score[1] == 0  # a row of length 0
    jax.tree.map(np.testing.assert_array_equal, scored(output, lengths=[9, -1, 2]), clean)


@pytest.mark.parametrize("output", ["softmax", "crf"])
def test_without_lengths_every_step_is_valid(output):
    model, full = build(output=output), np.array([4, 4, 4])
    for method, given in (("decode", (EMISSIONS,)), ("log_likelihood", (EMISSIONS, TAGS))):
        close(call(model, *given, method=method), call(model, *given, lengths=full, method=method))


def test_softmax_takes_any_batch_axes():
    model, (nats, _, tags, score) = build(), scored("softmax")
    two, more = EMISSIONS[:, None], {"lengths": LENGTHS[:, None]}
    close(call(model, two, TAGS[:, None], **more, method="log_likelihood")[:, 0], nats)
    close([array[:, 0] for array in call(model, two, **more, method="decode")], [tags, score])
    close(call(model, EMISSIONS[2], lengths=np.array(2), method="decode"), (tags[2], score[2]))


def test_softmax_of_half_precision_is_in_float32():
    halves = jnp.asarray(EMISSIONS, jnp.bfloat16)
    nats = call(build(), halves, TAGS, method="log_likelihood")
    score = call(build(), halves, method="decode")[1]
    expected = np.take_along_axis(log_softmax(halves), TAGS[..., None], -1).sum((1, 2))
    assert nats.dtype == score.dtype == jnp.float32
    np.testing.assert_allclose(nats, expected, rtol=1e-5)


@pytest.mark.parametrize("output", ["softmax", "crf"])
def test_methods_taken_apart_are_the_methods(output):
    model = build(output=output)
    params = nn.pure(model).params
    for method, given in (("log_likelihood", (EMISSIONS, TAGS)), ("decode", (EMISSIONS,))):
        found = nn.pure(model, method=method).apply(params, *given, lengths=LENGTHS)
        expected = getattr(model, method)(*given, lengths=LENGTHS)
        jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert ("crf" in params) == (output == "crf")


def test_traced_once_in_a_loop_whatever_the_weights():
    assert nn.pure(speller(0)).apply is nn.pure(speller(1)).apply
    function = compiled(nn.pure(speller()).apply)
    run(speller(), **spelling())
    before = function._cache_size()
    for seed in (0, 1):
        run(speller(seed), TOKENS[::-1].copy(), LENGTHS[::-1].copy(), **spelling())
    assert function._cache_size() == before


# ----------------------------------------------------------------------------- training


def allowed_path(tags):
    moves = [BIO.transitions[pair] for pair in itertools.pairwise(tags)]
    return BIO.initial[tags[0]] and BIO.final[tags[-1]] and all(moves)


def test_a_tagger_of_chunks_learns_and_never_leaves_the_scheme():
    rng = np.random.default_rng(0)
    tokens, lengths = rng.integers(0, 3, size=(40, 6)), rng.integers(1, 7, size=40)
    tags = np.zeros((40, 6), int)  # 0 is O, 1 begins a chunk, 2 goes on with it if there is one
    for t in range(6):
        inside = tags[:, t - 1] > 0 if t else np.zeros(40, bool)
        tags[:, t] = np.select([tokens[:, t] == 1, (tokens[:, t] == 2) & inside], [1, 2], 0)
    settings = {"vocab_size": 3, "cell": "elman", "output": "crf", "allowed": BIO}
    model = nn.SequenceTagger(3, 3, 6, rngs=nnx.Rngs(0), **settings)
    params, emit = nn.pure(model)
    likelihood = nn.pure(model, method="log_likelihood").apply

    def loss(params):
        emissions = emit(params, tokens, lengths=lengths)
        return -likelihood(params, emissions, tags, lengths=lengths).mean()

    right = []
    for weights in (params, fit(loss, params, rate=0.1)):
        tagger = nn.with_params(model, weights)
        emissions = call(tagger, tokens, lengths=lengths)
        found, _ = call(tagger, emissions, lengths=lengths, method="decode")
        for row, n in zip(np.asarray(found), lengths, strict=True):
            assert allowed_path(row[:n].tolist())
        right.append((found == tags)[np.arange(6) < lengths[:, None]].mean())
    assert right[0] < 0.8 and right[1] > 0.98


def test_what_is_forbidden_is_impossible_whatever_the_emissions():
    tempting = np.zeros((2, K), np.float32)
    tempting[:, 2] = 50  # I-X may not begin
    model = build(output="crf")
    assert model.decode(tempting)[0].tolist() == [1, 2]
    assert model.log_likelihood(tempting, np.array([2, 2])) == -jnp.inf


# --------------------------------------------------------------------------------------- messages


def refuses(kind, text, call):
    with pytest.raises(kind, match=re.escape(text)):
        call()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"num_tags": 0}, "`num_tags` must be a positive integer, but it is 0"),
        ({"char_vocab_size": 0}, "`char_vocab_size` must be a positive integer, but it is 0"),
        ({"output": "a"}, '`output` must be "softmax" or "crf", but it is \'a\''),
        (
            {"allowed": BIO},
            "`allowed` is of a CRF, and the output is a softmax.\n"
            '  Hint: choose output="crf", or leave `allowed` out.',
        ),
    ],
)
def test_a_wrong_setting_is_named(untyped, settings, text):
    given = {"num_tags": K, "input_size": I, "hidden_size": H, "rngs": nnx.Rngs(0)} | settings
    refuses(ValueError, f"SequenceTagger: {text}", lambda: nn.SequenceTagger(**given))


def test_characters_are_for_the_model_that_reads_them():
    hint = "\n  Hint: construct it with char_vocab_size, or without, as the data are."
    text = "SequenceTagger: `characters` are given, but this model does not read them."
    refuses(ValueError, text + hint, lambda: build()(TOKENS, **spelling()))
    text = "SequenceTagger: `characters` are missing, but this model reads them."
    refuses(ValueError, text + hint, lambda: speller()(TOKENS))


@pytest.mark.parametrize("shape", [(3,), (4, 2)])
def test_emissions_of_another_size_are_named(untyped, shape):
    text = (
        "SequenceTagger: `emissions` must have shape (*batch, T, K) with K = num_tags = 3, "
        f"but it has shape {shape}"
    )
    emissions = np.zeros(shape, np.float32)
    refuses(ValueError, text, lambda: build().decode(emissions))
    refuses(ValueError, text, lambda: build().log_likelihood(emissions, np.zeros(4, int)))


def test_tags_and_lengths_that_do_not_fit_are_named(untyped):
    model = build()
    text = "`tags` must be between 0 and K - 1 = 2, but there is 3"
    refuses(ValueError, text, lambda: model.log_likelihood(EMISSIONS, TAGS + 1))
    text = "`tags` must be integers, but they have dtype float32"
    refuses(TypeError, text, lambda: model.log_likelihood(EMISSIONS, np.float32(TAGS)))
    text = "SequenceTagger: `lengths` must have shape (*batch,) = (3,), but it has shape (2,)"
    refuses(ValueError, text, lambda: model.decode(EMISSIONS, lengths=LENGTHS[:2]))
    text = "`lengths` must be integers"
    refuses(TypeError, text, lambda: model.decode(EMISSIONS, lengths=np.float32(LENGTHS)))
    text = "`lengths` must be between 0 and T = 4, but there is 5"
    refuses(ValueError, text, lambda: model.decode(EMISSIONS, lengths=LENGTHS + 1))
