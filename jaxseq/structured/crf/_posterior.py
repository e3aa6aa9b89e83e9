"""How sure a field is: the probability of each tag, and the entropy of all paths."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._types import Array, Lengths
from jaxseq.structured._backend import choose
from jaxseq.structured._partition import log_partition as partition_of
from jaxseq.structured._partition import posterior
from jaxseq.structured._scores import Scores
from jaxseq.structured.crf._arguments import Emissions, Ends, Transitions, crf_problem
from jaxseq.structured.crf._constraints import Allowed


def marginals(
    emissions: Emissions,
    transitions: Transitions,
    *,
    initial: Ends | None = None,
    final: Ends | None = None,
    allowed: Allowed | None = None,
    lengths: Lengths | None = None,
    backend: str = "auto",
) -> Float[Array, "*batch T K"]:
    r"""Returns the probability of each tag at each step, summed over all paths.

    .. math:: p(y_t = k \mid x) = \partial \log Z / \partial e_{tk}

    Args:
      emissions: as in :func:`log_partition`.
      transitions: as in :func:`log_partition`.
      initial: as in :func:`log_partition`.
      final: as in :func:`log_partition`.
      allowed: as in :func:`log_partition`.
      lengths: as in :func:`log_partition`.
      backend: as in :func:`log_partition`.

    Returns:
      ``[*batch, T, K]``; 0 in the pads, and where no path is allowed.

    Raises:
      ValueError: as in :func:`log_partition`.
      TypeError: as in :func:`log_partition`.

    Example:
      >>> import jax.numpy as jnp, numpy as np
      >>> same = jnp.array([[0.0, -9.0], [-9.0, 0.0]])  # tags hardly ever change
      >>> emissions = jnp.log(jnp.array([[0.5, 0.5], [0.1, 0.9]]))
      >>> np.asarray(marginals(emissions, same), float).round(2).tolist()
      [[0.1, 0.9], [0.1, 0.9]]
    """
    p = crf_problem("marginals", emissions, transitions, initial, final, allowed, lengths, backend)
    found = posterior(choose(backend, p.scores), p.scores)
    return p.over_steps(jnp.exp(found.log_marginal), 0)


def entropy(
    emissions: Emissions,
    transitions: Transitions,
    *,
    initial: Ends | None = None,
    final: Ends | None = None,
    allowed: Allowed | None = None,
    lengths: Lengths | None = None,
    backend: str = "auto",
) -> Float[Array, "*batch"]:
    r"""Returns the entropy of the distribution over tag paths, in nats, never negative.

    .. math:: H = \log Z - E[s(x, y)]

    The expected score is the derivative of log Z in the direction of the scores themselves, so one
    pass forward and one back are all it takes. It is the difference of two sums over the sequence,
    so in float32 its error grows with the size of the scores.

    Args:
      emissions: as in :func:`log_partition`.
      transitions: as in :func:`log_partition`.
      initial: as in :func:`log_partition`.
      final: as in :func:`log_partition`.
      allowed: as in :func:`log_partition`.
      lengths: as in :func:`log_partition`.
      backend: as in :func:`log_partition`.

    Returns:
      ``[*batch]``; 0 for length 0, and where no path is allowed.

    Raises:
      ValueError: as in :func:`log_partition`.
      TypeError: as in :func:`log_partition`.

    Example:
      >>> import jax.numpy as jnp
      >>> round(float(entropy(jnp.zeros((3, 2)), jnp.zeros((2, 2)))), 4)  # 2**3 equal paths
      2.0794

    References:
      Mann and McCallum, "Efficient Computation of Entropy Gradient for Semi-Supervised Conditional
      Random Fields", 2007; Eisner, "Inside-Outside and Forward-Backward Algorithms Are Just
      Backprop", 2016.
    """
    p = crf_problem("entropy", emissions, transitions, initial, final, allowed, lengths, backend)
    chosen = choose(backend, p.scores)
    arrays = p.scores._replace(lengths=None)

    def log_z(arrays: Scores) -> Array:
        return partition_of(chosen, arrays._replace(lengths=p.scores.lengths))

    finite = jax.tree.map(lambda one: jnp.where(jnp.isneginf(one), 0, one), arrays)
    total, expected = jax.jvp(log_z, (arrays,), (finite,))
    possible = p.some & (total > -jnp.inf)
    total, expected = (jnp.where(possible, one, 0) for one in (total, expected))
    nats = total - expected
    # What rounding makes negative is 0, and its gradient stays.
    return p.rows(nats + jax.lax.stop_gradient(jnp.maximum(nats, 0) - nats))
