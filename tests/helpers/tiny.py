"""A language model trained in seconds through the command line, and what the tests need to use it.

It is trained once a session, for all test files together.
"""

import contextlib
import functools
import io
import json
import random
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxseq.__main__ import main

WORDS = "the white whale the sea and the old man Call me Ishmael some years ago never mind".split()
SETTINGS = [
    *("--hidden-size", "8", "--embed-size", "4", "--batch-size", "4", "--window", "8"),
    *("--steps", "20", "--evaluate-every", "10", "--learning-rate", "0.05"),
]


class Run(NamedTuple):
    """The directory of a run, its text file, and what the command line printed."""

    directory: Path
    text: Path
    printed: str


def prose(words, *, seed=0):
    """So many words, in lines; some are followed by punctuation."""
    rng = random.Random(seed)
    return "".join(
        rng.choice(WORDS) + rng.choice(["", "", ",", "."]) + rng.choice("    \n")
        for _ in range(words)
    )


def train(data, out, *options):
    """The words of a command line that trains the tiny model."""
    return ["train", "language-model", "--data", str(data), "--out", str(out), *SETTINGS, *options]


@functools.cache
def trained(base):
    """The run that all tests of a session look at; who changes it takes a copy."""
    folder = base / "tiny"
    folder.mkdir()
    text = folder / "prose.txt"
    text.write_text(prose(420))
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main(train(text, folder / "run")) == 0
    return Run(folder / "run", text, printed.getvalue())


def contents(folder):
    """Every file below a folder, with its bytes: equal before and after means untouched."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def edit(directory, **changes):
    """Changes settings in the config.json of a run."""
    path = directory / "config.json"
    page = json.loads(path.read_text())
    page["settings"] |= changes
    path.write_text(json.dumps(page))


def truncate(checkpoint):
    """Cuts the weights of a checkpoint in half: of so small ones, what Orbax reads is in one file.

    There are other, larger files that it does not read again.
    """
    (weights,) = (checkpoint / "params" / "d").iterdir()
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])


def assert_same_bits(one, other):
    """Asserts that two trees of arrays are equal to the bit, keys included."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for pair in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        a, b = (np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf) for leaf in pair)
        assert a.dtype == b.dtype and a.tobytes() == b.tobytes()


def _is_key(leaf):
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
