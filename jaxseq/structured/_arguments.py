"""What may be given to the functions of this room: checked where users enter, time moved first."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseq._arrays import accumulator, known
from jaxseq._checks import check_shape, error, shape_text
from jaxseq._types import Array
from jaxseq.structured._messages import Chain
from jaxseq.structured._scores import Scores

BACKENDS = ("auto", "associative", "reference", "sequential")


class Problem(NamedTuple):
    """The scores of checked arguments, and what brings results back to the caller's shape.

    Attributes:
      scores: as the core takes them; of no steps at all there is one, a pad.
      lengths: ``[B]``.
      batch_shape: ``*batch``.
      steps: T.
    """

    scores: Scores
    lengths: Array
    batch_shape: tuple[int, ...]
    steps: int

    @property
    def chain(self) -> Chain:
        """The scores of all steps as one array, time first."""
        return self.scores.chain

    @property
    def some(self) -> Array:
        """Which rows have a step at all, ``[B]``."""
        return self.lengths > 0

    def rows(self, array: Array) -> Array:
        """Returns ``[B, ...]`` with the caller's batch axes."""
        return array.reshape(self.batch_shape + array.shape[1:])

    def over_time(self, array: Array, pad: float | int) -> Array:
        """Returns ``[T, B, ...]`` with the caller's batch axes first, and ``pad`` in the pads."""
        return self.over_steps(jnp.moveaxis(array, 0, 1), pad)

    def over_steps(self, array: Array, pad: float | int) -> Array:
        """Returns ``[B, T, ...]`` with the caller's batch axes, and ``pad`` in the pads."""
        valid = valid_steps(self.lengths, array.shape[1]).T
        array = jnp.where(jnp.expand_dims(valid, range(2, array.ndim)), array, pad)
        return self.rows(array[:, : self.steps])


def valid_steps(lengths: Array, steps: int) -> Array:
    """Returns which steps are valid, ``[T, B]``."""
    step = jax.lax.broadcasted_iota(jnp.int32, (steps, *lengths.shape), 0)
    return step < jnp.expand_dims(lengths, 0)


def check_backend(where: str, backend: str) -> None:
    """Raises unless the backend is one of this room's."""
    if backend not in BACKENDS:
        raise error(where, f'`backend` must be one of {BACKENDS}, but it is "{backend}"')


def check_floating(where: str, name: str, array: Any) -> Array:
    """Returns floating numbers in float32 or better, or raises."""
    array = jnp.asarray(array)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise error(
            where, f"`{name}` must be floating, but it has dtype {array.dtype}", kind=TypeError
        )
    return array.astype(accumulator(array.dtype))


def check_sequences(where: str, name: str, array: Any, axis: str) -> Array:
    """Returns ``[*batch, T, K]`` in float32 or better, or raises."""
    array = check_floating(where, name, array)
    if array.ndim < 2 or array.shape[-1] < 1:
        raise error(
            where,
            f"`{name}` must have shape (*batch, T, {axis}) with {axis} at least 1, "
            f"but it has shape {shape_text(array.shape)}",
        )
    return array


def check_lengths(where: str, lengths: Any, batch_shape: tuple[int, ...], steps: int) -> Array:
    """Returns lengths in 0..T as int32 ``[*batch]``; None is T for all.

    Raises for what is known to be outside; what jit hides counts as the nearer end.
    """
    if lengths is None:
        return jnp.full(batch_shape, steps, jnp.int32)
    check_shape(where, "lengths", lengths, "(*batch,)", batch_shape)
    return check_counts(where, "lengths", lengths, f"T = {steps}", steps)


def check_counts(where: str, name: str, counts: Any, text: str, most: int) -> Array:
    """Returns integers in 0..most as int32, or raises; what jit hides is clamped."""
    if not jnp.issubdtype(counts.dtype, jnp.integer):
        raise error(
            where, f"`{name}` must be integers, but they have dtype {counts.dtype}", kind=TypeError
        )
    if known(counts):
        values = np.asarray(counts)
        outside = values[(values < 0) | (values > most)]
        if outside.size:
            raise error(
                where, f"`{name}` must be between 0 and {text}, but there is {int(outside[0])}"
            )
        counts = values  # a narrow dtype may not hold `most`
    return jnp.asarray(jnp.clip(jnp.asarray(counts, jnp.int32), 0, most))


