"""A recurrent tagger: one output for every step of a sequence."""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Int, Integer, Shaped

from jaxseq._arrays import accumulator
from jaxseq._checks import error, shape_text
from jaxseq._types import Array, ArrayLike, Key, Lengths
from jaxseq.nn._arguments import check_sizes, draw_key
from jaxseq.nn._crf import CRF, Emissions
from jaxseq.nn._reader import Reader, draw_projection, project, without_pads
from jaxseq.nn._speller import Speller
from jaxseq.structured import crf

WHERE = "SequenceTagger"


class SequenceTagger(nnx.Module):
    r"""A recurrent tagger: a label for every step, chosen alone or as one path.

    .. math:: e_t = W \, \mathrm{layers}(x_1, \dots, x_T)_t + b

    Call it as ``model(inputs, lengths=None, rngs=None) -> emissions [*batch, T, K]``, with symbols
    ``[*batch, T]`` if there is a ``vocab_size``, else with vectors ``[*batch, T, input_size]``.
    With ``output="softmax"`` each step's label stands by itself; with ``output="crf"`` the labels
    are a path of a :class:`CRF`. :meth:`log_likelihood` is what to train, :meth:`decode` what to
    read off.

    Where the symbols are words, ``char_vocab_size`` adds a layer that reads each word's characters
    both ways; what it has read stands beside the word's vector, so that a word that training has
    not seen is known by its spelling.

    Args:
      num_tags: K.
      input_size: the width of the vectors given, or of the embedding.
      hidden_size: H.
      num_layers: L.
      vocab_size: V, where the inputs are symbols.
      symbols: S, how many symbols a step has, such as a word, its shape and its ending, each with
        numbers of its own among the V. With more than one, the inputs are ``[*batch, T, S]``, and
        the vectors of a step's symbols are added.
      char_vocab_size: how many characters there are, where words are read by character too.
      char_embed_size: the width of a character's vector.
      char_hidden_size: units in each direction over the characters.
      output: ``"softmax"`` or ``"crf"``.
      allowed: of the CRF: what paths there can be, such as ``crf.bio(labels)``.
      cell: ``"lstm"``, ``"gru"`` or ``"elman"``: which of this room's layers.
      bidirectional: whether the layers read both ways, as in :class:`LSTM`.
      dropout: rate, in [0, 1), on what the layers read, between them, and on what they give, drawn
        anew for every step.
      param_dtype: of all weights. Emissions are in float32 or better.
      rngs: an ``nnx.Rngs``, whose stream ``params`` (or ``default``) gives one key, or a key.
      **options: of the layers: ``input_dropout``, ``state_dropout``, ``residual``, ``init``, and
        those of the cell.

    Raises:
      ValueError: if a size, a rate, ``cell`` or ``output`` is none of the above, or ``allowed`` is
        given without a CRF; and all of :class:`LSTM` and :class:`CRF`.
      TypeError: as in :class:`LSTM` and :class:`CRF`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq import nn
      >>> from jaxseq.structured import crf
      >>> allowed = crf.bio(["O", "B-PER", "I-PER"])
      >>> model = nn.SequenceTagger(
      ...     3, 8, 16, vocab_size=65, output="crf", allowed=allowed, rngs=jax.random.key(0))
      >>> lengths = jnp.array([4, 2])
      >>> emissions = model(jnp.array([[4, 1, 64, 7], [2, 9, -1, -1]]), lengths=lengths)
      >>> tags, score = model.decode(emissions, lengths=lengths)
      >>> nats = -model.log_likelihood(emissions, tags, lengths=lengths)
      >>> tags.shape, nats.shape
      ((2, 4), (2,))

    References:
      Huang, Xu and Yu, "Bidirectional LSTM-CRF Models for Sequence Tagging", 2015; Lample et al.,
      "Neural Architectures for Named Entity Recognition", 2016 (characters).
    """

    def __init__(
        self,
        num_tags: int,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        vocab_size: int | None = None,
        symbols: int = 1,
        char_vocab_size: int | None = None,
        char_embed_size: int = 16,
        char_hidden_size: int = 32,
        output: Literal["softmax", "crf"] = "softmax",
        allowed: crf.Allowed | None = None,
        cell: Literal["lstm", "gru", "elman"] = "lstm",
        bidirectional: bool | Sequence[bool] = True,
        dropout: float = 0.0,
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs | Key,
        **options: Any,
    ):
        check_sizes(WHERE, num_tags=num_tags)
        _check_output(output, allowed)
        self.num_tags = num_tags
        keys = jax.random.split(draw_key(WHERE, rngs, "params"), 4)
        shared = {"cell": cell, "dropout": dropout, "param_dtype": param_dtype}
        speller = None
        if char_vocab_size is not None:
            sizes = (char_vocab_size, char_embed_size, char_hidden_size)
            speller = Speller(WHERE, *sizes, rngs=keys[0], **shared)
        self.speller = speller
        self.reader = Reader(
            WHERE,
            input_size,
            hidden_size,
            num_layers,
            vocab_size=vocab_size,
            symbols=symbols,
            beside=0 if speller is None else speller.output_size,
            bidirectional=bidirectional,
            rngs=keys[1],
            **shared,
            **options,
        )
        shape = (num_tags, self.reader.output_size)
        self.projection = nnx.Param(draw_projection(keys[2], shape, param_dtype))
        self.bias = nnx.Param(jnp.zeros(num_tags, param_dtype))
        settings = {"allowed": allowed, "param_dtype": param_dtype, "rngs": keys[3]}
        self.crf = CRF(num_tags, **settings) if output == "crf" else None

    def __call__(
        self,
        inputs: Shaped[ArrayLike, "..."],
        *,
        characters: Integer[ArrayLike, "*batch T C"] | None = None,
        char_lengths: Integer[ArrayLike, "*batch T"] | None = None,
        lengths: Lengths | None = None,
        rngs: nnx.Rngs | Key | None = None,
        backend: str = "auto",
        remat: int | str | None = None,
        unroll: int | None = None,
    ) -> Float[Array, "*batch T K"]:
        """Returns the score of each tag at each step.

        Args:
          inputs: symbols ``[*batch, T]``, or ``[*batch, T, S]`` of several a step, each in 0..V-1,
            or vectors ``[*batch, T, I]``; what is in the pads never matters. Under jit, where
            values cannot be seen, a symbol out of range makes its row NaN rather than plausible.
          characters: those of each word, ``[*batch, T, C]``, if the model reads them.
          char_lengths: how many characters each word has, ``[*batch, T]``; all C, if left out.
          lengths: how many steps of each row are valid, ``[*batch]``.
          rngs: for dropout, as in a call of :class:`LSTM`; None for evaluation.
          backend: as in :func:`jaxseq.scan`.
          remat: as in :func:`jaxseq.scan`.
          unroll: as in :func:`jaxseq.scan`.

        Returns:
          ``[*batch, T, K]``; at padded steps the bias alone.

        Raises:
          ValueError: if a shape does not fit, a symbol is out of range, or ``characters`` are given
            to a model that does not read them or missing for one that does; and all of a call of
            :class:`LSTM`.
          TypeError: if symbols are not integers; and all of a call of :class:`LSTM`.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> from jaxseq import nn
          >>> model = nn.SequenceTagger(
          ...     3, 8, 16, vocab_size=10, char_vocab_size=26, rngs=jax.random.key(0))
          >>> words, characters = jnp.array([[4, 0]]), jnp.array([[[7, 8, 0], [2, 9, 11]]])
          >>> model(words, characters=characters, char_lengths=jnp.array([[2, 3]])).shape
          (1, 2, 3)
        """
        if (self.speller is None) != (characters is None):
            raise error(
                WHERE,
                f"`characters` are {'missing' if characters is None else 'given'}, but this model "
                f"{'does not read them' if self.speller is None else 'reads them'}",
                hint="construct it with char_vocab_size, or without, as the data are",
            )
        settings = {"backend": backend, "remat": remat, "unroll": unroll}
        keys = [None, None]
        if rngs is not None and self.reader.drops:
            keys = list(jax.random.split(draw_key(WHERE, rngs, "dropout")))
        xs = self.reader.vectors(inputs, lengths)
        if self.speller is not None and characters is not None:
            given = {"char_lengths": char_lengths, "lengths": lengths}
            spelt = self.speller(characters, xs.shape[:-1], rngs=keys[0], **given, **settings)
            xs = jnp.concatenate([xs, spelt], axis=-1)
        ys = self.reader(xs, lengths=lengths, rngs=keys[1], **settings)
        return project(self.projection.get_value(), self.bias.get_value(), ys)

    def log_likelihood(
        self,
        emissions: Emissions,
        tags: Integer[ArrayLike, "*batch T"],
        *,
        lengths: Lengths | None = None,
    ) -> Float[Array, "*batch"]:
        """Returns the log-probability of each row's tags.

        Args:
          emissions: from a call, ``[*batch, T, K]``.
          tags: ``[*batch, T]``, each in 0..K-1; anything in the pads.
          lengths: as in a call.

        Returns:
          ``[*batch]``, in nats: the negative of a loss. 0 of a row of length 0.

        Raises:
          ValueError: if a shape does not fit, or a tag is out of range.
          TypeError: if ``tags`` or ``lengths`` are not integers.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> from jaxseq import nn
          >>> model = nn.SequenceTagger(1, 8, 16, vocab_size=10, rngs=jax.random.key(0))
          >>> tags = jnp.zeros(5, int)  # one tag, one path, probability 1
          >>> model.log_likelihood(jnp.zeros((5, 1)), tags).tolist()
          0.0
        """
        if self.crf is not None:
            return self.crf.log_likelihood(emissions, tags, lengths=lengths)
        return self._score(self._log_probs(emissions, lengths), tags, lengths)

    def decode(
        self, emissions: Emissions, *, lengths: Lengths | None = None
    ) -> tuple[Int[Array, "*batch T"], Float[Array, "*batch"]]:
        """Returns the most likely tags: the best path of a CRF, or each step's best tag.

        Args:
          emissions: from a call, ``[*batch, T, K]``.
          lengths: as in a call.

        Returns:
          Tags, int32 ``[*batch, T]``, 0 in the pads, and their log-probability (softmax) or score
          (CRF), ``[*batch]``.

        Raises:
          ValueError: if a shape does not fit.
          TypeError: if ``lengths`` are not integers.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> from jaxseq import nn
          >>> model = nn.SequenceTagger(2, 8, 16, vocab_size=10, rngs=jax.random.key(0))
          >>> model.decode(jnp.array([[0.0, 9.0], [9.0, 0.0]]))[0].tolist()
          [1, 0]
        """
        if self.crf is not None:
            return self.crf.viterbi(emissions, lengths=lengths)
        log_probs = self._log_probs(emissions, lengths)
        tags = jnp.argmax(log_probs, -1).astype(jnp.int32)  # the first of equals: 0 in the pads
        return tags, self._score(log_probs, tags, lengths)

    def _log_probs(self, emissions: Any, lengths: Any) -> Float[Array, "*batch T K"]:
        """Returns the log-probability of each tag by itself, all alike in the pads; or raises."""
        shape = jnp.shape(emissions)
        if len(shape) < 2 or shape[-1] != self.num_tags:
            raise error(
                WHERE,
                f"`emissions` must have shape (*batch, T, K) with K = num_tags = {self.num_tags}, "
                f"but it has shape {shape_text(shape)}",
            )
        emissions = without_pads(WHERE, emissions, lengths, features=True)
        return jax.nn.log_softmax(emissions.astype(accumulator(emissions.dtype)))

    def _score(self, log_probs: Array, tags: Any, lengths: Any) -> Float[Array, "*batch"]:
        """Returns the sum over the valid steps: a path whose steps do not heed each other."""
        transitions = jnp.zeros((self.num_tags, self.num_tags), log_probs.dtype)
        return crf.score(log_probs, tags, transitions, lengths=lengths)


def _check_output(output: Any, allowed: Any) -> None:
    if output not in ("softmax", "crf"):
        problem = f'`output` must be "softmax" or "crf", but it is {output!r}'
        raise error(WHERE, problem)
    if output == "softmax" and allowed is not None:
        hint = 'choose output="crf", or leave `allowed` out'
        raise error(WHERE, "`allowed` is of a CRF, and the output is a softmax", hint=hint)
