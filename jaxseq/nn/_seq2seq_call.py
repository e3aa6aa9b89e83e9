"""What a call of a sequence-to-sequence model does: checks, the encoder, one of two decoders."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseq._arrays import known
from jaxseq._checks import check_shape, error, shape_text
from jaxseq._types import Array
from jaxseq.nn._arguments import check_tokens, draw_key
from jaxseq.nn._seq2seq_decoder import Decoded, Decoder, DropKeys, Seq2SeqCarry
from jaxseq.nn._seq2seq_loop import Sampling, feed_back

WHERE = "Seq2Seq"


def decode(
    model: Any,
    source: Any,
    target: Any,
    *,
    source_lengths: Any,
    lengths: Any,
    sampling: Any = 0.0,
    rngs: Any = None,
    **settings: Any,
) -> Decoded:
    """Returns what each step of the decoder has, as it reads the target."""
    decoder = model.decoder
    rate = _rate(sampling, rngs)
    tokens = _symbols(decoder, target, lengths)
    _check_batch(np.shape(source), tokens.shape)
    keys: list[Any] = [None, None, None]
    if rngs is not None and (decoder.dropout or rate is not None):
        keys = list(jax.random.split(draw_key(WHERE, rngs, "dropout"), 3))
    carry = model.encode(source, lengths=source_lengths, rngs=keys[0], **settings)
    drops = DropKeys()
    if keys[1] is not None and decoder.dropout:
        drops = DropKeys(*jax.random.split(keys[1], 3))
    if rate is None and not decoder.input_feeding:
        return decoder.at_once(carry, tokens, lengths=lengths, keys=drops, **settings)[1]
    return feed_back(
        decoder,
        carry,
        tokens,
        lengths=lengths,
        keys=drops,
        sampling=None if rate is None else Sampling(rate, keys[2]),
        unroll=settings.get("unroll") or 1,
    )[1]


def advance(decoder: Decoder, carry: Seq2SeqCarry, token: Any) -> Seq2SeqCarry:
    """Returns the carry after one symbol, or raises."""
    token = token if isinstance(token, jax.Array) else np.asarray(token)
    check_shape(WHERE, "token", token, "(*batch,)", carry.attended.shape[:-1])
    tokens = _symbols(decoder, token[..., None], None)
    read = feed_back if decoder.input_feeding else type(decoder).at_once
    rnn, decoded = read(decoder, carry, tokens, lengths=None, keys=DropKeys())
    attended, weights = (leaf[..., 0, :] for leaf in decoded)
    return Seq2SeqCarry(rnn, attended, weights, carry.memory)


def _symbols(decoder: Decoder, target: Any, lengths: Any) -> Array:
    """Returns symbols of the target as an array, or raises."""
    tokens = target if isinstance(target, jax.Array) else np.asarray(target)
    names = ("target", "target_vocab_size")
    check_tokens(WHERE, tokens, len(decoder.bias.get_value()), lengths, names=names)
    if lengths is not None:
        _check_lengths(lengths, tokens.shape)
    return jnp.asarray(tokens)


def _check_lengths(lengths: Any, shape: tuple[int, ...]) -> None:
    lengths = lengths if isinstance(lengths, jax.Array) else np.asarray(lengths)
    check_shape(WHERE, "lengths", lengths, "(*batch,)", shape[:-1])
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        problem = f"`lengths` must be integers, but they are {lengths.dtype}"
        raise error(WHERE, problem, kind=TypeError)
    if not known(lengths) or not lengths.size:
        return
    seen = np.asarray(lengths)
    if not (seen.min() >= 0 and seen.max() <= shape[-1]):
        raise error(
            WHERE,
            f"`lengths` must lie in [0, T] = [0, {shape[-1]}], "
            f"but they range from {seen.min()} to {seen.max()}",
        )


def _check_batch(source: tuple[int, ...], target: tuple[int, ...]) -> None:
    if source[:-1] != target[:-1]:
        raise error(
            WHERE,
            "`source` and `target` must have the same batch axes, but they have shapes "
            f"{shape_text(source)} and {shape_text(target)}",
        )


def _rate(sampling: Any, rngs: Any) -> Array | None:
    """Returns the probability of sampling, or None for teacher forcing; or raises."""
    if isinstance(sampling, int | float) and sampling == 0:
        return None
    if np.shape(sampling) != ():
        shape = shape_text(np.shape(sampling))
        raise error(WHERE, f"`sampling` must be one probability, but it has shape {shape}")
    if known(sampling) and not 0 <= float(sampling) <= 1:
        raise error(WHERE, f"`sampling` must be in [0, 1], but it is {float(sampling)}")
    if rngs is None:
        problem = "`sampling` draws symbols, and there are no `rngs` to draw them with"
        raise error(WHERE, problem, hint="rngs=jax.random.key(0), or sampling=0.0")
    return jnp.asarray(sampling, jnp.float32)
