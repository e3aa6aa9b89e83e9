"""What a classifier learns from: labelled texts and series, of one's own or bundled."""

import csv
import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxseq import data
from jaxseq._checks import InputError, error
from jaxseq.recipes._classification_config import TASK, Config
from jaxseq.recipes._sources import check_name, is_bundled, labels_hint

Kind = Literal["text", "series"]
BUNDLED = ("names", "udhr", "japanese_vowels")
NOUNS = {"text": "texts", "series": "series"}


class Example(NamedTuple):
    """A text or a series, and its label.

    Attributes:
      value: a text, or float32 ``[T, I]``.
      label: its class.

    Example:
      >>> Example("Aksel", "da").label
      'da'
    """

    value: Any
    label: str


class Parts(NamedTuple):
    """Examples in their parts; one that there is not is empty.

    Attributes:
      train: to learn from.
      valid: to choose the weights by.
      test: to report on.

    Example:
      >>> len(read_parts("japanese_vowels").test)
      370
    """

    train: list[Example]
    valid: list[Example]
    test: list[Example]

    @property
    def kind(self) -> Kind:
        """Whether these are texts or series."""
        return "text" if isinstance(self.train[0].value, str) else "series"


def read_parts(source: str, valid: str | None = None) -> Parts:
    """Returns the parts of a bundled corpus, or of a file of one's own.

    Args:
      source: a path, or ``"names"``, ``"udhr"`` or ``"japanese_vowels"``.
      valid: the path of a validation part.

    Returns:
      The parts; a file of one's own is ``train``, unless it is an archive of series with parts.

    Raises:
      InputError: if there is no such file and no such corpus, it cannot be used, or the validation
        part is of another kind or has a label that training does not have.

    Example:
      >>> from jaxseq.recipes import classification
      >>> parts = classification.read_parts("names")
      >>> len(parts.train), parts.train[0]
      (31358, Example(value='Abelone', label='da'))
    """
    parts = _read(source)
    if not parts.train:
        raise error(TASK, f"`{source}` has no example to train on", kind=InputError)
    labels = sorted({example.label for example in parts.train})
    if len(labels) < 2:
        problem = f"all examples of `{source}` have the label {labels[0]!r}"
        raise error(TASK, problem, hint="give examples of two classes or more", kind=InputError)
    for name in ("valid", "test"):
        check_examples(getattr(parts, name), labels, source, part=name)
    if valid is not None:
        check_kind(valid, parts.kind)
        others = _read(valid)
        parts = parts._replace(valid=others.train + others.valid + others.test)
        check_examples(parts.valid, labels, valid)
        _check_width(parts, valid)
    return parts


def read_examples(source: str) -> list[Example]:
    """Returns the examples to evaluate on: the test part of a source, or all if it has none.

    Raises:
      InputError: as :func:`read_parts`.
    """
    parts = _read(source)
    return parts.test or parts.valid or parts.train


def read_values(source: str, kind: Kind) -> list[Any]:
    """Returns what is to be labelled; labels in the file play no part.

    Raises:
      InputError: if there is no such file, it cannot be used, or it is of another kind.
    """
    check_kind(source, kind)
    if kind == "text" and not is_bundled(source, BUNDLED):
        check_name(TASK, source, BUNDLED)
        return data.read_texts(source)
    return [example.value for example in read_examples(source)]


def check_kind(source: str, kind: Kind) -> None:
    """Raises if a source holds series where texts are needed, or the other way round.

    Raises:
      InputError: naming the source.
    """
    found = "text"
    if source == "japanese_vowels" if is_bundled(source, BUNDLED) else _is_series(Path(source)):
        found = "series"
    if found != kind and (is_bundled(source, BUNDLED) or Path(source).exists()):
        problem = f"`{source}` holds {NOUNS[found]}, where {NOUNS[kind]} are needed"
        hint = "give a TSV or CSV file" if kind == "text" else "give an NPZ or .ts file"
        raise error(TASK, problem, hint=hint, kind=InputError)


