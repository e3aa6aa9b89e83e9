"""What every cell must do, one check a function."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.test_util import check_grads

from jaxseq._types import Array, PyTree
from jaxseq.cells import Cell
from jaxseq.sequence import scan, truncated_bptt
from jaxseq.testing._example import Example, is_inexact, random_example, split_inexact


def _scalar(result: tuple[PyTree, Array]) -> Array:
    """A random-weighted sum of outputs and final carry: its gradient sees every number."""
    keys = iter(jax.random.split(jax.random.key(7), 32))
    leaves = [leaf for leaf in split_inexact(result)[0] if leaf.size]
    total = sum(
        jnp.sum(leaf * jax.random.normal(next(keys), leaf.shape, leaf.dtype)) for leaf in leaves
    )
    return jnp.asarray(total)


def _differentiated(
    run: Callable[[PyTree, Array, PyTree], tuple[PyTree, Array]], example: Example
) -> tuple[tuple[PyTree, Array], tuple[PyTree, Array, list[Array]]]:
    """The result of ``run(params, xs, carry)`` and the gradients of a scalar of it.

    Those are of the weights, the inputs, and the inexact leaves of the carry.
    """
    leaves, build = split_inexact(example.carry)

    def loss(params, xs, leaves):
        result = run(params, xs, build(leaves))
        return _scalar(result), result

    differentiate = jax.jit(jax.grad(loss, argnums=(0, 1, 2), has_aux=True))
    grads, result = differentiate(example.params, example.xs, leaves)
    return result, grads


def _value_and_grads(
    cell: Cell, example: Example, **options: Any
) -> tuple[tuple[PyTree, Array], tuple[PyTree, Array, list[Array]]]:
    """The result of a scan and the gradients of a scalar of it, in one compilation."""
    return _differentiated(
        lambda params, xs, carry: scan(cell, params, xs, carry=carry, **options), example
    )


def _close(actual: PyTree, expected: PyTree, message: str) -> None:
    if jax.tree.structure(actual) != jax.tree.structure(expected):
        raise AssertionError(f"{message}: {actual} and {expected} differ in structure")
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        if not is_inexact(a):
            np.testing.assert_array_equal(a, b, err_msg=message)
            continue
        tolerance = 1e-12 if a.dtype == jnp.float64 else 2e-5
        scale = max(1.0, float(np.max(np.abs(b), initial=0.0)))
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale, err_msg=message)


def _row(tree: PyTree, row: int) -> PyTree:
    return jax.tree.map(lambda leaf: leaf[row], tree)


def carry_keeps_its_type(cell: Cell, backend: str) -> None:
    """Structure, shape and dtype of the carry are a fixed point of ``step``, in every dtype."""
    for dtype in (jnp.bfloat16, jnp.float32, jnp.asarray(0.0).dtype):

        def advance(key, dtype=dtype):
            params = cell.init(key, dtype)
            carry = cell.carry(params)
            return carry, *cell.step(params, carry, jnp.ones(cell.input_size, dtype))

        before, after, y = jax.eval_shape(advance, jax.random.key(0))
        assert jax.tree.map(str, before) == jax.tree.map(str, after), f"{before} became {after}"
        assert y.shape == (cell.output_size,), f"y has shape {y.shape}"
        assert y.dtype == dtype, f"y has dtype {y.dtype}, the weights {np.dtype(dtype)}"


def scan_is_a_python_loop(cell: Cell, backend: str) -> None:
    """A scan gives what stepping through time in Python gives."""
    params, xs, carry = random_example(cell, batch_shape=(), steps=4)
    expected, ys = carry, []
    for x in xs:
        expected, y = cell.step(params, expected, x)
        ys.append(y)
    actual = scan(cell, params, xs, carry=carry, backend=backend)
    _close(actual, (expected, jnp.stack(ys)), "scan and loop differ")


def a_sequence_may_be_cut_anywhere(cell: Cell, backend: str) -> None:
    """Two scans with the carry handed on are one scan."""
    params, xs, carry = random_example(cell)
    whole = scan(cell, params, xs, carry=carry, backend=backend)
    for cut in (0, 2, 5):
        middle, first = scan(cell, params, xs[:, :cut], carry=carry, backend=backend)
        last, second = scan(cell, params, xs[:, cut:], carry=middle, backend=backend)
        _close((last, jnp.concatenate([first, second], 1)), whole, f"cut at {cut}")


def reverse_is_flip_scan_flip(cell: Cell, backend: str) -> None:
    """A reversed scan of full rows is a scan of the flipped rows, flipped back."""
    params, xs, carry = random_example(cell)
    flipped, ys = scan(cell, params, xs[:, ::-1], carry=carry, backend=backend)
    backward = scan(cell, params, xs, carry=carry, reverse=True, backend=backend)
    _close(backward, (flipped, ys[:, ::-1]), "reverse and flip differ")


def padding_never_matters(cell: Cell, backend: str) -> None:
    """Rows padded with NaN give what each gives alone: outputs, carry and every gradient."""
    example = Example(*random_example(cell, batch_shape=(4,), steps=5))
    lengths = np.array([5, 0, 1, 3])
    valid = np.arange(5)[None, :] < lengths[:, None]
    poisoned = example._replace(xs=jnp.where(valid[..., None], example.xs, jnp.nan))
    for reverse in (False, True):
        options = {"lengths": jnp.asarray(lengths), "reverse": reverse, "backend": backend}
        (final, ys), grads = _value_and_grads(cell, poisoned, **options)
        assert not np.any(ys[~valid]), "an output in the padding is not 0"
        assert not np.any(grads[1][~valid]), "an input in the padding has a gradient"
        _close(_row((final, grads[2]), 1)[0], _row(example.carry, 1), "length 0 moved the carry")

        def alone(params, xs, carry, reverse=reverse):
            rows = [
                scan(
                    cell,
                    params,
                    xs[row, :length],
                    carry=_row(carry, row),
                    reverse=reverse,
                    backend=backend,
                )
                for row, length in enumerate(lengths)
            ]
            finals = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(row[0] for row in rows))
            outputs = [jnp.pad(row[1], ((0, 5 - len(row[1])), (0, 0))) for row in rows]
            return finals, jnp.stack(outputs)

        result, apart = _differentiated(alone, example)
        _close((final, ys), result, "a padded row differs from the row alone")
        _close(grads, apart, "a gradient of a padded batch differs from the rows alone")


def resets_are_separate_sequences(cell: Cell, backend: str) -> None:
    """Pieces marked by resets give what they give apart, in both directions, padded or not.

    What is no number may run on: a counter of steps in a later piece begins where a reset puts it,
    given the carry after the earlier piece. The numbers forget that carry.
    """
    params, xs, carry = random_example(cell, batch_shape=(1,), steps=6)
    reset = functools.partial(jax.vmap(cell.reset, in_axes=(None, 0)), params)
    forgotten, _ = split_inexact(reset(carry))
    resets = jnp.array([[False, False, True, False, False, True]])
    poisoned = xs.at[:, 5].set(jnp.nan)
    for reverse in (False, True):
        result = scan(
            cell,
            params,
            poisoned,
            carry=carry,
            lengths=jnp.array([5]),
            resets=resets,
            reverse=reverse,
            backend=backend,
        )
        # The piece that is run first begins with the carry given, the other one afresh.
        pieces = (xs[:, 2:5], xs[:, :2]) if reverse else (xs[:, :2], xs[:, 2:5])
        options = {"reverse": reverse, "backend": backend}
        middle, first = scan(cell, params, pieces[0], carry=carry, **options)
        fresh = split_inexact(reset(middle))[1](forgotten)
        last, second = scan(cell, params, pieces[1], carry=fresh, **options)
        outputs = jnp.concatenate([second, first] if reverse else [first, second], 1)
        outputs = jnp.pad(outputs, ((0, 0), (0, 1), (0, 0)))
        _close(result[1], outputs, "reset pieces differ from pieces apart")
        _close(result[0], last, "the final carry is another piece's")


def batch_axes_are_rows(cell: Cell, backend: str) -> None:
    """Two batch axes give what one gives, and a vmapped scan too, with lengths and resets."""
    params, xs, carry = random_example(cell, batch_shape=(2, 3), steps=4)
    lengths = jnp.array([[4, 0, 2], [1, 3, 4]])
    resets = jax.random.bernoulli(jax.random.key(1), 0.3, (2, 3, 4))

    def run(xs, carry, lengths, resets):
        return scan(cell, params, xs, carry=carry, lengths=lengths, resets=resets, backend=backend)

    rows = jax.tree.map(lambda leaf: leaf.reshape(6, *leaf.shape[2:]), (xs, carry, lengths, resets))
    expected = jax.tree.map(lambda leaf: leaf.reshape(2, 3, *leaf.shape[1:]), run(*rows))
    _close(run(xs, carry, lengths, resets), expected, "two batch axes differ from one")
    _close(jax.vmap(run)(xs, carry, lengths, resets), expected, "vmap differs from a batch axis")


def parameters_may_be_mapped(cell: Cell, backend: str) -> None:
    """A scan vmapped over parameters is an ensemble."""
    examples = [random_example(cell, batch_shape=(2,), steps=3, seed=seed) for seed in (0, 1)]
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(e[0] for e in examples))
    _, xs, carry = examples[0]
    mapped = jax.vmap(lambda p: scan(cell, p, xs, carry=carry, backend=backend))(params)
    for member, example in enumerate(examples):
        alone = scan(cell, example[0], xs, carry=carry, backend=backend)
        _close(_row(mapped, member), alone, "an ensemble's member differs from the member alone")


def remat_and_unroll_change_no_value(cell: Cell, backend: str) -> None:
    """``remat`` and ``unroll`` change neither values nor gradients, and jit does not either."""
    example = Example(*random_example(cell, batch_shape=(2,), steps=5))
    options = {"lengths": jnp.array([5, 3]), "backend": backend}
    variants = {False: ({"remat": 1}, {"remat": 3}), True: ({"remat": "sqrt", "unroll": 2},)}
    for reverse, speeds in variants.items():
        expected = _value_and_grads(cell, example, reverse=reverse, **options)
        for speed in speeds:
            actual = _value_and_grads(cell, example, reverse=reverse, **options, **speed)
            _close(actual, expected, f"{speed} changed a value")
        eager = scan(cell, *example[:2], carry=example.carry, reverse=reverse, **options)
        _close(eager, expected[0], "jit changed a value")


def every_weight_has_a_gradient(cell: Cell, backend: str) -> None:
    """No weight is left out of the graph, and no gradient is NaN."""
    _, grads = _value_and_grads(cell, Example(*random_example(cell)), backend=backend)
    for path, leaf in jax.tree.leaves_with_path(grads[0]):
        assert np.all(np.isfinite(leaf)), f"{jax.tree_util.keystr(path)} is not finite"
        assert np.any(leaf != 0), f"{jax.tree_util.keystr(path)} has no gradient"


def gradients_are_derivatives(cell: Cell, backend: str) -> None:
    """Forward and reverse mode agree with finite differences."""
    params, xs, carry = random_example(cell, batch_shape=(2,), steps=3)
    leaves, build = split_inexact(carry)

    @jax.jit
    def run(params, xs, leaves):
        return split_inexact(scan(cell, params, xs, carry=build(leaves), backend=backend))[0]

    eps = 1e-6 if xs.dtype == jnp.float64 else 1e-2
    tolerance = 1e-5 if xs.dtype == jnp.float64 else 5e-2
    check_grads(run, (params, xs, leaves), order=1, eps=eps, atol=tolerance, rtol=tolerance)


def maps_compose_to_the_step(cell: Cell, backend: str) -> None:
    """Where a cell has maps, input, recurrent, update and output make up its step."""
    if cell.maps is None:
        return
    maps = cell.maps
    params, xs, carry = random_example(cell, batch_shape=(), steps=1)

    def composed(params, x, carry):
        z_x, z_h = maps.input(params, x), maps.recurrent(params, carry.h)
        after = maps.output(params, maps.update(z_x, z_h, carry, *maps.weights(params)))
        return after, after.h

    def stepped(params, x, carry):
        return cell.step(params, carry, x)

    actual, expected = (
        _differentiated(function, Example(params, xs[0], carry)) for function in (composed, stepped)
    )
    _close(actual, expected, "the maps are not the step")


def gates_are_the_update(cell: Cell, backend: str) -> None:
    """Where a cell has maps, its gates, and what it says to read as a sum, are the update's."""
    if cell.maps is None:
        return
    maps, gates = cell.maps, cell.maps.gates
    params, xs, carry = random_example(cell, batch_shape=(), steps=1)
    z_x, z_h = maps.input(params, xs[0]), maps.recurrent(params, carry.h)
    weights = maps.weights(params)
    after = maps.update(z_x, z_h, carry, *weights)
    summed = jnp.arange(z_x.size) < round(maps.additive * z_x.size)
    moved = jnp.where(summed, 0, z_x), jnp.where(summed, z_x + z_h, z_h)
    same = maps.update(*moved, carry, *weights)
    _close(same, after, "the update reads more of the maps than their sum")
    if gates is None:
        return
    d_z = jnp.cos(z_x), jnp.sin(z_h)
    values, tangent = jax.jvp(gates.values, (z_x, z_h), d_z)
    _close(gates.update(values, carry, *weights), after, "the gates are not the update")
    _close(gates.tangent(values, *d_z), tangent, "the tangent is not that of the gates")


