"""Where the data of a task are from, a bundled corpus or a file, and how errors speak of them."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from jaxseq._checks import InputError, error

LISTED = 20
"""An error names so many labels at most."""


def is_bundled(source: str, bundled: Sequence[str]) -> bool:
    """Returns whether a name is that of a corpus, and of no file.

    Example:
      >>> is_bundled("names", ("names", "udhr")), is_bundled("my.tsv", ("names", "udhr"))
      (True, False)
    """
    return source in bundled and not Path(source).exists()


def check_name(task: str, source: str, bundled: Sequence[str]) -> None:
    """Raises if a name is that of no file and of no corpus; a path is left to what reads it.

    Args:
      task: the name of the task.
      source: what was given.
      bundled: the corpora of the task.

    Raises:
      InputError: naming those that are close, or all.
    """
    path = Path(source)
    if not path.exists() and path.name == source and not path.suffix:
        close = difflib.get_close_matches(source, bundled)
        hint = f"did you mean {' or '.join(map(repr, close))}" if close else None
        own = f"use one of {', '.join(bundled)}, or a file of your own"
        problem = f"there is no file and no bundled corpus for {task} {source!r}"
        raise error(task, problem, hint=hint or own, kind=InputError)


def labels_hint(labels: Sequence[str]) -> str:
    """Returns the labels that there are, for the hint of an error.

    Example:
      >>> labels_hint(["a", "b"])
      'the labels are a, b'
    """
    more = f" and {len(labels) - LISTED} more" if len(labels) > LISTED else ""
    return f"the labels are {', '.join(labels[:LISTED])}{more}"
