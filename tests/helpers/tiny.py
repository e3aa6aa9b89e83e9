"""A language model trained in seconds through the command line, and what the tests need to use it.

It is trained once a session, for all test files and all processes together.
"""

import contextlib
import fcntl
import functools
import io
import json
import os
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


def once(base, name, words_of):
    """Runs a command line in a folder of all processes, by the first that needs it.

    Args:
      base: the folder of this process for temporary files.
      name: of the folder.
      words_of: gives the words of the command line, and what they need, in a folder.

    Returns:
      The folder, and what was printed.
    """
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    folder.mkdir(exist_ok=True)
    printed = folder / "printed"
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process waits here, and finds it done
        if not printed.exists():
            with contextlib.redirect_stdout(io.StringIO()) as said:
                assert main(words_of(folder)) == 0
            printed.write_text(said.getvalue())
    return folder, printed.read_text()


@functools.cache
def trained(base):
    """The run that all tests of a session look at; who changes it takes a copy."""

    def words_of(folder):
        (folder / "prose.txt").write_text(prose(420))
        return train(folder / "prose.txt", folder / "run")

    folder, printed = once(base, "tiny", words_of)
    return Run(folder / "run", folder / "prose.txt", printed)


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
