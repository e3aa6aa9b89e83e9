"""Sequence to sequence: an encoder, attention, and a decoder."""

from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Integer

from jaxseq._checks import error
from jaxseq._types import Array, ArrayLike, Key, Lengths
from jaxseq.nn._arguments import check_rates, check_sizes, draw_key
from jaxseq.nn._reader import check_cell
from jaxseq.nn._seq2seq_attention import Kind
from jaxseq.nn._seq2seq_call import WHERE, advance, decode
from jaxseq.nn._seq2seq_decoder import Decoder, Seq2SeqCarry
from jaxseq.nn._seq2seq_encoder import Encoder


class Seq2Seq(nnx.Module):
    r"""A recurrent translator: the logits of each symbol of a target, given a source.

    .. math::
        s_1, \dots, s_S &= \mathrm{encoder}(x_1, \dots, x_S) \\
        h_t &= \mathrm{decoder}(h_{t-1}, [e_{y_{t-1}}; a_{t-1}]) \\
        c_t &= \textstyle\sum_s \operatorname{softmax}_s(\mathrm{score}(h_t, s_s)) \, s_s \\
        a_t &= \tanh(W_a [c_t; h_t] + b_a), \qquad l_t = W a_t + b

    Call it as ``model(source, target, source_lengths=None, lengths=None, rngs=None) -> logits``:
    symbols ``[*batch, S]`` and ``[*batch, T]``, logits ``[*batch, T, V]``. The target is what the
    decoder reads: it begins with the symbol that begins every target, and ``logits[..., t, :]`` are
    those of the symbol after ``target[..., t]``. :meth:`encode` and :meth:`step` are for
    :mod:`jaxseq.decoding`, :meth:`alignments` says where each step has looked.

    The encoder reads both ways. Its final states, through affine maps, begin the decoder: those of
    ``h`` through a tanh. With ``input_feeding=False`` the decoder has no :math:`a_{t-1}` to read;
    all its steps are then known at once, and run as :func:`jaxseq.scan`, with attention as two
    products after it.

    Args:
      source_vocab_size: number of symbols of the source.
      target_vocab_size: V, that of the target.
      embed_size: E, the width of a symbol's vector, of either.
      hidden_size: H, units in each layer of the decoder.
      num_layers: L, of the decoder.
      encoder_size: units in each direction of the encoder; None for half of ``hidden_size``.
      encoder_layers: of the encoder; None for as many as the decoder has.
      cell: ``"lstm"``, ``"gru"`` or ``"elman"``: which of this room's layers.
      attention: how a state is compared with the encoder's: ``"dot"``, :math:`h^\top s`, needs
        ``2 * encoder_size = hidden_size``; ``"general"``, :math:`h^\top W s`; ``"additive"``,
        :math:`w^\top \tanh(W h + U s)`.
      input_feeding: whether each step reads the attentional vector of the one before.
      dropout: rate, in [0, 1), on embedded symbols, between layers, on what the encoder gives and
        on attentional vectors, drawn anew for every step.
      tied: whether the projection is the target's embedding transposed, :math:`W = E`; attentional
        vectors then have E features, else H.
      init: of the layers, as in :class:`LSTM`.
      param_dtype: of all weights. Logits are in float32 or better.
      rngs: an ``nnx.Rngs``, whose stream ``params`` (or ``default``) gives one key, or a key.

    Raises:
      ValueError: if a size, a rate, ``cell`` or ``attention`` is none of the above, or the sizes do
        not fit.
      TypeError: as in :class:`LSTM`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq import nn
      >>> model = nn.Seq2Seq(26, 40, 8, 16, input_feeding=True, rngs=jax.random.key(0))
      >>> source, target = jnp.array([[2, 0, 19], [25, 9, -1]]), jnp.array([[0, 7, 9], [0, 3, -1]])
      >>> lengths = {"source_lengths": jnp.array([3, 2]), "lengths": jnp.array([3, 2])}
      >>> model(source, target, **lengths).shape
      (2, 3, 40)

    References:
      Sutskever, Vinyals and Le, "Sequence to Sequence Learning with Neural Networks", 2014;
      Bahdanau, Cho and Bengio, "Neural Machine Translation by Jointly Learning to Align and
      Translate", 2015 (``"additive"``, and the first state); Luong, Pham and Manning, "Effective
      Approaches to Attention-based Neural Machine Translation", 2015 (the other scores, attentional
      vectors, ``input_feeding``); Bengio, Vinyals, Jaitly and Shazeer, "Scheduled Sampling for
      Sequence Prediction with Recurrent Neural Networks", 2015 (``sampling``).
    """

    beams: ClassVar[Seq2SeqCarry] = Seq2SeqCarry._make((1, 0, 0, None))
    """``axes`` of a search for a carry of one batch axis: the beams of a row share the memory."""

    def __init__(
        self,
        source_vocab_size: int,
        target_vocab_size: int,
        embed_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        encoder_size: int | None = None,
        encoder_layers: int | None = None,
        cell: Literal["lstm", "gru", "elman"] = "lstm",
        attention: Kind = "general",
        input_feeding: bool = False,
        dropout: float = 0.0,
        tied: bool = False,
        init: Literal["glorot", "torch"] = "glorot",
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs | Key,
    ):
        check_sizes(WHERE, embed_size=embed_size, hidden_size=hidden_size, num_layers=num_layers)
        check_sizes(WHERE, target_vocab_size=target_vocab_size)
        check_rates(WHERE, dropout=dropout)
        check_cell(WHERE, cell)
        encoder_size = _half(hidden_size) if encoder_size is None else encoder_size
        encoder_layers = num_layers if encoder_layers is None else encoder_layers
        check_sizes(WHERE, encoder_size=encoder_size, encoder_layers=encoder_layers)
        keys = jax.random.split(draw_key(WHERE, rngs, "params"))
        shared = {"cell": cell, "dropout": dropout, "init": init, "param_dtype": param_dtype}
        self.encoder = Encoder(
            WHERE,
            source_vocab_size,
            (embed_size, encoder_size, hidden_size),
            (encoder_layers, num_layers),
            key=keys[0],
            **shared,
        )
        self.decoder = Decoder(
            WHERE,
            target_vocab_size,
            (embed_size, hidden_size, 2 * encoder_size),
            num_layers,
            attention=attention,
            input_feeding=input_feeding,
            tied=tied,
            key=keys[1],
            **shared,
        )

    def __call__(
        self,
        source: Integer[ArrayLike, "*batch S"],
        target: Integer[ArrayLike, "*batch T"],
        *,
        source_lengths: Lengths | None = None,
        lengths: Lengths | None = None,
        sampling: float | ArrayLike = 0.0,
        rngs: nnx.Rngs | Key | None = None,
        backend: str = "auto",
        remat: int | str | None = None,
        unroll: int | None = None,
    ) -> Float[Array, "*batch T V"]:
        """Returns the logits of the symbol after each one of the target.

        Args:
          source: the symbols to read, ``[*batch, S]``; what is in the pads never matters. Under
            jit, where values cannot be seen, a symbol out of range makes its row NaN rather than
            plausible.
          target: the symbols that the decoder reads, the one that begins every target first,
            ``[*batch, T]``; pads and symbols out of range as in ``source``.
          source_lengths: how many steps of each row of the source are valid, ``[*batch]``.
          lengths: how many steps of each row of the target are valid, ``[*batch]``.
          sampling: the probability with which a step but the first reads, in place of the target's
            symbol, one drawn from the model's own distribution after the step before: scheduled
            sampling. An array, which may be traced, so that a schedule does not compile anew; the
            Python number 0 is plain teacher forcing. No gradient flows through what is drawn.
          rngs: for dropout and sampling, as in a call of :class:`LSTM`; None for evaluation.
          backend: of the layers that run over all steps at once, as in :func:`jaxseq.scan`.
          remat: of the same, as in :func:`jaxseq.scan`.
          unroll: as in :func:`jaxseq.scan`; of the loop that feeds back too, where None is 1.

        Returns:
          ``[*batch, T, V]``; at padded steps the bias alone.

        Raises:
          ValueError: if a shape does not fit, a symbol is out of range, ``sampling`` is no
            probability, or there are no ``rngs`` to sample with; and all of a call of
            :class:`LSTM`.
          TypeError: if symbols are not integers; and all of a call of :class:`LSTM`.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> from jaxseq import nn
          >>> model = nn.Seq2Seq(5, 7, 3, 4, rngs=jax.random.key(0))
          >>> source, target = jnp.array([[1, 2, 4]]), jnp.array([[0, 6]])
          >>> model(source, target, sampling=jnp.array(0.5), rngs=jax.random.key(1)).shape
          (1, 2, 7)
        """
        settings = {"backend": backend, "remat": remat, "unroll": unroll}
        options = {"source_lengths": source_lengths, "lengths": lengths, "rngs": rngs}
        decoded = decode(self, source, target, sampling=sampling, **options, **settings)
        return self.decoder.logits(decoded.attended)

    def alignments(
        self,
        source: Integer[ArrayLike, "*batch S"],
        target: Integer[ArrayLike, "*batch T"],
        *,
        source_lengths: Lengths | None = None,
        lengths: Lengths | None = None,
    ) -> Float[Array, "*batch T S"]:
        """Returns where each step of the decoder looks, as it reads a target.

        Args:
          source: as in a call.
          target: as in a call; such as what a search has found, after the symbol that begins it.
          source_lengths: as in a call.
          lengths: as in a call.

        Returns:
          The weights of the attention, ``[*batch, T, S]``: 0 in the pads of either.

        Raises:
          ValueError: as in a call.
          TypeError: as in a call.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> from jaxseq import nn
          >>> model = nn.Seq2Seq(5, 7, 3, 4, rngs=jax.random.key(0))
          >>> model.alignments(jnp.array([[1, 2, 4]]), jnp.array([[0, 6]])).shape
          (1, 2, 3)
        """
        options = {"source_lengths": source_lengths, "lengths": lengths}
        return decode(self, source, target, **options).weights

    def encode(
        self,
        source: Integer[ArrayLike, "*batch S"],
        *,
        lengths: Lengths | None = None,
        rngs: nnx.Rngs | Key | None = None,
        backend: str = "auto",
        remat: int | str | None = None,
        unroll: int | None = None,
    ) -> Seq2SeqCarry:
        """Reads the source, and returns what the decoder begins with.

        Args:
          source: as in a call.
          lengths: ``source_lengths`` of a call.
          rngs: for dropout, as in a call.
          backend: as in a call.
          remat: as in a call.
          unroll: as in a call.

        Returns:
          The carry before the first symbol of the target, with the memory in it.

        Raises:
          ValueError: as in a call.
          TypeError: as in a call.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> from jaxseq import nn
          >>> model = nn.Seq2Seq(5, 7, 3, 4, 2, rngs=jax.random.key(0))
          >>> carry = model.encode(jnp.array([[1, 2, 4]]))
          >>> carry.rnn.h.shape, carry.memory.values.shape
          ((2, 1, 4), (1, 3, 4))
        """
        settings = {"backend": backend, "remat": remat, "unroll": unroll}
        rnn, values = self.encoder(source, lengths=lengths, rngs=rngs, **settings)
        return self.decoder.start(rnn, self.decoder.asker.memory(values, lengths))

    def step(
        self, carry: Seq2SeqCarry, token: Integer[ArrayLike, "*batch"]
    ) -> tuple[Seq2SeqCarry, Float[Array, "*batch V"]]:
        """Reads one symbol of the target and returns the logits of the next.

        For :mod:`jaxseq.decoding`, hand it the weights in the carry, as below, since a search keeps
        the program that it has compiled for a step, with all that it closes over. The memory may
        have fewer rows than there are symbols: each then serves as many in turn, as the beams of a
        search are, and ``axes=(None, nn.Seq2Seq.beams)`` says so.

        Args:
          carry: the state after the symbols before.
          token: the symbol, ``[*batch]``.

        Returns:
          The carry after it, whose ``weights`` say where this step has looked, and the logits
          ``[*batch, V]``.

        Raises:
          ValueError: as in a call.
          TypeError: as in a call.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> from jaxseq import decoding, nn
          >>> model = nn.Seq2Seq(5, 7, 3, 4, rngs=jax.random.key(0))
          >>> params, read = nn.pure(model, method="step")
          >>> def step(carry, token):
          ...     params, state = carry
          ...     state, logits = read(params, state, token)
          ...     return (params, state), logits
          >>> carry = (params, model.encode(jnp.array([[1, 2, 4]])))
          >>> axes = (None, model.beams)
          >>> found = decoding.beam_search(
          ...     step, carry, jnp.array([0]), axes=axes, width=3, length=5, stop=1)
          >>> found.tokens.shape
          (1, 3, 5)
        """
        carry = advance(self.decoder, carry, token)
        return carry, self.decoder.logits(carry.attended)


def _half(hidden_size: int) -> int:
    """Returns half of the decoder's width, so that two directions are as wide, or raises."""
    if hidden_size % 2:
        raise error(
            WHERE,
            "`hidden_size` must be even for an encoder of half of it in each direction, "
            f"but it is {hidden_size}",
            hint="or say `encoder_size`",
        )
    return hidden_size // 2
