"""Where a language model's text comes from, and what its symbols are."""

import numpy as np
import pytest

from jaxseq import data
from jaxseq._checks import InputError
from jaxseq.recipes._language_model_text import (
    UNKNOWN,
    check_text,
    mark,
    opening,
    read_parts,
    read_source,
    vocabulary_of,
)


def test_a_bundled_text_is_all_of_its_parts():
    corpus = data.load("korean_constitution")
    assert read_source("korean_constitution") == corpus.train + corpus.valid + corpus.test
    assert read_parts("korean_constitution") == (corpus.train, corpus.valid, corpus.test)


def test_a_bundled_text_without_a_split_is_cut_like_a_file():
    text = data.load("lambda_phage").train
    assert read_parts("lambda_phage") == data.split_text(text)


def test_a_file_comes_before_a_bundled_text_of_the_same_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "moby_dick").write_text("no whale\r\n")
    assert read_source("moby_dick") == "no whale\n"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("moby_dik", r"language-model: there is no file and no bundled text 'moby_dik'\.\n  "
         "Hint: did you mean 'moby_dick'"),
        ("zzz", "no bundled text 'zzz'.\n  Hint: use moby_dick or korean_constitution, or a text"),
        ("moby_dik.txt", "there is no file `moby_dik.txt`"),
        ("texts/moby_dik", "there is no file `texts/moby_dik`"),
        ("nile", "the bundled nile is no running text.\n  Hint: use moby_dick"),
        ("cmudict", "the bundled cmudict is no running text"),
    ],
)  # fmt: skip
def test_what_is_no_text_is_an_error(source, problem):
    with pytest.raises(InputError, match=problem):
        read_source(source)


def test_a_text_is_told_from_another_one():
    assert mark("고래") == mark("고래") != mark("고래 ")
    assert mark("ab") != mark("ba")


def test_a_text_that_has_changed_is_an_error():
    check_text({"text": mark("whale")}, "whale", "a.txt")
    problem = r"the text a\.txt is not what it was when the run began\.\n  Hint: bring the text"
    for page in ({"text": mark("whale")}, {}):
        with pytest.raises(InputError, match=problem):
            check_text(page, "while", "a.txt")


def test_every_character_is_known_and_others_are_unknown():
    vocabulary = vocabulary_of("abca", "characters")
    assert vocabulary.symbols == (UNKNOWN, "a", "b", "c")
    assert vocabulary.encode("ax").tolist() == [1, vocabulary.unknown_id]


def test_a_word_that_occurs_once_stands_for_the_unknown():
    vocabulary = vocabulary_of("the whale and the sea", "words")
    assert vocabulary.symbols == (UNKNOWN, " ", "the")
    assert np.bincount(vocabulary.encode("the whale and the sea")).tolist() == [3, 4, 2]


def test_a_text_in_which_no_word_occurs_twice_is_an_error():
    problem = r"no word of the text occurs twice\.\n  Hint: give more text, or model it by char"
    with pytest.raises(InputError, match=problem):
        vocabulary_of("바다와고래", "words")


def test_a_text_opens_with_a_line_or_with_what_there_is():
    assert opening(vocabulary_of("ab\nab", "characters")) == "\n"
    assert opening(vocabulary_of("ab", "characters")) == "b"
    assert opening(vocabulary_of("the sea. the sea", "words")) == "the"
