"""The loop as a kernel on the CPU: ``backend="native"``, where jaxseq-native is installed.

The kernel runs a scan and its backward pass. All that it does not do runs on the fused path:
forward mode, derivatives of a higher order, and ``vmap`` over what cannot become a longer batch.
Three primitives carry this: ``forward``, ``tangent`` (linear; on the fused path) and its transpose
``backward``. What each computes is a function of ordinary JAX (``*_spec``): derivatives and
``vmap`` of a primitive are made of it, and the tests hold the kernels to it.
"""

import functools
import importlib
import importlib.util
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jax.sharding import NamedSharding, PartitionSpec

from jaxseq._arrays import vary_alike
from jaxseq._types import Array, PyTree
from jaxseq.cells._cell import zero_carry
from jaxseq.sequence._fused import Inputs, Loop
from jaxseq.sequence._native_spec import (
    KEPT,
    OPERANDS,
    RESIDUALS,
    WEIGHTS,
    Operands,
    Problem,
    backward_spec,
    forward_spec,
    tangent_spec,
    width,
)
from jaxseq.sequence._padding import batch_major, time_major

INTERFACE = 2
"""That of the kernels that are called here: 2 since rows come first, and have lengths."""
OF_ROWS = ("xs", "lengths", "resets", "h", "c")
"""What may have more rows, for a kernel, than its caller knows."""


@functools.cache
def library() -> Any:
    """Returns the package with the kernels, or None if it is not installed, or not wanted.

    ``JAXSEQ_NATIVE=0`` in the environment says that it is not wanted.
    """
    if os.environ.get("JAXSEQ_NATIVE") == "0":
        return None
    if importlib.util.find_spec("jaxseq_native") is None:
        return None
    return importlib.import_module("jaxseq_native")


def _forward_shapes(given: Operands, problem: Problem, keeps: bool) -> list[jax.ShapeDtypeStruct]:
    rows, steps, _ = given.xs.shape
    kept = (steps, rows, KEPT[problem.kind], width(given.size)) if keeps else (0,)
    shapes = [(rows, steps, given.h.shape[-1]), given.h.shape, given.c.shape, kept]
    return [jax.ShapeDtypeStruct(shape, given.xs.dtype) for shape in shapes]


def _forward_kernel(*operands: Array, problem: Problem, keeps: bool) -> Sequence[Array]:
    given = Operands(*operands)
    call = jax.ffi.ffi_call(library().FORWARD, _forward_shapes(given, problem, keeps))
    return call(*given[WEIGHTS:], *given[:WEIGHTS], **problem.attributes)


def _backward_kernel(*operands: Array, problem: Problem, inputs: bool) -> list[Array]:
    given = Operands(*operands[:OPERANDS])
    hs, kept, *cotangents = operands[OPERANDS:]
    shapes = [given.xs.shape if inputs else (0,)]
    shapes += [array.shape for array in (given.h, given.c, *given[:WEIGHTS])]
    out = [jax.ShapeDtypeStruct(shape, given.xs.dtype) for shape in shapes]
    call = jax.ffi.ffi_call(library().BACKWARD, out)
    weights = (given.w_ih, given.w_hh, given.w_hr)
    arguments = (*given[WEIGHTS:], *weights, hs, kept, *cotangents)
    d_xs, d_h, d_c, *d_weights = call(*arguments, **problem.attributes)
    return [*d_weights, *([d_xs] if inputs else []), d_h, d_c]


# ----------------------------------------------------------------------------- the primitives


def _primitive(name: str, spec: Callable, shapes: Callable, kernel: Callable | None) -> Primitive:
    """Returns a primitive that is what ``spec`` says, and on the CPU what ``kernel`` does."""
    made = Primitive(f"jaxseq_native_{name}")
    made.multiple_results = True
    made.def_impl(spec if kernel is None else kernel)
    made.def_abstract_eval(functools.partial(_abstract, shapes))
    batching.primitive_batchers[made] = functools.partial(_mapped, spec)
    ad.primitive_jvps[made] = functools.partial(_jvp, made, spec)
    platform = None if kernel is None else "cpu"
    lowered = mlir.lower_fun(kernel or spec, multiple_results=True)
    mlir.register_lowering(made, lowered, platform=platform)
    return made