def check_examples(
    examples: Sequence[Example], labels: Sequence[str], source: str, *, part: str | None = None
) -> None:
    """Raises if examples have a label that training does not have.

    Args:
      examples: what was read.
      labels: those of training.
      source: where the examples are from.
      part: the part of it that they are.

    Raises:
      InputError: naming the label, its place, and the labels that there are.
    """
    for number, example in enumerate(examples, start=1):
        if example.label not in labels:
            line = _line_of(source, example.label)
            where = f"example {number}" if line is None else f"line {line}"
            named = where if part is None else f"{where} of the {part} part"
            raise error(
                TASK,
                f"`{source}`, {named}: training does not have the label {example.label!r}",
                hint=labels_hint(labels),
                kind=InputError,
            )


def _line_of(source: str, label: str) -> int | None:
    """Returns the first line of a file that has a label; None if it is no file of lines."""
    path = Path(source)
    if is_bundled(source, BUNDLED) or path.name.removesuffix(".gz").endswith(".npz"):
        return None
    text, place = data.read_text(path), -1
    if _is_series(path):
        rows = _split_lines(text, ":")
    else:
        tabs = "\t" in text.lstrip("\n").partition("\n")[0]
        rows = _split_lines(text, "\t") if tabs else _comma_rows(text)
        place = [name.strip() for name in next(rows)[1]].index("label")
    return next(number for number, fields in rows if fields[place].strip() == label)


def _split_lines(text: str, mark: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the numbers and the fields of the lines that are not empty."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line:
            yield number, line.split(mark)


def _comma_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the same of rows with quotes, which may go over several lines."""
    rows, number = csv.reader(io.StringIO(text)), 1
    for fields in rows:
        if fields:
            yield number, fields
        number = rows.line_num + 1


def _check_width(parts: Parts, valid: str) -> None:
    """Raises if the series of another file have another number of features than in training."""
    if parts.kind == "series":
        size, given = (part[0].value.shape[1] for part in (parts.train, parts.valid))
        if given != size:
            problem = f"the series of `{valid}` have {given} features, and those of training {size}"
            raise error(TASK, problem, kind=InputError)


def mark(parts: Parts) -> dict[str, int]:
    """Returns what tells data from other data: how many examples, and a checksum."""
    checksum = 0
    for part in parts:
        for value, label in part:
            content = value.encode() if isinstance(value, str) else value.tobytes()
            checksum = zlib.crc32(content + b"\t" + label.encode(), checksum)
    return {"examples": sum(map(len, parts)), "crc32": checksum}


def with_held_out(parts: Parts, config: Config) -> Parts:
    """Returns the parts with some training examples held out, if there is no validation part.

    Examples of a class that has no other stay in training.

    Raises:
      InputError: if there are too few examples to hold one out.
    """
    if parts.valid or not config.hold_out:
        return parts
    train, valid = data.hold_out(parts.train, _content, one_in=config.hold_out)
    known = {example.label for example in train}
    alone = [example for example in valid if example.label not in known]
    valid = [example for example in valid if example.label in known]
    if not valid:
        problem = "each example that would be held out is the only one of its class"
        hint = "give more examples, a file of their own for validation, or hold_out = 0"
        raise error(TASK, problem, hint=hint, kind=InputError)
    return parts._replace(train=train + alone, valid=valid)


def _content(example: Example) -> str:
    value = example.value
    return value if isinstance(value, str) else str(zlib.crc32(value.tobytes()))


def _read(source: str) -> Parts:
    path = Path(source)
    if is_bundled(source, BUNDLED):
        return _bundled(source)
    check_name(TASK, source, BUNDLED)
    if _is_series(path):
        parts = data.read_series(path)
        return Parts(*([Example(*row) for row in part or []] for part in parts))
    return Parts([Example(*row) for row in data.read_labelled_text(path)], [], [])


def _is_series(path: Path) -> bool:
    """Whether a file is named as one of series: NPZ or .ts, plain or gzipped."""
    return path.name.removesuffix(".gz").endswith((".npz", ".ts"))


def _bundled(name: str) -> Parts:
    corpus = data.load(name)

    def examples(rows: Any) -> list[Example]:
        if name == "names":
            return [Example(row.name, row.language) for row in rows or []]
        if name == "udhr":
            return [Example(row.text, row.language) for row in rows or []]
        return [Example(row.values, str(row.label + 1)) for row in rows or []]

    return Parts(*map(examples, (corpus.train, corpus.valid, corpus.test)))


def standard(series: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and deviation of each feature over all steps of all series; never 0."""
    frames = np.concatenate(series).astype(np.float64)
    deviation = frames.std(0)
    return frames.mean(0), np.where(deviation > 0, deviation, 1.0)
