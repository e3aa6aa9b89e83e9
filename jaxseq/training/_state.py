"""All that the next training step needs."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Int

from jaxseq._types import Array, Key, PyTree
from jaxseq.training._promotion import standard_promotion


class TrainState(NamedTuple):
    """All that the next training step needs, and therefore all that a checkpoint holds.

    Attributes:
      params: the weights.
      opt_state: the optimizer's state.
      carry: the recurrent state handed from batch to batch; ``()`` where there is none.
      key: a typed PRNG key, split once a step.
      step: how many steps were taken, an int32 scalar.
      skipped: how many of them were not applied, since the loss or its gradient was not finite.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jaxseq.training import init_state
      >>> state = init_state({"w": jnp.zeros(2)}, optax.sgd(0.1), key=jax.random.key(0))
      >>> int(state.step), int(state.skipped)
      (0, 0)
    """

    params: PyTree
    opt_state: PyTree
    carry: PyTree
    key: Key
    step: Int[Array, ""]
    skipped: Int[Array, ""]


def init_state(
    params: PyTree, optimizer: optax.GradientTransformation, *, key: Key, carry: Any = ()
) -> TrainState:
    """Returns the state before the first step.

    The state holds copies. A step may then overwrite it in place (donation), and neither the
    caller's ``params`` are lost nor does one array that stands in two places (the two zero biases
    of a fresh cell) become a buffer that is given away twice.

    Args:
      params: the weights, any tree of arrays.
      optimizer: any optax transformation.
      key: a typed PRNG key, from :func:`jax.random.key`.
      carry: the recurrent state that the first batch starts with; any tree of arrays.

    Returns:
      The state.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> state = init_state({"w": jnp.zeros(2)}, optax.adam(1e-3), key=jax.random.key(0))
      >>> state.params["w"].shape
      (2,)
    """
    zero = jnp.zeros((), jnp.int32)
    with standard_promotion():
        opt_state = optimizer.init(params)
    state = TrainState(params, opt_state, carry, key, zero, zero)
    return jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), state)
