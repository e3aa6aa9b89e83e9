"""What a cell is: pure functions on one example, and the sizes that they agree on."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from jaxseq._checks import error
from jaxseq._types import Array, PyTree
from jaxseq.cells._linear import Linear


def no_weights(params: PyTree) -> tuple[()]:
    """Returns nothing: most updates read no weights.

    Args:
      params: the weights; not used.

    Returns:
      An empty tuple.

    Example:
      >>> no_weights(None)
      ()
    """
    del params
    return ()


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


class Gates(NamedTuple):
    """An update in two parts, around what the backward pass reads of it.

    The derivatives of the usual gates are told from their values: of a sigmoid s it is s (1 - s).
    So the fast path keeps these values, each in an array of its own, and not what they are made of.

    Attributes:
      values: ``(z_x, z_h) -> tuple`` of arrays: the gates, and what else the rest of the update
        reads of the maps.
      tangent: ``(values, d_z_x, d_z_h) -> tuple``: the derivative of ``values``, linear in the last
        two, told from the values alone.
      update: ``(values, carry, *weights) -> carry``: the rest of the update.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.cells import elman
      >>> gates = elman(3, 1).maps.gates
      >>> values = gates.values(jnp.zeros(1), jnp.ones(1))
      >>> [round(float(d[0]), 3) for d in gates.tangent(values, jnp.zeros(1), jnp.ones(1))]
      [0.42]
    """

    values: Callable[[Array, Array], tuple[Array, ...]]
    tangent: Callable[[tuple[Array, ...], Array, Array], tuple[Array, ...]]
    update: Callable[..., Any]


class Maps(NamedTuple):
    r"""Two affine maps and a cheap update: what a cell that decomposes is made of.

    .. math::
        z_x = W_{ih} x_t + b_{ih}, \quad z_h = W_{hh} h_{t-1} + b_{hh}, \quad
        \mathit{carry}_t = \mathrm{output}(\mathrm{update}(z_x, z_h, \mathit{carry}_{t-1}))

    The first map has no recurrence, the update has no product of matrices: this is what lets one
    fast path serve every cell. All of them act on one example.

    Attributes:
      input: ``(params, x [I]) -> z_x [G*H]``; any function of the input.
      recurrent: ``(params, h) -> z_h [G*H]``; affine in ``h``, and linear in the params.
      update: ``(z_x, z_h, carry, *weights) -> carry``: elementwise, or with a sum over units.
      output: ``(params, carry) -> carry``: what is linear after the update; the identity, but for
        an LSTM with ``proj_size``.
      weights: ``(params) -> tuple`` of what the update reads of them: vectors, no matrices, since
        their gradients are summed up in the loop. Most updates read none.
      additive: the share of the maps' values, from the first on, that the update reads only as the
        sum ``z_x + z_h``: all of an LSTM's, two thirds of a GRU's.
      gates: the update in two parts, where it can be told so; ``update`` is the two of them.
      native: the name of the kernel in jaxseq-native that computes the same, or None.

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
    update: Callable[..., Any]
    output: Callable[[Any, Any], Any] = no_output_map
    weights: Callable[[Any], tuple[Any, ...]] = no_weights
    additive: float = 0.0
    gates: Gates | None = None
    native: str | None = None


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


@runtime_checkable
class Run(Protocol):
    """Runs a cell over a whole sequence, time first: what ``unfold`` is given.

    A combinator whose step is made of the steps of other cells may run each of them over all of
    time instead. Padding, resets and the direction are the runner's business: inputs and outputs
    are 0 in the padding.

    Attributes:
      steps_before: ``[T, *batch]`` integers: how many valid steps of the row are run before this
        one, in the direction of the scan. In the padding it means nothing.
      steps: ``[*batch]`` integers: how many valid steps each row has.

    Example:
      >>> def unfold(run, params, carry, xs):  # of a cell that doubles its input
      ...     return run(cell, params, carry, 2.0 * xs)
    """

    steps_before: Array
    steps: Array

    def __call__(
        self,
        cell: "Cell",
        params: PyTree,
        carry: PyTree,
        xs: Array,
        *,
        state_mask: Array | None = None,
        hold: PyTree = None,
    ) -> tuple[PyTree, Array]:
        """Runs ``cell`` over ``xs [T, *batch, I]`` from ``carry``.

        Args:
          cell: any cell; with a mask or a hold, one that has maps.
          params: its weights.
          carry: its state before the first step.
          xs: its inputs, time first.
          state_mask: ``[*batch, H]``: what the recurrent map reads is ``state_mask * h``.
          hold: like the carry, with a leading axis of time: the share of the state before a step
            that stays: ``hold * before + (1 - hold) * after``. No derivative is taken by it.

        Returns:
          The carry after the last valid step, and the outputs, time first.
        """
        ...


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
      unfold: ``(run, params, carry, xs [T, *batch, I]) -> (carry, ys [T, *batch, O])``: how a
        combinator runs whole sequences with the cells inside (see :class:`Run`), or None.
      linear: how the cell is a diagonal linear recurrence (see :class:`Linear`), or None.

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
    unfold: Callable[..., tuple[Any, Array]] | None = None
    linear: Linear | None = None


def check_cell(where: str, cell: Any) -> None:
    """Raises unless ``cell`` is a cell."""
    if not isinstance(cell, Cell):
        raise error(where, f"`cell` must be a jaxseq.Cell, but it is {cell!r}", kind=TypeError)
