"""The run of a recipe: its numbers checked, its training, its weights, what is said of it."""

from collections.abc import Callable, Sequence
from importlib import metadata, util
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from jaxseq import data, training
from jaxseq._checks import InputError, error
from jaxseq._types import PyTree
from jaxseq._version import __version__

AT_LEAST_ONE = (
    *("steps", "epochs", "evaluate_every", "batch_size", "window", "min_count", "ngrams"),
    "networks",
)
NOT_NEGATIVE = ("patience", "weight_decay")
POSITIVE = ("learning_rate", "max_norm")


def check_settings(task: str, config: Any) -> None:
    """Raises unless the numbers that no part of the model looks at are in their ranges.

    Args:
      task: the name of the task.
      config: settings; those that it does not have, or that are None, are not looked at.

    Raises:
      InputError: if one is out of range.
    """
    for names, text, holds in (
        (AT_LEAST_ONE, "at least 1", lambda value: value >= 1),
        (NOT_NEGATIVE, "at least 0", lambda value: value >= 0),
        (POSITIVE, "above 0", lambda value: value > 0),
    ):
        for name in names:
            value = getattr(config, name, None)
            if value is not None and not holds(value):
                problem = f"`{name}` must be {text}, but it is {value}"
                raise error(task, problem, kind=InputError)
    check_seed(task, config.seed)


def check_seed(task: str, seed: int) -> None:
    """Raises unless a key can be made of the seed as it stands.

    Raises:
      InputError: if it is out of range.
    """
    if not 0 <= seed < 2**32:
        problem = f"`seed` must be at least 0 and below 2^32, but it is {seed}"
        raise error(task, problem, kind=InputError)


def check_drawing() -> None:
    """Raises if a run could not draw its pictures at the end.

    Raises:
      ImportError: if matplotlib is not installed.
    """
    if util.find_spec("matplotlib") is None:
        raise error(
            "recipes",
            "matplotlib, which draws the pictures of a run, is not installed",
            hint="pip install 'jaxseq[plot]'",
            kind=ImportError,
        )


def batches_of(
    encoded: Sequence[np.ndarray], *, rows: int, buckets: int, seed: int | None = None
) -> data.BucketBatches:
    """Returns batches of sequences: one pass in order, or with a seed shuffled and for ever."""
    lengths = [len(array) for array in encoded]
    return data.BucketBatches(
        encoded,
        batch_size=rows,
        boundaries=data.bucket_boundaries(lengths, count=buckets),
        seed=seed or 0,
        shuffle=seed is not None,
        repeat=seed is not None,
    )


def optimizer(config: Any, steps: int) -> optax.GradientTransformation:
    """Returns AdamW, its rate rising over at most 100 steps and falling along a cosine."""
    warmup = min(100, steps // 10)
    rate = optax.warmup_cosine_decay_schedule(
        init_value=0.0 if warmup else config.learning_rate,
        peak_value=config.learning_rate,
        warmup_steps=warmup,
        decay_steps=steps,
        end_value=0.02 * config.learning_rate,
    )
    return optax.adamw(rate, b2=0.99, weight_decay=config.weight_decay)


def initial_state(
    config: Any, params: PyTree, steps: int, *, carry: Any = ()
) -> training.TrainState:
    """Returns the state in which a run of so many steps begins."""
    key = jax.random.key(config.seed)
    return training.init_state(params, optimizer(config, steps), key=key, carry=carry)


def fit(
    config: Any,
    state: training.TrainState,
    loss: Callable[..., Any],
    batches: Any,
    evaluate: Callable[[PyTree], float],
    *,
    steps: int,
    evaluate_every: int,
) -> training.FitResult:
    """Trains in the directory of the settings, and goes on there if they say so."""
    step = training.make_step(loss, optimizer(config, steps), max_norm=config.max_norm)
    board = [training.TensorBoardLogger(config.out / "tensorboard")] if config.tensorboard else []
    with training.Checkpoints(config.out / "checkpoints") as checkpoints:
        return training.fit(
            state,
            step,
            batches,
            steps=steps,
            evaluate=evaluate,
            evaluate_every=evaluate_every,
            patience=config.patience or None,
            checkpoints=checkpoints,
            resume=config.resume,
            loggers=board,
        )


def best_params(task: str, result: training.FitResult) -> PyTree:
    """Returns the weights of the best evaluation.

    Raises:
      DivergedError: if none was finite.
    """
    if result.best is None:
        raise error(
            task,
            "the measure that chooses the weights was never finite",
            hint="lower the learning rate, in another directory",
            kind=training.DivergedError,
        )
    return result.best.params


def saved_params(directory: Path, state: training.TrainState) -> PyTree:
    """Returns the best weights of a run, or the latest if it ended before its first evaluation.

    Args:
      directory: of the run.
      state: one of the same structure, such as the initial one.

    Raises:
      InputError: if there is no checkpoint, or it is damaged or of another model.
    """
    with training.Checkpoints(directory / "checkpoints") as checkpoints:
        try:
            return checkpoints.restore_params(state.params, which="best")
        except InputError:
            latest, extra = checkpoints.restore(state)
            if extra["fit"]["best"] is not None:
                raise  # there is a best one, and something is wrong with it
            return latest.params


def run_report(params: PyTree, result: training.FitResult, *, terms: str) -> dict[str, Any]:
    """Returns what a report says of the training itself; ``terms`` is what the loss counts."""
    steps = result.history.steps
    seconds = steps[-1].seconds
    return {
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "training": {
            "outcome": result.outcome,
            "steps": int(result.state.step),
            "best_step": None if result.best is None else result.best.step,
            "skipped_steps": int(result.state.skipped),
            "seconds": round(seconds, 1),
            f"{terms}_per_second": round(sum(step.count for step in steps) / max(seconds, 1e-9)),
        },
        "versions": {"jaxseq": __version__}
        | {name: metadata.version(name) for name in ("jax", "flax", "optax")},
        "device": jax.devices()[0].device_kind,
    }
