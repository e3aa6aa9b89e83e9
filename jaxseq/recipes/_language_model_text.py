"""The text of a language model: where it comes from, and what its symbols are."""

import difflib
import zlib
from pathlib import Path
from typing import Any

from jaxseq import data
from jaxseq._checks import InputError, error

TASK = "language-model"
UNKNOWN = "\ufffd"
OWN = "use moby_dick or korean_constitution, or a text file of your own"


def read_parts(source: str, valid: str | None = None) -> data.TextParts:
    """Returns the three parts of a text: a file of one's own, or a bundled text.

    Args:
      source: a path, or a name of :func:`jaxseq.data.names` whose corpus is one text.
      valid: another such text, to choose the weights by; the whole of ``source`` is then for
        training, and ``valid`` is also what is reported on.

    Returns:
      The parts for training, validation and test.

    Raises:
      InputError: if there is no such file and no such text, or it cannot be used.

    Example:
      >>> from jaxseq.recipes import language_model
      >>> [len(part) for part in language_model.read_parts("korean_constitution")]
      [16995, 944, 945]
    """
    if valid is None:
        return data.split_text(read_source(source))
    other = read_source(valid)
    return data.TextParts(read_source(source), other, other)


def read_source(source: str) -> str:
    """Returns the whole of such a text.

    Raises:
      InputError: if there is no such file and no such text, or it cannot be used.
    """
    path = Path(source)
    if path.exists() or (source not in data.names() and (path.name != source or path.suffix)):
        return data.read_text(path)
    if source not in data.names():
        close = difflib.get_close_matches(source, data.names())
        raise error(
            TASK,
            f"there is no file and no bundled text {source!r}",
            hint=f"did you mean {' or '.join(map(repr, close))}" if close else OWN,
            kind=InputError,
        )
    corpus = data.load(source)
    parts = [part for part in (corpus.train, corpus.valid, corpus.test) if part]
    if not all(isinstance(part, str) for part in parts):
        problem = f"the bundled {source} is no running text"
        raise error(TASK, problem, hint=OWN, kind=InputError)
    return "".join(parts)


def mark(text: str) -> dict[str, int]:
    """Returns what tells a text from another one."""
    return {"characters": len(text), "crc32": zlib.crc32(text.encode())}


def check_text(page: dict[str, Any], text: str, source: str) -> None:
    """Raises unless the text is the one that the run of a page began with.

    Raises:
      InputError: if it has changed since.
    """
    if page.get("text") != mark(text):
        raise error(
            TASK,
            f"the text {source} is not what it was when the run began",
            hint="bring the text of then back, or train anew into another directory",
            kind=InputError,
        )


def vocabulary_of(text: str, units: str) -> data.Vocabulary:
    """Returns the vocabulary of a training text; id 0 stands for all that is not in it."""
    if units == "characters":
        return data.Vocabulary.of_characters(text, unknown=UNKNOWN)
    # What occurs once stands for what never does, so that the model learns of the unknown.
    vocabulary = data.Vocabulary.of_words(text, unknown=UNKNOWN, min_count=2)
    if len(vocabulary) == 1:
        raise error(
            TASK,
            "no word of the text occurs twice",
            hint="give more text, or model it by characters",
            kind=InputError,
        )
    return vocabulary


def opening(vocabulary: data.Vocabulary) -> str:
    """Returns what a text may begin with where nothing is said: a new line, if there is one."""
    return "\n" if "\n" in vocabulary.symbols else vocabulary.symbols[-1]
