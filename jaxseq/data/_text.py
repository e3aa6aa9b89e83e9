"""Running text: a file of the user's own, how it is normalised, how it is cut in three."""

import os
import pathlib
import unicodedata
from typing import NamedTuple

from jaxseq._checks import InputError, error
from jaxseq.data._files import UserFile


class TextParts(NamedTuple):
    """A text in three consecutive parts.

    Attributes:
      train: the first 90 %.
      valid: the next 5 %.
      test: the last 5 %.

    Example:
      >>> TextParts(train="to be or ", valid="not ", test="to be").test
      'to be'
    """

    train: str
    valid: str
    test: str


def normalize_text(text: str) -> str:
    r"""Returns the text in the one form that this package stores text in.

    A byte order mark at the start goes, ``\r\n`` and ``\r`` become ``\n``, and Unicode is composed
    (NFC): Korean that arrives as loose jamo (NFD) becomes syllables. :func:`read_text` does this to
    files; do it to prompts, and a vocabulary made from the one will know the other.

    Args:
      text: any text.

    Returns:
      The same text, normalised; normalising twice changes nothing.

    Example:
      >>> normalize_text("\ufeff\u1112\u1161\u11ab\r\n")
      '한\n'

    References:
      Unicode Standard Annex 15, "Unicode Normalization Forms".
    """
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", lines)


def read_text(path: str | os.PathLike[str]) -> str:
    r"""Reads a text file of the user's own, plain or gzipped, and normalises it.

    Whether the file is gzipped is read from its content, not from its name.

    Args:
      path: the file; UTF-8.

    Returns:
      The whole text, as :func:`normalize_text` leaves it.

    Raises:
      InputError: if there is no such file, or it is a directory, a broken gzip file, not UTF-8, or
        has nothing in it but white space.

    Example:
      >>> import pathlib, tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = pathlib.Path(folder) / "two_lines.txt"
      ...     _ = path.write_bytes("가\r\n나\r\n".encode())
      ...     read_text(path)
      '가\n나\n'
    """
    file = UserFile("read_text", pathlib.Path(path))
    return normal_text(file, file.read())


def normal_text(file: UserFile, data: bytes, *, lines: bool = False) -> str:
    """The normalised text of a file's bytes; ``lines`` says whether errors count them."""
    text = normalize_text(file.decode(data, lines=lines))
    if not text or text.isspace():
        problem = "has no text in it" if text else "is empty"
        raise file.error(problem, hint="give a file with text")
    return text


def split_text(text: str) -> TextParts:
    r"""Cuts a text in the first 90 %, the next 5 % and the last 5 % of its characters.

    .. math:: a = \lfloor 90 n / 100 \rfloor, \quad b = \lfloor 95 n / 100 \rfloor

    This is how the running text of :func:`load` is cut too.

    Args:
      text: a text of ``n`` characters.

    Returns:
      The characters before ``a``, from ``a`` to ``b``, and from ``b`` on; none of them is empty.

    Raises:
      InputError: if the text is too short for three parts.

    Example:
      >>> parts = split_text("abcdefghijklmnopqrst")
      >>> parts.train, parts.valid, parts.test
      ('abcdefghijklmnopqr', 's', 't')
    """
    first, second = len(text) * 90 // 100, len(text) * 95 // 100
    parts = TextParts(text[:first], text[first:second], text[second:])
    if not all(parts):
        raise error(
            "split_text",
            f"`text` has {len(text)} characters, too few for three parts",
            hint="give at least 20 characters",
            kind=InputError,
        )
    return parts
