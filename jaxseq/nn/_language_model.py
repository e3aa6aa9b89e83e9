"""A recurrent language model: embedding, layers, projection."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Integer

from jaxseq._checks import error
from jaxseq._types import Array, ArrayLike, Key, Lengths, Resets
from jaxseq.nn._arguments import check_rates, check_sizes, check_tokens, draw_key
from jaxseq.nn._reader import (
    RECURRENT,
    check_cell,
    draw_embedding,
    draw_projection,
    drop,
    embed,
    project,
)


class LanguageModel(nnx.Module):
    r"""A recurrent language model: the logits of each next symbol, given all before it.

    .. math:: l_t = W \, \mathrm{layers}(e_{y_1}, \dots, e_{y_t}) + b

    Call it as ``model(tokens, carry=None, lengths=None, resets=None, rngs=None) -> (carry,
    logits)``: symbols ``[*batch, T]``, logits ``[*batch, T, V]``; ``logits[..., t, :]`` are those
    of the symbol at ``t + 1``. :meth:`step` reads one symbol, for :mod:`jaxseq.decoding`.

    The embedding begins normal with standard deviation 1 (tied: E to the power -1/4), the
    projection Glorot-uniform, the bias 0. In short runs on Moby-Dick, by character and by word,
    these learnt faster than the deviation of 1/sqrt(E) that is usual elsewhere.

    There is no ``bidirectional``: a direction that runs backward has read the symbol that is to be
    predicted, so such a model would learn to copy it, and could not generate.

    Args:
      vocab_size: V.
      embed_size: E, the width of a symbol's vector.
      hidden_size: H.
      num_layers: L.
      cell: ``"lstm"``, ``"gru"`` or ``"elman"``: which of this room's layers.
      dropout: rate, in [0, 1), on the embedded symbols, between layers, and on what the projection
        reads, drawn anew for every step.
      input_dropout: as in :class:`LSTM`.
      state_dropout: as in :class:`LSTM`.
      residual: as in :class:`LSTM`.
      tied: whether the projection is the embedding transposed, :math:`W = E`. The layers must then
        give what the embedding has: ``hidden_size``, or ``proj_size`` of an LSTM, = ``embed_size``.
      init: of the layers, as in :class:`LSTM`.
      param_dtype: of all weights. Logits are in float32 or better.
      rngs: an ``nnx.Rngs``, whose stream ``params`` (or ``default``) gives one key, or a key.
      **options: of the cell: ``forget_bias`` and ``proj_size`` of :class:`LSTM`, ``reset_after`` of
        :class:`GRU`, ``activation`` of :class:`Elman`.

    Raises:
      ValueError: if ``cell`` is none of the above, a size or a rate is out of range, or
        ``tied`` weights do not fit; and all of :class:`LSTM`.
      TypeError: as in :class:`LSTM`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq import nn
      >>> model = nn.LanguageModel(65, 8, 16, 2, cell="gru", rngs=jax.random.key(0))
      >>> tokens = jnp.array([[4, 1, 64, 7], [2, 9, -1, -1]])
      >>> carry, logits = model(tokens, lengths=jnp.array([4, 2]))
      >>> logits.shape, carry.h.shape
      ((2, 4, 65), (2, 2, 16))

    References:
      Mikolov et al., "Recurrent Neural Network Based Language Model", 2010; Zaremba, Sutskever and
      Vinyals, "Recurrent Neural Network Regularization", 2014 (``dropout``); Press and Wolf, "Using
      the Output Embedding to Improve Language Models", 2017, and Inan, Khosravi and Socher, "Tying
      Word Vectors and Word Classifiers", 2017 (``tied``).
    """

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        cell: Literal["lstm", "gru", "elman"] = "lstm",
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        state_dropout: float = 0.0,
        residual: bool = False,
        tied: bool = False,
        init: Literal["glorot", "torch"] = "glorot",
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs | Key,
        **options: Any,
    ):
        check_sizes("LanguageModel", vocab_size=vocab_size, embed_size=embed_size)
        check_rates("LanguageModel", dropout=dropout)
        check_cell("LanguageModel", cell)
        check_direction(options)
        self.vocab_size = vocab_size
        self.dropout = float(dropout)
        keys = jax.random.split(draw_key("LanguageModel", rngs, "params"), 3)
        self.rnn = RECURRENT[cell](
            embed_size,
            hidden_size,
            num_layers,
            dropout=dropout,
            input_dropout=input_dropout,
            state_dropout=state_dropout,
            residual=residual,
            init=init,
            param_dtype=param_dtype,
            rngs=keys[0],
            **options,
        )
        if tied and self.rnn.output_size != embed_size:
            raise error(
                "LanguageModel",
                f"`tied` needs layers that give embed_size = {embed_size} features, "
                f"but they give {self.rnn.output_size}",
                hint="choose hidden_size = embed_size, or proj_size = embed_size for an LSTM",
            )
        table = (vocab_size, embed_size)
        self.embedding = nnx.Param(draw_embedding(keys[1], table, param_dtype, tied=tied))
        shape = (vocab_size, self.rnn.output_size)
        self.projection = None if tied else nnx.Param(draw_projection(keys[2], shape, param_dtype))
        self.bias = nnx.Param(jnp.zeros(vocab_size, param_dtype))

    def carry(self, batch_shape: tuple[int, ...] = ()) -> Any:
        """Returns the initial state: zeros, which need no key.

        Args:
          batch_shape: the batch axes of ``tokens``.

        Returns:
          The carry of the layers, every field ``[L, *batch, H]``.

        Example:
          >>> import jax
          >>> from jaxseq import nn
          >>> nn.LanguageModel(5, 3, 4, rngs=jax.random.key(0)).carry((2,)).c.shape
          (1, 2, 4)
        """
        return self.rnn.carry(batch_shape)

    def __call__(
        self,
        tokens: Integer[ArrayLike, "*batch T"],
        *,
        carry: Any = None,
        lengths: Lengths | None = None,
        resets: Resets | None = None,
        rngs: nnx.Rngs | Key | None = None,
        backend: str = "auto",
        remat: int | str | None = None,
        unroll: int | None = None,
    ) -> tuple[Any, Float[Array, "*batch T V"]]:
        """Returns the logits of the next symbol after each step.

        Args:
          tokens: the symbols, ``[*batch, T]``, each in 0..V-1; what is in the pads never matters.
            Under jit, where values cannot be seen, a symbol out of range makes what follows in its
            row NaN rather than plausible.
          carry: the state before the first symbol; None for the initial one.
          lengths: how many steps of each row are valid, ``[*batch]``.
          resets: ``[*batch, T]`` booleans, true where a new text begins.
          rngs: for dropout, as in a call of :class:`LSTM`; None for evaluation.
          backend: as in :func:`jaxseq.scan`.
          remat: as in :func:`jaxseq.scan`.
          unroll: as in :func:`jaxseq.scan`.

        Returns:
          The carry after the last valid symbol of each row, and the logits ``[*batch, T, V]``; at
          padded steps these are the bias alone.

        Raises:
          ValueError: if a shape does not fit, or a symbol is out of range; and all of a call of
            :class:`LSTM`.
          TypeError: if ``tokens`` are not integers; and all of a call of :class:`LSTM`.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> from jaxseq import nn
          >>> model = nn.LanguageModel(5, 3, 4, rngs=jax.random.key(0))
          >>> carry, logits = model(jnp.array([[1, 2, 3]]))
          >>> carry, more = model(jnp.array([[4, 0]]), carry=carry)
          >>> logits.shape, more.shape
          ((1, 3, 5), (1, 2, 5))
        """
        tokens = tokens if isinstance(tokens, jax.Array) else np.asarray(tokens)
        hint = "one symbol is model.step"
        check_tokens("LanguageModel", tokens, self.vocab_size, lengths, hint=hint)
        keys = [None, None, None]
        if rngs is not None and (self.dropout or self.rnn.input_dropout or self.rnn.state_dropout):
            keys = list(jax.random.split(draw_key("LanguageModel", rngs, "dropout"), 3))
        xs = embed(self.embedding.get_value(), jnp.asarray(tokens))
        xs = drop(keys[0], self.dropout, xs)
        carry, ys = self.rnn(
            xs,
            carry=carry,
            lengths=lengths,
            resets=resets,
            rngs=keys[1],
            backend=backend,
            remat=remat,
            unroll=unroll,
        )
        weights = self.embedding if self.projection is None else self.projection
        ys = drop(keys[2], self.dropout, ys)
        return carry, project(weights.get_value(), self.bias.get_value(), ys)

    def step(
        self, carry: Any, token: Integer[ArrayLike, "*batch"]
    ) -> tuple[Any, Float[Array, "*batch V"]]:
        """Reads one symbol and returns the logits of the next.

        :mod:`jaxseq.decoding` compiles a step once and keeps it, with all that it closes over. So
        hand it the weights in the carry, as below, and not ``model.step`` itself: that would go on
        with the weights of its first call after the model has been trained further.

        Args:
          carry: the state after the symbols before, every field ``[L, *batch, H]``.
          token: the symbol, ``[*batch]``.

        Returns:
          The carry after it, and the logits ``[*batch, V]``.

        Raises:
          ValueError: as in a call.
          TypeError: as in a call.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> from jaxseq import decoding, nn
          >>> model = nn.LanguageModel(5, 3, 4, rngs=jax.random.key(0))
          >>> params, read = nn.pure(model, method="step")
          >>> def step(carry, token):
          ...     params, state = carry
          ...     state, logits = read(params, state, token)
          ...     return (params, state), logits
          >>> carry = (params, model.carry((2,)))
          >>> decoding.greedy(step, carry, jnp.array([1, 2]), length=3).tokens.shape
          (2, 3)
        """
        carry, logits = self(jnp.asarray(token)[..., None], carry=carry)
        return carry, logits[..., 0, :]


def check_direction(options: dict[str, Any]) -> None:
    """Raises if an option asks for both directions."""
    if "bidirectional" in options:
        raise error(
            "LanguageModel",
            "a language model has no `bidirectional`: running backward it would have read the "
            "symbol that it is to predict",
            hint="leave it out; for tags or labels of whole sequences, use nn.SequenceTagger and "
            "nn.SequenceClassifier",
        )
