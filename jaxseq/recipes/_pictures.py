"""The pictures of a run: which classes are taken for which, how soon a text is known, training."""

import functools
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Num

from jaxseq import training
from jaxseq.recipes._directory import write_json

COLOURS = ("#2a6f97", "#d1495b", "#edae49", "#66a182")
SHOWN = 40
"""With more classes than these a matrix could not be read: the most frequent are drawn."""
LONGEST = 24
"""A longer label is cut, or it would leave no room for the matrix."""


class Fonts(NamedTuple):
    """What can be written into a picture.

    Attributes:
      families: the usual one, and for what it lacks others that are installed.
      lacking: the characters that none of them has.
    """

    families: list[str]
    lacking: frozenset[str]

    def line(self, text: str) -> str:
        """Returns a text that can be drawn: ``?`` for what no font has, and no formulas in it."""
        shown = "".join("?" if letter in self.lacking else letter for letter in text)
        return shown.replace("$", r"\$")


def fonts_for(texts: Iterable[str]) -> Fonts:
    """Returns fonts for the characters of texts, such as Hangul, which the usual one lacks."""
    import matplotlib
    from matplotlib import font_manager

    wanted = {letter for text in texts for letter in text}
    lacking = wanted - _letters(_usual())
    families = [*matplotlib.rcParams["font.family"]]
    drawable = {letter for letter in lacking if letter.isprintable()}
    for font in font_manager.fontManager.ttflist:
        if not drawable:
            break
        # The last resort has a box for every character there is.
        if font.style != "normal" or font.weight != 400 or font.name.startswith("Last Resort"):
            continue
        if found := drawable & _letters(font.fname):
            families.append(font.name)
            drawable -= found
            lacking -= found
    return Fonts(families, frozenset(lacking))


def _usual() -> str:
    from matplotlib import font_manager

    return font_manager.findfont(font_manager.FontProperties())


@functools.cache
def _letters(font: str) -> frozenset[str]:
    """Returns the characters that a font file has."""
    from matplotlib import font_manager

    return frozenset(map(chr, font_manager.get_font(font).get_charmap()))


def label_names(labels: Sequence[str], fonts: Fonts) -> list[str]:
    """Returns labels as they can be drawn: short, and ``(n)`` for the n-th if no font has it.

    Example:
      >>> label_names(["noun", "동사", "x" * 30], Fonts(["serif"], frozenset("동사")))
      ['noun', '(2)', 'xxxxxxxxxxxxxxxxxxxxxxx…']
    """
    names = []
    for number, label in enumerate(labels, start=1):
        short = label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…"
        names.append(f"({number})" if fonts.lacking & {*short} else fonts.line(short))
    return names


def _most_frequent(matrix: Num[np.ndarray, "K K"]) -> tuple[list[int], int]:
    """Returns which classes to draw, in their order, and how many occur."""
    counts = matrix.sum(0) + matrix.sum(1)
    order = np.argsort(-counts, kind="stable")
    there = int(np.count_nonzero(counts))
    return sorted(order[: min(SHOWN, there)].tolist()), there


def _entitle(axes: Any, title: str, fonts: Fonts) -> None:
    """Puts a title over axes, in several lines if need be."""
    shown = _wrapped(title, fonts, int(11 * axes.figure.get_figwidth()))
    axes.set_title(shown, loc="left", fontsize=10, family=fonts.families)


def _wrapped(title: str, fonts: Fonts, width: int) -> str:
    lines = textwrap.wrap(title, width, max_lines=3, placeholder=" …")
    return "\n".join(map(fonts.line, lines))


