"""What a classification run reports, and the files that it leaves for a person to look at."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxseq import training
from jaxseq.losses import confusion_matrix, macro_f1, precision_recall_f1
from jaxseq.recipes import _hmm_classifier, _naive_bayes
from jaxseq.recipes._classification_data import Example, Parts
from jaxseq.recipes._classification_model import Model, log_probs
from jaxseq.recipes._directory import write_json, write_table
from jaxseq.recipes._pictures import confusion_picture, history_picture, prefix_picture

PREFIXES = (5, 10, 20, 50, 100)
SIMPLE = {
    "text": "naive Bayes of character 1-3-grams",
    "series": "a hidden Markov model for each class",
}
LogProbs = Float[np.ndarray, "N K"]


def measures(model: Model, examples: Sequence[Example], found: LogProbs) -> dict[str, Any]:
    """Returns what a report says of some examples.

    Args:
      model: the classifier.
      examples: with their right labels.
      found: the log-probabilities of the classes.
    """
    matrix = confusion(model, examples, found)
    by_class = precision_recall_f1(matrix)
    page: dict[str, Any] = {
        "examples": len(examples),
        "accuracy": float(np.trace(matrix) / len(examples)),
        "macro_f1": float(macro_f1(matrix)),
    }
    if has_prefixes(examples):
        page["accuracy_of_first_characters"] = {
            str(length): _accuracy(model, _first(examples, length)) for length in PREFIXES
        }
    columns = {name: np.asarray(values) for name, values in by_class._asdict().items()}
    page["by_class"] = {
        label: {name: round(values[k].item(), 4) for name, values in columns.items()}
        for k, label in enumerate(model.labels)
    }
    return page


def confusion(model: Model, examples: Sequence[Example], found: LogProbs) -> np.ndarray:
    """Returns how often each class was taken for each: rows are the right ones."""
    right = np.array([model.labels.index(example.label) for example in examples], np.int32)
    best = found.argmax(1).astype(np.int32)
    return np.asarray(confusion_matrix(best, right, num_classes=len(model.labels)))


def has_prefixes(examples: Sequence[Example]) -> bool:
    """Whether these are texts so long that their beginnings are worth a look."""
    if not isinstance(examples[0].value, str):
        return False
    return float(np.median([len(example.value) for example in examples])) >= PREFIXES[2]


def _first(examples: Sequence[Example], length: int) -> list[Example]:
    return [example._replace(value=example.value[:length]) for example in examples]


def _accuracy(model: Model, examples: Sequence[Example]) -> float:
    found = log_probs(model, [example.value for example in examples])
    return float(np.trace(confusion(model, examples, found)) / len(examples))


def others(parts: Parts, model: Model) -> dict[str, Any]:
    """Returns the accuracy of simple models of the same training examples, part by part."""
    train_values, train_labels = zip(*parts.train, strict=True)
    largest = Counter(train_labels).most_common(1)[0][0]
    simple: Any = _naive_bayes if parts.kind == "text" else _hmm_classifier
    name = SIMPLE[parts.kind]
    fitted = simple.fit(train_values, train_labels)
    page: dict[str, Any] = {}
    for part in ("test", "valid"):
        examples = getattr(parts, part)
        if not examples:
            continue
        rows: dict[str, Any] = {"the largest class": {}, name: {}}
        right = [example.label for example in examples]
        rows["the largest class"]["accuracy"] = right.count(largest) / len(right)
        rows[name]["accuracy"] = _hits(simple.predict(fitted, _values(examples)), right)
        if has_prefixes(examples):
            rows[name]["accuracy_of_first_characters"] = {
                str(length): _hits(simple.predict(fitted, _values(_first(examples, length))), right)
                for length in PREFIXES
            }
        page[part] = rows
    return page


def _values(examples: Sequence[Example]) -> list[Any]:
    return [example.value for example in examples]


def _hits(found: Sequence[str], right: Sequence[str]) -> float:
    return sum(a == b for a, b in zip(found, right, strict=True)) / len(right)


def leave_report(
    out: Path,
    report: dict[str, Any],
    model: Model,
    examples: Sequence[Example],
    found: LogProbs,
) -> None:
    """Writes the report, the errors, worst first, and the pictures of one part."""
    write_json(out / "report.json", report)
    _leave_errors(out / "errors.tsv", model, examples, found)
    share = np.mean([model.labels[k] for k in found.argmax(1)] == np.array(_labels(examples)))
    name = Path(report["data"]).name
    title = f"{name}: {100 * share:.2f} % of {len(examples)} right"
    matrix = confusion(model, examples, found)
    confusion_picture(out / "confusion.png", matrix, model.labels, title=title)
    curves = _curves(report)
    if curves:
        prefix_picture(out / "prefixes.png", curves, title=name)


def _labels(examples: Sequence[Example]) -> list[str]:
    return [example.label for example in examples]


def _curves(report: dict[str, Any]) -> dict[str, dict[int, float]]:
    """Returns the accuracies over the first characters that a report holds, by model."""
    key = "accuracy_of_first_characters"
    part = next((name for name in ("test", "valid", "train") if name in report), None)
    rows = {"this model": report if part is None else report[part]}
    if part is not None:
        rows |= report.get("others", {}).get(part, {})
    return {
        name: {int(length): value for length, value in row[key].items()}
        for name, row in rows.items()
        if key in row
    }


def _leave_errors(path: Path, model: Model, examples: Sequence[Example], found: LogProbs) -> None:
    """Writes the examples with a wrong label, those first that the model was surest of."""
    best = found.argmax(1)
    rows = []
    for place, (example, row) in enumerate(zip(examples, found, strict=True)):
        right = model.labels.index(example.label)
        if best[place] == right:
            continue
        said = model.labels[best[place]]
        shown = example.value if isinstance(example.value, str) else str(place)
        rows.append((row[best[place]], shown, example.label, said, row[right]))
    rows.sort(key=lambda row: -row[0])
    name = "text" if model.vocabulary is not None else "row"
    header = [name, "label", "found", "probability_of_found", "probability_of_label"]
    lines = [
        [shown, label, said, f"{np.exp(sure):.4f}", f"{np.exp(of_right):.4f}"]
        for sure, shown, label, said, of_right in rows
    ]
    write_table(path, header, lines)


def leave_history(out: Path, model: Model, history: training.History, *, validated: bool) -> None:
    """Writes what happened in training, and draws it."""
    config = model.config
    history_picture(
        out,
        history,
        unit="nats per example",
        measure="validation error (%)" if validated else None,
        title=f"{Path(config.data).name}: {config.cell}, {config.num_layers} x "
        f"{config.hidden_size} units",
    )


def summary(report: dict[str, Any]) -> str:
    """Returns a report in lines for a person.

    Args:
      report: from :func:`jaxseq.recipes.classification.train` or ``evaluate``.

    Example:
      >>> from jaxseq.recipes import classification
      >>> page = {"data": "names", "examples": 4, "accuracy": 0.75, "macro_f1": 0.7}
      >>> print(classification.summary(page))
      names, 4 examples
         75.00 %  accuracy of this model (macro-F1 70.00 %)
    """
    lines = []
    parts = [part for part in ("test", "valid", "train") if part in report]
    for part in parts or [None]:
        page = report if part is None else report[part]
        named = f", {part} part" if part else ""
        lines.append(f"{report['data']}{named}, {page['examples']} examples")
        of_it = f"macro-F1 {100 * page['macro_f1']:.2f} %"
        rows = [("accuracy of this model " + f"({of_it})", page["accuracy"])]
        others = report.get("others", {}).get(part, {})
        rows += [(f"accuracy of {name}", row["accuracy"]) for name, row in others.items()]
        lines += [f"  {100 * value:6.2f} %  {name}" for name, value in rows]
        lines += _prefix_lines(page, others)
    return "\n".join(lines)


def _prefix_lines(page: dict[str, Any], others: dict[str, Any]) -> list[str]:
    key = "accuracy_of_first_characters"
    rows = {"this model": page, **others}
    curves = {name: row[key] for name, row in rows.items() if key in row}
    if not curves:
        return []
    lengths = list(next(iter(curves.values())))
    head = "  accuracy (%) over the first "
    lines = [head + " ".join(f"{length:>7}" for length in lengths) + "  characters"]
    for name, curve in curves.items():
        shown = " ".join(f"{100 * curve[length]:7.2f}" for length in lengths)
        lines.append(" " * len(head) + f"{shown}  {name}")
    return lines
