"""The encoder: a source read both ways, and the state that a decoder begins from."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Integer

from jaxseq._types import Array, ArrayLike, Key, Lengths
from jaxseq.nn._arguments import draw_key
from jaxseq.nn._reader import Reader, drop


class Bridge(nnx.Module):
    r"""Affine maps from the final states of an encoder to the first states of a decoder.

    .. math:: h_0 = \tanh(W_h [\overrightarrow{h}; \overleftarrow{h}] + b_h), \qquad
              c_0 = W_c [\overrightarrow{c}; \overleftarrow{c}] + b_c

    Every layer of the decoder has maps of its own. It reads the layer of the encoder that stands as
    far below the top, or the lowest.
    """

    def __init__(
        self,
        fields: tuple[str, ...],
        num_layers: int,
        sizes: tuple[int, int],
        *,
        dtype: Any,
        key: Key,
    ):
        self.fields, self.num_layers = fields, num_layers
        wide = jax.nn.initializers.glorot_uniform(in_axis=-1, out_axis=-2, batch_axis=0)
        for name, part in zip(fields, jax.random.split(key, len(fields)), strict=True):
            weights = wide(part, (num_layers, *sizes), dtype)
            setattr(self, f"w_{name}", nnx.Param(weights))
            setattr(self, f"b_{name}", nnx.Param(jnp.zeros((num_layers, sizes[0]), dtype)))

    def __call__(self, final: Any) -> Any:
        """Returns the decoder's carry, every field ``[L, *batch, H]``."""
        return type(final)(*(self._field(name, getattr(final, name)) for name in self.fields))

    def _field(self, name: str, ends: Float[Array, "LD *batch O"]) -> Float[Array, "L *batch H"]:
        depth = len(ends) // 2
        layers = [max(0, depth - self.num_layers + k) for k in range(self.num_layers)]
        both = [jnp.concatenate([ends[2 * k], ends[2 * k + 1]], axis=-1) for k in layers]
        w = getattr(self, f"w_{name}").get_value().astype(ends.dtype)
        b = getattr(self, f"b_{name}").get_value().astype(ends.dtype)
        maps = zip(w, both, b, strict=True)
        begun = jnp.stack(
            [x @ w.T + jnp.broadcast_to(b, x.shape[:-1] + b.shape) for w, x, b in maps]
        )
        return jnp.tanh(begun) if name == "h" else begun


class Encoder(nnx.Module):
    """Symbols in; the states of a bidirectional stack and its final states, bridged, out.

    ``where`` is the model that errors name.
    """

    def __init__(
        self,
        where: str,
        vocab_size: int,
        sizes: tuple[int, int, int],
        layers: tuple[int, int],
        *,
        param_dtype: Any,
        key: Key,
        **options: Any,
    ):
        embed_size, encoder_size, hidden_size = sizes
        encoder_layers, num_layers = layers
        self.where = where
        keys = jax.random.split(key)
        self.reader = Reader(
            where,
            embed_size,
            encoder_size,
            encoder_layers,
            vocab_size=vocab_size,
            bidirectional=True,
            names=("source", "source_vocab_size"),
            param_dtype=param_dtype,
            rngs=keys[0],
            **options,
        )
        fields = self.reader.rnn.carry()._fields
        shape = (hidden_size, 2 * encoder_size)
        self.bridge = Bridge(fields, num_layers, shape, dtype=param_dtype, key=keys[1])

    def __call__(
        self,
        source: Integer[ArrayLike, "*batch S"],
        *,
        lengths: Lengths | None,
        rngs: nnx.Rngs | Key | None,
        **settings: Any,
    ) -> tuple[Any, Float[Array, "*batch S D"]]:
        """Returns the decoder's first state, and the encoder's states, 0 in the pads."""
        keys = [None, None, None]
        if rngs is not None and self.reader.drops:
            keys = list(jax.random.split(draw_key(self.where, rngs, "dropout"), 3))
        xs = drop(keys[0], self.reader.dropout, self.reader.vectors(source, lengths))
        final, ys = self.reader.rnn(xs, lengths=lengths, rngs=keys[1], **settings)
        return self.bridge(final), drop(keys[2], self.reader.dropout, ys)
