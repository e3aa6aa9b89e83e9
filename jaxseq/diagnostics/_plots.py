"""Pictures of what the other functions of this room return, each on axes that it returns."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxseq._checks import error
from jaxseq.diagnostics._bptt import TruncationError
from jaxseq.diagnostics._gradient_flow import GradientFlow, StateGradient
from jaxseq.diagnostics._saturation import Saturation

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Of Okabe and Ito's palette, which the colour-blind can tell apart; the dashes differ too."""
DASHES: Sequence[Any] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))


def plot_gradient_flow(flows: GradientFlow | Mapping[str, GradientFlow], *, ax: Any = None) -> Any:
    """Draws the norm of a loss's gradient by the state over the steps, on a logarithmic axis.

    A line for each layer, and for each field of its carry: the median over the rows that have such
    a step. Zeros, as in the padding, are left out.

    Args:
      flows: of :func:`gradient_flow`; or several, each under the name that it has in the legend.
      ax: axes of matplotlib to draw on; None for new ones.

    Returns:
      The axes.

    Raises:
      ImportError: if matplotlib is not installed.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq import diagnostics
      >>> layer = diagnostics.StateGradient("gru", False, jnp.ones((5, 4)))
      >>> ax = diagnostics.plot_gradient_flow(diagnostics.GradientFlow(jnp.array(1.0), (layer,)))
      >>> ax.get_yscale(), ax.get_ylabel()
      ('log', 'norm of dL/d state')
    """
    ax = _axes("plot_gradient_flow", ax)
    named = {"": flows} if isinstance(flows, GradientFlow) else flows
    lines = []
    for name, flow in named.items():
        for number, layer in enumerate(flow.layers):
            where = f"layer {number} ({_called(layer)})" if len(flow.layers) > 1 else layer.cell
            for path, norm in jax.tree.leaves_with_path(layer.norm):
                words = [name or where, jax.tree_util.keystr(path).lstrip(".")]
                lines.append((" ".join(word for word in words if word), _median(norm)))
    for number, (label, values) in enumerate(lines):
        ax.plot(np.arange(len(values)), values, label=label, **_style(number))
    ax.set_yscale("log")
    ax.set_xlabel("step t of the state")
    ax.set_ylabel("norm of dL/d state")
    _dress(ax)
    if len(lines) > 1:
        ax.legend(fontsize=8, frameon=False)
    return ax


def plot_influence(
    influences: StateGradient, *, field: str = "h", row: int | None = None, ax: Any = None
) -> Any:
    """Draws how much of the loss at each step reaches the state at each step: a map, in colours.

    Args:
      influences: of one cell, from :func:`influence`.
      field: of its carry.
      row: of the batch; None for the mean over all rows.
      ax: axes of matplotlib to draw on; None for new ones.

    Returns:
      The axes.

    Raises:
      ValueError: if the carry has no such field.
      ImportError: if matplotlib is not installed.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq import cells, diagnostics
      >>> norms = cells.GRUCarry(jnp.tril(jnp.ones((6, 6))))
      >>> ax = diagnostics.plot_influence(diagnostics.StateGradient("gru", False, norms))
      >>> ax.get_xlabel()
      'step s of the state'
    """
    where = "plot_influence"
    norms = getattr(influences.gradient, field, None)
    if norms is None:
        raise error(where, f"the carry of {influences.cell} has no field {field!r}")
    array = np.asarray(norms, np.float64)
    array = array.reshape(-1, *array.shape[-2:])
    array = array.mean(0) if row is None else array[row]
    ax = _axes(where, ax)
    from matplotlib.colors import LogNorm

    most = array.max(initial=0.0) or 1.0
    shown = np.where(array > 0, array, np.nan)
    least = max(np.nanmin(shown) if (array > 0).any() else most, most * 1e-8)
    image = ax.imshow(
        shown,
        norm=LogNorm(vmin=min(least, most * 0.999), vmax=most),
        cmap="viridis",
        origin="upper",
        interpolation="nearest",
    )
    ax.figure.colorbar(image, ax=ax, label=f"norm of dL_t / d{field}_s")
    ax.set_xlabel("step s of the state")
    ax.set_ylabel("step t of the loss")
    ax.set_title(_called(influences), loc="left", fontsize=10)
    return ax


