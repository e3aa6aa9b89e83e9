"""Pairs of texts of the user's own in a TSV or CSV file: to learn from, or sources alone."""

import os
import pathlib

from jaxseq.data._files import UserFile
from jaxseq.data._labelled import columns
from jaxseq.data._records import Pair


def read_pairs(path: str | os.PathLike[str]) -> list[Pair]:
    r"""Reads a TSV or CSV file of texts and what they become, plain or gzipped.

    The first line names the columns ``source`` and ``target``, which may stand anywhere; tabs,
    commas, quotes, other columns and empty lines are as in :func:`read_labelled_text`. A source may
    have several rows: each target is right. White space around a text is no part of it.

    Args:
      path: the file; UTF-8.

    Returns:
      The rows, in the order of the file.

    Raises:
      InputError: naming the file, and the line where there is one, as in
        :func:`read_labelled_text`.

    Example:
      >>> import pathlib, tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = pathlib.Path(folder) / "signs.tsv"
      ...     _ = path.write_text("source\ttarget\nWay out\t나가는 곳\nWay in\t들어가는 곳\n")
      ...     read_pairs(path)
      [Pair(source='Way out', target='나가는 곳'), Pair(source='Way in', target='들어가는 곳')]
    """
    file = UserFile("read_pairs", pathlib.Path(path))
    return [Pair(a.strip(), b.strip()) for a, b in columns(file, "source", "target")]


def read_sources(path: str | os.PathLike[str]) -> list[str]:
    r"""Reads the texts of a TSV or CSV file that are to be translated.

    The file is one that :func:`read_pairs` reads, but it needs no column ``target``.

    Args:
      path: the file; UTF-8.

    Returns:
      The texts, in the order of the file.

    Raises:
      InputError: as in :func:`read_pairs`.

    Example:
      >>> import pathlib, tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = pathlib.Path(folder) / "new.tsv"
      ...     _ = path.write_text("source\nNo way out\n")
      ...     read_sources(path)
      ['No way out']
    """
    file = UserFile("read_sources", pathlib.Path(path))
    return [text.strip() for (text,) in columns(file, "source")]
