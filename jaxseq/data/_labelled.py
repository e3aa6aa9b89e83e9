"""Texts of the user's own in a TSV or CSV file: with their labels, or to be labelled."""

import csv
import io
import os
import pathlib
from collections.abc import Iterator

from jaxseq.data._files import UserFile, listed
from jaxseq.data._records import LabelledText
from jaxseq.data._text import normal_text

_IN_TABS = "a text in a file with tabs holds no tab and no line end; one that does needs a CSV file"
_IN_QUOTES = "put a text with a comma, a quote or a line end in quotes, and double its own quotes"


def read_labelled_text(path: str | os.PathLike[str]) -> list[LabelledText]:
    r"""Reads a TSV or CSV file of texts and their labels, plain or gzipped.

    The first line names the columns. If it holds a tab, tabs separate the fields and quotes are
    letters like any other; otherwise commas do, and a field may be quoted as spreadsheets do it.
    The columns ``text`` and ``label`` may stand anywhere; others are ignored, as are empty lines.
    The texts are as :func:`normalize_text` leaves them; white space around a label is no part of
    it.

    Args:
      path: the file; UTF-8.

    Returns:
      The rows, in the order of the file.

    Raises:
      InputError: naming the file, and the line where there is one, if the file cannot be read (as
        in :func:`read_text`), has no such columns or no rows, its quotes do not match, or a row has
        another number of fields than the first line, or no text, or no label.

    Example:
      >>> import pathlib, tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = pathlib.Path(folder) / "reviews.csv"
      ...     _ = path.write_text('id,label,text\n7,good,"Short, and to the point"\n')
      ...     read_labelled_text(path)
      [LabelledText(text='Short, and to the point', label='good')]

    References:
      Shafranovich, "Common Format and MIME Type for Comma-Separated Values (CSV) Files", RFC 4180,
      2005.
    """
    file = UserFile("read_labelled_text", pathlib.Path(path))
    # White space around a label would make another class of it, which nobody sees.
    return [LabelledText(text, label.strip()) for text, label in columns(file, "text", "label")]


def read_texts(path: str | os.PathLike[str]) -> list[str]:
    r"""Reads the texts of a TSV or CSV file that are to be labelled.

    The file is one that :func:`read_labelled_text` reads, but it needs no column ``label``.

    Args:
      path: the file; UTF-8.

    Returns:
      The texts, in the order of the file.

    Raises:
      InputError: as in :func:`read_labelled_text`.

    Example:
      >>> import pathlib, tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = pathlib.Path(folder) / "new.tsv"
      ...     _ = path.write_text('text\tstars\n"Fine", they say\t3\n')
      ...     read_texts(path)
      ['"Fine", they say']
    """
    file = UserFile("read_texts", pathlib.Path(path))
    return [text for (text,) in columns(file, "text")]


def columns(file: UserFile, *names: str) -> Iterator[list[str]]:
    """The fields of these columns of a file with a header, row by row; none is empty."""
    return (fields for _, fields in numbered_columns(file, *names))


def numbered_columns(
    file: UserFile, *names: str, optional: tuple[str, ...] = ()
) -> Iterator[tuple[int, list[str]]]:
    """The same after the numbers of their lines; an optional column may be empty, or lacking."""
    text = normal_text(file, file.read(), lines=True)
    rows, hint = rows_of(file, text)
    first, header = next(rows)
    header = [name.strip() for name in header]
    places = places_of(file, first, header, names)
    places += [header.index(name) if name in header else len(header) for name in optional]
    line = first
    for line, fields in rows:
        if len(fields) != len(header):
            problem = f"the number of fields is {len(fields)}, but {len(header)} in the header"
            raise file.error(problem, line=line, hint=hint)
        values = [[*fields, ""][place] for place in places]
        for name, value in zip(names, values, strict=False):
            if not value or value.isspace():
                fill = "fill it in, or take the line out"
                raise file.error(f"the {name} is empty", line=line, hint=fill)
        yield line, values
    if line == first:
        raise file.error("has no rows below its header", hint="give one row for each text")


def rows_of(file: UserFile, text: str) -> tuple[Iterator[tuple[int, list[str]]], str]:
    """The numbers and the fields of the lines that are not empty, and how such lines are written.

    The fields are between tabs if the first line has one, else between commas.
    """
    tabs = "\t" in text.lstrip("\n").partition("\n")[0]
    return (_tab_rows(text), _IN_TABS) if tabs else (_comma_rows(file, text), _IN_QUOTES)


def places_of(file: UserFile, line: int, header: list[str], names: tuple[str, ...]) -> list[int]:
    """Where in a row the columns are."""
    wanted = " and ".join(f"`{name}`" for name in names)
    hint = f"name the columns in the first line, between tabs or commas: {wanted}"
    for name in names:
        if header.count(name) != 1:
            problem = f"two columns are called `{name}`"
            if name not in header:
                problem = f"there is no column `{name}`; the columns are {listed(header)}"
            raise file.error(problem, line=line, hint=hint)
    return [header.index(name) for name in names]


def _tab_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The numbers and the fields of the lines that are not empty."""
    for line, row in enumerate(text.split("\n"), 1):
        if row:
            yield line, row.split("\t")


def _comma_rows(file: UserFile, text: str) -> Iterator[tuple[int, list[str]]]:
    """The same of rows with quotes, which may go over several lines: the first is the number."""
    # Without `strict`, a quote that nobody closes would swallow the rest of the file.
    reader = csv.reader(io.StringIO(text), strict=True)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as cause:
        raise file.error(f"this is no CSV ({cause})", line=line, hint=_IN_QUOTES) from cause
