"""A recurrent classifier: one output for a whole sequence."""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Shaped

from jaxseq._arrays import accumulator
from jaxseq._checks import error
from jaxseq._types import Array, ArrayLike, Key, Lengths
from jaxseq.nn._arguments import check_sizes, draw_key
from jaxseq.nn._reader import Reader, draw_projection, project
from jaxseq.sequence import attention_pool, max_pool, mean_pool

WHERE = "SequenceClassifier"
POOLINGS = ("last", "mean", "max", "attention")
Pooling = Literal["last", "mean", "max", "attention"]


class SequenceClassifier(nnx.Module):
    r"""A recurrent classifier: the logits of the classes that a whole sequence may belong to.

    .. math:: l = W \, \mathrm{pool}(\mathrm{layers}(x_1, \dots, x_T)) + b

    Call it as ``model(inputs, lengths=None, rngs=None) -> logits [*batch, K]``, with symbols
    ``[*batch, T]`` if there is a ``vocab_size``, else with vectors ``[*batch, T, input_size]``.

    Pooling makes one vector of the layers' outputs, and reads valid steps only:

    - ``"last"``: what each direction gives when it has read the whole sequence;
    - ``"mean"`` and ``"max"`` over the steps;
    - ``"attention"``: the mean with weights :math:`\mathrm{softmax}_t(v \cdot \tanh(A y_t + a))`,
      which are learnt;
    - several, as a tuple: side by side.

    Args:
      num_classes: K.
      input_size: the width of what the layers read: of the vectors given, or of the embedding.
      hidden_size: H.
      num_layers: L.
      vocab_size: V, where the inputs are symbols.
      symbols: S, how many symbols a step has, such as a word, its shape and its ending, each with
        numbers of its own among the V. With more than one, the inputs are ``[*batch, T, S]``, and
        the vectors of a step's symbols are added.
      cell: ``"lstm"``, ``"gru"`` or ``"elman"``: which of this room's layers.
      bidirectional: whether the layers read both ways, as in :class:`LSTM`.
      pooling: which of the above.
      dropout: rate, in [0, 1), on what the layers read, between them, and on what they give, drawn
        anew for every step.
      param_dtype: of all weights. Logits are in float32 or better.
      rngs: an ``nnx.Rngs``, whose stream ``params`` (or ``default``) gives one key, or a key.
      **options: of the layers: ``input_dropout``, ``state_dropout``, ``residual``, ``init``, and
        those of the cell.

    Raises:
      ValueError: if a size, a rate, ``cell`` or ``pooling`` is none of the above; and all of
        :class:`LSTM`.
      TypeError: as in :class:`LSTM`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq import nn
      >>> model = nn.SequenceClassifier(
      ...     5, 8, 16, vocab_size=65, pooling=("last", "mean"), rngs=jax.random.key(0))
      >>> model(jnp.array([[4, 1, 64, 7], [2, 9, -1, -1]]), lengths=jnp.array([4, 2])).shape
      (2, 5)

    References:
      Graves and Schmidhuber, "Framewise Phoneme Classification with Bidirectional LSTM", 2005;
      Yang et al., "Hierarchical Attention Networks for Document Classification", 2016
      (``"attention"``).
    """

    def __init__(
        self,
        num_classes: int,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        vocab_size: int | None = None,
        symbols: int = 1,
        cell: Literal["lstm", "gru", "elman"] = "lstm",
        bidirectional: bool | Sequence[bool] = True,
        pooling: Pooling | tuple[Pooling, ...] = "last",
        dropout: float = 0.0,
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs | Key,
        **options: Any,
    ):
        check_sizes(WHERE, num_classes=num_classes)
        self.pooling = checked_pooling(pooling)
        keys = jax.random.split(draw_key(WHERE, rngs, "params"), 4)
        self.reader = Reader(
            WHERE,
            input_size,
            hidden_size,
            num_layers,
            vocab_size=vocab_size,
            symbols=symbols,
            cell=cell,
            bidirectional=bidirectional,
            dropout=dropout,
            param_dtype=param_dtype,
            rngs=keys[0],
            **options,
        )
        width = self.reader.output_size
        attended = "attention" in self.pooling
        self.attention = Attention(width, param_dtype, keys[1:3]) if attended else None
        shape = (num_classes, len(self.pooling) * width)
        self.projection = nnx.Param(draw_projection(keys[3], shape, param_dtype))
        self.bias = nnx.Param(jnp.zeros(num_classes, param_dtype))

    def __call__(
        self,
        inputs: Shaped[ArrayLike, "..."],
        *,
        lengths: Lengths | None = None,
        rngs: nnx.Rngs | Key | None = None,
        backend: str = "auto",
        remat: int | str | None = None,
        unroll: int | None = None,
    ) -> Float[Array, "*batch K"]:
        """Returns the logits of the classes.

        Args:
          inputs: symbols ``[*batch, T]``, or ``[*batch, T, S]`` of several a step, each in 0..V-1,
            or vectors ``[*batch, T, I]``; what is in the pads never matters. Under jit, where
            values cannot be seen, a symbol out of range makes its row NaN rather than plausible.
          lengths: how many steps of each row are valid, ``[*batch]``. The logits of a row of length
            0 are the bias alone.
          rngs: for dropout, as in a call of :class:`LSTM`; None for evaluation.
          backend: as in :func:`jaxseq.scan`.
          remat: as in :func:`jaxseq.scan`.
          unroll: as in :func:`jaxseq.scan`.

        Returns:
          ``[*batch, K]``.

        Raises:
          ValueError: if a shape does not fit, or a symbol is out of range; and all of a call of
            :class:`LSTM`.
          TypeError: if symbols are not integers; and all of a call of :class:`LSTM`.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> from jaxseq import nn
          >>> model = nn.SequenceClassifier(5, 12, 16, cell="gru", rngs=jax.random.key(0))
          >>> model(jnp.ones((2, 7, 12)), lengths=jnp.array([7, 3])).shape
          (2, 5)
        """
        xs = self.reader.vectors(inputs, lengths)
        settings = {"backend": backend, "remat": remat, "unroll": unroll}
        ys = self.reader(xs, lengths=lengths, rngs=rngs, **settings)
        pooled = jnp.concatenate([self._pool(how, ys, lengths) for how in self.pooling], axis=-1)
        return project(self.projection.get_value(), self.bias.get_value(), pooled)

    def _pool(self, how: str, ys: Array, lengths: Any) -> Array:
        if how == "last":
            return self.reader.ends(ys, lengths)
        if how == "attention":
            assert self.attention is not None
            return attention_pool(ys, self.attention(ys), lengths=lengths)
        return {"mean": mean_pool, "max": max_pool}[how](ys, lengths=lengths)


