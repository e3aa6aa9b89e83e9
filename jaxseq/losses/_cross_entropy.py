"""The cross-entropy of a sequence of symbols."""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int, Integer

from jaxseq._arrays import accumulator
from jaxseq._checks import error
from jaxseq._types import ArrayLike
from jaxseq.losses._mask import harmless
from jaxseq.losses._sum_count import SumCount


def cross_entropy(
    logits: Float[ArrayLike, "*batch T V"],
    targets: Integer[ArrayLike, "*batch T"],
    *,
    lengths: Int[ArrayLike, "*batch"] | None = None,
    mask: Bool[ArrayLike, "*batch T"] | None = None,
    label_smoothing: float = 0.0,
) -> SumCount:
    r"""Returns the cross-entropy of the targets, summed over the valid steps, in nats.

    .. math:: \sum_{t \text{ valid}} \Big( \log \sum_v e^{l_{tv}} - l_{t y_t} \Big)

    With label smoothing :math:`\varepsilon` the term of a step is :math:`1 - \varepsilon` of that,
    and :math:`\varepsilon` of its mean over all V symbols, the target among them. It is for
    training: perplexity and bits are those of the loss without it.

    What stands in a step that is not valid never matters, NaN and targets such as -1 included,
    neither for the value nor for the gradient. Logits of half precision are summed in float32.

    Args:
      logits: unnormalised log-probabilities.
      targets: the symbols, each in 0..V-1.
      lengths: how many steps of each row are valid; under jit one outside 0..T counts as the
        nearer end.
      mask: which steps are valid, in place of ``lengths``.
      label_smoothing: the share of each target that is spread over all symbols; in [0, 1). A symbol
        forbidden by a logit of minus infinity then costs infinitely much.

    Returns:
      The sum over all valid steps of all rows, and their number. :func:`mean` divides.

    Raises:
      ValueError: if the shapes do not agree, if both ``lengths`` and ``mask`` are given, if
        ``label_smoothing`` is outside [0, 1), or if a length or the target of a valid step is out
        of range. Under jit, where values cannot be seen, a target out of range makes the sum and
        its gradient NaN rather than plausible.
      TypeError: if a dtype is wrong.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import cross_entropy, mean
      >>> logits = jnp.zeros((2, 3, 4))
      >>> targets = jnp.array([[0, 1, 2], [3, -1, -1]])
      >>> loss = cross_entropy(logits, targets, lengths=jnp.array([3, 1]))
      >>> int(loss.count), round(float(mean(loss)), 4)  # log 4
      (4, 1.3863)

    References:
      Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016, section 7.
    """
    if not 0 <= label_smoothing < 1:
        raise error(
            "cross_entropy",
            f"`label_smoothing` must be at least 0 and less than 1, but it is {label_smoothing}",
        )
    logits, targets, valid = harmless("cross_entropy", logits, targets, lengths=lengths, mask=mask)
    logits = logits.astype(accumulator(logits.dtype))
    # Shifted by its largest, a row loses nothing to cancellation however large its logits are.
    logits = logits - jax.lax.stop_gradient(logits.max(-1, keepdims=True))
    chosen = jnp.take_along_axis(logits, targets[..., None], axis=-1, mode="clip")[..., 0]
    if label_smoothing:
        chosen = (1 - label_smoothing) * chosen + label_smoothing * logits.mean(-1)
    nats = jnp.log(jnp.exp(logits).sum(-1)) - chosen
    inside = (targets >= 0) & (targets < logits.shape[-1])
    nats = nats * jnp.where(inside, 1.0, jnp.nan).astype(nats.dtype)
    return SumCount(jnp.where(valid, nats, 0).sum(), valid.sum(dtype=nats.dtype))
