"""A whole scan on any backend: combinators unfolded, each cell inside on the loop that suits it."""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxseq._arrays import vary_alike
from jaxseq._checks import error
from jaxseq._types import Array, PyTree
from jaxseq.cells import Cell
from jaxseq.sequence._fused import Inputs, Loop, Shared, check_step, fused_loop
from jaxseq.sequence._linear import run_linear
from jaxseq.sequence._native import native_loop, obstacle
from jaxseq.sequence._padding import batch_major, mask_and_resets, time_major, zero_padding
from jaxseq.sequence._reference import run_reference
from jaxseq.sequence._schedule import LONGEST_TRAINED, Schedules, choose_schedules
from jaxseq.sequence._windows import scan_windows


class Options(NamedTuple):
    """What a scan is compiled for; static.

    Attributes:
      where: the function that the user called, for its errors.
      backend: as the user named it.
      reverse: whether time runs backward.
      window: steps between the carries that the backward pass finds kept; None to keep everything.
      unroll: steps in one iteration of a loop.
      schedules: set by hand, or None.
      tapped: whether states are added to, which every cell inside must see.
    """

    where: str
    backend: str
    reverse: bool
    window: int | None
    unroll: int
    schedules: Schedules | None = None
    tapped: bool = False

    @property
    def direction(self) -> dict[str, Any]:
        """What every loop is told."""
        return {"reverse": self.reverse, "unroll": self.unroll}

    @property
    def states_only(self) -> bool:
        """Whether the loops keep every state by themselves, and no window does it for them."""
        return self.window == 1 and self.backend != "reference"


class Choice(NamedTuple):
    """The loop that a cell runs on, and why."""

    backend: str
    why: str


def choose(where: str, backend: str, cell: Cell, *, lacks: str | None) -> Choice:
    """Returns the loop for a cell that does not unfold: the one named, or the fastest that can.

    Args:
      where: the function that the user called.
      backend: as the user named it.
      cell: what is to run.
      lacks: why the native kernel cannot run it; None if it can.
    """
    able = {"associative": cell.linear is not None, "reference": True, "native": lacks is None}
    able["fused"] = able["associative"] or cell.maps is not None
    if backend == "auto":
        if able["associative"]:
            if jax.default_backend() == "cpu":
                return Choice("fused", "a linear recurrence; on a CPU one step after the other")
            return Choice("associative", "a linear recurrence; log2(T) rounds suit the device")
        if able["native"]:
            return Choice("native", "the kernel for CPUs is installed, and has this cell")
        if able["fused"]:
            return Choice("fused", "decomposes into two maps and an update")
        return Choice("reference", "does not decompose into maps")
    if able[backend]:
        return Choice(backend, "named by the caller")
    if backend == "native":
        hint = 'leave it at "auto", which runs each cell on the fastest loop that it can'
        raise error(where, f'`backend` "native" cannot run {cell.name}: {lacks}', hint=hint)
    needs = {
        "associative": "a linear recurrence",
        "fused": "a cell that decomposes into maps, or a linear recurrence",
    }[backend]
    raise error(
        where,
        f'`backend` "{backend}" needs {needs}, but {cell.name} is not one',
        hint='leave it at "auto", which runs each cell on the fastest loop that it can',
    )


class Layer(NamedTuple):
    """How one cell inside a scan runs.

    Attributes:
      cell: its name.
      backend: ``"associative"``, ``"fused"`` or ``"reference"``.
      why: the reason for the backend.
      schedules: where the products of the inputs run, without and with a derivative; None for a
        backend that has no such choice.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.lstm(3, 4)
      >>> plan = jaxseq.plan(cell, cell.init(jax.random.key(0)), jnp.ones((2, 5, 3)))
      >>> plan.layers[0].cell, plan.layers[0].schedules.infer.hoist
      ('lstm', True)
    """

    cell: str
    backend: str
    why: str
    schedules: Schedules | None


