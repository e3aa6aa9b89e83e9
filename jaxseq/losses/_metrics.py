"""What is reported beside a loss."""

import math

import jax.numpy as jnp
from jaxtyping import Bool, Float, Int, Integer

from jaxseq._arrays import accumulator
from jaxseq._types import Array, ArrayLike
from jaxseq.losses._mask import harmless
from jaxseq.losses._sum_count import SumCount, mean


def accuracy(
    logits: Float[ArrayLike, "*batch T V"],
    targets: Integer[ArrayLike, "*batch T"],
    *,
    lengths: Int[ArrayLike, "*batch"] | None = None,
    mask: Bool[ArrayLike, "*batch T"] | None = None,
) -> SumCount:
    """Returns at how many valid steps the largest logit is the target's, and how many there are.

    Of equal logits the first counts as the largest. Pads never matter.

    Args:
      logits: scores, the larger the likelier.
      targets: the symbols, each in 0..V-1; under jit one out of range counts as an error made.
      lengths: how many steps of each row are valid; under jit one outside 0..T counts as the
        nearer end.
      mask: which steps are valid, in place of ``lengths``.

    Returns:
      The number of hits and the number of valid steps; their :func:`mean` is the accuracy.

    Raises:
      ValueError: if the shapes do not agree, if both ``lengths`` and ``mask`` are given, or if a
        length or the target of a valid step is out of range.
      TypeError: if a dtype is wrong.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import accuracy, mean
      >>> logits = jnp.array([[[0.0, 1.0], [2.0, 1.0], [0.0, 3.0]]])
      >>> float(mean(accuracy(logits, jnp.array([[1, 1, 0]]), lengths=jnp.array([2]))))
      0.5
    """
    logits, targets, valid = harmless("accuracy", logits, targets, lengths=lengths, mask=mask)
    dtype = accumulator(logits.dtype)
    hits = valid & (jnp.argmax(logits, -1).astype(targets.dtype) == targets)
    return SumCount(hits.sum(dtype=dtype), valid.sum(dtype=dtype))


def perplexity(sum_count: SumCount) -> Float[Array, ""]:
    r"""Returns the perplexity, :math:`e^{\text{mean}}`: 1 is certainty, V is chance; 1 of nothing.

    Args:
      sum_count: a cross-entropy in nats, from :func:`cross_entropy`.

    Returns:
      The perplexity, a scalar.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import cross_entropy, perplexity
      >>> loss = cross_entropy(jnp.zeros((1, 3, 4)), jnp.array([[0, 1, 2]]))
      >>> round(float(perplexity(loss)), 4)
      4.0
    """
    return jnp.exp(mean(sum_count))


def bits_per_symbol(sum_count: SumCount) -> Float[Array, ""]:
    r"""Returns the mean in bits: :math:`\text{mean} / \ln 2`.

    With one symbol a character these are bits per character.

    Args:
      sum_count: a cross-entropy in nats, from :func:`cross_entropy`.

    Returns:
      Bits per symbol, a scalar.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import bits_per_symbol, cross_entropy
      >>> loss = cross_entropy(jnp.zeros((1, 3, 4)), jnp.array([[0, 1, 2]]))
      >>> round(float(bits_per_symbol(loss)), 4)
      2.0
    """
    return mean(sum_count) / math.log(2.0)
