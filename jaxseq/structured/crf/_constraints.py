"""Which tags may begin, follow one another, and end: labelling schemes as masks of a CRF."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from jaxseq._checks import error
from jaxseq._types import ArrayLike


class Allowed(NamedTuple):
    """What paths of tags are allowed.

    Attributes:
      transitions: ``[K, K]``, whether a column's tag may follow a row's.
      initial: ``[K]``, whether a tag may be the first.
      final: ``[K]``, whether a tag may be the last.

    Example:
      >>> allowed = bio(["O", "B-PER", "I-PER"])
      >>> allowed.initial.tolist(), allowed.transitions[0].tolist()
      ([True, True, False], [True, True, False])
    """

    transitions: Bool[ArrayLike, "K K"]
    initial: Bool[ArrayLike, " K"]
    final: Bool[ArrayLike, " K"]


def bio(labels: Sequence[str]) -> Allowed:
    """Returns what the scheme BIO allows: ``I-X`` only after ``B-X`` or ``I-X``.

    Args:
      labels: all tags in the order of their numbers: ``O``, ``B-X`` and ``I-X`` for any X.

    Returns:
      Masks for the functions of this room.

    Raises:
      ValueError: if a label is none of the scheme's, or is given twice.

    Example:
      >>> bio(["O", "B-A", "I-A", "B-B", "I-B"]).transitions[2].tolist()  # after I-A
      [True, True, True, True, False]

    References:
      Ramshaw and Marcus, "Text Chunking Using Transformation-Based Learning", 1995.
    """
    return _scheme("crf.bio", labels, inside="I", end="", whole="", last=lambda kind: True)


def bioes(labels: Sequence[str]) -> Allowed:
    """Returns what the scheme BIOES allows: a span is ``S-X``, or ``B-X``, ``I-X``…, ``E-X``.

    Args:
      labels: all tags in the order of their numbers: ``O``, ``B-X``, ``I-X``, ``E-X``, ``S-X``.

    Returns:
      Masks for the functions of this room.

    Raises:
      ValueError: if a label is none of the scheme's, or is given twice.

    Example:
      >>> bioes(["O", "B-A", "I-A", "E-A", "S-A"]).final.tolist()
      [True, False, False, True, True]

    References:
      Ratinov and Roth, "Design Challenges and Misconceptions in Named Entity Recognition", 2009.
    """
    return _scheme("crf.bioes", labels, inside="I", end="E", whole="S", last="OES".__contains__)


def bmes(labels: Sequence[str]) -> Allowed:
    """Returns what the scheme BMES allows: a span is ``S-X``, or ``B-X``, ``M-X``…, ``E-X``.

    Args:
      labels: all tags in the order of their numbers: ``O``, if there is one, ``B-X``, ``M-X``,
        ``E-X``, ``S-X``; where all spans are of one kind, as in word segmentation, ``B`` to ``S``.

    Returns:
      Masks for the functions of this room.

    Raises:
      ValueError: if a label is none of the scheme's, or is given twice.

    Example:
      >>> bmes(["B", "M", "E", "S"]).transitions[0].tolist()  # after B
      [False, True, True, False]

    References:
      Xue, "Chinese Word Segmentation as Character Tagging", 2003.
    """
    return _scheme("crf.bmes", labels, inside="M", end="E", whole="S", last="OES".__contains__)


def _scheme(
    where: str,
    labels: Sequence[str],
    *,
    inside: str,
    end: str,
    whole: str,
    last: Callable[[str], bool],
) -> Allowed:
    """Returns a scheme's masks from the parts that a label has in it."""
    if not labels or len(set(labels)) != len(labels):
        raise error(where, f"`labels` must be distinct and at least one, but they are {labels!r}")
    parts = [_parts(where, label, {"B", inside, end, whole} - {""}) for label in labels]
    goes_on = {inside, end} - {""}

    def follows(before: tuple[str, str], after: tuple[str, str]) -> bool:
        if after[0] in goes_on:  # only inside a span of its own kind
            return before[0] in ("B", inside) and before[1] == after[1]
        return last(before[0])  # a new beginning: what was before must be over

    return Allowed(
        np.array([[follows(before, after) for after in parts] for before in parts]),
        np.array([kind not in goes_on for kind, _ in parts]),
        np.array([last(kind) for kind, _ in parts]),
    )


def _parts(where: str, label: str, kinds: set[str]) -> tuple[str, str]:
    """Returns the part of a span, and the kind of span, that a label names."""
    if label == "O":
        return "O", ""
    kind, _, name = label.partition("-")
    if kind not in kinds:
        known = ", ".join(sorted(kinds))
        raise error(
            where,
            f'"{label}" is no label of the scheme',
            hint=f'a label is "O", or one of {known}, a hyphen and a name',
        )
    return kind, name
