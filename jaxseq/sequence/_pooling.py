"""A sequence as one vector: the last step, the mean, the largest, a weighted mean."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._arrays import accumulator
from jaxseq._checks import check_shape, error, shape_text
from jaxseq._types import Array, ArrayLike, Lengths
from jaxseq.sequence._arguments import check_lengths
from jaxseq.sequence._attention import masked_softmax

Steps = Float[ArrayLike, "*batch T O"]


def last_pool(ys: Steps, *, lengths: Lengths | None = None) -> Float[Array, "*batch O"]:
    r"""Returns each row's last valid step, :math:`y_{\ell}`; zeros of a row of length 0.

    Of two directions side by side, the backward one has read a single step there. What has read
    the whole sequence in both is the carry of :func:`jaxseq.bidirectional`.

    Args:
      ys: ``[*batch, T, O]``; what is in the pads never matters.
      lengths: how many steps of each row are valid; under jit one outside 0..T counts as the
        nearer end.

    Returns:
      ``[*batch, O]``.

    Raises:
      ValueError: if a shape is wrong, or a length is outside 0..T.
      TypeError: if ``ys`` are not floating, or ``lengths`` no integers.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.sequence import last_pool
      >>> ys = jnp.array([[[1.0], [2.0], [3.0]], [[4.0], [5.0], [jnp.nan]]])
      >>> last_pool(ys, lengths=jnp.array([3, 2]))[:, 0].tolist()
      [3.0, 5.0]
    """
    ys, _, lengths = _arguments("last_pool", ys, lengths)
    if not ys.shape[-2]:
        return ys.sum(-2)
    at = jnp.maximum(lengths - 1, 0)[..., None, None]
    return jnp.take_along_axis(ys, at, axis=-2)[..., 0, :]


def mean_pool(ys: Steps, *, lengths: Lengths | None = None) -> Float[Array, "*batch O"]:
    r"""Returns the mean over each row's valid steps; zeros of a row of length 0.

    .. math:: \frac{1}{\ell} \sum_{t \leq \ell} y_t

    Args:
      ys: as in :func:`last_pool`.
      lengths: as in :func:`last_pool`.

    Returns:
      ``[*batch, O]``; sums are in float32 or better.

    Raises:
      ValueError: as in :func:`last_pool`.
      TypeError: as in :func:`last_pool`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.sequence import mean_pool
      >>> ys = jnp.array([[[1.0], [2.0], [3.0]], [[4.0], [5.0], [jnp.nan]]])
      >>> mean_pool(ys, lengths=jnp.array([3, 2]))[:, 0].tolist()
      [2.0, 4.5]
    """
    ys, _, lengths = _arguments("mean_pool", ys, lengths)
    total = ys.astype(accumulator(ys.dtype)).sum(-2)
    return (total / jnp.maximum(lengths, 1).astype(total.dtype)[..., None]).astype(ys.dtype)


def max_pool(ys: Steps, *, lengths: Lengths | None = None) -> Float[Array, "*batch O"]:
    r"""Returns each feature's largest value over the valid steps; zeros of a row of length 0.

    .. math:: \max_{t \leq \ell} y_t

    Args:
      ys: as in :func:`last_pool`.
      lengths: as in :func:`last_pool`.

    Returns:
      ``[*batch, O]``.

    Raises:
      ValueError: as in :func:`last_pool`.
      TypeError: as in :func:`last_pool`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.sequence import max_pool
      >>> ys = jnp.array([[[1.0], [3.0], [2.0]], [[-4.0], [-5.0], [jnp.nan]]])
      >>> max_pool(ys, lengths=jnp.array([3, 2]))[:, 0].tolist()
      [3.0, -4.0]
    """
    ys, valid, lengths = _arguments("max_pool", ys, lengths)
    largest = jnp.where(valid[..., None], ys, -jnp.inf).max(-2, initial=-jnp.inf)
    return jnp.where((lengths > 0)[..., None], largest, 0)


def attention_pool(
    ys: Steps, scores: Float[ArrayLike, "*batch T"], *, lengths: Lengths | None = None
) -> Float[Array, "*batch O"]:
    r"""Returns the mean over the valid steps with the softmax of scores as weights.

    .. math:: \sum_{t \leq \ell} \frac{e^{s_t}}{\sum_{u \leq \ell} e^{s_u}} \, y_t

    Args:
      ys: as in :func:`last_pool`.
      scores: of each step, ``[*batch, T]``; what is in the pads never matters.
      lengths: as in :func:`last_pool`.

    Returns:
      ``[*batch, O]``; zeros of a row of length 0. The softmax is in float32 or better.

    Raises:
      ValueError: as in :func:`last_pool`, or if ``scores`` are not one a step.
      TypeError: as in :func:`last_pool`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.sequence import attention_pool
      >>> ys = jnp.array([[[1.0], [3.0], [jnp.nan]]])
      >>> scores = jnp.array([[0.0, 0.0, jnp.nan]])
      >>> attention_pool(ys, scores, lengths=jnp.array([2])).tolist()
      [[2.0]]

    References:
      Yang et al., "Hierarchical Attention Networks for Document Classification", 2016; Lin et al.,
      "A Structured Self-Attentive Sentence Embedding", 2017.
    """
    ys, valid, _ = _arguments("attention_pool", ys, lengths)
    scores = jnp.asarray(scores)
    check_shape("attention_pool", "scores", scores, "(*batch, T)", ys.shape[:-1])
    if not ys.shape[-2]:
        return ys.sum(-2)
    wide = accumulator(ys.dtype)
    weights = masked_softmax(scores.astype(wide), valid)
    return (weights[..., None] * ys.astype(wide)).sum(-2).astype(ys.dtype)


def _arguments(where: str, ys: Any, lengths: Any) -> tuple[Array, Array, Array]:
    """Returns the steps with zeros in the pads, which of them are valid, and the lengths."""
    ys = jnp.asarray(ys)
    if not jnp.issubdtype(ys.dtype, jnp.floating):
        problem = f"`ys` must be floating, but they have dtype {ys.dtype}"
        raise error(where, problem, kind=TypeError)
    if ys.ndim < 2:
        raise error(
            where, f"`ys` must have shape (*batch, T, O), but it has shape {shape_text(ys.shape)}"
        )
    batch, steps = ys.shape[:-2], ys.shape[-2]
    if lengths is None:
        return ys, jnp.ones(ys.shape[:-1], bool), jnp.full(batch, steps, jnp.int32)
    lengths = check_lengths(where, lengths, batch, steps)
    step = jax.lax.broadcasted_iota(jnp.int32, ys.shape[:-1], len(batch))
    valid = step < lengths[..., None]
    return jnp.where(valid[..., None], ys, 0), valid, lengths
