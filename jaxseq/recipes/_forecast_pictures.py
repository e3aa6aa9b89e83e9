"""The pictures of forecasts: with their bands beside what came, and errors by horizon."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Shaped

from jaxseq.recipes._pictures import COLOURS, figure, fonts_for

OTHERS = (*COLOURS[1:], "#7a5195", "#4d4d4d", "#56b4e9")
MARKERS = "sD^vPX"
SERIES = "#4d4d4d"


class Panel(NamedTuple):
    """A forecast, or several that follow each other, beside what came.

    Attributes:
      title: of the panel.
      times: ``[T]``, of what is drawn as known.
      values: ``[T]``; NaN is a gap.
      ahead: ``[A]``, the times of the forecasts.
      value: ``[A]``.
      quantiles: ``[A, 5]``: the ends of the two bands, and the median between them.
      shares: of the inner and the outer band, in per cent.

    Example:
      >>> Panel._fields[0]
      'title'
    """

    title: str
    times: Shaped[np.ndarray, " T"]
    values: Float64[np.ndarray, " T"]
    ahead: Shaped[np.ndarray, " A"]
    value: Float64[np.ndarray, " A"]
    quantiles: Float64[np.ndarray, "A 5"]
    shares: tuple[int, int] = (80, 95)


def forecast_picture(
    path: Path, panels: Sequence[Panel], *, time: str, column: str, title: str
) -> Path:
    """Draws forecasts with their bands over what came.

    Args:
      path: of the picture.
      panels: one for each axes, two in a row.
      time: the name of the time.
      column: the name of the values.
      title: over the picture.

    Returns:
      The path.

    Example:
      >>> import pathlib, tempfile
      >>> import numpy as np
      >>> line = np.arange(5.0)
      >>> band = line[3:, None] + np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
      >>> panel = Panel("after 2", line, line, line[3:], line[3:], band)
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = pathlib.Path(directory) / "forecast.png"
      ...     forecast_picture(path, [panel], time="t", column="x", title="a line").name
      'forecast.png'
    """
    width = min(len(panels), 2)
    rows = -(-len(panels) // width)
    drawn, axes = figure(5.2 * width + (2.2 if width == 1 else 0), 2.7 * rows + 0.9)
    axes.remove()
    grid = drawn.subplots(rows, width, squeeze=False).ravel()
    fonts = fonts_for([title, time, column, *(panel.title for panel in panels)])
    for place, (axes, panel) in enumerate(zip(grid, panels, strict=False)):
        _draw(axes, panel)
        axes.set_title(fonts.line(panel.title), loc="left", fontsize=9, family=fonts.families)
        if place % width == 0:
            axes.set_ylabel(fonts.line(column), family=fonts.families)
        if place >= len(panels) - width:
            axes.set_xlabel(fonts.line(time), family=fonts.families)
        _plain(axes)
        if panel.times.dtype.kind == "M":
            axes.tick_params(axis="x", labelrotation=20)
            for label in axes.get_xticklabels():
                label.set_horizontalalignment("right")
    for axes in grid[len(panels) :]:
        axes.remove()
    drawn.suptitle(fonts.line(title), fontsize=10, x=0.01, ha="left", family=fonts.families)
    handles, labels = grid[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    drawn.savefig(path)
    return path


def _draw(axes: Any, panel: Panel) -> None:
    low, inner_low, _, inner_high, high = panel.quantiles.T
    inner, outer = panel.shares
    alone = {"marker": "o", "markersize": 3} if len(panel.ahead) == 1 else {}
    axes.fill_between(panel.ahead, low, high, color=COLOURS[0], alpha=0.15, label=f"{outer} % band")
    axes.fill_between(
        panel.ahead, inner_low, inner_high, color=COLOURS[0], alpha=0.3, label=f"{inner} % band"
    )
    axes.plot(panel.times, panel.values, color=SERIES, linewidth=1, label="what came")
    axes.plot(panel.ahead, panel.value, color=COLOURS[0], linewidth=1.6, label="forecast", **alone)


def horizon_picture(
    path: Path,
    errors: Mapping[str, Sequence[float | None]],
    coverage: Mapping[int, Sequence[float | None]],
    *,
    title: str,
) -> Path:
    """Draws the MASE of a model and of others by horizon, and the coverage of its intervals.

    Args:
      path: of the picture.
      errors: of each model, this one first, a number for each horizon; None is left out.
      coverage: of the intervals of each share in per cent, in 0..1; may be empty.
      title: over the picture.

    Returns:
      The path.

    Example:
      >>> import pathlib, tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = pathlib.Path(directory) / "horizons.png"
      ...     errors = {"this model": [0.8, 0.9], "drift": [1.0, None]}
      ...     horizon_picture(path, errors, {80: [0.7, 0.8]}, title="two").name
      'horizons.png'
    """
    drawn, axes = figure(9.6, 4.4)
    axes.remove()
    left, right = drawn.subplots(1, 2, width_ratios=(3, 2))
    fonts = fonts_for([title])
    styles = [(COLOURS[0], "o", 2.2), *((c, m, 1.2) for c, m in zip(OTHERS, MARKERS, strict=True))]
    for (name, values), (colour, marker, width) in zip(errors.items(), styles, strict=False):
        _line(left, values, color=colour, marker=marker, linewidth=width, label=name)
    left.set_ylabel("MASE (1: the naive error in training)")
    for (share, values), colour, marker in zip(coverage.items(), COLOURS, "os", strict=False):
        shown = [None if value is None else 100 * value for value in values]
        right.axhline(share, color=colour, linewidth=0.9, linestyle="--")
        _line(right, shown, color=colour, marker=marker, label=f"{share} % intervals")
    right.set_ylabel("targets inside (%)")
    right.set_ylim(0, 102)
    count = max(map(len, errors.values()))
    for axes in (left, right):
        axes.set_xlabel("horizon (steps ahead)")
        axes.set_xlim(0.6, count + 0.4)
        axes.set_xticks(sorted({1, *range(1, count + 1, -(-count // 10)), count}))
        _plain(axes)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, frameon=False)
    if not coverage:
        right.remove()
    drawn.suptitle(fonts.line(title), fontsize=10, x=0.01, ha="left", family=fonts.families)
    drawn.savefig(path)
    return path


def _line(axes: Any, values: Sequence[float | None], **style: Any) -> None:
    points = [(h, value) for h, value in enumerate(values, start=1) if value is not None]
    if points:
        axes.plot(*zip(*points, strict=True), markersize=5, **style)


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
