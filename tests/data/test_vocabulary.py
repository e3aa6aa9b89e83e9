"""Vocabularies: the round trip, unknown symbols, storage, messages."""

import json
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxseq._checks import InputError
from jaxseq.data import Vocabulary

TEXTS = st.text(
    st.one_of(
        st.characters(), st.sampled_from("가힣 \t\r\n\u0301\u1112\u1161'’don_7.,\u00a0\u2028")
    ),
    min_size=1,
)
KINDS = {"characters": Vocabulary.of_characters, "words": Vocabulary.of_words}
few = settings(deadline=None, max_examples=60)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unknown", [None, "\ufffd"])
@few
@given(text=TEXTS)
def test_decoding_what_was_encoded_gives_the_same_text(kind, unknown, text):
    vocabulary = KINDS[kind](text, unknown=unknown)
    ids = vocabulary.encode(text)
    assert ids.dtype == np.int32
    assert vocabulary.decode(ids) == text
    assert vocabulary.kind == kind


@pytest.mark.parametrize("kind", KINDS)
@few
@given(text=TEXTS)
def test_every_symbol_of_the_text_is_used_and_listed_once(kind, text):
    vocabulary = KINDS[kind](text)
    assert sorted(set(vocabulary.encode(text).tolist())) == list(range(len(vocabulary)))
    assert list(vocabulary.symbols) == sorted(set(vocabulary.symbols))


@pytest.mark.parametrize("kind", KINDS)
@few
@given(text=TEXTS, other=TEXTS)
def test_with_an_unknown_symbol_every_text_can_be_encoded(kind, text, other):
    vocabulary = KINDS[kind](text, unknown="\ufffd")
    ids = vocabulary.encode(other)
    mine = KINDS[kind](other)
    pieces = [mine.symbols[place] for place in mine.encode(other)]
    known = set(vocabulary.symbols)
    expected = [piece if piece in known else "\ufffd" for piece in pieces]
    assert vocabulary.decode(ids) == "".join(expected)


def test_one_hangul_syllable_is_one_symbol():
    vocabulary = Vocabulary.of_characters("한국 한")
    assert vocabulary.symbols == (" ", "국", "한")
    np.testing.assert_array_equal(vocabulary.encode("한국"), [2, 1])


def test_decomposed_text_keeps_its_jamo():
    text = unicodedata.normalize("NFD", "한국")
    vocabulary = Vocabulary.of_characters(text)
    assert len(vocabulary) == 6
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_line_ends_stay_as_they_are():
    text = "a\r\nb\rc\n"
    for make in KINDS.values():
        vocabulary = make(text)
        assert vocabulary.decode(vocabulary.encode(text)) == text


def test_words_white_space_and_punctuation_are_symbols():
    text = "“Don't,” said 이슈마엘;\n\n  'tis snake_case 3.5"
    vocabulary = Vocabulary.of_words(text)
    pieces = [vocabulary.symbols[place] for place in vocabulary.encode(text)]
    assert pieces == [
        *("“", "Don't", ",", "”", " ", "said", " ", "이슈마엘", ";", "\n\n  ", "'", "tis"),
        *(" ", "snake_case", " ", "3", ".", "5"),
    ]


def test_an_unknown_symbol_has_id_0_and_decodes_to_itself():
    vocabulary = Vocabulary.of_characters("abc", unknown="\ufffd")
    assert (vocabulary.unknown_id, len(vocabulary)) == (0, 4)
    np.testing.assert_array_equal(vocabulary.encode("axb가"), [1, 0, 2, 0])
    assert vocabulary.decode([1, 0, 2, 0]) == "a\ufffdb\ufffd"


def test_a_text_that_holds_the_unknown_symbol_keeps_it():
    vocabulary = Vocabulary.of_characters("a\ufffdb", unknown="\ufffd")
    assert vocabulary.symbols == ("\ufffd", "a", "b")
    assert vocabulary.decode(vocabulary.encode("a\ufffd")) == "a\ufffd"


def test_an_unknown_word_may_look_like_anything():
    vocabulary = Vocabulary.of_words("to be", unknown="<unk>")
    assert vocabulary.decode(vocabulary.encode("to <unk> be")) == "to <unk><unk><unk> be"


def test_rare_symbols_become_unknown():
    vocabulary = Vocabulary.of_words("a a b", unknown="\ufffd", min_count=2)
    assert vocabulary.symbols == ("\ufffd", " ", "a")


def test_without_an_unknown_symbol_there_is_no_unknown_id():
    assert Vocabulary.of_characters("a").unknown_id is None


def test_no_text_has_no_ids_and_no_ids_have_no_text():
    vocabulary = Vocabulary.of_characters("a")
    assert vocabulary.encode("").shape == (0,)
    assert vocabulary.decode([]) == ""
    assert vocabulary.decode(np.zeros(0, np.int32)) == ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unknown", [None, "\ufffd"])
def test_json_gives_an_equal_vocabulary_back(kind, unknown):
    vocabulary = KINDS[kind]("나는 don't\r\n", unknown=unknown)
    back = Vocabulary.from_dict(json.loads(json.dumps(vocabulary.to_dict())))
    assert back == vocabulary
    assert hash(back) == hash(vocabulary)


