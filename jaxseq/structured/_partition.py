"""The sum over all paths of a chain, its derivative, and the posterior of states."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxseq._types import Array
from jaxseq.structured import _messages
from jaxseq.structured._backend import choose
from jaxseq.structured._blocks import filter_blocks, smooth_blocks
from jaxseq.structured._groups import even, log_total
from jaxseq.structured._messages import Chain
from jaxseq.structured._scaled import (
    Filtered,
    Scaled,
    Smoothed,
    filter_sequential,
    log_arrival,
    log_filtered,
    log_scale,
    scale,
    smooth_sequential,
    trusted,
)
from jaxseq.structured._semiring import LOG, log, logsumexp


class Posterior(NamedTuple):
    """What a chain says of its states, given all steps.

    Attributes:
      log_z: ``[B]``.
      log_marginal: ``[T, B, K]``; anything in the pads.
      counts: ``[B, K, K]``, how often each transition is expected to be taken.
    """

    log_z: Array
    log_marginal: Array
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
    return logsumexp(_messages.forward(chain, LOG)[-1], -1)


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
    return Posterior(log_z, log_marginal, jnp.exp(step).sum(0))


def messages_forward(scaled: Scaled, backend: str) -> Filtered:
    """Returns the forward messages in probabilities."""
    return filter_blocks(scaled) if backend == "associative" else filter_sequential(scaled)


def messages_backward(scaled: Scaled, filtered: Filtered, backend: str) -> Smoothed:
    """Returns the backward messages in probabilities."""
    if backend == "associative":
        return smooth_blocks(scaled, filtered)
    return smooth_sequential(scaled, filtered)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _log_partition(backend: str, chain: Chain) -> Array:
    """Returns the log of the sum over all paths, ``[B]``; -inf where none is allowed.

    Args:
      backend: also ``"auto"``: the sum alone and its gradient may want different ones.
      chain: the chain.
    """
    chosen = choose(backend, chain, alone=True)
    if chosen == "reference":
        return exact_log_partition(chain)

    def with_messages() -> Array:
        scaled = scale(chain)
        messages = messages_forward(scaled, choose(backend, chain))
        log_z = log_scale(scaled, messages).sum(0)
        trust = trusted(chain, scaled, messages)
        return jax.lax.cond(trust, lambda: log_z, lambda: exact_log_partition(chain))

    if chosen == "associative":
        return with_messages()
    return jax.lax.cond(even(chain), lambda: log_total(chain), with_messages)


@_log_partition.defjvp
def log_partition_jvp(
    backend: str, primals: tuple[Chain], tangents: tuple[Chain]
) -> tuple[Array, Array]:
    """Differentiates the log-partition: its gradient is the posterior.

    Of an emission that is the posterior probability of the state, of a transition the expected
    number of times that it is taken. All steps' are one product, after the loops.
    """
    (chain,), (d_chain,) = primals, tangents

    def exact(d_transition: Array, d_emission: Array) -> Array:
        def of(transition: Array, emission: Array) -> Array:
            return exact_log_partition(Chain(transition, emission, chain.valid))

        arrays = (chain.transition, chain.emission)
        return jax.jvp(of, arrays, (d_transition, d_emission))[1]

    d_arrays = (d_chain.transition, d_chain.emission)
    backend = choose(backend, chain)
    if backend == "reference":
        return exact_log_partition(chain), exact(*d_arrays)
    scaled = scale(chain)
    messages = messages_forward(scaled, backend)
    smoothed = messages_backward(scaled, messages, backend)
    trust = trusted(chain, scaled, messages, smoothed)
    marginal = messages.probs * smoothed.ratio
    if chain.valid is not None:
        marginal = jnp.where(chain.valid[..., None], marginal, 0)
    axes = {2: "ij", 3: "bij", 4: "tbij"}[chain.transition.ndim]

    def fast(d_transition: Array, d_emission: Array) -> Array:
        d_move = scaled.transition * d_transition
        moved = jnp.einsum(f"tbi,{axes}->tbj", messages.probs[:-1], d_move, precision="highest")
        return (marginal * d_emission).sum((0, 2)) + (moved * smoothed.arrival).sum((0, 2))

    log_z = log_scale(scaled, messages).sum(0)
    log_z = jax.lax.cond(trust, lambda: log_z, lambda: exact_log_partition(chain))
    return log_z, jax.lax.cond(trust, fast, exact, *d_arrays)


log_partition = jax.jit(_log_partition, static_argnums=0)


@functools.partial(jax.jit, static_argnums=0)
def filtered(backend: str, chain: Chain) -> tuple[Array, Array]:
    """Returns the log-partition ``[B]``, and ``[T, B, K]``, of a state given the steps up to it."""
    if backend == "reference":
        return exact_filtered(chain)
    scaled = scale(chain)
    messages = messages_forward(scaled, backend)
    fast = log_scale(scaled, messages).sum(0), log_filtered(chain, scaled, messages)
    trust = trusted(chain, scaled, messages)
    return jax.lax.cond(trust, lambda: fast, lambda: exact_filtered(chain))


@functools.partial(jax.jit, static_argnums=0)
def posterior(backend: str, chain: Chain) -> Posterior:
    """Returns the posterior of the states."""
    if backend == "reference":
        return exact_posterior(chain)
    scaled = scale(chain)
    messages = messages_forward(scaled, backend)
    smoothed = messages_backward(scaled, messages, backend)
    log_filter = log_filtered(chain, scaled, messages)
    axes = "tbi,tbij,tbj->bij" if chain.varies else "tbi,tbj->bij"
    operands = (messages.probs[:-1], smoothed.arrival)
    if chain.varies:
        counts = jnp.einsum(axes, operands[0], scaled.transition, operands[1], precision="highest")
    else:
        move = jnp.expand_dims(scaled.transition, range(3 - chain.transition.ndim))
        counts = jnp.einsum(axes, *operands, precision="highest") * move
    log_z = log_scale(scaled, messages).sum(0)
    log_z_known = jnp.broadcast_to(log_z[:, None] > -jnp.inf, log_filter.shape[1:])
    log_marginal = jnp.where(log_z_known, log_filter + log(smoothed.ratio), -jnp.inf)
    fast = Posterior(log_z, log_marginal, counts)
    trust = trusted(chain, scaled, messages, smoothed)
    return jax.lax.cond(trust, lambda: fast, lambda: exact_posterior(chain))


@functools.partial(jax.jit, static_argnums=0)
def log_pairs(backend: str, chain: Chain) -> Array:
    """Returns the log-posterior of each two successive states, ``[T-1, B, K, K]``."""
    if backend == "reference":
        pairs = exact_pairs(chain)[2]
    else:
        scaled = scale(chain)
        messages = messages_forward(scaled, backend)
        smoothed = messages_backward(scaled, messages, backend)
        fast = Pairs(
            log_filtered(chain, scaled, messages), log_arrival(chain, scaled, messages, smoothed)
        )
        trust = trusted(chain, scaled, messages, smoothed)
        pairs = jax.lax.cond(trust, lambda: fast, lambda: exact_pairs(chain)[2])
    move = jnp.expand_dims(chain.transition, range(4 - chain.transition.ndim))
    return pairs.before[:-1, ..., None] + move + pairs.arrival[..., None, :]
