"""The fast path: the affine map of the inputs, and every weight gradient, outside the loop.

A cell that decomposes is two affine maps around a pointwise update (:class:`jaxseq.cells.Maps`).
The map of the inputs has no recurrence: it is one product before the loop. In the tangent, what the
weights contribute at a step depends on primal states alone: it is one product before the tangent
loop, whose body is then linear in the state's tangent. JAX transposes this into the backward pass
that one would write by hand: a loop over the state's cotangent, and one product for each weight's
gradient after it, where the plain scan adds to a buffer of the weights' size at every step.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxseq._types import Array, PyTree
from jaxseq.cells import Cell, Maps, no_output_map
from jaxseq.sequence._reference import over_time, select


class Loop(NamedTuple):
    """What a loop is compiled for; static."""

    maps: Maps
    reset: Callable
    batch_axes: int
    reverse: bool
    unroll: int

    def over(self, function: Callable, in_axes: Any, *, time: bool = False) -> Callable:
        """Maps a function of one example over the batch axes, and over time if asked."""
        for _ in range(self.batch_axes + time):
            function = jax.vmap(function, in_axes=in_axes)
        return function


class Inputs(NamedTuple):
    """What a loop reads at each step, time first."""

    z_x: Array
    valid: Array | None
    resets: Array | None


class Residuals(NamedTuple):
    """What the tangent reads of the primal loop: the state before each step, and ``z``."""

    before: PyTree
    z: Array


def keep(valid: Array | None, after: PyTree, before: PyTree) -> PyTree:
    """Returns the state that a step ends with, on one example: a padded one moves nothing."""
    return after if valid is None else select(valid, after, before)


def update(maps: Maps, z_x: Array, z: Array, before: PyTree) -> PyTree:
    """Returns the state after the pointwise update; ``z`` is ``z_x + z_h`` or ``z_h``."""
    if maps.additive:
        return maps.update(z, jnp.zeros_like(z), before)
    return maps.update(z_x, z, before)


def run(
    loop: Loop, params: PyTree, inputs: Inputs, carry: PyTree
) -> tuple[PyTree, tuple[Array, Residuals]]:
    """Runs the primal loop; what nobody reads of its outputs, XLA leaves out."""
    maps = loop.maps
    # The product wants its weight as [M, N]: laid out once here, not at every step.
    turned = jax.lax.optimization_barrier(jax.tree.map(jnp.transpose, params))

    def example(params, carry, inputs):
        before = carry
        if inputs.resets is not None:
            before = select(inputs.resets, loop.reset(params, carry), carry)
        z = maps.recurrent(params, before.h)
        if maps.additive:
            z = inputs.z_x + z
        after = maps.output(params, update(maps, inputs.z_x, z, before))
        after = keep(inputs.valid, after, before)
        return after, (after.h, Residuals(before, z))

    def body(carry, inputs):
        params = jax.tree.map(jnp.transpose, turned)
        return loop.over(example, (None, 0, 0))(params, carry, inputs)

    return jax.lax.scan(body, carry, inputs, reverse=loop.reverse, unroll=loop.unroll)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def fused_loop(loop: Loop, params: PyTree, inputs: Inputs, carry: PyTree) -> tuple[PyTree, Array]:
    """Returns the final carry and every ``h``, time first."""
    carry, (hs, _) = run(loop, params, inputs, carry)
    return carry, hs


@fused_loop.defjvp
def fused_loop_jvp(loop: Loop, primals: tuple, tangents: tuple) -> tuple:
    """Differentiates the loop: products of all steps at once, then a loop of pointwise work."""
    maps = loop.maps
    params, inputs, carry = primals
    d_params, d_inputs, d_carry = tangents
    final, (hs, kept) = run(loop, params, inputs, carry)

    def of_weights(function, states):
        """What the weights' tangent adds to an affine map, at the primal states of all steps."""
        mapped = loop.over(function, (None, 0), time=True)
        return jax.jvp(lambda p: mapped(p, states), (params,), (d_params,))[1]

    def linear(function, tangent):
        """The same map's linear part, of the state's tangent."""
        return jax.jvp(functools.partial(function, params), (tangent,), (tangent,))[1]

    d_z_weights = of_weights(maps.recurrent, kept.before.h)
    d_output = None
    if maps.output is not no_output_map:
        updated = loop.over(functools.partial(update, maps), (0, 0, 0), time=True)
        states = updated(inputs.z_x, kept.z, kept.before)
        d_output = of_weights(maps.output, states)
    d_z_x = d_inputs.z_x
    if maps.additive:
        d_z_weights, d_z_x = d_z_weights + d_z_x, None

    @jax.checkpoint
    def pointwise(z_x, z, before, d_z_x, d_z, d_before):
        # Additive cells read z alone, and then z_x has no tangent of its own.
        if d_z_x is None:
            step = functools.partial(update, maps, z_x)
            return jax.jvp(step, (z, before), (d_z, d_before))[1]
        step = functools.partial(update, maps)
        return jax.jvp(step, (z_x, z, before), (d_z_x, d_z, d_before))[1]

    def example(d_carry, step):
        (z_x, valid, reset), (before, z), d_z_x, d_z_weights, d_output = step
        zeros = jax.tree.map(jnp.zeros_like, d_carry)
        d_before = d_carry if reset is None else select(reset, zeros, d_carry)
        d_z = linear(maps.recurrent, d_before.h) + d_z_weights
        d_after = pointwise(z_x, z, before, d_z_x, d_z, d_before)
        d_after = linear(maps.output, d_after)
        if d_output is not None:
            d_after = jax.tree.map(jnp.add, d_after, d_output)
        d_after = keep(valid, d_after, d_before)
        return d_after, d_after.h

    steps = (inputs, kept, d_z_x, d_z_weights, d_output)
    d_final, d_hs = jax.lax.scan(
        loop.over(example, (0, 0)), d_carry, steps, reverse=loop.reverse, unroll=loop.unroll
    )
    return (final, hs), (d_final, d_hs)


def check_step(cell: Cell, params: PyTree, xs: Array, carry: PyTree) -> None:
    """Lets the step of one example say what does not fit: the maps by themselves check nothing."""

    def one(leaf, axes):
        return jax.ShapeDtypeStruct(leaf.shape[axes:], leaf.dtype)

    batch_axes = xs.ndim - 2
    state = jax.tree.map(lambda leaf: one(leaf, batch_axes), carry)
    jax.eval_shape(cell.step, params, state, one(xs, batch_axes + 1))


@functools.partial(jax.jit, static_argnames=("cell", "reverse", "window", "unroll"))
def scan_fused(
    cell: Cell,
    params: PyTree,
    xs: Array,
    carry: PyTree,
    lengths: Array | None,
    resets: Array | None,
    *,
    reverse: bool,
    window: int | None,
    unroll: int,
) -> tuple[PyTree, Array]:
    """Runs ``cell`` over time; the arguments are those of ``scan``, already checked."""
    maps = cell.maps
    assert maps is not None  # the choice of the backend saw to it
    check_step(cell, params, xs, carry)
    loop = Loop(maps, cell.reset, xs.ndim - 2, reverse, unroll)

    def steps(carry, inputs):
        xs, valid, resets = inputs
        z_x = loop.over(maps.input, (None, 0), time=True)(params, xs)
        carry, hs = fused_loop(loop, params, Inputs(z_x, valid, resets), carry)
        return carry, hs if valid is None else jnp.where(valid[..., None], hs, jnp.zeros_like(hs))

    return over_time(steps, xs, carry, lengths, resets, reverse=reverse, window=window)
