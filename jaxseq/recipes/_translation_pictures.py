"""Pictures of what a translator looks at while it writes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxseq.recipes._pictures import Fonts, figure, fonts_for
from jaxseq.recipes._romanise import romanised

SPACE = "␣"
COLUMNS = 2
LONGEST = 12
"""A longer symbol, such as a placeholder, is cut."""


class Alignment(NamedTuple):
    """A translation, and what each of its steps attended to.

    Attributes:
      source: the symbols of the source.
      target: the symbols of the translation, and what stands for its end.
      weights: ``[T, S]``: a row for each symbol of the translation, which sums to 1.

    Example:
      >>> Alignment(["o", "x"], ["AA", "K", "S", "end"], np.full((4, 2), 0.5)).weights.shape
      (4, 2)
    """

    source: Sequence[str]
    target: Sequence[str]
    weights: Float[np.ndarray, "T S"]


def alignment_picture(path: Path, examples: Sequence[Alignment], *, title: str) -> Path:
    """Draws what each symbol of some translations attended to, a panel for each.

    A symbol that no font can write stands in Latin letters if it is Hangul, else as code points.

    Args:
      path: of the picture.
      examples: one or more.
      title: over the picture.

    Returns:
      The path.

    Example:
      >>> import pathlib, tempfile
      >>> example = Alignment(["o", "x"], ["AA", "K", "S", "end"], np.full((4, 2), 0.5))
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = pathlib.Path(directory) / "alignments.png"
      ...     alignment_picture(path, [example], title="one").name
      'alignments.png'
    """
    fonts = fonts_for([title, SPACE, *(s for e in examples for s in (*e.source, *e.target))])
    columns = min(COLUMNS, len(examples))
    rows = -(-len(examples) // columns)
    longest = [max(len(e[side]) for e in examples) for side in (0, 1)]
    width, height = (max(1.6 + 0.23 * steps, 3.4) for steps in longest)
    drawn, alone = figure(columns * width + 0.8, rows * height + 0.6)
    alone.remove()
    panels = drawn.subplots(rows, columns, squeeze=False).ravel()
    image = None
    for axes, example in zip(panels, examples, strict=False):
        image = axes.imshow(100 * example.weights, cmap="Blues", vmin=0, vmax=100, aspect="auto")
        _name_ticks(axes, example, fonts)
    for axes in panels[len(examples) :]:
        axes.set_visible(False)
    drawn.supxlabel("source", fontsize=10)
    drawn.supylabel("translation, from top to bottom", fontsize=10)
    drawn.suptitle(fonts.line(title), fontsize=10, family=fonts.families)
    drawn.colorbar(image, ax=list(panels), shrink=0.6, label="attention (%)")
    drawn.savefig(path, bbox_inches="tight")
    return path


def _name_ticks(axes: Any, example: Alignment, fonts: Fonts) -> None:
    for steps, symbols, set_ticks in (
        (example.weights.shape[1], example.source, axes.set_xticks),
        (example.weights.shape[0], example.target, axes.set_yticks),
    ):
        names = [symbol_name(symbol, fonts) for symbol in symbols]
        turned = (
            {"rotation": 90}
            if set_ticks == axes.set_xticks and any(len(name) > 2 for name in names)
            else {}
        )
        set_ticks(range(steps), names, fontsize=7, family=fonts.families, **turned)
    axes.tick_params(length=0)


def symbol_name(symbol: str, fonts: Fonts) -> str:
    """Returns a symbol as it can be drawn: a space as a mark, Hangul in Latin letters if need be.

    Example:
      >>> none = Fonts(["serif"], frozenset("집漢"))
      >>> symbol_name(" ", none), symbol_name("집", none), symbol_name("漢", none)
      ('␣', 'jip', 'U+6F22')
    """
    short = symbol if len(symbol) <= LONGEST else f"{symbol[: LONGEST - 1]}…"
    short = short.replace(" ", SPACE)
    if fonts.lacking & {*short}:
        short = romanised(short)
    shown = "".join(f"U+{ord(s):04X}" if s in fonts.lacking else s for s in short)
    return shown.replace("$", r"\$")