class Attention(nnx.Module):
    r"""What each step is worth to the whole, :math:`v \cdot \tanh(A y + a)`."""

    def __init__(self, width: int, param_dtype: Any, keys: Array):
        self.w = nnx.Param(draw_projection(keys[0], (width, width), param_dtype))
        self.b = nnx.Param(jnp.zeros(width, param_dtype))
        self.v = nnx.Param(draw_projection(keys[1], (1, width), param_dtype)[0])

    def __call__(self, ys: Float[Array, "*batch T O"]) -> Float[Array, "*batch T"]:
        """Returns the score of each step."""
        seen = jnp.tanh(project(self.w.get_value(), self.b.get_value(), ys)).astype(ys.dtype)
        return jnp.dot(seen, self.v.get_value(), preferred_element_type=accumulator(ys.dtype))


def checked_pooling(pooling: Any) -> tuple[str, ...]:
    """Returns the kinds of pooling as a tuple, or raises."""
    kinds = tuple(pooling) if isinstance(pooling, list | tuple) else (pooling,)
    known = all(kind in POOLINGS for kind in kinds)
    if not kinds or not known or len(set(kinds)) < len(kinds):
        names = ", ".join(f'"{name}"' for name in POOLINGS)
        problem = f"`pooling` must be one or several of {names}, each once, but it is {pooling!r}"
        raise error(WHERE, problem)
    return kinds
