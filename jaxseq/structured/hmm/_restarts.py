"""From several starts to the best end."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseq._checks import error
from jaxseq._types import Key
from jaxseq.structured._arguments import check_backend
from jaxseq.structured.hmm._data import Data, prepare
from jaxseq.structured.hmm._emission import Emission, check_positive, floating
from jaxseq.structured.hmm._model import HMM, Prior, check_model, concentrations, draw
from jaxseq.structured.hmm._progress import Report, reporter


class Restart(NamedTuple):
    """How one of the starts ended.

    Attributes:
      log_posterior: at its end; NaN or infinite where it came to grief.
      iterations: how many there were.
      converged: whether it ended by itself.
      problem: what went wrong, or None.

    Example:
      >>> from jaxseq.structured import hmm
      >>> hmm.Restart(-341.88, 42, True, None).converged
      True
    """

    log_posterior: float
    iterations: int
    converged: bool
    problem: str | None


class Fit(NamedTuple):
    """What a fit has come to.

    Attributes:
      model: the best of all restarts.
      log_likelihood: of this model, summed over all sequences, in nats.
      history: log-posteriors of this restart, one for its start and one for each iteration,
        ``[iterations + 1]``: log-likelihoods plus the log-density of the prior, up to a constant
        that is 0 where there is none.
      iterations: of this restart.
      converged: whether this restart ended by itself.
      restarts: how each of them ended, in order.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq.structured import hmm
      >>> counts = jnp.array([1, 2, 1, 9, 8, 9])
      >>> found = hmm.fit(jax.random.key(0), hmm.poisson(2), counts)
      >>> found.converged, len(found.history) == found.iterations + 1, len(found.restarts)
      (True, True, 1)
    """

    model: HMM
    log_likelihood: float
    history: np.ndarray
    iterations: int
    converged: bool
    restarts: tuple[Restart, ...]


class Climb(NamedTuple):
    """How a climb from one start ended.

    Attributes:
      model: where.
      log_likelihood: of the model.
      history: log-posteriors, that of the start first.
      converged: whether it ended by itself.
      problem: what went wrong, or None.
    """

    model: HMM
    log_likelihood: float
    history: list[float]
    converged: bool
    problem: str | None


Start = HMM | Callable[[Key], HMM] | None


def check_start(where: str, model: Start, restarts: int) -> None:
    """Raises unless so many restarts make sense."""
    check_positive(where, restarts=restarts)
    if isinstance(model, HMM) and restarts > 1:
        raise error(
            where,
            f"`restarts` is {restarts}, but `model` is one start for all of them",
            hint="give a function of a key: model=lambda key: hmm.init(key, emission, ...)",
        )
    if not (model is None or isinstance(model, HMM) or callable(model)):
        raise error(
            where,
            f"`model` must be an HMM, or a function of a key that returns one, "
            f"but it is {type(model).__name__}",
            kind=TypeError,
        )


def prepared(
    where: str,
    key: Key,
    emission: Emission,
    observations: Any,
    *,
    lengths: Any,
    observed: Any,
    model: Start,
    restarts: int,
    prior: Prior,
    backend: str,
) -> tuple[Data, list[HMM], Prior]:
    """Returns harmless data, where each restart begins, and the prior as arrays, or raises."""
    check_backend(where, backend)
    check_start(where, model, restarts)
    data = prepare(where, emission, observations, lengths, observed)
    keys = jax.random.split(key, restarts)
    starts = [start_of(where, key, emission, data, model) for key in keys]
    dtype = starts[0].log_initial.dtype
    return data, starts, concentrations(where, prior, emission.num_states, dtype)


def start_of(where: str, key: Key, emission: Emission, data: Data, model: Start) -> HMM:
    """Returns where a restart begins, in the dtype to compute in."""
    if model is None:
        start = draw(key, emission, data.observations, data.used)
    else:
        start = model if isinstance(model, HMM) else model(key)
        check_model(where, emission, start)
    dtype = floating(*jax.tree.leaves(start), data.observations)

    def cast(leaf: Any) -> Any:
        leaf = jnp.asarray(leaf)
        return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree.map(cast, start)


def best_of(
    where: str,
    starts: list[HMM],
    climb: Callable[[HMM, Report], Climb],
    *,
    iterations: int,
    progress: bool,
) -> Fit:
    """Climbs from each start, and returns the best end with a record of all."""
    ends = []
    with reporter(progress, iterations, len(starts)) as report:
        for start in starts:
            report.begin()
            ends.append(climb(start, report))
    good = [end for end in ends if end.problem is None]
    if not good:
        raise error(
            where,
            ends[0].problem or "",
            hint="begin elsewhere, by another key or `model`; a prior, or a larger min_variance of "
            "hmm.gaussian, keeps emissions from collapsing",
            kind=FloatingPointError,
        )
    best = max(good, key=lambda end: end.history[-1])
    records = tuple(
        Restart(end.history[-1], len(end.history) - 1, end.converged, end.problem) for end in ends
    )
    history = np.asarray(best.history)
    return Fit(best.model, best.log_likelihood, history, len(history) - 1, best.converged, records)


def problem(history: list[float]) -> str | None:
    """Returns what is wrong with the last log-posterior, if anything is."""
    last = history[-1]
    if math.isfinite(last):
        return None
    if len(history) == 1:
        return f"the log-posterior of the start is {last}"
    return f"the log-posterior became {last} at iteration {len(history) - 1}"


def pace(number: int, seconds: float, most: int) -> int:
    """Returns how many iterations to do at once, so that about four times a second one can stop."""
    return max(1, min(most, int(0.25 * number / max(seconds, 1e-9))))
