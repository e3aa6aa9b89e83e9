"""The symbols of a text, and their numbers: a text to integers and back.

The placeholders of a source are numbered in their order, and a target names them by that number: so
one that training has never seen is handed on like any other.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from jaxseq.recipes import _pieces

EDGE, UNKNOWN, FIRST = 0, 1, 2
"""The numbers of the beginning and end of a target (and of padding), of a symbol that training does
not have, and of the first placeholder; after the placeholders come the symbols."""

_PLACEHOLDER = r"\{[^{}]*\}"
_IS_PLACEHOLDER = re.compile(_PLACEHOLDER)
_SPLIT = {
    "characters": re.compile(rf"{_PLACEHOLDER}|.", re.DOTALL),
    # A word takes the space before it along, so that joining undoes splitting.
    "words": re.compile(rf"{_PLACEHOLDER}| ?\w+(?:['’]\w+)*|(?! ?{_PLACEHOLDER}) ?[^\w\s]|\s"),
    "spaces": re.compile(r"\S+"),
}
_SPLIT["pieces"] = _SPLIT["words"]  # which are then cut, by what training has learnt


def split(text: str, units: str) -> list[str]:
    """Returns the symbols of a text; a ``{placeholder}`` is always one of its own.

    White space at the ends is no part of it, and within it a run of it is one space.

    Args:
      text: any.
      units: ``"characters"``; ``"words"`` (and punctuation); ``"pieces"``, for which these are
        still to be cut; or ``"spaces"`` for what stands between them.

    Example:
      >>> split("Hi {name}!", "characters"), split("Log in, {user}", "words")
      (['H', 'i', ' ', '{name}', '!'], ['Log', ' in', ',', ' ', '{user}'])
      >>> split("AA K S", "spaces")
      ['AA', 'K', 'S']
    """
    return _SPLIT[units].findall(" ".join(text.split()))


def split_source(text: str, units: str) -> list[str]:
    """Returns the symbols of a source: words in small letters, and without the space before them.

    A source is never joined again, and what a word means seldom depends on that. What is still to
    be cut into pieces keeps the space, which tells the beginning of a word.

    Args:
      text: any.
      units: as in :func:`split`.

    Example:
      >>> split_source("Log in, {User}", "words"), split_source("In", "characters")
      (['log', 'in', ',', '{User}'], ['I', 'n'])
    """
    symbols = split(text, units)
    if units not in ("words", "pieces"):
        return symbols
    small = [s if _IS_PLACEHOLDER.fullmatch(s) else s.lower() for s in symbols]
    return small if units == "pieces" else [bare for s in small if (bare := s.strip())]


def join(symbols: Iterable[str], units: str) -> str:
    """Returns the text that symbols are of: the way back from :func:`split`.

    Example:
      >>> join(["Log", " in", ",", " ", "{user}"], "words"), join(["AA", "K", "S"], "spaces")
      ('Log in, {user}', 'AA K S')
    """
    return (" " if units == "spaces" else "").join(symbols)


def placeholders(symbols: Iterable[str]) -> list[str]:
    """Returns the placeholders among symbols, each once, in their order.

    Example:
      >>> placeholders(split("{b} or {a}, {b}", "words"))
      ['{b}', '{a}']
    """
    return list(dict.fromkeys(filter(_IS_PLACEHOLDER.fullmatch, symbols)))


class Symbols(NamedTuple):
    """The symbols that one side of a model knows.

    Attributes:
      units: what they are, as in :func:`split`.
      numbers: the number of each, placeholders not among them.
      slots: how many placeholders have a number.
      ranks: of the joins that make pieces, if they are pieces.

    Example:
      >>> symbols = symbols_of([["a", "b"], ["a", "{x}"]], "characters", slots=1)
      >>> symbols.numbers, symbols.size
      ({'a': 3, 'b': 4}, 5)
    """

    units: str
    numbers: Mapping[str, int]
    slots: int
    ranks: Mapping[tuple[str, str], int] = {}

    @property
    def size(self) -> int:
        """How many numbers there are, those with a meaning of their own among them."""
        return FIRST + self.slots + len(self.numbers)

    def cut(self, words: Sequence[str]) -> list[str]:
        """Returns symbols from :func:`split`, cut into pieces if they are still to be cut.

        Example:
          >>> Symbols("pieces", {}, 0, {("s", "e"): 0}).cut(["sea", "{x}"])
          ['se', 'a', '{x}']
        """
        if self.units != "pieces":
            return list(words)
        cut = (
            [word] if _IS_PLACEHOLDER.fullmatch(word) else _pieces.split(word, self.ranks)
            for word in words
        )
        return list(itertools.chain.from_iterable(cut))

    def encode(self, symbols: Sequence[str], names: Sequence[str]) -> Int32[np.ndarray, " T"]:
        """Returns the numbers of the symbols of a text.

        Args:
          symbols: from :func:`split`.
          names: the placeholders of the source that it belongs to.

        Example:
          >>> symbols = symbols_of([["a", "b"]], "characters", slots=2)
          >>> symbols.encode(["b", "{new}", "z"], ["{old}", "{new}"])
          array([5, 3, 1], dtype=int32)
        """
        slots = {name: FIRST + place for place, name in enumerate(names[: self.slots])}
        found = [slots.get(symbol) or self.numbers.get(symbol, UNKNOWN) for symbol in symbols]
        return np.array(found, np.int32)

    def decode(self, numbers: Iterable[int], names: Sequence[str]) -> list[str]:
        """Returns the symbols of numbers that a model found.

        Args:
          numbers: none of them the edge or the unknown.
          names: as in :meth:`encode`.

        Example:
          >>> symbols = symbols_of([["a", "b"]], "characters", slots=2)
          >>> symbols.decode([5, 3], ["{old}", "{new}"])
          ['b', '{new}']
        """
        first = FIRST + self.slots
        known = list(self.numbers)
        return [known[n - first] if n >= first else names[n - FIRST] for n in numbers]


def symbols_of(
    texts: Iterable[Sequence[str]], units: str, *, slots: int, min_count: int = 1, pieces: int = 0
) -> Symbols:
    """Returns the symbols of training texts, in the order of their code points.

    Args:
      texts: the symbols of each, from :func:`split`.
      units: what they are.
      slots: how many placeholders are to have a number.
      min_count: symbols that occur less often are unknown ones.
      pieces: so many joins of neighbours are learnt, if the units are pieces.

    Example:
      >>> symbols_of([["b", "a"], ["b"]], "characters", slots=0, min_count=2).numbers
      {'b': 2}
    """
    counts = Counter(itertools.chain.from_iterable(texts))
    counts = Counter({s: n for s, n in counts.items() if not _IS_PLACEHOLDER.fullmatch(s)})
    symbols = Symbols(units, {}, slots)
    if units == "pieces":
        symbols = symbols._replace(ranks=_pieces.ranks_of(_pieces.learn(counts, count=pieces)))
        words, counts = counts, Counter()
        for word, n in words.items():
            for piece in symbols.cut([word]):
                counts[piece] += n
    kept = sorted(symbol for symbol, count in counts.items() if count >= min_count)
    return symbols._replace(numbers={s: number for number, s in enumerate(kept, FIRST + slots)})
