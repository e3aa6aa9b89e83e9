"""The .ts format, in which the UEA archive and its libraries keep labelled series as text."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from jaxseq.data._files import UserFile, listed
from jaxseq.data._records import Series

_HEADER = "begin with lines such as `@classLabel true first second`, and then `@data`"
_CASE = "write one case a line: values with `,` between, dimensions with `:`, and last the class"


class Header(NamedTuple):
    """What the lines before ``@data`` say that matters here.

    Attributes:
      classes: the class labels that there may be.
      dimensions: how many values a frame has; ``None`` if the header does not say.
    """

    classes: tuple[str, ...]
    dimensions: int | None


def read_cases(file: UserFile, text: str) -> list[Series]:
    """Reads the cases of a .ts file.

    Args:
      file: the file, which errors name.
      text: its text, normalised.

    Returns:
      The cases, in the order of the file.

    Raises:
      InputError: as :func:`read_series` says.
    """
    lines = _lines(text)
    header = _header(file, lines)
    cases: list[Series] = []
    width, says = header.dimensions, "the header"
    for number, line in lines:
        *dimensions, label = line.split(":")
        if width is None:
            width, says = len(dimensions), "the first case"
        if not dimensions:
            problem = "there is no `:`, so no class behind the values"
            raise file.error(problem, line=number, hint=_CASE)
        if len(dimensions) != width:
            problem = f"the number of dimensions is {len(dimensions)}, but {width} in {says}"
            raise file.error(problem, line=number, hint=_CASE)
        if label.strip() not in header.classes:
            problem = f"the class {label.strip()!r} is none of the header's"
            raise file.error(f"{problem}: {listed([*header.classes])}", line=number, hint=_CASE)
        cases.append(Series(_values(file, number, dimensions), label.strip()))
    if not cases:
        raise file.error("has no cases below @data", hint=_CASE)
    return cases


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The numbers of the lines, and the lines, without those that are empty or comments."""
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def _header(file: UserFile, lines: Iterator[tuple[int, str]]) -> Header:
    """Reads the lines up to ``@data``."""
    tags: dict[str, tuple[int, list[str]]] = {}
    for number, line in lines:
        tag, *words = line.split()
        if tag.lower() == "@data":
            return _checked_header(file, tags)
        if not tag.startswith("@"):
            if tags:
                problem = f"there is no @data before {line[:40]!r}"
                raise file.error(problem, line=number, hint=_HEADER)
            problem = f"is neither an .npz nor a .ts file: its text begins with {line[:40]!r}"
            raise file.error(problem, hint=f"a .ts file is to {_HEADER}")
        tags[tag.lower()] = number, words
    raise file.error("has no line @data", hint=_HEADER)


def _checked_header(file: UserFile, tags: dict[str, tuple[int, list[str]]]) -> Header:
    number, words = tags.get("@timestamps", (0, []))
    if _is_true(words):
        hint = "write the values alone, at equal steps of time, and `@timeStamps false`"
        raise file.error("time stamps are not supported", line=number, hint=hint)
    if "@classlabel" not in tags:
        raise file.error("has no @classLabel before @data", hint=_HEADER)
    number, words = tags["@classlabel"]
    if not _is_true(words) or len(words) < 2:
        raise file.error("@classLabel names no classes", line=number, hint=_HEADER)
    return Header(tuple(words[1:]), _dimensions(file, tags))


def _dimensions(file: UserFile, tags: dict[str, tuple[int, list[str]]]) -> int | None:
    # Both spellings are in use.
    for tag in ("@dimensions", "@dimension"):
        if tag in tags:
            number, words = tags[tag]
            if len(words) != 1 or not words[0].isdecimal() or int(words[0]) < 1:
                problem = f"{tag} must be a positive integer, but it is {' '.join(words)!r}"
                raise file.error(problem, line=number, hint="leave the line out if in doubt")
            return int(words[0])
    return 1 if _is_true(tags.get("@univariate", (0, []))[1]) else None


def _is_true(words: list[str]) -> bool:
    return bool(words) and words[0].lower() == "true"


def _values(file: UserFile, line: int, dimensions: list[str]) -> Float32[np.ndarray, "T I"]:
    """The values of a case."""
    columns = [dimension.split(",") for dimension in dimensions]
    for place, column in enumerate(columns, 1):
        if len(column) != len(columns[0]):
            problem = f"the number of values is {len(column)} in dimension {place}"
            problem = f"{problem}, but {len(columns[0])} in dimension 1"
            raise file.error(problem, line=line, hint=_CASE)
    # What is too large for float32 becomes inf, and is refused here.
    with np.errstate(over="ignore"):
        frames = np.array([_numbers(column) for column in columns], np.float32).T.copy()
    if not (finite := np.isfinite(frames)).all():
        step, place = map(int, np.argwhere(~finite)[0])
        problem = f"value {step + 1} of dimension {place + 1} is {columns[place][step]!r}"
        hint = "missing values are not supported: fill them in, or leave the case out"
        raise file.error(f"{problem}, which is no finite float32", line=line, hint=hint)
    return frames


def _numbers(texts: list[str]) -> list[float]:
    """The numbers, with NaN for the first that is none and what follows: the caller names it."""
    numbers: list[float] = []
    try:
        numbers.extend(map(float, texts))
    except ValueError:
        numbers += [float("nan")] * (len(texts) - len(numbers))
    return numbers
