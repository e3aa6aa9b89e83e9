"""What a chain would run on, without running it."""

import math
from typing import NamedTuple

import jax
from jaxtyping import Float

from jaxseq._types import Array, ArrayLike, Lengths, PyTree
from jaxseq.structured._arguments import check_backend, problem
from jaxseq.structured._backend import decide
from jaxseq.structured._blocks import block_size
from jaxseq.structured._partition import log_partition
from jaxseq.structured._scores import Scores
from jaxseq.structured._semiring import LOG


class Plan(NamedTuple):
    """What the sum over all paths of a chain, with its gradient, would run on.

    Attributes:
      backend: ``"sequential"``, ``"associative"`` or ``"reference"``.
      why: the reason.
      loop_steps: how many steps follow one another in a pass: of the loops, and of the tree.
      flops: of a forward pass's products, two for each multiplication and addition.
      messages_bytes: of the messages and the products of blocks that one pass makes.
      kept_bytes: what the backward pass finds kept: the gradient itself, of transitions that do
        not vary in time.

    Example:
      >>> import jax.numpy as jnp
      >>> plan(jnp.zeros((1, 48_502, 2)), jnp.zeros((2, 2))).backend
      'associative'
    """

    backend: str
    why: str
    loop_steps: int
    flops: int
    messages_bytes: int
    kept_bytes: int

    def __str__(self) -> str:
        """Returns the plan as two lines to read."""
        return (
            f"backend {self.backend}: {self.why}\n"
            f"  {self.loop_steps} steps after one another, "
            f"{self.flops / 1e6:.3g} MFLOP in products, "
            f"{self.messages_bytes / 1e6:.3g} MB of messages, {self.kept_bytes / 1e6:.3g} MB kept"
        )


def plan(
    emissions: Float[ArrayLike, "*batch T K"],
    transitions: Float[ArrayLike, "... K K"],
    *,
    lengths: Lengths | None = None,
    backend: str = "auto",
) -> Plan:
    """Says what a sum over all paths and its gradient would run on: nothing is run.

    So does the posterior. On a CPU the best path goes step by step, and so does a sum that is
    wanted without its gradient, which then keeps no message. In one case more is done than the plan
    says: where some transitions are forbidden, and some state comes so close to impossible that its
    probability falls below the smallest float, the messages are made again in logarithms, K * K
    exponentials a step. That is decided when the values are there, for the batch at once.

    Args:
      emissions: ``[*batch, T, K]``, or ``log_obs``.
      transitions: ``[K, K]``, ``[*batch, K, K]`` or ``[*batch, T-1, K, K]``.
      lengths: ``[*batch]``, or None.
      backend: as in :func:`jaxseq.structured.hmm.log_likelihood`.

    Returns:
      The plan; ``print`` it.

    Raises:
      ValueError: if a shape is wrong, or the backend unknown.
      TypeError: if a dtype is wrong.

    Example:
      >>> import jax.numpy as jnp
      >>> print(plan(jnp.zeros((32, 200, 20)), jnp.zeros((20, 20))))
      backend sequential: T = 200 and B * K = 640, on a CPU
        199 steps after one another, 5.09 MFLOP in products, 0.512 MB of messages, 0.563 MB kept
    """
    check_backend("structured.plan", backend)
    names = ("emissions", "transitions", "initial", "final")
    p = problem("structured.plan", names, emissions, transitions, None, None, lengths)
    steps, rows, size = p.scores.sizes
    chosen, why = decide(backend, steps, rows, size, LOG, jax.default_backend())
    width = p.scores.emission.dtype.itemsize
    vector = rows * size
    loop_steps, products, messages = steps - 1, (steps - 1) * vector * size, steps * vector
    if chosen == "associative" and steps > 1:
        length = block_size(steps - 1)
        blocks = -(-(steps - 1) // length)
        # Along the blocks twice, once with matrices; and up and down the tree over them.
        loop_steps = 2 * length + 2 * math.ceil(math.log2(max(blocks, 1)))
        products = products * (1 + size) + 2 * blocks * vector * size * size
        messages += 2 * blocks * vector * size
    return Plan(
        chosen, why, loop_steps, 2 * products, width * messages, _kept_bytes(chosen, p.scores)
    )


def _kept_bytes(backend: str, scores: Scores) -> int:
    """Returns the bytes of what JAX keeps between the passes."""

    def vjp(scores: Scores) -> PyTree:
        def of(transition: Array, emission: Array) -> Array:
            moved = scores._replace(transition=transition, emission=emission)
            return log_partition(backend, moved)

        return jax.vjp(of, scores.transition, scores.emission)[1]

    kept = jax.tree.leaves(jax.eval_shape(vjp, scores))
    return sum(leaf.size * leaf.dtype.itemsize for leaf in kept)
