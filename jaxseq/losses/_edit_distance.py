"""The edit distance, and the error rates of words, characters and phones that are made of it."""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxseq._checks import error


class ErrorRate(NamedTuple):
    """Edits, and the length of what they are measured by; ``+`` adds those of several batches.

    Attributes:
      errors: how many items must be put in, left out or replaced, all together.
      length: how many items the right sequences have, all together.

    Example:
      >>> from jaxseq.losses import ErrorRate
      >>> both = ErrorRate(errors=1, length=4) + ErrorRate(errors=0, length=1)
      >>> both, both.rate
      (ErrorRate(errors=1, length=5), 0.2)
    """

    errors: int
    length: int

    @property
    def rate(self) -> float:
        """The errors per item of the right sequences; may be more than 1.

        Of right sequences without any item it is the number of errors.
        """
        return self.errors / max(self.length, 1)

    def __add__(self, other: Any) -> "ErrorRate":
        """Adds the errors and the lengths."""
        if not isinstance(other, ErrorRate):
            return NotImplemented
        return ErrorRate(self.errors + other.errors, self.length + other.length)


def edit_distance(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    r"""Returns how many items must be put in, left out or replaced to make ``b`` of ``a``.

    .. math:: d_{ij} = \min(d_{i-1,j} + 1, d_{i,j-1} + 1, d_{i-1,j-1} + [a_i \ne b_j])

    Plain NumPy, a row of the table at once.

    Args:
      a: any sequence whose items can be hashed: a text, a list of words, a list of numbers.
      b: another.

    Returns:
      The Levenshtein distance, which is the same from ``b`` to ``a``.

    Raises:
      TypeError: if an item cannot be hashed.

    Example:
      >>> from jaxseq.losses import edit_distance
      >>> edit_distance("kitten", "sitting"), edit_distance(["the", "cat"], ["the", "old", "cat"])
      (3, 1)

    References:
      Levenshtein, "Binary Codes Capable of Correcting Deletions, Insertions, and Reversals", 1966.
      Wagner and Fischer, "The String-to-String Correction Problem", 1974.
    """
    return _distance("edit_distance", {"a": a, "b": b})


def error_rate(
    predicted: Sequence[Sequence[Hashable]], right: Sequence[Sequence[Hashable]]
) -> ErrorRate:
    """Returns the edits that make the right sequences of the predicted ones, and their length.

    All edits of all pairs are divided by the length of all right sequences. Of lists of words that
    is the word error rate, of texts the character error rate, of lists of phones the phone error
    rate. Where nothing is right but an empty sequence, every item predicted is an error.

    Args:
      predicted: the sequences found.
      right: the right ones, in the same order.

    Returns:
      Errors and length; its ``rate`` divides them, and may be more than 1. Where there is no right
      item at all the rate is the number of errors, so it is 0 where nothing is predicted either:
      as in jiwer 4.

    Raises:
      ValueError: if there are not as many right sequences as predicted ones.
      TypeError: if either is one text, not a sequence of them, if a text is paired with a list, or
        if an item cannot be hashed.

    Example:
      >>> from jaxseq.losses import error_rate
      >>> predicted, right = ["a cat sat", "dogs"], ["the cat sat", "dogs"]
      >>> error_rate([text.split() for text in predicted], [text.split() for text in right]).rate
      0.25
      >>> error_rate(predicted, right)  # of characters
      ErrorRate(errors=3, length=15)
    """
    for name, sequences in (("predicted", predicted), ("right", right)):
        if isinstance(sequences, str):
            raise error(
                "error_rate",
                f"`{name}` must be a sequence of sequences, but it is one text",
                hint="put it into a list",
                kind=TypeError,
            )
    if len(predicted) != len(right):
        raise error(
            "error_rate",
            "`predicted` and `right` must be as many, "
            f"but they are {len(predicted)} and {len(right)}",
        )
    errors = 0
    for number, (found, wanted) in enumerate(zip(predicted, right, strict=True)):
        if isinstance(found, str) != isinstance(wanted, str):
            raise error(
                "error_rate",
                f"of `predicted[{number}]` and `right[{number}]` one is a text and one is not",
                hint="both are texts for characters, or both lists for words",
                kind=TypeError,
            )
        errors += _distance(
            "error_rate", {f"predicted[{number}]": found, f"right[{number}]": wanted}
        )
    return ErrorRate(errors, sum(map(len, right)))


def _distance(where: str, pair: dict[str, Sequence[Hashable]]) -> int:
    numbers: dict[Hashable, int] = {}
    coded = [_coded(where, name, sequence, numbers) for name, sequence in pair.items()]
    # The loop is over the shorter one: the distance is the same either way round.
    shorter, longer = sorted(coded, key=len)
    position = np.arange(len(longer) + 1)
    row = position
    for left_out, item in enumerate(shorter, start=1):
        best = np.minimum(row[1:] + 1, row[:-1] + (longer != item))
        best = np.concatenate([[left_out], best])
        # What is put in costs one a position, so that less its position it is a running minimum.
        row = np.minimum.accumulate(best - position) + position
    return int(row[-1])


def _coded(
    where: str, name: str, sequence: Sequence[Hashable], numbers: dict[Hashable, int]
) -> np.ndarray:
    """Returns a number for each item, the same for equal ones."""
    try:
        return np.array([numbers.setdefault(item, len(numbers)) for item in sequence], np.int64)
    except TypeError as exception:
        raise error(
            where,
            f"`{name}` must be a sequence of items that can be hashed, but: {exception}",
            hint="of an array take array.tolist()",
            kind=TypeError,
        ) from exception
