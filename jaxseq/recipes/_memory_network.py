"""The networks of a memory run: one recurrent layer, and a linear map of its outputs."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

import jaxseq
from jaxseq._types import Array, Key, PyTree
from jaxseq.cells import Cell, GRUParams, LSTMParams
from jaxseq.losses import SumCount
from jaxseq.recipes._memory_tasks import TASKS

ROWS = 200
"""Sequences that are measured at once."""


class Params(NamedTuple):
    """The weights of a network.

    Attributes:
      cell: those of its cell.
      w_ho: hidden to output, ``[O, H]``.
      b_o: ``[O]``.

    Example:
      >>> import jax
      >>> cell, params = begin(jax.random.key(0), "adding", "gru", 4, span=9)
      >>> params.w_ho.shape
      (1, 4)
    """

    cell: PyTree
    w_ho: Float[Array, "O H"]
    b_o: Float[Array, " O"]


class Score(NamedTuple):
    """What a network is worth on examples.

    Attributes:
      loss: the mean of the task's loss.
      error: the mean of the task's error.

    Example:
      >>> Score(loss=0.1, error=0.0).error
      0.0
    """

    loss: float
    error: float


def begin(key: Key, task: str, cell: str, hidden_size: int, *, span: int) -> tuple[Cell, Params]:
    """Returns a cell and the weights that a network begins with.

    Recurrent weights are orthogonal, all others Glorot-uniform. A cell with gates begins with gates
    that remember for up to ``span`` steps (:func:`chrono`); an Elman network has none.

    Args:
      key: a PRNG key.
      task: its name.
      cell: its name.
      hidden_size: H.
      span: how long the first sequences are.
    """
    key_cell, key_gates, key_out = jax.random.split(key, 3)
    sizes = TASKS[task].inputs, hidden_size
    made = {"elman": jaxseq.elman, "lstm": jaxseq.lstm, "gru": jaxseq.gru}[cell](*sizes)
    draw = jax.nn.initializers.glorot_uniform(in_axis=-1, out_axis=-2)
    outputs = TASKS[task].outputs
    params = Params(
        cell=chrono(key_gates, made.init(key_cell), span),
        w_ho=draw(key_out, (outputs, hidden_size), jnp.float32),
        b_o=jnp.zeros(outputs),
    )
    return made, params


def chrono(key: Key, params: Any, span: int) -> Any:
    r"""Returns the weights of a cell with biases that let it remember from the first step on.

    .. math:: b \sim \log U(1, T - 1)

    is the bias of the gate that keeps the state, the forget gate of an LSTM, whose input gate gets
    :math:`-b`, and the update gate of a GRU. A unit then forgets in about :math:`e^b` steps.

    Args:
      key: a PRNG key.
      params: from the cell; those of a cell without gates come back as they are.
      span: T.

    References:
      Tallec and Ollivier, "Can Recurrent Neural Networks Warp Time?", 2018.
    """
    size = params.w_hh.shape[1]
    bias = jnp.log(jax.random.uniform(key, (size,), minval=1.0, maxval=float(max(span - 1, 2))))
    if isinstance(params, LSTMParams):
        kept = params.b_ih.at[:size].set(-bias).at[size : 2 * size].set(bias)
        return params._replace(b_ih=kept)
    if isinstance(params, GRUParams):
        return params._replace(b_ih=params.b_ih.at[size : 2 * size].set(bias))
    return params


def outputs(cell: Cell, params: Params, inputs: Float[Any, "B T I"]) -> Float[Array, "B T O"]:
    """Returns what a network says at each step."""
    _, hs = jaxseq.scan(cell, params.cell, inputs)
    return hs @ params.w_ho.T + params.b_o[None, None]


@functools.cache
def loss_of(task: str, cell: Cell) -> Callable[..., Any]:
    """Returns the loss for :func:`jaxseq.training.make_step`; one function for equal arguments."""

    def loss(params: Params, carry: PyTree, batch: Any, key: Any) -> tuple[SumCount, PyTree]:
        del key
        return TASKS[task].loss(outputs(cell, params, batch.inputs), batch.targets), carry

    return loss


@functools.cache
def _sums(task: str, cell: Cell) -> Callable[..., Any]:
    @jax.jit
    def sums(params: Params, inputs: Array, targets: Array) -> tuple[SumCount, SumCount]:
        said = outputs(cell, params, inputs)
        return TASKS[task].loss(said, targets), TASKS[task].error(said, targets)

    return sums


def score(task: str, cell: Cell, params: Params, length: int, *, seed: int, rows: int) -> Score:
    """Returns what a network is worth on the examples of a seed, which are the same for all.

    Args:
      task: its name.
      cell: of the network.
      params: its weights.
      length: T.
      seed: of the examples.
      rows: how many examples, in whole batches of 200.
    """
    rng = np.random.default_rng([seed, length])
    totals = np.zeros((2, 2))
    for _ in range(-(-rows // ROWS)):
        examples = TASKS[task].draw(rng, ROWS, length)
        totals += np.asarray(_sums(task, cell)(params, *examples), np.float64)
    return Score(*(totals[:, 0] / totals[:, 1]).tolist())
