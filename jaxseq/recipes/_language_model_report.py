"""What a language-model run reports, and the files that it leaves for a person to look at."""

import math
from importlib import metadata, util
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxseq import data, training
from jaxseq._checks import error
from jaxseq._types import PyTree
from jaxseq._version import __version__
from jaxseq.recipes._baselines import witten_bell_bits, xz_bits
from jaxseq.recipes._directory import write_json, write_text

NGRAM_ORDER = 6


def measures(
    result: training.Evaluation, text: str, ids: np.ndarray, vocabulary: data.Vocabulary
) -> dict[str, Any]:
    """Returns what a report says of one text; its first symbol is given, not predicted."""
    predicted = len(text) - _first(text, vocabulary)
    return {
        "bits_per_character": result.total / math.log(2) / predicted,
        "perplexity_per_symbol": math.exp(min(result.mean, 700.0)),
        "characters": predicted,
        "symbols": int(result.count),
        "unknown_symbols": int(np.sum(ids == vocabulary.unknown_id)),
    }


def _first(text: str, vocabulary: data.Vocabulary) -> int:
    """Returns how many characters the first symbol has, known or unknown."""
    if vocabulary.kind == "characters":
        return 1
    own = data.Vocabulary.of_words(text)
    return len(own.symbols[own.encode(text)[0]])


def others(parts: data.TextParts, characters: data.Vocabulary) -> dict[str, float]:
    """Returns the bits per character that others need for the held-out part of the same text."""
    ngram = witten_bell_bits(
        characters.encode(parts.train),
        characters.encode(parts.test),
        order=NGRAM_ORDER,
        vocabulary_size=len(characters),
    )
    packed = xz_bits(parts.train, parts.test)
    return {
        f"interpolated Witten-Bell {NGRAM_ORDER}-gram": ngram,
        "xz -9e after the training text": packed.after_training,
        "xz -9e alone": packed.alone,
    }


def run_report(params: PyTree, result: training.FitResult) -> dict[str, Any]:
    """Returns what a report says of the training itself."""
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
            "symbols_per_second": round(sum(step.count for step in steps) / max(seconds, 1e-9)),
        },
        "versions": {"jaxseq": __version__}
        | {name: metadata.version(name) for name in ("jax", "flax", "optax")},
        "device": jax.devices()[0].device_kind,
    }


def check_drawing() -> None:
    """Raises if a run could not draw its learning curve at the end.

    Raises:
      ImportError: if matplotlib is not installed.
    """
    if util.find_spec("matplotlib") is None:
        raise error(
            "recipes",
            "matplotlib, which draws the learning curve, is not installed",
            hint="pip install 'jaxseq[plot]'",
            kind=ImportError,
        )


def leave(
    out: Path, report: dict[str, Any], history: training.History, sample: str, *, title: str
) -> None:
    """Writes report, history, learning curve and sample."""
    write_json(out / "report.json", report)
    write_json(out / "history.json", history.to_json())
    write_text(out / "sample.txt", sample + "\n")
    training.learning_curve(
        history,
        out / "learning_curve.png",
        unit="bits per symbol",
        scale=1 / math.log(2),
        title=title,
    )
