"""Tags from scores: the best path, the k best, one drawn at random."""

import jax.numpy as jnp
from jaxtyping import Float, Int

from jaxseq._checks import error
from jaxseq._types import Array, Key, Lengths
from jaxseq.structured._backend import choose
from jaxseq.structured._backtrack import draw
from jaxseq.structured._k_best import k_best as best_paths
from jaxseq.structured._partition import filtered
from jaxseq.structured._semiring import MAX
from jaxseq.structured._viterbi import viterbi as best_path
from jaxseq.structured.crf._arguments import Emissions, Ends, Transitions, crf_problem
from jaxseq.structured.crf._constraints import Allowed


def viterbi(
    emissions: Emissions,
    transitions: Transitions,
    *,
    initial: Ends | None = None,
    final: Ends | None = None,
    allowed: Allowed | None = None,
    lengths: Lengths | None = None,
    backend: str = "auto",
) -> tuple[Int[Array, "*batch T"], Float[Array, "*batch"]]:
    """Returns the best tag path of each row, and its score.

    Args:
      emissions: as in :func:`log_partition`.
      transitions: as in :func:`log_partition`.
      initial: as in :func:`log_partition`.
      final: as in :func:`log_partition`.
      allowed: as in :func:`log_partition`.
      lengths: as in :func:`log_partition`.
      backend: as in :func:`log_partition`.

    Returns:
      Tags, int32, 0 in the pads; and scores, 0 for length 0, and -inf where no path is allowed.

    Raises:
      ValueError: as in :func:`log_partition`.
      TypeError: as in :func:`log_partition`.

    Example:
      >>> import jax.numpy as jnp
      >>> emissions = jnp.array([[1.0, 0.0], [0.0, 0.5], [1.0, 0.0]])
      >>> tags, best = viterbi(emissions, jnp.array([[1.0, 0.0], [0.0, 0.0]]))
      >>> tags.tolist(), float(best)
      ([0, 0, 0], 4.0)

    References:
      Viterbi, "Error Bounds for Convolutional Codes", 1967; Forney, "The Viterbi Algorithm", 1973.
    """
    p = crf_problem("viterbi", emissions, transitions, initial, final, allowed, lengths, backend)
    tags, best = best_path(choose(backend, p.scores, MAX), p.scores)
    return p.over_steps(tags, 0), p.rows(jnp.where(p.some, best, 0))


def k_best(
    emissions: Emissions,
    transitions: Transitions,
    *,
    k: int,
    initial: Ends | None = None,
    final: Ends | None = None,
    allowed: Allowed | None = None,
    lengths: Lengths | None = None,
) -> tuple[Int[Array, "*batch k T"], Float[Array, "*batch k"]]:
    """Returns the k best tag paths of each row, the best first, and their scores.

    Args:
      emissions: as in :func:`log_partition`.
      transitions: as in :func:`log_partition`.
      k: how many, at least 1.
      initial: as in :func:`log_partition`.
      final: as in :func:`log_partition`.
      allowed: as in :func:`log_partition`.
      lengths: as in :func:`log_partition`.

    Returns:
      Tags, int32, 0 in the pads; and scores. Where fewer than k paths are allowed, the rest score
      -inf, and their tags mean nothing. For length 0 the one path scores 0.

    Raises:
      ValueError: as in :func:`log_partition`; if ``k`` is less than 1.
      TypeError: as in :func:`log_partition`.

    Example:
      >>> import jax.numpy as jnp
      >>> emissions = jnp.array([[1.0, 0.0], [0.0, 3.0]])
      >>> tags, scores = k_best(emissions, jnp.zeros((2, 2)), k=3)
      >>> tags.tolist(), scores.tolist()
      ([[0, 1], [1, 1], [0, 0]], [4.0, 3.0, 1.0])

    References:
      Huang and Chiang, "Better k-best Parsing", 2005.
    """
    if k < 1:
        raise error("crf.k_best", f"`k` must be at least 1, but it is {k}")
    p = crf_problem("k_best", emissions, transitions, initial, final, allowed, lengths, "auto")
    tags, scores = best_paths(p.chain, k)
    nothing = jnp.where(jnp.arange(k, dtype=jnp.int32) == 0, 0, -jnp.inf).astype(scores.dtype)
    scores = jnp.where(p.some[:, None], scores, nothing[None])
    return jnp.swapaxes(p.over_time(tags, 0), -1, -2), p.rows(scores)


def sample(
    key: Key,
    emissions: Emissions,
    transitions: Transitions,
    *,
    initial: Ends | None = None,
    final: Ends | None = None,
    allowed: Allowed | None = None,
    lengths: Lengths | None = None,
    backend: str = "auto",
) -> Int[Array, "*batch T"]:
    """Draws a tag path with its probability, for each row; more are ``jax.vmap`` over keys.

    Args:
      key: of the draw.
      emissions: as in :func:`log_partition`.
      transitions: as in :func:`log_partition`.
      initial: as in :func:`log_partition`.
      final: as in :func:`log_partition`.
      allowed: as in :func:`log_partition`.
      lengths: as in :func:`log_partition`.
      backend: as in :func:`log_partition`.

    Returns:
      Tags, int32, 0 in the pads. Where no path is allowed, they mean nothing.

    Raises:
      ValueError: as in :func:`log_partition`.
      TypeError: as in :func:`log_partition`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> emissions = jnp.array([[0.0, 50.0], [50.0, 0.0]])
      >>> sample(jax.random.key(0), emissions, jnp.zeros((2, 2))).tolist()
      [1, 0]
    """
    p = crf_problem("sample", emissions, transitions, initial, final, allowed, lengths, backend)
    log_filter = filtered(choose(backend, p.scores), p.scores)[1]
    return p.over_time(draw(key, p.chain, log_filter), 0)
