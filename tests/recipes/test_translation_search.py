"""What a translator finds: against its own probabilities, with the placeholders of the source."""

import dataclasses
import math

import jax
import numpy as np
import pytest

from jaxseq._checks import InputError
from jaxseq.data import Pair
from jaxseq.recipes._nearest_translation import neighbours
from jaxseq.recipes._translation_config import Config, resolved
from jaxseq.recipes._translation_consensus import expected
from jaxseq.recipes._translation_model import built_for, memory_of, networks_of
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


@pytest.fixture(scope="module")
def pair():
    """Two networks that differ."""
    made = built_for(dataclasses.replace(CONFIG, networks=2), ROWS)
    return made._replace(params=jax.tree.map(lambda leaf: 3 * leaf, made.params))


def favouring(model, number, amount=30.0):
    """The model with a symbol that is always the likeliest."""

    def favour(path, leaf):
        bias = [part.key for part in path[-2:]] == ["decoder", "bias"]
        return leaf.at[number].add(amount) if bias else leaf

    return model._replace(params=jax.tree_util.tree_map_with_path(favour, model.params))


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
    read = jax.jit(model.functions.logits)
    networks = networks_of(model.params)
    logits = [read(one, coded, shown, source_lengths=lengths) for one in networks]
    powers = np.exp(np.array(logits, np.float64))
    shares = (powers / powers.sum(-1, keepdims=True)).mean(0) * ~banned
    with np.errstate(divide="ignore"):
        steps = np.log(shares / shares.sum(-1, keepdims=True))
    for text, row in zip(numbers, steps, strict=True):
        before = sum(row[t, n] for t, n in enumerate(text))
        yield len(text), before, before + row[len(text), 0]


STEPS = 40


@pytest.mark.parametrize("networks", [1, 2])
def test_what_is_found_has_the_probability_that_the_model_gives(networks, model, pair):
    model = favouring((model, pair)[networks - 1], 0, 2.0)  # so that some of them end
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


def test_a_network_and_itself_find_what_it_finds_alone(model):
    short = favouring(model, 0, 2.0)
    alone = translate(short, SOURCES, beam=3)
    twice = translate(short._replace(params=(short.params, short.params)), SOURCES, beam=3)
    for best, same in zip(alone, twice, strict=True):
        assert [one.text for one in same] == [one.text for one in best]
        for place in range(1, 4):  # log-probability, score and certainty
            assert [one[place] for one in same] == pytest.approx([one[place] for one in best])


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


def remembering(model, weight):
    config = dataclasses.replace(CONFIG, memory=weight)
    return model._replace(memory=memory_of(ROWS), config=config)


@pytest.mark.parametrize("weight", [0.01, 0.3])
def test_with_a_memory_the_best_are_the_most_like_all(model, weight):
    alone = translate(model, SOURCES, beam=3)
    found = translate(remembering(model, weight), SOURCES, beam=3)
    for source, before, after in zip(SOURCES, alone, found, strict=True):
        near = neighbours(memory_of(ROWS), source, count=5)
        similar = np.exp([one.similarity / 0.05 for one in near])
        likely = np.exp([one.log_prob for one in before])
        own = before[0].certainty * likely / likely.sum()
        texts = [one.text for one in before] + [one.target for one in near]
        texts = [text.replace("{x}", "").replace("{y}", "") for text in texts]
        scores = expected(texts, np.array([*own, *(weight * similar / similar.sum())]))
        by_text = dict(zip(texts, scores, strict=True))
        ranked = sorted(by_text.values(), reverse=True)[:3]
        assert [one.score for one in after] == pytest.approx(ranked)
        kept = {one.text: one for one in before}
        for one in after:
            assert one.score == pytest.approx(by_text[one.text])
            if one.text in kept:
                assert one == kept[one.text]._replace(score=one.score)
            else:
                assert math.isnan(one.log_prob) and math.isnan(one.certainty)


def test_a_memory_that_counts_for_much_has_the_best(model):
    always = remembering(model, 1e6)
    assert translate_best(always, ["ab {p} {q}", "ba", "ab {p}", ""], beam=1) == [
        *("가{p}{q}", "나", "가{p}", "")
    ]
    first = translate(always, ["ba"], beam=2)[0][0]
    assert math.isnan(first.log_prob) and first.score == pytest.approx(1, abs=1e-3)


def test_a_memory_that_counts_for_little_leaves_the_best_to_the_model(model):
    alone = translate_best(model, SOURCES, beam=1)
    found = translate_best(remembering(model, 1e-9), SOURCES, beam=1)
    # An empty translation is like none, so that it is never the best.
    kept = [a for a, b in zip(found, alone, strict=True) if b]
    assert kept == [text for text in alone if text] and len(kept) == 2 and all(found)


def test_what_model_and_memory_both_have_is_there_once(model):
    short = favouring(favouring(model, 0, 9.0), model.target.numbers["나"], 6.0)
    (before,) = translate(short, ["ba"], beam=3)
    (own,) = (one for one in before if one.text == "나")
    (after,) = translate(remembering(short, 1.0), ["ba"], beam=3)
    assert after[0] == own._replace(score=after[0].score)
    assert [one.text for one in after].count("나") == 1


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


def test_alignments_of_several_networks_are_their_mean(pair):
    ((source, target, weights),) = align(pair, ["ba"])
    numbers = pair.target.encode(target[:-1], [])[None]
    coded, begun = pair.source.encode(source, [])[None], np.pad(numbers, ((0, 0), (1, 0)))
    each = [pair.functions.alignments(one, coded, begun)[0] for one in pair.params]
    assert np.ptp(each, axis=0).max() > 0.01
    np.testing.assert_allclose(weights, (each[0] + each[1]) / 2, atol=1e-6)