def test_a_vocabulary_cannot_be_changed():
    with pytest.raises(AttributeError):
        Vocabulary.of_characters("a").kind = "words"


def test_it_shows_its_size_and_not_its_symbols():
    assert repr(Vocabulary.of_words("to be")) == "Vocabulary(3 words, unknown=None)"


def test_an_unseen_symbol_is_named_with_its_place_and_the_remedy():
    message = (
        "Vocabulary.encode: the symbol '한' at character 2 is not among the 3 characters of the "
        "vocabulary (in all, 2 unknown symbols at 3 places).\n  Hint: leave it out, or make the "
        "vocabulary with unknown='\\ufffd' or from a larger text."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        Vocabulary.of_characters("abc").encode("ab한국c한")


def test_the_place_of_an_unseen_word_is_a_character():
    message = "the symbol 'not' at character 3 is not among the 3 words of the vocabulary "
    with pytest.raises(InputError, match=re.escape(message + "(in all, 1 unknown symbol at 1 pl")):
        Vocabulary.of_words("to be").encode("to not")


def test_decomposed_text_is_recognised():
    vocabulary = Vocabulary.of_characters("한국")
    with pytest.raises(InputError, match=r"decomposed Unicode \(NFD\): pass it through normalize_"):
        vocabulary.encode(unicodedata.normalize("NFD", "국한"))


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_text_makes_no_vocabulary(kind):
    with pytest.raises(InputError, match=rf"^Vocabulary.of_{kind}: `text` is empty.\n  Hint: give"):
        KINDS[kind]("")


def test_min_count_is_at_least_1():
    with pytest.raises(ValueError, match=r"`min_count` must be at least 1, but it is 0\.$"):
        Vocabulary.of_characters("a", min_count=0)


def test_min_count_needs_an_unknown_symbol():
    message = r"`min_count` above 1 needs an `unknown` symbol.\n  Hint: give unknown='\\ufffd'"
    with pytest.raises(ValueError, match=message):
        Vocabulary.of_words("a", min_count=2)


def test_ids_out_of_range_are_named():
    vocabulary = Vocabulary.of_characters("abc")
    with pytest.raises(ValueError, match=r"must lie in \[0, 3\), but ids\[1\] is 3\.\n  Hint: the"):
        vocabulary.decode([0, 3])
    with pytest.raises(ValueError, match=r"but ids\[0\] is -1"):
        vocabulary.decode(np.array([-1]))


def test_ids_are_integers_on_one_axis():
    vocabulary = Vocabulary.of_characters("abc")
    with pytest.raises(TypeError, match=r"`ids` must be integers, but they are float64\.$"):
        vocabulary.decode([0.0])
    with pytest.raises(ValueError, match=r"must have shape \(T,\), but it has shape \(1, 1\)\."):
        vocabulary.decode([[0]])


@pytest.mark.parametrize(
    ("symbols", "kind", "unknown", "message"),
    [
        (("a",), "syllables", None, r"`kind` is 'syllables'.\n  Hint: use 'characters' or 'words'"),
        ((), "words", None, "`symbols` is empty.\n  Hint: make the vocabulary from a text"),
        (("a", "b", "a"), "words", None, "the symbol 'a' occurs 2 times in `symbols`"),
        (
            ("a",),
            "words",
            "b",
            "the unknown symbol 'b' must be the first of `symbols`, which is 'a",
        ),
        (("",), "words", "", "the unknown symbol must not be empty.\n  Hint: use '"),
        (("ab",), "characters", None, "'ab' in `symbols` is not one of the characters"),
        (("a b",), "words", None, "'a b' in `symbols` is not one of the words"),
        (("<unk>", ""), "words", "<unk>", "'' in `symbols` is not one of the words"),
    ],
)
def test_what_cannot_be_a_vocabulary_is_refused(untyped, symbols, kind, unknown, message):
    with pytest.raises(InputError, match=f"^Vocabulary: {message}"):
        Vocabulary(symbols, kind, unknown)
    state = {"version": 1, "kind": kind, "unknown": unknown, "symbols": list(symbols)}
    with pytest.raises(InputError, match=f"^Vocabulary: {message}"):
        Vocabulary.from_dict(state)


GOOD = {"version": 1, "kind": "words", "unknown": None, "symbols": ["a"]}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (GOOD | {"version": 2}, "`state` is of version 2, and this reads 1.\n  Hint: make the"),
        (GOOD | {"symbols": "a"}, "`symbols` must be a list of str, `kind` a str, `unknown` a str"),
        (GOOD | {"symbols": [1]}, "`symbols` must be a list of str"),
        (GOOD | {"unknown": 0}, "`symbols` must be a list of str"),
        (GOOD | {"kind": None}, "`symbols` must be a list of str"),
        (
            {"kind": "words"},
            r"`state` must have the keys \['kind', 'symbols', 'unknown', 'version'",
        ),
        (GOOD | {"more": 1}, "but what came is .*'more'.*\n  Hint: use what `to_dict` returned"),
        ([1], "but what came is <class 'list'>"),
    ],
)
def test_a_stored_vocabulary_is_checked(untyped, state, message):
    with pytest.raises(InputError, match=f"^Vocabulary.from_dict: .*{message}"):
        Vocabulary.from_dict(state)
