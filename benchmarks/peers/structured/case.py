"""A case, its data, and what every adapter makes of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseq.data import load

WORKS = {
    "crf": {
        "likelihood": "log-likelihood",
        "gradient": "log-likelihood and its gradient",
        "viterbi": "Viterbi",
    },
    "hmm": {
        "likelihood": "log-likelihood",
        "smoothing": "smoothing",
        "gradient": "log-likelihood and its gradient",
        "viterbi": "Viterbi",
    },
    "em": {"iteration": "EM iteration"},
    "ctc": {"loss": "loss", "gradient": "loss and its gradient"},
}
AXES = {"crf": "B, T, K", "hmm": "B, T, K", "em": "B, T, K", "ctc": "B, T, V, N"}
LETTERS = "ACGT"
ITERATIONS = 20  # of EM, in one run


class Case(NamedTuple):
    """What is computed.

    Attributes:
      model: ``"crf"``, ``"hmm"``, ``"em"`` or ``"ctc"``.
      work: one of ``WORKS[model]``.
      size: as ``AXES[model]`` says.
    """

    model: str
    work: str
    size: tuple[int, ...]

    @property
    def is_genome(self) -> bool:
        """Whether the observations are those of the genome of the phage lambda, from its start."""
        return self.model == "em" or (
            self.model == "hmm" and (self.size[0], self.size[2]) == (1, 2)
        )


class CRF(NamedTuple):
    """Scores and tags: ``emissions [B, T, K]``, ``lengths [B]`` in T/2..T, the first one T."""

    emissions: np.ndarray
    tags: np.ndarray
    transitions: np.ndarray
    initial: np.ndarray
    final: np.ndarray
    lengths: np.ndarray


class HMM(NamedTuple):
    """Logarithms of probabilities; ``log_obs [B, T, K]``."""

    log_initial: np.ndarray
    log_transition: np.ndarray
    log_obs: np.ndarray


class Symbols(NamedTuple):
    """Symbols ``[T]``, and the probabilities that EM begins with."""

    symbols: np.ndarray
    initial: np.ndarray
    transition: np.ndarray
    emission: np.ndarray


class CTC(NamedTuple):
    """``logits [B, T, V]``, ``labels [B, N]`` without blanks; lengths in T/2..T and N/2..N."""

    logits: np.ndarray
    labels: np.ndarray
    lengths: np.ndarray
    label_lengths: np.ndarray


class Program(NamedTuple):
    """A library at work on one case.

    Attributes:
      run: does the work, and returns when the results are there.
      read: makes float64 arrays of what ``run`` returns, which are the same ones in every library:
        first the values, then gradients, or probabilities.
      count: so often a run does the work.
      temporary: bytes that XLA reserves beside arguments and results, where it runs the program.
    """

    run: Callable[[], Any]
    read: Callable[[Any], list[np.ndarray]]
    count: int = 1
    temporary: int | None = None


def draw(case: Case, seed: int = 0) -> Any:
    """Draws the data of a case, which depend on its model and size alone."""
    random = np.random.default_rng(seed)
    maker = {"crf": draw_crf, "hmm": draw_hmm, "em": draw_symbols, "ctc": draw_ctc}[case.model]
    return maker(random, case)


def normal(random: np.random.Generator, *shape: int) -> np.ndarray:
    return random.standard_normal(shape, np.float32)


def ragged(random: np.random.Generator, batch: int, most: int) -> np.ndarray:
    lengths = random.integers(most // 2, most + 1, batch, dtype=np.int32)
    lengths[0] = most
    return lengths


def draw_crf(random: np.random.Generator, case: Case) -> CRF:
    batch, steps, size = case.size
    return CRF(
        normal(random, batch, steps, size),
        random.integers(0, size, (batch, steps), dtype=np.int32),
        0.3 * normal(random, size, size),
        0.3 * normal(random, size),
        0.3 * normal(random, size),
        ragged(random, batch, steps),
    )


def draw_hmm(random: np.random.Generator, case: Case) -> HMM:
    batch, steps, size = case.size
    if case.is_genome:
        found = draw_symbols(random, case)
        log_obs = np.log(found.emission).T[found.symbols][None]
        logs = (np.log(found.initial), np.log(found.transition), log_obs)
    else:
        log_transition = np.log(random.dirichlet(np.full(size, 2.0), size))
        logs = (np.full(size, -np.log(size)), log_transition, normal(random, batch, steps, size))
    return HMM(*(one.astype(np.float32) for one in logs))


def draw_symbols(random: np.random.Generator, case: Case) -> Symbols:
    genome = load("lambda_phage").train[: case.size[1]]
    return Symbols(
        np.array([LETTERS.index(letter) for letter in genome], np.int32),
        np.array([0.5, 0.5]),
        # Far from a maximum: each iteration gains more nats than rounding in float32 could hide.
        np.array([[0.9, 0.1], [0.1, 0.9]]),
        np.array([[0.2, 0.2, 0.4, 0.2], [0.3, 0.2, 0.1, 0.4]]),
    )


def draw_ctc(random: np.random.Generator, case: Case) -> CTC:
    batch, steps, symbols, most = case.size
    return CTC(
        normal(random, batch, steps, symbols),
        random.integers(1, symbols, (batch, most), dtype=np.int32),
        ragged(random, batch, steps),
        ragged(random, batch, most),
    )


def path_scores(data: CRF | HMM, paths: Any) -> np.ndarray:
    """Returns the score of each path, in float64: ties and rounding may make others as good."""
    if isinstance(data, CRF):
        scores, moves = data.emissions, data.transitions
        first, last, lengths = data.initial, data.final, data.lengths.tolist()
    else:
        scores, moves = data.log_obs, data.log_transition
        first, last = data.log_initial, np.zeros_like(data.log_initial)
        lengths = [scores.shape[1]] * scores.shape[0]
    found = []
    for row, length in enumerate(lengths):
        path = np.asarray(paths[row])[:length]
        parts = (scores[row, np.arange(length), path], moves[path[:-1], path[1:]])
        ends = float(first[path[0]]) + float(last[path[-1]])
        found.append(ends + sum(part.sum(dtype=np.float64) for part in parts))
    return np.array(found)


def float64(arrays: Any) -> list[np.ndarray]:
    """Returns arrays of any library as NumPy's."""
    return [np.asarray(array, np.float64) for array in arrays]


def read_history(history: Any) -> list[np.ndarray]:
    """Returns the log-likelihoods of all iterations, or raises where some were not run."""
    if len(history) != ITERATIONS:
        raise RuntimeError(f"EM ran {len(history)} iterations, not {ITERATIONS}")
    return float64([history])


def compiled(function: Callable, arguments: Any, read: Callable = float64) -> Program:
    """Returns the program of a function of JAX that returns a sequence of arrays."""
    arguments = jax.tree.map(jnp.asarray, tuple(arguments))
    program = jax.jit(function).lower(*arguments).compile()
    return Program(
        run=lambda: jax.block_until_ready(program(*arguments)),
        read=read,
        temporary=program.memory_analysis().temp_size_in_bytes,
    )
