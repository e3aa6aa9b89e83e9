"""Checks that the functions of this room share."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jaxseq._arrays import accumulator
from jaxseq._checks import error, shape_text
from jaxseq._types import Array
from jaxseq.cells import Cell


def check_cell(where: str, cell: Any) -> None:
    """Raises unless ``cell`` is a cell."""
    if not isinstance(cell, Cell):
        raise error(where, f"`cell` must be a jaxseq.Cell, but it is {cell!r}", kind=TypeError)


def check_count(where: str, name: str, value: Any, most: int | None = None) -> None:
    """Raises unless ``value`` is an integer from 1 on, up to ``most``."""
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if not whole or (most is not None and value > most):
        bounds = "a positive integer" if most is None else f"an integer between 1 and {most}"
        raise error(where, f"`{name}` must be {bounds}, but it is {value!r}")


def plain(where: str, name: str, function: Any) -> Callable[..., Any]:
    """Returns a function without the ``jax.jit`` around it.

    What was compiled before would not be run again, and so not be seen.
    """
    if not callable(function):
        raise error(where, f"`{name}` must be a function, but it is {function!r}", kind=TypeError)
    compiled = hasattr(function, "lower") and hasattr(function, "__wrapped__")
    return function.__wrapped__ if compiled else function  # pyrefly: ignore


def check_real(where: str, name: str, value: Array) -> Array:
    """Returns a value in float32 or better, or raises if it is no floating-point number."""
    if not jnp.issubdtype(value.dtype, jnp.floating):
        problem = f"`{name}` must return floating-point numbers, but it has dtype {value.dtype}"
        raise error(where, problem, kind=TypeError)
    return value.astype(accumulator(value.dtype))


def check_scalar(where: str, value: Any) -> Array:
    """Returns the value of a loss, or raises if it is no real scalar."""
    value = jnp.asarray(value)
    if value.shape:
        raise error(
            where,
            f"`loss` must return a scalar, but it has shape {shape_text(value.shape)}",
            hint="sum it, or take its mean; diagnostics.influence has losses step by step",
        )
    return check_real(where, "loss", value)
