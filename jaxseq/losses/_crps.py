"""The continuous ranked probability score: of quantiles, of samples, and in closed form."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from jaxseq._checks import error
from jaxseq._types import Array, ArrayLike
from jaxseq.losses._distributions import pinball
from jaxseq.losses._numbers import checked, checked_levels, summed
from jaxseq.losses._sum_count import SumCount


def crps_quantiles(
    quantiles: Float[ArrayLike, "*batch T Q"],
    targets: Float[ArrayLike, "*batch T"],
    levels: Float[ArrayLike, " Q"],
    *,
    lengths: Int[ArrayLike, "*batch"] | None = None,
    mask: Bool[ArrayLike, "*batch T"] | None = None,
) -> SumCount:
    r"""Returns the score of quantiles: twice their mean quantile loss.

    .. math:: \mathrm{CRPS} = 2 \int_0^1 \rho_\tau(x - F^{-1}(\tau)) \, d\tau
        \approx \frac{2}{Q} \sum_q \rho_{\tau_q}(x - \hat x_q)

    The sum comes close to the integral if the levels are many and evenly spaced, such as
    :math:`q / (Q + 1)`. Scores at the same levels can be compared in any case. If all quantiles are
    one number, and the levels lie evenly about 1/2, the score is the absolute error.

    Args:
      quantiles: the forecasts at each level.
      targets: what came; in the pads anything, NaN included.
      levels: between 0 and 1, growing.
      lengths: how many steps of each row are valid.
      mask: which steps are valid, in place of ``lengths``.

    Returns:
      The sum and the number of terms, in the unit of the targets.

    Raises:
      ValueError: as :func:`quantile_loss`.
      TypeError: as :func:`quantile_loss`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import crps_quantiles, mean
      >>> levels = jnp.array([0.25, 0.5, 0.75])
      >>> score = crps_quantiles(jnp.full((1, 3), 2.0), jnp.array([5.0]), levels)
      >>> round(float(mean(score)), 4)
      3.0

    References:
      Laio and Tamea, "Verification Tools for Probabilistic Forecasts of Continuous Hydrological
      Variables", Hydrology and Earth System Sciences 11, 2007.
    """
    where, given = "crps_quantiles", {"quantiles": quantiles}
    found = checked(where, targets, given, lengths=lengths, mask=mask, axis="Q")
    targets, valid, quantiles = found
    levels = checked_levels(where, levels, quantiles.shape[-1])
    return summed(2 * pinball(quantiles, targets, levels).mean(-1), valid)


def crps_samples(
    samples: Float[ArrayLike, "*batch T S"],
    targets: Float[ArrayLike, "*batch T"],
    *,
    lengths: Int[ArrayLike, "*batch"] | None = None,
    mask: Bool[ArrayLike, "*batch T"] | None = None,
) -> SumCount:
    r"""Returns the fair score of samples: unbiased for the distribution that they are drawn from.

    .. math:: \frac{1}{S} \sum_i |x_i - x| - \frac{1}{2 S (S - 1)} \sum_i \sum_j |x_i - x_j|

    Args:
      samples: S draws a step, at least 2.
      targets: what came; in the pads anything, NaN included.
      lengths: how many steps of each row are valid.
      mask: which steps are valid, in place of ``lengths``.

    Returns:
      The sum and the number of terms, in the unit of the targets.

    Raises:
      ValueError: if the shapes do not agree, there are fewer than 2 samples, or both ``lengths``
        and ``mask`` are given.
      TypeError: if a dtype is wrong.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import crps_samples, mean
      >>> float(mean(crps_samples(jnp.array([[1.0, 3.0]]), jnp.array([2.0]))))
      0.0

    References:
      Gneiting and Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation", Journal of
      the American Statistical Association 102(477), 2007; Ferro, "Fair Scores for Ensemble
      Forecasts", 2014.
    """
    where, given = "crps_samples", {"samples": samples}
    found = checked(where, targets, given, lengths=lengths, mask=mask, axis="S")
    targets, valid, samples = found
    count = samples.shape[-1]
    if count < 2:
        raise error(where, f"`samples` must have at least 2 draws a step, but there is {count}")
    away = jnp.abs(samples - targets[..., None]).mean(-1)
    # In order of size, the differences of all pairs are one weighted sum.
    weights = (2 * jnp.arange(1, count + 1) - count - 1) / (count * (count - 1))
    apart = jnp.sort(samples, axis=-1) @ weights.astype(samples.dtype)
    return summed(away - apart, valid)


def crps_student_t(
    loc: Float[ArrayLike, "*batch T"],
    scale: Float[ArrayLike, "*batch T"],
    df: Float[ArrayLike, "*batch T"],
    targets: Float[ArrayLike, "*batch T"],
    *,
    lengths: Int[ArrayLike, "*batch"] | None = None,
    mask: Bool[ArrayLike, "*batch T"] | None = None,
) -> SumCount:
    r"""Returns the score of Student's t, in closed form.

    .. math:: \sigma \Big( z (2 F_\nu(z) - 1) + 2 f_\nu(z) \frac{\nu + z^2}{\nu - 1}
        - \frac{2 \sqrt\nu}{\nu - 1}
        \frac{B(\frac12, \nu - \frac12)}{B(\frac12, \frac\nu2)^2} \Big),
        \qquad z = \frac{x - \mu}{\sigma}

    It is for reports: its gradient by the degrees of freedom is not known.

    Args:
      loc: :math:`\mu`.
      scale: :math:`\sigma`, above 0.
      df: :math:`\nu`, above 1: below, there is no mean, and the score is NaN.
      targets: what came; in the pads anything, NaN included.
      lengths: how many steps of each row are valid.
      mask: which steps are valid, in place of ``lengths``.

    Returns:
      The sum and the number of terms, in the unit of the targets.

    Raises:
      ValueError: as :func:`student_t_loss`.
      TypeError: as :func:`student_t_loss`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import crps_student_t, mean
      >>> one = jnp.ones(1)
      >>> round(float(mean(crps_student_t(0 * one, one, 5 * one, one))), 4)
      0.6038

    References:
      Jordan, Krüger and Lerch, "Evaluating Probabilistic Forecasts with scoringRules", Journal of
      Statistical Software 90(12), 2019.
    """
    where, given = "crps_student_t", {"loc": loc, "scale": scale, "df": df}
    positive = ("scale", "df")
    found = checked(where, targets, given, lengths=lengths, mask=mask, positive=positive)
    targets, valid, loc, scale, df = found
    df = jnp.where(valid, df, 2)  # 1 would divide by 0
    df = jnp.where(df > 1, df, jnp.nan)
    z, half = (targets - loc) / scale, jnp.full_like(df, 0.5)
    betaln = jax.scipy.special.betaln
    log_density = -0.5 * (df + 1) * jnp.log1p(z**2 / df) - betaln(half, 0.5 * df)
    density = jnp.exp(log_density - 0.5 * jnp.log(df))
    spread = jnp.exp(betaln(half, df - 0.5) - 2 * betaln(half, 0.5 * df))
    score = z * (2 * student_t_cdf(z, df) - 1) + 2 * density * (df + z**2) / (df - 1)
    return summed(scale * (score - 2 * jnp.sqrt(df) / (df - 1) * spread), valid)


def student_t_cdf(z: Array, df: Array) -> Array:
    """Returns the distribution function of Student's t at ``z``, of the same shape as ``df``."""
    # Of z^2, the incomplete beta function; of the two that it is, the one that is more exact.
    share, half, near = z**2 / (df + z**2), jnp.full_like(df, 0.5), z**2 < df
    first, second = jnp.where(near, half, 0.5 * df), jnp.where(near, 0.5 * df, half)
    inside = jax.scipy.special.betainc(first, second, jnp.where(near, share, df / (df + z**2)))
    tail = 0.5 * jnp.where(near, 1 - inside, inside)
    return jnp.where(z > 0, 1 - tail, tail)


