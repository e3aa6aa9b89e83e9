"""What a translation run reports: its figures against sums by hand, its files, its lines."""

import dataclasses
import json
from importlib import util

import pytest
from sacrebleu.metrics import BLEU, CHRF

from jaxseq.data import Pair
from jaxseq.recipes import _nearest_translation, translation
from jaxseq.recipes._translation_config import Config, resolved
from jaxseq.recipes._translation_data import Parts, Texts, texts_of
from jaxseq.recipes._translation_model import built_for, memory_of
from jaxseq.recipes._translation_report import (
    check_scoring,
    leave_report,
    measures,
    others,
    report_on,
    summary,
)

SOUNDS = Texts(["ox", "read", "a"], [["AA K S"], ["R IY D", "R EH D"], ["AH", "EY"]])
STRINGS = Texts(
    ["Turn on", "Turn off {x}", "No"], [["켜기", "켜다"], ["{x} 끄기"], ["아니요, 아니에요 no"]]
)


TINY = resolved(Config(data="my.tsv", hidden_size=4, embed_size=2, beam=1))


# ------------------------------------------------------------------------------------- figures


def test_the_error_rates_are_those_by_hand():
    found = ["AA K", "R EH D", "EY AH"]
    page = measures(found, SOUNDS, "spaces")
    assert page == {
        **{"sources": 3, "word_error_rate": pytest.approx(2 / 3)},
        # One phone of three is missing, none of three is wrong, one is added to one.
        "phoneme_error_rate": pytest.approx(2 / (3 + 3 + 1)),
    }
    assert json.loads(json.dumps(page)) == page


def test_no_translation_at_all_is_all_wrong():
    page = measures(["", "", ""], SOUNDS, "spaces")
    assert (page["word_error_rate"], page["phoneme_error_rate"]) == (1.0, 1.0)


def test_bleu_and_chrf_are_those_of_sacrebleu():
    found = ["켜다", "{x} 끄다", "아니요, 아니에요 yes"]
    page = measures(found, STRINGS, "characters")
    streams = [[right[0] for right in STRINGS.targets], ["켜다", None, None]]
    assert page["chrf"] == CHRF().corpus_score(found, streams).score
    assert page["bleu"] == BLEU().corpus_score(found, streams).score
    characters = BLEU(tokenize="char")
    assert page["bleu_of_characters"] == characters.corpus_score(found, streams).score
    assert page["signatures"]["bleu_of_characters"] == str(characters.get_signature())
    assert "tok:char" in page["signatures"]["bleu_of_characters"]
    assert page["exact_match"] == pytest.approx(1 / 3)
    # A placeholder is one symbol: one of four is wrong, and three of fourteen.
    assert page["symbol_error_rate"] == pytest.approx((0 + 1 + 3) / (2 + 4 + 12))
    assert json.loads(json.dumps(page)) == page


def test_what_is_right_scores_a_hundred():
    page = measures(["켜기", "{x} 끄기", "아니요, 아니에요 no"], STRINGS, "words")
    assert page["chrf"] == pytest.approx(100) == page["bleu_of_characters"]
    assert page["exact_match"] == 1 and page["symbol_error_rate"] == 0


def test_the_other_model_is_the_one_called_directly():
    train = [Pair("on", "켜기"), Pair("off", "끄기"), Pair("on", "켜다")]
    test = [Pair("one", "켜기"), Pair("of", "꺼짐")]
    model = built_for(TINY, train)
    page = others(Parts(train, [], test), model)
    nearest = _nearest_translation.fit(["on", "off"], ["켜기", "끄기"])
    found = _nearest_translation.predict(nearest, ["one", "of"])
    assert page == {
        "test": {"the nearest training source": measures(found, texts_of(test), "characters")}
    }
    assert others(Parts(train, [], []), model) == {}
    sure = dataclasses.replace(TINY, memory=1.0)
    remembering = model._replace(memory=memory_of(train), config=sure)
    both = others(Parts(train, [], test), remembering)["test"]
    alone, _ = report_on(model, texts_of(test))
    assert both == page["test"] | {
        "this model without its memory": measures(alone, texts_of(test), "characters")
    }


def test_without_sacrebleu_texts_are_refused_before_training(monkeypatch):
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    texts, sounds = (resolved(Config(data="my.tsv", target_units=u)) for u in ("words", "spaces"))
    problem = r"recipes: sacrebleu, .*, is not installed\.\n  Hint: pip install 'jaxseq\[translat"
    with pytest.raises(ImportError, match=problem):
        check_scoring(texts)
    check_scoring(sounds)


# --------------------------------------------------------------------------------------- files


@pytest.fixture(scope="module")
def model():
    rows = [Pair("abcd", "A B"), Pair("bcda", "B A")]
    config = Config(data="my.tsv", hidden_size=4, embed_size=2, target_units="spaces", beam=1)
    return built_for(resolved(config), rows)


def test_the_errors_are_there_with_the_worst_first(model, tmp_path):
    texts = Texts(["abcd", "b\td", "cc", "dd"], [["A B"], ["B B A", "B"], ["A"], ["A B A", "B B"]])
    leave_report(tmp_path, {"data": "my.tsv"}, model, ["A B", "A", "B B", "B A B B"], texts)
    lines = [line.split("\t") for line in (tmp_path / "errors.tsv").read_text().splitlines()]
    assert lines == [
        ["edits", "source", "found", "right"],
        ["2", "cc", "B B", "A"],
        ["2", "dd", "B A B B", "A B A"],
        ["1", "b d", "A", "B"],
    ]
    assert json.loads((tmp_path / "report.json").read_text()) == {"data": "my.tsv"}
    assert (tmp_path / "alignments.png").stat().st_size > 0


def test_sources_too_short_to_look_at_are_not_drawn(model, tmp_path):
    leave_report(tmp_path, {"data": "my.tsv"}, model, ["A"], Texts(["ab"], [["A"]]))
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "errors.tsv"}


# --------------------------------------------------------------------------------------- lines


def test_the_summary_has_a_line_for_each_model_of_each_part():
    row = {"sources": 2, "word_error_rate": 0.35, "phoneme_error_rate": 0.08125}
    report = {
        **{"data": "cmudict", "test": row, "valid": row},
        "others": {"test": {"a simple model": row | {"word_error_rate": 1.0}}, "valid": {}},
    }
    assert summary(report).split("\n") == [
        "cmudict, test part, 2 sources",
        "   words  phonemes  wrong (%)",
        "   35.00      8.12  this model",
        "  100.00      8.12  a simple model",
        "cmudict, valid part, 2 sources",
        "   words  phonemes  wrong (%)",
        "   35.00      8.12  this model",
    ]
    assert translation.summary is summary


def test_the_summary_of_an_evaluation_of_texts():
    page = {"data": "my.tsv", "sources": 3, "chrf": 41.5, "bleu": 20.25, "exact_match": 0.125}
    assert summary(page | {"bleu_of_characters": 30.0}).split("\n") == [
        "my.tsv, 3 sources",
        "    chrF    BLEU  BLEU of characters   exact (%)",
        "   41.50   20.25               30.00       12.50  this model",
    ]
