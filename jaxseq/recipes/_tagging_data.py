"""What a tagger learns from: labelled sequences, of one's own or bundled."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxseq import data
from jaxseq._checks import InputError, error
from jaxseq.recipes._sources import check_name, is_bundled, labels_hint
from jaxseq.recipes._tagging_config import TASK, Config
from jaxseq.structured import crf

SPACE, NO_SPACE = "SPACE", "NONE"
BUNDLED = ("usaddress", "hkcancor", "korean_spacing")

Rows = list[list[data.Token]]


class Parts(NamedTuple):
    """Labelled sequences in their parts; one that there is not is empty.

    Attributes:
      train: to learn from.
      valid: to choose the weights by.
      test: to report on.

    Example:
      >>> [len(part) for part in read_parts("usaddress")]
      [912, 298, 303]
    """

    train: Rows
    valid: Rows
    test: Rows


def read_parts(source: str, valid: str | None = None) -> Parts:
    """Returns the parts of a bundled corpus, or of a file of one's own.

    Args:
      source: a path, or ``"usaddress"``, ``"hkcancor"`` or ``"korean_spacing"``.
      valid: the path of a validation part.

    Returns:
      The parts; a file of one's own is ``train``.

    Raises:
      InputError: if there is no such file and no such corpus, it cannot be used, or the validation
        part has a label that training does not have.

    Example:
      >>> from jaxseq.recipes import tagging
      >>> tagging.read_parts("usaddress").train[0][0]
      Token(token='9912', label='AddressNumber')
    """
    parts = _read(source)
    if valid is not None:
        others = _read(valid)
        parts = parts._replace(valid=others.train + others.valid + others.test)
    labels = labels_of(parts.train)
    if len(labels) < 2:
        problem = f"all tokens of `{source}` have the label {labels[0]!r}"
        raise error(TASK, problem, hint="give tokens of two labels or more", kind=InputError)
    if valid is not None:
        check_labels(parts.valid, labels, valid)
    return parts


def read_rows(source: str) -> Rows:
    """Returns the sequences to evaluate on: the test part of a source, or all if it has none.

    Raises:
      InputError: as :func:`read_parts`.
    """
    parts = _read(source)
    return parts.test or parts.valid or parts.train


def read_words(source: str) -> list[list[str]]:
    """Returns the sequences to be labelled; labels in the file play no part.

    Raises:
      InputError: if there is no such file, or it cannot be used.
    """
    if is_bundled(source, BUNDLED):
        return words_of(read_rows(source))
    check_name(TASK, source, BUNDLED)
    return data.read_tokens(source)


def words_of(rows: Sequence[Sequence[data.Token]]) -> list[list[str]]:
    """Returns the tokens without their labels."""
    return [[token.token for token in row] for row in rows]


def labels_of(rows: Sequence[Sequence[data.Token]]) -> list[str]:
    """Returns the labels that occur, sorted."""
    return sorted({token.label for row in rows for token in row})


def check_labels(rows: Rows, labels: Sequence[str], source: str) -> None:
    """Raises if there is a label that training does not have.

    Raises:
      InputError: naming it, its place and token, and the labels that there are.
    """
    known = set(labels)
    for number, row in enumerate(rows):
        for step, token in enumerate(row):
            if token.label not in known:
                raise error(
                    TASK,
                    f"{place_of(source, rows, number, step)} training does not have the label "
                    f"{token.label!r} (of {token.token!r})",
                    hint=labels_hint(labels),
                    kind=InputError,
                )


def place_of(source: str, rows: Rows, number: int, step: int) -> str:
    """Returns what an error names a step by: its line, or its sequence where there are no lines."""
    if is_bundled(source, BUNDLED):
        return f"`{source}`, sequence {number + 1}:"
    before = sum(map(len, rows[:number])) + step
    for line, text in enumerate(data.read_text(source).split("\n"), start=1):
        comment = text.startswith("#") and "\t" not in text
        if text.strip(" ") and not comment and not text.startswith("-DOCSTART-"):
            if before == 0:
                return f"`{source}`, line {line}:"
            before -= 1
    raise AssertionError(f"{source} has changed while it was read")


def allowed_of(config: Config, labels: Sequence[str]) -> crf.Allowed | None:
    """Returns what paths of labels a CRF keeps to; None if that is any."""
    if config.output != "crf" or config.scheme not in ("bio", "bioes", "bmes"):
        return None
    return getattr(crf, config.scheme)(labels)


def check_paths(config: Config, rows: Rows, source: str) -> None:
    """Raises if training sequences break the rule that their CRF will keep to.

    Their likelihood would be 0, and could not be raised.

    Raises:
      InputError: naming the first label that may not stand where it does.
    """
    labels = labels_of(rows)
    allowed = allowed_of(config, labels)
    if allowed is None:
        return
    tags = {label: tag for tag, label in enumerate(labels)}
    moves, first, last = map(np.asarray, allowed)
    for number, row in enumerate(rows):
        path = [tags[token.label] for token in row]
        right = [first[path[0]], *moves[path[:-1], path[1:]], last[path[-1]]]
        if all(right):
            continue
        step = right.index(False)
        told = f"{row[min(step, len(row) - 1)].label!r} may not"
        before = "begin a sequence" if not step else f"follow {row[step - 1].label!r}"
        told += " end a sequence" if step == len(row) else f" {before}"
        raise error(
            TASK,
            f"{place_of(source, rows, number, min(step, len(row) - 1))} {told} in the scheme "
            f"{config.scheme}",
            hint="mend the labels, or train with --output softmax, which knows no such rule",
            kind=InputError,
        )


def mark(parts: Parts) -> dict[str, int]:
    """Returns what tells data from other data: how many sequences, and a checksum."""
    checksum = 0
    for part in parts:
        for row in part:
            text = "\n".join(f"{token}\t{label}" for token, label in row)
            checksum = zlib.crc32(text.encode(), checksum)
    return {"sequences": sum(map(len, parts)), "crc32": checksum}


def with_held_out(parts: Parts, config: Config) -> Parts:
    """Returns the parts with some training sequences held out, if there is no validation part.

    Sequences with a label that occurs in no other stay in training.

    Raises:
      InputError: if there are too few sequences to hold one out.
    """
    if parts.valid or not config.hold_out:
        return parts
    train, valid = data.hold_out(parts.train, _text, one_in=config.hold_out)
    known = set(labels_of(train))
    alone = [any(token.label not in known for token in row) for row in valid]
    if all(alone):
        problem = "each sequence that would be held out has a label that no other has"
        hint = "give more sequences, a file of their own for validation, or hold_out = 0"
        raise error(TASK, problem, hint=hint, kind=InputError)
    kept, valid = ([row for row, a in zip(valid, alone, strict=True) if a is one]
                   for one in (True, False))  # fmt: skip
    return parts._replace(train=train + kept, valid=valid)


def _text(row: Sequence[data.Token]) -> str:
    return " ".join(token.token for token in row)


def _read(source: str) -> Parts:
    path = Path(source)
    if is_bundled(source, BUNDLED):
        return _spacing() if source == "korean_spacing" else _bundled(source)
    check_name(TASK, source, BUNDLED)
    return Parts(data.read_tagged(path), [], [])


def _bundled(name: str) -> Parts:
    """Returns the parts of a corpus; test labels that training does not have stay as they are."""
    corpus = data.load(name)
    return Parts(corpus.train, corpus.valid, corpus.test)


def _spacing() -> Parts:
    """Returns Korean by character, each labelled by whether a space stands before it.

    The texts are the Korean sides of ``home_assistant_en_ko`` and the lines of
    ``korean_constitution``, each in the parts of its own split.
    """
    strings, law = data.load("home_assistant_en_ko"), data.load("korean_constitution")
    parts: list[Any] = []
    for pairs, text in zip(strings[1:4], law[1:4], strict=True):
        lines = dict.fromkeys([pair.korean for pair in pairs] + text.split("\n"))
        parts.append([row for row in map(spacing_row, lines) if len(row) > 1])
    seen = {_text(row) for row in parts[0]}
    # Different English may have the same Korean: what training has seen is no test.
    return Parts(parts[0], *([row for row in part if _text(row) not in seen] for part in parts[1:]))


def spacing_row(text: str) -> list[data.Token]:
    """Returns the characters of a text but its spaces, each with SPACE or NONE before it.

    Args:
      text: a line of Korean, or of any language that puts spaces between words.

    Example:
      >>> [tuple(token) for token in spacing_row("새 집")]
      [('새', 'NONE'), ('집', 'SPACE')]
    """
    words = text.split()
    return [
        data.Token(character, SPACE if place == 0 and number else NO_SPACE)
        for number, word in enumerate(words)
        for place, character in enumerate(word)
    ]
