"""The pictures of a memory run: the error over T, and over the steps of training."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxseq.recipes._memory_tasks import TASKS

NAMES = {"elman": "Elman", "lstm": "LSTM", "gru": "GRU"}
COLOURS = {"elman": "#d55e00", "lstm": "#0072b2", "gru": "#009e73"}
"""Of Okabe and Ito's palette, which the colour-blind can tell apart; the markers differ too."""
MARKERS = {"elman": "o", "lstm": "s", "gru": "^"}
FLOOR = 1e-4
"""The lowest error that is drawn: one wrong symbol of the test set of copy memory."""


def _panels(rows: int, columns: int, *, width: float, height: float, **shared: Any) -> Any:
    """Returns a figure that draws without a screen, and its axes, ``[rows, columns]``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(drawn)
    return drawn, drawn.subplots(rows, columns, squeeze=False, **shared)


def _lines(axes: Any, name: str, threshold: float) -> None:
    """Draws what to compare with, and dresses the axes."""
    axes.axhline(TASKS[name].guess_error, color="#555555", linestyle="--", linewidth=1)
    axes.axhline(threshold, color="#555555", linestyle=":", linewidth=1)
    axes.set_yscale("log")
    axes.set_ylim(FLOOR / 1.5, 2.0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)


def _name_lines(axes: Any, name: str, threshold: float) -> None:
    """Says at the right end what the two lines are."""
    guess = TASKS[name].guess_error
    for height, text in ((guess, "guessing"), (threshold, "solved")):
        axes.annotate(
            text,
            (1.0, height),
            xycoords=("axes fraction", "data"),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color="#555555",
        )


def lengths_picture(path: Path, rows: Sequence[dict[str, Any]], *, threshold: float) -> Path:
    """Draws the error on the test set over T: a panel for each task, a line for each cell.

    Of several seeds the line is the median, and each has a pale marker of its own.

    Args:
      path: of the picture.
      rows: of the report.
      threshold: below which a length is solved.
    """
    names = list(dict.fromkeys(row["task"] for row in rows))
    drawn, panels = _panels(1, len(names), width=5.2 * len(names), height=4.2)
    for axes, name in zip(panels[0], names, strict=True):
        _lines(axes, name, threshold)
        mine = [row for row in rows if row["task"] == name]
        for cell in dict.fromkeys(row["cell"] for row in mine):
            _over_lengths(axes, cell, [row for row in mine if row["cell"] == cell])
        lengths = sorted({row["length"] for row in mine})
        axes.set_xscale("log")
        axes.set_xticks(lengths, [str(length) for length in lengths])
        axes.minorticks_off()
        axes.set_xlabel("T (steps)")
        axes.set_ylabel(f"test set: {TASKS[name].wrong}")
        axes.set_title(TASKS[name].title, loc="left", fontsize=10)
        _name_lines(axes, name, threshold)
    drawn.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    drawn.savefig(path)
    return path


def _over_lengths(axes: Any, cell: str, rows: Sequence[dict[str, Any]]) -> None:
    lengths = sorted({row["length"] for row in rows})
    errors = [[row["error"] for row in rows if row["length"] == length] for length in lengths]
    style = {"color": COLOURS[cell], "marker": MARKERS[cell]}
    middle = np.maximum([statistics.median(group) for group in errors], FLOOR)
    axes.plot(lengths, middle, **style, linewidth=1.8, label=NAMES[cell])
    for length, group in zip(lengths, errors, strict=True):
        if len(group) > 1:
            every = np.maximum(group, FLOOR)
            axes.plot([length] * len(group), every, **style, linestyle="", alpha=0.3)


def curves_picture(path: Path, curves: Sequence[dict[str, Any]], *, threshold: float) -> Path:
    """Draws the error on the validation set over the steps at each length.

    A line ends with a marker, where its network went on to the next length.

    Args:
      path: of the picture.
      curves: of all networks.
      threshold: below which a length is solved.
    """
    names = list(dict.fromkeys(curve["task"] for curve in curves))
    lengths = sorted({curve["length"] for curve in curves})
    size = {"width": max(2.3 * len(lengths), 4.0), "height": 2.6 * len(names) + 0.6}
    drawn, panels = _panels(len(names), len(lengths), **size, sharex=True, sharey=True)
    for name, line in zip(names, panels, strict=True):
        for length, axes in zip(lengths, line, strict=True):
            _lines(axes, name, threshold)
            axes.set_title(f"{TASKS[name].title}, T = {length}", loc="left", fontsize=8)
            seen = set()
            for curve in curves:
                if (curve["task"], curve["length"]) == (name, length):
                    first = curve["cell"] not in seen
                    seen.add(curve["cell"])
                    _over_steps(axes, curve, label=NAMES[curve["cell"]] if first else None)
        line[0].set_ylabel(f"validation set:\n{TASKS[name].wrong}", fontsize=8)
        _name_lines(line[-1], name, threshold)
    drawn.supxlabel("training steps at this length", fontsize=9)
    drawn.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    drawn.savefig(path)
    return path


def _over_steps(axes: Any, curve: dict[str, Any], *, label: str | None) -> None:
    errors = np.maximum(curve["error"], FLOOR)
    style = {"color": COLOURS[curve["cell"]], "marker": MARKERS[curve["cell"]]}
    last = [len(errors) - 1]
    axes.plot(curve["steps"], errors, **style, markevery=last, linewidth=1.2, label=label)
