"""Checkpoints as Orbax writes them: numbered steps, each of arrays and a page about them."""

import contextlib
import gc
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

Arrays = dict[str, Any]

STRAGGLERS = 0.3
"""After a failure, the reads or writes still under way are given so many seconds to end unseen."""


class Keeper(checkpoint_managers.PreservationPolicy):
    """Keeps the newest checkpoint, and the one with the lowest metric.

    Orbax's own ``BestN`` wants a metrics file beside every checkpoint, and a damaged one makes all
    of them unreadable; here the metric is part of what the checkpoint says about itself.

    Attributes:
      metrics: by step; a checkpoint without one is never the best.

    Example:
      >>> keeper = Keeper()
      >>> keeper.metrics = {2: 0.5, 4: 0.6}
      >>> keeper.best([2, 4, 6])
      2
    """

    def __init__(self) -> None:
        self.metrics: dict[int, float] = {}

    def best(self, steps: Sequence[int]) -> int | None:
        """Returns the step of the lowest metric; of equal ones, the later."""
        rated = [step for step in steps if step in self.metrics]
        return min(rated, key=lambda step: (self.metrics[step], -step), default=None)

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> Sequence[bool]:
        """Says for each checkpoint whether it stays."""
        del context
        steps = [info.step for info in checkpoints]
        return [step in (steps[-1], self.best(steps)) for step in steps]


class StoreError(Exception):
    """Orbax could not read or write; the text is one line.

    Example:
      >>> issubclass(StoreError, Exception)
      True
    """


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps Orbax from printing what is raised as an error of ours anyway.

    When one of its reads or writes fails, Orbax leaves the others under way behind. They complain
    when they end or are collected, through the loggers and through Python's hook for errors that
    nobody can catch.

    Example:
      >>> with quiet():
      ...     logging.getLogger("absl").error("unseen")
    """
    loggers = [logging.getLogger(name) for name in ("absl", "asyncio")]
    levels = [logger.level for logger in loggers]
    hook = sys.unraisablehook
    try:
        sys.unraisablehook = lambda problem: None
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        sys.unraisablehook = hook
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def call(function: Callable[[], Any]) -> Any:
    """Calls Orbax and returns its answer.

    Raises:
      StoreError: if it fails, with the beginning of its message, which may run to pages.

    Example:
      >>> call(lambda: 1)
      1
    """
    with quiet():
        try:
            return function()
        except Exception as cause:
            text = " ".join(str(cause).split()) or type(cause).__name__
        # Not inside the handler, where the exception would keep alive what is to be collected.
        time.sleep(STRAGGLERS)
        gc.collect()
    raise StoreError(text if len(text) <= 160 else f"{text[:160]}...")


class Store:
    """A directory of checkpoints. What fails is a :class:`StoreError`.

    Attributes:
      directory: where.
      keeper: which checkpoints stay.
      writing: whether the directory is open for writing.

    Example:
      >>> import tempfile, jax.numpy as jnp
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     store = Store(Path(directory))
      ...     store.write(3, {"params": {"0": jnp.ones(2)}}, {"note": "a"}, metric=None)
      ...     print(store.steps(), store.about(3))
      ...     store.close()
      [3] {'note': 'a'}
    """

    def __init__(self, directory: Path) -> None:
        self.directory, self.keeper = directory, Keeper()
        self._manager: ocp.CheckpointManager | None = None
        self.writing = False

    def close(self) -> None:
        """Lets go of the directory; later calls open it again."""
        if self._manager is not None:
            call(self._manager.close)
        self._manager, self.writing = None, False

    def open(self, *, write: bool = False) -> ocp.CheckpointManager:
        """Opens the directory; only who writes makes it, or clears away what a crash has left."""
        if write and not self.writing:
            self.close()
        if self._manager is None:
            options = ocp.CheckpointManagerOptions(
                create=write,
                cleanup_tmp_directories=write,
                enable_async_checkpointing=False,
                preservation_policy=self.keeper,
            )
            self._manager = call(lambda: ocp.CheckpointManager(self.directory, options=options))
            self.writing = write
        return self._manager

    def steps(self) -> list[int]:
        """Returns the steps of which there are complete checkpoints."""
        if not self.directory.is_dir():
            return []
        manager = self.open()
        # Another process may have written since.
        call(manager.reload)
        return sorted(manager.all_steps())

    def write(
        self, step: int, arrays: dict[str, Arrays], about: dict[str, Any], *, metric: float | None
    ) -> None:
        """Writes a checkpoint, then removes those that are neither the latest nor the best."""
        page = ocp.args.JsonSave(about)
        items = {name: ocp.args.StandardSave(item) for name, item in arrays.items()}
        if metric is not None:
            self.keeper.metrics[step] = metric
        try:
            manager = self.open(write=True)
            call(lambda: manager.save(step, args=ocp.args.Composite(about=page, **items)))
        except BaseException:
            self.keeper.metrics.pop(step, None)
            # The next write opens the directory anew, and clears away what this one has left.
            self.writing = False
            raise

    def about(self, step: int) -> dict[str, Any]:
        """Returns what a checkpoint says about itself."""
        items = ocp.args.Composite(about=ocp.args.JsonRestore())
        return call(lambda: self.open().restore(step, args=items)["about"])

    def read(self, step: int, forms: dict[str, Arrays]) -> dict[str, Arrays]:
        """Returns the arrays of a checkpoint, in the shapes, dtypes and places given."""
        items = {name: ocp.args.StandardRestore(form) for name, form in forms.items() if form}
        args = ocp.args.Composite(**items)
        read = call(lambda: self.open().restore(step, args=args))
        return {name: read[name] if name in items else {} for name in forms}
