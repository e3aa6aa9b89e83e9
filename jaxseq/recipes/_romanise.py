"""Hangul in Latin letters, for pictures on machines without a font that has it."""

import unicodedata

_FIRST = "g kk n d tt r m b pp s ss  j jj ch k t p h".split(" ")
_VOWELS = "a ae ya yae eo e yeo ye o wa wae oe yo u wo we wi yu eu ui i".split(" ")
_LAST = " k k k n n n t l k m l l l p l m p p t t ng t t k t p t".split(" ")
_SYLLABLES = (0xAC00, 0xD7A3)


def romanised(text: str) -> str:
    """Returns a text with each syllable of Hangul in Latin letters, and the rest as it is.

    Each syllable stands by itself, as it sounds alone: what syllables do to one another is left
    out.

    Args:
      text: any.

    Example:
      >>> romanised("한글 {name}"), romanised("값")
      ('hangeul {name}', 'gap')

    References:
      National Institute of Korean Language, "Romanization of Korean", 2000.
    """
    return "".join(map(_syllable, unicodedata.normalize("NFC", text)))


def _syllable(character: str) -> str:
    if not _SYLLABLES[0] <= ord(character) <= _SYLLABLES[1]:
        return character
    number = ord(character) - _SYLLABLES[0]
    first, rest = divmod(number, len(_VOWELS) * len(_LAST))
    vowel, last = divmod(rest, len(_LAST))
    return _FIRST[first] + _VOWELS[vowel] + _LAST[last]
