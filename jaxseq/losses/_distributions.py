"""The losses that forecasts are trained by: of a number, of quantiles, of a distribution."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from jaxseq._types import ArrayLike
from jaxseq.losses._numbers import checked, checked_levels, summed
from jaxseq.losses._sum_count import SumCount


def squared_error(
    forecasts: Float[ArrayLike, "*batch T"],
    targets: Float[ArrayLike, "*batch T"],
    *,
    lengths: Int[ArrayLike, "*batch"] | None = None,
    mask: Bool[ArrayLike, "*batch T"] | None = None,
) -> SumCount:
    r"""Returns the squared errors, summed over what counts: :math:`\sum_t (\hat x_t - x_t)^2`.

    The best forecast of this loss is the mean.

    Args:
      forecasts: the numbers forecast.
      targets: what came; in the pads anything, NaN included.
      lengths: how many steps of each row are valid.
      mask: which steps are valid, in place of ``lengths``.

    Returns:
      The sum and the number of terms.

    Raises:
      ValueError: if the shapes do not agree, or both ``lengths`` and ``mask`` are given.
      TypeError: if a dtype is wrong.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import mean, squared_error
      >>> float(mean(squared_error(jnp.array([1.0, 5.0]), jnp.array([3.0, 5.0]))))
      2.0
    """
    given = {"forecasts": forecasts}
    targets, valid, forecasts = checked("squared_error", targets, given, lengths=lengths, mask=mask)
    return summed((forecasts - targets) ** 2, valid)


def absolute_error(
    forecasts: Float[ArrayLike, "*batch T"],
    targets: Float[ArrayLike, "*batch T"],
    *,
    lengths: Int[ArrayLike, "*batch"] | None = None,
    mask: Bool[ArrayLike, "*batch T"] | None = None,
) -> SumCount:
    r"""Returns the absolute errors, summed over what counts: :math:`\sum_t |\hat x_t - x_t|`.

    The best forecast of this loss is the median.

    Args:
      forecasts: the numbers forecast.
      targets: what came; in the pads anything, NaN included.
      lengths: how many steps of each row are valid.
      mask: which steps are valid, in place of ``lengths``.

    Returns:
      The sum and the number of terms.

    Raises:
      ValueError: if the shapes do not agree, or both ``lengths`` and ``mask`` are given.
      TypeError: if a dtype is wrong.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import absolute_error, mean
      >>> float(mean(absolute_error(jnp.array([1.0, 5.0]), jnp.array([3.0, 5.0]))))
      1.0
    """
    given = {"forecasts": forecasts}
    found = checked("absolute_error", targets, given, lengths=lengths, mask=mask)
    targets, valid, forecasts = found
    return summed(jnp.abs(forecasts - targets), valid)


def quantile_loss(
    quantiles: Float[ArrayLike, "*batch T Q"],
    targets: Float[ArrayLike, "*batch T"],
    levels: Float[ArrayLike, " Q"],
    *,
    lengths: Int[ArrayLike, "*batch"] | None = None,
    mask: Bool[ArrayLike, "*batch T"] | None = None,
) -> SumCount:
    r"""Returns the quantile (pinball) loss: a term is the mean over the levels.

    .. math:: \frac{1}{Q} \sum_q \max\big(\tau_q (x - \hat x_q),\ (\tau_q - 1)(x - \hat x_q)\big)

    Args:
      quantiles: the forecasts at each level.
      targets: what came; in the pads anything, NaN included.
      levels: :math:`\tau`, between 0 and 1, growing.
      lengths: how many steps of each row are valid.
      mask: which steps are valid, in place of ``lengths``.

    Returns:
      The sum and the number of terms.

    Raises:
      ValueError: if the shapes do not agree, the levels are no levels, or both ``lengths`` and
        ``mask`` are given.
      TypeError: if a dtype is wrong.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import mean, quantile_loss
      >>> levels = jnp.array([0.1, 0.5])
      >>> loss = quantile_loss(jnp.array([[1.0, 2.0]]), jnp.array([4.0]), levels)
      >>> round(float(mean(loss)), 3)  # (0.1 * 3 + 0.5 * 2) / 2
      0.65

    References:
      Koenker and Bassett, "Regression Quantiles", Econometrica 46(1), 1978.
    """
    where, given = "quantile_loss", {"quantiles": quantiles}
    found = checked(where, targets, given, lengths=lengths, mask=mask, axis="Q")
    targets, valid, quantiles = found
    levels = checked_levels(where, levels, quantiles.shape[-1])
    return summed(pinball(quantiles, targets, levels).mean(-1), valid)


def pinball(quantiles: ArrayLike, targets: ArrayLike, levels: ArrayLike) -> jax.Array:
    """Returns the quantile loss at each level, ``[*batch, T, Q]``, of arrays without pads."""
    left = targets[..., None] - quantiles
    levels = jnp.broadcast_to(jnp.asarray(levels, left.dtype), left.shape)
    return jnp.maximum(levels * left, (levels - 1) * left)


def student_t_loss(
    loc: Float[ArrayLike, "*batch T"],
    scale: Float[ArrayLike, "*batch T"],
    df: Float[ArrayLike, "*batch T"],
    targets: Float[ArrayLike, "*batch T"],
    *,
    lengths: Int[ArrayLike, "*batch"] | None = None,
    mask: Bool[ArrayLike, "*batch T"] | None = None,
) -> SumCount:
    r"""Returns the negative log-likelihood of Student's t, in nats.

    .. math:: -\log \Gamma\tfrac{\nu+1}{2} + \log \Gamma\tfrac{\nu}{2}
        + \tfrac12 \log(\nu\pi) + \log \sigma
        + \tfrac{\nu+1}{2} \log\Big(1 + \frac{(x - \mu)^2}{\nu \sigma^2}\Big)

    Args:
      loc: :math:`\mu`, the middle.
      scale: :math:`\sigma`, above 0; the standard deviation is larger,
        :math:`\sigma \sqrt{\nu / (\nu - 2)}`.
      df: :math:`\nu`, the degrees of freedom, above 0.
      targets: what came; in the pads anything, NaN included.
      lengths: how many steps of each row are valid.
      mask: which steps are valid, in place of ``lengths``.

    Returns:
      The sum and the number of terms.

    Raises:
      ValueError: if the shapes do not agree, ``scale`` or ``df`` is not above 0 (under jit, where
        that cannot be seen, the sum is then NaN), or both ``lengths`` and ``mask`` are given.
      TypeError: if a dtype is wrong.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import mean, student_t_loss
      >>> one = jnp.ones(1)
      >>> round(float(mean(student_t_loss(0 * one, one, one, one))), 4)  # Cauchy: log(2 pi)
      1.8379
    """
    where, given = "student_t_loss", {"loc": loc, "scale": scale, "df": df}
    positive = ("scale", "df")
    found = checked(where, targets, given, lengths=lengths, mask=mask, positive=positive)
    targets, valid, loc, scale, df = found
    half, log_gamma = 0.5 * (df + 1), jax.scipy.special.gammaln
    nats = log_gamma(0.5 * df) - log_gamma(half) + 0.5 * jnp.log(math.pi * df) + jnp.log(scale)
    return summed(nats + half * jnp.log1p(((targets - loc) / scale) ** 2 / df), valid)


def gaussian_mixture_loss(
    logits: Float[ArrayLike, "*batch T K"],
    means: Float[ArrayLike, "*batch T K"],
    scales: Float[ArrayLike, "*batch T K"],
    targets: Float[ArrayLike, "*batch T"],
    *,
    lengths: Int[ArrayLike, "*batch"] | None = None,
    mask: Bool[ArrayLike, "*batch T"] | None = None,
) -> SumCount:
    r"""Returns the negative log-likelihood of a mixture of Gaussians, in nats.

    .. math:: -\log \sum_k \mathrm{softmax}(l)_k \, \mathcal N(x \mid \mu_k, \sigma_k^2)

    Args:
      logits: :math:`l`, the logarithms of the weights, of any sum.
      means: :math:`\mu`.
      scales: :math:`\sigma`, standard deviations, above 0.
      targets: what came; in the pads anything, NaN included.
      lengths: how many steps of each row are valid.
      mask: which steps are valid, in place of ``lengths``.

    Returns:
      The sum and the number of terms.

    Raises:
      ValueError: if the shapes do not agree, a scale is not above 0 (under jit, where that cannot
        be seen, the sum is then NaN), or both ``lengths`` and ``mask`` are given.
      TypeError: if a dtype is wrong.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import gaussian_mixture_loss, mean
      >>> two = jnp.zeros((1, 2))
      >>> loss = gaussian_mixture_loss(two, two, two + 1, jnp.zeros(1))
      >>> round(float(mean(loss)), 4)  # log(2 pi) / 2
      0.9189

    References:
      Bishop, "Mixture Density Networks", 1994.
    """
    where, given = "gaussian_mixture_loss", {"logits": logits, "means": means, "scales": scales}
    options = {"positive": ("scales",), "axis": "K"}
    found = checked(where, targets, given, lengths=lengths, mask=mask, **options)
    targets, valid, logits, means, scales = found
    z = (targets[..., None] - means) / scales
    density = -0.5 * z**2 - jnp.log(scales) - 0.5 * math.log(2 * math.pi)
    logs = jax.nn.log_softmax(logits, axis=-1) + density
    return summed(-jax.scipy.special.logsumexp(logs, axis=-1), valid)
