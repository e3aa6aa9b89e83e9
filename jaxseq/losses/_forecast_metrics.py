"""What forecasts are measured by, beside the losses that they are trained by."""

import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from jaxseq._checks import error
from jaxseq._types import Array, ArrayLike
from jaxseq.losses._mask import valid_steps
from jaxseq.losses._numbers import checked, summed
from jaxseq.losses._sum_count import SumCount, mean


def root_mean_square(sum_count: SumCount) -> Float[Array, ""]:
    """Returns the root of the mean: the RMSE of squared errors, and 0 of nothing.

    Args:
      sum_count: from :func:`squared_error`.

    Returns:
      The root, a scalar, in the unit of the targets.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import root_mean_square, squared_error
      >>> errors = squared_error(jnp.array([1.0, 5.0]), jnp.array([3.0, 3.0]))
      >>> float(root_mean_square(errors))
      2.0
    """
    return jnp.sqrt(mean(sum_count))


def naive_scale(
    values: Float[ArrayLike, "*batch T"],
    *,
    season: int = 1,
    lengths: Int[ArrayLike, "*batch"] | None = None,
    mask: Bool[ArrayLike, "*batch T"] | None = None,
) -> Float[Array, "*batch"]:
    r"""Returns the unit of the scaled errors: how far off the naive forecast is in training.

    .. math:: \frac{1}{n - m} \sum_{t = m + 1}^{n} |x_t - x_{t - m}|

    Args:
      values: the training part of each series, and of nothing else.
      season: :math:`m`; 1 for the value before, as in the paper.
      lengths: how many steps of each row are valid.
      mask: which steps are valid, in place of ``lengths``; a difference to or from one that is not
        is left out.

    Returns:
      One scale a series; 0 where there is no difference to take.

    Raises:
      ValueError: if ``season`` is below 1, the shapes do not agree, or both ``lengths`` and
        ``mask`` are given.
      TypeError: if a dtype is wrong.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import naive_scale
      >>> float(naive_scale(jnp.array([1.0, 2.0, 4.0, 1.0])))
      2.0

    References:
      Hyndman and Koehler, "Another Look at Measures of Forecast Accuracy", International Journal
      of Forecasting 22(4), 2006.
    """
    where = "naive_scale"
    if season < 1:
        raise error(where, f"`season` must be at least 1, but it is {season}")
    if not jnp.issubdtype(values.dtype, jnp.floating):
        problem = f"`values` must be floating, but they have dtype {values.dtype}"
        raise error(where, problem, kind=TypeError)
    if values.ndim < 1:
        raise error(where, "`values` must have shape (*batch, T), but it has shape ()")
    valid = jnp.asarray(valid_steps(where, tuple(values.shape), lengths=lengths, mask=mask))
    values = jnp.where(valid, jnp.asarray(values), 0)
    both = valid[..., season:] & valid[..., :-season]
    steps = jnp.abs(values[..., season:] - values[..., :-season])
    count = both.sum(-1).astype(values.dtype)
    return jnp.where(both, steps, 0).sum(-1) / jnp.maximum(count, 1)


def scaled_error(
    forecasts: Float[ArrayLike, "*batch T"],
    targets: Float[ArrayLike, "*batch T"],
    scale: Float[ArrayLike, "*batch T"],
    *,
    lengths: Int[ArrayLike, "*batch"] | None = None,
    mask: Bool[ArrayLike, "*batch T"] | None = None,
) -> SumCount:
    r"""Returns the absolute errors in units of a scale; their :func:`mean` is the MASE.

    .. math:: \mathrm{MASE} = \frac{1}{T} \sum_t \frac{|\hat x_t - x_t|}{s_t}

    Below 1 they are smaller than those of the naive forecast, one step ahead, in training.

    Args:
      forecasts: the numbers forecast.
      targets: what came; in the pads anything, NaN included.
      scale: :math:`s`, of the series that each target is of: from :func:`naive_scale`.
      lengths: how many steps of each row are valid.
      mask: which steps are valid, in place of ``lengths``.

    Returns:
      The sum and the number of terms. Where the scale is 0, an error is infinite, and none is 0.

    Raises:
      ValueError: if the shapes do not agree, or both ``lengths`` and ``mask`` are given.
      TypeError: if a dtype is wrong.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import mean, naive_scale, scaled_error
      >>> scale = naive_scale(jnp.array([1.0, 2.0, 4.0, 1.0]))
      >>> errors = scaled_error(jnp.array([2.0, 3.0]), jnp.array([3.0, 3.0]), jnp.full(2, scale))
      >>> float(mean(errors))
      0.25

    References:
      Hyndman and Koehler, "Another Look at Measures of Forecast Accuracy", International Journal
      of Forecasting 22(4), 2006.
    """
    given = {"forecasts": forecasts, "scale": scale}
    found = checked("scaled_error", targets, given, lengths=lengths, mask=mask)
    targets, valid, forecasts, scale = found
    away, flat = jnp.abs(forecasts - targets), scale == 0
    ratio = away / jnp.where(flat, 1, scale)
    return summed(jnp.where(flat, jnp.where(away > 0, jnp.inf, 0), ratio), valid)


