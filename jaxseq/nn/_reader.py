"""What a model reads: embeddings, layers over time, and the affine map on top of them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from jaxseq._arrays import accumulator
from jaxseq._checks import check_shape, error, shape_text
from jaxseq._types import Array, Key, Lengths
from jaxseq.cells import dropout_mask
from jaxseq.nn._arguments import check_rates, check_sizes, check_tokens, draw_key
from jaxseq.nn._recurrent import GRU, LSTM, Elman
from jaxseq.sequence import last_pool

RECURRENT = {"elman": Elman, "gru": GRU, "lstm": LSTM}


class Reader(nnx.Module):
    """Symbols or vectors in, the states of a stack of layers out: the lower part of a task model.

    ``where`` is the model that errors name, ``names`` what it calls the inputs and ``vocab_size``,
    which is None for inputs that are vectors. ``symbols`` is how many symbols a step has; with more
    than one the inputs have an axis for them. ``beside`` is how many features the caller puts
    beside each input vector.
    """

    def __init__(
        self,
        where: str,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        *,
        vocab_size: int | None,
        cell: str,
        dropout: float,
        param_dtype: Any,
        rngs: nnx.Rngs | Key,
        symbols: int = 1,
        beside: int = 0,
        names: tuple[str, str] = ("inputs", "vocab_size"),
        **options: Any,
    ):
        check_sizes(where, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        check_rates(where, dropout=dropout)
        check_cell(where, cell)
        check_sizes(where, symbols=symbols)
        if symbols > 1 and vocab_size is None:
            problem = f"`symbols` = {symbols} needs `{names[1]}`: vectors have one a step"
            raise error(where, problem)
        self.where, self.names, self.input_size, self.symbols = where, names, input_size, symbols
        self.dropout = float(dropout)
        keys = jax.random.split(draw_key(where, rngs, "params"))
        self.rnn = RECURRENT[cell](
            input_size + beside,
            hidden_size,
            num_layers,
            dropout=dropout,
            param_dtype=param_dtype,
            rngs=keys[0],
            **options,
        )
        embedding = None
        if vocab_size is not None:
            check_sizes(where, **{names[1]: vocab_size})
            table = (vocab_size, input_size)
            embedding = nnx.Param(draw_embedding(keys[1], table, param_dtype))
        self.embedding = embedding

    @property
    def output_size(self) -> int:
        """The width of what the layers give."""
        return self.rnn.output_size

    @property
    def drops(self) -> bool:
        """Whether there is any dropout."""
        return any((self.dropout, self.rnn.input_dropout, self.rnn.state_dropout))

    def vectors(self, inputs: Any, lengths: Any) -> Float[Array, "*batch T I"]:
        """Returns the vector of each input, embedded if they are symbols; or raises."""
        if self.embedding is not None:
            tokens = inputs if isinstance(inputs, jax.Array) else np.asarray(inputs)
            table = self.embedding.get_value()
            if self.symbols == 1:
                check_tokens(self.where, tokens, len(table), lengths, names=self.names)
                return embed(table, jnp.asarray(tokens))
            return self._added(table, tokens, lengths)
        xs = jnp.asarray(inputs)
        if xs.ndim < 2 or xs.shape[-1] != self.input_size:
            raise error(
                self.where,
                "`inputs` must have shape (*batch, T, input_size) with "
                f"input_size = {self.input_size}, but it has shape {shape_text(xs.shape)}",
            )
        return xs

    def _added(self, table: Array, tokens: Any, lengths: Any) -> Float[Array, "*batch T I"]:
        """Returns the sum of the vectors of a step's symbols, of the variance of one."""
        if tokens.ndim < 2 or tokens.shape[-1] != self.symbols:
            raise error(
                self.where,
                f"`{self.names[0]}` must have shape (*batch, T, S) with S = symbols = "
                f"{self.symbols}, but they have shape {shape_text(tokens.shape)}",
            )
        for place in range(self.symbols):
            check_tokens(self.where, tokens[..., place], len(table), lengths, names=self.names)
        scale = jnp.asarray(self.symbols**-0.5, table.dtype)
        return embed(table, jnp.asarray(tokens)).sum(-2) * scale

    def __call__(
        self,
        xs: Float[Array, "*batch T I"],
        *,
        lengths: Lengths | None,
        rngs: nnx.Rngs | Key | None,
        **settings: Any,
    ) -> Float[Array, "*batch T O"]:
        """Runs the layers over the vectors; with ``rngs``, drops from what goes in and out."""
        keys = [None, None, None]
        if rngs is not None and self.drops:
            keys = list(jax.random.split(draw_key(self.where, rngs, "dropout"), 3))
        _, ys = self.rnn(drop(keys[0], self.dropout, xs), lengths=lengths, rngs=keys[1], **settings)
        return drop(keys[2], self.dropout, ys)

    def ends(self, ys: Float[Array, "*batch T O"], lengths: Any) -> Float[Array, "*batch O"]:
        """Returns what each direction of the top layer has when it has read the whole row."""
        ahead = last_pool(ys, lengths=lengths)
        if not self.rnn.bidirectional[-1] or not ys.shape[-2]:
            return ahead
        half = self.output_size // 2
        return jnp.concatenate([ahead[..., :half], ys[..., 0, half:]], axis=-1)