def figure(width: float, height: float) -> tuple[Any, Any]:
    """Returns a figure that draws without a screen, and its axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(drawn)
    return drawn, drawn.subplots()


def confusion_picture(
    path: Path, matrix: Num[np.ndarray, "K K"], labels: Sequence[str], *, title: str
) -> Path:
    """Draws which classes are taken for which: rows are the right ones, shaded by their share.

    Classes that do not occur are left out; of more than 40, the most frequent are drawn. A label
    that no font can write stands as its number.

    Args:
      path: of the picture.
      matrix: counts; rows are the right classes, columns the ones found.
      labels: of the classes.
      title: over the picture.

    Returns:
      The path.

    Example:
      >>> import pathlib, tempfile
      >>> import numpy as np
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = pathlib.Path(directory) / "confusion.png"
      ...     confusion_picture(path, np.array([[3, 1], [0, 2]]), ["a", "b"], title="two").name
      'confusion.png'
    """
    matrix = np.asarray(matrix)
    fonts = fonts_for([*labels, title])
    kept, there = _most_frequent(matrix)
    if there > len(kept):
        title += f"; the {len(kept)} most frequent of {there} labels"
    names = [label_names(labels, fonts)[k] for k in kept]
    shares = (matrix / np.maximum(matrix.sum(1, keepdims=True), 1))[np.ix_(kept, kept)]
    matrix = matrix[np.ix_(kept, kept)]
    size = max(2.6 + 0.34 * len(names), 4.5)
    drawn, axes = figure(size + 0.8, size)
    image = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100)
    small = 8 if len(names) > 12 else 9
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=small, family=fonts.families)
    axes.set_yticks(range(len(names)), names, fontsize=small, family=fonts.families)
    by_number = any(fonts.lacking & {*label[:LONGEST]} for label in labels)
    axes.set_xlabel("class found" + (": (n) is the n-th of report.json" if by_number else ""))
    axes.set_ylabel("right class")
    _entitle(axes, title, fonts)
    for row, column in np.argwhere(matrix):
        colour = "white" if shares[row, column] > 0.55 else "#333333"
        text = f"{int(matrix[row, column])}"
        axes.text(column, row, text, ha="center", va="center", fontsize=small - 1, color=colour)
    drawn.colorbar(image, ax=axes, shrink=0.7, label="share of the right class (%)")
    drawn.savefig(path, bbox_inches="tight")
    return path


def prefix_picture(path: Path, curves: Mapping[str, Mapping[int, float]], *, title: str) -> Path:
    """Draws accuracy over the number of first characters that are read.

    Args:
      path: of the picture.
      curves: accuracies in 0..1 by number of characters, for each model.
      title: over the picture.

    Returns:
      The path.

    Example:
      >>> import pathlib, tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = pathlib.Path(directory) / "prefixes.png"
      ...     prefix_picture(path, {"this model": {5: 0.5, 50: 0.9}}, title="two").name
      'prefixes.png'
    """
    drawn, axes = figure(6.4, 4.2)
    _entitle(axes, title, fonts_for([title]))
    for (name, points), colour, marker in zip(curves.items(), COLOURS, "osD^", strict=False):
        axes.plot(
            list(points),
            [100 * value for value in points.values()],
            marker=marker,
            color=colour,
            label=name,
        )
    lengths = sorted({length for points in curves.values() for length in points})
    axes.set_xscale("log")
    axes.set_xticks(lengths, [str(length) for length in lengths])
    axes.minorticks_off()
    axes.set_xlabel("characters read from the beginning")
    axes.set_ylabel("accuracy (%)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.legend(loc="best", edgecolor="none")
    drawn.savefig(path)
    return path


def history_picture(
    out: Path, history: training.History, *, unit: str, measure: str | None, title: str
) -> None:
    """Writes what happened in training to ``history.json``, and draws ``learning_curve.png``.

    Args:
      out: the directory.
      history: from :func:`jaxseq.training.fit`.
      unit: of the loss.
      measure: what chose the weights, with its unit; None if there was no part to choose them by.
      title: over the picture.
    """
    evaluations = history.evaluations if measure is not None else []
    # What only decides between equals is no part of the measure.
    evaluations = [record._replace(value=round(record.value, 4)) for record in evaluations]
    history = training.History(history.steps, evaluations)
    write_json(out / "history.json", history.to_json())
    shown = _wrapped(title, Fonts([], frozenset({*title} - _letters(_usual()))), 70)
    path = out / "learning_curve.png"
    training.learning_curve(history, path, unit=unit, evaluation=measure, title=shown)
