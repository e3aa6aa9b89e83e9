"""What a language-model run reports, and the files that it leaves for a person to look at."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from jaxseq import data, training
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


def leave(out: Path, report: dict[str, Any], history: training.History, *, title: str) -> None:
    """Writes report, history, learning curve and sample."""
    write_json(out / "report.json", report)
    write_json(out / "history.json", history.to_json())
    write_text(out / "sample.txt", report["sample"] + "\n")
    training.learning_curve(
        history,
        out / "learning_curve.png",
        unit="bits per symbol",
        scale=1 / math.log(2),
        title=title,
    )


def summary(report: dict[str, Any]) -> str:
    """Returns a report in lines for a person.

    Args:
      report: from :func:`jaxseq.recipes.language_model.train` or ``evaluate``.

    Example:
      >>> from jaxseq.recipes import language_model
      >>> page = {"data": "a.txt", "bits_per_character": 2.0, "characters": 9, "unknown_symbols": 1}
      >>> print(language_model.summary(page))
      2.0000 bits per character on 9 characters of a.txt (1 unknown symbols)
    """
    if "training" not in report:
        return (
            f"{report['bits_per_character']:.4f} bits per character on {report['characters']} "
            f"characters of {report['data']} ({report['unknown_symbols']} unknown symbols)"
        )
    part = "test" if "test" in report else "valid"
    rows = {"this model": report[part]["bits_per_character"]}
    rows |= report["bits_per_character_of_others"]
    lines = [f"\n{report['sample']}\n"]
    lines.append(f"held-out text of {report['data']}, bits per character (lower is better):")
    return "\n".join(lines + [f"  {bits:6.3f}  {name}" for name, bits in rows.items()])
