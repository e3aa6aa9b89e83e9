"""Quantiles of the distributions that forecasts are: by bisection, where no formula is at hand."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._types import Array, ArrayLike
from jaxseq.losses._crps import student_t_cdf
from jaxseq.losses._numbers import checked_levels

NODES = 24
"""Of the series of cosines: more change nothing that a float32 could hold."""
HALVINGS = 40
"""From any bracket that matters, to less than a float32 can tell apart."""


def student_t_quantiles(
    loc: Float[ArrayLike, "*batch"],
    scale: Float[ArrayLike, "*batch"],
    df: Float[ArrayLike, "*batch"],
    levels: Float[ArrayLike, " Q"],
) -> Float[Array, "*batch Q"]:
    r"""Returns the quantiles of Student's t, :math:`\mu + \sigma F_\nu^{-1}(\tau)`.

    They are for reports: no gradient flows through them.

    Args:
      loc: :math:`\mu`.
      scale: :math:`\sigma`, above 0.
      df: :math:`\nu`, at least 1.
      levels: :math:`\tau`, between 0 and 1, growing.

    Returns:
      The quantiles, growing along the last axis.

    Raises:
      ValueError: if the levels are no levels.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import student_t_quantiles
      >>> one = jnp.ones(())
      >>> student_t_quantiles(one, one, 5 * one, jnp.array([0.5, 0.975])).round(3).tolist()
      [1.0, 3.571...]
    """
    levels = checked_levels("student_t_quantiles", levels)
    loc, scale, df = (jax.lax.stop_gradient(jnp.asarray(a)) for a in (loc, scale, df))
    z = _standard(levels.astype(df.dtype))
    # A quantile is a smooth function of 1 / df: a short series of cosines is all of it.
    turn = jnp.arccos(1 - 2 / jnp.maximum(df, 1))
    waves = jnp.stack([jnp.cos(k * turn) for k in range(NODES)], axis=-1)
    return loc[..., None] + scale[..., None] * jnp.sinh(waves @ z)


def _standard(levels: Float[Array, " Q"]) -> Float[Array, "nodes Q"]:
    """Returns for each level the series of asinh of the quantile, by cosines in 1 / df."""
    last = NODES - 1
    nodes = jnp.pi * jnp.arange(NODES, dtype=levels.dtype) / last
    df = jnp.broadcast_to((2 / (1 - jnp.cos(nodes[1:])))[:, None], (last, levels.size))
    tail = jnp.broadcast_to(jnp.minimum(levels, 1 - levels), df.shape)
    # No tails are asked for that are heavier than those of Cauchy, whose quantiles are tangents.
    found = _bisect(lambda z: student_t_cdf(z, df) < tail, -1 / jnp.tan(jnp.pi * tail), 0 * tail)
    normal = jax.scipy.special.ndtri(tail[:1])
    z = jnp.arcsinh(jnp.concatenate([normal, found]))
    z = jnp.where(levels == 0.5, 0, jnp.where(levels < 0.5, 1, -1)).astype(z.dtype)[None] * z
    weights = jnp.cos(jnp.outer(nodes, jnp.arange(NODES, dtype=levels.dtype))) * (2 / last)
    halves = jnp.ones(NODES, levels.dtype).at[jnp.array([0, last])].set(0.5)
    return (jnp.outer(halves, halves) * weights) @ z


def gaussian_mixture_quantiles(
    logits: Float[ArrayLike, "*batch K"],
    means: Float[ArrayLike, "*batch K"],
    scales: Float[ArrayLike, "*batch K"],
    levels: Float[ArrayLike, " Q"],
) -> Float[Array, "*batch Q"]:
    r"""Returns the quantiles of a mixture of Gaussians.

    That of the mixture lies between those of its components, and is found by bisection. They are
    for reports: no gradient flows through them.

    Args:
      logits: the logarithms of the weights, of any sum.
      means: of the components.
      scales: their standard deviations, above 0.
      levels: between 0 and 1, growing.

    Returns:
      The quantiles, growing along the last axis.

    Raises:
      ValueError: if the levels are no levels.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import gaussian_mixture_quantiles
      >>> two, one = jnp.zeros(2), jnp.ones(2)
      >>> gaussian_mixture_quantiles(two, two, one, jnp.array([0.5, 0.975])).round(3).tolist()
      [0.0, 1.96...]
    """
    levels = checked_levels("gaussian_mixture_quantiles", levels)
    given = (jax.lax.stop_gradient(jnp.asarray(a)) for a in (logits, means, scales))
    logits, means, scales = (a[..., None, :] for a in given)
    shape = (*means.shape[:-2], levels.size, means.shape[-1])
    column = levels.astype(means.dtype)[:, None]
    means, scales, column = (jnp.broadcast_to(a, shape) for a in (means, scales, column))
    weights = jnp.broadcast_to(jax.nn.softmax(logits, axis=-1), shape)
    ends = means + scales * jax.scipy.special.ndtri(column)

    def below(z: Array) -> Array:
        inside = jax.scipy.special.ndtr((z[..., None] - means) / scales)
        return (weights * inside).sum(-1) < column[..., 0]

    return _bisect(below, ends.min(-1), ends.max(-1))


def _bisect(below, low: Array, high: Array) -> Array:
    """Returns where what is below ends, between two arrays."""

    def halve(_, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = 0.5 * (ends[0] + ends[1])
        lower = below(middle)
        return jnp.where(lower, middle, ends[0]), jnp.where(lower, ends[1], middle)

    low, high = jax.lax.fori_loop(0, HALVINGS, halve, (low, high))
    return 0.5 * (low + high)
