"""A conditional random field's weights: what tags follow one another, begin, and end."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Int, Integer

from jaxseq._checks import check_shape, error, shape_text
from jaxseq._types import Array, ArrayLike, Key, Lengths
from jaxseq.nn._arguments import check_param_dtype, check_sizes, draw_key
from jaxseq.structured import crf

Emissions = Float[ArrayLike, "*batch T K"]
Tags = Integer[ArrayLike, "*batch T"]


class CRF(nnx.Module):
    r"""A linear-chain conditional random field, to stand on any network that scores tags.

    .. math:: s(x, y) = a_{y_1} + \sum_t e_{t y_t} + \sum_{t > 1} A_{y_{t-1} y_t} + b_{y_T}

    The network gives the emissions e; this module owns A, a and b, ``transitions`` ``[K, K]``,
    ``initial`` ``[K]`` and ``final`` ``[K]``, which begin uniform in ±0.1. Each method passes them
    on to the function of its name in :mod:`jaxseq.structured.crf`, which says the rest. The loss is
    the mean of ``-model.log_likelihood(emissions, tags, lengths=lengths)``.

    Args:
      num_tags: K.
      allowed: what paths of tags there can be, such as ``crf.bio(labels)``; all, if left out. It is
        no weight: what it forbids is forbidden in training and in decoding, whatever the weights.
      param_dtype: of the weights.
      rngs: an ``nnx.Rngs``, whose stream ``params`` (or ``default``) gives one key, or a key.

    Raises:
      ValueError: if ``num_tags`` is not a positive integer, or ``allowed`` of another size. All
        methods raise it for a shape that does not fit.
      TypeError: if ``allowed`` is not an ``Allowed``, or ``param_dtype`` or ``rngs`` none of the
        above. All methods raise it for a wrong dtype.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq.structured import crf
      >>> labels = ["O", "B-PER", "I-PER"]
      >>> model = CRF(3, allowed=crf.bio(labels), rngs=jax.random.key(0))
      >>> emissions = jnp.array([[9.0, 0, 0], [0, 4, 5], [0, 0, 9]])  # I-PER after O: never
      >>> tags, score = model.viterbi(emissions)
      >>> [labels[tag] for tag in tags]
      ['O', 'B-PER', 'I-PER']

    References:
      Lafferty, McCallum and Pereira, "Conditional Random Fields: Probabilistic Models for
      Segmenting and Labeling Sequence Data", 2001; Huang, Xu and Yu, "Bidirectional LSTM-CRF Models
      for Sequence Tagging", 2015.
    """

    def __init__(
        self,
        num_tags: int,
        *,
        allowed: crf.Allowed | None = None,
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs | Key,
    ):
        check_sizes("CRF", num_tags=num_tags)
        check_param_dtype("CRF", param_dtype)
        self.num_tags = num_tags
        self._allowed = _frozen(allowed, num_tags)
        keys = jax.random.split(draw_key("CRF", rngs, "params"), 3)

        def begin(key: Key, *shape: int) -> nnx.Param:
            return nnx.Param(jax.random.uniform(key, shape, param_dtype, -0.1, 0.1))

        self.transitions = begin(keys[0], num_tags, num_tags)
        self.initial = begin(keys[1], num_tags)
        self.final = begin(keys[2], num_tags)

    @property
    def allowed(self) -> crf.Allowed | None:
        """What paths of tags there can be, as arrays; None for all.

        Example:
          >>> import jax
          >>> CRF(2, rngs=jax.random.key(0)).allowed is None
          True
        """
        if self._allowed is None:
            return None
        return crf.Allowed(*(np.array(mask, bool) for mask in self._allowed))

    def log_partition(
        self, emissions: Emissions, *, lengths: Lengths | None = None, backend: str = "auto"
    ) -> Float[Array, "*batch"]:
        """Returns what :func:`jaxseq.structured.crf.log_partition` does with these weights.

        Args:
          emissions: the score of each tag at each step, ``[*batch, T, K]``.
          lengths: how many steps of each row are valid.
          backend: as in that function.

        Returns:
          ``[*batch]``.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> CRF(3, rngs=jax.random.key(0)).log_partition(jnp.zeros((2, 5, 3))).shape
          (2,)
        """
        weights = self._weights(emissions, lengths)
        return crf.log_partition(emissions, backend=backend, **weights)

    def log_likelihood(
        self,
        emissions: Emissions,
        tags: Tags,
        *,
        lengths: Lengths | None = None,
        backend: str = "auto",
    ) -> Float[Array, "*batch"]:
        """Returns what :func:`jaxseq.structured.crf.log_likelihood` does with these weights.

        Args:
          emissions: as in :meth:`log_partition`.
          tags: ``[*batch, T]``, each in 0..K-1; anything in the pads.
          lengths: as in :meth:`log_partition`.
          backend: as in :meth:`log_partition`.

        Returns:
          ``[*batch]``, in nats: the negative of a loss.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> model = CRF(1, rngs=jax.random.key(0))  # one tag, one path, probability 1
          >>> model.log_likelihood(jnp.zeros((5, 1)), jnp.zeros(5, int)).round(3).tolist()
          0.0
        """
        weights = self._weights(emissions, lengths)
        return crf.log_likelihood(emissions, tags, backend=backend, **weights)

    def viterbi(
        self, emissions: Emissions, *, lengths: Lengths | None = None, backend: str = "auto"
    ) -> tuple[Int[Array, "*batch T"], Float[Array, "*batch"]]:
        """Returns what :func:`jaxseq.structured.crf.viterbi` does with these weights.

        Args:
          emissions: as in :meth:`log_partition`.
          lengths: as in :meth:`log_partition`.
          backend: as in :meth:`log_partition`.

        Returns:
          The best tags, int32 ``[*batch, T]``, and their score ``[*batch]``.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> model = CRF(2, rngs=jax.random.key(0))
          >>> model.viterbi(jnp.array([[0.0, 9.0], [9.0, 0.0]]))[0].tolist()
          [1, 0]
        """
        return crf.viterbi(emissions, backend=backend, **self._weights(emissions, lengths))

    def marginals(
        self, emissions: Emissions, *, lengths: Lengths | None = None, backend: str = "auto"
    ) -> Float[Array, "*batch T K"]:
        """Returns what :func:`jaxseq.structured.crf.marginals` does with these weights.

        Args:
          emissions: as in :meth:`log_partition`.
          lengths: as in :meth:`log_partition`.
          backend: as in :meth:`log_partition`.

        Returns:
          The probability of each tag at each step, ``[*batch, T, K]``.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> CRF(2, rngs=jax.random.key(0)).marginals(jnp.zeros((5, 2))).shape
          (5, 2)
        """
        return crf.marginals(emissions, backend=backend, **self._weights(emissions, lengths))

    def sample(
        self,
        key: Key,
        emissions: Emissions,
        *,
        lengths: Lengths | None = None,
        backend: str = "auto",
    ) -> Int[Array, "*batch T"]:
        """Draws what :func:`jaxseq.structured.crf.sample` does with these weights.

        Args:
          key: of the draw.
          emissions: as in :meth:`log_partition`.
          lengths: as in :meth:`log_partition`.
          backend: as in :meth:`log_partition`.

        Returns:
          Tags, int32 ``[*batch, T]``.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> model = CRF(2, rngs=jax.random.key(0))
          >>> model.sample(jax.random.key(1), jnp.array([[0.0, 99.0], [99.0, 0.0]])).tolist()
          [1, 0]
        """
        return crf.sample(key, emissions, backend=backend, **self._weights(emissions, lengths))

    def k_best(
        self, emissions: Emissions, *, k: int, lengths: Lengths | None = None
    ) -> tuple[Int[Array, "*batch k T"], Float[Array, "*batch k"]]:
        """Returns what :func:`jaxseq.structured.crf.k_best` does with these weights.

        Args:
          emissions: as in :meth:`log_partition`.
          k: how many, at least 1.
          lengths: as in :meth:`log_partition`.

        Returns:
          Tags, int32 ``[*batch, k, T]``, the best first, and their scores ``[*batch, k]``.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> model = CRF(2, rngs=jax.random.key(0))
          >>> model.k_best(jnp.array([[0.0, 9.0], [5.0, 0.0]]), k=2)[0].tolist()
          [[1, 0], [1, 1]]
        """
        return crf.k_best(emissions, k=k, **self._weights(emissions, lengths))

    def entropy(
        self, emissions: Emissions, *, lengths: Lengths | None = None, backend: str = "auto"
    ) -> Float[Array, "*batch"]:
        """Returns what :func:`jaxseq.structured.crf.entropy` does with these weights.

        Args:
          emissions: as in :meth:`log_partition`.
          lengths: as in :meth:`log_partition`.
          backend: as in :meth:`log_partition`.

        Returns:
          ``[*batch]``, in nats: 0 where the model is sure of all tags.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> CRF(1, rngs=jax.random.key(0)).entropy(jnp.zeros((5, 1))).round(3).tolist()
          0.0
        """
        return crf.entropy(emissions, backend=backend, **self._weights(emissions, lengths))

    def _weights(self, emissions: Any, lengths: Any) -> dict[str, Any]:
        """Returns what all the functions take, or raises."""
        shape = jnp.shape(emissions)
        if len(shape) < 2 or shape[-1] != self.num_tags:
            raise error(
                "CRF",
                f"`emissions` must have shape (*batch, T, K) with K = num_tags = {self.num_tags}, "
                f"but it has shape {shape_text(shape)}",
            )
        weights = {
            name: getattr(self, name).get_value() for name in ("transitions", "initial", "final")
        }
        return {**weights, "allowed": self.allowed, "lengths": lengths}


def _frozen(allowed: Any, num_tags: int) -> tuple[Any, ...] | None:
    """Returns masks as nested tuples, which NNX compares and hashes as part of the structure."""
    if allowed is None:
        return None
    if not isinstance(allowed, crf.Allowed):
        raise error(
            "CRF",
            f"`allowed` must be an Allowed, but it is {type(allowed).__name__}",
            hint="crf.bio(labels), or crf.Allowed(transitions, initial, final)",
            kind=TypeError,
        )
    for name, mask in allowed._asdict().items():
        square = name == "transitions"
        axes, shape = ("(K, K)", (num_tags, num_tags)) if square else ("(K,)", (num_tags,))
        check_shape("CRF", f"allowed.{name}", np.asarray(mask), axes, shape)
    transitions, initial, final = (np.asarray(mask, bool).tolist() for mask in allowed)
    return tuple(map(tuple, transitions)), tuple(initial), tuple(final)
