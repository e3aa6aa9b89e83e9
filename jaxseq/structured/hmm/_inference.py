"""Inference in a hidden Markov model, given what its observations say of its states."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._checks import error
from jaxseq._types import Array, ArrayLike, Lengths
from jaxseq.structured._backend import choose
from jaxseq.structured._partition import filtered, log_pairs, log_partition, posterior
from jaxseq.structured._semiring import LOG, vecmat
from jaxseq.structured.hmm._arguments import (
    Evidence,
    Initial,
    Observed,
    Transition,
    hmm_problem,
)


class Filtered(NamedTuple):
    """What is known of the states as time goes on.

    Attributes:
      log_likelihood: ``[*batch]``, of each sequence.
      log_probs: ``[*batch, T, K]``, of the state given the steps up to now; -inf in the pads.

    Example:
      >>> import jax.numpy as jnp
      >>> even = jnp.log(jnp.full(2, 0.5))
      >>> filter(even, jnp.stack([even, even]), jnp.zeros((3, 2))).log_probs.shape
      (3, 2)
    """

    log_likelihood: Float[Array, "*batch"]
    log_probs: Float[Array, "*batch T K"]


class Smoothed(NamedTuple):
    """What is known of the states in hindsight.

    Attributes:
      log_likelihood: ``[*batch]``, of each sequence.
      log_marginals: ``[*batch, T, K]``, of the state given all steps; -inf in the pads.
      transition_counts: ``[*batch, K, K]``, how often each transition is expected to be taken.

    Example:
      >>> import jax.numpy as jnp
      >>> even = jnp.log(jnp.full(2, 0.5))
      >>> smooth(even, jnp.stack([even, even]), jnp.zeros((3, 2))).transition_counts.tolist()
      [[0.5, 0.5], [0.5, 0.5]]
    """

    log_likelihood: Float[Array, "*batch"]
    log_marginals: Float[Array, "*batch T K"]
    transition_counts: Float[Array, "*batch K K"]


def log_likelihood(
    log_initial: Initial,
    log_transition: Transition,
    log_obs: Evidence,
    *,
    lengths: Lengths | None = None,
    observed: Observed | None = None,
    backend: str = "auto",
) -> Float[Array, "*batch"]:
    r"""Returns the log-likelihood of each sequence, summed over all paths of states.

    .. math:: \log \sum_{z} p(z_1) \prod_{t > 1} p(z_t \mid z_{t-1}) \prod_t p(x_t \mid z_t)

    ``log_obs`` is ``log p(x_t | z_t)`` for every state: of an :class:`Emission`, or of any network.
    Its gradient is the posterior probability of each state at each step; that of
    ``log_transition`` the expected number of times that each transition is taken.

    Args:
      log_initial: of the first state; ``[K]``, or ``[*batch, K]``.
      log_transition: from a row's state to a column's; ``[K, K]``, ``[*batch, K, K]``, or
        ``[*batch, T-1, K, K]``. -inf forbids a transition.
      log_obs: ``[*batch, T, K]``. What stands in the pads never matters, NaN included.
      lengths: how many steps of each row are valid; under jit one outside 0..T counts as the nearer
        end.
      observed: ``[*batch, T]``: which steps are observed. Another says nothing of its state.
      backend: ``"sequential"``, step by step; ``"associative"``, blocks of steps side by side;
        ``"reference"``, step by step and in logarithms throughout; ``"auto"`` chooses
        (:func:`jaxseq.structured.plan`). Values are the same.

    Returns:
      ``[*batch]``, in nats: 0 for length 0, and -inf where no path is allowed, with zero gradient.

    Raises:
      ValueError: if a shape is wrong, a known length is outside 0..T, or the backend unknown.
      TypeError: if a dtype is wrong.

    Example:
      >>> import jax.numpy as jnp
      >>> stay = jnp.log(jnp.array([[0.9, 0.1], [0.2, 0.8]]))
      >>> log_obs = jnp.log(jnp.array([[0.5, 0.1], [0.5, 0.1], [0.1, 0.7]]))
      >>> round(float(log_likelihood(jnp.log(jnp.array([0.6, 0.4])), stay, log_obs)), 4)
      -3.656

    References:
      Rabiner, "A Tutorial on Hidden Markov Models and Selected Applications in Speech
      Recognition", Proceedings of the IEEE 77(2), 1989.
    """
    p = hmm_problem(
        "log_likelihood", log_initial, log_transition, log_obs, lengths, observed, backend
    )
    log_z = log_partition(backend, p.scores)
    return p.rows(jnp.where(p.some, log_z, 0))


def filter(
    log_initial: Initial,
    log_transition: Transition,
    log_obs: Evidence,
    *,
    lengths: Lengths | None = None,
    observed: Observed | None = None,
    backend: str = "auto",
) -> Filtered:
    r"""Returns the probabilities of each state given the steps up to now.

    .. math:: p(z_t \mid x_1, …, x_t)

    Args:
      log_initial: as in :func:`log_likelihood`.
      log_transition: as in :func:`log_likelihood`.
      log_obs: as in :func:`log_likelihood`.
      lengths: as in :func:`log_likelihood`.
      observed: as in :func:`log_likelihood`.
      backend: as in :func:`log_likelihood`.

    Returns:
      Log-likelihoods, and log-probabilities; -inf also from where on no path is allowed.

    Raises:
      ValueError: as in :func:`log_likelihood`.
      TypeError: as in :func:`log_likelihood`.

    Example:
      >>> import jax.numpy as jnp, numpy as np
      >>> stay = jnp.log(jnp.array([[0.9, 0.1], [0.2, 0.8]]))
      >>> log_obs = jnp.log(jnp.array([[0.5, 0.1], [0.1, 0.7]]))
      >>> found = filter(jnp.log(jnp.array([0.5, 0.5])), stay, log_obs)
      >>> np.exp(np.asarray(found.log_probs, float)).round(2).tolist()
      [[0.83, 0.17], [0.34, 0.66]]

    References:
      Rabiner, 1989, as in :func:`log_likelihood`.
    """
    p = hmm_problem("filter", log_initial, log_transition, log_obs, lengths, observed, backend)
    log_z, log_filter = filtered(choose(backend, p.scores), p.scores)
    return Filtered(p.rows(jnp.where(p.some, log_z, 0)), p.over_time(log_filter, -jnp.inf))


def smooth(
    log_initial: Initial,
    log_transition: Transition,
    log_obs: Evidence,
    *,
    lengths: Lengths | None = None,
    observed: Observed | None = None,
    backend: str = "auto",
) -> Smoothed:
    r"""Returns the probabilities of each state given all steps.

    .. math:: p(z_t \mid x_1, …, x_T)

    Those of two successive states, step by step, are :func:`pairwise`.

    Args:
      log_initial: as in :func:`log_likelihood`.
      log_transition: as in :func:`log_likelihood`.
      log_obs: as in :func:`log_likelihood`.
      lengths: as in :func:`log_likelihood`.
      observed: as in :func:`log_likelihood`.
      backend: as in :func:`log_likelihood`.

    Returns:
      Log-likelihoods, log-probabilities, and expected transitions; where no path is allowed, -inf
      and 0.

    Raises:
      ValueError: as in :func:`log_likelihood`.
      TypeError: as in :func:`log_likelihood`.

    Example:
      >>> import jax.numpy as jnp, numpy as np
      >>> stay = jnp.log(jnp.array([[0.9, 0.1], [0.2, 0.8]]))
      >>> log_obs = jnp.log(jnp.array([[0.5, 0.1], [0.1, 0.7]]))
      >>> found = smooth(jnp.log(jnp.array([0.5, 0.5])), stay, log_obs)
      >>> np.exp(np.asarray(found.log_marginals, float)).round(2).tolist()
      [[0.58, 0.42], [0.34, 0.66]]

    References:
      Rabiner, 1989, as in :func:`log_likelihood`.
    """
    p = hmm_problem("smooth", log_initial, log_transition, log_obs, lengths, observed, backend)
    found = posterior(choose(backend, p.scores), p.scores)
    return Smoothed(
        p.rows(jnp.where(p.some, found.log_z, 0)),
        p.over_steps(found.log_marginal, -jnp.inf),
        p.rows(found.counts),
    )


def pairwise(
    log_initial: Initial,
    log_transition: Transition,
    log_obs: Evidence,
    *,
    lengths: Lengths | None = None,
    observed: Observed | None = None,
    backend: str = "auto",
) -> Float[Array, "*batch T-1 K K"]:
    r"""Returns the log-probabilities of each two successive states given all steps.

    .. math:: \log p(z_{t-1} = i, z_t = j \mid x_1, …, x_T)

    This is a ``[K, K]`` for every step; their sum over time, which training wants, is
    ``smooth(...).transition_counts``, without them.

    Args:
      log_initial: as in :func:`log_likelihood`.
      log_transition: as in :func:`log_likelihood`.
      log_obs: as in :func:`log_likelihood`.
      lengths: as in :func:`log_likelihood`.
      observed: as in :func:`log_likelihood`.
      backend: as in :func:`log_likelihood`.

    Returns:
      ``[*batch, T-1, K, K]``; -inf in the pads, and where no path is allowed.

    Raises:
      ValueError: as in :func:`log_likelihood`.
      TypeError: as in :func:`log_likelihood`.

    Example:
      >>> import jax.numpy as jnp
      >>> even = jnp.log(jnp.full(2, 0.5))
      >>> pairs = pairwise(even, jnp.stack([even, even]), jnp.zeros((3, 2)))
      >>> jnp.exp(pairs[0]).tolist()
      [[0.25, 0.25], [0.25, 0.25]]

    References:
      Rabiner, 1989, as in :func:`log_likelihood`.
    """
    p = hmm_problem("pairwise", log_initial, log_transition, log_obs, lengths, observed, backend)
    pairs = log_pairs(choose(backend, p.scores), p.scores)
    return p.rows(jnp.moveaxis(pairs, 0, 1))


def predict(
    log_initial: Initial,
    log_transition: Float[ArrayLike, "K K"],
    log_obs: Evidence,
    *,
    steps: int,
    lengths: Lengths | None = None,
    observed: Observed | None = None,
    backend: str = "auto",
) -> Float[Array, "*batch steps K"]:
    r"""Returns the probabilities of the states that follow each sequence.

    .. math:: p(z_{T+h} \mid x_1, …, x_T), \quad h = 1, …, \mathrm{steps}

    Args:
      log_initial: as in :func:`log_likelihood`.
      log_transition: ``[K, K]``.
      log_obs: as in :func:`log_likelihood`.
      steps: how far, at least 1.
      lengths: as in :func:`log_likelihood`.
      observed: as in :func:`log_likelihood`.
      backend: as in :func:`log_likelihood`.

    Returns:
      Log-probabilities ``[*batch, steps, K]``. After length 0 the first of them is the initial one.

    Raises:
      ValueError: as in :func:`log_likelihood`; if ``steps`` is less than 1.
      TypeError: as in :func:`log_likelihood`.

    Example:
      >>> import jax.numpy as jnp, numpy as np
      >>> stay = jnp.log(jnp.array([[0.9, 0.1], [0.2, 0.8]]))
      >>> known = jnp.log(jnp.array([[1.0, 0.0]]))
      >>> ahead = predict(jnp.log(jnp.array([0.5, 0.5])), stay, known, steps=2)
      >>> np.exp(np.asarray(ahead, float)).round(2).tolist()
      [[0.9, 0.1], [0.83, 0.17]]

    References:
      Zucchini and MacDonald, "Hidden Markov Models for Time Series", 2009, section 5.
    """
    if steps < 1:
        raise error("hmm.predict", f"`steps` must be at least 1, but it is {steps}")
    p = hmm_problem("predict", log_initial, log_transition, log_obs, lengths, observed, backend)
    if p.scores.transition.ndim != 2:
        raise error("hmm.predict", "`log_transition` must have shape (K, K)")
    log_filter = filtered(choose(backend, p.scores), p.scores)[1]
    last = jnp.take_along_axis(log_filter, jnp.maximum(p.lengths - 1, 0)[None, :, None], 0)[0]
    begin = jnp.asarray(log_initial, last.dtype).reshape(-1, last.shape[-1])
    some = p.some[:, None]
    now = jnp.where(some, vecmat(LOG, last, p.scores.transition), begin)
    ahead = [now]
    for _ in range(steps - 1):
        now = vecmat(LOG, now, p.scores.transition)
        ahead.append(now)
    return p.rows(jnp.stack(ahead, axis=1))
