"""The picture of an alignment: a spectrogram, what is said when, and how sure the model is."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from jaxseq.recipes._pictures import COLOURS, figure, fonts_for
from jaxseq.recipes._speech_hearing import Span
from jaxseq.recipes._speech_model import HOP
from jaxseq.sequence import log_mel, mel_edges

LOWEST = 20.0
RANGE = 60.0
"""Decibels below the loudest that are drawn."""
TICKS = (0.125, 0.25, 0.5, 1, 2, 4, 8)
"""Frequencies in kHz that are written beside a spectrogram."""


def decibels_of(
    samples: Float32[np.ndarray, " N"], sample_rate: int, num_mels: int
) -> Float32[np.ndarray, "T M"]:
    """Returns the energy of each band in each frame, in decibels below the loudest."""
    features = log_mel(samples, sample_rate=sample_rate, num_mels=num_mels, low=LOWEST).features
    decibels = np.asarray(features) * (10 / math.log(10))
    return decibels - decibels.max(initial=-np.inf)


def alignment_picture(
    path: Path,
    decibels: Float32[np.ndarray, "T M"],
    log_probs: Float32[np.ndarray, "S V"],
    spans: Sequence[Span],
    *,
    labels: Sequence[str],
    sample_rate: int,
    step: float,
    starts: Sequence[float] = (),
    title: str,
) -> Path:
    """Draws a spectrogram with the labels at their times, and under it how likely each label is.

    Args:
      path: of the picture.
      decibels: from :func:`decibels_of`.
      log_probs: of the labels at each step; the blank is 0.
      spans: when each label of the transcript is heard.
      labels: the first has the number 1.
      sample_rate: of the recording, in samples a second.
      step: seconds a step.
      starts: when each word begins in truth, in seconds, where that is known.
      title: over the picture.

    Returns:
      The path.
    """
    fonts = fonts_for([title, *labels])
    seconds = len(decibels) * HOP
    drawn, first = figure(max(6.4, min(16.0, 3.2 * seconds)), 5.4)
    first.remove()
    upper, lower = drawn.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    shown = "\n".join(map(fonts.line, textwrap.wrap(title, int(13 * drawn.get_figwidth()))))
    upper.set_title(shown, loc="left", fontsize=10, family=fonts.families, pad=20)
    _draw_spectrogram(upper, decibels, sample_rate)
    for number, start in enumerate(starts):
        name = "_" if number else "a word begins"
        upper.axvline(start, color="white", linewidth=0.9, linestyle=":", label=name)
    times = step * (np.arange(len(log_probs)) + 0.5)
    probs = np.exp(log_probs)
    lower.plot(times, probs[:, 0], color="#999999", linewidth=1, linestyle="--", label="blank")
    heard = list(dict.fromkeys(span.label for span in spans))
    colours = {label: COLOURS[number % len(COLOURS)] for number, label in enumerate(heard)}
    for span in spans:
        for axes in (upper, lower):
            colour = colours[span.label]
            axes.axvspan(span.start, span.end, color=colour, alpha=0.35, linewidth=0)
        name = fonts.line("␣" if span.label == " " else span.label)
        middle = (span.start + span.end) / 2
        text = {"ha": "center", "va": "bottom", "fontsize": 9, "family": fonts.families}
        upper.annotate(
            name, (middle, 1), (0, 3), ("data", "axes fraction"), "offset points", **text
        )
    for label, colour in colours.items():
        lower.plot(times, probs[:, 1 + list(labels).index(label)], color=colour, linewidth=1.4)
    lower.set_xlabel("time (s)")
    lower.set_ylabel("probability at a step")
    lower.set_ylim(-0.02, 1.05)
    lower.set_xlim(0, seconds)
    lower.spines[["top", "right"]].set_visible(False)
    where = {"loc": "outside lower center", "ncols": 2, "fontsize": 9, "edgecolor": "none"}
    drawn.legend(facecolor="#cccccc" if starts else "white", **where)
    drawn.savefig(path)
    return path


def _draw_spectrogram(axes: Any, decibels: Float32[np.ndarray, "T M"], sample_rate: int) -> None:
    bands = decibels.shape[1]
    image = axes.imshow(
        decibels.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=-RANGE,
        vmax=0,
        extent=(0, len(decibels) * HOP, 0, bands),
    )
    centres = mel_edges(bands, low=LOWEST, high=sample_rate / 2)[1:-1]
    inside = [kilo for kilo in TICKS if centres[0] <= 1000 * kilo <= centres[-1]]
    places = np.interp([1000 * kilo for kilo in inside], centres, np.arange(bands) + 0.5)
    axes.set_yticks(places, [f"{kilo:g}" for kilo in inside])
    axes.set_ylabel("mel band (centre, kHz)")
    axes.figure.colorbar(image, ax=axes, label="energy (dB below the loudest)")