def _abstract(shapes: Callable, *operands: Any, **params: Any) -> list[Any]:
    aval: Any = Operands(*operands[:OPERANDS]).xs
    # In a shard_map the results vary over the axes that the inputs vary over.
    free = NamedSharding(aval.sharding.mesh, PartitionSpec())
    return [
        aval.update(shape=found.shape, weak_type=False, sharding=free)
        for found in shapes(*operands, **params)
    ]


def _mapped(spec: Callable, operands: Sequence[Array], axes: Sequence[Any], **params: Any) -> Any:
    """Maps over an axis on the fused path."""
    outputs = jax.vmap(functools.partial(spec, **params), in_axes=tuple(axes))(*operands)
    return outputs, [0] * len(outputs)


def _jvp(
    made: Primitive, spec: Callable, primals: Sequence[Any], tangents: Sequence[Any], **params: Any
) -> Any:
    """Differentiates on the fused path."""
    moving = [n for n, tangent in enumerate(tangents) if type(tangent) is not ad.Zero]

    def function(*some):
        everything = [*primals]
        for n, operand in zip(moving, some, strict=True):
            everything[n] = operand
        return spec(*everything, **params)

    some = [primals[n] for n in moving], [tangents[n] for n in moving]
    return made.bind(*primals, **params), jax.jvp(function, *some)[1]


FORWARD = _primitive(
    "forward",
    forward_spec,
    lambda *operands, problem, keeps: _forward_shapes(Operands(*operands), problem, keeps),
    _forward_kernel,
)
TANGENT = _primitive(
    "tangent",
    tangent_spec,
    lambda *operands, problem, inputs: [operands[OPERANDS], *operands[OPERANDS - 2 : OPERANDS]],
    None,
)
BACKWARD = _primitive(
    "backward",
    backward_spec,
    lambda *operands, problem, inputs: [
        *operands[: WEIGHTS + inputs],
        *operands[OPERANDS - 2 : OPERANDS],
    ],
    _backward_kernel,
)


def _forward_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, problem: Problem, keeps: bool
) -> Any:
    if keeps:  # of an order above the first
        return _jvp(FORWARD, forward_spec, primals, tangents, problem=problem, keeps=True)
    hs, h, c, kept = FORWARD.bind(*primals, problem=problem, keeps=True)
    inputs = type(tangents[WEIGHTS]) is not ad.Zero
    linear = [*range(WEIGHTS + inputs), OPERANDS - 2, OPERANDS - 1]
    d_hs, d_h, d_c = TANGENT.bind(
        *(*primals, hs, kept),
        *(ad.instantiate_zeros(tangents[n]) for n in linear),
        problem=problem,
        inputs=inputs,
    )
    nothing = jnp.zeros(0, hs.dtype)
    return (hs, h, c, nothing), (d_hs, d_h, d_c, jnp.zeros_like(nothing))


def _tangent_transpose(cotangents: Sequence[Any], *operands: Any, **params: Any) -> list[Any]:
    residuals, linear = operands[:RESIDUALS], operands[RESIDUALS:]
    found = BACKWARD.bind(*residuals, *map(ad.instantiate_zeros, cotangents), **params)
    wanted = [
        value if ad.is_undefined_primal(operand) else None
        for value, operand in zip(found, linear, strict=True)
    ]
    return [None] * RESIDUALS + wanted


