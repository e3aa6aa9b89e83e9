"""Sequences of the user's own in a CoNLL file: with their labels, or to be labelled."""

import os
import pathlib

from jaxseq.data._files import UserFile
from jaxseq.data._records import Token
from jaxseq.data._text import normal_text

_DOCUMENT = "-DOCSTART-"
_FORMAT = "write one token a line, a tab and its label, and an empty line after each sequence"
_TOKENS = "write one token a line, and an empty line after each sequence"


def read_tagged(path: str | os.PathLike[str]) -> list[list[Token]]:
    r"""Reads a CoNLL file of labelled sequences, plain or gzipped.

    One token a line, with its label behind a tab, and an empty line after each sequence. There may
    be more columns, equally many in all lines: the token is the first, the label the last. A line
    with a ``#`` at the start and no tab is a comment; lines that begin with ``-DOCSTART-`` are left
    out. The text is as :func:`normalize_text` leaves it; white space around a label is no part of
    it.

    Args:
      path: the file; UTF-8.

    Returns:
      The sequences, in the order of the file; none is empty.

    Raises:
      InputError: naming the file, and the line where there is one, if the file cannot be read (as
        in :func:`read_text`), has no tokens, or a line has no tab, no token, no label, or another
        number of columns than the one before it.

    Example:
      >>> import pathlib, tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = pathlib.Path(folder) / "cities.conll"
      ...     _ = path.write_text("# travel\nto\tO\nPusan\tCITY\n\nSeoul\tCITY\n")
      ...     read_tagged(path)
      [[Token(token='to', label='O'), Token(token='Pusan', label='CITY')],
       [Token(token='Seoul', label='CITY')]]

    References:
      Tjong Kim Sang and De Meulder, "Introduction to the CoNLL-2003 Shared Task:
      Language-Independent Named Entity Recognition", CoNLL 2003.
    """
    file = UserFile("read_tagged", pathlib.Path(path))
    sequences = _sequences(file, labelled=True)
    return [[Token(fields[0], fields[-1].strip()) for fields in rows] for rows in sequences]


def read_tokens(path: str | os.PathLike[str]) -> list[list[str]]:
    r"""Reads the tokens of a CoNLL file that are to be labelled.

    The file is one that :func:`read_tagged` reads, but it needs no labels: one token a line will
    do. Without any tab in the file, only a ``#`` with a space behind it begins a comment, so that
    the token ``#`` is one.

    Args:
      path: the file; UTF-8.

    Returns:
      The sequences of tokens, in the order of the file; none is empty.

    Raises:
      InputError: as in :func:`read_tagged`; and if there are no tabs, and a line has spaces in it,
        as whole sentences would.

    Example:
      >>> import pathlib, tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = pathlib.Path(folder) / "new.conll"
      ...     _ = path.write_text("to\nPusan\n\nSeoul\n")
      ...     read_tokens(path)
      [['to', 'Pusan'], ['Seoul']]
    """
    file = UserFile("read_tokens", pathlib.Path(path))
    return [[fields[0] for fields in rows] for rows in _sequences(file, labelled=False)]


def _sequences(file: UserFile, *, labelled: bool) -> list[list[list[str]]]:
    """The columns of every token of every sequence."""
    text = normal_text(file, file.read(), lines=True)
    tabs = labelled or "\t" in text
    sequences: list[list[list[str]]] = []
    begun, before = False, None
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(_DOCUMENT) or not line.strip(" "):
            begun = False
        elif not _is_comment(line, tabs):
            fields = line.split("\t")
            _check(file, number, fields, labelled=labelled)
            if before is not None and len(fields) != before[1]:
                problem = f"the number of columns is {len(fields)}, but {before[1]} in line "
                raise file.error(f"{problem}{before[0]}", line=number, hint=_hint(labelled))
            before = number, len(fields)
            if not begun:
                sequences.append([])
                begun = True
            sequences[-1].append(fields)
    if not sequences:
        raise file.error("has no tokens in it", hint=_hint(labelled))
    return sequences


def _is_comment(line: str, tabs: bool) -> bool:
    # "#" is a token in addresses; in a file of bare tokens it must not be lost.
    return line.startswith("#") and "\t" not in line if tabs else line.startswith("# ")


def _check(file: UserFile, number: int, fields: list[str], *, labelled: bool) -> None:
    """Raises unless the columns hold a token and, if asked for, a label."""
    if labelled and len(fields) == 1:
        problem = f"there is no tab after {fields[0][:40]!r}"
    elif not fields[0]:
        problem = "the token is empty"
    elif labelled and not fields[-1].strip():
        problem = f"the label of {fields[0][:40]!r} is empty"
    elif len(fields) == 1 and " " in fields[0].strip(" "):
        problem = f"{fields[0][:40]!r} has spaces in it, so it is more than one token"
    else:
        return
    raise file.error(problem, line=number, hint=_hint(labelled))


def _hint(labelled: bool) -> str:
    return _FORMAT if labelled else _TOKENS
