"""Expectation maximisation: some steps of it as one program, and the loop that watches them."""

import functools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseq._checks import error
from jaxseq._types import Array
from jaxseq.structured.hmm._data import Data
from jaxseq.structured.hmm._emission import Emission, dirichlet_mode
from jaxseq.structured.hmm._inference import log_likelihood
from jaxseq.structured.hmm._model import HMM, Prior, log_prior
from jaxseq.structured.hmm._progress import Report
from jaxseq.structured.hmm._restarts import Climb, pace, problem

CHUNK = 64
"""So many steps at most are one call of a program; between calls the loop can be interrupted."""


class State(NamedTuple):
    """Where a climb stands.

    Attributes:
      model: the last that was evaluated.
      candidate: what the M step has made of it.
      log_likelihood: of ``model``.
      log_posterior: of ``model``, up to a constant.
    """

    model: HMM
    candidate: HMM
    log_likelihood: Array
    log_posterior: Array


def em_step(
    emission: Emission, backend: str, model: HMM, data: Data, prior: Prior
) -> tuple[Array, HMM]:
    """Returns the log-likelihood of a model, and the model that the M step makes of it.

    The E step is a gradient: that of the log-likelihood by ``log_initial``, ``log_transition`` and
    ``log_obs`` are the expected counts of beginnings, of transitions, and of states at each step
    (Eisner, "Inside-Outside and Forward-Backward Algorithms Are Just Backprop", 2016).
    """
    log_obs = emission.log_prob(model.emission, data.observations)

    def total(log_initial: Array, log_transition: Array, log_obs: Array) -> Array:
        return log_likelihood(
            log_initial,
            log_transition,
            log_obs,
            lengths=data.lengths,
            observed=data.observed,
            backend=backend,
        ).sum()

    chain = (model.log_initial, model.log_transition)
    value, counts = jax.value_and_grad(total, argnums=(0, 1, 2))(*chain, log_obs)
    initial, transition, states = counts
    updated = HMM(
        dirichlet_mode(initial, prior.initial, model.log_initial),
        dirichlet_mode(transition, prior.transition, model.log_transition),
        emission.estimate(model.emission, data.observations, states),
    )
    return value, updated


@functools.partial(jax.jit, static_argnames=("emission", "backend"))
def em_steps(
    emission: Emission,
    backend: str,
    state: State,
    data: Data,
    prior: Prior,
    *,
    limit: Any,
    tolerance: Any,
) -> tuple[State, Array, Array, Array]:
    """Evaluates up to ``limit`` candidates, one after the other, while they gain enough.

    Returns:
      Where the climb stands; log-posteriors ``[CHUNK]``, how many of them there are, and the last
      gain.
    """

    def more(loop: tuple) -> Array:
        _, _, number, gain = loop
        return (number < limit) & (gain > tolerance)  # a NaN ends it

    def step(loop: tuple) -> tuple:
        state, history, number, _ = loop
        model = state.candidate
        value, updated = em_step(emission, backend, model, data, prior)
        posterior = value + log_prior(emission, prior, model).astype(value.dtype)
        history = history.at[number].set(posterior)
        gain = posterior - state.log_posterior
        return State(model, updated, value, posterior), history, number + 1, gain

    dtype = state.log_posterior.dtype
    first = (state, jnp.zeros(CHUNK, dtype), jnp.array(0, jnp.int32), jnp.array(jnp.inf, dtype))
    return jax.lax.while_loop(more, step, first)


ROUNDING = 1000.0
"""In units of the last place, how far a log-posterior may be off.

At a maximum it wavers by a few of them; by some hundreds where a state sits on a few observations
with the least variance.
"""


def rounding(log_posterior: float, steps: int, dtype: Any) -> float:
    """Returns by how much a log-posterior over so many steps may fall by rounding alone."""
    return ROUNDING * float(jnp.finfo(dtype).eps) * (abs(log_posterior) + steps)


def climb(
    emission: Emission,
    data: Data,
    start: HMM,
    prior: Prior,
    *,
    max_iterations: int,
    tolerance: float,
    backend: str,
    report: Report,
) -> Climb:
    """Runs EM from a start until it gains no more, and asserts that it never loses."""
    dtype = start.log_initial.dtype
    worst = jnp.array(-jnp.inf, dtype)
    state, history, limit, converged = State(start, start, worst, worst), [], 1, False
    while not converged and len(history) <= max_iterations:
        began = time.monotonic()
        limit = min(limit, CHUNK, max_iterations + 1 - len(history))
        state, values, number, gain = em_steps(
            emission, backend, state, data, prior, limit=limit, tolerance=tolerance
        )
        history += np.asarray(values)[: int(number)].tolist()
        if not np.isfinite(history[-1]):
            value = float(state.log_likelihood)
            return Climb(state.model, value, history, False, problem(history))
        if gain < -rounding(history[-1], data.used.size, dtype):
            raise error(
                "hmm.fit",
                f"the log-posterior fell from {history[-2]:.8g} to {history[-1]:.8g} at iteration "
                f"{len(history) - 1}, which expectation maximisation cannot do",
                hint=f"the `estimate` of the family {emission.name} does not maximise, or its "
                f"`log_prob` or `log_prior` is another one's",
                kind=FloatingPointError,
            )
        converged = bool(gain <= tolerance)
        limit = pace(int(number), time.monotonic() - began, CHUNK)
        report.update(len(history) - 1, float(state.log_likelihood), float(gain))
    return Climb(state.model, float(state.log_likelihood), history, converged, None)
