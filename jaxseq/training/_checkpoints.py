"""Checkpoints: the latest training state and the best one, on disk."""

import json
import math
import os
from pathlib import Path
from typing import Any, Literal

import jax

from jaxseq._checks import InputError, error
from jaxseq._types import PyTree
from jaxseq.training._leaves import Leaf, difference, named_leaves, pack, templates, unpack
from jaxseq.training._state import TrainState
from jaxseq.training._store import Store

SCHEMA = 1
"""The version of what :meth:`Checkpoints.save` writes."""

Which = Literal["latest", "best"]


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
      >>> restored.params["w"].tolist(), extra
      ([1.0, 1.0], {'epoch': 3})
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
        return bool(self._store.steps())

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
        about: dict[str, Any] = {"schema": SCHEMA, "metric": None, "extra": extra or {}}
        if metric is not None and math.isfinite(metric):
            about["metric"] = float(metric)
        try:
            json.dumps(about)
        except (TypeError, ValueError) as cause:
            problem = f"`extra` must be something that JSON can hold, but {cause}"
            raise error("Checkpoints.save", problem, kind=TypeError) from cause
        self._check_new(step)
        self.prepare()
        self._rate(self._store.steps())
        params, rest = _split(state)
        arrays = {}
        arrays["params"], about["params"] = pack(params)
        arrays["state"], about["state"] = pack(rest)
        try:
            self._store.write(step, arrays, about)
        except Exception as cause:
            raise error(
                "Checkpoints.save",
                f"the checkpoint of step {step} could not be written to {self.directory}: "
                f"{_first_line(cause)}",
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

        Example:
          >>> Checkpoints("nowhere").exists
          False
        """
        params, rest = _split(like)
        step, about = self._find(which)
        leaves = self._read(step, about, {"params": params, "state": rest})
        treedef = jax.tree.structure(like)
        return jax.tree.unflatten(treedef, leaves["params"] + leaves["state"]), about["extra"]

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
        step, about = self._find(which)
        wanted = {"params": named_leaves(like, prefix="params")}
        return jax.tree.unflatten(
            jax.tree.structure(like), self._read(step, about, wanted)["params"]
        )

    def _check_new(self, step: int) -> None:
        steps = self._store.steps()
        if steps and step <= steps[-1]:
            raise error(
                "Checkpoints.save",
                f"`state` is of step {step}, but {self.directory} has a checkpoint of step "
                f"{steps[-1]} already",
                hint="resume from it, or choose another directory for another run",
            )

    def _find(self, which: Which) -> tuple[int, dict[str, Any]]:
        steps = self._store.steps()
        if not steps:
            raise error(
                "Checkpoints.restore",
                f"there is no checkpoint in {self.directory}",
                hint="check the directory's name",
                kind=InputError,
            )
        if which == "latest":
            return steps[-1], self._about(steps[-1])
        if which != "best":
            raise error(
                "Checkpoints.restore", f"`which` must be 'latest' or 'best', but it is {which!r}"
            )
        abouts = self._rate(steps)
        best = self._store.keeper.best(steps)
        if best is None:
            raise error(
                "Checkpoints.restore",
                f"no checkpoint in {self.directory} was saved with a metric, so none is the best",
                hint="take the latest one",
                kind=InputError,
            )
        return best, abouts[best]

    def _rate(self, steps: list[int]) -> dict[int, dict[str, Any]]:
        """Reads what the checkpoints say, and tells the store which of them is the best."""
        abouts = {step: self._about(step) for step in steps}
        metrics = {step: about.get("metric") for step, about in abouts.items()}
        rated = {step: metric for step, metric in metrics.items() if metric is not None}
        self._store.keeper.metrics = rated
        return abouts

    def _about(self, step: int) -> dict[str, Any]:
        try:
            about = self._store.about(step)
            schema = about["schema"]
        except Exception as cause:
            raise self._damaged(step, _first_line(cause)) from cause
        if schema != SCHEMA:
            raise error(
                "Checkpoints.restore",
                f"the checkpoint {self.directory / str(step)} has version {schema}, but this "
                f"jaxseq reads version {SCHEMA}",
                hint="use the version of jaxseq that wrote it",
                kind=InputError,
            )
        return about

    def _read(
        self, step: int, about: dict[str, Any], wanted: dict[str, list[tuple[str, Any]]]
    ) -> dict[str, list[Any]]:
        try:
            written = {item: [Leaf(*line) for line in about[item]] for item in wanted}
        except (KeyError, TypeError) as cause:
            raise self._damaged(step, _first_line(cause)) from cause
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
        self, step: int, written: dict[str, list[Leaf]], wanted: dict[str, list[tuple[str, Any]]]
    ) -> dict[str, list[Any]]:
        forms = {item: templates(leaves) for item, leaves in wanted.items()}
        try:
            read = self._store.read(step, forms)
            unpacked = {item: unpack(read[item], written[item]) for item in wanted}
        except Exception as cause:
            raise self._damaged(step, _first_line(cause)) from cause
        for _, damaged in unpacked.values():
            if damaged is not None:
                raise self._damaged(step, f"the numbers of `{damaged}` have changed")
        return {item: leaves for item, (leaves, _) in unpacked.items()}

    def _damaged(self, step: int, problem: str) -> Exception:
        others = [other for other in self._store.steps() if other != step]
        then = f"resume from step {others[-1]}" if others else "start anew: there is no other one"
        return error(
            "Checkpoints.restore",
            f"the checkpoint {self.directory / str(step)} is damaged: {problem}",
            hint=f"delete that directory and {then}",
            kind=InputError,
        )


def _split(state: TrainState) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
    rest = named_leaves(state._replace(params=()))
    return named_leaves(state.params, prefix="params"), rest


def _first_line(cause: BaseException) -> str:
    """Returns the beginning of another library's message: some run to pages."""
    text = " ".join(str(cause).split()) or type(cause).__name__
    return text if len(text) <= 160 else f"{text[:160]}..."
