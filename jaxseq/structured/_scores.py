"""The scores of a batch as they were given: a loop reads of them what a step needs."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxseq._types import Array
from jaxseq.structured._messages import Chain


class Scores(NamedTuple):
    """What a chain is made of. Nothing of the size of all steps is copied to make it.

    Attributes:
      transition: as the chain's, harmless in the pads.
      emission: ``[B, T, K]``, T at least 1; anything in the pads.
      initial: ``[1, K]`` or ``[B, K]``, added at the first step; or None.
      final: the same, at a row's last step.
      lengths: ``[B]``; or None, where all steps are valid.
    """

    transition: Array
    emission: Array
    initial: Array | None
    final: Array | None
    lengths: Array | None

    @property
    def sizes(self) -> tuple[int, int, int]:
        """T, B and K."""
        rows, steps, size = self.emission.shape
        return steps, rows, size

    @property
    def ends(self) -> Array:
        """How many steps each row has, ``[B]``."""
        steps, rows, _ = self.sizes
        return jnp.full(rows, steps, jnp.int32) if self.lengths is None else self.lengths

    @property
    def chain(self) -> Chain:
        """All steps as one array, time first."""
        steps = self.sizes[0]
        return Chain(self.transition, self.steps(0, steps), self.valid(0, steps))

    def valid(self, first: Array | int, count: int) -> Array | None:
        """Returns which of so many steps are valid, ``[count, B]``; None where all are."""
        if self.lengths is None:
            return None
        return (first + jnp.arange(count, dtype=jnp.int32))[:, None] < self.lengths[None]

    def rows(self, first: Array | int, count: int, *, begin: bool = True) -> Array:
        """Returns the scores of so many steps, ``[B, count, K]``; 0 in the pads.

        Args:
          first: their first.
          count: how many they are.
          begin: whether the first of all may be among them.
        """
        emission = self.emission
        if count < self.sizes[0]:
            emission = jax.lax.dynamic_slice_in_dim(emission, first, count, axis=1)
        step = (first + jnp.arange(count, dtype=jnp.int32))[None, :, None]
        lengths = None if self.lengths is None else self.lengths[:, None, None]
        if lengths is not None:
            emission = jnp.where(step < lengths, emission, 0)
        if self.initial is not None and begin:
            emission = emission + jnp.where(step == 0, self.initial[:, None], 0)
        if self.final is not None:
            last = self.sizes[0] if lengths is None else lengths
            emission = emission + jnp.where(step == last - 1, self.final[:, None], 0)
        return emission

    def steps(self, first: Array | int, count: int) -> Array:
        """Returns the same, time first."""
        return jnp.moveaxis(self.rows(first, count), 1, 0)

    def at(self, step: Array | int) -> Array:
        """Returns the scores of one step, ``[B, K]``; if that is traced, after the first."""
        return self.rows(step, 1, begin=isinstance(step, int))[:, 0]
