"""What Gaussian emissions share, whatever their covariances: priors, starts and checks."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseq._checks import error
from jaxseq._types import Array, Key
from jaxseq.structured.hmm._emission import all_used, floating, spread


class Pseudo(NamedTuple):
    """A prior, told as observations that each state had before.

    Attributes:
      mean: of these, in every dimension.
      mean_weight: how many of them say so.
      variance: of these, in every dimension.
      variance_weight: how many of them say so.
      min_variance: no variance, and no eigenvalue of a covariance, is less.
    """

    mean: float
    mean_weight: float
    variance: float
    variance_weight: float
    min_variance: float

    def mean_of(self, total: Array, count: Array, old: Array) -> Array:
        """Returns the likeliest means ``[K, D]`` from sums ``[K, D]`` and counts ``[K]``."""
        weight = (count + self.mean_weight)[:, None]
        some = weight > 0
        total = total + self.mean_weight * self.mean
        return jnp.where(some, total / jnp.where(some, weight, 1), old)


def start_means(
    key: Key, observations: Any, used: Any, shape: tuple[int, int], min_variance: float
) -> tuple[Array, Array]:
    """Returns means ``[K, D]``, and the covariance ``[D, D]`` of all observations.

    The means are observations far apart, each dimension measured by its standard deviation.
    """
    num_states, size = shape
    if observations is None:
        dtype = floating()
        return jax.random.normal(key, shape, dtype), jnp.eye(size, dtype=dtype)
    x = jnp.asarray(observations, floating(observations)).reshape(-1, size)
    used = all_used(observations, used, 1)
    x = jnp.where(used[:, None], x, 0)
    count = jnp.maximum(used.sum(), 1).astype(x.dtype)
    center = x.sum(0) / count
    x = jnp.where(used[:, None], x - center[None], 0)
    covariance = jnp.matmul(x.T, x, precision="highest") / count
    deviation = jnp.sqrt(jnp.maximum(jnp.diagonal(covariance), min_variance))
    choose, disturb = jax.random.split(key)
    means = spread(choose, x / deviation[None], used, num_states)
    # Where there are fewer distinct observations than states, no two states begin alike.
    means = means + 0.1 * jax.random.normal(disturb, means.shape, x.dtype)
    return means * deviation[None] + center[None], covariance


def possible(observations: Any, dtype: Any) -> tuple[Array, Array]:
    """Returns vectors ``[N, D]``, 0 where one is not finite, and which are finite, ``[...]``."""
    x = jnp.asarray(observations, dtype)
    finite = jnp.all(jnp.isfinite(x), -1)
    return jnp.where(finite[..., None], x, 0).reshape(-1, x.shape[-1]), finite


def check_vectors(
    where: str, observations: np.ndarray, used: np.ndarray, *, min_variance: float
) -> None:
    """Raises unless all observations are finite numbers that vary more than the least variance."""
    if not np.issubdtype(observations.dtype, np.number) or np.iscomplexobj(observations):
        raise error(
            where,
            f"`observations` must be real numbers, but they have dtype {observations.dtype}",
            kind=TypeError,
        )
    seen = observations[used].astype(np.float64)
    wrong = seen[~np.isfinite(seen)]
    if wrong.size:
        raise error(
            where,
            f"`observations` must be finite numbers, but there is {wrong[0]}",
            hint="say which steps are missing by `observed`, and which are pads by `lengths`",
        )
    variance = seen.var(0)
    if (variance < min_variance).any():
        raise error(
            where,
            f"the variance of all `observations` in dimension {int(variance.argmin())} is "
            f"{variance.min():.3g}, less than the family's min_variance = {min_variance:.3g}",
            hint="give hmm.gaussian a smaller min_variance, or the observations another unit",
        )
