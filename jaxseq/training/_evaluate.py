"""A loss over a whole data set."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from jaxseq._checks import InputError, error
from jaxseq._types import PyTree
from jaxseq.losses import SumCount
from jaxseq.training._mesh import on_mesh, places, spread
from jaxseq.training._step import Loss, checked_loss

IN_FLIGHT = 8
"""How many batches may be under way on the device at once."""


class Evaluation(NamedTuple):
    """A loss over a whole data set.

    Attributes:
      mean: the total over the count; 0 if nothing was counted.
      total: the sum over all batches.
      count: the number of its terms.

    Example:
      >>> Evaluation(mean=1.5, total=3.0, count=2.0).mean
      1.5
    """

    mean: float
    total: float
    count: float


def make_evaluate(
    loss: Loss, *, mesh: Mesh | None = None, axis: str = "data"
) -> Callable[[PyTree, PyTree, Iterable[Any]], Evaluation]:
    """Returns ``evaluate(params, carry, batches) -> Evaluation``, compiled batch by batch.

    Sums are added up in float64, however long the data set, and divided once. The carry is handed
    from batch to batch; the loss is called with ``key=None``, so nothing is dropped out.

    Args:
      loss: ``loss(params, carry, batch, key) -> (SumCount, carry)``, as for :func:`make_step`.
      mesh: the devices to spread the batch's rows over.
      axis: the mesh's axis for the rows.

    Returns:
      The function. It raises :class:`ValueError` if there is no batch, or one that the mesh does
      not divide, and :class:`TypeError` if ``loss`` returns something else.

    Raises:
      ValueError: if the mesh lacks the axis.

    Example:
      >>> import jax.numpy as jnp
      >>> def loss(params, carry, batch, key):
      ...     return (jnp.sum(params * batch), jnp.array(2.0)), carry
      >>> evaluate = make_evaluate(loss)
      >>> evaluate(jnp.array(2.0), (), [jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])])
      Evaluation(mean=5.0, total=20.0, count=4.0)
    """
    at = places("make_evaluate", mesh, axis)

    @jax.jit
    def sums(params: PyTree, carry: PyTree, batch: PyTree) -> tuple[SumCount, PyTree]:
        return checked_loss("make_evaluate", loss, params, carry, batch, key=None)

    def evaluate(params: PyTree, carry: PyTree, batches: Iterable[Any]) -> Evaluation:
        if at is not None:
            params, carry = on_mesh(at, (params, carry))
        pending: deque[SumCount] = deque()
        totals, seen = [0.0, 0.0], False
        for batch in batches:
            seen = True
            part, carry = sums(params, carry, batch if at is None else spread(at, batch))
            pending.append(part)
            if len(pending) == IN_FLIGHT:
                _add(totals, pending.popleft())
        for part in pending:
            _add(totals, part)
        if not seen:
            raise error(
                "make_evaluate",
                "`batches` gave no batch to evaluate on",
                hint="an iterator that was read to its end gives nothing more: make a new one",
                kind=InputError,
            )
        return Evaluation(totals[0] / totals[1] if totals[1] else 0.0, *totals)

    return evaluate


def _add(totals: list[float], part: SumCount) -> None:
    totals[0] += float(part.total)
    totals[1] += float(part.count)
