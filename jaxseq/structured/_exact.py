"""Sums over paths in logarithms throughout: what probabilities cannot hold, and the reference."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxseq._types import Array
from jaxseq.structured import _messages
from jaxseq.structured._messages import Chain
from jaxseq.structured._scores import Scores
from jaxseq.structured._semiring import LOG, logsumexp, vecmat


class Posterior(NamedTuple):
    """What a chain says of its states, given all steps.

    Attributes:
      log_z: ``[B]``.
      log_marginal: ``[B, T, K]``; anything in the pads.
      counts: ``[B, K, K]``, how often each transition is expected to be taken.
    """

    log_z: Array
    log_marginal: Array
    counts: Array


class Expected(NamedTuple):
    """The derivatives of the log-partition.

    Attributes:
      log_z: ``[B]``.
      marginal: ``[B, T, K]``, by the emissions: the posterior of the states, 0 in the pads.
      counts: ``[B, K, K]``, by the transitions: how often each is expected to be taken.
    """

    log_z: Array
    marginal: Array
    counts: Array


class Pairs(NamedTuple):
    """What two successive states are made of, in logarithms; added, with a transition between.

    Attributes:
      before: ``[T, B, K]``, of a state given the steps up to it; anything in the pads.
      arrival: ``[T-1, B, K]``, of a state and all that is seen from it on; -inf in the pads.
    """

    before: Array
    arrival: Array


def exact_log_partition(chain: Chain) -> Array:
    """Returns the log of the sum over all paths, in logarithms throughout."""
    return logsumexp(_messages.forward(chain, LOG, _messages.last_message), -1)


def exact_total(scores: Scores) -> Array:
    """Returns the same of scores as they were given, without a copy of them."""
    fixed, steps = scores.transition, scores.sizes[0]

    def step(message: Array, x: tuple[Array, Array | None]) -> Array:
        at, move = x
        return vecmat(LOG, message, fixed if move is None else move) + scores.at(at)

    later = jnp.arange(1, steps, dtype=jnp.int32)
    xs = (later, fixed if fixed.ndim == 4 else None)
    valid = scores.valid(0, steps)
    return logsumexp(_messages.last_message(step, scores.at(0), xs, valid), -1)


def normalised(logs: Array, total: Array) -> Array:
    """Returns ``logs - total``; of a total of -inf, -inf."""
    finite = (total > -jnp.inf)[..., None]
    return jnp.where(finite, logs - jnp.where(finite, total[..., None], 0), -jnp.inf)


def exact_filtered(chain: Chain) -> tuple[Array, Array]:
    """Returns what :func:`filtered` does, in logarithms throughout."""
    before = _messages.forward(chain, LOG)
    past = logsumexp(before, -1)
    return past[-1], normalised(before, past)


def exact_pairs(chain: Chain) -> tuple[Array, Array, Pairs]:
    """Returns log-partition, log-marginals and pairs, in logarithms throughout."""
    before = _messages.forward(chain, LOG)
    after = _messages.backward(chain, LOG)
    past = logsumexp(before, -1)
    log_z = jnp.broadcast_to(past[-1], past.shape)
    arrival = chain.emission[1:] + after[1:] + past[:-1, :, None]
    arrival = normalised(arrival, log_z[1:])
    if chain.valid is not None:
        arrival = jnp.where(chain.valid[1:, :, None], arrival, -jnp.inf)
    return past[-1], normalised(before + after, log_z), Pairs(normalised(before, past), arrival)


def exact_posterior(chain: Chain) -> Posterior:
    """Returns the posterior, in logarithms throughout."""
    log_z, log_marginal, pairs = exact_pairs(chain)
    move = jnp.expand_dims(chain.transition, range(4 - chain.transition.ndim))
    step = pairs.before[:-1, ..., None] + move + pairs.arrival[..., None, :]
    return Posterior(log_z, jnp.moveaxis(log_marginal, 0, 1), jnp.exp(step).sum(0))


def exact_expected(chain: Chain) -> Expected:
    """Returns what is expected, in logarithms throughout."""
    rows, size = chain.emission.shape[1:]
    transition = jnp.broadcast_to(chain.transition, (rows, size, size))

    def total(emission: Array, transition: Array) -> tuple[Array, Array]:
        log_z = exact_log_partition(Chain(transition, emission, chain.valid))
        return log_z.sum(), log_z

    found, log_z = jax.grad(total, (0, 1), has_aux=True)(chain.emission, transition)
    return Expected(log_z, jnp.moveaxis(found[0], 0, 1), found[1])
