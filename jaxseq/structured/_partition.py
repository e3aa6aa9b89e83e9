"""The sum over all paths of a chain, its derivative, and the posterior of states."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxseq._types import Array
from jaxseq.structured import _steps as steps
from jaxseq.structured._backend import choose
from jaxseq.structured._blocks import filter_blocks, smooth_blocks, total_of_blocks
from jaxseq.structured._exact import (
    Expected,
    Pairs,
    Posterior,
    exact_expected,
    exact_filtered,
    exact_log_partition,
    exact_pairs,
    exact_posterior,
    exact_total,
)
from jaxseq.structured._groups import even, log_total
from jaxseq.structured._messages import Chain
from jaxseq.structured._scaled import (
    Filtered,
    Scaled,
    Smoothed,
    arriving,
    dense,
    filter_sequential,
    log_arrival,
    log_filtered,
    log_scale,
    of_rows,
    scale,
    smooth_sequential,
    trusted,
)
from jaxseq.structured._scores import Scores
from jaxseq.structured._semiring import log


def messages_forward(scaled: Scaled, backend: str) -> Filtered:
    """Returns the forward messages in probabilities."""
    return filter_blocks(scaled) if backend == "associative" else filter_sequential(scaled)


def messages_backward(scaled: Scaled, filtered: Filtered, backend: str) -> Smoothed:
    """Returns the backward messages in probabilities."""
    if backend == "associative":
        return smooth_blocks(scaled, filtered)
    return smooth_sequential(scaled, filtered)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _log_partition(backend: str, scores: Scores) -> Array:
    """Returns the log of the sum over all paths, ``[B]``; -inf where none is allowed.

    Args:
      backend: also ``"auto"``: the sum alone and its gradient may want different ones.
      scores: of the chain.
    """
    chosen = choose(backend, scores, alone=True)
    if chosen == "reference":
        return exact_total(scores)

    def with_messages() -> Array:
        if choose(backend, scores) == "sequential" and scores.transition.ndim < 4:
            log_z, trust, _ = steps.forward(scores, keep=False)
        else:
            chain = scores.chain
            scaled = scale(chain)
            messages = messages_forward(scaled, choose(backend, scores))
            log_z = log_scale(scaled, messages.scale).sum(0)
            trust = trusted(chain, scaled, messages)
        return jax.lax.cond(trust, lambda: log_z, lambda: exact_total(scores))

    if chosen == "associative":
        lossless, alone = dense(scores.transition), lambda: total_of_blocks(scale(scores.chain))
    else:
        lossless, alone = even(scores.transition), lambda: log_total(scores)
    return jax.lax.cond(lossless, alone, with_messages)


@_log_partition.defjvp
def log_partition_jvp(
    backend: str, primals: tuple[Scores], tangents: tuple[Scores]
) -> tuple[Array, Array]:
    """Differentiates the log-partition: its gradient is the posterior.

    Of an emission that is the posterior probability of the state, of a transition the expected
    number of times that it is taken.
    """
    (scores,), (d_scores,) = primals, tangents
    backend = choose(backend, scores)
    if backend == "reference" or scores.transition.ndim == 4:
        return jvp_of_chain(backend, scores, d_scores)
    log_z, marginal, counts = expected(backend, scores)
    d_emission, valid = d_scores.emission, scores.valid(0, scores.sizes[0])
    if valid is not None:
        d_emission = jnp.where(valid.T[..., None], d_emission, 0)
    d_counts = counts * of_rows(d_scores.transition)
    d_log_z = (marginal * d_emission).sum((1, 2)) + d_counts.sum((1, 2))
    if d_scores.initial is not None:
        d_log_z = d_log_z + (marginal[:, 0] * d_scores.initial).sum(-1)
    if d_scores.final is not None:
        last = jnp.maximum(scores.ends - 1, 0)
        last = jnp.take_along_axis(marginal, last[:, None, None], 1)[:, 0]
        d_log_z = d_log_z + (last * d_scores.final).sum(-1)
    return log_z, d_log_z


def jvp_of_chain(backend: str, scores: Scores, d_scores: Scores) -> tuple[Array, Array]:
    """Differentiates the log-partition with one product of all steps, after the loops."""

    def chain_of(
        transition: Array, emission: Array, initial: Array | None, final: Array | None
    ) -> tuple[Array, Array]:
        moved = Scores(transition, emission, initial, final, scores.lengths)
        return moved.chain[:2]

    _, d_arrays = jax.jvp(chain_of, scores[:4], d_scores[:4])
    chain = scores.chain

    def exact(d_transition: Array, d_emission: Array) -> tuple[Array, Array]:
        def of(transition: Array, emission: Array) -> Array:
            return exact_log_partition(Chain(transition, emission, chain.valid))

        return jax.jvp(of, chain[:2], (d_transition, d_emission))

    if backend == "reference":
        return exact(*d_arrays)
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

    log_z = log_scale(scaled, messages.scale).sum(0)
    log_z = jax.lax.cond(trust, lambda: log_z, lambda: exact_log_partition(chain))
    return log_z, jax.lax.cond(trust, fast, lambda *d: exact(*d)[1], *d_arrays)


log_partition = jax.jit(_log_partition, static_argnums=0)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def expected(backend: str, scores: Scores) -> Expected:
    """Returns the derivatives of the log-partition, of transitions that stand still."""
    if backend == "associative":
        return lossless_or_checked(backend, scores, expected_of_messages)
    log_z, trust, kept = steps.forward(scores, steps.GRADIENT_NUMBERS)
    return jax.lax.cond(
        trust,
        lambda: Expected(log_z, *steps.backward(scores, kept, steps.marginals)),
        lambda: exact_expected(scores.chain),
    )


@expected.defjvp
def expected_jvp(
    backend: str, primals: tuple[Scores], tangents: tuple[Scores]
) -> tuple[Expected, Expected]:
    """Differentiates what is expected, through the messages of all steps."""
    return jax.jvp(functools.partial(expected_of_messages, backend), primals, tangents)


def expected_of_messages(backend: str, scores: Scores, *, lossless: bool = False) -> Expected:
    """Returns what :func:`expected` does, from the messages of all steps.

    Args:
      backend: not the reference.
      scores: of the chain.
      lossless: whether it is known that probabilities lose nothing.
    """
    chain = scores.chain
    scaled = scale(chain)
    messages = messages_forward(scaled, backend)
    smoothed = messages_backward(scaled, messages, backend)

    def fast() -> Expected:
        marginal = messages.probs * smoothed.ratio
        if chain.valid is not None:
            marginal = jnp.where(chain.valid[..., None], marginal, 0)
        log_z = log_scale(scaled, messages.scale).sum(0)
        return Expected(log_z, jnp.moveaxis(marginal, 0, 1), smoothed.counts)

    if lossless:
        return fast()
    trust = trusted(chain, scaled, messages, smoothed)
    return jax.lax.cond(trust, fast, lambda: exact_expected(chain))


def lossless_or_checked(backend: str, scores: Scores, of_messages: Callable) -> Any:
    """Returns what is made of messages, without a look at all of them where none is needed.

    A check wants them as arrays, and so does a branch that comes after them. Where nothing can be
    lost, all is made in one branch, and most of them are never written.
    """
    return jax.lax.cond(
        dense(scores.transition),
        lambda: of_messages(backend, scores, lossless=True),
        lambda: of_messages(backend, scores),
    )


@functools.partial(jax.jit, static_argnums=0)
def filtered(backend: str, scores: Scores) -> tuple[Array, Array]:
    """Returns the log-partition ``[B]``, and ``[T, B, K]``, of a state given the steps up to it."""
    chain = scores.chain
    if backend == "reference":
        return exact_filtered(chain)
    scaled = scale(chain)
    messages = messages_forward(scaled, backend)
    before = arriving(scaled, messages)
    fast = log_scale(scaled, messages.scale).sum(0), log_filtered(chain, scaled, messages, before)
    trust = trusted(chain, scaled, messages)
    return jax.lax.cond(trust, lambda: fast, lambda: exact_filtered(chain))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _posterior(backend: str, scores: Scores) -> Posterior:
    """Returns the posterior of the states."""
    if backend == "reference":
        return exact_posterior(scores.chain)
    if backend == "associative" or scores.transition.ndim == 4:
        return lossless_or_checked(backend, scores, posterior_of_messages)
    log_z, trust, kept = steps.forward(scores)

    def fast() -> Posterior:
        return Posterior(log_z, *steps.backward(scores, kept, steps.log_marginals))

    found = jax.lax.cond(trust, fast, lambda: exact_posterior(scores.chain))
    # Out here, where it is part of what is made of the log-marginals next, it is no array.
    return found._replace(log_marginal=where_possible(found.log_z, found.log_marginal))


@_posterior.defjvp
def posterior_jvp(
    backend: str, primals: tuple[Scores], tangents: tuple[Scores]
) -> tuple[Posterior, Posterior]:
    """Differentiates the posterior, through the messages of all steps."""
    return jax.jvp(functools.partial(posterior_of_messages, backend), primals, tangents)


def posterior_of_messages(backend: str, scores: Scores, *, lossless: bool = False) -> Posterior:
    """Returns the posterior, from the messages of all steps.

    Args:
      backend: of the messages.
      scores: of the chain.
      lossless: whether it is known that probabilities lose nothing.
    """
    chain = scores.chain
    if backend == "reference":
        return exact_posterior(chain)
    scaled = scale(chain)
    messages = messages_forward(scaled, backend)
    smoothed = messages_backward(scaled, messages, backend)

    def fast() -> Posterior:
        log_z = log_scale(scaled, messages.scale).sum(0)
        log_filter = log_filtered(chain, scaled, messages, arriving(scaled, messages))
        log_marginal = jnp.moveaxis(log_filter + log(smoothed.ratio), 0, 1)
        return Posterior(log_z, where_possible(log_z, log_marginal), smoothed.counts)

    if lossless:
        return fast()
    trust = trusted(chain, scaled, messages, smoothed)
    return jax.lax.cond(trust, fast, lambda: exact_posterior(chain))


posterior = jax.jit(_posterior, static_argnums=0)


def where_possible(log_z: Array, log_marginal: Array) -> Array:
    """Returns log-marginals, ``[B, T, K]``; -inf in rows without a path."""
    return jnp.where(log_z[:, None, None] > -jnp.inf, log_marginal, -jnp.inf)


@functools.partial(jax.jit, static_argnums=0)
def log_pairs(backend: str, scores: Scores) -> Array:
    """Returns the log-posterior of each two successive states, ``[T-1, B, K, K]``."""
    chain = scores.chain
    if backend == "reference":
        pairs = exact_pairs(chain)[2]
    else:
        scaled = scale(chain)
        messages = messages_forward(scaled, backend)
        smoothed = messages_backward(scaled, messages, backend)
        fast = Pairs(
            log_filtered(chain, scaled, messages, arriving(scaled, messages)),
            log_arrival(chain, scaled, messages, smoothed),
        )
        trust = trusted(chain, scaled, messages, smoothed)
        pairs = jax.lax.cond(trust, lambda: fast, lambda: exact_pairs(chain)[2])
    move = jnp.expand_dims(chain.transition, range(4 - chain.transition.ndim))
    return pairs.before[:-1, ..., None] + move + pairs.arrival[..., None, :]
