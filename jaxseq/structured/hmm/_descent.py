"""Gradient steps: some of them as one program, and the loop around it."""

import functools
import inspect
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseq._types import Array, PyTree
from jaxseq.structured.hmm._data import Data
from jaxseq.structured.hmm._emission import Emission
from jaxseq.structured.hmm._inference import log_likelihood
from jaxseq.structured.hmm._model import HMM, Prior, log_prior
from jaxseq.structured.hmm._progress import Report
from jaxseq.structured.hmm._restarts import Climb, pace, problem

CHUNK = 64
"""So many steps at most are one call of a program; between calls the loop can be interrupted."""


class Free(NamedTuple):
    """A model in any real numbers.

    Attributes:
      initial: logits ``[K]``.
      transition: logits ``[K, K]``.
      emission: what the family makes of its params.
    """

    initial: Array
    transition: Array
    emission: PyTree


class Task(NamedTuple):
    """What does not change on the way.

    Attributes:
      data: to learn from.
      prior: of the chain.
      initial: ``[K]`` bool, which states may be the first.
      transition: ``[K, K]`` bool, which transitions are allowed.
    """

    data: Data
    prior: Prior
    initial: Array
    transition: Array


class State(NamedTuple):
    """Where a descent stands.

    Attributes:
      free: where it is.
      optimizer: the optimizer's state.
      best: the likeliest met on the way.
      log_likelihood: of ``best``.
      log_posterior: of ``best``.
    """

    free: Free
    optimizer: PyTree
    best: Free
    log_likelihood: Array
    log_posterior: Array


def unconstrain(emission: Emission, model: HMM) -> Free:
    """Returns a model in any real numbers; what is impossible has a logit that nothing reads."""
    logits = [jnp.where(x > -jnp.inf, x, 0) for x in (model.log_initial, model.log_transition)]
    return Free(logits[0], logits[1], emission.unconstrain(model.emission))


def constrain(emission: Emission, task: Task, free: Free) -> HMM:
    """Returns the model."""
    pairs = ((task.initial, free.initial), (task.transition, free.transition))
    logs = [jax.nn.log_softmax(jnp.where(ok, x, -jnp.inf), axis=-1) for ok, x in pairs]
    return HMM(logs[0], logs[1], emission.constrain(free.emission))


def objective(
    free: Free, emission: Emission, backend: str, task: Task
) -> tuple[Array, tuple[Array, Array]]:
    """Returns the negative log-posterior by observed step, the log-likelihood and log-posterior."""
    model, data = constrain(emission, task, free), task.data
    value = log_likelihood(
        model.log_initial,
        model.log_transition,
        emission.log_prob(model.emission, data.observations),
        lengths=data.lengths,
        observed=data.observed,
        backend=backend,
    ).sum()
    posterior = value + log_prior(emission, task.prior, model).astype(value.dtype)
    return -posterior / data.used.sum().astype(posterior.dtype), (value, posterior)


def optimizer_step(
    optimizer: Any, loss: Callable[[Free], Array], value: Array, grad: Free, state: State
) -> tuple[Free, PyTree]:
    """Returns where the optimizer goes, and its state.

    Those that search along a line ask for the value, the gradient and the function.
    """
    kinds = {p.kind for p in inspect.signature(optimizer.update).parameters.values()}
    extra = {"value": value, "grad": grad, "value_fn": loss}
    extra = extra if inspect.Parameter.VAR_KEYWORD in kinds else {}
    # Optax relies on the standard rules, whatever the caller's are.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        updates, after = optimizer.update(grad, state.optimizer, state.free, **extra)
    return jax.tree.map(lambda x, dx: x + dx.astype(x.dtype), state.free, updates), after


@functools.partial(jax.jit, static_argnames=("emission", "optimizer", "backend"))
def descend(
    emission: Emission,
    optimizer: Any,
    backend: str,
    state: State,
    task: Task,
    *,
    limit: Any,
    tolerance: Any,
) -> tuple[State, Array, Array, Array]:
    """Evaluates and steps up to ``limit`` times, while the gradient is large enough.

    Returns:
      Where the descent stands; log-posteriors ``[CHUNK]``, how many of them there are, and the
      largest entry of the last gradient.
    """
    both = jax.value_and_grad(objective, has_aux=True)

    def more(loop: tuple) -> Array:
        _, _, number, slope = loop
        return (number < limit) & (slope > tolerance)  # a NaN ends it

    def step(loop: tuple) -> tuple:
        state, history, number, _ = loop
        (value, (likelihood, posterior)), grad = both(state.free, emission, backend, task)
        better = posterior > state.log_posterior
        best, likelihood, top = jax.tree.map(
            lambda new, old: jnp.where(better, new, old),
            (state.free, likelihood, posterior),
            (state.best, state.log_likelihood, state.log_posterior),
        )
        free, after = optimizer_step(
            optimizer, lambda free: objective(free, emission, backend, task)[0], value, grad, state
        )
        entries = [jnp.abs(leaf).max().astype(value.dtype) for leaf in jax.tree.leaves(grad)]
        slope = jnp.where(jnp.isfinite(posterior), jnp.stack(entries).max(), jnp.nan)
        state = State(free, after, best, likelihood, top)
        return state, history.at[number].set(posterior), number + 1, slope

    dtype = state.log_posterior.dtype
    first = (state, jnp.zeros(CHUNK, dtype), jnp.array(0, jnp.int32), jnp.array(jnp.inf, dtype))
    return jax.lax.while_loop(more, step, first)


def climb(
    emission: Emission,
    optimizer: Any,
    start: HMM,
    data: Data,
    prior: Prior,
    *,
    steps: int,
    tolerance: float,
    backend: str,
    report: Report,
) -> Climb:
    """Follows the gradient from a start."""
    free = unconstrain(emission, start)
    task = Task(data, prior, start.log_initial > -jnp.inf, start.log_transition > -jnp.inf)
    worst = jnp.array(-jnp.inf, start.log_initial.dtype)
    state = State(free, optimizer.init(free), free, worst, worst)
    history, limit, converged, bad = [], 1, False, None
    while not converged and len(history) <= steps and bad is None:
        began, before = time.monotonic(), history[-1:] or [-np.inf]
        limit = min(limit, CHUNK, steps + 1 - len(history))
        state, values, number, slope = descend(
            emission, optimizer, backend, state, task, limit=limit, tolerance=tolerance
        )
        history += np.asarray(values)[: int(number)].tolist()
        bad = problem(history)
        converged = bool(slope <= tolerance)
        limit = pace(int(number), time.monotonic() - began, CHUNK)
        report.update(len(history) - 1, float(state.log_likelihood), history[-1] - before[0])
    model = constrain(emission, task, state.best)
    return Climb(model, float(state.log_likelihood), history, converged, bad)
