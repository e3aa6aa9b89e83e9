"""Hangul in Latin letters: each syllable as it sounds alone."""

import unicodedata

import pytest

from jaxseq.recipes._romanise import romanised


@pytest.mark.parametrize(
    ("text", "latin"),
    [
        ("한글", "hangeul"),
        ("부산 서울", "busan seoul"),
        ("꽃, 빵 쌀 짝 떡!", "kkot, ppang ssal jjak tteok!"),
        ("의왕 워드 쾌", "uiwang wodeu kwae"),
        ("값 닭 삶 앉 많 옳 밖 있 앞 끝", "gap dak sam an man ol bak it ap kkeut"),
        ("ox {name} 漢", "ox {name} 漢"),
        ("", ""),
    ],
)
def test_syllables_are_written_as_the_institute_does(text, latin):
    assert romanised(text) == latin
    assert romanised(unicodedata.normalize("NFD", text)) == latin


def test_all_syllables_have_letters():
    latin = [romanised(chr(number)) for number in range(0xAC00, 0xD7A4)]
    assert all(text.isascii() and text.isalpha() for text in latin)
    assert romanised("\uabff\ud7a4") == "\uabff\ud7a4"