def crps_gaussian_mixture(
    logits: Float[ArrayLike, "*batch T K"],
    means: Float[ArrayLike, "*batch T K"],
    scales: Float[ArrayLike, "*batch T K"],
    targets: Float[ArrayLike, "*batch T"],
    *,
    lengths: Int[ArrayLike, "*batch"] | None = None,
    mask: Bool[ArrayLike, "*batch T"] | None = None,
) -> SumCount:
    r"""Returns the score of a mixture of Gaussians, in closed form.

    .. math:: \sum_i w_i A(x - \mu_i, \sigma_i^2)
        - \tfrac12 \sum_i \sum_j w_i w_j A(\mu_i - \mu_j, \sigma_i^2 + \sigma_j^2),
        \quad A(m, s^2) = 2 s \varphi(\tfrac ms) + m (2 \Phi(\tfrac ms) - 1)

    Args:
      logits: the logarithms of the weights :math:`w`, of any sum.
      means: :math:`\mu`.
      scales: :math:`\sigma`, above 0.
      targets: what came; in the pads anything, NaN included.
      lengths: how many steps of each row are valid.
      mask: which steps are valid, in place of ``lengths``.

    Returns:
      The sum and the number of terms, in the unit of the targets.

    Raises:
      ValueError: as :func:`gaussian_mixture_loss`.
      TypeError: as :func:`gaussian_mixture_loss`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import crps_gaussian_mixture, mean
      >>> one = jnp.ones((1, 1))
      >>> score = crps_gaussian_mixture(one, 0 * one, one, jnp.zeros(1))
      >>> round(float(mean(score)), 4)  # (sqrt 2 - 1) / sqrt pi
      0.2337

    References:
      Grimit, Gneiting, Berrocal and Johnson, "The Continuous Ranked Probability Score for Circular
      Variables and its Application to Mesoscale Forecast Ensemble Verification", Quarterly Journal
      of the Royal Meteorological Society 132, 2006.
    """
    where, given = "crps_gaussian_mixture", {"logits": logits, "means": means, "scales": scales}
    options = {"positive": ("scales",), "axis": "K"}
    found = checked(where, targets, given, lengths=lengths, mask=mask, **options)
    targets, valid, logits, means, scales = found
    weights = jax.nn.softmax(logits, axis=-1)
    away = (weights * _distance(targets[..., None] - means, scales)).sum(-1)
    gaps = means[..., :, None] - means[..., None, :]
    widths = jnp.sqrt(scales[..., :, None] ** 2 + scales[..., None, :] ** 2)
    pairs = weights[..., :, None] * weights[..., None, :]
    return summed(away - 0.5 * (pairs * _distance(gaps, widths)).sum((-2, -1)), valid)


def _distance(mean: Array, scale: Array) -> Array:
    """Returns how far a Gaussian is from 0 on average."""
    z = mean / scale
    density = jnp.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return 2 * scale * density + mean * jax.scipy.special.erf(z / math.sqrt(2))
