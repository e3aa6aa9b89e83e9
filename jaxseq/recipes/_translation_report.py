"""What a translation run reports, and the files that it leaves for a person to look at."""

from collections.abc import Sequence
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np

from jaxseq import training
from jaxseq._checks import error
from jaxseq.losses import ErrorRate, edit_distance
from jaxseq.recipes import _nearest_translation
from jaxseq.recipes._directory import write_json, write_table
from jaxseq.recipes._pictures import history_picture
from jaxseq.recipes._translation_config import Config
from jaxseq.recipes._translation_data import Parts, Texts, texts_of
from jaxseq.recipes._translation_model import Model, memory_of
from jaxseq.recipes._translation_pictures import Alignment, alignment_picture
from jaxseq.recipes._translation_search import align, translate_best
from jaxseq.recipes._translation_units import split

NEAREST = "the nearest training source"
ALONE = "this model without its memory"
DRAWN = 4
READABLE = (4, 24)
"""Alignments of so many symbols on both sides are drawn."""


def check_scoring(config: Config) -> None:
    """Raises if a run could not measure its translations at the end.

    Raises:
      ImportError: if they are texts, and sacrebleu is not installed.
    """
    if config.target_units != "spaces" and util.find_spec("sacrebleu") is None:
        raise error(
            "recipes",
            "sacrebleu, which measures translations, is not installed",
            hint="pip install 'jaxseq[translation]'",
            kind=ImportError,
        )


def measures(found: Sequence[str], texts: Texts, units: str) -> dict[str, Any]:
    """Returns what a report says of translations.

    Args:
      found: one for each source.
      texts: the sources, and the right translations of each.
      units: of the targets: with ``"spaces"`` they are pronunciations, and error rates are
        reported; else they are texts, and BLEU and chrF are.

    Example:
      >>> page = measures(["AA K S"], Texts(["ox"], [["AA K S", "AO K S"]]), "spaces")
      >>> page["word_error_rate"], page["phoneme_error_rate"]
      (0.0, 0.0)
    """
    exact = float(np.mean([a in right for a, right in zip(found, texts.targets, strict=True)]))
    nearest = _nearest_edits(found, texts, units)
    if units == "spaces":
        page = {"word_error_rate": 1 - exact, "phoneme_error_rate": nearest.rate}
    else:
        page = {**_scores(found, texts), "exact_match": exact}
        page["symbol_error_rate"] = nearest.rate
    return {"sources": len(texts.sources), **page}


def _nearest_edits(found: Sequence[str], texts: Texts, units: str) -> ErrorRate:
    """Returns the edits to the nearest right translation of each source."""
    total = ErrorRate(0, 0)
    for text, right in zip(found, texts.targets, strict=True):
        total += min((_edits(text, one, units) for one in right), key=lambda edits: edits.errors)
    return total


def _edits(found: str, right: str, units: str) -> ErrorRate:
    units = "characters" if units == "pieces" else units
    a, b = split(found, units), split(right, units)
    return ErrorRate(0 if a == b else edit_distance(a, b), len(b))


def _scores(found: Sequence[str], texts: Texts) -> dict[str, Any]:
    """Returns chrF and BLEU, in per cent, and how they were computed."""
    from sacrebleu.metrics import BLEU, CHRF

    most = max(map(len, texts.targets))
    # A stream of references is one for each source; None stands where there is no more.
    streams: Any = [
        [right[k] if k < len(right) else None for right in texts.targets] for k in range(most)
    ]
    page: dict[str, Any] = {"signatures": {}}
    for name, metric in (
        ("chrf", CHRF()),
        ("bleu", BLEU()),
        ("bleu_of_characters", BLEU(tokenize="char")),
    ):
        page[name] = metric.corpus_score(list(found), streams).score
        page["signatures"][name] = str(metric.get_signature())
    return page


def others(parts: Parts, model: Model) -> dict[str, Any]:
    """Returns the measures of what a model stands beside, part by part.

    That is the nearest training source, and the model itself without its memory if it has one.
    """
    units, nearest = str(model.config.target_units), memory_of(parts.train)
    page: dict[str, Any] = {}
    for part in ("test", "valid"):
        if rows := getattr(parts, part):
            texts = texts_of(rows)
            found = {NEAREST: _nearest_translation.predict(nearest, texts.sources)}
            if model.memory is not None:
                found[ALONE] = translate_best(model._replace(memory=None), texts.sources)
            page[part] = {name: measures(some, texts, units) for name, some in found.items()}
    return page


