"""The fast path: the affine map of the inputs, and every weight gradient, outside the loop.

A cell that decomposes is two affine maps around a cheap update (:class:`jaxseq.cells.Maps`). In the
tangent, what weights and inputs contribute to the two maps at a step depends on primal states
alone: it is one product for all steps, before a tangent loop whose body is linear in the state's
tangent. JAX transposes this into the backward pass that one would write by hand: a loop over the
state's cotangent, and one product for each weight's gradient after it, where the plain scan adds to
a buffer of the weights' size at every step.

Where the products of the inputs go, and over how many steps at once, is a :class:`Schedule`.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxseq._types import Array, PyTree
from jaxseq.cells import Cell, Gates, Maps, no_output_map
from jaxseq.sequence._padding import select
from jaxseq.sequence._schedule import Schedule, Schedules
from jaxseq.sequence._windows import scan_windows


class Loop(NamedTuple):
    """What a loop is compiled for; static."""

    maps: Maps
    reset: Callable
    batch_axes: int
    reverse: bool
    unroll: int
    states_only: bool
    schedules: Schedules

    def over(self, function: Callable, in_axes: Any, *, time: bool = False) -> Callable:
        """Maps a function of one example over the batch axes, and over time if asked."""
        for _ in range(self.batch_axes + time):
            function = jax.vmap(function, in_axes=in_axes)
        return function


class Shared(NamedTuple):
    """What a loop reads at every step: the weights, and a mask on the state that they map."""

    params: PyTree
    state_mask: Any  # an Array or None


class Inputs(NamedTuple):
    """What a loop reads at each step, time first."""

    xs: Any  # an Array, [T, *batch, I]
    valid: Array | None
    resets: Array | None
    hold: PyTree


class Residuals(NamedTuple):
    """What the tangent reads of the primal loop: the state before each step, and the gates.

    With ``states_only`` there are no gates: they are computed again from the states, those of all
    steps from one product.
    """

    before: PyTree
    gates: tuple | None


def mapped_state(shared: Shared, carry: Any) -> Array:
    """Returns what the recurrent map reads of the state, on one example."""
    return carry.h if shared.state_mask is None else shared.state_mask * carry.h


def merge(maps: Maps, z_x: Array, z_h: Array) -> tuple[Array, ...]:
    """Returns the two maps' values with those added up that an update reads only as a sum."""
    size = round(maps.additive * z_x.size)
    if size == z_x.size:
        return (z_x + z_h,)
    if not size:
        return z_h, z_x
    (sum_x, z_x), (sum_h, z_h) = jnp.split(z_x, [size]), jnp.split(z_h, [size])
    return jnp.concatenate([sum_x + sum_h, z_h]), z_x


def spread(z_h: Array, *rest: Array) -> tuple[Array, Array]:
    """Returns two maps' values that :func:`merge` makes the same of."""
    (z_x,) = rest or (jnp.zeros(0, z_h.dtype),)
    return jnp.concatenate([jnp.zeros(z_h.size - z_x.size, z_x.dtype), z_x]), z_h


def parts(maps: Maps) -> Gates:
    """Returns the update around its gates; of one that has none, they are the maps' values."""
    if maps.gates is not None:
        return maps.gates
    return Gates(
        values=functools.partial(merge, maps),
        tangent=lambda _, d_z_x, d_z_h: merge(maps, d_z_x, d_z_h),
        update=lambda z, carry, *weights: maps.update(*spread(*z), carry, *weights),
    )


def held(hold: Array, before: Array, after: Array) -> Array:
    """Returns ``hold * before + (1 - hold) * after``."""
    return hold * before + (1 - hold) * after


def keep(inputs: Inputs, before: PyTree, after: PyTree) -> PyTree:
    """Returns the state that a step ends with, on one example: a padded one moves nothing."""
    if inputs.hold is not None:
        after = jax.tree.map(held, inputs.hold, before, after)
    return after if inputs.valid is None else select(inputs.valid, after, before)


def fresh(loop: Loop, shared: Shared, reset: Array | None, carry: PyTree) -> PyTree:
    """Returns the state before a step, on one example: afresh where a piece begins."""
    if reset is None:
        return carry
    return select(reset, loop.reset(shared.params, carry), carry)