def check_vector(where: str, name: str, array: Any, size: int, batch_shape: tuple) -> Array:
    """Returns ``[K]`` or ``[*batch, K]`` as ``[1, K]`` or ``[B, K]``, or raises."""
    array = check_floating(where, name, array)
    if array.shape not in ((size,), (*batch_shape, size)):
        raise error(
            where,
            f"`{name}` must have shape (K,) = ({size},) or (*batch, K), "
            f"but it has shape {shape_text(array.shape)}",
        )
    return array.reshape(-1, size)


def check_transition(
    where: str, name: str, array: Any, batch_shape: tuple[int, ...], steps: int, size: int
) -> Array:
    """Returns transitions as a chain holds them, or raises."""
    array = check_floating(where, name, array)
    square = (size, size)
    if array.shape == square:
        return array
    rows = math.prod(batch_shape)
    if array.shape == (*batch_shape, *square):
        return array.reshape(rows, *square)
    if array.shape == (*batch_shape, max(steps - 1, 0), *square):
        return jnp.moveaxis(array.reshape(rows, max(steps - 1, 0), *square), 1, 0)
    raise error(
        where,
        f"`{name}` must have shape (K, K) = {shape_text(square)}, (*batch, K, K) or "
        f"(*batch, T-1, K, K), but it has shape {shape_text(array.shape)}",
        hint=f"batch is {shape_text(batch_shape)}, T is {steps}",
    )


def problem(
    where: str,
    names: tuple[str, str, str, str],
    emission: Any,
    transition: Any,
    initial: Any,
    final: Any,
    lengths: Any,
    observed: Any = None,
) -> Problem:
    """Returns the scores of checked arguments.

    Args:
      where: the function that the user called.
      names: what it calls emission, transition, initial and final.
      emission: ``[*batch, T, K]``.
      transition: see :class:`Chain`, with the caller's batch axes.
      initial: ``[K]`` or ``[*batch, K]``, or None.
      final: the same.
      lengths: ``[*batch]``, or None.
      observed: ``[*batch, T]`` bool, or None: steps that are not observed say nothing.
    """
    emission = check_sequences(where, names[0], emission, "K")
    *batch_shape, steps, size = emission.shape
    batch_shape = tuple(batch_shape)
    transition = check_transition(where, names[1], transition, batch_shape, steps, size)
    dtype = jnp.promote_types(emission.dtype, transition.dtype)
    ends = []
    for name, scores in zip(names[2:], (initial, final), strict=True):
        scores = None if scores is None else check_vector(where, name, scores, size, batch_shape)
        dtype = dtype if scores is None else jnp.promote_types(dtype, scores.dtype)
        ends.append(scores)
    given = lengths is not None
    lengths = check_lengths(where, lengths, batch_shape, steps).reshape(-1)
    emission = emission.reshape(math.prod(batch_shape), steps, size).astype(dtype)
    if observed is not None:
        emission = _hide(where, emission, observed, (*batch_shape, steps))
    if not steps:
        emission = jnp.zeros((emission.shape[0], 1, size), dtype)
    transition = transition.astype(dtype)
    if given and transition.ndim == 4:
        valid = valid_steps(lengths, steps)[1:]
        transition = jnp.where(valid[..., None, None], transition, 0)
    initial, final = (None if one is None else one.astype(dtype) for one in ends)
    given = lengths if given or not steps else None
    scores = Scores(transition, emission, initial, final, given)
    return Problem(scores, lengths, batch_shape, steps)


def _hide(where: str, emission: Array, observed: Any, shape: tuple[int, ...]) -> Array:
    """Returns emissions that say nothing where nothing was observed."""
    check_shape(where, "observed", observed, "(*batch, T)", shape)
    if observed.dtype != bool:
        raise error(
            where, f"`observed` must be bool, but it has dtype {observed.dtype}", kind=TypeError
        )
    return jnp.where(jnp.asarray(observed).reshape(emission.shape[:2])[..., None], emission, 0)
