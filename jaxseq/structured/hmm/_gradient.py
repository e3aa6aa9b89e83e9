"""Fitting by gradient, with any optimizer of optax."""

from typing import Any

from jaxtyping import Bool

from jaxseq._checks import error
from jaxseq._types import ArrayLike, Key, Lengths
from jaxseq.structured.hmm._descent import climb
from jaxseq.structured.hmm._emission import Emission, check_least, check_positive
from jaxseq.structured.hmm._model import HMM, Prior
from jaxseq.structured.hmm._progress import Report
from jaxseq.structured.hmm._restarts import Climb, Fit, Start, best_of, prepared


def fit_gradient(
    key: Key,
    emission: Emission,
    observations: Any,
    optimizer: Any,
    *,
    steps: int = 1000,
    lengths: Lengths | None = None,
    observed: Bool[ArrayLike, "*batch T"] | None = None,
    model: Start = None,
    restarts: int = 1,
    prior: Prior = Prior(),  # noqa: B008  a NamedTuple of numbers
    tolerance: float = 0.0,
    progress: bool = False,
    backend: str = "auto",
) -> Fit:
    r"""Fits a hidden Markov model by gradient, with an optimizer of your own.

    .. math:: \min_\theta - \frac{1}{N} \big( \log p(x \mid \theta) + \log p(\theta) \big)

    N is the number of observed steps, so that a step size does not depend on how many there are.
    The optimizer sees real numbers without constraints: logits for probabilities, logarithms for
    rates and variances, and triangular roots for covariances. The prior is of the params, not of
    these, so that the maximum is that of :func:`fit`.

    This is :func:`log_likelihood` and its gradient in a loop. For emissions that are a network's,
    for minibatches, or for a model inside a larger one, write that loop yourself.

    Args:
      key: of the starts.
      emission: the family.
      observations: as in :func:`fit`.
      optimizer: of optax, or anything with its ``init`` and ``update``; those that search along a
        line, such as ``optax.lbfgs()``, get what they ask for.
      steps: how many, at most.
      lengths: as in :func:`fit`.
      observed: as in :func:`fit`.
      model: as in :func:`fit`.
      restarts: as in :func:`fit`.
      prior: as in :func:`fit`.
      tolerance: a restart has converged at the first step where no entry of the gradient of the
        objective above is larger; with 0 it takes all steps.
      progress: as in :func:`fit`.
      backend: as in :func:`log_likelihood`.

    Returns:
      What :func:`fit` returns; the model is the likeliest that was met, and ``history`` may fall.

    Raises:
      ValueError: as in :func:`fit`.
      TypeError: as in :func:`fit`; or if ``optimizer`` has no ``init`` and ``update``.
      FloatingPointError: if the log-posterior is not finite in any restart.

    Example:
      >>> import jax, optax
      >>> from jaxseq.data import load
      >>> from jaxseq.structured import hmm
      >>> counts = load("earthquakes_yearly").train.count
      >>> adam = optax.adam(0.1)
      >>> found = hmm.fit_gradient(jax.random.key(0), hmm.poisson(2), counts, adam, steps=300)
      >>> print(f"{found.log_likelihood:.2f}")
      -341.88

    References:
      Zucchini and MacDonald, "Hidden Markov Models for Time Series: An Introduction Using R",
      2009, section 3: maximisation of the likelihood without constraints.
    """
    where = "hmm.fit_gradient"
    check_positive(where, steps=steps)
    check_least(where, 0, tolerance=tolerance)
    _check_optimizer(where, optimizer)
    data, starts, weights = prepared(
        where,
        key,
        emission,
        observations,
        lengths=lengths,
        observed=observed,
        model=model,
        restarts=restarts,
        prior=prior,
        backend=backend,
    )

    def run(start: HMM, report: Report) -> Climb:
        return climb(
            emission,
            optimizer,
            start,
            data,
            weights,
            steps=steps,
            tolerance=tolerance,
            backend=backend,
            report=report,
        )

    return best_of(where, starts, run, iterations=steps, progress=progress)


def _check_optimizer(where: str, optimizer: Any) -> None:
    """Raises unless it has what an optimizer of optax has."""
    if not (callable(getattr(optimizer, "init", None)) and hasattr(optimizer, "update")):
        raise error(
            where,
            f"`optimizer` must have `init` and `update`, but it is {type(optimizer).__name__}",
            hint="such as optax.adam(1e-2)",
            kind=TypeError,
        )
