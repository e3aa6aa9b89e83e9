"""States from observations: the likeliest path, or one drawn from the posterior."""

import jax.numpy as jnp
from jaxtyping import Float, Int

from jaxseq._types import Array, Key, Lengths
from jaxseq.structured._backend import choose
from jaxseq.structured._backtrack import draw
from jaxseq.structured._partition import filtered
from jaxseq.structured._semiring import MAX
from jaxseq.structured._viterbi import viterbi as best_path
from jaxseq.structured.hmm._arguments import (
    Evidence,
    Initial,
    Observed,
    Transition,
    hmm_problem,
)


def viterbi(
    log_initial: Initial,
    log_transition: Transition,
    log_obs: Evidence,
    *,
    lengths: Lengths | None = None,
    observed: Observed | None = None,
    backend: str = "auto",
) -> tuple[Int[Array, "*batch T"], Float[Array, "*batch"]]:
    r"""Returns the likeliest path of states, and the logarithm of its joint probability.

    .. math:: \arg\max_z p(z, x_1, …, x_T)

    Args:
      log_initial: as in :func:`log_likelihood`.
      log_transition: as in :func:`log_likelihood`.
      log_obs: as in :func:`log_likelihood`.
      lengths: as in :func:`log_likelihood`.
      observed: as in :func:`log_likelihood`.
      backend: as in :func:`log_likelihood`.

    Returns:
      States, int32, 0 in the pads; and scores, 0 for length 0, and -inf where no path is allowed.

    Raises:
      ValueError: as in :func:`log_likelihood`.
      TypeError: as in :func:`log_likelihood`.

    Example:
      >>> import jax.numpy as jnp
      >>> stay = jnp.log(jnp.array([[0.9, 0.1], [0.2, 0.8]]))
      >>> log_obs = jnp.log(jnp.array([[0.5, 0.1], [0.5, 0.1], [0.1, 0.7]]))
      >>> states, score = viterbi(jnp.log(jnp.array([0.5, 0.5])), stay, log_obs)
      >>> states.tolist(), round(float(score), 3)
      ([0, 0, 0], -4.593)

    References:
      Viterbi, "Error Bounds for Convolutional Codes and an Asymptotically Optimum Decoding
      Algorithm", IEEE Transactions on Information Theory 13(2), 1967.
    """
    p = hmm_problem("viterbi", log_initial, log_transition, log_obs, lengths, observed, backend)
    states, score = best_path(choose(backend, p.scores, MAX), p.scores)
    return p.over_steps(states, 0), p.rows(jnp.where(p.some, score, 0))


def sample(
    key: Key,
    log_initial: Initial,
    log_transition: Transition,
    log_obs: Evidence,
    *,
    lengths: Lengths | None = None,
    observed: Observed | None = None,
    backend: str = "auto",
) -> Int[Array, "*batch T"]:
    r"""Draws a path of states from the posterior, for each sequence.

    .. math:: z \sim p(z_1, …, z_T \mid x_1, …, x_T)

    More of them are ``jax.vmap`` over keys.

    Args:
      key: of the draw.
      log_initial: as in :func:`log_likelihood`.
      log_transition: as in :func:`log_likelihood`.
      log_obs: as in :func:`log_likelihood`.
      lengths: as in :func:`log_likelihood`.
      observed: as in :func:`log_likelihood`.
      backend: as in :func:`log_likelihood`.

    Returns:
      States, int32, 0 in the pads. Where no path is allowed, they mean nothing.

    Raises:
      ValueError: as in :func:`log_likelihood`.
      TypeError: as in :func:`log_likelihood`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> sure = jnp.log(jnp.array([[1.0, 0.0], [0.0, 1.0]]))  # a state never changes
      >>> even = jnp.log(jnp.array([0.5, 0.5]))
      >>> log_obs = jnp.log(jnp.array([[0.5, 0.5], [0.5, 0.5], [0.0, 1.0]]))
      >>> sample(jax.random.key(0), even, sure, log_obs).tolist()
      [1, 1, 1]

    References:
      Chib, "Calculating Posterior Distributions and Modal Estimates in Markov Mixture Models",
      Journal of Econometrics 75(1), 1996.
    """
    p = hmm_problem("sample", log_initial, log_transition, log_obs, lengths, observed, backend)
    log_filter = filtered(choose(backend, p.scores), p.scores)[1]
    return p.over_time(draw(key, p.chain, log_filter), 0)
