"""Pictures of a training run."""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from jaxseq._checks import InputError, error
from jaxseq.training._history import History

LOSS, EVALUATION, NORM, CLIPPED = "#2a6f97", "#d1495b", "#b5bfca", "#3d5a80"


def learning_curve(
    history: History,
    path: str | os.PathLike[str],
    *,
    unit: str = "nats per token",
    scale: float = 1.0,
    evaluation: str | None = None,
    title: str | None = None,
) -> Path:
    """Draws losses and gradient norms over the steps of a run.

    Above, the training loss, thin as it came and thick as a moving average over a fiftieth of the
    run, with a dot for each evaluation; below, the gradient's norm before and after clipping, on a
    logarithmic axis. Values that are not finite are left out.

    Args:
      history: from :func:`fit`.
      path: of the picture; the suffix chooses the format.
      unit: of the loss, for the axis.
      scale: the loss is multiplied by it: ``1 / math.log(2)`` turns nats into bits.
      evaluation: what ``evaluate`` measures, with its unit, if that is not the loss: it is then
        drawn by itself, between the two.
      title: over the picture.

    Returns:
      The path.

    Raises:
      ImportError: if matplotlib is not installed.
      InputError: if the history has no steps.

    Example:
      >>> import pathlib, tempfile
      >>> from jaxseq.training import History, StepRecord
      >>> history = History([StepRecord(n, 2.0 / n, 1.0, 0.5, 32.0, 0.1 * n) for n in range(1, 9)])
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     learning_curve(history, pathlib.Path(directory) / "run.png").name
      'run.png'
    """
    if not history.steps:
        raise error(
            "learning_curve",
            "`history` has no steps to draw",
            hint="draw it after fit has run",
            kind=InputError,
        )
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as cause:
        raise error(
            "learning_curve",
            "matplotlib, which draws, is not installed",
            hint="pip install 'jaxseq[plot]'",
            kind=ImportError,
        ) from cause
    figure = Figure(figsize=(8.0, 6.0), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    own = evaluation is not None and any(math.isfinite(r.value) for r in history.evaluations)
    panels = figure.subplots(2 + own, 1, sharex=True, height_ratios=(2, 1.2, 1) if own else (2, 1))
    above, below = panels[0], panels[-1]
    _losses(above, history, scale)
    above.set_ylabel(f"loss ({unit})")
    _evaluations(panels[1] if own else above, history, 1.0 if own else scale)
    if own:
        panels[1].set_ylabel(evaluation)
        panels[1].ticklabel_format(axis="y", useOffset=False)
    _norms(below, history)
    below.set_ylabel("gradient norm")
    below.set_xlabel("training step")
    for axes in panels:
        # Evaluations are few: there is a place where the legend covers none.
        _dress(axes, legend="best" if own and axes is panels[1] else "upper right")
    figure.align_ylabels()
    if title is not None:
        above.set_title(title, loc="left")
    figure.savefig(path)
    return Path(path)


def _dress(axes: Any, *, legend: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.margins(x=0.01)
    made = axes.legend(fontsize="small", loc=legend, edgecolor="none", framealpha=0.85)
    for line in made.get_lines():
        line.set_linewidth(2.0)


def _losses(axes: Any, history: History, scale: float) -> None:
    steps, losses = _finite([(record.step, record.loss * scale) for record in history.steps])
    axes.plot(steps, losses, color=LOSS, linewidth=0.6, alpha=0.35)
    axes.plot(steps, _smooth(losses), color=LOSS, linewidth=2.0, label="training")


def _evaluations(axes: Any, history: History, scale: float) -> None:
    at, values = _finite([(record.step, record.value * scale) for record in history.evaluations])
    if len(at):
        axes.plot(at, values, "o", color=EVALUATION, markersize=5, label="evaluation", zorder=3)


def _norms(axes: Any, history: History) -> None:
    records = [record for record in history.steps if record.norm > 0]
    steps, norms = _finite([(record.step, record.norm) for record in records])
    axes.plot(steps, norms, color=NORM, linewidth=0.8, label="before clipping")
    steps, clipped = _finite([(record.step, record.clipped_norm) for record in records])
    axes.plot(steps, clipped, color=CLIPPED, linewidth=0.8, label="after clipping")
    axes.set_yscale("log")


def _finite(points: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    kept = [point for point in points if math.isfinite(point[1])]
    return np.array([x for x, _ in kept]), np.array([y for _, y in kept])


def _smooth(values: np.ndarray) -> np.ndarray:
    """Returns the centred moving average, over fewer values at the ends."""
    half = len(values) // 100
    sums = np.concatenate([[0.0], np.cumsum(values)])
    centre = np.arange(len(values))
    low, high = np.maximum(centre - half, 0), np.minimum(centre + half + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)
