"""What a translator finds: against its own probabilities, with the placeholders of the source."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq._checks import InputError
from jaxseq.data import Pair
from jaxseq.recipes._translation_config import Config, resolved
from jaxseq.recipes._translation_model import built_for, memory_of
from jaxseq.recipes._translation_search import align, translate, translate_best
from jaxseq.recipes._translation_units import split

ROWS = [Pair("ab {x} {y}", "가{x}{y}"), Pair("ba", "나")]
SOURCES = ["ab {p} {q}", "ba", "{p}a", "b"]
CONFIG = resolved(Config(data="my.tsv", hidden_size=4, embed_size=3, length_penalty=0.0))


@pytest.fixture(scope="module")
def model():
    made = built_for(CONFIG, ROWS)
    # Weights three times as large as fresh ones make sure which symbol is the likeliest.
    return made._replace(params=jax.tree.map(lambda leaf: 3 * leaf, made.params))


def favouring(model, number, amount=30.0):
    """The model with a symbol that is always the likeliest."""
    params = {**model.params, "decoder": {**model.params["decoder"]}}
    params["decoder"]["bias"] = params["decoder"]["bias"].at[number].add(amount)
    return model._replace(params=params)


def log_probs_of(model, source, found):
    """The log-probability of each text after its symbols, and after its end, as a call has it."""
    symbols = split(source, "characters")
    names = [s for s in symbols if s.startswith("{")]
    banned = np.zeros(model.target.size, bool)
    banned[[1, *range(2 + len(names), 2 + model.target.slots)]] = True
    numbers = [model.target.encode(split(one.text, "characters"), names) for one in found]
    coded = np.zeros((len(found), STEPS), np.int32)
    coded[:, : len(symbols)] = model.source.encode(symbols, names)
    shown = np.zeros((len(found), STEPS + 1), np.int32)
    for row, text in zip(shown, numbers, strict=True):
        row[1 : 1 + len(text)] = text
    lengths = np.full(len(found), len(symbols))
    logits = jax.jit(model.functions.logits)(model.params, coded, shown, source_lengths=lengths)
    steps = np.asarray(jax.nn.log_softmax(jnp.where(banned[None, None], -jnp.inf, logits)))
    for text, row in zip(numbers, steps, strict=True):
        before = sum(row[t, n] for t, n in enumerate(text))
        yield len(text), before, before + row[len(text), 0]


STEPS = 40


def test_what_is_found_has_the_probability_that_the_model_gives(model):
    model = favouring(model, 0, 2.0)  # so that some of them end
    ended = 0
    for source, best in zip(SOURCES, translate(model, SOURCES, beam=3), strict=True):
        assert len(best) == 3 and len({one.text for one in best}) == 3
        scores = [one.score for one in best]
        assert scores == sorted(scores, reverse=True) and scores[0] == best[0].log_prob
        for one, (length, cut, whole) in zip(best, log_probs_of(model, source, best), strict=True):
            ended += length < 10  # no search is cut before that
            assert one.log_prob == pytest.approx(whole if length < 10 else cut, abs=1e-3)
            assert one.certainty == pytest.approx(math.exp(one.log_prob / (length + 1)))
    assert ended >= 6


def test_a_source_alone_is_translated_as_among_others(model):
    together = translate_best(model, SOURCES, beam=3)
    # Sources of different lengths, so that one of a batch is padded.
    apart = [translate_best(model, [SOURCES[k]], beam=3)[0] for k in (0, 1)]
    assert together[:2] == apart


def test_placeholders_are_those_of_the_source_and_no_others(model):
    wanted = favouring(model, 2)  # the first placeholder, which `ba` does not have
    one, two, none = translate_best(wanted, ["a {new}", "{b}{new}", "ba"], beam=1)
    assert one == "{new}" * (len(one) // 5) and two == "{b}" * (len(two) // 3)
    assert "{" not in none
    third = favouring(model, 3)
    assert "{new}" not in translate_best(third, ["a {new}"], beam=1)[0]
    more = translate_best(third, ["{a}{b}{c}"], beam=1)[0]  # more than training has
    assert set(split(more, "characters")) == {"{b}"}


def test_no_unknown_symbol_is_written(model):
    found = translate_best(favouring(model, 1), ["ab", "zzz"], beam=1)
    assert all(set(text) <= {*"가나"} for text in found)


def test_a_translation_that_does_not_end_is_cut(model):
    (text,) = translate_best(favouring(model, model.target.numbers["가"]), ["abab"], beam=1)
    growth = 4 / 8
    assert model.growth == growth and text == "가" * (10 + math.ceil(2 * growth * 4))


def test_an_empty_source_has_an_empty_translation(model):
    found = translate(model, ["", "ab", " "], beam=2)
    assert found[0] == found[2] == [("", 0.0, 0.0, 1.0)] and len(found[1]) == 2
    for sources in ([], [" "]):
        with pytest.raises(InputError, match="translation: there is no text to translate"):
            translate(model, sources)


def test_where_the_model_is_not_sure_the_memory_is_taken(model):
    alone = translate(model, SOURCES, beam=2)
    least = sorted(best[0].certainty for best in alone)[1]  # one of them is less sure
    config = dataclasses.replace(CONFIG, memory=least)
    remembering = model._replace(memory=memory_of(ROWS), config=config)
    for source, before, after in zip(
        SOURCES, alone, translate(remembering, SOURCES, beam=2), strict=True
    ):
        if before[0].certainty >= least:
            assert after == before
            continue
        first, second = after
        assert first.text == ("가{p}{q}" if source == SOURCES[0] else "나")
        assert math.isnan(first.log_prob) and second == before[0]
    always = remembering._replace(config=dataclasses.replace(CONFIG, memory=1.0))
    assert translate_best(always, ["ab {p} {q}", "ba", "ab {p}", ""], beam=1) == [
        *("가{p}{q}", "나", "가{p}", "")
    ]


def test_the_beam_of_the_settings_is_the_default(model):
    narrow = model._replace(config=dataclasses.replace(CONFIG, beam=2))
    assert [len(best) for best in translate(narrow, ["ab"])] == [2]


def test_alignments_are_those_of_what_is_found(model):
    short = favouring(model, 0, 2.0)
    for source, (symbols, target, weights) in zip(
        ["ab {p}", "ba"], align(short, ["ab {p}", "ba"]), strict=True
    ):
        assert symbols == split(source, "characters") and target[-1] == "end"
        assert "".join(target[:-1]) == translate_best(short, [source])[0]
        assert weights.shape == (len(target), len(symbols))
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
