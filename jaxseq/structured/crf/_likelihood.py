"""The probability of tags: the score of their path, by that of all paths."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._types import Array, Lengths
from jaxseq.structured._arguments import Problem
from jaxseq.structured._partition import log_partition as partition_of
from jaxseq.structured.crf._arguments import (
    Emissions,
    Ends,
    Tags,
    Transitions,
    check_tags,
    crf_problem,
)
from jaxseq.structured.crf._constraints import Allowed


def log_partition(
    emissions: Emissions,
    transitions: Transitions,
    *,
    initial: Ends | None = None,
    final: Ends | None = None,
    allowed: Allowed | None = None,
    lengths: Lengths | None = None,
    backend: str = "auto",
) -> Float[Array, "*batch"]:
    r"""Returns the logarithm of the sum over all tag paths of the exponential of their scores.

    .. math:: \log \sum_y \exp s(x, y), \quad
        s(x, y) = a_{y_1} + \sum_t e_{t y_t} + \sum_{t > 1} A_{y_{t-1} y_t} + b_{y_T}

    Its gradient by the emissions is :func:`marginals`.

    Args:
      emissions: the score of each tag at each step, ``[*batch, T, K]``. What stands in the pads
        never matters, NaN included.
      transitions: ``[K, K]``, from a row's tag to a column's; or ``[*batch, K, K]``, or
        ``[*batch, T-1, K, K]``. -inf forbids.
      initial: of the first tag, ``[K]``; 0 if left out.
      final: of the last tag, ``[K]``; 0 if left out.
      allowed: what is not allowed scores -inf, whatever the scores are: :func:`bio` and others.
      lengths: how many steps of each row are valid; under jit one outside 0..T counts as the nearer
        end.
      backend: as in :func:`jaxseq.structured.hmm.log_likelihood`.

    Returns:
      ``[*batch]``; 0 for length 0, and -inf where no path is allowed, with zero gradient.

    Raises:
      ValueError: if a shape is wrong, a known length is outside 0..T, or the backend unknown.
      TypeError: if a dtype is wrong.

    Example:
      >>> import jax.numpy as jnp
      >>> round(float(log_partition(jnp.zeros((3, 2)), jnp.zeros((2, 2)))), 4)  # log 2**3
      2.0794

    References:
      Lafferty, McCallum and Pereira, "Conditional Random Fields: Probabilistic Models for
      Segmenting and Labeling Sequence Data", 2001.
    """
    p = crf_problem(
        "log_partition", emissions, transitions, initial, final, allowed, lengths, backend
    )
    return p.rows(jnp.where(p.some, partition_of(backend, p.scores), 0))


def score(
    emissions: Emissions,
    tags: Tags,
    transitions: Transitions,
    *,
    initial: Ends | None = None,
    final: Ends | None = None,
    allowed: Allowed | None = None,
    lengths: Lengths | None = None,
) -> Float[Array, "*batch"]:
    """Returns the score of a tag path, as in :func:`log_partition`.

    Args:
      emissions: as in :func:`log_partition`.
      tags: ``[*batch, T]``, each in 0..K-1; anything in the pads.
      transitions: as in :func:`log_partition`.
      initial: as in :func:`log_partition`.
      final: as in :func:`log_partition`.
      allowed: as in :func:`log_partition`.
      lengths: as in :func:`log_partition`.

    Returns:
      ``[*batch]``; 0 for length 0, and -inf for a path that is not allowed. Under jit, where values
      cannot be seen, a tag out of range makes it NaN.

    Raises:
      ValueError: as in :func:`log_partition`; if a known tag of a valid step is outside 0..K-1.
      TypeError: as in :func:`log_partition`; if the tags are not integers.

    Example:
      >>> import jax.numpy as jnp
      >>> transitions = jnp.array([[0.0, 1.0], [2.0, 3.0]])
      >>> float(score(jnp.zeros((3, 2)), jnp.array([0, 1, 1]), transitions))
      4.0
    """
    p = crf_problem("score", emissions, transitions, initial, final, allowed, lengths, "auto")
    return p.rows(jnp.where(p.some, path_score(p, check_tags("score", tags, p)), 0))


def log_likelihood(
    emissions: Emissions,
    tags: Tags,
    transitions: Transitions,
    *,
    initial: Ends | None = None,
    final: Ends | None = None,
    allowed: Allowed | None = None,
    lengths: Lengths | None = None,
    backend: str = "auto",
) -> Float[Array, "*batch"]:
    r"""Returns the log-probability of each row's tags.

    .. math:: \log p(y \mid x) = s(x, y) - \log \sum_{y'} \exp s(x, y')

    Args:
      emissions: as in :func:`log_partition`.
      tags: ``[*batch, T]``, each in 0..K-1; anything in the pads.
      transitions: as in :func:`log_partition`.
      initial: as in :func:`log_partition`.
      final: as in :func:`log_partition`.
      allowed: as in :func:`log_partition`: it acts on the path and on the partition.
      lengths: as in :func:`log_partition`.
      backend: as in :func:`log_partition`.

    Returns:
      ``[*batch]``, in nats, the negative of a loss: 0 for length 0, and -inf, with zero gradient,
      for a path that is not allowed. Under jit, where values cannot be seen, a tag out of range
      makes it NaN.

    Raises:
      ValueError: as in :func:`log_partition`; if a known tag of a valid step is outside 0..K-1.
      TypeError: as in :func:`log_partition`; if the tags are not integers.

    Example:
      >>> import jax.numpy as jnp
      >>> tags = jnp.array([0, 1, 1])
      >>> round(float(log_likelihood(jnp.zeros((3, 2)), tags, jnp.zeros((2, 2)))), 4)  # -log 2**3
      -2.0794

    References:
      Lafferty, McCallum and Pereira, 2001, as in :func:`log_partition`.
    """
    name = "log_likelihood"
    p = crf_problem(name, emissions, transitions, initial, final, allowed, lengths, backend)
    path = path_score(p, check_tags(name, tags, p))
    log_z = partition_of(backend, p.scores)
    possible = p.some & (path != -jnp.inf)
    nats = jnp.where(possible, path, 0) - jnp.where(possible, log_z, 0)
    return p.rows(jnp.where(p.some & ~possible, -jnp.inf, nats))


def path_score(p: Problem, tags: Array) -> Array:
    """Returns the scores of paths, ``[B]``; NaN of a tag out of range."""
    emission, transition = p.scores.emission, p.scores.transition
    steps, rows, size = p.scores.sizes
    valid = p.scores.valid(0, steps)
    inside = ((tags >= 0) & (tags < size)).all(0)
    here = score_of(emission, tags.T).T
    before, after = tags[:-1], tags[1:]
    if transition.ndim == 2:
        moved = transition[before, after]
    elif transition.ndim == 3:
        moved = transition[jnp.arange(rows, dtype=jnp.int32)[None], before, after]
    else:
        moves = jnp.arange(steps - 1, dtype=jnp.int32)[:, None]
        moved = transition[moves, jnp.arange(rows)[None], before, after]
    if valid is not None:
        here = jnp.where(valid, here, 0)
        moved = jnp.where(valid[1:], moved, 0)
    total = here.sum(0) + moved.sum(0)
    last = jnp.take_along_axis(tags, jnp.maximum(p.lengths - 1, 0)[None], 0)[0]
    for scores, tag in ((p.scores.initial, tags[0]), (p.scores.final, last)):
        if scores is not None:
            scores = jnp.broadcast_to(scores, (rows, size))
            total = total + score_of(scores[:, None], tag[:, None])[:, 0]
    return total * jnp.where(inside, 1.0, jnp.nan).astype(emission.dtype)


@jax.custom_jvp
def score_of(scores: Array, tags: Array) -> Array:
    """Returns of scores ``[B, T, K]`` those of tags ``[B, T]``."""
    return jnp.take_along_axis(scores, tags[..., None], -1, mode="clip")[..., 0]


@score_of.defjvp
def score_of_jvp(
    primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    """Differentiates with a comparison with every tag, where indexing would make a scatter."""
    scores, tags = primals
    chosen = tags[..., None] == jnp.arange(scores.shape[-1], dtype=jnp.int32)[None, None]
    return score_of(scores, tags), jnp.where(chosen, tangents[0], 0).sum(-1)
