"""The loop of a decoder that reads its own output: the last attentional vector, or its symbols."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Integer

from jaxseq._types import Array, Key, Lengths
from jaxseq.cells import Cell, dropout_mask
from jaxseq.nn._reader import embed
from jaxseq.nn._seq2seq_attention import Memory
from jaxseq.nn._seq2seq_decoder import Decoded, Decoder, DropKeys, Seq2SeqCarry


class Sampling(NamedTuple):
    """How often a step reads the model's own symbol, and the key of coins and symbols."""

    rate: Float[Array, ""]
    key: Key


class Inputs(NamedTuple):
    """What the loop reads at each step, time first, of R rows; None where there is no such thing.

    Attributes:
      step: ``[T]``.
      tokens: the symbols given, ``[T, R]``.
      z_x: embedded and mapped for the lowest layer, ``[T, R, G*H]``; None where a step chooses.
      valid: ``[T, R]``.
      embedded: the mask of dropout on embedded symbols, ``[T, R, E]``, where a step chooses.
      layers: the masks below every layer but the lowest, ``[T, R, H]`` each.
      attended: the mask on attentional vectors, ``[T, R, N]``.
    """

    step: Array
    tokens: Array
    z_x: Any
    valid: Any
    embedded: Any
    layers: tuple[Any, ...]
    attended: Any


class State(NamedTuple):
    """What the loop carries: a state for each layer, and the attentional vectors ``[R, N]``."""

    layers: tuple[Any, ...]
    attended: Array


def feed_back(
    decoder: Decoder,
    carry: Seq2SeqCarry,
    tokens: Integer[Array, "*batch T"],
    *,
    lengths: Lengths | None = None,
    keys: DropKeys | None = None,
    sampling: Sampling | None = None,
    unroll: int = 1,
) -> tuple[Any, Decoded]:
    """Reads the symbols one by one; returns the state of the layers, and what each step has.

    What needs no output leaves the loop: the embedding and its product with the weights of the
    lowest layer, the masks of dropout, and, being the caller's, keys of the memory and logits.
    """
    batch, axes = tokens.shape[:-1], tokens.ndim - 1
    rows = math.prod(batch)
    inputs = _inputs(decoder, tokens, lengths, DropKeys() if keys is None else keys)
    if sampling is None:
        z_x = _lowest_map(decoder, inputs.tokens, inputs.embedded, inputs.valid)
        inputs = inputs._replace(z_x=z_x, embedded=None)
    layers = tuple(
        jax.tree.map(lambda leaf, k=k: leaf[k].reshape(rows, leaf.shape[-1]), carry.rnn)
        for k in range(decoder.rnn.num_layers)
    )
    memory = jax.tree.map(lambda leaf: _one_axis(leaf, carry.memory.lengths.ndim), carry.memory)
    body = _body(decoder, memory, sampling)
    start = State(layers, _one_axis(carry.attended, axes))
    final, outputs = jax.lax.scan(body, start, inputs, unroll=unroll)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *final.layers)
    rnn = jax.tree.map(lambda leaf: leaf.reshape(len(leaf), *batch, leaf.shape[-1]), stacked)
    moved = (jnp.moveaxis(leaf, 0, 1) for leaf in outputs)
    return rnn, Decoded(*(leaf.reshape(*batch, *leaf.shape[1:]) for leaf in moved))


def _body(decoder: Decoder, memory: Memory, sampling: Sampling | None) -> Any:
    """Returns the body of the loop. The weights are read here, once."""
    cells, all_params = decoder.rnn.cells, decoder.rnn.params
    w_feed = all_params[0].w_ih[:, decoder.embed_size :]

    def body(state: State, at: Inputs) -> tuple[State, Decoded]:
        z_x = at.z_x
        if sampling is not None:
            tokens = _chosen(decoder, state.attended, at, sampling)
            z_x = _lowest_map(decoder, tokens, at.embedded, at.valid)
        if decoder.input_feeding:
            z_x = z_x + jnp.dot(state.attended, w_feed.T, preferred_element_type=z_x.dtype)
        layers = []
        for k, (cell, params) in enumerate(zip(cells, all_params, strict=True)):
            if k:
                below = at.layers[k - 1] * layers[-1].h if at.layers else layers[-1].h
                z_x = _input_map(cell, params, below)
            layers.append(_advance(cell, params, z_x, state.layers[k]))
        y = layers[-1].h
        context, weights = decoder.asker(y[:, None], memory)
        attended = decoder.attend(context[:, 0], y)
        attended = attended if at.attended is None else at.attended * attended
        after, out = State(tuple(layers), attended), Decoded(attended, weights[:, 0])
        if at.valid is None:
            return after, out
        valid = at.valid[:, None]
        after = jax.tree.map(lambda new, old: jnp.where(valid, new, old), after, state)
        return after, Decoded(*(jnp.where(valid, leaf, 0) for leaf in out))

    return body


