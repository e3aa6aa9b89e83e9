"""Batches of sequences of similar length: little padding, few shapes, so few compilations."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int32, Shaped

from jaxseq._checks import error
from jaxseq.data._batches import Batches, check_positive
from jaxseq.data._padding import checked_arrays


class BucketBatch(NamedTuple):
    """A batch of sequences of similar length.

    Attributes:
      values: ``[B, T, ...]``: the sequences, padded with 0; ``T`` is one of the boundaries.
      lengths: int32 ``[B]``: how many steps of each row are real; 0 in a row that fills up.
      rows: int32 ``[B]``: the place of each row in ``sequences``, to find its label by; -1 in a row
        that fills up.

    Example:
      >>> import numpy as np
      >>> data = [np.ones(2), np.ones(5), np.ones(1)]
      >>> batches = BucketBatches(data, batch_size=2, boundaries=(2, 5), seed=0, shuffle=False)
      >>> [(batch.values.shape, batch.rows.tolist()) for batch in batches]
      [((2, 2), [0, 2]), ((2, 5), [1, -1])]
    """

    values: Shaped[np.ndarray, "B T *features"]
    lengths: Int32[np.ndarray, " B"]
    rows: Int32[np.ndarray, " B"]


def bucket_boundaries(lengths: Any, *, count: int) -> tuple[int, ...]:
    r"""Returns the padded lengths that pad these sequences least.

    .. math:: \min_{b_1 < \dots < b_K} \sum_i \Bigl( \min_{b_k \geq \ell_i} b_k - \ell_i \Bigr)

    Found exactly, by dynamic programming over the distinct lengths :math:`U`, in
    :math:`O(K U^2)`; rows that fill up the last batches are not counted.

    Args:
      lengths: the lengths of the sequences, integers ``[N]``; a length of 0 counts as 1.
      count: how many boundaries there may be, ``K``: the number of shapes to compile.

    Returns:
      The boundaries, increasing; the last is the longest length. Fewer than ``count`` if there are
      fewer distinct lengths.

    Raises:
      TypeError: if the lengths are not integers.
      ValueError: if there are no lengths, one is negative, or ``count`` is below 1.

    Example:
      >>> bucket_boundaries([3, 3, 4, 20, 21, 22], count=2)
      (4, 22)
    """
    where = "bucket_boundaries"
    check_positive(where, count=count)
    array = np.asarray(lengths)
    if array.ndim != 1 or not array.size:
        problem = f"`lengths` must have shape (N,) with N > 0, but it has shape {array.shape}"
        raise error(where, problem)
    if array.dtype.kind not in "iu":
        raise error(
            where, f"`lengths` must be integers, but they are {array.dtype}", kind=TypeError
        )
    if array.min() < 0:
        raise error(where, f"`lengths` must not be negative, but one is {array.min()}")
    sizes, counts = np.unique(np.maximum(array, 1), return_counts=True)
    return tuple(int(sizes[place]) for place in _least_padding(sizes, counts, count))


def _least_padding(sizes: np.ndarray, counts: np.ndarray, count: int) -> list[int]:
    """The places of the best boundaries among the distinct sizes."""
    before = np.concatenate([[0], np.cumsum(counts)])
    # cost[j]: the padded steps of the j smallest sizes in the buckets so far.
    cost = np.concatenate([[0.0], sizes * before[1:].astype(float)])
    choices = []
    for _ in range(min(count, len(sizes)) - 1):
        best, choice = cost.copy(), np.zeros(len(cost), int)
        for end in range(1, len(cost)):
            split = cost[:end] + sizes[end - 1] * (before[end] - before[:end]).astype(float)
            choice[end] = split.argmin()
            best[end] = split[choice[end]]
        cost = best
        choices.append(choice)
    places, end = [], len(sizes)
    for choice in [*reversed(choices), np.zeros(len(cost), int)]:
        if end:
            places.append(end - 1)
            end = int(choice[end])
    return places[::-1]


class BucketBatches(Batches[BucketBatch]):
    """Iterates over sequences in batches of similar length.

    A sequence goes to the bucket of the smallest boundary that holds it, and is padded to that
    boundary; the last batch of a bucket is filled up with rows of length 0. So there are at most
    ``len(boundaries)`` shapes, and every sequence occurs exactly once an epoch. The order of an
    epoch, of the sequences and of the batches, depends on ``(seed, epoch)`` alone.

    Without ``repeat``, the iterator stops at the end of each epoch, and looping over it again goes
    on to the next one. ``len`` is the number of batches an epoch; ``cursor`` is the place of the
    next batch, ``{"epoch": e, "batch": i}``, and ``seek(cursor)`` goes there.

    Args:
      sequences: arrays ``[length, ...]`` of one dtype, equal but for their first axis.
      batch_size: the number of rows, ``B``.
      boundaries: the padded lengths, increasing, from :func:`bucket_boundaries`.
      seed: what the order depends on; at least 0.
      shuffle: whether to shuffle; otherwise, bucket after bucket in the order given.
      repeat: whether to go on for ever, from epoch to epoch.

    Raises:
      TypeError: if the dtypes of the sequences differ.
      ValueError: if there are no sequences, they differ in more than their lengths, one is longer
        than the last boundary, the boundaries do not increase from at least 1, ``batch_size`` is
        below 1 or ``seed`` below 0.

    Example:
      >>> import numpy as np
      >>> data = [np.arange(length) for length in (3, 1, 2, 9)]
      >>> batches = BucketBatches(data, batch_size=2, boundaries=(3, 9), seed=0)
      >>> len(batches), sorted({batch.values.shape for batch in batches})
      (3, [(2, 3), (2, 9)])
      >>> round(batches.waste(), 3)
      0.5
    """

    def __init__(
        self,
        sequences: Sequence[Any],
        *,
        batch_size: int,
        boundaries: Sequence[int],
        seed: int,
        shuffle: bool = True,
        repeat: bool = False,
    ) -> None:
        super().__init__(repeat=repeat)
        where = "BucketBatches"
        check_positive(where, batch_size=batch_size)
        if seed < 0:
            raise error(where, f"`seed` must be at least 0, but it is {seed}")
        self._sequences = checked_arrays(where, sequences)
        self._lengths = np.array([len(array) for array in self._sequences], np.int32)
        self._boundaries = _checked_boundaries(boundaries, self._lengths)
        self._buckets = np.searchsorted(self._boundaries, self._lengths)
        self._batch_size, self._seed, self._shuffle = batch_size, seed, shuffle
        members = np.bincount(self._buckets, minlength=len(self._boundaries))
        self._counts = -(-members // batch_size)
        self._plan: tuple[int, list[np.ndarray]] = (-1, [])

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        return int(self._counts.sum())

    def waste(self) -> float:
        """Returns the share of padding in an epoch: of its steps, those that are not real.

        Rows that fill up a batch are padding too.

        Example:
          >>> import numpy as np
          >>> BucketBatches([np.ones(3), np.ones(1)], batch_size=2, boundaries=(4,), seed=0).waste()
          0.5
        """
        steps = int(self._counts @ self._boundaries) * self._batch_size
        return 1 - int(self._lengths.sum()) / steps

    def _at(self, epoch: int, index: int) -> BucketBatch:
        if self._plan[0] != epoch:
            self._plan = (epoch, self._order(epoch))
        members = self._plan[1][index]
        steps = self._boundaries[self._buckets[members[0]]]
        first = self._sequences[0]
        values = np.zeros((self._batch_size, steps, *first.shape[1:]), first.dtype)
        lengths = np.zeros(self._batch_size, np.int32)
        rows = np.full(self._batch_size, -1, np.int32)
        lengths[: len(members)] = self._lengths[members]
        rows[: len(members)] = members
        for row, member in zip(values, members, strict=False):
            row[: self._lengths[member]] = self._sequences[member]
        return BucketBatch(values, lengths, rows)

    def _order(self, epoch: int) -> list[np.ndarray]:
        """The members of every batch of an epoch."""
        random = np.random.Generator(np.random.PCG64([self._seed, epoch]))
        total = len(self._sequences)
        order = random.permutation(total) if self._shuffle else np.arange(total)
        batches = []
        for bucket in range(len(self._boundaries)):
            members = order[self._buckets[order] == bucket]
            batches += [
                members[begin : begin + self._batch_size]
                for begin in range(0, len(members), self._batch_size)
            ]
        if not self._shuffle:
            return batches
        return [batches[place] for place in random.permutation(len(batches))]


def _checked_boundaries(boundaries: Sequence[int], lengths: np.ndarray) -> np.ndarray:
    where = "BucketBatches"
    array = np.asarray(boundaries)
    increasing = array.ndim == 1 and array.size and array.dtype.kind in "iu"
    if not increasing or array[0] < 1 or (np.diff(array.astype(np.int64)) <= 0).any():
        hint = "use bucket_boundaries"
        problem = "`boundaries` must be integers that increase from at least 1"
        raise error(where, f"{problem}, but they are {boundaries}", hint=hint)
    if lengths.max() > array[-1]:
        place = int(lengths.argmax())
        problem = f"sequences[{place}] has {lengths[place]} steps"
        hint = "use bucket_boundaries, or cut the sequence"
        raise error(where, f"{problem}, more than the last boundary {array[-1]}", hint=hint)
    return array.astype(np.int64)
