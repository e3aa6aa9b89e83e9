"""Frames of features, as speech has them: several as one, and each row brought to one scale."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from jaxseq._arrays import accumulator
from jaxseq._checks import error, shape_text
from jaxseq._types import Array, ArrayLike, Lengths
from jaxseq.sequence._arguments import check_lengths, check_positive


class Frames(NamedTuple):
    """Frames of features, ragged.

    Attributes:
      features: ``[*batch, T, I]``; 0 in the pads.
      lengths: how many frames of each row are valid, ``[*batch]`` int32.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.sequence import stack_frames
      >>> features, lengths = stack_frames(jnp.ones((5, 2)), size=2)
      >>> features.shape, int(lengths)
      ((3, 4), 3)
    """

    features: Float[Array, "*batch T I"]
    lengths: Int[Array, "*batch"]


def stack_frames(
    features: Float[ArrayLike, "*batch T I"], *, size: int, lengths: Lengths | None = None
) -> Frames:
    r"""Returns each run of ``size`` frames as one, their features side by side.

    A sequence gets that much shorter, which is what recurrent layers take time for, and CTC still
    has frames enough for its labels. The last run of a row may be short: zeros fill it up.

    Args:
      features: ``[*batch, T, I]``; what is in the pads never matters.
      size: how many frames become one.
      lengths: how many frames of each row are valid; under jit one outside 0..T counts as the
        nearer end.

    Returns:
      Features ``[*batch, ceil(T / size), size * I]``, and ``ceil(lengths / size)``.

    Raises:
      ValueError: if a shape is wrong, ``size`` is below 1, or a length is outside 0..T.
      TypeError: if ``features`` are not floating, or ``lengths`` no integers.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.sequence import stack_frames
      >>> features = jnp.array([[1.0], [2.0], [3.0]])
      >>> stack_frames(features, size=2).features.tolist()
      [[1.0, 2.0], [3.0, 0.0]]

    References:
      Sak, Senior, Rao and Beaufays, "Fast and Accurate Recurrent Neural Network Acoustic Models for
      Speech Recognition", 2015.
    """
    check_positive("stack_frames", "size", size)
    xs, _, lengths = arguments("stack_frames", features, lengths)
    *batch, steps, width = xs.shape
    runs = math.ceil(steps / size)
    missing = runs * size - steps
    xs = jnp.pad(xs, [(0, 0)] * len(batch) + [(0, missing), (0, 0)])
    return Frames(xs.reshape(*batch, runs, size * width), -(-lengths // size))


def standardize(
    features: Float[ArrayLike, "*batch T I"],
    *,
    lengths: Lengths | None = None,
    epsilon: float = 1e-5,
) -> Float[Array, "*batch T I"]:
    r"""Returns features with mean 0 and variance 1 over the valid frames of each row.

    .. math:: \frac{x_{t,i} - \mu_i}{\sqrt{\sigma_i^2 + \epsilon}}

    Of log-mel features the mean is what the microphone and the loudness add to every frame, and the
    long-term spectrum of the voice; without it unseen voices sound more alike.

    Args:
      features: ``[*batch, T, I]``; what is in the pads never matters.
      lengths: how many frames of each row are valid; under jit one outside 0..T counts as the
        nearer end.
      epsilon: what is added to the variance, so that a feature that never changes is 0.

    Returns:
      ``[*batch, T, I]``; 0 in the pads. Sums are in float32 or better.

    Raises:
      ValueError: if a shape is wrong, or a length is outside 0..T.
      TypeError: if ``features`` are not floating, or ``lengths`` no integers.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.sequence import standardize
      >>> features = jnp.array([[1.0], [3.0], [jnp.nan]])
      >>> [round(x, 3) for x in standardize(features, lengths=jnp.array(2))[:, 0].tolist()]
      [-1.0, 1.0, 0.0]

    References:
      Viikki and Laurila, "Cepstral Domain Segmental Feature Vector Normalization for Noise Robust
      Speech Recognition", 1998.
    """
    xs, valid, lengths = arguments("standardize", features, lengths)
    wide = xs.astype(accumulator(xs.dtype))
    count = jnp.maximum(lengths, 1).astype(wide.dtype)[..., None]
    mean = wide.sum(-2) / count
    centred = jnp.where(valid[..., None], wide - mean[..., None, :], 0)
    variance = (centred**2).sum(-2) / count
    scale = jax.lax.rsqrt(variance + jnp.asarray(epsilon, wide.dtype))
    return (centred * scale[..., None, :]).astype(xs.dtype)


def arguments(where: str, features: Any, lengths: Any) -> tuple[Array, Array, Array]:
    """Returns the features with zeros in the pads, which frames are valid, and the lengths."""
    xs = jnp.asarray(features)
    if not jnp.issubdtype(xs.dtype, jnp.floating):
        problem = f"`features` must be floating, but they have dtype {xs.dtype}"
        raise error(where, problem, kind=TypeError)
    if xs.ndim < 2:
        raise error(
            where,
            "`features` must have shape (*batch, T, I), "
            f"but they have shape {shape_text(xs.shape)}",
        )
    batch, steps = xs.shape[:-2], xs.shape[-2]
    if lengths is None:
        return xs, jnp.ones(xs.shape[:-1], bool), jnp.full(batch, steps, jnp.int32)
    lengths = check_lengths(where, lengths, batch, steps)
    valid = jax.lax.broadcasted_iota(jnp.int32, xs.shape[:-1], len(batch)) < lengths[..., None]
    return jnp.where(valid[..., None], xs, 0), valid, lengths
