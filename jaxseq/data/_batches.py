"""What all batch iterators share: epochs, a cursor to save, and the way back to it."""

import abc
import operator
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from jaxseq._checks import InputError, error

Batch = TypeVar("Batch")


class Batches(abc.ABC, Iterator[Batch], Generic[Batch]):
    """An iterator over epochs of equally many batches, each a function of (epoch, index).

    Nothing is drawn or remembered on the way, so the cursor is the whole state.
    """

    def __init__(self, *, repeat: bool) -> None:
        self._repeat = repeat
        self._epoch = 0
        self._index = 0

    @abc.abstractmethod
    def __len__(self) -> int:
        """The number of batches of an epoch."""

    @abc.abstractmethod
    def _at(self, epoch: int, index: int) -> Batch:
        """The batch at one place of one epoch."""

    @property
    def cursor(self) -> dict[str, int]:
        """The place of the next batch, ``{"epoch": e, "batch": i}``; save it, and :meth:`seek` it.

        At the end of an epoch of an iterator that does not repeat, ``i`` is ``len(self)``.

        Example:
          >>> import numpy as np
          >>> from jaxseq.data import WindowBatches
          >>> batches = WindowBatches(np.arange(9), batch_size=2, window=2)
          >>> _ = next(batches)
          >>> batches.cursor
          {'epoch': 0, 'batch': 1}
        """
        return {"epoch": self._epoch, "batch": self._index}

    def seek(self, cursor: Mapping[str, Any]) -> None:
        """Moves to a place that :attr:`cursor` named, so that the batch there is the next one.

        Args:
          cursor: ``{"epoch": e, "batch": i}``, two integers.

        Raises:
          InputError: if it is no such dictionary, or names a place that does not exist here.

        Example:
          >>> import numpy as np
          >>> from jaxseq.data import WindowBatches
          >>> batches = WindowBatches(np.arange(9), batch_size=2, window=2)
          >>> batches.seek({"epoch": 0, "batch": 1})
          >>> next(batches).targets.tolist()
          [[3, 4], [7, 8]]
        """
        where = f"{type(self).__name__}.seek"
        try:
            if set(cursor) != {"epoch", "batch"} or any(
                isinstance(value, bool) for value in cursor.values()
            ):
                raise TypeError
            epoch, index = operator.index(cursor["epoch"]), operator.index(cursor["batch"])
        except (AttributeError, TypeError) as cause:
            problem = f"`cursor` must be {{'epoch': int, 'batch': int}}, but it is {cursor!r}"
            raise error(where, problem, hint="use a saved `cursor`", kind=InputError) from cause
        if epoch < 0 or not 0 <= index <= len(self):
            raise error(
                where,
                f"`cursor` names batch {index} of epoch {epoch}, "
                f"and an epoch here has the batches 0 to {len(self) - 1}",
                hint="the cursor comes from other data or another batch size",
                kind=InputError,
            )
        self._move(epoch, index)

    def __iter__(self) -> "Batches[Batch]":
        # A finished iterator that a loop asks for again would give nothing, and a mean over nothing
        # goes unnoticed; the loop gets the next epoch instead.
        if self._index == len(self):
            self._epoch, self._index = self._epoch + 1, 0
        return self

    def __next__(self) -> Batch:
        if self._index == len(self):
            raise StopIteration
        batch = self._at(self._epoch, self._index)
        self._move(self._epoch, self._index + 1)
        return batch

    def _move(self, epoch: int, index: int) -> None:
        if self._repeat and index == len(self):
            epoch, index = epoch + 1, 0
        self._epoch, self._index = epoch, index


def check_positive(where: str, **sizes: int) -> None:
    """Raises unless every size is at least 1."""
    for name, size in sizes.items():
        if size < 1:
            raise error(where, f"`{name}` must be at least 1, but it is {size}")
