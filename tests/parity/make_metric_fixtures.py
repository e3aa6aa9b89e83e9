"""Records what other libraries measure: ``python tests/parity/make_metric_fixtures.py``.

Needs scikit-learn, seqeval, jiwer and NumPy only; with which versions the fixtures that are kept
were made, they say. They go into ``fixtures/metrics_*.json`` beside this script.
"""

import json
import warnings
from importlib.metadata import version

from metric_cases import (
    CLASSES,
    FIXTURES,
    SPANS,
    TEXTS,
    Case,
    draw_classes,
    draw_spans,
    draw_texts,
)


def compute_classes(case: Case) -> Case:
    """Returns what scikit-learn measures."""
    from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

    pair = case["targets"], case["predictions"]
    labels = list(range(case["num_classes"]))
    by_class = precision_recall_fscore_support(*pair, labels=labels, zero_division=0)
    names = ("precision", "recall", "f1", "support")
    return {
        "confusion": confusion_matrix(*pair, labels=labels).tolist(),
        **{name: values.tolist() for name, values in zip(names, by_class, strict=True)},
        "macro_f1": float(f1_score(*pair, average="macro", zero_division=0)),
    }


def compute_spans(case: Case) -> Case:
    """Returns what seqeval measures, which calls a span without a label ``_``, and knows no M."""
    from seqeval.metrics.sequence_labeling import get_entities, precision_recall_fscore_support

    def known(rows: list[list[str]]) -> list[list[str]]:
        return [["I" + label[1:] if label[0] == "M" else label for label in row] for row in rows]

    def ours(name: str) -> str:
        return "" if name == "_" else name

    right, predicted = known(case["right"]), known(case["predicted"])
    names = sorted({ours(name) for row in right + predicted for name, _, _ in get_entities(row)})
    micro = precision_recall_fscore_support(right, predicted, average="micro")
    by_label = precision_recall_fscore_support(right, predicted, average=None)
    spans = {
        f"spans_{which}": [
            [[ours(name), first, last + 1] for name, first, last in get_entities(row)]
            for row in rows
        ]
        for which, rows in (("predicted", predicted), ("right", right))
    }
    measures = zip(*(values.tolist() for values in by_label), strict=True)
    return {
        **spans,
        "micro": [float(value) for value in micro[:3]] + [int(micro[3])],
        "per_label": dict(zip(names, map(list, measures), strict=True)),
    }


def compute_texts(case: Case) -> Case:
    """Returns what jiwer measures, of words and of characters: errors, length and rate."""
    import jiwer

    pair = case["right"], case["predicted"]
    words, characters = jiwer.process_words(*pair), jiwer.process_characters(*pair)
    return {
        name: [
            found.substitutions + found.deletions + found.insertions,
            found.hits + found.substitutions + found.deletions,
            float(rate),
        ]
        for name, found, rate in (
            ("words", words, words.wer),
            ("characters", characters, characters.cer),
        )
    }


KINDS = {
    "classes": ("scikit-learn", CLASSES, draw_classes, compute_classes),
    "spans": ("seqeval", SPANS, draw_spans, compute_spans),
    "texts": ("jiwer", TEXTS, draw_texts, compute_texts),
}


def main() -> None:
    """Writes the fixtures."""
    warnings.simplefilter("ignore")  # of 0/0, which is what some cases are for
    for kind, (library, names, draw, compute) in KINDS.items():
        cases = {name: {"given": draw(name), "found": compute(draw(name))} for name in names}
        page = {"made_with": f"{library} {version(library)}", "cases": cases}
        text = json.dumps(page, ensure_ascii=False, separators=(",", ":"))
        (FIXTURES / f"metrics_{kind}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
