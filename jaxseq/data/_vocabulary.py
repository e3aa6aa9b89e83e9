"""Vocabularies: text to ids and back, by character or by word, exactly."""

import dataclasses
import functools
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, cast

import numpy as np
from jaxtyping import Int32

from jaxseq._checks import InputError, error

Kind = Literal["characters", "words"]

_VERSION = 1
# Every character is in exactly one of the three alternatives, so that joining undoes splitting.
_TOKEN = re.compile(r"\w+(?:['’]\w+)*|\s+|[^\w\s]")


@dataclasses.dataclass(frozen=True, repr=False)
class Vocabulary:
    r"""The symbols of a text and their ids, which are their places.

    Made by :meth:`of_characters` or :meth:`of_words`. ``decode(encode(text)) == text`` for every
    text without unknown symbols, to the code point: nothing is normalised, lower-cased or stripped
    (:func:`normalize_text` is there for callers who want it).

    - ``"characters"``: a symbol is one code point, so a Hangul syllable (in NFC) is one symbol.
    - ``"words"``: a symbol is a run of letters, digits and underscores, with apostrophes inside it
      (``don't``); or a run of white space; or any other single character. The white space is a
      symbol of its own, which is what makes the round trip exact.

    Attributes:
      symbols: the symbols, in the order of their ids; all different.
      kind: ``"characters"`` or ``"words"``.
      unknown: what stands at id 0 for all symbols not listed, or ``None`` if they are errors.

    Raises:
      InputError: if the symbols are none, doubled or not of this kind, the kind is neither of the
        two, or the unknown symbol is empty or not the first.

    Example:
      >>> vocabulary = Vocabulary.of_characters("banana")
      >>> vocabulary.symbols
      ('a', 'b', 'n')
      >>> vocabulary.encode("nab")
      array([2, 0, 1], dtype=int32)
      >>> vocabulary.decode([2, 0, 1])
      'nab'
    """

    symbols: tuple[str, ...]
    kind: Kind
    unknown: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("characters", "words"):
            hint = "use 'characters' or 'words'"
            raise _unusable(f"`kind` is {self.kind!r}", hint=hint)
        if not self.symbols:
            raise _unusable("`symbols` is empty", hint="make the vocabulary from a text")
        if len(self._ids) < len(self.symbols):
            symbol, count = Counter(self.symbols).most_common(1)[0]
            raise _unusable(f"the symbol {symbol!r} occurs {count} times in `symbols`")
        if self.unknown == "":
            raise _unusable("the unknown symbol must not be empty", hint="use '\\ufffd'")
        if self.unknown is not None and self.unknown != self.symbols[0]:
            problem = f"the unknown symbol {self.unknown!r} must be the first of `symbols`"
            raise _unusable(f"{problem}, which is {self.symbols[0]!r}")
        for symbol in self.symbols[self.unknown is not None :]:
            if _split(symbol, self.kind) != [symbol]:
                raise _unusable(f"{symbol!r} in `symbols` is not one of the {self.kind}")

    @classmethod
    def of_characters(
        cls, text: str, *, unknown: str | None = None, min_count: int = 1
    ) -> "Vocabulary":
        r"""Returns the vocabulary of the characters of a text, in the order of their code points.

        Args:
          text: the training text.
          unknown: what stands for characters that are not in the vocabulary, such as ``"\ufffd"``;
            it takes id 0. ``None``: they are errors.
          min_count: characters that occur less often are left out, which needs ``unknown``.

        Returns:
          The vocabulary.

        Raises:
          InputError: if the text is empty.
          ValueError: if ``min_count`` is below 1, or above 1 without ``unknown``.

        Example:
          >>> Vocabulary.of_characters("하나 둘\n하나", unknown="\ufffd", min_count=2).symbols
          ('�', '나', '하')
        """
        return cls._of(text, "characters", unknown, min_count)

    @classmethod
    def of_words(cls, text: str, *, unknown: str | None = None, min_count: int = 1) -> "Vocabulary":
        r"""Returns the vocabulary of the words, white space and punctuation of a text, sorted.

        Args:
          text: the training text.
          unknown: what stands for words that are not in the vocabulary; it takes id 0. ``None``:
            they are errors.
          min_count: words that occur less often are left out, which needs ``unknown``.

        Returns:
          The vocabulary.

        Raises:
          InputError: if the text is empty.
          ValueError: if ``min_count`` is below 1, or above 1 without ``unknown``.

        Example:
          >>> vocabulary = Vocabulary.of_words("Don't go, don't!")
          >>> vocabulary.symbols
          (' ', '!', ',', "Don't", "don't", 'go')
          >>> vocabulary.decode(vocabulary.encode("go, don't!"))
          "go, don't!"
        """
        return cls._of(text, "words", unknown, min_count)

    @classmethod
    def _of(cls, text: str, kind: Kind, unknown: str | None, min_count: int) -> "Vocabulary":
        where = f"Vocabulary.of_{kind}"
        if not text:
            hint = "give the training text"
            raise error(where, "`text` is empty", hint=hint, kind=InputError)
        if min_count < 1:
            raise error(where, f"`min_count` must be at least 1, but it is {min_count}")
        if min_count > 1 and unknown is None:
            hint = "give unknown='\\ufffd', or leave `min_count` out"
            raise error(where, "`min_count` above 1 needs an `unknown` symbol", hint=hint)
        counts = Counter(_split(text, kind))
        kept = sorted(symbol for symbol, count in counts.items() if count >= min_count)
        if unknown is None:
            return cls(tuple(kept), kind)
        return cls((unknown, *(symbol for symbol in kept if symbol != unknown)), kind, unknown)

    def encode(self, text: str) -> Int32[np.ndarray, " T"]:
        r"""Returns the ids of the symbols of a text.

        Args:
          text: any text; an empty one has no ids.

        Returns:
          The ids, int32 ``[T]``, where ``T`` is the number of symbols.

        Raises:
          InputError: if a symbol is not in the vocabulary and there is no ``unknown`` one.

        Example:
          >>> Vocabulary.of_characters("abc", unknown="\ufffd").encode("cat")
          array([3, 1, 0], dtype=int32)
        """
        symbols = _split(text, self.kind)
        absent = -1 if self.unknown is None else 0
        found = map(self._ids.get, symbols, itertools.repeat(absent))
        ids = np.fromiter(found, np.int32, count=len(symbols))
        if self.unknown is None and ids.size and ids.min() < 0:
            raise self._unseen(symbols, ids)
        return ids

    def decode(self, ids: Any) -> str:
        r"""Returns the text of some ids.

        Args:
          ids: integers ``[T]`` in ``[0, len(self))``: an array or a list.

        Returns:
          The symbols, joined; the unknown symbol stands as it is.

        Raises:
          TypeError: if the ids are not integers.
          ValueError: if they are not one axis, or out of range.

        Example:
          >>> Vocabulary.of_characters("abc", unknown="\ufffd").decode([3, 1, 0])
          'ca�'
        """
        array = np.asarray(ids)
        if array.ndim != 1:
            hint = "decode one row at a time"
            problem = f"`ids` must have shape (T,), but it has shape {array.shape}"
            raise error("Vocabulary.decode", problem, hint=hint)
        if array.size and array.dtype.kind not in "iu":
            problem = f"`ids` must be integers, but they are {array.dtype}"
            raise error("Vocabulary.decode", problem, kind=TypeError)
        bad = np.flatnonzero((array < 0) | (array >= len(self)))
        if bad.size:
            hint = "the ids come from a vocabulary or a model of another size"
            problem = f"`ids` must lie in [0, {len(self)}), but ids[{bad[0]}] is {array[bad[0]]}"
            raise error("Vocabulary.decode", problem, hint=hint)
        return "".join([self.symbols[place] for place in array.tolist()])

    @property
    def unknown_id(self) -> int | None:
        """The id of the unknown symbol, 0, or ``None`` if there is none.

        Example:
          >>> Vocabulary.of_characters("abc").unknown_id is None
          True
        """
        return None if self.unknown is None else 0

    def to_dict(self) -> dict[str, Any]:
        """Returns the vocabulary as a dictionary that JSON can hold.

        Example:
          >>> Vocabulary.of_characters("ab").to_dict()
          {'version': 1, 'kind': 'characters', 'unknown': None, 'symbols': ['a', 'b']}
        """
        return {
            "version": _VERSION,
            "kind": self.kind,
            "unknown": self.unknown,
            "symbols": list(self.symbols),
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Vocabulary":
        """Returns the vocabulary that :meth:`to_dict` wrote.

        Args:
          state: the dictionary, perhaps read back from JSON.

        Returns:
          A vocabulary equal to the one that was written.

        Raises:
          InputError: if it is no such dictionary, is of another version, or holds what no
            vocabulary can (see :class:`Vocabulary`).

        Example:
          >>> vocabulary = Vocabulary.of_words("to be or not to be")
          >>> Vocabulary.from_dict(vocabulary.to_dict()) == vocabulary
          True
        """
        where = "Vocabulary.from_dict"
        keys = {"version", "kind", "unknown", "symbols"}
        if not isinstance(state, Mapping) or set(state) != keys:
            arrived = sorted(map(str, state)) if isinstance(state, Mapping) else type(state)
            problem = f"`state` must have the keys {sorted(keys)}, but what came is {arrived}"
            raise error(where, problem, hint="use what `to_dict` returned", kind=InputError)
        if state["version"] != _VERSION:
            problem = f"`state` is of version {state['version']!r}, and this reads {_VERSION}"
            hint = "make the vocabulary again, or use the jaxseq that wrote it"
            raise error(where, problem, hint=hint, kind=InputError)
        symbols, unknown = state["symbols"], state["unknown"]
        texts = isinstance(symbols, list | tuple) and all(isinstance(s, str) for s in symbols)
        if not texts or not isinstance(unknown, str | None) or not isinstance(state["kind"], str):
            problem = "`symbols` must be a list of str, `kind` a str, `unknown` a str or None"
            raise error(where, problem, hint="use what `to_dict` returned", kind=InputError)
        return cls(tuple(symbols), cast(Kind, state["kind"]), unknown)

    def __len__(self) -> int:
        return len(self.symbols)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} {self.kind}, unknown={self.unknown!r})"

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        return {symbol: place for place, symbol in enumerate(self.symbols)}

    def _unseen(self, symbols: list[str], ids: np.ndarray) -> Exception:
        bad = np.flatnonzero(ids < 0).tolist()
        unseen = {symbols[place] for place in bad}
        position = sum(map(len, symbols[: bad[0]]))
        composed = _split(unicodedata.normalize("NFC", "".join(symbols)), self.kind)
        hint = "leave it out, or make the vocabulary with unknown='\\ufffd' or from a larger text"
        if all(symbol in self._ids for symbol in composed):
            hint = "the text is in decomposed Unicode (NFD): pass it through normalize_text"
        return error(
            "Vocabulary.encode",
            f"the symbol {symbols[bad[0]]!r} at character {position} is not among the "
            f"{len(self)} {self.kind} of the vocabulary (in all, {len(unseen)} unknown "
            f"{'symbol' if len(unseen) == 1 else 'symbols'} at {len(bad)} "
            f"{'place' if len(bad) == 1 else 'places'})",
            hint=hint,
            kind=InputError,
        )


def _split(text: str, kind: Kind) -> list[str]:
    return list(text) if kind == "characters" else _TOKEN.findall(text)


def _unusable(problem: str, *, hint: str | None = None) -> Exception:
    return error("Vocabulary", problem, hint=hint, kind=InputError)