def relative_variance(
    forecasts: Float[ArrayLike, "*batch T"],
    targets: Float[ArrayLike, "*batch T"],
    variance: Float[ArrayLike, ""] | float,
    *,
    lengths: Int[ArrayLike, "*batch"] | None = None,
    mask: Bool[ArrayLike, "*batch T"] | None = None,
) -> SumCount:
    r"""Returns the squared errors over a variance; their :func:`mean` is the ARV.

    .. math:: \mathrm{ARV} = \frac{1}{T} \sum_t \frac{(\hat x_t - x_t)^2}{\hat\sigma^2}

    1 is what the mean of the series as its forecast comes to.

    Args:
      forecasts: the numbers forecast.
      targets: what came; in the pads anything, NaN included.
      variance: of the series, above 0: over which steps is the caller's to say.
      lengths: how many steps of each row are valid.
      mask: which steps are valid, in place of ``lengths``.

    Returns:
      The sum and the number of terms.

    Raises:
      ValueError: if the shapes do not agree, or both ``lengths`` and ``mask`` are given.
      TypeError: if a dtype is wrong.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import mean, relative_variance
      >>> errors = relative_variance(jnp.array([2.0, 3.0]), jnp.array([4.0, 3.0]), 8.0)
      >>> float(mean(errors))
      0.25

    References:
      Weigend, Huberman and Rumelhart, "Predicting the Future: A Connectionist Approach",
      International Journal of Neural Systems 1(3), 1990.
    """
    given = {"forecasts": forecasts}
    found = checked("relative_variance", targets, given, lengths=lengths, mask=mask)
    targets, valid, forecasts = found
    return summed((forecasts - targets) ** 2 / jnp.asarray(variance, targets.dtype), valid)


def coverage(
    lower: Float[ArrayLike, "*batch T"],
    upper: Float[ArrayLike, "*batch T"],
    targets: Float[ArrayLike, "*batch T"],
    *,
    lengths: Int[ArrayLike, "*batch"] | None = None,
    mask: Bool[ArrayLike, "*batch T"] | None = None,
) -> SumCount:
    """Returns how many targets lie in their intervals, ends included, and how many there are.

    The :func:`mean` should be what the intervals claim: 0.8 of intervals of 80 %.

    Args:
      lower: the lower end of each interval.
      upper: the upper end.
      targets: what came; in the pads anything, NaN included.
      lengths: how many steps of each row are valid.
      mask: which steps are valid, in place of ``lengths``.

    Returns:
      The number of targets inside, and the number of targets.

    Raises:
      ValueError: if the shapes do not agree, or both ``lengths`` and ``mask`` are given.
      TypeError: if a dtype is wrong.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import coverage, mean
      >>> zeros = jnp.zeros(4)
      >>> float(mean(coverage(zeros, zeros + 1, jnp.array([0.0, 0.5, 2.0, 1.0]))))
      0.75
    """
    given = {"lower": lower, "upper": upper}
    found = checked("coverage", targets, given, lengths=lengths, mask=mask)
    targets, valid, lower, upper = found
    inside = (lower <= targets) & (targets <= upper)
    return summed(inside.astype(targets.dtype), valid)
