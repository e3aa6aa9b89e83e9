"""The decoder: layers that attend, over all steps at once where nothing is fed back."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Integer

from jaxseq._arrays import accumulator
from jaxseq._types import Array, Key, Lengths
from jaxseq.nn._reader import (
    RECURRENT,
    draw_embedding,
    draw_projection,
    drop,
    embed,
    project,
    without_pads,
)
from jaxseq.nn._seq2seq_attention import Asker, Kind, Memory, mapped


class Seq2SeqCarry(NamedTuple):
    """What a decoder knows between two symbols of the target.

    Attributes:
      rnn: the state of its layers, every field ``[L, *batch, H]``.
      attended: the attentional vector of the last step, ``[*batch, N]``; zeros before the first.
      weights: where the last step has looked, ``[*batch, S]``, in float32 or better; zeros before
        the first step, and of a source of length 0.
      memory: the source, as the encoder has left it.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq import nn
      >>> model = nn.Seq2Seq(5, 7, 3, 4, rngs=jax.random.key(0))
      >>> carry, _ = model.step(model.encode(jnp.array([[1, 2, 4]])), jnp.array([0]))
      >>> carry.weights.shape, round(float(carry.weights.sum()), 4)
      ((1, 3), 1.0)
    """

    rnn: Any
    attended: Float[Array, "*batch N"]
    weights: Float[Array, "*batch S"]
    memory: Memory


class Decoded(NamedTuple):
    """What a decoder has at every step: attentional vectors and weights, 0 in the pads."""

    attended: Float[Array, "*batch T N"]
    weights: Float[Array, "*batch T S"]


class DropKeys(NamedTuple):
    """Keys of dropout: on embedded symbols, between layers, on attentional vectors; or None."""

    embedded: Key | None = None
    layers: Key | None = None
    attended: Key | None = None


class Decoder(nnx.Module):
    """Symbols of the target in, attentional vectors out, and from these logits.

    ``where`` is the model that errors name.
    """

    def __init__(
        self,
        where: str,
        vocab_size: int,
        sizes: tuple[int, int, int],
        num_layers: int,
        *,
        cell: str,
        attention: Kind,
        input_feeding: bool,
        dropout: float,
        tied: bool,
        init: Any,
        param_dtype: Any,
        key: Key,
    ):
        self.where = where
        embed_size, hidden_size, memory_size = sizes
        self.embed_size, self.input_feeding = embed_size, bool(input_feeding)
        self.dropout = float(dropout)
        self.attended_size = embed_size if tied else hidden_size
        keys = jax.random.split(key, 5)
        self.rnn = RECURRENT[cell](
            embed_size + self.attended_size * self.input_feeding,
            hidden_size,
            num_layers,
            dropout=dropout,
            init=init,
            param_dtype=param_dtype,
            rngs=keys[0],
        )
        self.asker = Asker(
            where, attention, hidden_size, memory_size, dtype=param_dtype, key=keys[1]
        )
        wide = (self.attended_size, memory_size + hidden_size)
        self.w_attended = nnx.Param(draw_projection(keys[2], wide, param_dtype))
        self.b_attended = nnx.Param(jnp.zeros(self.attended_size, param_dtype))
        table = (vocab_size, embed_size)
        self.embedding = nnx.Param(draw_embedding(keys[3], table, param_dtype, tied=tied))
        shape = (vocab_size, self.attended_size)
        self.projection = None if tied else nnx.Param(draw_projection(keys[4], shape, param_dtype))
        self.bias = nnx.Param(jnp.zeros(vocab_size, param_dtype))

    def start(self, rnn: Any, memory: Memory) -> Seq2SeqCarry:
        """Returns the carry before the first symbol."""
        *batch, steps, _ = memory.values.shape
        dtype = memory.values.dtype
        attended = jnp.zeros((*batch, self.attended_size), dtype)
        return Seq2SeqCarry(rnn, attended, jnp.zeros((*batch, steps), accumulator(dtype)), memory)

    def at_once(
        self,
        carry: Seq2SeqCarry,
        tokens: Integer[Array, "*batch T"],
        *,
        lengths: Lengths | None,
        keys: DropKeys,
        **settings: Any,
    ) -> tuple[Any, Decoded]:
        """Reads symbols that are known, where nothing is fed back: layers first, then attention.

        Returns the state of the layers, and what each step has.
        """
        xs = drop(keys.embedded, self.dropout, embed(self.embedding.get_value(), tokens))
        rnn, ys = self.rnn(xs, carry=carry.rnn, lengths=lengths, rngs=keys.layers, **settings)
        context, weights = self.asker(ys, carry.memory)
        attended = drop(keys.attended, self.dropout, self.attend(context, ys))
        pairs = (without_pads(self.where, a, lengths, features=True) for a in (attended, weights))
        return rnn, Decoded(*pairs)

    def attend(
        self, context: Float[Array, "*rows D"], ys: Float[Array, "*rows H"]
    ) -> Float[Array, "*rows N"]:
        """Returns the attentional vectors: context and state through one layer."""
        both = jnp.concatenate([context, ys], axis=-1)
        summed = mapped(self.w_attended.get_value(), both)
        return jnp.tanh(summed + jnp.broadcast_to(self.b_attended.get_value(), summed.shape))

    def logits(self, attended: Float[Array, "*rows N"]) -> Float[Array, "*rows V"]:
        """Returns the logits of the next symbol, in float32 or better."""
        weights = self.embedding if self.projection is None else self.projection
        return project(weights.get_value(), self.bias.get_value(), attended)
