"""Random weights, inputs and carries for a cell, and which of their leaves are numbers."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxseq._types import Array, Key, PyTree
from jaxseq.cells import Cell


class Example(NamedTuple):
    """A cell's weights, a batch of inputs and an initial carry, all random."""

    params: PyTree
    xs: Array
    carry: PyTree


def is_inexact(leaf: Array) -> bool:
    """Whether there is a derivative by the leaf: a counter or a key has none."""
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def randomised(tree: PyTree, key: Key, scale: float) -> PyTree:
    """Adds noise to every inexact leaf, so that no bias is zero and no two parts are equal."""
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, max(1, len(leaves)))
    noisy = [
        leaf + scale * jax.random.normal(k, leaf.shape, leaf.dtype) if is_inexact(leaf) else leaf
        for leaf, k in zip(leaves, keys, strict=False)
    ]
    return jax.tree.unflatten(structure, noisy)


def random_example(
    cell: Cell, *, batch_shape: tuple[int, ...] = (3,), steps: int = 5, seed: int = 0
) -> tuple[PyTree, Array, PyTree]:
    """Returns random weights (no bias zero), inputs and an initial carry for a cell.

    Args:
      cell: the cell.
      batch_shape: the leading axes of inputs and carry.
      steps: T.
      seed: another seed, another example.

    Returns:
      ``(params, xs [*batch, T, I], carry)``, in the widest dtype enabled.

    Example:
      >>> import jaxseq
      >>> params, xs, carry = random_example(jaxseq.gru(2, 4), steps=7)
      >>> xs.shape, carry.h.shape
      ((3, 7, 2), (3, 4))
    """
    dtype = jnp.asarray(0.0).dtype
    keys = jax.random.split(jax.random.key(seed), 5)
    params = randomised(cell.init(keys[0], dtype), keys[1], 0.3)
    xs = jax.random.normal(keys[2], (*batch_shape, steps, cell.input_size), dtype)
    carry = randomised(cell.carry(params, batch_shape, key=keys[3]), keys[4], 0.5)
    return Example(params, xs, carry)


def split_inexact(tree: PyTree) -> tuple[list[Array], Callable[[list[Array]], PyTree]]:
    """The inexact leaves of a tree, and the function that builds the tree around others."""
    leaves, structure = jax.tree.flatten(tree)

    def build(inexact: list[Array]) -> PyTree:
        rest = iter(inexact)
        return structure.unflatten(next(rest) if is_inexact(leaf) else leaf for leaf in leaves)

    return [leaf for leaf in leaves if is_inexact(leaf)], build
