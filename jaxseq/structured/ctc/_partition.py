"""The sum over all alignments, in logarithms throughout, and the posterior that is its gradient."""

import functools

import jax
import jax.numpy as jnp

from jaxseq._arrays import accumulator
from jaxseq._types import Array
from jaxseq.structured._arguments import valid_steps
from jaxseq.structured._semiring import logsumexp
from jaxseq.structured.ctc._lattice import Lattice, build, choose, predecessors

BLOCK = 32


def _level(x: Array, axis: int) -> Array:
    """Returns the largest, to be subtracted: it changes no result, so it needs no derivative."""
    level = jax.lax.stop_gradient(jnp.max(x, axis))
    return jnp.where(level == -jnp.inf, 0, level)


def advance(message: Array, skip: Array) -> Array:
    """Returns the sums over the ways into each state, ``[S * R]``."""
    stay, step, leap = predecessors(message, skip)
    high, low = jnp.maximum(stay, step), jnp.minimum(stay, step)
    top, middle = jnp.maximum(high, leap), jnp.minimum(high, leap)
    level = jnp.maximum(top, jnp.finfo(top.dtype).min)  # where all are -inf, so is the sum
    return top + jnp.log(1 + jnp.exp(middle - level) + jnp.exp(low - level))


def lowered(message: Array, rows: int) -> tuple[Array, Array]:
    """Returns a message ``[S * R]`` brought to where its largest entry is 0, and what was taken.

    In float32 the entries which matter then have all their digits, however long the sequence is.
    """
    height = _level(message.reshape(-1, rows), 0)
    return message - jnp.tile(height, message.size // rows), height


def total(lattice: Lattice, last: Array, height: Array) -> Array:
    """Returns the log of the sum over all paths, ``[B]``, from the message after the last step."""
    last = last.reshape(lattice.skip.shape)
    return logsumexp(jnp.where(lattice.ends, last, -jnp.inf), 0) + height


@jax.custom_jvp
def norms(logits: Array, lengths: Array) -> Array:
    """Returns the log of what each frame's symbols sum to, ``[B, T]``; anything in the pads."""
    return jax.nn.logsumexp(logits.astype(accumulator(logits.dtype)), axis=-1)


@norms.defjvp
def norms_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    """Differentiates, with 0 in the pads, whatever stands there."""
    logits, lengths = primals
    norm = norms(logits, lengths)
    return norm, mean(logits, norm, lengths, tangents[0])


def mean(logits: Array, norm: Array, lengths: Array, values: Array) -> Array:
    """Returns the mean of values under softmax, ``[B, T]``; 0 in the pads."""
    valid = valid_steps(lengths, norm.shape[1]).T[..., None]
    # Logits are left out before the exponential, or a NaN would reach higher derivatives.
    probs = jnp.exp(jnp.where(valid, logits.astype(norm.dtype) - norm[..., None], -jnp.inf))
    return (probs * jnp.where(valid, values.astype(norm.dtype), 0)).sum(-1)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def log_partition(
    blank: int,
    normalised: bool,
    scores: Array,
    lengths: Array,
    labels: Array,
    label_lengths: Array,
) -> Array:
    """Returns the log of the sum over all paths, ``[B]``; -inf where there is none.

    The band is made for one block of steps after the other: of the whole of it, it would be the
    largest array but for ``scores``.
    """
    norm = None if normalised else norms(scores, lengths)

    def block(carry: tuple[Array, Array], start: Array | int, size: int) -> tuple[Array, Array]:
        message, height = carry
        piece = jax.lax.dynamic_slice_in_dim(scores, start, size, axis=1)
        level = None if norm is None else jax.lax.dynamic_slice_in_dim(norm, start, size, axis=1)
        band = build(piece, level, lengths - start, labels, label_lengths, blank)

        def body(message: Array, emission: Array) -> tuple[Array, None]:
            return advance(message, band.skip) + emission, None

        message = jax.lax.scan(body, message, band.emission.reshape(size, -1))[0]
        message, taken = lowered(message, band.last.size)
        return message, height + taken

    band = build(scores[:, :0], None, lengths, labels, label_lengths, blank)
    first = band.at(jnp.zeros_like(band.last))
    carry = (first.reshape(-1), jnp.zeros_like(first[0]))
    count, rest = divmod(scores.shape[1], BLOCK)
    if count:
        starts = BLOCK * jnp.arange(count, dtype=jnp.int32)
        carry = jax.lax.scan(lambda carry, at: (block(carry, at, BLOCK), None), carry, starts)[0]
    if rest:
        carry = block(carry, count * BLOCK, rest)
    return total(band, *carry)


@log_partition.defjvp
def log_partition_jvp(
    blank: int,
    normalised: bool,
    primals: tuple[Array, Array, Array, Array],
    tangents: tuple[Array, ...],
) -> tuple[Array, Array]:
    """Differentiates: the gradient of a log-probability is the posterior of what it is of.

    That of logits has softmax taken from it. Made here it is one array, into which the posterior is
    added; of :func:`jax.nn.log_softmax` come three of its size.
    """
    scores, lengths, labels, label_lengths = primals
    norm = None if normalised else norms(scores, lengths)
    band = build(scores, norm, lengths, labels, label_lengths, blank)
    log_z, probs = posterior(band)
    d_chosen = choose(tangents[0], labels, blank).astype(probs.dtype)
    d_chosen = jnp.where(band.valid[:, None], d_chosen, 0)
    d_blanks = (probs[:, ::2] * d_chosen[:, :1]).sum((0, 1))
    d_log_z = d_blanks + (probs[:, 1::2] * d_chosen[:, 1:]).sum((0, 1))
    if norm is None:
        return log_z, d_log_z
    found = probs.sum(1).T  # 1, or 0 where there is no path
    return log_z, d_log_z - (found * mean(scores, norm, lengths, tangents[0])).sum(1)


def posterior(lattice: Lattice) -> tuple[Array, Array]:
    """Returns the log-partition, ``[B]``, and the posterior of the states, ``[T, S, B]``.

    Read from its end the band is a band again, so that one loop runs forward and backward messages
    side by side: half as many steps, each with twice as much to do.
    """
    emission, skip, last, valid = lattice
    rows = last.size
    skip = jnp.concatenate([skip, jnp.pad(skip[::-1], ((2, 0), (0, 0)))[:-2]], axis=-1)

    @jax.checkpoint
    def body(message: Array, emission: Array) -> tuple[Array, tuple[Array, Array]]:
        message, height = lowered(advance(message, skip) + emission, 2 * rows)
        return message, (message, height)

    firsts = [lattice.at(jnp.zeros_like(last)), lattice.at(last)[::-1]]
    both = jnp.concatenate([emission, emission[::-1, ::-1]], axis=-1)
    end, (messages, heights) = jax.lax.scan(
        body, jnp.concatenate(firsts, axis=-1).reshape(-1), both.reshape(both.shape[0], -1)
    )
    end, messages = end.reshape(*skip.shape), messages.reshape(both.shape)
    before, after = messages[..., :rows], messages[::-1, ::-1, rows:]
    # Both have the emission in them; where it is -inf, so are they.
    joint = before + after - jnp.where(emission == -jnp.inf, 0, emission)
    weights = jnp.exp(joint - _level(joint, 1)[:, None])
    sums = weights.sum(1, keepdims=True)
    probs = jnp.where(sums == 0, 0, weights / jnp.where(sums == 0, 1, sums))
    probs = jnp.where(valid[:, None], probs, 0)
    return total(lattice, end[:, :rows], heights[:, :rows].sum(0)), probs
