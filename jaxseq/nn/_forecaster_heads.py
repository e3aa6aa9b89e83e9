"""What a forecast says of each value: a number, quantiles, or a distribution."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxseq._checks import error
from jaxseq._types import Array, ArrayLike, Key
from jaxseq.losses import (
    SumCount,
    gaussian_mixture_loss,
    gaussian_mixture_quantiles,
    quantile_loss,
    squared_error,
    student_t_loss,
    student_t_quantiles,
)

FLOOR = 1e-4
"""No scale is smaller: the likelihood of values without noise would have no bound."""
LEAST_DF = 2.0
"""So that there is a variance."""


class PointForecast(NamedTuple):
    """A number a value, trained by its squared error: the mean.

    Attributes:
      value: ``[*shape]``.

    Example:
      >>> import jax.numpy as jnp
      >>> PointForecast(jnp.array([2.0])).quantiles(jnp.array([0.1, 0.9])).tolist()
      [[2.0, 2.0]]
    """

    value: Float[Array, "*shape"]

    def loss(self, targets: ArrayLike, *, mask: ArrayLike | None = None) -> SumCount:
        """Returns the squared errors of what the mask, ``[*shape]``, lets count."""
        return squared_error(self.value, targets, mask=mask)

    def point(self) -> Float[Array, "*shape"]:
        """Returns the number."""
        return self.value

    def quantiles(self, levels: ArrayLike) -> Float[Array, "*shape Q"]:
        """Returns the number at every level: it says nothing of how far off it may be."""
        return jnp.broadcast_to(self.value[..., None], (*self.value.shape, len(levels)))

    def sample(self, key: Key) -> Float[Array, "*shape"]:
        """Returns the number."""
        return self.value


class QuantileForecast(NamedTuple):
    """Quantiles of each value, trained by the quantile loss; in order of size, so none cross.

    Attributes:
      values: ``[*shape, Q]``, growing.
      levels: ``[Q]``, growing.

    Example:
      >>> import jax.numpy as jnp
      >>> forecast = QuantileForecast(jnp.array([[1.0, 2.0, 5.0]]), jnp.array([0.1, 0.5, 0.9]))
      >>> forecast.quantiles(jnp.array([0.3, 0.9])).tolist()
      [[1.5, 5.0]]
    """

    values: Float[Array, "*shape Q"]
    levels: Float[Array, " Q"]

    def loss(self, targets: ArrayLike, *, mask: ArrayLike | None = None) -> SumCount:
        """Returns the quantile loss of what the mask, ``[*shape]``, lets count."""
        return quantile_loss(self.values, targets, self.levels, mask=mask)

    def point(self) -> Float[Array, "*shape"]:
        """Returns the median, or what stands for it between the nearest levels."""
        return self.quantiles(jnp.array([0.5], self.levels.dtype))[..., 0]

    def quantiles(self, levels: ArrayLike) -> Float[Array, "*shape R"]:
        """Returns quantiles on straight lines between those there are, and the outermost beyond."""
        shape = self.values.shape[:-1]
        asked = jnp.broadcast_to(jnp.asarray(levels, self.levels.dtype), (*shape, len(levels)))
        return _between(asked, self.levels, self.values)

    def sample(self, key: Key) -> Float[Array, "*shape"]:
        """Returns draws: the quantiles at levels that are drawn evenly."""
        shape = (*self.values.shape[:-1], 1)
        drawn = jax.random.uniform(key, shape, self.levels.dtype)
        return _between(drawn, self.levels, self.values)[..., 0]


class StudentTForecast(NamedTuple):
    """Student's t for each value, trained by its likelihood: its tails forgive outliers.

    Attributes:
      loc: ``[*shape]``, the middle.
      scale: ``[*shape]``, above 0.
      df: ``[*shape]``, the degrees of freedom, above 2.

    Example:
      >>> import jax.numpy as jnp
      >>> one = jnp.ones(1)
      >>> StudentTForecast(one, one, 5 * one).quantiles(jnp.array([0.5])).tolist()
      [[1.0]]
    """

    loc: Float[Array, "*shape"]
    scale: Float[Array, "*shape"]
    df: Float[Array, "*shape"]

    def loss(self, targets: ArrayLike, *, mask: ArrayLike | None = None) -> SumCount:
        """Returns the negative log-likelihood of what the mask, ``[*shape]``, lets count."""
        return student_t_loss(*self, targets, mask=mask)

    def point(self) -> Float[Array, "*shape"]:
        """Returns the mean, which is the median."""
        return self.loc

    def quantiles(self, levels: ArrayLike) -> Float[Array, "*shape Q"]:
        """Returns the quantiles at these levels."""
        return student_t_quantiles(*self, levels)

    def sample(self, key: Key) -> Float[Array, "*shape"]:
        """Returns a draw of each value."""
        drawn = jax.random.t(key, self.df, self.loc.shape, self.loc.dtype)
        return self.loc + self.scale * drawn


class MixtureForecast(NamedTuple):
    """A mixture of Gaussians for each value, trained by its likelihood: it may have two peaks.

    Attributes:
      logits: ``[*shape, K]``, the logarithms of the weights.
      means: ``[*shape, K]``.
      scales: ``[*shape, K]``, above 0.

    Example:
      >>> import jax.numpy as jnp
      >>> means = jnp.array([[1.0, 3.0]])
      >>> MixtureForecast(0 * means, means, means).point().tolist()
      [2.0]
    """

    logits: Float[Array, "*shape K"]
    means: Float[Array, "*shape K"]
    scales: Float[Array, "*shape K"]

    def loss(self, targets: ArrayLike, *, mask: ArrayLike | None = None) -> SumCount:
        """Returns the negative log-likelihood of what the mask, ``[*shape]``, lets count."""
        return gaussian_mixture_loss(*self, targets, mask=mask)

    def point(self) -> Float[Array, "*shape"]:
        """Returns the mean."""
        return (jax.nn.softmax(self.logits, axis=-1) * self.means).sum(-1)

    def quantiles(self, levels: ArrayLike) -> Float[Array, "*shape Q"]:
        """Returns the quantiles at these levels."""
        return gaussian_mixture_quantiles(*self, levels)

    def sample(self, key: Key) -> Float[Array, "*shape"]:
        """Returns a draw of each value."""
        keys = jax.random.split(key)
        chosen = jax.random.categorical(keys[0], self.logits)[..., None]
        mean, scale = (
            jnp.take_along_axis(array, chosen, axis=-1)[..., 0]
            for array in (self.means, self.scales)
        )
        return mean + scale * jax.random.normal(keys[1], mean.shape, mean.dtype)


Forecast = PointForecast | QuantileForecast | StudentTForecast | MixtureForecast
HEADS = ("point", "quantile", "student_t", "mixture")


class Head(NamedTuple):
    """How the numbers that a network gives for a value are read.

    Attributes:
      name: one of :data:`HEADS`.
      levels: of a quantile head.
      components: of a mixture.
    """

    name: str
    levels: tuple[float, ...]
    components: int

    @property
    def size(self) -> int:
        """How many numbers a value takes."""
        sizes = {"point": 1, "quantile": len(self.levels), "student_t": 3}
        return sizes.get(self.name, 3 * self.components)

    def bias(self) -> Float[np.ndarray, " S"]:
        """Returns what is added to the numbers: with zeros for these, about a standard normal.

        Its middle is 0 exactly, so that an untrained network does not move a forecast.
        """
        if self.name == "quantile":
            levels = np.array(self.levels)
            normal = np.asarray(jax.scipy.special.ndtri(jnp.asarray(levels, jnp.float32)))
            return np.where(levels == 0.5, 0, normal)
        if self.name == "student_t":
            return np.array([0.0, _ONE, 4.0])  # about 6 degrees of freedom
        if self.name == "mixture":
            rows = np.zeros((3, self.components))
            rows[1] = np.linspace(-0.5, 0.5, self.components) if self.components > 1 else 0
            rows[2] = _ONE
            return rows.reshape(-1)
        return np.zeros(1)

    def read(self, numbers: Float[Array, "*shape S"], base: Float[Array, "*shape"]) -> Forecast:
        """Returns the forecast that numbers stand for, moved by a base."""
        if self.name == "point":
            return PointForecast(base + numbers[..., 0])
        if self.name == "quantile":
            levels = jnp.array(self.levels, numbers.dtype)
            return QuantileForecast(base[..., None] + jnp.sort(numbers, axis=-1), levels)
        if self.name == "student_t":
            scale, df = (jax.nn.softplus(numbers[..., place]) for place in (1, 2))
            return StudentTForecast(base + numbers[..., 0], FLOOR + scale, LEAST_DF + df)
        logits, means, scales = jnp.split(numbers, 3, axis=-1)
        return MixtureForecast(logits, base[..., None] + means, FLOOR + jax.nn.softplus(scales))


_ONE = float(np.log(np.expm1(1.0)))
"""Of which softplus is 1."""


def checked_head(where: str, head: Any, levels: Any, components: Any) -> Head:
    """Returns the head of a model, or raises.

    Raises:
      ValueError: if there is no such head, or the levels are no levels.
    """
    if head not in HEADS:
        names = ", ".join(f'"{name}"' for name in HEADS)
        raise error(where, f"`head` must be one of {names}, but it is {head!r}")
    steps = np.diff(levels) if len(levels) else [0]
    if not all(0 < level < 1 for level in levels) or not np.all(np.asarray(steps) > 0):
        problem = "`levels` must lie between 0 and 1, and grow"
        raise error(where, f"{problem}, but they are {tuple(levels)}")
    return Head(head, tuple(map(float, levels)), components)


def _between(asked: Array, levels: Array, values: Array) -> Array:
    """Returns values at the levels asked for, ``[*shape, R]``, on straight lines."""
    if len(levels) == 1:
        return jnp.broadcast_to(values, asked.shape)
    place = jnp.clip(jnp.searchsorted(levels, asked), 1, len(levels) - 1)
    low, high = (jnp.take_along_axis(values, at, axis=-1) for at in (place - 1, place))
    share = (asked - levels[place - 1]) / (levels[place] - levels[place - 1])
    return low + jnp.clip(share, 0, 1) * (high - low)
