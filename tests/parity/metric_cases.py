"""What is compared with scikit-learn, seqeval and jiwer: classes, labels of spans, and texts.

Everything random comes from NumPy, and a fixture records what was drawn. NumPy only.
"""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

FIXTURES = Path(__file__).parent / "fixtures"
CLASSES = ("one", "two", "five", "absent")
SPANS = ("bio", "bio_nameless", "bioes", "bmes")
TEXTS = ("some", "empty", "nothing")
ALPHABET = "ab 가각é"

Case = dict[str, Any]


def draw_classes(name: str) -> Case:
    """Returns predictions and targets; of "absent", classes that one or both of them lack."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    num_classes = {"one": 1, "two": 2}.get(name, 5)
    targets = rng.integers(0, num_classes, 60)
    predictions = np.where(rng.random(60) < 0.6, targets, rng.integers(0, num_classes, 60))
    if name == "absent":
        targets, predictions = targets % 3, np.where(predictions == 1, 3, predictions % 4)
    return {
        "num_classes": num_classes,
        "predictions": predictions.tolist(),
        "targets": targets.tolist(),
    }


def draw_spans(name: str) -> Case:
    """Returns labels in no order that a scheme would allow, and others that partly agree."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    letters = {"bio": "BI", "bioes": "BIES", "bmes": "BMES"}[name.partition("_")[0]]
    kinds = ("",) if name.endswith("nameless") else ("-PER", "-LOC", "-X-1")
    labels = ["O", *(letter + kind for letter in letters for kind in kinds)]
    likely = np.array([len(kinds), *[1] * (len(labels) - 1)])
    likely = likely / likely.sum()
    right = [rng.choice(labels, length, p=likely).tolist() for length in rng.integers(0, 12, 25)]
    predicted = [
        [label if rng.random() < 0.8 else str(rng.choice(labels, p=likely)) for label in row]
        for row in right
    ]
    return {"scheme": name.partition("_")[0], "predicted": predicted, "right": right}


def draw_texts(name: str) -> Case:
    """Returns pairs of texts: of "empty" some, of "nothing" all right ones have no character."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))

    def text(length: int) -> str:
        return " ".join("".join(rng.choice(list(ALPHABET), length)).split())

    right = [text(length) for length in rng.integers(1, 40, 12)]
    predicted = []
    for one in right:
        kept = [character for character in one if rng.random() < 0.8]
        predicted.append(" ".join(("".join(kept) + text(int(rng.integers(0, 6)))).split()))
    if name == "empty":
        right[::3], predicted[::4] = [""] * len(right[::3]), [""] * len(predicted[::4])
    if name == "nothing":
        right = [""] * len(right)
    return {"predicted": predicted, "right": right}


def load(kind: str) -> dict[str, Case]:
    """Returns the recorded cases of a kind: what was drawn, and what was found of it."""
    return json.loads((FIXTURES / f"metrics_{kind}.json").read_text(encoding="utf-8"))["cases"]
