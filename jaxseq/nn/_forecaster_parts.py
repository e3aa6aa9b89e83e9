"""The parts of a forecaster that hold no weights: its settings, and what stands where in time."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Shaped

from jaxseq._checks import check_shape, error
from jaxseq._types import Array
from jaxseq.nn._arguments import check_sizes
from jaxseq.nn._forecaster_heads import Forecast, Head
from jaxseq.nn._reader import draw_projection, project, without_pads

Strategy = Literal["direct", "recursive"]
Start = Literal["trend", "level", "zero"]


class Past(NamedTuple):
    """What a forecast is made from, after each of some steps.

    Attributes:
      state: what the layers give, ``[*lead, H]``.
      last: the value of the step, ``[*lead, N]``.
      lags: it and those before it, or their increments, latest first, ``[*lead, lags, N]``.
    """

    state: Array
    last: Array
    lags: Array


class Outlook(nnx.Module):
    """What makes the forecasts of what is known: the base, and on top of it a network.

    ``base`` are the weights that the base begins with, ``[K, lags]``; ``sizes`` are those of the
    layers' states, of the hidden units, of the covariates of a step ahead, and of a step's values.
    """

    def __init__(
        self,
        base: Float[Array, "K lags"],
        sizes: tuple[int, int, int, int],
        head: Head,
        *,
        differences: bool,
        param_dtype: Any,
        keys: Array,
    ):
        width, hidden, future, values = sizes
        self.num_values, self.head, self.differences = values, head, differences
        steps, size = len(base), values * head.size
        self.base = nnx.Param(jnp.tile(base.astype(param_dtype)[..., None], values))
        self.state = nnx.Param(draw_projection(keys[0], (hidden, width), param_dtype))
        self.bias = nnx.Param(jnp.zeros((steps, hidden), param_dtype))
        ahead = draw_projection(keys[1], (hidden, future), param_dtype) if future else None
        self.ahead = None if ahead is None else nnx.Param(ahead)
        self.out = nnx.Param(jnp.zeros((steps, size, hidden), param_dtype))
        start = jnp.tile(jnp.asarray(head.bias(), param_dtype), (steps, values))
        self.out_bias = nnx.Param(start)

    def __call__(self, past: Past, ahead: Array | None) -> Forecast:
        """Returns the forecasts after some steps; ``ahead`` are ``[*lead, K, F]``."""
        exact = jax.lax.Precision.HIGHEST
        base = jnp.einsum("...kn,hkn->...hn", past.lags, self.base.get_value(), precision=exact)
        base = past.last[..., None, :] + base if self.differences else base
        weights = self.state.get_value()
        zeros = jnp.zeros(len(weights), weights.dtype)
        seen = project(weights, zeros, past.state)[..., None, :]
        bias, out, out_bias = (
            array.get_value().astype(seen.dtype) for array in (self.bias, self.out, self.out_bias)
        )
        hidden = seen + jnp.broadcast_to(bias, (*seen.shape[:-2], *bias.shape))
        if ahead is not None:
            assert self.ahead is not None
            hidden = hidden + project(self.ahead.get_value(), zeros, ahead)
        numbers = jnp.einsum("...hm,hom->...ho", jnp.tanh(hidden), out)
        numbers = numbers + jnp.broadcast_to(out_bias, numbers.shape)
        shape = (*numbers.shape[:-1], self.num_values, self.head.size)
        return self.head.read(numbers.reshape(shape), base.astype(seen.dtype))


def starting_base(
    start: Start, steps: int, lags: int, *, differences: bool
) -> Float[Array, "K lags"]:
    """Returns the weights of the last values, or increments, with which a base begins."""
    ahead = jnp.arange(1.0, steps + 1)
    weights = jnp.zeros((steps, lags))
    if start == "trend" and differences:
        return weights.at[:, 0].set(ahead)
    if start == "trend":
        return weights.at[:, 0].set(1 + ahead).at[:, 1].set(-ahead)
    return weights.at[:, 0].set(1) if start == "level" and not differences else weights


def check_settings(
    where: str,
    strategy: Any,
    covariates: tuple[int, int, int],
    lags: Any,
    differences: bool,
    start: Any,
) -> None:
    """Raises unless the settings of a forecaster fit each other."""
    for name, value, known in (
        ("strategy", strategy, ("direct", "recursive")),
        ("start", start, ("trend", "level", "zero")),
    ):
        if value not in known:
            names = ", ".join(f'"{other}"' for other in known)
            raise error(where, f"`{name}` must be one of {names}, but it is {value!r}")
    for name, size in zip(("past", "future", "static"), covariates, strict=True):
        if size:
            check_sizes(where, **{f"{name}_covariates": size})
    if strategy == "recursive" and covariates[0]:
        raise error(
            where,
            f"a recursive model cannot have past_covariates = {covariates[0]}: beyond the next "
            "step nobody knows them",
            hint='make them values, or use strategy="direct"',
        )
    if start == "zero" and differences:
        raise error(where, '`start="zero"` needs differences=False', hint='use start="level"')
    least = {"trend": 2, "level": 1, "zero": 0}[start] - bool(differences)
    if isinstance(lags, bool) or not isinstance(lags, int) or lags < max(least, 0):
        problem = f'`lags` must be at least {max(least, 0)} for start="{start}" and differences='
        raise error(where, f"{problem}{bool(differences)}, but it is {lags!r}")


def check_direction(where: str, options: dict[str, Any]) -> None:
    """Raises if layers are asked for that read what is to be forecast."""
    if "bidirectional" in options:
        problem = (
            "`bidirectional` is not possible: a backward direction reads what is to be forecast"
        )
        raise error(where, problem)


def covariates_of(
    where: str, name: str, array: Any, shape: tuple[int, ...], lengths: Any
) -> Array | None:
    """Returns covariates with zeros in the pads, or raises."""
    if (array is None) != (not shape[-1]):
        problem = f"`{name}` must be given: the model has {name}_covariates = {shape[-1]}"
        if array is not None:
            problem = f"`{name}` is given, but the model has no {name}_covariates"
        raise error(where, problem)
    if array is None:
        return None
    array = jnp.asarray(array)
    axes = {"past": "(*batch, T, P)", "future": "(*batch, T + horizon, F)"}
    check_shape(where, name, array, axes.get(name, "(*batch, C)"), shape)
    return array if lengths is None else without_pads(where, array, lengths, features=True)


def beside(*parts: Array | None) -> Array:
    """Returns those arrays that there are, side by side."""
    there = [part for part in parts if part is not None]
    return jnp.concatenate(there, axis=-1) if len(there) > 1 else there[0]


def ahead_of(array: Array, steps: int, count: int) -> Shaped[Array, "*batch T K F"]:
    """Returns for each of so many steps t what stands at t + 1, …, t + count."""
    places = jnp.arange(steps)[:, None] + jnp.arange(1, count + 1)[None, :]
    return jnp.take(array, places, axis=-2)


def coming(future: Array, horizon: int, lengths: Any) -> Float[Array, "*batch horizon F"]:
    """Returns the covariates of the steps after each series."""
    begin = jnp.full(future.shape[:-2], future.shape[-2] - horizon, jnp.int32)
    begin = begin if lengths is None else jnp.asarray(lengths, jnp.int32)
    steps = jax.lax.broadcasted_iota(jnp.int32, (*begin.shape, horizon), begin.ndim)
    places = (begin[..., None] + steps)[..., None]
    return jnp.take_along_axis(future, places, axis=-2, mode="clip")


def lagged(signal: Array, lags: int, *, repeat: bool) -> Float[Array, "*batch T lags N"]:
    """Returns each step and those before it; before the first there are zeros, or the first."""
    steps = jnp.arange(signal.shape[-2])[:, None] - jnp.arange(lags)[None, :]
    found = jnp.take(signal, jnp.maximum(steps, 0), axis=-2)
    return found if repeat else jnp.where((steps >= 0)[..., None], found, 0)


def repeated(array: Array, *, count: int, axis: int = 0) -> Array:
    """Returns an array with an axis of so many copies."""
    shape = (*array.shape[:axis], count, *array.shape[axis:])
    return jnp.broadcast_to(jnp.expand_dims(array, axis), shape)
