"""What a scan would do, without doing it: backends, schedules, operations, memory."""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core

from jaxseq._types import Inputs, Lengths, PyTree, Resets
from jaxseq.cells import Cell
from jaxseq.sequence._arguments import (
    Arguments,
    check_arguments,
    check_backend,
    check_unroll,
    remat_window,
)
from jaxseq.sequence._native import product_flops
from jaxseq.sequence._padding import time_major
from jaxseq.sequence._runner import Layer, Options, Runner, run_scan
from jaxseq.sequence._schedule import overridden


class Work(NamedTuple):
    """What a forward or a backward pass does.

    Attributes:
      loop_operations: operations in the bodies of its innermost loops, as JAX states them, before
        XLA fuses them; what a step costs beside its products grows with them.
      flops: of all its matrix products, two for each multiplication and addition.

    Example:
      >>> Work(loop_operations=10, flops=2 * 3 * 4).flops
      24
    """

    loop_operations: int
    flops: int


class Plan(NamedTuple):
    """What :func:`jaxseq.scan` would do with the same arguments.

    Attributes:
      backend: that all cells run on, or ``"mixed"``.
      why: the reasons, a line for each cell.
      layers: for each cell inside, the backend, the reason and the schedules.
      forward: operations and FLOPs of the outputs.
      backward: the same of the gradients for params, inputs and carry, after the outputs.
      kept_bytes: what the backward pass finds kept of the forward one, beside the arguments.
      key: calls with equal keys share one compiled program.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.gru(3, 4)
      >>> plan = jaxseq.plan(cell, cell.init(jax.random.key(0)), jnp.ones((2, 5, 3)))
      >>> plan.backend, plan.forward.flops == 2 * 2 * 5 * 12 * (3 + 4)
      ('fused', True)
    """

    backend: str
    why: str
    layers: tuple[Layer, ...]
    forward: Work
    backward: Work
    kept_bytes: int
    key: tuple[Any, ...]

    def __str__(self) -> str:
        """Returns the plan as a few lines to read."""
        return "\n".join(
            [
                f"backend {self.backend}; backward pass keeps {self.kept_bytes / 1e6:.3g} MB",
                *(
                    f"  {name}: {work.loop_operations} operations in loop bodies, "
                    f"{work.flops / 1e6:.3g} MFLOP in products"
                    for name, work in (("forward", self.forward), ("backward", self.backward))
                ),
                *(f"  {line}" for line in self.why.splitlines()),
            ]
        )


def plan(
    cell: Cell,
    params: PyTree,
    xs: Inputs,
    *,
    carry: PyTree = None,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    reverse: bool = False,
    backend: str = "auto",
    remat: int | str | None = None,
    unroll: int | None = None,
) -> Plan:
    """Says what :func:`scan` would do with the same arguments: nothing is run or compiled.

    Args:
      cell: as in :func:`scan`.
      params: as in :func:`scan`; shapes (``jax.eval_shape(cell.init, key)``) are enough.
      xs: as in :func:`scan`.
      carry: as in :func:`scan`.
      lengths: as in :func:`scan`.
      resets: as in :func:`scan`.
      reverse: as in :func:`scan`.
      backend: as in :func:`scan`.
      remat: as in :func:`scan`.
      unroll: as in :func:`scan`.

    Returns:
      A :class:`Plan`; printed, it is a few lines to read.

    Raises:
      ValueError: all of :func:`scan`, among them a backend that cannot run the cell.
      TypeError: all of :func:`scan`.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.stack([jaxseq.gru(3, 4), jaxseq.gru(4, 4, reset_after=False)])
      >>> params = cell.init(jax.random.key(0))
      >>> print(jaxseq.plan(cell, params, jnp.ones((2, 100, 3))).why)
      gru on fused: decomposes into two maps and an update
      gru on reference: does not decompose into maps
      >>> everything, some = (
      ...     jaxseq.plan(cell, params, jnp.ones((2, 100, 3)), remat=remat).kept_bytes
      ...     for remat in (None, "sqrt")
      ... )
      >>> some < 0.3 * everything
      True
    """
    check_backend("plan", backend)
    unroll = check_unroll("plan", unroll, backend)
    arguments = check_arguments("plan", cell, params, xs, carry, lengths, resets)
    options = Options(
        where="plan",
        backend=backend,
        reverse=bool(reverse),
        window=remat_window("plan", remat, arguments.xs.shape[-2]),
        unroll=unroll,
        schedules=overridden(),
    )
    layers = _layers(cell, params, arguments, options)
    fixed = {"lengths": arguments.lengths, "resets": arguments.resets, "options": options}
    run = functools.partial(run_scan, cell, **fixed)
    forward, backward, kept_bytes = _works(run, (params, arguments.xs, arguments.carry))
    backends = {layer.backend for layer in layers}
    shapes = jax.tree.map(lambda leaf: (jnp.shape(leaf), str(leaf.dtype)), (params, arguments))
    return Plan(
        backend=backends.pop() if len(backends) == 1 else "mixed",
        why="\n".join(f"{layer.cell} on {layer.backend}: {layer.why}" for layer in layers),
        layers=layers,
        forward=forward,
        backward=backward,
        kept_bytes=kept_bytes,
        key=(cell, options._replace(where="scan"), jax.tree.structure(shapes), *_flat(shapes)),
    )


