"""Connectionist temporal classification: the likelihood of labels without their times."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Integer

from jaxseq._checks import error
from jaxseq._types import Array, ArrayLike, Lengths
from jaxseq.structured.ctc._arguments import check_frames, check_labels
from jaxseq.structured.ctc._lattice import repeats
from jaxseq.structured.ctc._partition import log_partition


class Loss(NamedTuple):
    """The loss of each row.

    Attributes:
      nats: minus the log-probability of the labels, ``[*batch]``, never negative.
      infeasible: whether the row is too short for its labels, ``[*batch]``: they have no
        alignment.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.structured import ctc
      >>> log_probs = jnp.log(jnp.full((2, 4, 3), 1 / 3))
      >>> loss = ctc.loss(
      ...     log_probs, jnp.array([[1, 2], [1, 1]]), lengths=jnp.array([4, 2]), infeasible="zero"
      ... )
      >>> kept = ~loss.infeasible  # [1, 1] needs a blank between, so three frames
      >>> kept.tolist(), round(float(loss.nats.sum()) / int(kept.sum()), 4)
      ([True, False], 1.6864)
    """

    nats: Float[Array, "*batch"]
    infeasible: Bool[Array, "*batch"]


def loss(
    log_probs: Float[ArrayLike, "*batch T V"],
    labels: Integer[ArrayLike, "*batch N"],
    *,
    lengths: Lengths | None = None,
    label_lengths: Lengths | None = None,
    blank: int = 0,
    infeasible: str = "inf",
    normalised: bool = True,
) -> Loss:
    r"""Returns minus the log-probability of the labels, summed over all their alignments, in nats.

    .. math:: -\log \sum_{\pi \,:\, \mathcal{B}(\pi) = y} \; \prod_t p_t(\pi_t)

    An alignment :math:`\pi` names a symbol for every frame; :math:`\mathcal{B}` takes out what
    repeats the frame before, and then the blanks. The gradient with respect to ``log_probs`` is
    minus the posterior probability that a frame is aligned with the symbol. Derivatives of any
    order work. Half precision is summed in float32.

    What stands in the pads never matters, NaN included, neither for values nor for gradients. A row
    of length 0 with no labels has loss 0. Where rounding would make a small loss negative it is 0,
    and its gradient stays. Give the output of :func:`jax.nn.log_softmax`; or the logits, as not yet
    normalised, which is the same in less time and in a half of the memory.

    Args:
      log_probs: the log-probabilities of the symbols at each frame.
      labels: the symbols to be found, in their order, without blanks.
      lengths: how many frames of each row are valid; under jit one outside 0..T counts as the
        nearer end.
      label_lengths: how many labels of each row are valid; under jit one outside 0..N counts as
        the nearer end.
      blank: the symbol that stands for none, in 0..V-1.
      infeasible: what the loss of a row is that has too few frames: ``"inf"``, or ``"zero"``, which
        leaves it out of a sum. Its gradient is 0 either way.
      normalised: whether ``log_probs`` are log-probabilities; if not, they are logits, and the
        gradient is by these.

    Returns:
      The loss of each row, and which rows are infeasible: those with fewer frames than labels and
      pairs of equal neighbours among them. A row that only its probabilities rule out, all
      alignments having probability 0, is not infeasible: it has loss inf, and gradient 0.

    Raises:
      ValueError: if the shapes do not agree, a length is out of range, a valid label is the blank
        or outside 0..V-1, or ``infeasible`` or ``blank`` is none of those above. Under jit, where
        values cannot be seen, a row with such a label has a loss and gradient of NaN.
      TypeError: if a dtype is wrong.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq.structured import ctc
      >>> probs = jnp.array([[0.6, 0.4], [0.7, 0.3]])  # of the blank, and of symbol 1
      >>> nats = ctc.loss(jnp.log(probs), jnp.array([1])).nats
      >>> round(float(jnp.exp(-nats)), 3)  # 1 1, or blank 1, or 1 blank: .12 + .18 + .28
      0.58

    References:
      Graves, Fernández, Gomez and Schmidhuber, "Connectionist Temporal Classification: Labelling
      Unsegmented Sequence Data with Recurrent Neural Networks", ICML 2006.
    """
    where = "ctc.loss"
    if infeasible not in ("inf", "zero"):
        raise error(where, f'`infeasible` must be "inf" or "zero", but it is "{infeasible}"')
    frames = check_frames(where, log_probs, lengths, blank)
    wanted = check_labels(where, frames, labels, label_lengths)
    nats, missing = _loss(
        frames.log_probs,
        frames.lengths,
        *wanted,
        blank=frames.blank,
        zero=infeasible == "zero",
        normalised=normalised,
    )
    return Loss(frames.rows(nats), frames.rows(missing))


@functools.partial(jax.jit, static_argnames=("blank", "zero", "normalised"))
def _loss(
    log_probs: Array,
    lengths: Array,
    labels: Array,
    label_lengths: Array,
    proper: Array,
    *,
    blank: int,
    zero: bool,
    normalised: bool,
) -> tuple[Array, Array]:
    log_z = log_partition(blank, normalised, log_probs, lengths, labels, label_lengths)
    missing = lengths < label_lengths + repeats(labels, label_lengths)
    possible = (log_z != -jnp.inf) & ~missing
    nats = -jnp.where(possible, log_z, 0)
    nats = nats + jax.lax.stop_gradient(jnp.maximum(nats, 0) - nats)
    nats = jnp.where(possible, nats, jnp.where(missing & zero, 0, jnp.inf))
    # A product and not a choice, so that the gradient is NaN too.
    return nats * jnp.where(proper, 1, jnp.nan).astype(nats.dtype), missing
