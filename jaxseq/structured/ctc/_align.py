"""Forced alignment: when each of the given labels is heard."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, Integer

from jaxseq._types import Array, ArrayLike, Lengths
from jaxseq.structured.ctc._arguments import check_frames, check_labels
from jaxseq.structured.ctc._lattice import Lattice, build, predecessors


class Alignment(NamedTuple):
    """The likeliest alignment of each row.

    Attributes:
      frames: which label each frame belongs to, ``[*batch, T]`` int32: its position in 0..N-1, or
        -1 for the blank, and in the pads.
      starts: the first frame of each label, ``[*batch, N]`` int32; 0 in the pads.
      ends: the frame after its last one, ``[*batch, N]`` int32; 0 in the pads.
      score: the log-probability of the alignment, ``[*batch]``, in nats.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq.structured import ctc
      >>> log_probs = jax.nn.log_softmax(9.0 * jax.nn.one_hot(jnp.array([2, 2, 0, 1]), 3))
      >>> found = ctc.align(log_probs, jnp.array([2, 1]))
      >>> milliseconds = 20 * found.starts  # of frames of 20 ms
      >>> found.frames.tolist(), milliseconds.tolist()
      ([0, 0, -1, 1], [0, 60])
    """

    frames: Int[Array, "*batch T"]
    starts: Int[Array, "*batch N"]
    ends: Int[Array, "*batch N"]
    score: Float[Array, "*batch"]


def align(
    log_probs: Float[ArrayLike, "*batch T V"],
    labels: Integer[ArrayLike, "*batch N"],
    *,
    lengths: Lengths | None = None,
    label_lengths: Lengths | None = None,
    blank: int = 0,
) -> Alignment:
    r"""Returns the likeliest alignment of the labels with the frames.

    .. math:: \arg\max_{\pi \,:\, \mathcal{B}(\pi) = y} \; \sum_t \log p_t(\pi_t)

    The frames of label n are ``starts[n]`` to ``ends[n] - 1``; those between two labels are blank.
    ``score`` is differentiable: its gradient marks the alignment. Of equally likely alignments one
    is taken, always the same.

    Args:
      log_probs: the log-probabilities of the symbols at each frame.
      labels: the symbols that are heard, in their order, without blanks.
      lengths: how many frames of each row are valid; under jit one outside 0..T counts as the
        nearer end. What stands in the pads never matters.
      label_lengths: how many labels of each row are valid; under jit one outside 0..N counts as
        the nearer end.
      blank: the symbol that stands for none, in 0..V-1.

    Returns:
      The alignment. A row without one, being too short or of probability 0, has score -inf,
      gradient 0, frames -1, starts and ends 0.

    Raises:
      ValueError: if the shapes do not agree, a length or ``blank`` is out of range, or a valid
        label is the blank or outside 0..V-1. Under jit, where values cannot be seen, a row with
        such a label has score NaN, frames -1, starts and ends 0.
      TypeError: if a dtype is wrong.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.structured import ctc
      >>> probs = jnp.array([[0.1, 0.8, 0.1], [0.5, 0.4, 0.1], [0.3, 0.1, 0.6], [0.2, 0.1, 0.7]])
      >>> found = ctc.align(jnp.log(probs), jnp.array([1, 2]))
      >>> found.frames.tolist(), found.starts.tolist(), found.ends.tolist()
      ([0, -1, 1, 1], [0, 2], [1, 4])
      >>> round(float(jnp.exp(found.score)), 3)
      0.168

    References:
      Graves, Fernández, Gomez and Schmidhuber, "Connectionist Temporal Classification: Labelling
      Unsegmented Sequence Data with Recurrent Neural Networks", ICML 2006.

      Kürzinger, Winkelbauer, Li, Watzel and Rigoll, "CTC-Segmentation of Large Corpora for German
      End-to-end Speech Recognition", SPECOM 2020.
    """
    frames = check_frames("ctc.align", log_probs, lengths, blank)
    wanted = check_labels("ctc.align", frames, labels, label_lengths)
    found = _align(frames.log_probs, frames.lengths, *wanted, blank=frames.blank)
    return Alignment(*(frames.rows(array) for array in found))


@functools.partial(jax.jit, static_argnames="blank")
def _align(
    log_probs: Array,
    lengths: Array,
    labels: Array,
    label_lengths: Array,
    proper: Array,
    *,
    blank: int,
) -> Alignment:
    lattice = build(log_probs, None, lengths, labels, label_lengths, blank)
    path, found = best_path(jax.lax.stop_gradient(lattice))
    met = jnp.take_along_axis(lattice.emission, path[:, None], axis=1)[:, 0]
    score = jnp.where(lattice.valid & found[None], met, 0).sum(0)
    score = jnp.where(found, score, -jnp.inf)
    score = score * jnp.where(proper, 1, jnp.nan).astype(score.dtype)
    kept = lattice.valid & (found & proper)[None]
    frames = jnp.where(kept & (path % 2 == 1), path // 2, -1)
    # A path never goes back, so a label starts after as many frames as lie before its state.
    state = 2 * jnp.arange(labels.shape[1], dtype=jnp.int32)[:, None] + 1
    some = (state < 2 * label_lengths[None]).T & (found & proper)[:, None]
    before = (kept[:, None] & (path[:, None] < state[None])).sum(0, dtype=jnp.int32).T
    upto = (kept[:, None] & (path[:, None] <= state[None])).sum(0, dtype=jnp.int32).T
    return Alignment(frames.T, jnp.where(some, before, 0), jnp.where(some, upto, 0), score)


def best_path(lattice: Lattice) -> tuple[Array, Array]:
    """Returns the states of the best path, ``[T, B]`` int32, and whether there is one, ``[B]``.

    Nothing is kept of the way forward but the scores: which of its three predecessors the best
    path comes from is looked up again on the way back.
    """

    def forward(score: Array, x: tuple[Array, Array]) -> tuple[Array, Array]:
        emission, valid = x
        stay, step, leap = predecessors(score.reshape(-1), lattice.skip)
        after = jnp.maximum(jnp.maximum(stay, step), leap).reshape(score.shape) + emission
        return jnp.where(valid[None], after, score), score

    def back(state: Array, x: tuple[Array, Array]) -> tuple[Array, Array]:
        before, valid = x
        padded = jnp.pad(before, ((2, 0), (0, 0)), constant_values=-jnp.inf)
        ways = state[None] + jnp.array([2, 1, 0], jnp.int32)[:, None]
        ways = jnp.take_along_axis(padded, ways, axis=0)
        may_skip = jnp.take_along_axis(lattice.skip, state[None], axis=0)
        ways = ways.at[2:].set(jnp.where(may_skip, ways[2:], -jnp.inf))
        moved = jnp.argmax(ways, axis=0).astype(jnp.int32)
        return jnp.where(valid, state - moved, state), state

    first = lattice.at(jnp.zeros_like(lattice.last))
    last, scores = jax.lax.scan(forward, first, (lattice.emission, lattice.valid))
    last = jnp.where(lattice.ends, last, -jnp.inf)
    end = jnp.argmax(last, axis=0).astype(jnp.int32)
    path = jax.lax.scan(back, end, (scores, lattice.valid), reverse=True)[1]
    return path, jnp.max(last, axis=0) != -jnp.inf
