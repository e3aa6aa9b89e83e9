"""A recurrent recogniser of speech: what each run of frames may be heard as."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Int, Integer

from jaxseq._checks import error, shape_text
from jaxseq._types import Array, ArrayLike, Key, Lengths
from jaxseq.nn._arguments import check_sizes, draw_key
from jaxseq.nn._reader import Reader, draw_projection, project
from jaxseq.sequence import stack_frames
from jaxseq.structured import ctc

WHERE = "SpeechRecognizer"
BLANK = 0


class Recognized(NamedTuple):
    """What every run of frames may be heard as.

    Attributes:
      log_probs: ``[*batch, S, K + 1]``, in float32 or better: the blank is 0, the labels 1..K.
      lengths: how many runs of each row are valid, ``[*batch]`` int32.

    Example:
      >>> Recognized._fields
      ('log_probs', 'lengths')
    """

    log_probs: Float[Array, "*batch S V"]
    lengths: Int[Array, "*batch"]


class SpeechRecognizer(nnx.Module):
    r"""A recurrent recogniser of speech: frames of features in, log-probabilities of labels out.

    .. math:: \log p_s = \mathrm{log\,softmax}(W \, \mathrm{layers}(z_1, \dots, z_S)_s + b), \qquad
              z_s = [x_{rs}; \dots; x_{rs + r - 1}]

    Call it as ``model(features, lengths=None, rngs=None) -> (log_probs, lengths)``, with features
    ``[*batch, T, num_features]`` such as those of :func:`jaxseq.sequence.log_mel`. Each run of
    ``stack`` frames is read as one, so S is T / ``stack``, rounded up. What comes out goes to
    :mod:`jaxseq.structured.ctc`, whose blank is 0: :meth:`loss` to train, ``ctc.greedy`` and
    ``ctc.beam_search`` to read labels off, ``ctc.align`` to say when each of them is heard.

    Args:
      num_features: the width of a frame.
      num_labels: K, the labels that there are besides the blank.
      hidden_size: H.
      num_layers: L.
      stack: so many frames are read as one.
      cell: ``"lstm"``, ``"gru"`` or ``"elman"``: which of this room's layers.
      bidirectional: whether the layers read both ways, as in :class:`LSTM`.
      dropout: rate, in [0, 1), on what the layers read, between them, and on what they give, drawn
        anew for every step.
      param_dtype: of all weights.
      rngs: an ``nnx.Rngs``, whose stream ``params`` (or ``default``) gives one key, or a key.
      **options: of the layers: ``input_dropout``, ``state_dropout``, ``residual``, ``init``, and
        those of the cell.

    Raises:
      ValueError: if a size, a rate or ``cell`` is none of the above; and all of :class:`LSTM`.
      TypeError: as in :class:`LSTM`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq import nn, sequence
      >>> from jaxseq.structured import ctc
      >>> model = nn.SpeechRecognizer(40, 11, 16, rngs=jax.random.key(0))
      >>> frames = sequence.log_mel(jnp.zeros((2, 8000)), sample_rate=8000)
      >>> found = model(frames.features, lengths=frames.lengths)
      >>> found.log_probs.shape, found.lengths.tolist()
      ((2, 33, 12), [33, 33])
      >>> words = ctc.greedy(found.log_probs, lengths=found.lengths).labels
      >>> nats = model.loss(found, jnp.array([[1, 2, 3], [4, 5, 5]])).nats
      >>> words.shape, nats.shape
      ((2, 33), (2,))

    References:
      Graves, Fernández, Gomez and Schmidhuber, "Connectionist Temporal Classification: Labelling
      Unsegmented Sequence Data with Recurrent Neural Networks", ICML 2006; Sak, Senior, Rao and
      Beaufays, "Fast and Accurate Recurrent Neural Network Acoustic Models for Speech Recognition",
      2015 (``stack``).
    """

    def __init__(
        self,
        num_features: int,
        num_labels: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        stack: int = 3,
        cell: Literal["lstm", "gru", "elman"] = "lstm",
        bidirectional: bool | Sequence[bool] = True,
        dropout: float = 0.0,
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs | Key,
        **options: Any,
    ):
        check_sizes(WHERE, num_features=num_features, num_labels=num_labels, stack=stack)
        self.num_features, self.num_labels, self.stack = num_features, num_labels, stack
        keys = jax.random.split(draw_key(WHERE, rngs, "params"))
        self.reader = Reader(
            WHERE,
            num_features * stack,
            hidden_size,
            num_layers,
            vocab_size=None,
            cell=cell,
            bidirectional=bidirectional,
            dropout=dropout,
            param_dtype=param_dtype,
            rngs=keys[0],
            **options,
        )
        shape = (num_labels + 1, self.reader.output_size)
        self.projection = nnx.Param(draw_projection(keys[1], shape, param_dtype))
        self.bias = nnx.Param(jnp.zeros(num_labels + 1, param_dtype))

    def __call__(
        self,
        features: Float[ArrayLike, "*batch T I"],
        *,
        lengths: Lengths | None = None,
        rngs: nnx.Rngs | Key | None = None,
        backend: str = "auto",
        remat: int | str | None = None,
        unroll: int | None = None,
    ) -> Recognized:
        """Returns the log-probabilities of the labels for each run of frames.

        Args:
          features: ``[*batch, T, num_features]``; what is in the pads never matters.
          lengths: how many frames of each row are valid, ``[*batch]``.
          rngs: for dropout, as in a call of :class:`LSTM`; None for evaluation.
          backend: as in :func:`jaxseq.scan`.
          remat: as in :func:`jaxseq.scan`.
          unroll: as in :func:`jaxseq.scan`.

        Returns:
          Log-probabilities ``[*batch, S, K + 1]``, those of the bias alone in the pads, and how
          many runs are valid.

        Raises:
          ValueError: if a shape does not fit; and all of a call of :class:`LSTM`.
          TypeError: if ``features`` are not floating; and all of a call of :class:`LSTM`.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> from jaxseq import nn
          >>> model = nn.SpeechRecognizer(5, 3, 8, 2, cell="gru", stack=2, rngs=jax.random.key(0))
          >>> model(jnp.zeros((4, 7, 5))).log_probs.shape
          (4, 4, 4)
        """
        if jnp.ndim(features) < 2 or jnp.shape(features)[-1] != self.num_features:
            raise error(
                WHERE,
                "`features` must have shape (*batch, T, num_features) with "
                f"num_features = {self.num_features}, "
                f"but they have shape {shape_text(jnp.shape(features))}",
            )
        frames = stack_frames(features, size=self.stack, lengths=lengths)
        key = draw_key(WHERE, rngs, "dropout") if rngs is not None and self.reader.drops else None
        ys = self.reader(
            frames.features,
            lengths=frames.lengths,
            rngs=key,
            backend=backend,
            remat=remat,
            unroll=unroll,
        )
        logits = project(self.projection.get_value(), self.bias.get_value(), ys)
        return Recognized(jax.nn.log_softmax(logits), frames.lengths)

    def loss(
        self,
        found: Recognized,
        labels: Integer[ArrayLike, "*batch N"],
        *,
        label_lengths: Lengths | None = None,
        infeasible: str = "inf",
    ) -> ctc.Loss:
        """Returns minus the log-probability of the labels of each row, over all alignments.

        Args:
          found: from a call.
          labels: ``[*batch, N]``, each in 1..K; anything in the pads.
          label_lengths: how many labels of each row are valid, ``[*batch]``.
          infeasible: as in :func:`jaxseq.structured.ctc.loss`.

        Returns:
          ``nats`` ``[*batch]``, and which rows are ``infeasible``, being too short for their
          labels.

        Raises:
          ValueError: as in :func:`jaxseq.structured.ctc.loss`.
          TypeError: as in :func:`jaxseq.structured.ctc.loss`.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> from jaxseq import nn
          >>> model = nn.SpeechRecognizer(5, 3, 8, stack=1, rngs=jax.random.key(0))
          >>> found = model(jnp.zeros((1, 4, 5)))
          >>> bool(model.loss(found, jnp.array([[1, 3]])).nats[0] > 0)
          True
        """
        return ctc.loss(
            found.log_probs,
            labels,
            lengths=found.lengths,
            label_lengths=label_lengths,
            blank=BLANK,
            infeasible=infeasible,
        )
