"""Emissions of real vectors, normally distributed in each state."""

import functools
from typing import Literal

import numpy as np

from jaxseq._checks import error
from jaxseq.structured.hmm._emission import Emission, check_least, check_positive
from jaxseq.structured.hmm._gaussian_diagonal import diagonal_gaussian
from jaxseq.structured.hmm._gaussian_full import full_gaussian
from jaxseq.structured.hmm._vectors import Pseudo

Covariance = Literal["diagonal", "full"]


@functools.cache
def gaussian(
    num_states: int,
    size: int,
    *,
    covariance: Covariance = "diagonal",
    prior_mean: float = 0.0,
    prior_mean_weight: float = 0.0,
    prior_variance: float = 1.0,
    prior_variance_weight: float = 0.0,
    min_variance: float = 1e-6,
) -> Emission:
    r"""Returns emissions of real vectors ``[..., D]``, normally distributed in each state.

    .. math:: p(x_t \mid z_t = k) = \mathcal{N}(x_t; \mu_k, \Sigma_k)

    The likelihood of a normal distribution has no bound: a state may sit down on one observation
    with a variance of 0. So there is a least variance, and where a state has too few observations
    a prior helps: its weights, both 0, are the numbers of observations that each state had before.
    With them the prior is the conjugate one, normal and inverse Wishart,

    .. math:: -\tfrac12 w_\mu (\mu_k - m)^\top \Sigma_k^{-1} (\mu_k - m)
        - \tfrac12 w_\sigma (\log |\Sigma_k| + s \operatorname{tr} \Sigma_k^{-1}).

    The M step is the exact maximum under all of this, the least variance included.

    Args:
      num_states: K.
      size: D. A series of numbers ``[*batch, T]`` is one of vectors of size 1: ``xs[..., None]``.
      covariance: ``"diagonal"``, or ``"full"``.
      prior_mean: m, in every dimension.
      prior_mean_weight: how many observations it stands for, at least 0.
      prior_variance: s, in every dimension.
      prior_variance_weight: how many observations it stands for, at least 0.
      min_variance: the least variance; of a full covariance, the least eigenvalue. Choose it well
        below the variance of the observations, in their unit squared.

    Returns:
      The family; its params are :class:`GaussianParams`, or :class:`FullGaussianParams`.

    Raises:
      ValueError: if a size is not a positive integer, a weight or variance out of range, or
        ``covariance`` unknown.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq.structured import hmm
      >>> heights = hmm.gaussian(1, 1)
      >>> params = heights.init(jax.random.key(0))
      >>> params = heights.estimate(params, jnp.array([[1.0], [3.0]]), jnp.ones((2, 1)))
      >>> params.mean.tolist(), params.variance.tolist()
      ([[2.0]], [[1.0]])

    References:
      Rabiner, "A Tutorial on Hidden Markov Models and Selected Applications in Speech
      Recognition", Proceedings of the IEEE 77(2), 1989; Gauvain and Lee, "Maximum a Posteriori
      Estimation for Multivariate Gaussian Mixture Observations of Markov Chains", IEEE
      Transactions on Speech and Audio Processing 2(2), 1994.
    """
    where = "hmm.gaussian"
    check_positive(where, num_states=num_states, size=size)
    check_least(where, 0, prior_mean_weight=prior_mean_weight, prior_variance=prior_variance)
    check_least(where, 0, prior_variance_weight=prior_variance_weight, min_variance=min_variance)
    if not np.isfinite(prior_mean):
        raise error(where, f"`prior_mean` must be a finite number, but it is {prior_mean!r}")
    if min_variance == 0:
        raise error(where, "`min_variance` must be more than 0")
    if covariance not in ("diagonal", "full"):
        raise error(where, f'`covariance` must be "diagonal" or "full", but it is "{covariance}"')
    prior = Pseudo(
        prior_mean, prior_mean_weight, prior_variance, prior_variance_weight, min_variance
    )
    family = full_gaussian if covariance == "full" else diagonal_gaussian
    return family(num_states, size, prior)
