"""Classifiers, a tagger and a translator, trained in seconds through the command line.

Each is trained once a session, for all test files and all processes together. All sequences of a
file are equally long, so that there is one shape to compile.
"""

import functools
import random
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tiny

SETTINGS = {
    "classification": [
        *("--hidden-size", "4", "--embed-size", "4", "--pooling", "mean", "--hold-out", "4"),
        *("--dropout", "0.1", "--batch-size", "16", "--epochs", "3", "--learning-rate", "0.03"),
        *("--cell", "gru", "--num-layers", "1", "--label-smoothing", "0.1", "--crop", "0"),
        *("--symbol-dropout", "0.1", "--noise", "0.1", "--weight-decay", "0.001"),
        *("--ngrams", "1"),
    ],
    "tagging": [
        *("--hidden-size", "4", "--embed-size", "4", "--hold-out", "4", "--min-count", "1"),
        *("--char-embed-size", "2", "--char-hidden-size", "2", "--word-dropout", "0.1"),
        *("--dropout", "0.1", "--batch-size", "16", "--epochs", "2", "--learning-rate", "0.01"),
        *("--cell", "gru", "--num-layers", "1", "--weight-decay", "0.001"),
        *("--output", "crf", "--spelling", "True", "--max-letters", "6", "--affixes", "0"),
    ],
    "translation": [
        *("--hidden-size", "8", "--embed-size", "4", "--hold-out", "4", "--min-count", "1"),
        *("--source-units", "characters", "--target-units", "spaces", "--beam", "2"),
        *("--dropout", "0.1", "--batch-size", "16", "--epochs", "2", "--learning-rate", "0.01"),
        *("--cell", "gru", "--num-layers", "1", "--weight-decay", "0.001", "--sampling", "0"),
        *("--attention", "dot", "--label-smoothing", "0.1", "--length-penalty", "1"),
    ],
}
LETTERS = {"cold": "bdgk", "warm": "aeio", "은근": "lmnr"}
SOUNDS = {"a": ["AA", "EY"], "b": ["B"], "k": ["K"], "새": ["S"]}
STREETS, KINDS, CITIES = ("Elm", "Oak", "Ash"), ("St", "Ave"), ("Busan", "Seoul", "Elm")


class Run(NamedTuple):
    """The directory of a run, its data, and what the command line printed."""

    directory: Path
    data: Path
    printed: str


def texts(count, *, seed=0):
    """Labelled texts of six letters; each class has letters of its own, and some of another's."""
    rng = random.Random(seed)
    labels = [rng.choice([*LETTERS]) for _ in range(count)]
    return [
        ("".join(rng.choice(LETTERS[label] + "aed") for _ in range(6)), label) for label in labels
    ]


def table(rows, *, mark="\t", names=("text", "label")):
    """Labelled texts as a file has them, or other rows with names of their own."""
    return "".join(mark.join(row) + "\n" for row in [names, *rows])


def pairs(rows):
    """Sources and targets as a file has them."""
    return table(rows, names=("source", "target"))


def addresses(count, *, seed=0):
    """Sequences of four tagged words."""
    rng = random.Random(seed)
    return [
        [
            (str(rng.randint(1, 99)), "O"),
            (rng.choice(STREETS), "B-길"),
            (rng.choice(KINDS), "I-길"),
            (rng.choice(CITIES), "B-city"),
        ]
        for _ in range(count)
    ]


def columns(rows):
    """Tagged sequences as a file has them."""
    return "\n".join("".join(f"{word}\t{label}\n" for word, label in row) for row in rows)


def spellings(count, *, seed=0):
    """Words of four letters, and their sounds: the letters, of which some have two."""
    rng = random.Random(seed)
    words = ["".join(rng.choice("abk새") for _ in range(4)) for _ in range(count)]
    return [(word, " ".join(rng.choice(SOUNDS[letter]) for letter in word)) for word in words]


def series(count, *, size=2, steps=5, seed=0):
    """Series that rise or fall, and their labels."""
    rng = np.random.default_rng(seed)
    labels = [("down", "up")[int(k)] for k in rng.integers(0, 2, count)]
    line = np.linspace(-1, 1, steps)[:, None]
    signs = [1 if label == "up" else -1 for label in labels]
    return [s * line + 0.3 * rng.normal(size=(steps, size)) for s in signs], labels


def arrays(values, labels, prefix=""):
    """Series as an NPZ file has them."""
    return {
        f"{prefix}values": np.concatenate(values).astype(np.float32),
        f"{prefix}lengths": np.array([len(case) for case in values]),
        f"{prefix}labels": np.array(labels),
    }


def train(task, data, out, *options):
    """The words of a command line that trains a tiny model."""
    words = ["train", task, "--data", str(data), "--out", str(out)]
    return [*words, *SETTINGS[task], *map(str, options)]


def _trained(base, task, name, write):
    def words_of(folder):
        write(folder / name)
        return train(task, folder / name, folder / "run")

    folder, printed = tiny.once(base, f"tiny {name}", words_of)
    return Run(folder / "run", folder / name, printed)


@functools.cache
def classifier(base):
    """The run of texts that all tests of a session look at; who changes it takes a copy."""
    return _trained(
        base, "classification", "moods.tsv", lambda path: path.write_text(table(texts(80)))
    )


@functools.cache
def series_classifier(base):
    """The run of series, with a test part."""

    def write(path):
        np.savez(path, **arrays(*series(40), "train_"), **arrays(*series(10, seed=1), "test_"))

    return _trained(base, "classification", "walks.npz", write)


@functools.cache
def tagger(base):
    """The run of addresses, tagged by a CRF."""
    return _trained(
        base, "tagging", "addresses.conll", lambda path: path.write_text(columns(addresses(60)))
    )


@functools.cache
def translator(base):
    """The run of spellings."""
    return _trained(
        base, "translation", "spellings.tsv", lambda path: path.write_text(pairs(spellings(80)))
    )
