"""What arrives of a loss at each state, on the gradient's way back through time."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxseq._arrays import accumulator
from jaxseq._checks import error, shape_text
from jaxseq._types import Array, PyTree
from jaxseq.diagnostics._arguments import check_real, check_scalar, plain
from jaxseq.sequence import Tap, nudged, taps


class StateGradient(NamedTuple):
    """The gradient by the states of one cell inside a function.

    Attributes:
      cell: its name.
      reverse: whether it ran from the last step to the first.
      gradient: like its carry, each leaf ``[*batch, T, ...]``: the gradient by the state after
        step t; 0 in the padding, None for what is no floating-point number.

    Example:
      >>> StateGradient("gru", False, jnp.ones((5, 4))).norm.tolist()
      [2.0, 2.0, 2.0, 2.0, 2.0]
    """

    cell: str
    reverse: bool
    gradient: PyTree

    @property
    def norm(self) -> PyTree:
        """Euclidean norms over the units, each ``[*batch, T]``, in float32 or better."""
        return jax.tree.map(_norm, self.gradient)


class GradientFlow(NamedTuple):
    """A loss, and its gradient by every state on the way to it.

    Attributes:
      loss: its value.
      layers: a :class:`StateGradient` for each cell, in the order in which they ran.

    Example:
      >>> GradientFlow._fields
      ('loss', 'layers')
    """

    loss: Array
    layers: tuple[StateGradient, ...]


def gradient_flow(loss: Any, *args: Any) -> GradientFlow:
    r"""Returns the gradient of a loss by the state after each step, of every cell in one pass.

    .. math:: \frac{d L}{d h_t} \quad \text{for every step } t \text{ and layer}

    Each is the whole derivative: through the output of the step, and through all later states. The
    loss is any function that runs cells through :func:`jaxseq.scan`: a scan, a stack, a
    layer or a model of :mod:`jaxseq.nn`, in both directions, ragged, on whatever backend. The
    gradients come out of one backward pass, on the loops that run anyhow.

    Args:
      loss: ``(*args) -> scalar``. A ``jax.jit`` around the whole of it is taken off; there must be
        none inside, nor a loop or a ``vmap`` around a scan.
      *args: its arguments; no gradient is taken by them.

    Returns:
      A :class:`GradientFlow`.

    Raises:
      ValueError: if the loss runs no scan, runs one where its states cannot be seen from outside,
        or is no scalar.
      TypeError: if ``loss`` is no function, or its value is no floating-point number.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> from jaxseq import diagnostics
      >>> cell = jaxseq.lstm(3, 4)
      >>> params = cell.init(jax.random.key(0))
      >>> xs = jax.random.normal(jax.random.key(1), (2, 5, 3))
      >>> def last(params, xs):
      ...     carry, ys = jaxseq.scan(cell, params, xs, lengths=jnp.array([5, 2]))
      ...     return carry.h.sum()
      >>> layer = diagnostics.gradient_flow(last, params, xs).layers[0]
      >>> layer.cell, layer.norm.h.shape, layer.norm.c.shape
      ('lstm', (2, 5), (2, 5))
      >>> layer.norm.h[:, 4].tolist(), layer.norm.h[1, 2:].tolist()  # the last row ends at step 1
      ([2.0, 0.0], [0.0, 0.0, 0.0])

    References:
      Pascanu, Mikolov and Bengio, "On the Difficulty of Training Recurrent Neural Networks", 2013.
    """
    where = "gradient_flow"
    function = plain(where, "loss", loss)
    found = taps(where, function, *args)

    def of(nudges: tuple[PyTree, ...]) -> Array:
        return check_scalar(where, nudged(where, function, nudges)(*args))

    value, gradients = jax.value_and_grad(of)(zeros(found))
    return GradientFlow(value, layers_of(found, gradients))


def influence(losses: Any, *args: Any) -> tuple[StateGradient, ...]:
    r"""Returns how much of the loss at each step reaches the state at each step before.

    .. math:: \left\lVert \frac{d L_t}{d h_s} \right\rVert
        \quad \text{for all } t \text{ and } s

    One backward pass for each step with a loss, one after the other: memory does not grow with
    their number.

    Args:
      losses: ``(*args) -> [*batch, T]``: a loss for each step. Those of the rows of a batch are
        summed, and differ in their states.
      *args: its arguments.

    Returns:
      For each cell a :class:`StateGradient` whose ``gradient`` holds norms over the units,
      ``[*batch, T, T]``: first the step t of the loss, then the step s of the state.

    Raises:
      ValueError: if there are no steps in what ``losses`` returns, or as in :func:`gradient_flow`.
      TypeError: as in :func:`gradient_flow`.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> from jaxseq import diagnostics
      >>> cell = jaxseq.elman(1, 1, activation=lambda z: z)
      >>> params = cell.init(jax.random.key(0))._replace(w_hh=jnp.array([[0.5]]))
      >>> def losses(xs):
      ...     return jaxseq.scan(cell, params, xs)[1][:, 0]
      >>> diagnostics.influence(losses, jnp.ones((3, 1)))[0].gradient.h.tolist()
      [[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.25, 0.5, 1.0]]

    References:
      Pascanu, Mikolov and Bengio, "On the Difficulty of Training Recurrent Neural Networks", 2013.
    """
    where = "influence"
    function = plain(where, "losses", losses)
    found = taps(where, function, *args)

    def of(nudges: tuple[PyTree, ...]) -> Array:
        values = jnp.asarray(nudged(where, function, nudges)(*args))
        if not values.ndim or not values.shape[-1]:
            raise error(
                where,
                "`losses` must have shape (*batch, T), a loss for each step, "
                f"but it has shape {shape_text(values.shape)}",
                hint="of a loss as a whole, diagnostics.gradient_flow",
            )
        values = check_real(where, "losses", values)
        return values.reshape(-1, values.shape[-1]).sum(0)

    values, pull = jax.vjp(of, zeros(found))

    def norms(cotangent: Array) -> tuple[PyTree, ...]:
        (gradients,) = pull(cotangent)
        return jax.tree.map(_norm, gradients)

    by_step = jax.lax.map(norms, jnp.eye(values.size, dtype=values.dtype))
    moved = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, -2), by_step)
    return layers_of(found, moved)


def effective_memory(influences: StateGradient, *, threshold: float = 0.01) -> PyTree:
    """Returns the lag at which the influence of a state on a loss falls below a threshold.

    Args:
      influences: of one cell, from :func:`influence`.
      threshold: a share of the greatest influence at any lag.

    Returns:
      Like the carry, each ``[*batch]`` int32: the smallest lag from which on the mean influence
      over all pairs of steps so far apart stays below the threshold; T where it never does.

    Raises:
      ValueError: if ``threshold`` is not between 0 and 1.

    Example:
      >>> import jax.numpy as jnp
      >>> halves = jnp.array([[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.25, 0.5, 1.0]])
      >>> effective_memory(StateGradient("elman", False, halves), threshold=0.3).item()
      2
    """
    where = "effective_memory"
    if not 0.0 < threshold < 1.0:
        raise error(where, f"`threshold` must be between 0 and 1, but it is {threshold}")

    def lag(norms: Array) -> Array:
        steps = norms.shape[-1]
        if influences.reverse:
            norms = norms[..., ::-1, ::-1]
        means = jnp.stack([jnp.diagonal(norms, -k, -2, -1).mean(-1) for k in range(steps)], axis=-1)
        above = means >= threshold * means.max(-1, keepdims=True)
        last = steps - 1 - jnp.argmax(above[..., ::-1], axis=-1)
        return jnp.where(means.max(-1) > 0, last + 1, 0).astype(jnp.int32)

    return jax.tree.map(lag, influences.gradient)


# ------------------------------------------------------------------------------- what they share


def zeros(found: tuple[Tap, ...]) -> tuple[PyTree, ...]:
    """Returns nothing to add, for each tap."""
    return jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), tuple(tap.states for tap in found)
    )


def layers_of(found: tuple[Tap, ...], gradients: tuple[PyTree, ...]) -> tuple[StateGradient, ...]:
    """Returns what was found at each tap under its name."""
    return tuple(
        StateGradient(tap.cell, tap.reverse, tree)
        for tap, tree in zip(found, gradients, strict=True)
    )


def _norm(gradient: Array) -> Array:
    """Returns norms over the last axis."""
    wide = gradient.astype(accumulator(gradient.dtype))
    # A scale keeps the squares of what has almost vanished above zero.
    scale = jnp.max(jnp.abs(wide), axis=-1, keepdims=True, initial=0.0)
    unit = wide / jnp.where(scale > 0, scale, 1.0)
    return scale[..., 0] * jnp.sqrt(jnp.sum(unit * unit, axis=-1))
