"""Rows held out for validation, where the user gives no file for it."""

import zlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from jaxseq._checks import InputError, error
from jaxseq.data._read import split_rows

Row = TypeVar("Row")


class HeldOut(NamedTuple):
    """Rows in two parts.

    Attributes:
      train: the rows to train on, in their order.
      held_out: the others, in theirs.

    Example:
      >>> HeldOut(train=["a", "b"], held_out=["c"]).held_out
      ['c']
    """

    train: list[Any]
    held_out: list[Any]


def hold_out(rows: Iterable[Row], text: Callable[[Row], str], *, one_in: int = 10) -> HeldOut:
    r"""Holds out the rows whose text has a CRC-32 divisible by ``one_in``.

    So a row stays in its part whatever the order of the rows and whatever is added to them, and
    equal texts are never in both parts. About one text in ``one_in`` is held out.

    Args:
      rows: the rows.
      text: what a row goes by: of a row, its text.
      one_in: the share to hold out is one in so many; at least 2.

    Returns:
      The rows to train on and the rows held out; neither is empty.

    Raises:
      InputError: if a part would be empty.
      ValueError: if ``one_in`` is below 2.

    Example:
      >>> words = [f"word {number}" for number in range(100)]
      >>> parts = hold_out(words, lambda word: word)
      >>> len(parts.train), len(parts.held_out), parts.held_out[0]
      (89, 11, 'word 21')
    """
    if one_in < 2:
        raise error("hold_out", f"`one_in` must be at least 2, but it is {one_in}")

    def place(row: Row) -> int:
        return 2 if zlib.crc32(text(row).encode("utf-8")) % one_in else 0

    parts = split_rows(rows, place)
    if not (parts.train and parts.test):
        count = len(parts.train) + len(parts.test)
        lacking = "left to train on" if parts.test else "held out"
        raise error(
            "hold_out",
            f"of {count} row{'' if count == 1 else 's'}, none is {lacking}; the rule is the "
            f"CRC-32 of the text, modulo {one_in}",
            hint="give more rows, or a file of their own for validation",
            kind=InputError,
        )
    return HeldOut(parts.train, parts.test)