def turn(params: PyTree) -> PyTree:
    """Returns weights [N, M] as [M, N], which stay so: XLA cannot undo it where they are read."""
    return jax.lax.optimization_barrier(jax.tree.map(jnp.transpose, params))


PER_ROW = Shared(params=None, state_mask=0)  # what a batch axis maps over


def run(
    loop: Loop, schedule: Schedule, shared: Shared, inputs: Inputs, carry: PyTree
) -> tuple[PyTree, tuple[Array, Residuals]]:
    """Runs the primal loop; what nobody reads of its outputs, XLA leaves out."""
    maps, gates = loop.maps, parts(loop.maps)
    if schedule.hoist:
        input_map = loop.over(maps.input, (None, 0), time=True)
        inputs = inputs._replace(xs=input_map(shared.params, inputs.xs))
    # The product wants its weight as [M, N]: laid out once here, not at every step.
    turned = turn(shared.params)

    def example(shared, carry, inputs):
        params = shared.params
        before = fresh(loop, shared, inputs.resets, carry)
        z_x = inputs.xs if schedule.hoist else maps.input(params, inputs.xs)
        values = gates.values(z_x, maps.recurrent(params, mapped_state(shared, before)))
        after = gates.update(values, before, *maps.weights(params))
        after = keep(inputs, before, maps.output(params, after))
        return after, (after.h, Residuals(before, None if loop.states_only else values))

    def body(carry, inputs):
        params = jax.tree.map(jnp.transpose, turned)
        return loop.over(example, (PER_ROW, 0, 0))(shared._replace(params=params), carry, inputs)

    return jax.lax.scan(body, carry, inputs, reverse=loop.reverse, unroll=loop.unroll)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def window_loop(loop: Loop, shared: Shared, inputs: Inputs, carry: PyTree) -> tuple[PyTree, Array]:
    """Returns the final carry and every ``h``, time first."""
    carry, (hs, _) = run(loop, loop.schedules.train, shared, inputs, carry)
    return carry, hs


@window_loop.defjvp
def window_loop_jvp(loop: Loop, primals: tuple, tangents: tuple) -> tuple:
    """Differentiates the loop: products of all steps at once, then a loop without any weight's."""
    shared, inputs, carry = primals
    final, (hs, kept) = run(loop, loop.schedules.train, shared, inputs, carry)
    differentiate = functools.partial(tangent, loop)
    if loop.states_only:
        differentiate = jax.checkpoint(differentiate)
    return (final, hs), differentiate(shared, inputs, kept, *tangents)


