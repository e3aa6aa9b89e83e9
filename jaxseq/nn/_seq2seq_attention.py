"""The memory of an encoder, and the weights with which a decoder asks it."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Integer

from jaxseq._arrays import accumulator
from jaxseq._checks import error
from jaxseq._types import Array, Key, Lengths
from jaxseq.nn._reader import draw_projection
from jaxseq.sequence import Attention, additive_attention, dot_attention

Kind = Literal["dot", "general", "additive"]


class Memory(NamedTuple):
    """What an encoder has made of the source, and a decoder reads at every step.

    Attributes:
      values: the encoder's states, both directions side by side, ``[*batch, S, D]``; 0 in the pads.
      keys: what queries are compared with, ``[*batch, S, A]``, computed once from the values.
      lengths: how many steps of each row are valid, ``[*batch]`` int32.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq import nn
      >>> model = nn.Seq2Seq(5, 7, 3, 4, rngs=jax.random.key(0))
      >>> model.encode(jnp.array([[1, 2, 4]])).memory.values.shape
      (1, 3, 4)
    """

    values: Float[Array, "*batch S D"]
    keys: Float[Array, "*batch S A"]
    lengths: Integer[Array, "*batch"]


class Asker(nnx.Module):
    """The weights of one kind of attention, from states of H units to a memory of D.

    ``where`` is the model that errors name.
    """

    def __init__(
        self, where: str, kind: Kind, hidden_size: int, memory_size: int, *, dtype: Any, key: Key
    ):
        if kind not in ("dot", "general", "additive"):
            problem = f'`attention` must be one of "dot", "general", "additive", but it is {kind!r}'
            raise error(where, problem)
        if kind == "dot" and hidden_size != memory_size:
            raise error(
                where,
                '`attention="dot"` compares the states of the decoder with those of the encoder, '
                f"but hidden_size = {hidden_size} and 2 * encoder_size = {memory_size}",
                hint='choose encoder_size = hidden_size / 2, or "general", which has a matrix '
                "between the two",
            )
        self.kind = kind
        keys = jax.random.split(key, 3)

        def draw(key: Key, inputs: int) -> nnx.Param:
            return nnx.Param(draw_projection(key, (hidden_size, inputs), dtype))

        self.w_key = None if kind == "dot" else draw(keys[0], memory_size)
        additive = kind == "additive"
        self.w_query = draw(keys[1], hidden_size) if additive else None
        weight = draw_projection(keys[2], (1, hidden_size), dtype)[0]
        self.weight = nnx.Param(weight) if additive else None

    def memory(self, values: Float[Array, "*batch S D"], lengths: Lengths | None) -> Memory:
        """Returns the memory, with its keys; lengths that only jit has seen are clamped."""
        if lengths is None:
            lengths = jnp.full(values.shape[:-2], values.shape[-2], jnp.int32)
        lengths = jnp.clip(jnp.asarray(lengths, jnp.int32), 0, values.shape[-2])
        keys = values if self.w_key is None else mapped(self.w_key.get_value(), values)
        return Memory(values, keys, lengths)

    def __call__(self, states: Float[Array, "*rows T H"], memory: Memory) -> Attention:
        """Returns what each state reads of the memory.

        A memory of M rows serves states of ``M * W`` rows too, each row W of them in turn, as the
        beams of a search have one source in common.
        """
        shape, batch = states.shape, memory.keys.shape[:-2]
        if shape[:-2] != batch:
            states = states.reshape(*batch, -1, shape[-1])
        if self.w_query is None or self.weight is None:
            read = dot_attention(states, memory.keys, memory.values, lengths=memory.lengths)
        else:
            read = additive_attention(
                mapped(self.w_query.get_value(), states),
                memory.keys,
                memory.values,
                weight=self.weight.get_value(),
                lengths=memory.lengths,
            )
        return Attention(*(leaf.reshape(*shape[:-1], leaf.shape[-1]) for leaf in read))


def mapped(w: Float[Array, "O I"], xs: Float[Array, "*batch I"]) -> Float[Array, "*batch O"]:
    """Returns ``w x`` for every vector, summed in float32 or better, in the dtype of ``xs``."""
    ys = jnp.dot(xs, w.T, preferred_element_type=accumulator(w.dtype))
    return ys.astype(xs.dtype)
