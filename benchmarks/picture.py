"""Results as a picture: a dot for each row and peer, on a logarithmic axis."""

from pathlib import Path
from typing import Any

import peers
import results
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator
from results import Row

# One colour a peer, told apart with any colour vision; a mark too.
STYLE = {
    "flax": ("#0072B2", "o"),
    "equinox": ("#E69F00", "s"),
    "haiku": ("#009E73", "^"),
    "keras": ("#CC79A7", "D"),
    "torch": ("#D55E00", "v"),
    "cudnn": ("#000000", "P"),
}
FINE = [0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10]
LEGEND = {"ncols": len(STYLE), "fontsize": 8, "frameon": False, "columnspacing": 1.2}
COARSE = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]


def draw_rows(axes: Axes, rows: list[Row]) -> None:
    """Draws a line of dots for each row, the first at the top."""
    shown = [name for name in STYLE if any(name in row["ratios"] for row in rows)]
    for name in shown:
        colour, mark = STYLE[name]
        shift = 0.6 * ((shown.index(name) + 0.5) / len(shown) - 0.5)
        found = [
            (y + shift, row["ratios"][name]) for y, row in enumerate(rows) if name in row["ratios"]
        ]
        places = [y for y, _ in found]
        low, middle, high = zip(*(ratio for _, ratio in found), strict=True)
        axes.hlines(places, low, high, color=colour, linewidth=1.2)
        axes.plot(middle, places, mark, color=colour, markersize=4, label=peers.PEERS[name].title)
    axes.axvline(1.0, color="0.25", linewidth=1)
    for y in range(len(rows)):
        if y and rows[y]["kind"] != rows[y - 1]["kind"]:
            axes.axhline(y - 0.5, color="0.6", linewidth=0.8)
        elif y:
            axes.axhline(y - 0.5, color="0.92", linewidth=0.8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), labels=[label(row) for row in rows], fontsize=7)


def height_of(rows: list[Row]) -> float:
    """Returns the inches of a panel: lines of more dots are higher."""
    return len(rows) * max([0.1 + 0.03 * len(row["ratios"]) for row in rows])


def label(row: Row) -> str:
    return f"{results.KINDS[row['kind']]}  {', '.join(map(str, row['size']))}"


def scale(axes: Axes, rows: list[Row]) -> None:
    """Gives the axis of ratios round ticks."""
    ends = [end for row in rows for name in STYLE for end in row["ratios"].get(name, [])]
    axes.set_xscale("log")
    low, high = min([*ends, 0.8]), max([*ends, 1.2])
    axes.set_xlim(0.9 * low, 1.1 * high)
    axes.xaxis.set_major_locator(FixedLocator(FINE if high / low < 20 else COARSE))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", color="0.92")
    axes.set_axisbelow(True)


def draw(found: dict[str, Any], path: Path) -> Path:
    """Draws all cases, training on the left and inference on the right; returns the path."""
    rows = found["rows"]
    cases = [case for case in results.CASES if results.pick(rows, case=case)]
    works = [work for work in results.WORKS if results.pick(rows, work=work)]
    heights = [height_of(results.pick(rows, case=case, work=works[0])) for case in cases]
    height = 1.5 + sum(heights) + 0.6 * len(cases)
    figure = Figure(figsize=(1.6 + 4.6 * len(works), height), layout="constrained")
    grid = figure.subplots(
        len(cases), len(works), height_ratios=heights, squeeze=False, sharex="col"
    )
    for i, case in enumerate(cases):
        for j, work in enumerate(works):
            axes = grid[i, j]
            draw_rows(axes, results.pick(rows, case=case, work=work))
            scale(axes, results.pick(rows, work=work))
            axes.set_title(f"{results.CASES[case]}: {results.WORKS[work]}", fontsize=9)
            axes.tick_params(axis="x", labelsize=7, labelbottom=True)
            if j:
                axes.tick_params(axis="y", labelleft=False)
    handles = {}
    for axes in grid.flat:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            handles[name] = handle
    figure.supxlabel(
        "ratio of medians, quartiles of the ratios within a round; left of 1 jaxseq is faster",
        fontsize=8,
    )
    title = f"time of jaxseq by time of a peer, {found['device']}"
    figure.legend(handles.values(), handles, title=title, loc="outside upper center", **LEGEND)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)
    return path
