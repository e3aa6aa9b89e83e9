"""Labels of steps read as spans, and how well spans are found."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from jaxseq._checks import error

Labels = Sequence[str]

INSIDE = {"bio": "I", "bioes": "I", "bmes": "M"}
"""The letter that goes on with a span, of each scheme with prefixes."""


class Span(NamedTuple):
    """Steps that are one thing together.

    Attributes:
      label: what they are.
      start: the first of them.
      end: the first after them.

    Example:
      >>> from jaxseq.losses import Span
      >>> span = Span("PER", start=0, end=2)
      >>> ["Ada", "Lovelace", "wrote"][span.start : span.end]
      ['Ada', 'Lovelace']
    """

    label: str
    start: int
    end: int


class PRFCounts(NamedTuple):
    """How well spans were found; 0/0 is 0.

    Attributes:
      precision: the share of the predicted spans that are right.
      recall: the share of the right spans that are predicted.
      f1: the harmonic mean of the two.
      correct: how many spans are predicted and right, with the same label, start and end.
      predicted: how many are predicted.
      right: how many are right.

    Example:
      >>> from jaxseq.losses import PRFCounts
      >>> PRFCounts._fields
      ('precision', 'recall', 'f1', 'correct', 'predicted', 'right')
    """

    precision: float
    recall: float
    f1: float
    correct: int
    predicted: int
    right: int


class SpanF1(NamedTuple):
    """How well spans were found, all together and label by label; 0/0 is 0.

    Attributes:
      precision: the share of the predicted spans that are right.
      recall: the share of the right spans that are predicted.
      f1: the harmonic mean of the two.
      correct: how many spans are predicted and right, with the same label, start and end.
      predicted: how many are predicted.
      right: how many are right.
      per_label: the same of each label that a predicted or a right span has, in plain order.

    Example:
      >>> from jaxseq.losses import SpanF1
      >>> SpanF1._fields
      ('precision', 'recall', 'f1', 'correct', 'predicted', 'right', 'per_label')
    """

    precision: float
    recall: float
    f1: float
    correct: int
    predicted: int
    right: int
    per_label: dict[str, PRFCounts]


def spans(
    labels: Labels, *, scheme: str, outside: str | Collection[str] | None = None
) -> list[Span]:
    """Returns the spans that the labels of a sequence make.

    With prefixes, labels are ``O``, or a letter, a hyphen and the label of a span, or a letter
    alone where all spans are of one kind, whose label is then "". They are read as the evaluation
    of CoNLL reads them, and no label is ever dropped: one that cannot go on with what is before it
    begins a span, and a span ends where the next begins, at ``O``, and at the end. So ``I-X`` goes
    on with ``B-X`` and ``I-X``, and begins a span after ``O``, after another label, and after a
    span that is over; the same is true of ``E-X``, which then is a span of one step; ``B-X``
    without ``E-X`` is a span nevertheless.

    Args:
      labels: of each step.
      scheme: ``"bio"``; ``"bioes"``, with ``E`` at the end and ``S`` for a span of one step;
        ``"bmes"``, the same with ``M`` for ``I``; ``"runs"``, where every longest run of one label
        is a span, so that two spans of one label cannot touch.
      outside: for ``"runs"``, the label, or all labels, that make no span.

    Returns:
      The spans in the order of their starts.

    Raises:
      ValueError: if the scheme is not known, if ``outside`` is given for one with prefixes, or if
        a label is none of the scheme's.

    Example:
      >>> from jaxseq.losses import spans
      >>> spans(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"], scheme="bio")
      [Span(label='PER', start=0, end=2), Span(label='LOC', start=3, end=4),
       Span(label='LOC', start=4, end=5)]
      >>> spans(["street", "street", "", "city"], scheme="runs", outside="")
      [Span(label='street', start=0, end=2), Span(label='city', start=3, end=4)]

    References:
      Ramshaw and Marcus, "Text Chunking Using Transformation-Based Learning", 1995.
      Tjong Kim Sang and Buchholz, "Introduction to the CoNLL-2000 Shared Task: Chunking", 2000.
    """
    return _spans("spans", labels, scheme, outside)


def span_f1(
    predicted: Sequence[Labels],
    right: Sequence[Labels],
    *,
    scheme: str,
    outside: str | Collection[str] | None = None,
) -> SpanF1:
    """Returns how many of the spans that labels make were found, over all sequences.

    A span is found if its label, start and end are: :func:`spans` says how labels are read. The
    counts are added up before they are divided, over sequences and over labels (the micro average).

    Args:
      predicted: the labels found, one sequence of labels for each sequence.
      right: the right ones.
      scheme: as in :func:`spans`.
      outside: as in :func:`spans`.

    Returns:
      The measures of all spans, and those of each label.

    Raises:
      ValueError: if the sequences are not as many, or two not as long; and as :func:`spans`.
      TypeError: if a text stands where the labels of a sequence should.

    Example:
      >>> from jaxseq.losses import span_f1
      >>> predicted = [["B-PER", "I-PER", "O"], ["B-LOC"]]
      >>> found = span_f1(predicted, [["B-PER", "I-PER", "O"], ["B-PER"]], scheme="bio")
      >>> found.f1, found.per_label["PER"].recall
      (0.5, 0.5)
    """
    _check_pairs(predicted, right)
    found, wanted = (
        {
            (number, span)
            for number, labels in enumerate(rows)
            for span in _spans("span_f1", labels, scheme, outside)
        }
        for rows in (predicted, right)
    )
    counts = [Counter(span.label for _, span in some) for some in (found & wanted, found, wanted)]
    names = sorted(counts[1] | counts[2])
    return SpanF1(
        *_measures(len(found & wanted), len(found), len(wanted)),
        {name: _measures(*(count[name] for count in counts)) for name in names},
    )


def _check_pairs(predicted: Sequence[Labels], right: Sequence[Labels]) -> None:
    """Raises unless both are as many sequences, pair by pair as long."""
    for name, rows in (("predicted", predicted), ("right", right)):
        text = next((labels for labels in rows if isinstance(labels, str)), None)
        if text is not None:
            raise error(
                "span_f1",
                f'`{name}` must be sequences of labels, but among them is the text "{text}"',
                hint="the labels of one sequence go into a list of their own",
                kind=TypeError,
            )
    if len(predicted) != len(right):
        raise error(
            "span_f1",
            "`predicted` and `right` must be as many sequences, "
            f"but they are {len(predicted)} and {len(right)}",
        )
    for number, (found, wanted) in enumerate(zip(predicted, right, strict=True)):
        if len(found) != len(wanted):
            raise error(
                "span_f1",
                f"`predicted[{number}]` and `right[{number}]` must be as long, "
                f"but they have {len(found)} and {len(wanted)} labels",
            )


def _measures(correct: int, predicted: int, right: int) -> PRFCounts:
    return PRFCounts(
        correct / max(predicted, 1),
        correct / max(right, 1),
        2 * correct / max(predicted + right, 1),
        correct,
        predicted,
        right,
    )


def _spans(
    where: str, labels: Labels, scheme: str, outside: str | Collection[str] | None
) -> list[Span]:
    if scheme == "runs":
        steps = _by_runs(labels, {outside} if isinstance(outside, str) else set(outside or ()))
    elif scheme not in INSIDE:
        known = ", ".join(f'"{name}"' for name in (*INSIDE, "runs"))
        raise error(where, f'`scheme` must be one of {known}, but it is "{scheme}"')
    elif outside is not None:
        raise error(
            where,
            f'`outside` is {outside!r}, but in the scheme "{scheme}" what is outside is "O"',
            hint='`outside` goes with "runs" only',
        )
    else:
        steps = _by_prefixes(where, labels, scheme)
    found: list[Span] = []
    for step, (label, begins) in enumerate(steps):
        if label is not None and begins:
            found.append(Span(label, step, step + 1))
        elif label is not None:
            found[-1] = found[-1]._replace(end=step + 1)
    return found


def _by_runs(labels: Labels, outside: set[str]) -> Iterator[tuple[str | None, bool]]:
    """Yields the label of each step's span, or None, and whether the span begins there."""
    before = None
    for label in labels:
        yield (None if label in outside else label), label != before
        before = label


def _by_prefixes(where: str, labels: Labels, scheme: str) -> Iterator[tuple[str | None, bool]]:
    """Yields the label of each step's span, or None, and whether the span begins there."""
    inside = INSIDE[scheme]
    letters = {"B", inside} if scheme == "bio" else {"B", inside, "E", "S"}
    before = ("O", None)
    for label in labels:
        letter, name = _parts(where, label, letters)
        goes_on = letter in (inside, "E") and before[0] in ("B", inside) and before[1] == name
        yield name, not goes_on
        before = (letter, name)


def _parts(where: str, label: str, letters: set[str]) -> tuple[str, str | None]:
    """Returns the letter of a label, and the label of the span that it is in, or None."""
    if label == "O":
        return "O", None
    letter, _, name = label.partition("-")
    if letter not in letters:
        known = ", ".join(sorted(letters))
        raise error(
            where,
            f'"{label}" is no label of the scheme',
            hint=f'a label is "O", or one of {known}, a hyphen and a name',
        )
    return letter, name