def _advance(cell: Cell, params: Any, z_x: Array, carry: Any) -> Any:
    """Returns the state of one layer after a step, from what its input was mapped to."""
    maps: Any = cell.maps
    weights = maps.weights(params)
    z_h = jax.vmap(maps.recurrent, in_axes=(None, 0))(params, carry.h)
    return jax.vmap(lambda z_x, z_h, carry: maps.update(z_x, z_h, carry, *weights))(z_x, z_h, carry)


def _chosen(decoder: Decoder, attended: Array, at: Inputs, sampling: Sampling) -> Array:
    """Returns the symbols that a step reads: those given, or some that the model has drawn."""
    coin, draw = jax.random.split(jax.random.fold_in(sampling.key, at.step))
    logits = jax.lax.stop_gradient(decoder.logits(attended))
    own = jax.random.categorical(draw, logits).astype(at.tokens.dtype)
    heads = jax.random.bernoulli(coin, sampling.rate, own.shape)
    return jnp.where(heads & (at.step > 0), own, at.tokens)


def _lowest_map(
    decoder: Decoder, tokens: Array, mask: Array | None, valid: Array | None
) -> Float[Array, "*rows GH"]:
    """Returns what the symbols contribute to the lowest layer, its bias included."""
    xs = embed(decoder.embedding.get_value(), tokens)
    xs = xs if mask is None else mask * xs
    xs = xs if valid is None else jnp.where(valid[..., None], xs, 0)
    params = decoder.rnn.params[0]
    params = params._replace(w_ih=params.w_ih[:, : decoder.embed_size])
    return _input_map(decoder.rnn.cells[0], params, xs)


def _input_map(cell: Cell, params: Any, xs: Float[Array, "*rows I"]) -> Float[Array, "*rows GH"]:
    """Returns what inputs contribute to a layer. The cells of this room's layers have maps."""
    maps: Any = cell.maps
    over = maps.input
    for _ in range(xs.ndim - 1):
        over = jax.vmap(over, in_axes=(None, 0))
    return over(params, xs)


def _inputs(decoder: Decoder, tokens: Array, lengths: Any, keys: DropKeys) -> Inputs:
    """Returns what each step is given, with the masks that the whole sequence would be given."""
    axes, dtype = tokens.ndim - 1, decoder.embedding.get_value().dtype

    def steps_first(array: Array) -> Array:
        return jnp.moveaxis(_one_axis(array, axes), 1, 0)

    def mask(key: Key | None, size: int) -> Array | None:
        if key is None or not decoder.dropout:
            return None
        return steps_first(dropout_mask(key, decoder.dropout, (*tokens.shape, size), dtype))

    valid = None
    if lengths is not None:
        step = jax.lax.broadcasted_iota(jnp.int32, tokens.shape, axes)
        valid = steps_first(step < jnp.asarray(lengths, jnp.int32)[..., None])
    between = decoder.rnn._keys(keys.layers)
    between = () if between is None else between[1:, 0]
    return Inputs(
        step=jnp.arange(tokens.shape[-1]),
        tokens=steps_first(tokens),
        z_x=None,
        valid=valid,
        embedded=mask(keys.embedded, decoder.embed_size),
        layers=tuple(mask(key, decoder.rnn.hidden_size) for key in between),
        attended=mask(keys.attended, decoder.attended_size),
    )


def _one_axis(array: Array, axes: int) -> Array:
    """Returns an array whose first ``axes`` axes, those of the batch, are one."""
    return array.reshape(math.prod(array.shape[:axes]), *array.shape[axes:])
