"""Attention: a weighted mean of a memory, with weights that a query asks for."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._arrays import accumulator
from jaxseq._checks import check_shape, error, shape_text
from jaxseq._types import Array, ArrayLike, Lengths
from jaxseq.sequence._arguments import check_lengths
from jaxseq.sequence._padding import mask_and_resets, zero_padding

Query = Float[ArrayLike, "..."]  # [*batch, A], or [*batch, T, A]: the rank of the keys says which
Keys = Float[ArrayLike, "*batch S A"]
Values = Float[ArrayLike, "*batch S D"]


class Attention(NamedTuple):
    """What a query has read of a memory of S steps.

    Attributes:
      context: the weighted mean of the values, ``[*batch, D]``; ``[*batch, T, D]`` of T queries.
      weights: of each step of the memory, ``[*batch, S]``; ``[*batch, T, S]`` of T queries. They
        are in float32 or better, 0 in the pads, and sum to 1, but in a row of length 0.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.sequence import dot_attention
      >>> memory = jnp.array([[1.0, 0.0], [0.0, 1.0]])
      >>> read = dot_attention(jnp.array([200.0, 0.0]), memory, memory)
      >>> read.context.tolist(), read.weights.tolist()
      ([1.0, 0.0], [1.0, 0.0])
    """

    context: Float[Array, "*queries D"]
    weights: Float[Array, "*queries S"]


def dot_attention(
    query: Query,
    keys: Keys,
    values: Values,
    *,
    scale: float | ArrayLike = 1.0,
    lengths: Lengths | None = None,
) -> Attention:
    r"""Returns the mean of the values, weighted by how well each key fits the query as a product.

    .. math:: \sum_{s \leq \ell} \alpha_s v_s, \qquad
              \alpha = \operatorname{softmax}_{s \leq \ell} (\mathit{scale} \; q^\top k_s)

    With keys :math:`k_s = W v_s` this is the score that Luong et al. call general; with keys that
    are the values themselves, the one that they call dot.

    Args:
      query: of one step, ``[*batch, A]``, or of T steps that read the same memory, ``[*batch, T,
        A]``. There is no other axis: the keys say how many batch axes there are.
      keys: ``[*batch, S, A]``; what is in the pads never matters.
      values: ``[*batch, S, D]``; what is in the pads never matters.
      scale: of the products; it may be traced.
      lengths: how many steps of each row of the memory are valid, ``[*batch]``; under jit one
        outside 0..S counts as the nearer end.

    Returns:
      The context and the weights; of a row of length 0 both are zeros, and so are gradients. The
      softmax is in float32 or better.

    Raises:
      ValueError: if a shape is wrong, or a length is outside 0..S.
      TypeError: if an array is not floating, or ``lengths`` are no integers.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.sequence import dot_attention
      >>> memory = jnp.array([[[1.0, 0.0], [0.0, 1.0], [jnp.nan, 2.0]]])
      >>> queries = jnp.array([[[0.0, 0.0], [0.0, 200.0]]])
      >>> dot_attention(queries, memory, memory, lengths=jnp.array([2])).weights.tolist()
      [[[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]]

    References:
      Luong, Pham and Manning, "Effective Approaches to Attention-based Neural Machine Translation",
      2015.
    """
    asked = _arguments("dot_attention", query, keys, values, lengths)
    scores = _product("...ta,...sa->...ts", asked.query, asked.keys)
    return _read(asked, jnp.asarray(scale, scores.dtype) * scores)


def additive_attention(
    query: Query,
    keys: Keys,
    values: Values,
    *,
    weight: Float[ArrayLike, " A"],
    lengths: Lengths | None = None,
) -> Attention:
    r"""Returns the mean of the values, weighted by a small network of query and key.

    .. math:: \sum_{s \leq \ell} \alpha_s v_s, \qquad
              \alpha = \operatorname{softmax}_{s \leq \ell} (w^\top \tanh(q + k_s))

    The affine maps of Bahdanau et al. are the caller's: :math:`q = W h` of a decoder's state, and
    :math:`k_s = U v_s`, which is the same for all queries and so computed once.

    Args:
      query: as in :func:`dot_attention`. T queries take ``T * S * A`` numbers a row.
      keys: as in :func:`dot_attention`.
      values: as in :func:`dot_attention`.
      weight: w, ``[A]``.
      lengths: as in :func:`dot_attention`.

    Returns:
      As :func:`dot_attention`.

    Raises:
      ValueError: as in :func:`dot_attention`, or if ``weight`` is not one vector.
      TypeError: as in :func:`dot_attention`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.sequence import additive_attention
      >>> keys, values = jnp.array([[9.0], [-9.0]]), jnp.array([[1.0], [3.0]])
      >>> read = additive_attention(jnp.zeros(1), keys, values, weight=jnp.zeros(1))
      >>> read.context.tolist()
      [2.0]

    References:
      Bahdanau, Cho and Bengio, "Neural Machine Translation by Jointly Learning to Align and
      Translate", 2015.
    """
    where = "additive_attention"
    asked = _arguments(where, query, keys, values, lengths)
    weight = _floating(where, "weight", weight)
    check_shape(where, "weight", weight, "(A,)", asked.keys.shape[-1:])
    fit = jnp.tanh(asked.query[..., :, None, :] + asked.keys[..., None, :, :])
    return _read(asked, _product("...a,a->...", fit, weight))


class Asked(NamedTuple):
    """The arguments after the checks: queries with an axis for steps, and no pads."""

    query: Array  # [*batch, T, A]
    keys: Array
    values: Array
    valid: Array | None  # [*batch, S]
    single: bool  # whether there was one query, without the axis


def _read(asked: Asked, scores: Array) -> Attention:
    """Returns the context and the weights from scores ``[*batch, T, S]``."""
    weights = masked_softmax(scores, None if asked.valid is None else asked.valid[..., None, :])
    values = asked.values
    context = _product("...ts,...sd->...td", weights, values.astype(weights.dtype))
    read = Attention(context.astype(values.dtype), weights)
    return Attention(*(leaf[..., 0, :] for leaf in read)) if asked.single else read


def masked_softmax(scores: Array, valid: Array | None) -> Array:
    """Returns the softmax over the last axis, in float32 or better; 0 where not ``valid``.

    ``valid`` broadcasts against ``scores``. Without anything valid, weights and gradients are 0.
    """
    scores = scores.astype(accumulator(scores.dtype))
    if valid is None:
        return jax.nn.softmax(scores)
    valid = jnp.broadcast_to(valid, scores.shape)
    # Not -inf: what has nothing valid has a softmax too, if only to be masked.
    weights = jax.nn.softmax(jnp.where(valid, scores, jnp.finfo(scores.dtype).min))
    return jnp.where(valid, weights, 0)


def _product(axes: str, a: Array, b: Array) -> Array:
    """Returns a product of arrays of one dtype, summed in float32 or better."""
    return jnp.einsum(axes, a, b, preferred_element_type=accumulator(a.dtype))


def _floating(where: str, name: str, array: Any) -> Array:
    array = jnp.asarray(array)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        problem = f"`{name}` must be floating, but it has dtype {array.dtype}"
        raise error(where, problem, kind=TypeError)
    return array


def _arguments(where: str, query: Any, keys: Any, values: Any, lengths: Any) -> Asked:
    """Returns what was asked, with zeros in the pads, or raises."""
    query, keys = _floating(where, "query", query), _floating(where, "keys", keys)
    values = _floating(where, "values", values)
    if keys.ndim < 2:
        shape = shape_text(keys.shape)
        raise error(where, f"`keys` must have shape (*batch, S, A), but it has shape {shape}")
    batch, steps = keys.shape[:-2], keys.shape[-2]
    _check_query(where, query, keys)
    if values.ndim != keys.ndim or values.shape[:-1] != keys.shape[:-1]:
        raise error(
            where,
            "`values` must have shape (*batch, S, D) with (*batch, S) = "
            f"{shape_text(keys.shape[:-1])}, but it has shape {shape_text(values.shape)}",
        )
    valid = None
    if lengths is not None:
        lengths = check_lengths(where, lengths, batch, steps)
        valid, _ = mask_and_resets(lengths, None, steps, reverse=False)
        keys, values = zero_padding(valid, keys), zero_padding(valid, values)
    single = query.ndim < keys.ndim
    return Asked(query[..., None, :] if single else query, keys, values, valid, single)


def _check_query(where: str, query: Array, keys: Array) -> None:
    batch, size = keys.shape[:-2], keys.shape[-1]
    fits = query.ndim in (keys.ndim - 1, keys.ndim) and query.shape[-1] == size
    if not fits or query.shape[: len(batch)] != batch:
        raise error(
            where,
            f"`query` must have shape (*batch, A) or (*batch, T, A) with *batch = "
            f"{shape_text(batch)} and A = {size}, as the keys of shape {shape_text(keys.shape)} "
            f"have, but it has shape {shape_text(query.shape)}",
        )
