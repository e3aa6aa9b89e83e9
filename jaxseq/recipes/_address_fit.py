"""The weights of the address labeller, and how they are found."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Float, Int, Integer

from jaxseq._checks import error
from jaxseq._types import Array, ArrayLike
from jaxseq.recipes._address_features import NONE, Encoded
from jaxseq.structured import crf

OPTIMIZER = optax.lbfgs(1.0, memory_size=10, linesearch=None)
HALVINGS = 12
"""After so many, the step is so small that it does no harm."""


class Params(NamedTuple):
    """The weights.

    Attributes:
      features: ``[N + 1, K]``, what each feature says of each label; the first row, of no feature,
        is 0.
      transitions: ``[K, K]``, from a row's label to a column's.
      initial: ``[K]``, of the first label.
      final: ``[K]``, of the last.

    Example:
      >>> Params._fields
      ('features', 'transitions', 'initial', 'final')
    """

    features: Float[ArrayLike, "N K"]
    transitions: Float[ArrayLike, "K K"]
    initial: Float[ArrayLike, " K"]
    final: Float[ArrayLike, " K"]


class Training(NamedTuple):
    """How training went.

    Attributes:
      losses: what is minimised, in nats a word, before each iteration and after the last.
      gradient_norm: at the end, in nats a word.
      converged: whether it ended by itself.

    Example:
      >>> Training(losses=(3.4, 0.5), gradient_norm=1e-5, converged=True).converged
      True
    """

    losses: tuple[float, ...]
    gradient_norm: float
    converged: bool


class Batch(NamedTuple):
    """What the weights are to explain.

    Attributes:
      encoded: the features of the words.
      tags: the right ones, ``[B, T]``.
    """

    encoded: Encoded
    tags: Integer[ArrayLike, "B T"]


def begin(num_features: int, num_labels: int) -> Params:
    """Returns weights of 0."""
    ends = jnp.zeros(num_labels)
    square = jnp.zeros((num_labels, num_labels))
    return Params(jnp.zeros((num_features + 1, num_labels)), square, ends, ends)


@jax.jit
def scores(weights: Float[ArrayLike, "N K"], encoded: Encoded) -> Float[Array, "B T K"]:
    """Returns the sum of what each word's features say of each label."""
    weights = jnp.asarray(weights).at[NONE].set(0)

    def add(total: Array, column: Array) -> tuple[Array, None]:
        # One feature of every word at a time, never [N, F, K]: seven times faster, and backwards.
        return total + weights[column], None

    words = jnp.zeros((encoded.ids.shape[0], weights.shape[1]), weights.dtype)
    return jax.lax.scan(add, words, jnp.asarray(encoded.ids).T)[0][encoded.places]


@jax.jit
def log_likelihood(params: Params, batch: Batch) -> Float[Array, " B"]:
    """Returns the log-probability of each address's labels."""
    given = _given(params, batch.encoded)
    return crf.log_likelihood(scores(params.features, batch.encoded), batch.tags, **given)


@jax.jit
def best_tags(params: Params, encoded: Encoded) -> Int[Array, "B T"]:
    """Returns the most likely labels."""
    return crf.viterbi(scores(params.features, encoded), **_given(params, encoded))[0]


def _given(params: Params, encoded: Encoded) -> dict[str, Any]:
    _, transitions, initial, final = params
    ends = {"initial": initial, "final": final}
    # Addresses are short: what another backend saves in running, it costs in compiling.
    speed = {"backend": "sequential"}
    return {"transitions": transitions, **ends, "lengths": encoded.lengths, **speed}


def minimize(
    params: Params, batch: Batch, l2: float, *, max_iterations: int, tolerance: float
) -> tuple[Params, Training]:
    """Returns the weights of least loss by L-BFGS, and how they were found.

    The line search is on the host: within the step, it would be three more copies of the loss to
    compile, which takes longer than all the iterations.

    Raises:
      FloatingPointError: if the loss is not finite.
    """
    penalty, losses = jnp.float32(l2), []
    # The optimizer begins with weakly typed arrays, which would be a second compilation.
    state = jax.tree.map(lambda leaf: jnp.asarray(leaf, leaf.dtype), OPTIMIZER.init(params))
    value, gradient = _value_and_grad(params, batch, penalty)
    while True:
        losses.append(float(value))
        norm = float(optax.tree.norm(gradient))
        if not math.isfinite(losses[-1]):
            problem = f"the loss became {losses[-1]} at iteration {len(losses) - 1}"
            raise error("address-crf", problem, hint="raise `l2`", kind=FloatingPointError)
        if norm <= tolerance or len(losses) > max_iterations:
            return params, Training(tuple(losses), norm, norm <= tolerance)
        direction, slope, state = _direction(gradient, state, params)
        for halvings in range(HALVINGS):
            size = 0.5**halvings
            moved = _moved(params, direction, jnp.float32(size))
            value, gradient = _value_and_grad(moved, batch, penalty)
            # Armijo's condition, up to the rounding of float32.
            if float(value) <= losses[-1] * (1 + 1e-6) + 1e-4 * size * float(slope):
                break
        params = moved


@jax.jit
@jax.value_and_grad
def _value_and_grad(params: Params, batch: Batch, l2: Array) -> Array:
    """Returns the loss in nats a word, and, as decorated, its gradient."""
    squares = sum((leaf**2).sum() for leaf in params)
    total = 0.5 * l2 * squares - log_likelihood(params, batch).sum()
    return total / batch.encoded.lengths.sum().astype(total.dtype)


@jax.jit
def _direction(gradient: Params, state: Any, params: Params) -> tuple[Any, Any, Any]:
    updates, state = OPTIMIZER.update(gradient, state, params)
    return updates, optax.tree.vdot(updates, gradient), state


@jax.jit
def _moved(params: Params, direction: Params, size: Array) -> Params:
    return jax.tree.map(lambda leaf, change: leaf + size * change, params, direction)
