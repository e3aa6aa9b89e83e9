"""Checkpoints: the latest training state and the best one, on disk."""

import json
import math
import os
import zlib
from pathlib import Path
from typing import Any, Literal

import jax

from jaxseq._checks import InputError, error
from jaxseq._types import PyTree
from jaxseq.training._leaves import Leaf, difference, named_leaves, pack, templates, unpack
from jaxseq.training._state import TrainState
from jaxseq.training._store import Store, StoreError

SCHEMA = 1
"""The version of what :meth:`Checkpoints.save` writes."""

Which = Literal["latest", "best"]
NamedLeaves = list[tuple[str, Any]]


class Checkpoints:
    """The latest training state and the best one, in a directory.

    Written by Orbax, atomically: a checkpoint is there in full or not at all, and the one before
    goes only when the new one is complete. Saving has ended when :meth:`save` returns.

    Example:
      >>> import tempfile, jax, jax.numpy as jnp, optax
      >>> from jaxseq.training import Checkpoints, init_state
      >>> state = init_state({"w": jnp.ones(2)}, optax.sgd(0.1), key=jax.random.key(0))
      >>> with tempfile.TemporaryDirectory() as directory, Checkpoints(directory) as checkpoints:
      ...     checkpoints.save(state, extra={"epoch": 3})
      ...     restored, extra = checkpoints.restore(state)
      ...     params = checkpoints.restore_params(state.params)
      >>> restored.params["w"].tolist(), extra, params["w"].tolist()
      ([1.0, 1.0], {'epoch': 3}, [1.0, 1.0])
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        """Names the directory; nothing is made or read yet.

        Args:
          directory: made by the first :meth:`save` if it is not there.
        """
        self.directory = Path(directory).absolute()
        self._store = Store(self.directory)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the directory; later calls open it again."""
        self._store.close()

    @property
    def exists(self) -> bool:
        """Whether there is a checkpoint to restore."""
        return bool(self._steps())

    def prepare(self) -> None:
        """Makes the directory and checks that it can be written, so that a run fails at its start.

        Raises:
          OSError: if it cannot; the text names the directory.
        """
        probe = self.directory / ".writable"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as cause:
            raise error(
                "Checkpoints",
                f"the directory {self.directory} cannot be written: {cause.strerror or cause}",
                hint="choose another directory, or change its permissions",
                kind=OSError,
            ) from cause

    def save(
        self, state: TrainState, *, extra: dict[str, Any] | None = None, metric: float | None = None
    ) -> None:
        """Writes a checkpoint, then removes those that are neither the latest nor the best.

        Args:
          state: what to write; its ``step`` numbers the checkpoint.
          extra: anything else that JSON can hold.
          metric: what this state is worth; lower is better. A checkpoint without one is never the
            best.

        Raises:
          OSError: if it cannot be written; what was there before stays, and stays readable.
          TypeError: if ``extra`` is nothing for JSON.
          ValueError: if there is a checkpoint of this or a later step.
        """
        step = int(state.step)
        finite = metric is not None and math.isfinite(metric)
        page: dict[str, Any] = {"metric": float(metric) if finite else None}
        try:
            page["extra"] = json.loads(json.dumps(extra or {}))
        except (TypeError, ValueError) as cause:
            problem = f"`extra` must be something that JSON can hold, but {cause}"
            raise error("Checkpoints.save", problem, kind=TypeError) from cause
        self._check_new(step)
        self.prepare()
        if not self._store.writing:
            self._rate(self._steps())
        arrays = {}
        for item, leaves in _split(state).items():
            arrays[item], page[item] = pack(leaves)
        about = {"schema": SCHEMA, "checksum": _checksum(page), "page": page}
        try:
            self._store.write(step, arrays, about, metric=page["metric"])
        except StoreError as cause:
            raise error(
                "Checkpoints.save",
                f"the checkpoint of step {step} could not be written to {self.directory}: {cause}",
                hint="the checkpoints of before are still there; make room and resume from them",
                kind=OSError,
            ) from cause

    def restore(self, like: TrainState, *, which: Which = "latest") -> tuple[TrainState, dict]:
        """Reads a checkpoint.

        Args:
          like: a state of the same structure, shapes and dtypes: arrays, or
            :class:`jax.ShapeDtypeStruct`. Arrays are read to where its arrays are.
          which: ``"latest"``, or ``"best"`` by the metric.

        Returns:
          The state, and ``extra``.

        Raises:
          InputError: if there is none, it is damaged, or it is of another model.
        """
        step, page = self._find(which)
        leaves = self._read(step, page, _split(like))
        treedef = jax.tree.structure(like)
        return jax.tree.unflatten(treedef, leaves["params"] + leaves["state"]), page["extra"]

    def restore_params(self, like: PyTree, *, which: Which = "latest") -> PyTree:
        """Reads the weights only, for inference: no optimizer is needed.

        Args:
          like: params of the same structure, shapes and dtypes: arrays, or
            :class:`jax.ShapeDtypeStruct`.
          which: ``"latest"``, or ``"best"`` by the metric.

        Returns:
          The params.

        Raises:
          InputError: if there is none, it is damaged, or it is of another model.
        """
        step, page = self._find(which)
        leaves = self._read(step, page, {"params": named_leaves(like, prefix="params")})
        return jax.tree.unflatten(jax.tree.structure(like), leaves["params"])

    def _steps(self) -> list[int]:
        try:
            return self._store.steps()
        except StoreError as cause:
            problem = f"the directory {self.directory} cannot be read: {cause}"
            raise error("Checkpoints", problem, kind=OSError) from cause

    def _check_new(self, step: int) -> None:
        steps = self._steps()
        if steps and step <= steps[-1]:
            raise error(
                "Checkpoints.save",
                f"`state` is of step {step}, but {self.directory} has a checkpoint of step "
                f"{steps[-1]} already",
                hint="resume from it, or choose another directory for another run",
            )

    def _find(self, which: Which) -> tuple[int, dict[str, Any]]:
        steps = self._steps()
        if not steps:
            raise error(
                "Checkpoints.restore",
                f"there is no checkpoint in {self.directory}",
                hint="check the directory's name",
                kind=InputError,
            )
        if which == "latest":
            return steps[-1], self._page(steps[-1])
        if which != "best":
            raise error(
                "Checkpoints.restore", f"`which` must be 'latest' or 'best', but it is {which!r}"
            )
        pages = self._rate(steps)
        best = self._store.keeper.best(steps)
        if best is None:
            raise error(
                "Checkpoints.restore",
                f"no checkpoint in {self.directory} was saved with a metric, so none is the best",
                hint="take the latest one",
                kind=InputError,
            )
        return best, pages[best]

    def _rate(self, steps: list[int]) -> dict[int, dict[str, Any]]:
        """Reads what the checkpoints say, and tells the store which of them is the best."""
        pages = {step: self._page(step) for step in steps}
        metrics = {step: page["metric"] for step, page in pages.items()}
        rated = {step: metric for step, metric in metrics.items() if metric is not None}
        self._store.keeper.metrics = rated
        return pages

    def _page(self, step: int) -> dict[str, Any]:
        try:
            about = self._store.about(step)
            schema, page, checksum = about["schema"], about["page"], about["checksum"]
        except (StoreError, KeyError, TypeError) as cause:
            raise self._damaged(step, f"its description cannot be read, {cause}") from cause
        if schema != SCHEMA:
            raise error(
                "Checkpoints.restore",
                f"the checkpoint {self.directory / str(step)} has version {schema}, but this "
                f"jaxseq reads version {SCHEMA}",
                hint="use the version of jaxseq that wrote it",
                kind=InputError,
            )
        if _checksum(page) != checksum:
            raise self._damaged(step, "its description has changed")
        return page

    def _read(
        self, step: int, page: dict[str, Any], wanted: dict[str, NamedLeaves]
    ) -> dict[str, list[Any]]:
        written = {item: [Leaf(*line) for line in page[item]] for item in wanted}
        for item, leaves in wanted.items():
            there = [(leaf.name, leaf) for leaf in written[item]]
            problem = difference(there, leaves, of="in the checkpoint", than="in the model")
            if problem is not None:
                raise error(
                    "Checkpoints.restore",
                    f"the checkpoint {self.directory / str(step)} is of another model: {problem}",
                    hint="build model and optimizer with the settings of that run",
                    kind=InputError,
                )
        return self._arrays(step, written, wanted)

    def _arrays(
        self, step: int, written: dict[str, list[Leaf]], wanted: dict[str, NamedLeaves]
    ) -> dict[str, list[Any]]:
        forms = {item: templates(leaves) for item, leaves in wanted.items()}
        try:
            read = self._store.read(step, forms)
        except StoreError as cause:
            raise self._damaged(step, str(cause)) from cause
        unpacked = {item: unpack(read[item], written[item]) for item in wanted}
        for _, damaged in unpacked.values():
            if damaged is not None:
                raise self._damaged(step, f"the numbers of `{damaged}` have changed")
        return {item: leaves for item, (leaves, _) in unpacked.items()}

    def _damaged(self, step: int, problem: str) -> Exception:
        others = [other for other in self._steps() if other != step]
        then = f"resume from step {others[-1]}" if others else "start anew: there is no other one"
        return error(
            "Checkpoints.restore",
            f"the checkpoint {self.directory / str(step)} is damaged: {problem}",
            hint=f"delete that directory and {then}",
            kind=InputError,
        )


def _split(state: TrainState) -> dict[str, NamedLeaves]:
    rest = named_leaves(state._replace(params=()))
    return {"params": named_leaves(state.params, prefix="params"), "state": rest}


def _checksum(page: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(page).encode())
