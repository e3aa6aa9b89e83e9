"""Layers: a stack of cells is a cell, and so is a cell with a residual connection."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxseq._checks import error
from jaxseq._types import Array, Key
from jaxseq.cells._cell import Cell, Run, check_cell


def stack(cells: Sequence[Cell]) -> Cell:
    """Returns the cell that runs each cell on the output of the one before it.

    Params and carry are tuples, one entry a layer, in the order of ``cells``; widths may differ.

    Args:
      cells: from the bottom up.

    Returns:
      The cell. Its output is that of the top layer.

    Raises:
      ValueError: if there is no cell, or a cell does not take what the one below gives.
      TypeError: if ``cells`` holds something else than cells.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.stack([jaxseq.gru(3, 8), jaxseq.lstm(8, 4)])
      >>> params = cell.init(jax.random.key(0))
      >>> (bottom, top), ys = jaxseq.scan(cell, params, jnp.ones((2, 5, 3)))
      >>> bottom.h.shape, top.c.shape, ys.shape
      ((2, 8), (2, 4), (2, 5, 4))

    References:
      Schmidhuber, "Learning Complex, Extended Sequences Using the Principle of History
      Compression", Neural Computation 4(2), 1992; El Hihi and Bengio, "Hierarchical Recurrent
      Neural Networks for Long-Term Dependencies", 1995.
    """
    return _stack(tuple(cells))


@functools.cache
def _stack(cells: tuple[Cell, ...]) -> Cell:
    if not cells:
        raise error("stack", "`cells` must hold at least one cell, but it is empty")
    for cell in cells:
        if not isinstance(cell, Cell):
            raise error("stack", f"`cells` must hold cells, but it holds {cell!r}", kind=TypeError)
    for layer, (below, above) in enumerate(itertools.pairwise(cells), start=1):
        if below.output_size != above.input_size:
            raise error(
                "stack",
                f"cells[{layer}] ({above.name}) must have input_size = {below.output_size}, "
                f"the output_size of cells[{layer - 1}] ({below.name}), "
                f"but it has input_size = {above.input_size}",
            )

    def init(key: Key, dtype: Any = jnp.float32) -> tuple[Any, ...]:
        keys = jax.random.split(key, len(cells))
        return tuple(cell.init(k, dtype) for cell, k in zip(cells, keys, strict=True))

    def carry(
        params: tuple[Any, ...], batch_shape: tuple[int, ...] = (), *, key: Key | None = None
    ) -> tuple[Any, ...]:
        keys = (None,) * len(cells) if key is None else jax.random.split(key, len(cells))
        return tuple(
            cell.carry(p, batch_shape, key=k)
            for cell, p, k in zip(cells, params, keys, strict=True)
        )

    def step(params: tuple[Any, ...], carry: tuple[Any, ...], x: Array) -> tuple[Any, Array]:
        carries = []
        for cell, p, c in zip(cells, params, carry, strict=True):
            c, x = cell.step(p, c, x)
            carries.append(c)
        return tuple(carries), x

    def unfold(
        run: Run, params: tuple[Any, ...], carry: tuple[Any, ...], xs: Array
    ) -> tuple[tuple[Any, ...], Array]:
        carries = []
        for cell, p, c in zip(cells, params, carry, strict=True):
            c, xs = run(cell, p, c, xs)
            carries.append(c)
        return tuple(carries), xs

    def reset(params: tuple[Any, ...], carry: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(cell.reset(p, c) for cell, p, c in zip(cells, params, carry, strict=True))

    return Cell(
        name=f"stack({', '.join(cell.name for cell in cells)})",
        input_size=cells[0].input_size,
        output_size=cells[-1].output_size,
        init=init,
        carry=carry,
        step=step,
        reset=reset,
        unfold=unfold,
    )


@functools.cache
def residual(cell: Cell) -> Cell:
    r"""Returns the cell that adds its input to its output: :math:`y_t = x_t + \mathrm{cell}(x_t)`.

    Params and carry are those of ``cell``; the state does not see the addition.

    Args:
      cell: its input and output must be equally wide.

    Returns:
      The cell.

    Raises:
      ValueError: if the two sizes differ.
      TypeError: if ``cell`` is not a cell.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.residual(jaxseq.elman(4, 4))
      >>> params = jax.tree.map(jnp.zeros_like, cell.init(jax.random.key(0)))
      >>> carry, y = cell.step(params, cell.carry(params), jnp.ones(4))
      >>> y.tolist(), carry.h.tolist()
      ([1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0])

    References:
      He et al., "Deep Residual Learning for Image Recognition", 2016; Wu et al., "Google's Neural
      Machine Translation System", 2016 (between stacked LSTMs).
    """
    check_cell("residual", cell)
    if cell.input_size != cell.output_size:
        raise error(
            "residual",
            f"`cell` ({cell.name}) must have equal input_size and output_size, "
            f"but it has {cell.input_size} and {cell.output_size}",
        )

    def step(params: Any, carry: Any, x: Array) -> tuple[Any, Array]:
        carry, y = cell.step(params, carry, x)
        return carry, x + y

    def unfold(run: Run, params: Any, carry: Any, xs: Array) -> tuple[Any, Array]:
        carry, ys = run(cell, params, carry, xs)
        return carry, xs + ys

    name = f"residual({cell.name})"
    return cell._replace(name=name, step=step, maps=None, unfold=unfold, linear=None)