def tangent(
    loop: Loop,
    shared: Shared,
    inputs: Inputs,
    kept: Residuals,
    d_shared: Shared,
    d_inputs: Inputs,
    d_carry: PyTree,
) -> tuple[PyTree, Array]:
    """Returns the tangent of a loop: linear in what begins with ``d_``."""
    maps, gates = loop.maps, parts(loop.maps)

    def both_maps(shared, xs):
        z_x = loop.over(maps.input, (None, 0), time=True)(shared.params, xs)
        over = loop.over(lambda s, b: maps.recurrent(s.params, mapped_state(s, b)), (PER_ROW, 0))
        z_h = jax.vmap(over, in_axes=(None, 0))(shared, kept.before)
        return loop.over(functools.partial(merge, maps), 0, time=True)(z_x, z_h)

    # What weights and inputs add to the maps, at the primal states: products of all steps at once.
    z, d_z = jax.jvp(both_maps, (shared, inputs.xs), (d_shared, d_inputs.xs))
    values = kept.gates
    if loop.states_only:
        values = loop.over(lambda *z: gates.values(*spread(*z)), 0, time=True)(*z)
    weights, d_weights = jax.jvp(maps.weights, (shared.params,), (d_shared.params,))
    d_output = None
    if maps.output is not no_output_map:
        updated = loop.over(lambda *state: gates.update(*state, *weights), 0, time=True)
        output_map = loop.over(maps.output, (None, 0), time=True)
        states = updated(values, kept.before)
        d_output = jax.jvp(
            lambda params: output_map(params, states), (shared.params,), (d_shared.params,)
        )[1]

    def linear(function, params, d_state):
        """The linear part of an affine map, of the state's tangent."""
        return jax.jvp(functools.partial(function, params), (d_state,), (d_state,))[1]

    # Under a checkpoint the backward loop is given a weight as it is stored, as its product wants
    # it. Without, it is given the weight turned, which is what the product of a single row wants.
    if math.prod(inputs.xs.shape[1:-1]) > 1:
        linear = jax.checkpoint(linear, static_argnums=0)

    @jax.checkpoint
    def pointwise(primals, d_primals):
        return jax.jvp(gates.update, primals, d_primals)[1]

    gates_tangent = jax.checkpoint(gates.tangent)

    # Under a checkpoint a mask is spread over the units where it is read. Without, it is spread for
    # all steps ahead, by a loop of its own and into memory, as a thing that is known by then.
    masked = jax.checkpoint(keep)

    def example(state_mask, d_carry, step):
        inputs, before, values, d_z, d_output = step
        mask = shared._replace(state_mask=state_mask)
        zeros = jax.tree.map(jnp.zeros_like, d_carry)
        d_before = d_carry
        if inputs.resets is not None:
            d_before = jax.checkpoint(select)(inputs.resets, zeros, d_carry)
        d_z = d_z[0] + linear(maps.recurrent, shared.params, mapped_state(mask, d_before)), *d_z[1:]
        d_values = gates_tangent(values, *spread(*d_z))
        primals, d_primals = (values, before, *weights), (d_values, d_before, *d_weights)
        d_after = linear(maps.output, shared.params, pointwise(primals, d_primals))
        if d_output is not None:
            d_after = jax.tree.map(jnp.add, d_after, d_output)
        d_after = masked(inputs, d_before, d_after)
        return d_after, d_after.h

    def body(d_carry, step):
        return loop.over(example, (0, 0, 0))(shared.state_mask, d_carry, step)

    steps = (inputs._replace(xs=None), kept.before, values, d_z, d_output)
    return jax.lax.scan(body, d_carry, steps, reverse=loop.reverse, unroll=loop.unroll)


def in_windows(
    loop: Loop, window: int | None, steps: Callable, inputs: Inputs, carry: PyTree
) -> tuple[PyTree, Array]:
    """Runs ``steps`` over windows of time, or over all of it at once."""
    if window is None or window >= inputs.xs.shape[0]:
        return steps(carry, inputs)
    return scan_windows(steps, carry, inputs, size=window, reverse=loop.reverse)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def fused_loop(loop: Loop, shared: Shared, inputs: Inputs, carry: PyTree) -> tuple[PyTree, Array]:
    """Returns the final carry and every ``h``, time first; nobody wants a derivative."""
    schedule = loop.schedules.infer

    def steps(carry, inputs):
        carry, (hs, _) = run(loop, schedule, shared, inputs, carry)
        return carry, hs

    return in_windows(loop, schedule.window, steps, inputs, carry)


@fused_loop.defjvp
def fused_loop_jvp(loop: Loop, primals: tuple, tangents: tuple) -> tuple:
    """Differentiates the same function on the schedule that suits a training step."""

    def run_windows(shared, inputs, carry):
        steps = functools.partial(run_window, shared)
        return in_windows(loop, loop.schedules.train.window, steps, inputs, carry)

    def run_window(shared, carry, inputs):
        return window_loop(loop, shared, inputs, carry)

    return jax.jvp(run_windows, primals, tangents)


def check_step(cell: Cell, params: PyTree, xs: Array, carry: PyTree) -> None:
    """Lets the step of one example say what does not fit: the maps by themselves check nothing."""

    def one(leaf, axes):
        return jax.ShapeDtypeStruct(leaf.shape[axes:], leaf.dtype)

    batch_axes = xs.ndim - 2
    state = jax.tree.map(lambda leaf: one(leaf, batch_axes), carry)
    jax.eval_shape(cell.step, params, state, one(xs, batch_axes + 1))