def a_wide_window_truncates_nothing(cell: Cell, backend: str) -> None:
    """Truncated BPTT has the values of a scan, and its gradient where the window covers all."""
    example = Example(*random_example(cell, batch_shape=(2,), steps=5))
    lengths = jnp.array([5, 2])
    expected = _value_and_grads(cell, example, lengths=lengths, backend=backend)
    for window in (2, 5):

        def windows(params, xs, carry, window=window):
            return truncated_bptt(
                cell, params, xs, window=window, carry=carry, lengths=lengths, backend=backend
            )

        result, grads = _differentiated(windows, example)
        _close(result, expected[0], "truncation changed a value")
        if window == 5:
            _close(grads, expected[1], "a window over everything truncated the gradient")


def no_steps_leave_the_carry(cell: Cell, backend: str) -> None:
    """A sequence of no steps returns the initial carry and no outputs."""
    params, xs, carry = random_example(cell, steps=0)
    final, ys = scan(cell, params, xs, carry=carry, backend=backend)
    _close(final, carry, "no steps moved the carry")
    assert ys.shape == (3, 0, cell.output_size), f"ys has shape {ys.shape}"


CHECKS: tuple[Callable[[Cell, str], None], ...] = (
    carry_keeps_its_type,
    scan_is_a_python_loop,
    a_sequence_may_be_cut_anywhere,
    reverse_is_flip_scan_flip,
    padding_never_matters,
    resets_are_separate_sequences,
    batch_axes_are_rows,
    parameters_may_be_mapped,
    remat_and_unroll_change_no_value,
    every_weight_has_a_gradient,
    gradients_are_derivatives,
    maps_compose_to_the_step,
    gates_are_the_update,
    a_wide_window_truncates_nothing,
    no_steps_leave_the_carry,
)
"""Every check of the contract: ``check(cell, backend)`` raises AssertionError."""


def check_cell(cell: Cell, *, backend: str = "auto") -> None:
    """Runs every check of the contract on a cell, in the precision that is enabled.

    In float64 (``jax.enable_x64``) numbers must agree to 1e-12, in float32 to 2e-5.

    Args:
      cell: yours.
      backend: of :func:`jaxseq.scan`.

    Raises:
      AssertionError: naming the check that failed, and what differed.

    Example:
      >>> import jaxseq
      >>> from jaxseq import testing
      >>> testing.check_cell(jaxseq.elman(1, 2))
      >>> testing.check_cell(jaxseq.elman(1, 2)._replace(output_size=3))
      Traceback (most recent call last):
        ...
      AssertionError: carry_keeps_its_type: y has shape (2,)
    """
    for check in CHECKS:
        try:
            check(cell, backend)
        except AssertionError as failure:
            raise AssertionError(f"{check.__name__}: {failure}") from failure
