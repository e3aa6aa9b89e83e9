"""What the words of an address look like: features by hand, as names and as numbers. No JAX."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from jaxseq._checks import error

NONE = 0
"""The number of no feature: of pads, and of features that training has not seen."""

AFFIXES = (1, 2, 3)
FAR = 3
"""A place that is further from either end says so no more precisely."""


def features_of(tokens: Sequence[str]) -> list[list[str]]:
    """Returns the names of each token's features: its own, its place's, and its neighbours'.

    Nothing here knows addresses: which words are directions, states or kinds of streets is left to
    the weights. Digits are all alike (``0``), and punctuation around a word is a feature by itself.

    Args:
      tokens: the words of an address.

    Returns:
      A list of names for each token, without repetition.

    Raises:
      ValueError: if a token is empty.

    Example:
      >>> from jaxseq.recipes._address_features import features_of
      >>> names = features_of(["33", "Elm", "St.,"])[2]
      >>> names[:9]
      ['word=st', 'shape=Xx', 'digits=none', 'length=2', 'after=.,', 'pre1=s', 'suf1=t', 'pre2=st',
       'suf2=st']
      >>> names[9:]
      ['start=2', 'end=0', '-1 word=elm', '-1 shape=Xx', '-1 digits=none', '-1 length=3',
       '-2 word=00']
    """
    if "" in tokens:
        raise error("features_of", f"a token must not be empty, but one of {list(tokens)} is")
    own = [_own(token) for token in tokens]
    rows = []
    for t, names in enumerate(own):
        row = list(names)
        for affix in AFFIXES:
            word = names[0].removeprefix("word=")
            if len(word) >= affix:
                row += [f"pre{affix}={word[:affix]}", f"suf{affix}={word[-affix:]}"]
        row += [f"start={min(t, FAR)}", f"end={min(len(own) - 1 - t, FAR)}"]
        for away in (-1, 1):
            if 0 <= t + away < len(own):
                row += [f"{away:+d} {name}" for name in own[t + away]]
        for away in (-2, 2):
            if 0 <= t + away < len(own):
                row.append(f"{away:+d} {own[t + away][0]}")
        rows.append(row)
    return rows


def _own(token: str) -> list[str]:
    """Returns what a token says by itself."""
    rest = re.sub(r"^\W+", "", token)
    before, core = token[: len(token) - len(rest)], re.sub(r"\W+$", "", rest)
    after = rest[len(core) :]
    plain = re.sub(r"\d", "0", core.lower())
    digits = sum(character.isdigit() for character in core)
    share = "none" if not digits else "all" if digits == len(core) else "some"
    names = [f"word={plain}", f"shape={_shape(core)}", f"digits={share}", f"length={len(core)}"]
    names += [f"before={before}"] if before else []
    return names + ([f"after={after}"] if after else [])


def _shape(word: str) -> str:
    """Returns a word's kinds of characters, each run of one kind as one: ``6257A`` is ``0X``."""
    kinds = (
        "0" if c.isdigit() else "X" if c.isupper() else "x" if c.islower() else c for c in word
    )
    return "".join(kind for kind, _ in itertools.groupby(kinds))


class Encoded(NamedTuple):
    """The features of a batch of addresses, without pads: four words in ten would be.

    Attributes:
      ids: the features of each word, all words one after another, ``[N, F]``, in no order; 0 is
        none.
      places: which of them stands where, ``[B, T]``; 0 in the pads.
      lengths: the words of each address, ``[B]``.

    Example:
      >>> from jaxseq.recipes._address_features import Features
      >>> features = Features.of([["Elm", "St."]])
      >>> encoded = features.encode([["Elm", "St."], ["Elm"]])
      >>> encoded.lengths.tolist(), encoded.places.tolist()
      ([2, 1], [[0, 1], [2, 0]])
    """

    ids: Int32[np.ndarray, "N F"]
    places: Int32[np.ndarray, "B T"]
    lengths: Int32[np.ndarray, " B"]


class Features(NamedTuple):
    """The features that there are, with their numbers, which begin at 1.

    Attributes:
      ids: the number of each name.

    Example:
      >>> from jaxseq.recipes._address_features import Features
      >>> features = Features.of([["Elm", "St."], ["Oak", "St."]], min_count=2)
      >>> features.ids["word=st"] > 0, "word=elm" in features.ids
      (True, False)
    """

    ids: dict[str, int]

    @classmethod
    def of(cls, addresses: Sequence[Sequence[str]], *, min_count: int = 1) -> "Features":
        """Returns the features that occur in addresses.

        Args:
          addresses: those of training.
          min_count: how often a feature must occur.

        Returns:
          The features, those that occur more often first.

        Raises:
          ValueError: if ``min_count`` is less than 1, or there is no feature.

        Example:
          >>> from jaxseq.recipes._address_features import Features
          >>> len(Features.of([["Elm"]]).ids)
          12
        """
        if min_count < 1:
            raise error("Features.of", f"`min_count` must be at least 1, but it is {min_count}")
        counts = Counter(
            name for address in addresses for row in features_of(address) for name in row
        )
        kept = [name for name, count in counts.most_common() if count >= min_count]
        if not kept:
            problem = f"no feature occurs {min_count} times in {len(addresses)} addresses"
            raise error("Features.of", problem, hint="give more addresses, or a lower `min_count`")
        return cls({name: number for number, name in enumerate(kept, start=1)})

    def encode(self, addresses: Sequence[Sequence[str]]) -> Encoded:
        """Returns the numbers of the features of each token; unknown features are left out.

        Args:
          addresses: each a list of words.

        Returns:
          The arrays, as wide as the longest address and the richest word, and at least one word.

        Example:
          >>> from jaxseq.recipes._address_features import Features
          >>> features = Features.of([["Elm"]])
          >>> sorted(features.encode([["Elm"]]).ids[0].tolist()) == list(range(1, 13))
          True
        """
        words = [
            [self.ids[name] for name in names if name in self.ids]
            for address in addresses
            for names in features_of(address)
        ]
        ids = np.full((max(len(words), 1), max(map(len, words), default=1)), NONE, np.int32)
        for row, word in zip(ids, words, strict=False):  # the one row of no word stays empty
            row[: len(word)] = word
        lengths = np.array([len(address) for address in addresses], np.int32)
        valid = np.arange(lengths.max(initial=0)) < lengths[:, None]
        places = np.zeros(valid.shape, np.int32)
        places[valid] = np.arange(len(words))
        return Encoded(ids, places, lengths)
