"""Observations, checked and harmless: what a fit reads at every step."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxseq._arrays import known
from jaxseq._checks import check_shape, error, shape_text
from jaxseq._types import Array
from jaxseq.structured._arguments import check_lengths
from jaxseq.structured.hmm._emission import Emission


class Data(NamedTuple):
    """Sequences to learn from, cut after the longest of them.

    Attributes:
      observations: ``[B, T, *event]``, 0 where nothing is used.
      used: ``[B, T]`` bool, what is valid and observed.
      lengths: ``[B]``, or None, where all steps are valid.
      observed: ``[B, T]`` bool, or None, where all valid steps are observed.
    """

    observations: Array
    used: Array
    lengths: Array | None
    observed: Array | None


def prepare(where: str, emission: Emission, observations: Any, lengths: Any, observed: Any) -> Data:
    """Returns sequences to learn from, or raises.

    Args:
      where: the function that the user called.
      emission: the family.
      observations: ``[*batch, T, *event]``.
      lengths: ``[*batch]``, or None.
      observed: ``[*batch, T]``, or None.
    """
    if not all(known(array) for array in (observations, lengths, observed)):
        raise error(
            where,
            "it looks at values, so that it cannot run under jit, vmap or grad",
            hint="differentiate hmm.log_likelihood, or write the loop around it",
            kind=TypeError,
        )
    observations = np.asarray(observations)
    _check_shape(where, emission, observations)
    shape = observations.shape[: observations.ndim - len(emission.event_shape)]
    lengths = None if lengths is None else np.asarray(lengths)
    lengths = np.asarray(check_lengths(where, lengths, shape[:-1], shape[-1]))
    valid = np.arange(shape[-1]) < lengths[..., None]
    used = valid if observed is None else valid & _check_observed(where, observed, shape)
    if not used.any():
        raise error(
            where,
            f"there is no step to learn from: `observations` have shape "
            f"{shape_text(observations.shape)}",
            hint="at least one step must be valid, by `lengths`, and observed",
        )
    emission.check(where, observations, used)
    return _rows(emission, observations, lengths, valid, used)


def _rows(emission: Emission, observations: Any, lengths: Any, valid: Any, used: Any) -> Data:
    """Returns all with one batch axis, cut after the longest row, and nothing in what is unused."""
    steps, event = int(lengths.max()), emission.event_shape
    shown = used.reshape(*used.shape, *(1 for _ in event))
    observations = np.where(shown, observations, 0).reshape(-1, used.shape[-1], *event)
    missing = (valid & ~used).any()
    used = used.reshape(-1, used.shape[-1])[:, :steps]
    ragged = (lengths < steps).any()
    return Data(
        jnp.asarray(observations[:, :steps]),
        jnp.asarray(used),
        jnp.asarray(lengths.reshape(-1)) if ragged else None,
        jnp.asarray(used) if missing else None,
    )


def _check_shape(where: str, emission: Emission, observations: np.ndarray) -> None:
    event = emission.event_shape
    ndim = observations.ndim
    if ndim >= 1 + len(event) and observations.shape[ndim - len(event) :] == event:
        return
    axes = f"(*batch, T, D) with D = {event[0]}" if event else "(*batch, T)"
    raise error(
        where,
        f"`observations` must have shape {axes}, but they have shape "
        f"{shape_text(observations.shape)}",
        hint="a series of numbers is one of vectors of size 1: xs[..., None]"
        if event == (1,)
        else None,
    )


def _check_observed(where: str, observed: Any, shape: tuple[int, ...]) -> np.ndarray:
    observed = np.asarray(observed)
    check_shape(where, "observed", observed, "(*batch, T)", shape)
    if observed.dtype != bool:
        raise error(
            where, f"`observed` must be bool, but it has dtype {observed.dtype}", kind=TypeError
        )
    return observed