def _flat(shapes: PyTree) -> list[Any]:
    return jax.tree.leaves(shapes, is_leaf=lambda leaf: isinstance(leaf, str))


def _layers(
    cell: Cell, params: PyTree, arguments: Arguments, options: Options
) -> tuple[Layer, ...]:
    """The cells inside, as they run over one window of the steps that are kept apart."""
    if options.backend == "reference":
        return (Layer(cell.name, "reference", "named by the caller", None),)
    layers = []
    batch_axes = arguments.xs.ndim - 2
    steps = arguments.xs.shape[-2] if options.states_only else options.window

    def run(params, xs, carry):
        xs = time_major(xs, batch_axes)[:steps]
        runner = Runner(options, xs, None, None)
        result = runner(cell, params, carry, xs)
        layers.extend(runner.layers)
        return result

    jax.eval_shape(run, params, arguments.xs, arguments.carry)
    return tuple(layers)


def _works(run: Callable, arguments: tuple) -> tuple[Work, Work, int]:
    """The work of a function and of its gradient, and the bytes that lie between the two."""

    def pull_back(*arguments):
        result, back = jax.vjp(run, *arguments)
        return result, back

    forward = jax.make_jaxpr(run)(*arguments)
    kept = jax.make_jaxpr(lambda *a: jax.tree.leaves(pull_back(*a)[1]))(*arguments)
    result, back = jax.eval_shape(pull_back, *arguments)
    cotangents = jax.tree.map(_cotangent, result)
    backward = jax.make_jaxpr(lambda back, cotangents: back(cotangents))(back, cotangents)
    given = {*kept.jaxpr.invars, *kept.jaxpr.constvars}
    between = {var for var in kept.jaxpr.outvars if isinstance(var, core.Var) and var not in given}
    kept_bytes = sum(_bytes(var.aval) for var in between)
    return _work(forward.jaxpr), _work(backward.jaxpr), kept_bytes


def _bytes(array: Any) -> int:
    return array.size * array.dtype.itemsize


def _cotangent(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    inexact = jnp.issubdtype(leaf.dtype, jnp.inexact)
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype if inexact else jax.dtypes.float0)


def _work(jaxpr: Any) -> Work:
    loops = [body for body in _bodies(jaxpr) if not any(_bodies(body))]
    operations = sum(1 for body in loops for _ in _equations(body))
    return Work(operations, sum(times * _flops(eqn) for eqn, times in _equations_times(jaxpr)))


def _inner(eqn: Any) -> list[Any]:
    """The programs inside an equation: of a call, or of a loop's body."""
    if eqn.primitive.name == "custom_linear_solve":
        return [eqn.params["jaxprs"].solve.jaxpr]  # the others say what is solved
    values = [v for p in eqn.params.values() for v in (p if isinstance(p, tuple | list) else (p,))]
    values = [getattr(value, "jaxpr", value) for value in values]
    return [value for value in values if hasattr(value, "eqns")]


def _equations_times(jaxpr: Any, times: int = 1) -> Iterator[tuple[Any, int]]:
    """Every equation, with how often it runs."""
    for eqn in jaxpr.eqns:
        inner = _inner(eqn)
        if not inner:
            yield eqn, times
        often = times * eqn.params["length"] if eqn.primitive.name == "scan" else times
        # A function with a rule of its own carries other programs that do not run here.
        for body in inner[:1]:
            yield from _equations_times(body, often)


def _equations(jaxpr: Any) -> Iterator[Any]:
    return (eqn for eqn, _ in _equations_times(jaxpr))


def _bodies(jaxpr: Any) -> Iterator[Any]:
    """The bodies of all loops, of loops in loops too."""
    for eqn in jaxpr.eqns:
        for body in _inner(eqn)[:1]:
            if eqn.primitive.name == "scan":
                yield body
            yield from _bodies(body)


def _flops(eqn: Any) -> int:
    if eqn.primitive.name != "dot_general":
        return product_flops(eqn.primitive.name, [var.aval for var in eqn.invars])
    (contracted, _), _ = eqn.params["dimension_numbers"]
    shape = eqn.invars[0].aval.shape
    return 2 * eqn.outvars[0].aval.size * math.prod(shape[axis] for axis in contracted)
