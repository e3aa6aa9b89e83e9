"""What may be given to the functions of this room: checked where users enter."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Integer

from jaxseq._arrays import known
from jaxseq._checks import check_shape, error
from jaxseq._types import Array, ArrayLike
from jaxseq.structured._arguments import Problem, check_backend, problem
from jaxseq.structured.crf._constraints import Allowed

Emissions = Float[ArrayLike, "*batch T K"]
Tags = Integer[ArrayLike, "*batch T"]
Transitions = Float[ArrayLike, "... K K"]
"""``[K, K]``, from a row's tag to a column's; ``[*batch, K, K]`` or ``[*batch, T-1, K, K]``."""
Ends = Float[ArrayLike, "... K"]
"""``[K]``, or ``[*batch, K]`` where rows differ."""


def crf_problem(
    name: str,
    emissions: Any,
    transitions: Any,
    initial: Any,
    final: Any,
    allowed: Any,
    lengths: Any,
    backend: str,
) -> Problem:
    """Returns the chain of checked arguments, with -inf for what is not allowed."""
    where = f"crf.{name}"
    check_backend(where, backend)
    names = ("emissions", "transitions", "initial", "final")
    if allowed is not None:
        size = jnp.shape(emissions)[-1]
        for field, mask in zip(Allowed._fields, allowed, strict=True):
            shape = (size, size) if field == "transitions" else (size,)
            axes = "(K, K)" if field == "transitions" else "(K,)"
            check_shape(where, f"allowed.{field}", mask, axes, shape)
        transitions = jnp.asarray(transitions)
        mask = jnp.expand_dims(jnp.asarray(allowed.transitions), range(transitions.ndim - 2))
        transitions = jnp.where(mask, transitions, -jnp.inf)
        initial, final = (
            jnp.where(mask, jnp.zeros(size, transitions.dtype) if end is None else end, -jnp.inf)
            for mask, end in ((allowed.initial, initial), (allowed.final, final))
        )
    return problem(where, names, emissions, transitions, initial, final, lengths)


def check_tags(name: str, tags: Any, p: Problem) -> Array:
    """Returns tags as ``[T, B]`` (T at least 1), or raises; those of pads are 0."""
    where = f"crf.{name}"
    check_shape(where, "tags", tags, "(*batch, T)", (*p.batch_shape, p.steps))
    if not jnp.issubdtype(tags.dtype, jnp.integer):
        raise error(
            where, f"`tags` must be integers, but they have dtype {tags.dtype}", kind=TypeError
        )
    size = p.scores.sizes[-1]
    if known(tags) and known(p.lengths):
        rows = np.asarray(tags).reshape(-1, p.steps)
        valid = np.arange(p.steps) < np.asarray(p.lengths)[:, None]
        outside = rows[valid & ((rows < 0) | (rows >= size))]
        if outside.size:
            raise error(
                where,
                f"`tags` must be between 0 and K - 1 = {size - 1}, but there is {int(outside[0])}",
                hint="steps without a tag go into `lengths`, not into the tags",
            )
    tags = jnp.asarray(tags, jnp.int32).reshape(-1, p.steps).T
    tags = tags if p.steps else jnp.zeros((1, tags.shape[1]), jnp.int32)
    valid = p.scores.valid(0, len(tags))
    return tags if valid is None else jnp.where(valid, tags, 0)
