"""A sum and the number of things summed: what every loss returns."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._types import Array


class SumCount(NamedTuple):
    """A sum, and how many terms it has.

    Batches of unequal sizes, gradient accumulation and devices all want the same thing: add sums
    to sums, counts to counts, and divide once, at the end. ``+`` adds field by field (a plain
    tuple would be lengthened); ``jax.lax.psum`` of one is the one over all devices.

    Attributes:
      total: the sum; a scalar, float32 or better.
      count: the number of terms; a scalar of the same dtype.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import SumCount, mean
      >>> both = SumCount(jnp.array(6.0), jnp.array(2.0)) + SumCount(jnp.array(0.0), jnp.array(1.0))
      >>> float(both.total), float(both.count), float(mean(both))
      (6.0, 3.0, 2.0)
    """

    total: Float[Array, ""]
    count: Float[Array, ""]

    def __add__(self, other: Any) -> "SumCount":
        """Adds the totals and the counts."""
        if not isinstance(other, SumCount):
            return NotImplemented
        return SumCount(self.total + other.total, self.count + other.count)


def mean(sum_count: SumCount) -> Float[Array, ""]:
    r"""Returns the mean of the terms: ``total / count``, and 0 where nothing was counted.

    The gradient of a mean over nothing is 0 too, whatever the total holds.

    Args:
      sum_count: a sum and its count.

    Returns:
      The mean, a scalar.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.losses import SumCount, mean
      >>> float(mean(SumCount(jnp.array(3.0), jnp.array(2.0))))
      1.5
      >>> float(mean(SumCount(jnp.array(0.0), jnp.array(0.0))))
      0.0
    """
    total, count = jnp.asarray(sum_count.total), jnp.asarray(sum_count.count)
    empty = count == 0
    # Both operands are made harmless before the division: a gradient passes through it either way.
    total, count = jnp.where(empty, 0, total), jnp.where(empty, 1, count)
    return total / count
