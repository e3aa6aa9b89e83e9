"""What a cell is: pure functions on one example, and the sizes that they agree on."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxseq._checks import error
from jaxseq._types import Array, PyTree


def no_output_map(params: PyTree, carry: PyTree) -> PyTree:
    """Returns the carry as it is: most cells have nothing linear after the update.

    Args:
      params: the weights; not used.
      carry: the state of one example.

    Returns:
      The same carry.

    Example:
      >>> no_output_map(None, 1.0)
      1.0
    """
    del params
    return carry


class Maps(NamedTuple):
    r"""Two affine maps and a pointwise update: what a cell that decomposes is made of.

    .. math::
        z_x = W_{ih} x_t + b_{ih}, \quad z_h = W_{hh} h_{t-1} + b_{hh}, \quad
        \mathit{carry}_t = \mathrm{output}(\mathrm{update}(z_x, z_h, \mathit{carry}_{t-1}))

    The first map has no recurrence, the update is elementwise: this is what lets one fast path
    serve every cell. All four act on one example.

    Attributes:
      input: ``(params, x [I]) -> z_x [G*H]``.
      recurrent: ``(params, h) -> z_h [G*H]``.
      update: ``(z_x, z_h, carry) -> carry``, elementwise and without parameters.
      output: ``(params, carry) -> carry``: what is linear after the update; the identity, but for
        an LSTM with ``proj_size``.
      additive: whether the update reads ``z_x`` and ``z_h`` only through their sum.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq.cells import lstm
      >>> cell = lstm(3, 4)
      >>> params = cell.init(jax.random.key(0))
      >>> cell.maps.input(params, jnp.ones(3)).shape
      (16,)
    """

    input: Callable[[Any, Array], Array]
    recurrent: Callable[[Any, Array], Array]
    update: Callable[[Array, Array, Any], Any]
    output: Callable[[Any, Any], Any] = no_output_map
    additive: bool = False


def zero_carry(params: PyTree, carry: PyTree) -> PyTree:
    """Returns zeros like ``carry``: the reset of every cell that starts from zeros.

    Args:
      params: the weights; not used.
      carry: the state of one example.

    Returns:
      A carry of the same shapes and dtypes, all zero.

    Example:
      >>> import jax.numpy as jnp
      >>> zero_carry(None, jnp.ones(2)).tolist()
      [0.0, 0.0]
    """
    return jax.tree.map(jnp.zeros_like, carry)


class Cell(NamedTuple):
    """One step of a recurrent network, as pure functions on **one example**.

    Time is :func:`jaxseq.scan`, a batch is :func:`jax.vmap` of ``step``, and a combinator such as
    :func:`jaxseq.stack` takes cells and returns a cell. Any pure functions make a cell; a cell of
    your own needs the first six fields. The functions are compared by identity, so keep a cell and
    pass it around: it is then a static argument that hits the compilation cache. The factories
    here return the same cell for the same arguments.

    Attributes:
      name: what errors call it.
      input_size: I, the width of ``x``.
      output_size: O, the width of ``y``.
      init: ``(key, dtype=float32) -> params``.
      carry: ``(params, batch_shape=(), *, key=None) -> carry``: the initial state. Zeros need no
        key; a cell with dropout draws its masks from one, and does not drop without.
      step: ``(params, carry, x [I]) -> (carry, y [O])``.
      reset: ``(params, carry) -> carry``: a fresh start in the middle of a sequence.
      maps: how the cell decomposes, or None if it does not.

    Example:
      A leaky integrator, run over a batch of sequences:

      >>> import jax, jax.numpy as jnp, jaxseq
      >>> def step(params, carry, x):
      ...     carry = params * carry + x
      ...     return carry, carry
      >>> leaky = jaxseq.Cell(
      ...     name="leaky",
      ...     input_size=2,
      ...     output_size=2,
      ...     init=lambda key, dtype=jnp.float32: jnp.full(2, 0.5, dtype),
      ...     carry=lambda params, batch_shape=(), *, key=None: jnp.zeros((*batch_shape, 2)),
      ...     step=step,
      ... )
      >>> params = leaky.init(jax.random.key(0))
      >>> carry, ys = jaxseq.scan(leaky, params, jnp.ones((1, 3, 2)), lengths=jnp.array([2]))
      >>> ys[0, :, 0].tolist()
      [1.0, 1.5, 0.0]
      >>> carry.tolist()
      [[1.5, 1.5]]
    """

    name: str
    input_size: int
    output_size: int
    init: Callable[..., Any]
    carry: Callable[..., Any]
    step: Callable[[Any, Any, Array], tuple[Any, Array]]
    reset: Callable[[Any, Any], Any] = zero_carry
    maps: Maps | None = None


def check_cell(where: str, cell: Any) -> None:
    """Raises unless ``cell`` is a cell."""
    if not isinstance(cell, Cell):
        raise error(where, f"`cell` must be a jaxseq.Cell, but it is {cell!r}", kind=TypeError)