def report_on(model: Model, texts: Texts) -> tuple[list[str], dict[str, Any]]:
    """Returns the translations that a model finds, and their measures."""
    found = translate_best(model, texts.sources)
    return found, measures(found, texts, str(model.config.target_units))


def leave_report(
    out: Path, report: dict[str, Any], model: Model, found: Sequence[str], texts: Texts
) -> None:
    """Writes the report, the errors and the picture of some alignments of one part.

    Args:
      out: the directory.
      report: of the run, or of the part alone.
      model: what translated.
      found: the translations.
      texts: the sources, and what is right.
    """
    write_json(out / "report.json", report)
    _leave_errors(out / "errors.tsv", found, texts, str(model.config.target_units))
    examples = _examples(model, texts)
    if examples:
        title = f"{Path(report['data']).name}: what each symbol attended to"
        alignment_picture(out / "alignments.png", examples, title=title)


def _leave_errors(path: Path, found: Sequence[str], texts: Texts, units: str) -> None:
    """Writes the translations that are not right, those with most edits first."""
    lines = []
    for source, text, right in zip(texts.sources, found, texts.targets, strict=True):
        if text not in right:
            edits = [_edits(text, one, units).errors for one in right]
            lines.append((min(edits), source, text, right[int(np.argmin(edits))]))
    lines.sort(key=lambda line: -line[0])
    rows = [[str(edits), *texts] for edits, *texts in lines]
    write_table(path, ["edits", "source", "found", "right"], rows)


def _examples(model: Model, texts: Texts) -> list[Alignment]:
    """Returns some alignments that can be read, of sources spread over a part."""
    least, most = READABLE
    pairs = zip(texts.sources, model.read(texts.sources), strict=True)
    short = [source for source, symbols in pairs if least <= len(symbols) <= most]
    spread = [short[k * len(short) // DRAWN] for k in range(min(DRAWN, len(short)))]
    return [Alignment(*one) for one in align(model, spread)] if spread else []


def leave_history(out: Path, model: Model, history: training.History, *, validated: bool) -> None:
    """Writes what happened in training, and draws it."""
    config = model.config
    measure = "word error (%)" if config.target_units == "spaces" else "100 - chrF"
    several = f"{config.networks} networks, " if (config.networks or 1) > 1 else ""
    history_picture(
        out,
        history,
        unit="nats per symbol",
        measure=f"greedy, {measure}" if validated else None,
        title=f"{Path(config.data).name}: {several}{config.cell}, {config.num_layers} x "
        f"{config.hidden_size} units, {config.attention} attention",
    )


def summary(report: dict[str, Any]) -> str:
    """Returns a report in lines for a person.

    Args:
      report: from :func:`jaxseq.recipes.translation.train` or ``evaluate``.

    Example:
      >>> from jaxseq.recipes import translation
      >>> page = {"data": "cmudict", "sources": 8, "word_error_rate": 0.25,
      ...         "phoneme_error_rate": 0.06}
      >>> print(translation.summary(page))
      cmudict, 8 sources
         words  phonemes  wrong (%)
         25.00      6.00  this model
    """
    lines = []
    parts = [part for part in ("test", "valid", "train") if part in report]
    for part in parts or [None]:
        page = report if part is None else report[part]
        named = f", {part} part" if part else ""
        lines.append(f"{report['data']}{named}, {page['sources']} sources")
        rows = {"this model": page, **report.get("others", {}).get(part, {})}
        sounds = "word_error_rate" in page
        lines.append(
            "   words  phonemes  wrong (%)"
            if sounds
            else "    chrF    BLEU  BLEU of characters   exact (%)"
        )
        for name, row in rows.items():
            shown = (
                f"{100 * row['word_error_rate']:8.2f}{100 * row['phoneme_error_rate']:10.2f}"
                if sounds
                else f"{row['chrf']:8.2f}{row['bleu']:8.2f}{row['bleu_of_characters']:20.2f}"
                f"{100 * row['exact_match']:12.2f}"
            )
            lines.append(f"{shown}  {name}")
    return "\n".join(lines)
