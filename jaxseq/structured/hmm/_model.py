"""A hidden Markov model: its parameters, where they begin, and sequences drawn from it."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxseq._checks import check_shape, error, shape_text
from jaxseq._types import Array, ArrayLike, Key, PyTree
from jaxseq.structured.hmm._data import prepare
from jaxseq.structured.hmm._emission import (
    Emission,
    check_positive,
    dirichlet_log_prior,
    dirichlet_start,
    floating,
)


class HMM(NamedTuple):
    """The parameters of a hidden Markov model.

    Attributes:
      log_initial: ``[K]``, of the first state.
      log_transition: ``[K, K]``, from a row's state to a column's. -inf forbids a transition.
      emission: the params of an :class:`Emission`.

    Example:
      >>> import jax
      >>> from jaxseq.structured import hmm
      >>> model = hmm.init(jax.random.key(0), hmm.poisson(3))
      >>> model.log_initial.shape, model.log_transition.shape, model.emission.rate.shape
      ((3,), (3, 3), (3,))
    """

    log_initial: Float[Array, " K"]
    log_transition: Float[Array, "K K"]
    emission: PyTree


class Prior(NamedTuple):
    r"""Dirichlet priors on where a chain begins and goes; those of emissions are their family's.

    A concentration of c says that each outcome was seen ``c - 1`` times more. All 1 is maximum
    likelihood. What a start makes impossible stays so, and has no part in the prior.

    Attributes:
      initial: a number, or ``[K]``, at least 1.
      transition: a number, ``[K]`` or ``[K, K]``, at least 1. ``1 + 10 * eye(K)`` holds on to
        states.

    Example:
      >>> from jaxseq.structured import hmm
      >>> hmm.Prior(transition=2.0)
      Prior(initial=1.0, transition=2.0)
    """

    initial: float | Float[ArrayLike, "..."] = 1.0
    transition: float | Float[ArrayLike, "..."] = 1.0


def init(
    key: Key,
    emission: Emission,
    observations: Any = None,
    *,
    lengths: Any = None,
    observed: Any = None,
    self_transition: float | None = None,
) -> HMM:
    """Returns a random start: another for each key.

    Args:
      key: of the draws.
      emission: the family.
      observations: ``[*batch, T, *event]``, for emissions to begin among them; without any they
        begin wherever the family puts them.
      lengths: ``[*batch]``, how many steps of each row are valid.
      observed: ``[*batch, T]`` bool, which steps are observed.
      self_transition: the probability of staying in each state, more than 0 and less than 1; by
        itself each row is uniform among all distributions.

    Returns:
      The model.

    Raises:
      ValueError: if a shape is wrong, an observation impossible, no step observed, or
        ``self_transition`` out of range.
      TypeError: if a dtype is wrong.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq.structured import hmm
      >>> model = hmm.init(jax.random.key(0), hmm.poisson(2), self_transition=0.9)
      >>> jnp.exp(jnp.diagonal(model.log_transition)).round(1).tolist()
      [0.9..., 0.9...]
    """
    if self_transition is not None and not 0 < self_transition < 1:
        raise error(
            "hmm.init",
            f"`self_transition` must be more than 0 and less than 1, but it is {self_transition!r}",
        )
    if observations is None:
        return draw(key, emission, self_transition=self_transition)
    data = prepare("hmm.init", emission, observations, lengths, observed)
    return draw(key, emission, data.observations, data.used, self_transition=self_transition)


# One program: step by step, each start would be traced anew.
@functools.partial(jax.jit, static_argnames=("emission", "self_transition"))
def draw(
    key: Key,
    emission: Emission,
    observations: Any = None,
    used: Any = None,
    *,
    self_transition: float | None = None,
) -> HMM:
    """Returns a random start, from observations that were checked."""
    first, move, params = jax.random.split(key, 3)
    size = emission.num_states
    if observations is None:
        params = emission.init(params)
    else:
        params = emission.init(params, observations, used=used)
    dtype = floating(*jax.tree.leaves(params))
    log_transition = dirichlet_start(move, jnp.ones((size, size), dtype))
    if self_transition is not None and size > 1:
        eye = jnp.eye(size, dtype=bool)
        others = jax.nn.log_softmax(jnp.where(eye, -jnp.inf, log_transition), axis=-1)
        log_transition = jnp.where(
            eye, jnp.log(self_transition), jnp.log1p(-self_transition) + others
        )
    return HMM(dirichlet_start(first, jnp.ones(size, dtype)), log_transition, params)


def simulate(
    key: Key, emission: Emission, model: HMM, steps: int, *, batch_shape: tuple[int, ...] = ()
) -> tuple[Array, Array]:
    """Draws sequences of states, and of what they emit.

    Args:
      key: of the draws.
      emission: the family.
      model: the parameters.
      steps: T, at least 1.
      batch_shape: leading axes: so many sequences, each drawn by itself.

    Returns:
      States int32 ``[*batch, T]``, and observations ``[*batch, T, *event]``.

    Raises:
      ValueError: if ``steps`` is not a positive integer, or the model of another size.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq.structured import hmm
      >>> coins = hmm.categorical(2, 2)
      >>> sure = jnp.log(jnp.eye(2))  # state 0, then 1, then 0, each showing its number
      >>> model = hmm.HMM(sure[0], sure[::-1], hmm.CategoricalParams(sure))
      >>> states, symbols = hmm.simulate(jax.random.key(0), coins, model, 4)
      >>> states.tolist(), symbols.tolist()
      ([0, 1, 0, 1], [0, 1, 0, 1])
    """
    check_positive("hmm.simulate", steps=steps)
    check_sizes("hmm.simulate", emission, model)
    first_key, move_key, emit_key = jax.random.split(key, 3)
    first = jax.random.categorical(first_key, model.log_initial, shape=batch_shape)

    def step(state: Array, key: Key) -> tuple[Array, Array]:
        state = jax.random.categorical(key, model.log_transition[state])
        return state, state

    rest = jax.lax.scan(step, first, jax.random.split(move_key, steps - 1))[1]
    states = jnp.moveaxis(jnp.concatenate([first[None], rest]), 0, -1).astype(jnp.int32)
    return states, emission.sample(emit_key, model.emission, states)


def check_sizes(where: str, emission: Emission, model: HMM) -> None:
    """Raises unless the model is of the family, and of its sizes."""
    size = emission.num_states
    check_shape(where, "log_initial", model.log_initial, "(K,)", (size,))
    check_shape(where, "log_transition", model.log_transition, "(K, K)", (size, size))
    expected = jax.eval_shape(emission.init, jax.random.key(0))
    if jax.tree.structure(expected) != jax.tree.structure(model.emission):
        raise error(
            where,
            f"`model.emission` must be params of the family {emission.name}, "
            f"{type(expected).__name__}, but it is {type(model.emission).__name__}",
            kind=TypeError,
        )
    pairs = zip(jax.tree.leaves(expected), jax.tree.leaves(model.emission), strict=True)
    for wanted, given in pairs:
        if wanted.shape != given.shape:
            raise error(
                where,
                f"`model.emission` must have arrays of the family's sizes, such as "
                f"{shape_text(wanted.shape)}, but there is {shape_text(given.shape)}",
            )


def check_model(where: str, emission: Emission, model: HMM) -> None:
    """Raises unless the model can be a start: of the right sizes, and made of probabilities."""
    check_sizes(where, emission, model)
    for name in ("log_initial", "log_transition"):
        total = np.exp(np.asarray(getattr(model, name), np.float64)).sum(-1)
        wrong = total[~(np.abs(total - 1) < 1e-3)]
        if wrong.size:
            raise error(
                where,
                f"`{name}` must be logarithms of probabilities that sum to 1, "
                f"but there is a sum of {wrong[0]:.6g}",
                hint="jax.nn.log_softmax makes them sum to 1",
            )
    if any(np.isnan(np.asarray(leaf)).any() for leaf in jax.tree.leaves(model.emission)):
        raise error(where, "there is a NaN in `model.emission`")


def concentrations(where: str, prior: Prior, size: int, dtype: Any) -> Prior:
    """Returns the prior as arrays ``[K]`` and ``[K, K]``, or raises."""
    arrays = []
    for name, shape in (("initial", (size,)), ("transition", (size, size))):
        given = np.asarray(getattr(prior, name), np.float64)
        if given.shape != shape[len(shape) - given.ndim :] or given.ndim > len(shape):
            raise error(
                where,
                f"`prior.{name}` must be a number or have shape {shape_text(shape)}, "
                f"but it has shape {shape_text(given.shape)}",
            )
        if not (given >= 1).all() or not np.isfinite(given).all():
            raise error(where, f"`prior.{name}` must be at least 1, but there is {given.min()}")
        arrays.append(jnp.asarray(np.broadcast_to(given, shape), dtype))
    return Prior(arrays[0], arrays[1])


def log_prior(emission: Emission, prior: Prior, model: HMM) -> Array:
    """Returns the log-density of the model before any data, up to a constant."""
    chain = dirichlet_log_prior(prior.initial, model.log_initial)
    chain = chain + dirichlet_log_prior(prior.transition, model.log_transition)
    return chain + emission.log_prior(model.emission).astype(chain.dtype)
