"""Batches with something done to each, which remain batches with a cursor."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from jaxseq._checks import error

Mapped = TypeVar("Mapped")


class MappedBatches(Iterator[Mapped]):
    """What :func:`map_batches` returns: the place is that of the batches below, nothing more."""

    def __init__(self, function: Callable[[Any], Mapped], batches: Any) -> None:
        self._function, self._batches = function, batches

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        return len(self._batches)

    @property
    def cursor(self) -> dict[str, Any]:
        """The place of the next batch; save it, and :meth:`seek` it."""
        return self._batches.cursor

    def seek(self, cursor: Mapping[str, Any]) -> None:
        """Moves to a place that :attr:`cursor` named, so that the batch there is the next one."""
        self._batches.seek(cursor)

    def __iter__(self) -> "MappedBatches[Mapped]":
        # A loop over batches that are at the end of an epoch begins the next one.
        iter(self._batches)
        return self

    def __next__(self) -> Mapped:
        return self._function(next(self._batches))


def map_batches(function: Callable[[Any], Mapped], batches: Any) -> MappedBatches[Mapped]:
    """Returns an iterator over ``function(batch)`` that has the cursor of the batches.

    It has their ``len``, ``cursor`` and ``seek`` and goes from epoch to epoch as they do, so a run
    over it can be resumed. The usual function looks up labels by the ``rows`` of a
    :class:`BucketBatch`. A row that fills up is -1 there, and finds the last label: its length is
    0, so weigh it by ``lengths > 0``.

    Args:
      function: what to make of a batch. For a run that resumes exactly, it depends on nothing else.
      batches: an iterator with ``cursor`` and ``seek``, such as those of this room. Use it through
        the result only: the two share one place.

    Returns:
      The iterator.

    Raises:
      TypeError: if ``batches`` are no iterator, or have no ``cursor`` and ``seek``.

    Example:
      >>> import numpy as np
      >>> from jaxseq.data import BucketBatches
      >>> labels = np.array([7, 8, 9])
      >>> data = [np.ones(2), np.ones(5), np.ones(1)]
      >>> batches = BucketBatches(data, batch_size=2, boundaries=(2, 5), seed=0, shuffle=False)
      >>> labelled = map_batches(lambda batch: (batch, labels[batch.rows]), batches)
      >>> [(batch.lengths.tolist(), found.tolist()) for batch, found in labelled]
      [([2, 1], [7, 9]), ([5, 0], [8, 9])]
      >>> len(labelled), labelled.cursor
      (2, {'epoch': 0, 'batch': 2})
    """
    resumable = hasattr(batches, "cursor") and callable(getattr(batches, "seek", None))
    if not (resumable and hasattr(batches, "__next__")):
        raise error(
            "map_batches",
            "`batches` must be an iterator with `cursor` and `seek(cursor)`, but it is of type "
            f"{type(batches).__name__}",
            hint="use an iterator of jaxseq.data; for others there is `map` of Python",
            kind=TypeError,
        )
    return MappedBatches(function, batches)
