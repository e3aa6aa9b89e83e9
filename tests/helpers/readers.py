"""What the tests of the task models share: random weights, and their layers in NumPy float64."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import twins
from flax import nnx

from jaxseq import Directions, cells, nn

CELLS = {
    "elman": (twins.elman_step, cells.ElmanCarry),
    "gru": (twins.gru_step, cells.GRUCarry),
    "lstm": (twins.lstm_step, cells.LSTMCarry),
}


def drawn(make: Callable[[], Any], seed: int = 0) -> Any:
    """Returns the model with all weights random and none zero, biases included.

    It is made without numbers, for to compile its own draws takes longer than most tests.
    """
    model = nnx.eval_shape(make)
    rng = np.random.default_rng(seed)

    def draw(leaf: Any) -> Any:
        return jnp.asarray(rng.uniform(-1.0, 1.0, leaf.shape).astype(leaf.dtype))

    return nn.with_params(model, jax.tree.map(draw, nn.pure(model).params))


def arrays(model: Any) -> Any:
    """Returns the model's weights as nested dicts, in NumPy float64."""
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), nn.pure(model).params)


def fit(loss: Any, params: Any, *, rate: float, steps: int = 60) -> Any:
    """Returns the weights after so many steps of gradient descent with momentum."""
    optimizer = optax.sgd(rate, momentum=0.9)

    @jax.jit
    def step(params: Any, state: Any) -> Any:
        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, updates), state

    state = optimizer.init(params)
    for _ in range(steps):
        params, state = step(params, state)
    return params


def layers(kind: str, params: Any, xs: Any, lengths: Any) -> tuple[np.ndarray, np.ndarray]:
    """Runs layers over the valid steps of each row alone.

    Args:
      kind: of cell.
      params: of each layer, as ``rnn.params``.
      xs: ``[*batch, T, I]``.
      lengths: ``[*batch]``.

    Returns:
      The top layer's outputs, 0 in the pads, and the state that each of its directions ends with,
      side by side ``[*batch, O]``.
    """
    ys, ends = xs, []
    for layer in params:
        both = layer if isinstance(layer, Directions) else (layer,)
        runs = [_run(kind, one, ys, lengths, reverse=k == 1) for k, one in enumerate(both)]
        ends, ys = (np.concatenate(parts, axis=-1) for parts in zip(*runs, strict=True))
    return ys, ends


def _run(kind: str, params: Any, xs: Any, lengths: Any, *, reverse: bool) -> tuple[Any, Any]:
    step, carry = CELLS[kind]
    zeros = np.zeros((*np.shape(lengths), params.w_hh.shape[-1]))
    state = carry(*(zeros for _ in carry._fields))
    final, ys = twins.sequence(step, params, state, xs, lengths=lengths, reverse=reverse)
    return final.h, ys
