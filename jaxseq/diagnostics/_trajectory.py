"""A trajectory and its Jacobians: how a step stretches what came before it."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._arrays import accumulator
from jaxseq._checks import error
from jaxseq._types import Array, Inputs, Key, Lengths, PyTree
from jaxseq.cells import Cell
from jaxseq.diagnostics._arguments import check_cell, check_count
from jaxseq.sequence import scan


def states(
    cell: Cell,
    params: PyTree,
    xs: Inputs,
    *,
    carry: PyTree = None,
    lengths: Lengths | None = None,
) -> PyTree:
    """Returns the state after each step, where a scan returns the outputs alone.

    Args:
      cell: a cell whose carry is of floating-point numbers.
      params: its weights.
      xs: the inputs, ``[*batch, T, I]``.
      carry: as in :func:`jaxseq.scan`.
      lengths: as in :func:`jaxseq.scan`.

    Returns:
      Like the carry, each leaf ``[*batch, T, ...]``; 0 in the padding.

    Raises:
      ValueError: if the carry holds anything else, such as the keys of zoneout.
      TypeError: if ``cell`` is not a cell.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.lstm(2, 3)
      >>> params = cell.init(jax.random.key(0))
      >>> found = states(cell, params, jnp.ones((4, 5, 2)))
      >>> found.h.shape, found.c.shape
      ((4, 5, 3), (4, 5, 3))
    """
    check_cell("states", cell)
    like = _like("states", cell, params)
    _, flat = scan(
        _recording(cell, sum(leaf.size for leaf in jax.tree.leaves(like))),
        params,
        xs,
        carry=carry,
        lengths=lengths,
        backend="reference",
    )
    return _unflatten(like, flat)


def before(
    cell: Cell, params: PyTree, after: PyTree, batch: tuple[int, ...], carry: PyTree = None
) -> PyTree:
    """Returns the state before each step.

    Args:
      cell: the cell.
      params: its weights.
      after: the states after each step, from :func:`states`.
      batch: the batch axes.
      carry: the state before the first step; None for the initial one.

    Returns:
      Like ``after``.
    """
    first = cell.carry(params, batch) if carry is None else carry

    def shifted(one: Array, more: Array) -> Array:
        return jnp.concatenate([jnp.asarray(one)[..., None, :], more[..., :-1, :]], axis=-2)

    return jax.tree.map(shifted, first, after)


def jacobian_norms(
    cell: Cell,
    params: PyTree,
    xs: Inputs,
    *,
    key: Key,
    carry: PyTree = None,
    lengths: Lengths | None = None,
    iterations: int = 30,
) -> Float[Array, "*batch T"]:
    r"""Returns by how much each step stretches at most what came before: its Jacobian's norm.

    .. math:: \left\lVert \frac{d \, \mathit{carry}_t}{d \, \mathit{carry}_{t-1}} \right\rVert_2

    The largest singular value, by power iteration: products of the Jacobian and of its transpose
    with vectors, and never the matrix. The carry is one vector; that of an LSTM is h and c.

    Args:
      cell: a cell whose carry is of floating-point numbers.
      params: its weights.
      xs: the inputs, ``[*batch, T, I]``.
      key: for the vectors that the iteration begins with.
      carry: as in :func:`jaxseq.scan`.
      lengths: as in :func:`jaxseq.scan`.
      iterations: pairs of products; more where two singular values are close.

    Returns:
      ``[*batch, T]``; 0 in the padding. Never above the norm, and as close to it as the iteration.

    Raises:
      ValueError: if ``iterations`` is not positive, or as in :func:`states`.
      TypeError: if ``cell`` is not a cell.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> from jaxseq import diagnostics
      >>> cell = jaxseq.elman(1, 2, activation=lambda z: z)
      >>> params = cell.init(jax.random.key(0))._replace(w_hh=jnp.diag(jnp.array([0.5, 2.0])))
      >>> norms = diagnostics.jacobian_norms(cell, params, jnp.ones((3, 1)), key=jax.random.key(1))
      >>> norms.round(3).tolist()
      [2.0, 2.0, 2.0]

    References:
      Pascanu, Mikolov and Bengio, "On the Difficulty of Training Recurrent Neural Networks", 2013.
    """
    where = "jacobian_norms"
    check_count(where, "iterations", iterations)
    xs = jnp.asarray(xs)
    after = states(cell, params, xs, carry=carry, lengths=lengths)
    earlier = before(cell, params, after, xs.shape[:-2], carry)

    def norm(carry: PyTree, x: Array, key: Key) -> Array:
        def step(carry: PyTree) -> PyTree:
            return cell.step(params, carry, x)[0]

        _, forward = jax.linearize(step, carry)
        backward = jax.linear_transpose(forward, carry)

        def body(_: Any, vector: PyTree) -> PyTree:
            return _unit(backward(forward(vector))[0])[0]

        vector = jax.lax.fori_loop(0, iterations, body, _draw(key, carry))
        return _unit(forward(vector))[1]

    keys = jax.random.split(key, xs.shape[:-1])
    for _ in range(xs.ndim - 1):
        norm = jax.vmap(norm)
    found = norm(earlier, xs, keys)
    if lengths is None:
        return found
    steps = jax.lax.broadcasted_iota(jnp.int32, found.shape, found.ndim - 1)
    valid = steps < jnp.asarray(lengths, jnp.int32)[..., None]
    return jnp.where(valid, found, 0.0)


def lyapunov_exponents(
    cell: Cell,
    params: PyTree,
    xs: Inputs,
    *,
    key: Key,
    number: int = 1,
    carry: PyTree = None,
    lengths: Lengths | None = None,
) -> Float[Array, "*batch K"]:
    r"""Returns the leading Lyapunov exponents along a trajectory: growth by step, in nats.

    .. math:: \lambda_k = \frac 1 T \sum_t \ln r^{(t)}_{kk}, \quad
        Q_t R_t = \frac{d \, \mathit{carry}_t}{d \, \mathit{carry}_{t-1}} \, Q_{t-1}

    Below 0 a small change of the state dies out, and so does the gradient on its way back; above 0
    both explode. Only products of Jacobians with vectors are formed.

    Args:
      cell: a cell whose carry is of floating-point numbers.
      params: its weights.
      xs: the inputs, ``[*batch, T, I]``; the estimate is of these, and the longer the better.
      key: for the directions that the product begins with.
      number: K, how many exponents.
      carry: as in :func:`jaxseq.scan`.
      lengths: as in :func:`jaxseq.scan`.

    Returns:
      ``[*batch, K]``, the greatest first in the limit; 0 for a row of no steps.

    Raises:
      ValueError: if ``number`` is not between 1 and the size of the state, or as in :func:`states`.
      TypeError: if ``cell`` is not a cell.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> from jaxseq import diagnostics
      >>> cell = jaxseq.elman(1, 2, activation=lambda z: z)
      >>> params = cell.init(jax.random.key(0))._replace(w_hh=jnp.diag(jnp.array([0.5, 2.0])))
      >>> found = diagnostics.lyapunov_exponents(
      ...     cell, params, jnp.ones((400, 1)), number=2, key=jax.random.key(1))
      >>> [round(float(one), 2) for one in found]  # ln 2 and ln 0.5
      [0.69, -0.69]

    References:
      Benettin et al., "Lyapunov Characteristic Exponents for Smooth Dynamical Systems", Meccanica
      15, 1980; Engelken, Wolf and Abbott, "Lyapunov Spectra of Chaotic Recurrent Neural Networks",
      2020.
    """
    where = "lyapunov_exponents"
    check_cell(where, cell)
    like = _like(where, cell, params)
    size = sum(leaf.size for leaf in jax.tree.leaves(like))
    check_count(where, "number", number, size)
    xs = jnp.asarray(xs)
    # The trajectory is computed once, with all the checks of a scan, and read as the states before.
    after = states(cell, params, xs, carry=carry, lengths=lengths)
    earlier = before(cell, params, after, xs.shape[:-2], carry)
    steps = xs.shape[-2]
    count = jnp.asarray(steps if lengths is None else lengths, jnp.int32)
    count = jnp.broadcast_to(count, xs.shape[:-2])

    def along(earlier: PyTree, xs: Array, count: Array, key: Key) -> Array:
        dtype = accumulator(jnp.result_type(*(leaf.dtype for leaf in jax.tree.leaves(like))))

        def body(basis: Array, inputs: Any) -> tuple[Array, Array]:
            carry, x, valid = inputs

            def push(vector: Array) -> Array:
                tangent = _unflatten(like, vector)
                moved = jax.jvp(lambda c: cell.step(params, c, x)[0], (carry,), (tangent,))[1]
                return _flatten(moved).astype(dtype)

            turned, stretched = jnp.linalg.qr(jax.vmap(push, in_axes=1, out_axes=1)(basis))
            growth = jnp.log(jnp.abs(jnp.diagonal(stretched)))
            return jnp.where(valid, turned, basis), jnp.where(valid, growth, 0.0)

        start = jnp.linalg.qr(jax.random.normal(key, (size, number), dtype))[0]
        valid = jnp.arange(steps, dtype=jnp.int32) < count
        _, growths = jax.lax.scan(body, start, (earlier, xs, valid))
        return growths.sum(0) / jnp.maximum(count, 1).astype(dtype)

    keys = jax.random.split(key, xs.shape[:-2])
    for _ in range(xs.ndim - 2):
        along = jax.vmap(along)
    return along(earlier, xs, count, keys)


# ------------------------------------------------------------------------------- what they share


@functools.cache
def _recording(cell: Cell, size: int) -> Cell:
    """Returns the cell whose output is its whole state, as one vector."""

    def step(params: PyTree, carry: PyTree, x: Array) -> tuple[PyTree, Array]:
        after, _ = cell.step(params, carry, x)
        return after, _flatten(after)

    return cell._replace(step=step, output_size=size, maps=None, unfold=None, linear=None)


def _like(where: str, cell: Cell, params: PyTree) -> PyTree:
    """Returns shapes and dtypes of the state of one example."""
    like = jax.eval_shape(lambda params: cell.carry(params), params)
    if not all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(like)):
        raise error(
            where,
            f"the state of {cell.name} holds more than floating-point numbers",
            hint="look at the cell inside, without what draws at random",
        )
    return like


def _flatten(carry: PyTree) -> Array:
    leaves = [leaf.reshape(-1) for leaf in jax.tree.leaves(carry)]
    dtype = functools.reduce(jnp.promote_types, (leaf.dtype for leaf in leaves))
    return jnp.concatenate([leaf.astype(dtype) for leaf in leaves])


def _unflatten(like: PyTree, flat: Array) -> PyTree:
    """Returns the last axis taken apart into a state."""
    leaves, structure = jax.tree.flatten(like)
    found, at = [], 0
    for leaf in leaves:
        piece = flat[..., at : at + leaf.size].reshape(*flat.shape[:-1], *leaf.shape)
        found.append(piece.astype(leaf.dtype))
        at += leaf.size
    return jax.tree.unflatten(structure, found)


def _draw(key: Key, like: PyTree) -> PyTree:
    leaves, structure = jax.tree.flatten(like)
    keys = jax.random.split(key, len(leaves))
    drawn = [
        jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, drawn)


def _unit(vector: PyTree) -> tuple[PyTree, Array]:
    """Returns a vector of length 1 and the length that it had; nothing stays nothing."""
    flat = _flatten(vector)
    length = jnp.sqrt(jnp.sum(flat * flat))
    scale = 1 / jnp.where(length > 0, length, 1)
    return jax.tree.map(lambda leaf: leaf * scale.astype(leaf.dtype), vector), length