def check_cell(where: str, cell: str) -> None:
    """Raises unless ``cell`` names a layer."""
    if cell not in RECURRENT:
        names = ", ".join(f'"{name}"' for name in RECURRENT)
        raise error(where, f"`cell` must be one of {names}, but it is {cell!r}")


def draw_embedding(
    key: Key, shape: tuple[int, int], dtype: Any, *, tied: bool = False
) -> Float[Array, "V E"]:
    """Returns a normal embedding ``[V, E]``.

    Glorot's weights above it expect features of variance 1. A tied one is the projection too,
    which for logits of variance 1 asks for 1/E; it gets the geometric mean of the two.
    """
    scale = shape[1] ** -0.25 if tied else 1.0
    return jnp.asarray(scale, dtype) * jax.random.normal(key, shape, dtype)


def embed(table: Float[Array, "V E"], tokens: Array) -> Array:
    """Returns the vector of each symbol, NaN for what is none: harmless in the pads only."""
    inside = (tokens >= 0) & (tokens < table.shape[0])
    vectors = table[jnp.where(inside, tokens, 0)]
    return jnp.where(inside[..., None], vectors, jnp.asarray(jnp.nan, table.dtype))


def without_pads(where: str, array: Any, lengths: Any, *, features: bool = False) -> Array:
    """Returns ``array``, ``[*batch, T]`` or with ``features`` ``[*batch, T, O]``, 0 in the pads."""
    array = jnp.asarray(array)
    if lengths is None:
        return array
    steps = array.shape[:-1] if features else array.shape
    check_shape(where, "lengths", lengths, "(*batch,)", steps[:-1])
    step = jax.lax.broadcasted_iota(jnp.int32, steps, len(steps) - 1)
    valid = step < jnp.asarray(lengths, jnp.int32)[..., None]
    return jnp.where(valid[..., None] if features else valid, array, 0)


def draw_projection(key: Key, shape: tuple[int, int], dtype: Any) -> Float[Array, "V O"]:
    """Returns Glorot-uniform weights ``[V, O]``."""
    return jax.nn.initializers.glorot_uniform(in_axis=-1, out_axis=-2)(key, shape, dtype)


def project(
    w: Float[Array, "V O"], b: Float[Array, " V"], ys: Float[Array, "*batch O"]
) -> Float[Array, "*batch V"]:
    """Returns ``w y + b`` for every vector, in float32 or better."""
    dtype = accumulator(w.dtype)
    logits = jnp.dot(ys, w.T, preferred_element_type=dtype)
    return logits + jnp.broadcast_to(b.astype(dtype), logits.shape)


def drop(key: Key | None, rate: float, xs: Array) -> Array:
    """Returns ``xs`` after dropout, drawn anew for every element; itself without a key."""
    if key is None or not rate:
        return xs
    return dropout_mask(key, rate, xs.shape, xs.dtype) * xs
