"""Language-model batches: one long text as parallel rows, in windows that continue each other."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int32

from jaxseq._checks import InputError, error
from jaxseq.data._batches import Batches, check_positive


class WindowBatch(NamedTuple):
    """One window of every row.

    Attributes:
      inputs: int32 ``[B, W]``: the symbols before the targets; 0 beyond ``lengths``.
      targets: int32 ``[B, W]``: the symbols to predict; 0 beyond ``lengths``.
      lengths: int32 ``[B]``: how many steps of each row are real; ``W`` but at the end of an epoch.
      starts: bool ``[B]``: true where a row begins anew, so that its carry must be the initial one.

    Example:
      >>> import numpy as np
      >>> batch = next(WindowBatches(np.arange(7), batch_size=2, window=2))
      >>> batch.inputs.tolist(), batch.targets.tolist()
      ([[0, 1], [3, 4]], [[1, 2], [4, 5]])
    """

    inputs: Int32[np.ndarray, "B W"]
    targets: Int32[np.ndarray, "B W"]
    lengths: Int32[np.ndarray, " B"]
    starts: Bool[np.ndarray, " B"]


class WindowBatches(Batches[WindowBatch]):
    r"""Iterates over a text in batches whose carry may be handed on.

    The :math:`N - 1` targets, all symbols but the first, are cut into ``batch_size`` consecutive
    rows whose sizes differ by at most one; batch ``i`` holds window ``i`` of every row, so row
    ``b`` of a batch goes on where row ``b`` of the batch before it ended. Every target occurs
    exactly once an epoch: the last windows are padded, and ``lengths`` says so. All batches have
    the same shape, so that one compiled step serves them all.

    Without ``repeat``, the iterator stops at the end of each epoch, and looping over it again goes
    on to the next one. ``len`` is the number of batches an epoch; ``cursor`` is the place of the
    next batch, ``{"epoch": e, "batch": i}``, and ``seek(cursor)`` goes there.

    Args:
      ids: the text: integers ``[N]``, from :meth:`Vocabulary.encode`.
      batch_size: the number of rows, ``B``.
      window: the number of steps a batch, ``W``.
      repeat: whether to go on for ever, from epoch to epoch.

    Raises:
      InputError: if the text is shorter than one window and its first input, or has fewer targets
        than there are rows.
      TypeError: if ``ids`` are not integers.
      ValueError: if ``ids`` are not one axis, or a size is below 1.

    Example:
      >>> import numpy as np
      >>> batches = WindowBatches(np.arange(8), batch_size=2, window=3)
      >>> for batch in batches:
      ...     print(batch.targets.tolist(), batch.lengths.tolist(), batch.starts.tolist())
      [[1, 2, 3], [5, 6, 7]] [3, 3] [True, True]
      [[4, 0, 0], [0, 0, 0]] [1, 0] [False, False]
      >>> batches.seek({"epoch": 3, "batch": 1})
      >>> next(batches).inputs.tolist()
      [[3, 0, 0], [0, 0, 0]]
    """

    def __init__(self, ids: Any, *, batch_size: int, window: int, repeat: bool = False) -> None:
        super().__init__(repeat=repeat)
        self._ids = _checked(np.asarray(ids), batch_size, window)
        self._window = window
        quotient, longer = divmod(len(self._ids) - 1, batch_size)
        rows = np.arange(batch_size)
        self._sizes = quotient + (rows < longer)
        self._offsets = rows * quotient + np.minimum(rows, longer)
        self._count = -(-int(self._sizes[0]) // window)

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        return self._count

    def _at(self, epoch: int, index: int) -> WindowBatch:
        begin = index * self._window
        lengths = np.clip(self._sizes - begin, 0, self._window).astype(np.int32)
        steps = np.arange(self._window)
        places = np.minimum((self._offsets + begin)[:, None] + steps, len(self._ids) - 2)
        real = steps < lengths[:, None]
        return WindowBatch(
            inputs=np.where(real, self._ids[places], np.int32(0)),
            targets=np.where(real, self._ids[places + 1], np.int32(0)),
            lengths=lengths,
            starts=np.full(len(lengths), index == 0),
        )


def _checked(ids: np.ndarray, batch_size: int, window: int) -> Int32[np.ndarray, " N"]:
    where = "WindowBatches"
    check_positive(where, batch_size=batch_size, window=window)
    if ids.ndim != 1:
        raise error(where, f"`ids` must have shape (N,), but it has shape {ids.shape}")
    if ids.size and ids.dtype.kind not in "iu":
        hint = "encode the text with a Vocabulary"
        raise error(
            where, f"`ids` must be integers, but they are {ids.dtype}", hint=hint, kind=TypeError
        )
    targets = max(len(ids) - 1, 0)
    for name, size in (("window", window), ("batch_size", batch_size)):
        if targets < size:
            less = f", or a `{name}` of at most {targets}" if targets else ""
            raise error(
                where,
                f"the text has {len(ids)} symbols, so {targets} to predict, "
                f"fewer than `{name}` = {size}",
                hint=f"give more text{less}",
                kind=InputError,
            )
    return ids.astype(np.int32)
