"""The likeliest symbol of each frame, collapsed: of a whole input, or of a stream in chunks."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from jaxseq._arrays import accumulator
from jaxseq._checks import check_shape, error
from jaxseq._types import Array, ArrayLike, Lengths
from jaxseq.structured._arguments import valid_steps
from jaxseq.structured.ctc._arguments import Frames, check_frames


class Greedy(NamedTuple):
    """What the likeliest symbols spell.

    Attributes:
      labels: packed to the left, ``[*batch, T]`` int32; 0 after the last one.
      label_lengths: how many there are, ``[*batch]`` int32.
      score: the log-probability of the best path, ``[*batch]``, in nats.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq.structured import ctc
      >>> path = jnp.array([1, 1, 0, 1, 2])
      >>> found = ctc.greedy(jax.nn.log_softmax(9.0 * jax.nn.one_hot(path, 3)))
      >>> found.labels[: found.label_lengths].tolist()
      [1, 1, 2]
    """

    labels: Int[Array, "*batch T"]
    label_lengths: Int[Array, "*batch"]
    score: Float[Array, "*batch"]


class Segments(NamedTuple):
    """Runs of frames whose likeliest symbol is the same label, packed to the left.

    Attributes:
      labels: ``[*batch, M]`` int32; here as below 0 after the last one.
      starts: the first frame of each, counted from the beginning of the stream, int32.
      ends: the frame after its last one, int32.
      log_probs: the mean log-probability of the label over its frames, in nats.
      label_lengths: how many there are, ``[*batch]`` int32.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq.structured import ctc
      >>> path = jnp.array([0, 2, 2, 1, 0])
      >>> carry, found = ctc.segment(jax.nn.log_softmax(9.0 * jax.nn.one_hot(path, 3)))
      >>> n = int(found.label_lengths)
      >>> list(zip(found.labels[:n].tolist(), found.starts[:n].tolist(), found.ends[:n].tolist()))
      [(2, 1, 3), (1, 3, 4)]
    """

    labels: Int[Array, "*batch M"]
    starts: Int[Array, "*batch M"]
    ends: Int[Array, "*batch M"]
    log_probs: Float[Array, "*batch M"]
    label_lengths: Int[Array, "*batch"]


class SegmentCarry(NamedTuple):
    """Where a stream stands: what it has heard of the segment that is not yet complete.

    Attributes:
      label: of the open segment, ``[*batch]`` int32; -1 where none is open.
      start: its first frame, ``[*batch]`` int32.
      total: the sum of its log-probabilities, ``[*batch]``, float32 or better.
      frame: how many frames of the stream have been heard, ``[*batch]`` int32.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq.structured import ctc
      >>> carry, found = ctc.segment(jax.nn.log_softmax(9.0 * jax.nn.one_hot(jnp.array([1, 1]), 3)))
      >>> int(found.label_lengths), int(carry.label), int(carry.start), int(carry.frame)
      (0, 1, 0, 2)
    """

    label: Int[Array, "*batch"]
    start: Int[Array, "*batch"]
    total: Float[Array, "*batch"]
    frame: Int[Array, "*batch"]


def greedy(
    log_probs: Float[ArrayLike, "*batch T V"],
    *,
    lengths: Lengths | None = None,
    blank: int = 0,
) -> Greedy:
    r"""Returns the labels that the likeliest symbol of every frame spells.

    .. math:: \mathcal{B}(\arg\max_v p_1(v), \dots, \arg\max_v p_T(v))

    where :math:`\mathcal{B}` takes out what repeats the frame before, and then the blanks. The best
    path need not belong to the likeliest labels, whose probability is spread over many paths:
    :func:`beam_search` adds them up. These are the labels that :func:`segment` and :func:`flush`
    give with times. Of equally likely symbols the first is taken.

    Args:
      log_probs: the log-probabilities of the symbols at each frame.
      lengths: how many frames of each row are valid; under jit one outside 0..T counts as the
        nearer end. What stands in the pads never matters.
      blank: the symbol that stands for none, in 0..V-1.

    Returns:
      The labels, their number, and the log-probability of the path. A row of length 0 has no
      labels and score 0.

    Raises:
      ValueError: if a shape is wrong, or a length or ``blank`` is out of range.
      TypeError: if a dtype is wrong.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.structured import ctc
      >>> probs = jnp.array([[0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1]])
      >>> found = ctc.greedy(jnp.log(probs))
      >>> found.labels.tolist(), int(found.label_lengths), round(float(jnp.exp(found.score)), 2)
      ([1, 0, 0], 1, 0.24)

    References:
      Graves, Fernández, Gomez and Schmidhuber, "Connectionist Temporal Classification: Labelling
      Unsegmented Sequence Data with Recurrent Neural Networks", ICML 2006 (best path decoding).
    """
    frames = check_frames("ctc.greedy", log_probs, lengths, blank)
    found = _greedy(frames.log_probs, frames.lengths, blank=frames.blank)
    return Greedy(*(frames.rows(array) for array in found))


@functools.partial(jax.jit, static_argnames="blank")
def _greedy(log_probs: Array, lengths: Array, *, blank: int) -> Greedy:
    label, log_prob = _best(log_probs, lengths, blank)
    before = jnp.pad(label, ((1, 0), (0, 0)), constant_values=-1)[:-1]
    (labels,), counts = _pack((label >= 0) & (label != before), (label,))
    return Greedy(labels, counts, log_prob.sum(0))


def segment(
    log_probs: Float[ArrayLike, "*batch T V"],
    *,
    carry: SegmentCarry | None = None,
    lengths: Lengths | None = None,
    blank: int = 0,
) -> tuple[SegmentCarry, Segments]:
    """Returns the segments that are complete at the end of a chunk of a stream.

    A segment is a run of frames whose likeliest symbol is the same label; it is complete when
    another symbol follows. A stream may be cut anywhere, and the carry handed on: the segments are
    the same ones, to the last bit. At the stream's end :func:`flush` gives the one still open.

    Args:
      log_probs: the log-probabilities of the symbols at each frame of the chunk.
      carry: what this function returned for the chunk before; None at the beginning of a stream.
      lengths: how many frames of each row are valid; under jit one outside 0..T counts as the
        nearer end. A row may advance by another number of frames than its neighbour, or by none.
      blank: the symbol that stands for none, in 0..V-1.

    Returns:
      The carry, and the segments that ended in this chunk, at most T of them.

    Raises:
      ValueError: if a shape is wrong, or a length or ``blank`` is out of range.
      TypeError: if a dtype is wrong, or ``carry`` is none of this function.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq.structured import ctc
      >>> path = jnp.array([1, 1, 0, 2, 2, 2])
      >>> log_probs = jax.nn.log_softmax(9.0 * jax.nn.one_hot(path, 3))
      >>> carry, found = ctc.segment(log_probs[:4])
      >>> found.labels[: found.label_lengths].tolist()
      [1]
      >>> carry, found = ctc.segment(log_probs[4:], carry=carry)
      >>> int(found.label_lengths), ctc.flush(carry).labels.tolist()
      (0, [2])
    """
    frames = check_frames("ctc.segment", log_probs, lengths, blank)
    dtype = accumulator(frames.log_probs.dtype)
    if carry is None:
        nothing = jnp.zeros(frames.lengths.shape, jnp.int32)
        carry = SegmentCarry(nothing - 1, nothing, nothing.astype(dtype), nothing)
    else:
        carry = _check_carry("ctc.segment", carry, frames, dtype)
    carry, found = _segment(frames.log_probs, frames.lengths, carry, blank=frames.blank)
    rows = frames.rows
    return SegmentCarry(*(rows(leaf) for leaf in carry)), Segments(*(rows(leaf) for leaf in found))


@functools.partial(jax.jit, static_argnames="blank")
def _segment(
    log_probs: Array, lengths: Array, carry: SegmentCarry, *, blank: int
) -> tuple[SegmentCarry, Segments]:
    label, log_prob = _best(log_probs, lengths, blank)
    valid = valid_steps(lengths, label.shape[0])
    carry, (ended, closed) = jax.lax.scan(_hear, carry, (label, log_prob, valid))
    (labels, starts, ends, means), counts = _pack(ended, closed)
    return carry, Segments(labels, starts, ends, means, counts)


def flush(carry: SegmentCarry) -> Segments:
    """Returns the segment that is open at the end of a stream, as :func:`segment` would.

    Args:
      carry: what :func:`segment` returned for the last chunk.

    Returns:
      At most one segment, M = 1.

    Raises:
      TypeError: if ``carry`` is none of :func:`segment`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq.structured import ctc
      >>> carry, _ = ctc.segment(jax.nn.log_softmax(9.0 * jax.nn.one_hot(jnp.array([0, 1, 1]), 3)))
      >>> last = ctc.flush(carry)
      >>> last.labels.tolist(), last.starts.tolist(), last.ends.tolist()
      ([1], [1], [3])
    """
    _check_kind("ctc.flush", carry)
    is_open = (carry.label >= 0)[..., None]
    label, start, end, mean = (jnp.where(is_open, x[..., None], 0) for x in _close(carry))
    return Segments(label, start, end, mean, is_open[..., 0].astype(jnp.int32))


def _best(log_probs: Array, lengths: Array, blank: int) -> tuple[Array, Array]:
    """Returns each frame's label, -1 for the blank and in the pads, and its log-probability.

    Both ``[T, B]``; the log-probability is 0 in the pads.
    """
    best = jnp.argmax(log_probs, axis=-1).astype(jnp.int32)
    # Looked up, and not a maximum: whose gradient a NaN in the pads would spoil.
    log_prob = jnp.take_along_axis(log_probs, best[..., None], axis=-1)[..., 0]
    log_prob = log_prob.astype(accumulator(log_prob.dtype))
    valid = valid_steps(lengths, best.shape[1])
    label = jnp.where(valid & (best != blank).T, best.T, -1)
    return label, jnp.where(valid, log_prob.T, 0)


def _hear(carry: SegmentCarry, x: tuple[Array, Array, Array]) -> tuple[SegmentCarry, tuple]:
    """Advances a stream by one frame; returns what it closed, and whether it did."""
    label, log_prob, valid = x
    goes_on = label == carry.label
    ended = valid & ~goes_on & (carry.label >= 0)
    after = SegmentCarry(
        label,
        jnp.where(goes_on, carry.start, carry.frame),
        jnp.where(goes_on, carry.total, 0) + log_prob,
        carry.frame + 1,
    )
    after = jax.tree.map(lambda new, old: jnp.where(valid, new, old), after, carry)
    return after, (ended, _close(carry))


def _close(carry: SegmentCarry) -> tuple[Array, Array, Array, Array]:
    """Returns label, start, end and mean log-probability of the open segment."""
    count = jnp.maximum(carry.frame - carry.start, 1).astype(carry.total.dtype)
    return carry.label, carry.start, carry.frame, carry.total / count


def _pack(keep: Array, arrays: tuple[Array, ...]) -> tuple[list[Array], Array]:
    """Returns what is kept of arrays ``[T, B]``, as ``[B, T]`` packed to the left, and how many."""
    keep = keep.T
    rows, steps = keep.shape
    to = jnp.where(keep, jnp.cumsum(keep, axis=1, dtype=jnp.int32) - 1, steps)
    row, step = jnp.arange(rows, dtype=jnp.int32)[:, None], jnp.arange(steps, dtype=jnp.int32)
    step = jnp.broadcast_to(step, (rows, steps))
    source = jnp.zeros((rows, steps), jnp.int32).at[row, to].set(step, mode="drop")
    counts = keep.sum(1, dtype=jnp.int32)
    filled = step < counts[:, None]
    packed = [jnp.where(filled, jnp.take_along_axis(a.T, source, axis=1), 0) for a in arrays]
    return packed, counts


def _check_kind(where: str, carry: SegmentCarry) -> None:
    """Raises unless the carry is one of this file."""
    if not isinstance(carry, SegmentCarry):
        raise error(
            where,
            f"`carry` must be a SegmentCarry, but it is a {type(carry).__name__}",
            hint="give what ctc.segment returned for the chunk before",
            kind=TypeError,
        )


def _check_carry(where: str, carry: SegmentCarry, frames: Frames, dtype: Any) -> SegmentCarry:
    """Returns a carry with one batch axis, or raises."""
    _check_kind(where, carry)
    for name, leaf in carry._asdict().items():
        check_shape(
            where,
            f"carry.{name}",
            leaf,
            "(*batch,)",
            frames.batch_shape,
            hint="it is that of a stream with other batch axes",
        )
    label, start, total, frame = (jnp.asarray(leaf).reshape(frames.lengths.shape) for leaf in carry)
    label, start, frame = (leaf.astype(jnp.int32) for leaf in (label, start, frame))
    return SegmentCarry(label, start, total.astype(dtype), frame)
