"""A recogniser of six recordings, trained in seconds through the command line, once a session.

The recordings are those of ``tests/recipes/spoken``: two digits each, said by espeak-ng, of one
length, so that there is one shape to compile.
"""

import functools
import shutil
from pathlib import Path

import tiny
from tiny_tasks import Run

SPOKEN = Path(__file__).parent.parent / "recipes" / "spoken"
SETTINGS = [
    *("--labels", "words", "--sample-rate", "8000", "--num-mels", "12", "--stack", "3"),
    *("--cell", "gru", "--hidden-size", "8", "--num-layers", "1", "--dropout", "0.1"),
    *("--noise", "20", "--beam", "2", "--batch-size", "4", "--epochs", "2", "--hold-out", "3"),
    *("--learning-rate", "0.01"),
]


def recordings(folder):
    """A copy of the recordings and their TSV, which is named."""
    shutil.copytree(SPOKEN, folder, dirs_exist_ok=True)
    return folder / "said.tsv"


def train(data, out, *options):
    """The words of a command line that trains a tiny model."""
    words = ["train", "speech", "--data", str(data), "--out", str(out)]
    return [*words, *SETTINGS, *map(str, options)]


@functools.cache
def recogniser(base):
    """The run that all tests of a session look at; who changes it takes a copy."""

    def words_of(folder):
        return train(recordings(folder), folder / "run")

    folder, printed = tiny.once(base, "tiny speech", words_of)
    return Run(folder / "run", folder / "said.tsv", printed)
