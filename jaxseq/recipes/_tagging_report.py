"""What a tagging run reports, and the files that it leaves for a person to look at."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxseq import training
from jaxseq.losses import confusion_matrix, macro_f1, precision_recall_f1, span_f1
from jaxseq.recipes import _frequent_tag, _hmm_tagger, address_crf
from jaxseq.recipes._directory import write_json, write_table
from jaxseq.recipes._pictures import confusion_picture, history_picture
from jaxseq.recipes._tagging_data import Parts, Rows, words_of
from jaxseq.recipes._tagging_model import Model, label_words

Labels = Sequence[Sequence[str]]


def measures(
    found: Labels, rows: Rows, labels: Sequence[str], scheme: str, known: set[str]
) -> dict[str, Any]:
    """Returns what a report says of the labels that a model found.

    Args:
      found: the labels found.
      rows: the right ones.
      labels: all that there are in training.
      scheme: how they make spans.
      known: the words of training.
    """
    everything = sorted({*labels, *(token.label for row in rows for token in row)})
    matrix = confusion(found, rows, everything)
    tokens = int(matrix.sum())
    page: dict[str, Any] = {
        "sequences": len(rows),
        "tokens": tokens,
        "accuracy": float(np.trace(matrix) / tokens),
        "macro_f1": float(macro_f1(matrix)),
        "sequence_accuracy": float(
            np.mean([a == _right(row) for a, row in zip(found, rows, strict=True)])
        ),
        **_by_knowledge(found, rows, known),
    }
    if scheme != "none":
        spans = span_f1(found, [_right(row) for row in rows], scheme=scheme)
        page |= {"span_precision": spans.precision, "span_recall": spans.recall}
        page["span_f1"] = spans.f1
    by_label = precision_recall_f1(matrix)
    columns = {name: np.asarray(values) for name, values in by_label._asdict().items()}
    page["by_label"] = {
        label: {name: round(values[k].item(), 4) for name, values in columns.items()}
        for k, label in enumerate(everything)
    }
    return page


def confusion(found: Labels, rows: Rows, labels: Sequence[str]) -> np.ndarray:
    """Returns how often each label was taken for each: rows are the right ones."""
    numbers = {label: number for number, label in enumerate(labels)}
    right = np.array([numbers[token.label] for row in rows for token in row], np.int32)
    best = np.array([numbers[label] for row in found for label in row], np.int32)
    return np.asarray(confusion_matrix(best, right, num_classes=len(labels)))


def _right(row: Sequence[Any]) -> list[str]:
    return [token.label for token in row]


def _by_knowledge(found: Labels, rows: Rows, known: set[str]) -> dict[str, Any]:
    """Returns the accuracy on words that training has, and on those that it has not."""
    hits: dict[bool, list[bool]] = {True: [], False: []}
    for labels, row in zip(found, rows, strict=True):
        for label, token in zip(labels, row, strict=True):
            hits[token.token in known].append(label == token.label)
    return {
        f"{name}_words": {"tokens": len(which), "accuracy": float(np.mean(which)) if which else 0.0}
        for name, which in (("known", hits[True]), ("unknown", hits[False]))
    }


def others(parts: Parts, data: str, scheme: str) -> dict[str, Any]:
    """Returns the measures of simple models of the same training sequences, part by part."""
    frequent = _frequent_tag.fit(parts.train)
    markov = _hmm_tagger.fit(parts.train, parts.valid or None)
    models = {
        "the most frequent label of each word": lambda words: _frequent_tag.predict(
            frequent, words
        ),
        "a hidden Markov model": lambda words: _hmm_tagger.predict(markov, words),
    }
    if data == "usaddress":
        fields = address_crf.train(parts.train)
        models["a CRF with features by hand"] = lambda words: address_crf.label(fields, words)
    known = {token.token for row in parts.train for token in row}
    labels = sorted({token.label for row in parts.train for token in row})
    page: dict[str, Any] = {}
    for part in ("test", "valid"):
        rows = getattr(parts, part)
        if rows:
            page[part] = {
                name: measures(predict(words_of(rows)), rows, labels, scheme, known)
                for name, predict in models.items()
            }
    return page


def report_on(model: Model, rows: Rows, known: set[str]) -> tuple[list[list[str]], dict[str, Any]]:
    """Returns the labels that a model finds, and their measures."""
    found = label_words(model, words_of(rows))
    return found, measures(found, rows, model.labels, model.config.scheme or "none", known)


def leave_report(
    out: Path, report: dict[str, Any], found: Labels, rows: Rows, labels: Sequence[str]
) -> None:
    """Writes the report, the errors and the picture of the confusions of one part.

    Args:
      out: the directory.
      report: of the run, or of the part alone.
      found: the labels found.
      rows: the right ones.
      labels: all that the report has, in its order.
    """
    write_json(out / "report.json", report)
    _leave_errors(out / "errors.tsv", found, rows)
    matrix = confusion(found, rows, labels)
    share = 100 * np.trace(matrix) / matrix.sum()
    title = f"{Path(report['data']).name}: {share:.2f} % of {matrix.sum()} tokens right"
    confusion_picture(out / "confusion.png", matrix, labels, title=title)


def _leave_errors(path: Path, found: Labels, rows: Rows) -> None:
    """Writes the sequences with wrong labels, those with most errors first."""
    wrong = []
    for place, (labels, row) in enumerate(zip(found, rows, strict=True), start=1):
        errors = [t for t, label in enumerate(labels) if label != row[t].label]
        if errors:
            wrong.append((len(errors), place, errors))
    wrong.sort(key=lambda entry: (-entry[0], entry[1]))
    lines = []
    for _, place, errors in wrong:
        row = rows[place - 1]
        text = " ".join(token.token for token in row)
        lines += [
            [str(place), row[t].token, row[t].label, found[place - 1][t], text] for t in errors
        ]
    write_table(path, ["sequence", "token", "label", "found", "text"], lines)


def leave_history(out: Path, model: Model, history: training.History, *, validated: bool) -> None:
    """Writes what happened in training, and draws it."""
    config = model.config
    measure = "token error" if config.scheme == "none" else "100 - span F1"
    history_picture(
        out,
        history,
        unit="nats per token",
        measure=f"{measure} (%)" if validated else None,
        title=f"{Path(config.data).name}: {config.cell}, {config.num_layers} x "
        f"{config.hidden_size} units, {config.output}",
    )


def summary(report: dict[str, Any]) -> str:
    """Returns a report in lines for a person.

    Args:
      report: from :func:`jaxseq.recipes.tagging.train` or ``evaluate``.

    Example:
      >>> from jaxseq.recipes import tagging
      >>> page = {"data": "my.conll", "sequences": 2, "tokens": 4, "accuracy": 0.75,
      ...         "unknown_words": {"tokens": 2, "accuracy": 0.5}, "span_f1": 0.6}
      >>> print(tagging.summary(page))
      my.conll, 2 sequences, 4 tokens
        tokens   unknown  span F1  (%)
         75.00     50.00    60.00  this model
    """
    lines = []
    parts = [part for part in ("test", "valid", "train") if part in report]
    for part in parts or [None]:
        page = report if part is None else report[part]
        named = f", {part} part" if part else ""
        lines.append(
            f"{report['data']}{named}, {page['sequences']} sequences, {page['tokens']} tokens"
        )
        spans = "span_f1" in page
        lines.append("  tokens   unknown" + ("  span F1" if spans else "") + "  (%)")
        rows = {"this model": page, **report.get("others", {}).get(part, {})}
        for name, row in rows.items():
            unknown = row["unknown_words"]
            shown = f"{100 * row['accuracy']:8.2f}"
            shown += f"{100 * unknown['accuracy']:10.2f}" if unknown["tokens"] else f"{'–':>10}"
            shown += f"{100 * row['span_f1']:9.2f}" if spans else ""
            lines.append(f"{shown}  {name}")
    return "\n".join(lines)