def plot_saturation(found: Mapping[str, Saturation], *, ax: Any = None) -> Any:
    """Draws which share of each gate is saturated, over the steps.

    Args:
      found: of :func:`saturation`, under the names of the gates.
      ax: axes of matplotlib to draw on; None for new ones.

    Returns:
      The axes.

    Raises:
      ImportError: if matplotlib is not installed.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq import diagnostics
      >>> found = diagnostics.saturation(jnp.ones((3, 4)), bounds=(0.0, 1.0))
      >>> diagnostics.plot_saturation({"forget": found}).get_ylabel()
      'saturated units (%)'
    """
    ax = _axes("plot_saturation", ax)
    for number, (name, one) in enumerate(found.items()):
        colour = COLOURS[number % len(COLOURS)]
        steps = np.arange(len(one.low))
        style = {"color": colour, "linewidth": 1.6}
        ax.plot(steps, 100 * one.high, **style, label=f"{name}, near its upper bound")
        ax.plot(steps, 100 * one.low, **style, linestyle=":", label=f"{name}, near its lower bound")
    ax.set_xlabel("step t")
    ax.set_ylabel("saturated units (%)")
    ax.set_ylim(0, 100)
    _dress(ax)
    ax.legend(fontsize=8, frameon=False)
    return ax


def plot_truncation_error(found: TruncationError, *, ax: Any = None) -> Any:
    """Draws how far truncated gradients are from the whole one, over the length of the window.

    Args:
      found: of :func:`truncation_error`.
      ax: axes of matplotlib to draw on; None for new ones.

    Returns:
      The axes.

    Raises:
      ImportError: if matplotlib is not installed.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq import diagnostics
      >>> found = diagnostics.TruncationError((1, 10), jnp.array([0.5, 0.1]), jnp.array([0.9, 1.0]))
      >>> diagnostics.plot_truncation_error(found).get_xlabel()
      'window (steps)'
    """
    ax = _axes("plot_truncation_error", ax)
    relative = np.asarray(found.relative)
    ax.plot(found.windows, relative, marker="o", label="relative error", **_style(0))
    angle = 1.0 - np.asarray(found.cosine)
    ax.plot(found.windows, angle, marker="s", label="1 − cosine", **_style(1))
    ax.set_xscale("log")
    ax.set_xticks(found.windows, [str(window) for window in found.windows])
    ax.minorticks_off()
    ax.set_xlabel("window (steps)")
    ax.set_ylabel("distance from the whole gradient")
    _dress(ax)
    ax.legend(fontsize=8, frameon=False)
    return ax


# ------------------------------------------------------------------------------- what they share


def _axes(where: str, ax: Any) -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as cause:
        raise error(
            where,
            "matplotlib, which draws, is not installed",
            hint="pip install 'jaxseq[plot]'",
            kind=ImportError,
        ) from cause
    return plt.subplots(figsize=(6.4, 4.0), layout="constrained")[1] if ax is None else ax


def _called(layer: StateGradient) -> str:
    return f"{layer.cell}, backward" if layer.reverse else layer.cell


def _style(number: int) -> dict[str, Any]:
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": DASHES[number % len(DASHES)],
        "linewidth": 1.6,
    }


def _dress(ax: Any) -> None:
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)


def _median(norm: Any) -> np.ndarray:
    """Returns the median over all rows with something there; NaN, which is not drawn, without."""
    array = np.asarray(norm, np.float64)
    rows = array.reshape(-1, array.shape[-1])
    found = np.full(rows.shape[1], np.nan)
    for step, column in enumerate(rows.T):
        there = column[column > 0]
        if there.size:
            found[step] = np.median(there)
    return found