def _forward_mapped(
    operands: Sequence[Array], axes: Sequence[Any], *, problem: Problem, keeps: bool
) -> Any:
    """Maps over an axis by a longer batch, if the weights are the same for all of it."""
    given, axes = Operands(*operands), Operands(*axes)
    if any(axis is not None for axis in axes[:WEIGHTS]):
        return _mapped(forward_spec, operands, axes, problem=problem, keeps=keeps)
    count = next(
        array.shape[axis] for array, axis in zip(given, axes, strict=True) if axis is not None
    )

    def longer(name):
        array, axis = getattr(given, name), getattr(axes, name)
        if axis is None and array.shape == (0,):
            return array  # lengths or resets that are not there
        if axis is None:
            array, axis = jnp.broadcast_to(array, (count, *array.shape)), 0
        array = jnp.moveaxis(array, axis, 0)
        return array.reshape(count * array.shape[1], *array.shape[2:])

    given = given._replace(**{name: longer(name) for name in OF_ROWS})
    hs, h, c, kept = FORWARD.bind(*given, problem=problem, keeps=keeps)

    def apart(array, rows=0):
        before, n, behind = array.shape[:rows], array.shape[rows], array.shape[rows + 1 :]
        return array.reshape(*before, count, n // count, *behind)

    folded = [apart(hs), apart(h), apart(c) if c.size else c, apart(kept, 1) if keeps else kept]
    return folded, [0, 0, 0 if c.size else None, 1 if keeps else None]


ad.primitive_jvps[FORWARD] = _forward_jvp
ad.primitive_transposes[TANGENT] = _tangent_transpose
batching.primitive_batchers[FORWARD] = _forward_mapped


def native_loop(
    kind: str, loop: Loop, params: Any, inputs: Inputs, carry: Any
) -> tuple[PyTree, Array]:
    """Returns the final carry and every ``h``, time first, zero in the padding; by the kernel."""
    steps, *batch, size = inputs.xs.shape
    problem = Problem(kind, loop._replace(batch_axes=1, unroll=1))

    # Kernels have time behind the rows, as the caller has: moving it there undoes what the other
    # loops need, and XLA moves nothing. Of a row, the first steps are valid.
    rows = math.prod(batch)
    lengths, resets = jnp.zeros(0, jnp.int32), jnp.zeros(0, bool)
    if inputs.valid is not None:
        lengths = jnp.sum(inputs.valid, axis=0, dtype=jnp.int32).reshape(rows)
    if inputs.resets is not None:
        resets = batch_major(inputs.resets, len(batch)).reshape(rows, steps)

    h = carry.h.reshape(rows, carry.h.shape[-1])
    c = (
        carry.c.reshape(rows, carry.c.shape[-1])
        if kind == "lstm"
        else jnp.zeros((0, h.shape[1]), h.dtype)
    )
    xs = batch_major(inputs.xs, len(batch)).reshape(rows, steps, size)
    weights = (params.w_ih, params.w_hh, params.b_ih, params.b_hh)
    w_hr = getattr(params, "w_hr", jnp.zeros(0, h.dtype))
    operands = Operands(*weights, w_hr, xs, lengths, resets, h, c)
    operands = vary_alike(operands, operands)
    hs, h, c, _ = FORWARD.bind(*operands, problem=problem, keeps=False)
    last = carry._replace(h=h.reshape(carry.h.shape))
    if kind == "lstm":
        last = last._replace(c=c.reshape(carry.c.shape))
    return last, time_major(hs.reshape(*batch, steps, hs.shape[-1]), len(batch))


def product_flops(name: str, operands: Sequence[Any]) -> int:
    """Returns the FLOPs of the products of a primitive of that name; 0 if it is none of these."""
    if name not in (FORWARD.name, BACKWARD.name):
        return 0
    given = Operands(*operands[:OPERANDS])
    once = 2 * math.prod(given.xs.shape[:2]) * (given.w_ih.size + given.w_hh.size + given.w_hr.size)
    return once if name == FORWARD.name else 2 * once


def obstacle(cell: Any, params: Any, xs: Array, carry: Any) -> str | None:
    """Returns why the kernel cannot run a cell on these arrays, or None if it can."""
    if library() is None:
        return "jaxseq-native is not installed"
    interface = getattr(library(), "INTERFACE", 1)
    if interface != INTERFACE:
        return (
            f"the jaxseq-native that is installed has interface {interface}, and {INTERFACE} is"
            " needed, so install that of this version of jaxseq"
        )
    if cell.maps is None or cell.maps.native is None:
        return f"there is no kernel for {cell.name} as it is set up"
    if cell.reset is not zero_carry:
        return "its reset is another than to zeros"
    if jax.default_backend() != "cpu":
        return f"it runs on a CPU, and this is {jax.default_backend()}"
    dtypes = {str(leaf.dtype) for leaf in jax.tree.leaves((params, carry, xs))}
    if len(dtypes) > 1 or not dtypes <= {"float32", "float64"}:
        return f"it needs float32 or float64 throughout, and this is {', '.join(sorted(dtypes))}"
    return None
