"""Words by their characters: each has a vector of its own, whatever stands beside it."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from readers import arrays, drawn, layers

from jaxseq import nn
from jaxseq.nn._speller import Speller

V, E, H = 5, 2, 2
CHARACTERS = np.random.default_rng(0).integers(0, V, size=(2, 3, 4))
CHAR_LENGTHS = np.array([[4, 0, 2], [1, 3, 4]])
LENGTHS = np.array([3, 2])


@functools.cache
def build(**settings):
    settings = {"cell": "elman", "dropout": 0.0, "param_dtype": jnp.float32, **settings}
    return drawn(lambda: Speller("Model", V, E, H, rngs=jax.random.key(0), **settings))


def spell(characters=CHARACTERS, char_lengths=CHAR_LENGTHS, lengths=LENGTHS, *, model=None, **more):
    given = {"char_lengths": char_lengths, "lengths": lengths, "rngs": None, **more}
    return (model or build())(characters, characters.shape[:-1], **given)


@pytest.mark.parametrize("cell", ["elman", "lstm"])
def test_a_word_is_what_each_direction_has_when_it_has_read_it(cell):
    model = build(cell=cell)
    xs = arrays(model)["reader"]["embedding"][CHARACTERS]
    counts = np.where(np.arange(3) < LENGTHS[:, None], CHAR_LENGTHS, 0)
    _, ends = layers(cell, model.reader.rnn.params, xs, counts)
    found = spell(model=model)
    np.testing.assert_allclose(found, ends, rtol=1e-5, atol=1e-6)
    assert found.shape[-1] == model.output_size == 2 * H
    assert (found[0, 1] == 0).all() and (found[1, 2] == 0).all()  # no characters; a pad


def test_a_word_is_the_same_beside_other_words_and_behind_other_pads():
    word, char_lengths = np.array([3, 1, 4, 0]), np.array([[3]])
    alone = spell(word[None, None], char_lengths, None)[0, 0]
    words = CHARACTERS.copy()
    words[1, 0] = word
    counts = np.full((2, 3), 4)
    counts[1, 0] = 3
    np.testing.assert_allclose(spell(words, counts)[1, 0], alone, rtol=1e-6)
    np.testing.assert_allclose(spell(word[None, None, :3], None, None)[0, 0], alone, rtol=1e-6)


def test_what_is_in_the_pads_never_matters():
    params, apply = nn.pure(build())
    counts = np.where(np.arange(3) < LENGTHS[:, None], CHAR_LENGTHS, 99)
    in_pads = np.arange(4) >= counts[..., None]
    in_pads[1, 2] = True

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def run(params, characters, counts):
        given = {"char_lengths": counts, "lengths": LENGTHS, "rngs": None}
        vectors = apply(params, characters, (2, 3), **given)
        return (vectors**2).sum(), vectors

    clean = run(params, CHARACTERS, CHAR_LENGTHS)
    dirty = np.where(in_pads, -7, CHARACTERS)
    jax.tree.map(np.testing.assert_array_equal, run(params, dirty, counts), clean)
    np.testing.assert_allclose(spell(dirty, counts), clean[0][1], rtol=1e-6)  # eagerly too
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(clean))


def test_all_characters_are_read_where_no_number_of_them_is_given():
    full = np.full((2, 3), 4)
    np.testing.assert_array_equal(spell(char_lengths=None), spell(char_lengths=full))


def test_batch_axes_are_as_one():
    found = spell(CHARACTERS[:, None], CHAR_LENGTHS[:, None], LENGTHS[:, None])
    np.testing.assert_allclose(found[:, 0], spell(), rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 0, 4), (2, 3, 0)])
def test_there_may_be_no_word_or_no_character(shape):
    vectors = spell(np.zeros(shape, int), None, None)
    assert vectors.shape == (*shape[:2], 2 * H) and (vectors == 0).all()


# --------------------------------------------------------------------------------------- messages


def refuses(kind, text, **given):
    with pytest.raises(kind, match=re.escape(f"Model: {text}")):
        spell(**given)


def test_characters_are_called_so(untyped):
    text = "`characters` must lie in [0, char_vocab_size) = [0, 5), but they range from 5 to 5"
    refuses(ValueError, text, characters=np.full((2, 3, 4), 5))
    text = "`characters` must be integers, but they are float32"
    refuses(TypeError, text, characters=np.ones((2, 3, 4), np.float32))


def test_there_are_characters_of_every_word(untyped):
    text = (
        "`characters` must have shape (*batch, T, C) with (*batch, T) = (3,), "
        "but they have shape (2, 4)"
    )
    with pytest.raises(ValueError, match=re.escape(f"Model: {text}")):
        build()(CHARACTERS[0, :2], (3,), char_lengths=None, lengths=None, rngs=None)


def test_their_number_fits(untyped):
    text = "`char_lengths` must have shape (*batch, T) = (2, 3), but it has shape (2,)"
    refuses(ValueError, text, char_lengths=LENGTHS)
    text = "`char_lengths` must lie in [0, C] = [0, 4], but they range from -1 to 5"
    refuses(ValueError, text, char_lengths=np.array([[5, -1, 0], [0, 0, 0]]))
    text = "`char_lengths` must be integers, but they are float32"
    refuses(TypeError, text, char_lengths=np.ones((2, 3), np.float32))
    text = "`lengths` must have shape (*batch,) = (2,), but it has shape (3,)"
    refuses(ValueError, text, lengths=np.array([1, 1, 1]))


@pytest.mark.parametrize("name", ["char_vocab_size", "char_embed_size", "char_hidden_size"])
def test_sizes_are_named_as_the_model_names_them(name):
    sizes = {"char_vocab_size": V, "char_embed_size": E, "char_hidden_size": H} | {name: 0}
    options = {"cell": "elman", "dropout": 0.0, "param_dtype": jnp.float32}
    text = f"Model: `{name}` must be a positive integer, but it is 0"
    with pytest.raises(ValueError, match=re.escape(text)):
        Speller("Model", *sizes.values(), rngs=jax.random.key(0), **options)