class Runner:
    """Runs cells over one stretch of time: the :class:`jaxseq.cells.Run` that cells unfold with.

    What it ran, and how, is in ``layers``.
    """

    def __init__(self, options: Options, xs: Array, valid: Array | None, resets: Array | None):
        self.layers: list[Layer] = []
        self.options = options
        self.valid = valid
        self.resets = resets
        self._time_and_batch = xs.shape[:-1]
        self._zeroed: Array | None = None  # the outputs of the last loop

    @property
    def steps(self) -> Array:
        """How many valid steps each row has, ``[*batch]``."""
        if self.valid is None:
            time, *batch = self._time_and_batch
            return jnp.full(batch, time, jnp.int32)
        return jnp.sum(self.valid, axis=0, dtype=jnp.int32)

    @property
    def steps_before(self) -> Array:
        """How many valid steps of the row are run before each, ``[T, *batch]``."""
        index = jax.lax.broadcasted_iota(jnp.int32, self._time_and_batch, 0)
        return self.steps[None] - 1 - index if self.options.reverse else index

    def __call__(
        self,
        cell: Cell,
        params: PyTree,
        carry: PyTree,
        xs: Array,
        *,
        state_mask: Array | None = None,
        hold: PyTree = None,
    ) -> tuple[PyTree, Array]:
        """Runs ``cell`` over ``xs [T, *batch, I]``; as in :class:`jaxseq.cells.Run`."""
        options = self.options
        masked = state_mask is not None or hold is not None
        if masked and (cell.maps is None or options.backend == "reference"):
            raise error(
                options.where,
                f"a mask or a hold on the state needs a cell with maps, but {cell.name} has none"
                if cell.maps is None
                else "a mask on the state inside a cell under taps needs the fused loop",
                hint=None if cell.maps is None else 'leave `backend` at "auto"',
            )
        if cell.unfold is not None:
            carry, ys = cell.unfold(self, params, carry, xs)
            return carry, ys if ys is self._zeroed else zero_padding(self.valid, ys)
        lacks = self._lacks(cell, params, xs, carry, masked=masked)
        backend, why = choose(options.where, options.backend, cell, lacks=lacks)
        if cell.linear is not None or backend == "reference":
            self.layers.append(Layer(cell.name, backend, why, None))
        if backend == "reference":
            inputs = xs, self.valid, self.resets
            run = functools.partial(run_reference, cell, params, **options.direction)
            if not options.states_only:
                return run(carry, inputs)
            body = jax.checkpoint(run, prevent_cse=False)
            return scan_windows(body, carry, inputs, size=1, reverse=options.reverse)
        check_step(cell, params, xs, carry)
        if cell.linear is not None:
            inputs = xs, self.valid, self.resets
            associative = backend == "associative"
            return run_linear(
                cell, params, carry, inputs, associative=associative, **options.direction
            )
        loop = self._loop(cell, params, xs, carry)
        inputs = Inputs(xs, self.valid, self.resets, hold)
        if backend == "native":
            assert cell.maps is not None and cell.maps.native is not None  # or it lacks something
            self.layers.append(Layer(cell.name, backend, why, None))
            carry, self._zeroed = native_loop(cell.maps.native, loop, params, inputs, carry)
            return carry, self._zeroed
        self.layers.append(Layer(cell.name, backend, why, loop.schedules))
        carry, ys = fused_loop(loop, Shared(params, state_mask), inputs, carry)
        self._zeroed = zero_padding(self.valid, ys)
        return carry, self._zeroed

    def _lacks(
        self, cell: Cell, params: PyTree, xs: Array, carry: PyTree, *, masked: bool
    ) -> str | None:
        """Returns why the native kernel cannot run the cell here, or None if it can."""
        if masked:
            return "its state is masked or held"
        if self.options.states_only:
            return "with `remat` 1 the states alone are kept, and it keeps the gates"
        if self.options.schedules is not None:
            return "a schedule of the fused loop is set by hand"
        return obstacle(cell, params, xs, carry)

    def _loop(self, cell: Cell, params: PyTree, xs: Array, carry: PyTree) -> Loop:
        assert cell.maps is not None  # the choice of the backend saw to it
        batch = xs.shape[1:-1]
        schedules = self.options.schedules
        if schedules is None:
            x = jax.ShapeDtypeStruct(xs.shape[-1:], xs.dtype)
            z = jax.eval_shape(cell.maps.input, params, x)
            schedules = choose_schedules(
                math.prod(batch),
                xs.shape[0],
                z.size * z.dtype.itemsize,
                additive=cell.maps.additive == 1,
                gates=z.size // max(carry.h.shape[-1], 1),
                platform=jax.default_backend(),
            )
        if (
            self.options.states_only
        ):  # what is computed again from the states is computed for a window
            window = min(xs.shape[0], LONGEST_TRAINED) or None
            schedules = schedules._replace(train=schedules.train._replace(window=window))
        maps = cell.maps
        if jax.default_backend() != "cpu":  # where keeping the gates was never measured
            maps = maps._replace(gates=None, additive=float(maps.additive == 1))
        return Loop(
            maps=maps,
            reset=cell.reset,
            batch_axes=len(batch),
            states_only=self.options.states_only,
            schedules=schedules,
            **self.options.direction,
        )


@functools.partial(jax.jit, static_argnames=("cell", "options"))
def run_scan(
    cell: Cell,
    params: PyTree,
    xs: Array,
    carry: PyTree,
    lengths: Array | None,
    resets: Array | None,
    *,
    options: Options,
) -> tuple[PyTree, Array]:
    """Runs ``cell`` over time; the arguments are those of ``scan``, already checked."""
    batch_axes = xs.ndim - 2
    valid, resets = mask_and_resets(lengths, resets, xs.shape[-2], reverse=options.reverse)
    if valid is not None:
        # Where only the result is masked, a NaN in the padding still reaches the gradient.
        xs = jnp.where(valid[..., None], xs, jnp.zeros_like(xs))
    inputs = jax.tree.map(lambda leaf: time_major(leaf, batch_axes), (xs, valid, resets))
    carry = vary_alike(carry, (params, inputs))

    def steps(carry, inputs):
        if options.backend == "reference" and not options.tapped:
            return run_reference(cell, params, carry, inputs, **options.direction)
        xs, valid, resets = inputs
        return Runner(options, xs, valid, resets)(cell, params, carry, xs)

    window = options.window
    if window is None or options.states_only:
        carry, ys = steps(carry, inputs)
    else:
        body = jax.checkpoint(steps, prevent_cse=False)
        carry, ys = scan_windows(body, carry, inputs, size=window, reverse=options.reverse)
    return carry, batch_major(ys, batch_axes)
