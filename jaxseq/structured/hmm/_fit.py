"""Fitting by expectation maximisation: Baum and Welch's algorithm."""

from typing import Any

from jaxtyping import Bool

from jaxseq._types import ArrayLike, Key, Lengths
from jaxseq.structured.hmm._em import climb
from jaxseq.structured.hmm._emission import Emission, check_least, check_positive
from jaxseq.structured.hmm._model import HMM, Prior
from jaxseq.structured.hmm._progress import Report
from jaxseq.structured.hmm._restarts import Climb, Fit, Start, best_of, prepared


def fit(
    key: Key,
    emission: Emission,
    observations: Any,
    *,
    lengths: Lengths | None = None,
    observed: Bool[ArrayLike, "*batch T"] | None = None,
    model: Start = None,
    restarts: int = 1,
    prior: Prior = Prior(),  # noqa: B008  a NamedTuple of numbers
    max_iterations: int = 1000,
    tolerance: float = 1e-8,
    progress: bool = False,
    backend: str = "auto",
) -> Fit:
    r"""Fits a hidden Markov model by expectation maximisation.

    .. math:: \theta' = \arg\max_\theta \mathbb{E}_{z \sim p(z \mid x, \theta_{\mathrm{old}})}
        [\log p(x, z \mid \theta)] + \log p(\theta)

    Each iteration takes the expected counts of states and transitions, of all sequences at once
    and never larger than ``[*batch, T, K]``, to the params that are likeliest with them. The
    log-posterior can only rise, up to rounding; that it does is asserted at every iteration. It
    rises to a maximum near the start, not to the greatest: hence the restarts.

    Iterations run on the device some at a time, and the loop around them is on the host; so this
    function is not for jit. In float32 a log-likelihood has about seven digits, and a gain that is
    smaller than their rounding cannot be told from none: the fit ends there. For more, use float64.

    Args:
      key: of the starts.
      emission: the family: :func:`categorical`, :func:`gaussian`, :func:`poisson`, or your own.
      observations: ``[*batch, T, *event]``: ``[*batch, T]`` symbols or counts, ``[*batch, T, D]``
        vectors. What stands in pads and at missing steps never matters, NaN included.
      lengths: how many steps of each row are valid.
      observed: which steps are observed. Another says nothing of its state.
      model: a start; or a function of a key that makes one for each restart, such as
        ``lambda key: hmm.init(key, emission, observations, self_transition=0.9)``; by itself it is
        :func:`init` from the observations. Transitions that it forbids stay forbidden.
      restarts: how many starts there are, of which the best end is returned.
      prior: of initial and transition probabilities. Those of emissions are the family's.
      max_iterations: of each restart.
      tolerance: in nats; a restart has converged at the first iteration that gains no more.
      progress: shows a bar on a terminal, a line every ten seconds elsewhere.
      backend: as in :func:`log_likelihood`.

    Returns:
      The model, its log-likelihood and history, and how each restart ended. A restart whose
      log-posterior is not finite has its problem told there, and is never the best.

    Raises:
      ValueError: if a shape is wrong, an observation impossible, or no step observed; if the start
        has other sizes or probabilities that do not sum to 1; if a number is out of range.
      TypeError: if a dtype is wrong, or an argument is traced by jit.
      FloatingPointError: if the log-posterior falls, which says that ``estimate`` does not belong
        to ``log_prob``; or if it is not finite in any restart.

    Example:
      >>> import jax
      >>> from jaxseq.data import load
      >>> from jaxseq.structured import hmm
      >>> counts = load("earthquakes_yearly").train.count  # of magnitude 7 and more, by year
      >>> found = hmm.fit(jax.random.key(0), hmm.poisson(2), counts)
      >>> print(f"{found.log_likelihood:.2f}", sorted(found.model.emission.rate.round(1).tolist()))
      -341.88 [15.4..., 26.0...]

    References:
      Baum, Petrie, Soules and Weiss, "A Maximization Technique Occurring in the Statistical
      Analysis of Probabilistic Functions of Markov Chains", Annals of Mathematical Statistics
      41(1), 1970; Rabiner, "A Tutorial on Hidden Markov Models and Selected Applications in Speech
      Recognition", Proceedings of the IEEE 77(2), 1989; Eisner, "Inside-Outside and
      Forward-Backward Algorithms Are Just Backprop", 2016.
    """
    where = "hmm.fit"
    check_positive(where, max_iterations=max_iterations)
    check_least(where, 0, tolerance=tolerance)
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
            data,
            start,
            weights,
            max_iterations=max_iterations,
            tolerance=tolerance,
            backend=backend,
            report=report,
        )

    return best_of(where, starts, run, iterations=max_iterations, progress=progress)
