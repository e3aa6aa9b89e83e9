"""What may be given to a scan, and what each refusal says."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import example

import jaxseq
from jaxseq.cells import ElmanCarry
from jaxseq.sequence import _arguments

CELL = jaxseq.elman(3, 4)
PARAMS, XS, CARRY = example(CELL, batch_shape=(2,), steps=5)
HINT = "\n  Hint: it is what "
PARAMS_HINT = HINT + "elman: cell.init(key) returns."
CARRY_HINT = HINT + "cell.carry(params, batch_shape=(2,)) returns."
TREE = "PyTreeDef(CustomNode(namedtuple[{}], [{}]))"
ELMAN_TREE = TREE.format("ElmanParams", "*, *, *, *")


def refused(kind, message, *, cell=CELL, params=PARAMS, xs=XS, **options):
    """The message comes eagerly, and in the same words where a jit hides the values of ``xs``."""
    with pytest.raises(kind, match=re.escape(message)):
        jaxseq.scan(cell, params, xs, **options)
    with pytest.raises(kind, match=re.escape(message)):
        jax.eval_shape(lambda xs: jaxseq.scan(cell, params, xs, **options), xs)


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((2, 5, 4), ""),
        ((2, 3, 5), ""),
        ((3,), "\n  Hint: one step of one example is cell.step."),
        ((), "\n  Hint: one step of one example is cell.step."),
    ],
)
def test_xs_of_another_shape(shape, hint, untyped):
    message = (
        "scan: `xs` must have shape (*batch, T, input_size) with input_size = 3, "
        f"but it has shape {shape}.{hint}"
    )
    refused(ValueError, message, xs=jnp.ones(shape))


@pytest.mark.parametrize(
    ("dtype", "hint"),
    [
        (jnp.int32, "embed or one-hot symbols first"),
        (jnp.bfloat16, "xs.astype('float32') before the scan"),
    ],
)
@pytest.mark.parametrize("backend", ["fused", "reference"])
def test_xs_of_another_dtype(backend, dtype, hint, untyped):
    message = (
        "elman_step: `x` must have the dtype of the weights, float32, "
        f"but it has {jnp.dtype(dtype)}.\n  Hint: {hint}."
    )
    refused(TypeError, message, xs=XS.astype(dtype), backend=backend)


def test_something_else_than_a_cell(untyped):
    message = "scan: `cell` must be a jaxseq.Cell, but it is 'elman'."
    refused(TypeError, message, cell="elman")


def test_params_of_another_kind_of_cell():
    params, _, _ = example(jaxseq.gru(3, 4))
    message = (
        f"scan: `params` must have the structure {ELMAN_TREE}, "
        f"but it has {TREE.format('GRUParams', '*, *, *, *')}.{PARAMS_HINT}"
    )
    refused(TypeError, message, params=params)


@pytest.mark.parametrize("params", [tuple(PARAMS), None], ids=["tuple", "None"])
def test_params_of_no_cell(params):
    message = (
        f"scan: `params` must have the structure {ELMAN_TREE}, "
        f"but it has {jax.tree.structure(params)}.{PARAMS_HINT}"
    )
    refused(TypeError, message, params=params)


def test_params_of_a_cell_of_another_size():
    params, _, _ = example(jaxseq.elman(3, 5))
    message = "scan: `params.w_ih` must have shape (4, 3), but it has shape (5, 3)." + PARAMS_HINT
    refused(ValueError, message, params=params)


def test_params_inside_a_stack_are_named_by_their_place():
    cell = jaxseq.stack([CELL, jaxseq.elman(4, 4)])
    wrong = PARAMS._replace(b_hh=jnp.ones(5))
    message = (
        "scan: `params[1].w_ih` must have shape (4, 4), but it has shape (4, 3)."
        + HINT
        + "stack(elman, elman): cell.init(key) returns."
    )
    refused(ValueError, message, cell=cell, params=(PARAMS, wrong))


def test_a_carry_of_another_structure():
    message = (
        f"scan: `carry` must have the structure {TREE.format('ElmanCarry', '*')}, "
        f"but it has PyTreeDef(*).{CARRY_HINT}"
    )
    refused(TypeError, message, carry=CARRY.h)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 5), (2, 1, 4)])
def test_a_carry_of_another_shape(shape):
    message = f"scan: `carry.h` must have shape (2, 4), but it has shape {shape}.{CARRY_HINT}"
    refused(ValueError, message, carry=ElmanCarry(jnp.zeros(shape)))


def test_a_carry_of_another_dtype():
    message = f"scan: `carry.h` must have dtype float32, but it has bfloat16.{CARRY_HINT}"
    refused(TypeError, message, carry=ElmanCarry(CARRY.h.astype(jnp.bfloat16)))


@pytest.mark.parametrize("lengths", [np.ones(2, np.float32), np.ones(2, bool)], ids=["f", "b"])
def test_lengths_that_are_no_integers(lengths, untyped):
    message = f"scan: `lengths` must be integers, but they are {lengths.dtype}."
    refused(TypeError, message, lengths=lengths)


@pytest.mark.parametrize("shape", [(), (3,), (2, 1)])
def test_lengths_of_another_shape(shape, untyped):
    message = (
        "scan: `lengths` must have shape batch = (2,), one a row of `xs`, "
        f"but it has shape {shape}."
    )
    refused(ValueError, message, lengths=np.ones(shape, int))


@pytest.mark.parametrize("lengths", [[6, 1], [-1, 5], [2**40, 0]], ids=str)
def test_lengths_outside_the_sequence_where_they_can_be_seen(lengths):
    message = (
        "scan: `lengths` must lie in [0, T] = [0, 5], "
        f"but they range from {min(lengths)} to {max(lengths)}."
    )
    refused(ValueError, message, lengths=np.array(lengths))


def test_lengths_outside_the_sequence_are_clamped_where_they_are_hidden():
    scan = jax.jit(lambda lengths: jaxseq.scan(CELL, PARAMS, XS, carry=CARRY, lengths=lengths))
    actual = scan(jnp.array([6, -1]))
    expected = scan(jnp.array([5, 0]))
    jax.tree.map(np.testing.assert_array_equal, actual, expected)
    np.testing.assert_array_equal(actual[0].h[1], CARRY.h[1])
    assert not np.any(actual[1][1])


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint32", "int64"])
def test_lengths_of_any_integer_dtype_are_themselves(dtype, x64):
    """300 is 44 in eight bits: a clamp to T in the dtype of ``lengths`` would cut at 44."""
    lengths = np.array([100, 0], dtype)
    for checked in (
        _arguments.check_lengths("f", lengths, (2,), 300),
        jax.jit(lambda n: _arguments.check_lengths("f", n, (2,), 300))(lengths),
    ):
        assert checked.dtype == jnp.int32 and checked.tolist() == [100, 0]


def test_huge_lengths_are_clamped_before_they_are_narrowed(x64):
    clamp = jax.jit(lambda n: _arguments.check_lengths("f", n, (2,), 5))
    assert clamp(jnp.array([2**32 + 1, -(2**32) + 1])).tolist() == [5, 0]


def test_resets_that_are_not_boolean(untyped):
    message = (
        "scan: `resets` must be boolean, but it is int32.\n"
        "  Hint: resets[..., t] is true where a new piece begins at step t."
    )
    refused(TypeError, message, resets=jnp.zeros((2, 5), jnp.int32))


@pytest.mark.parametrize("shape", [(5,), (2, 4), (2, 5, 1)])
def test_resets_of_another_shape(shape, untyped):
    message = f"scan: `resets` must have shape (*batch, T) = (2, 5), but it has shape {shape}."
    refused(ValueError, message, resets=jnp.zeros(shape, bool))


@pytest.mark.parametrize("backend", ["fast", "AUTO", None])
def test_a_backend_that_does_not_exist(backend, untyped):
    message = (
        "scan: `backend` must be one of 'auto', 'associative', 'fused', 'native', 'reference', "
        f"but it is {backend!r}."
    )
    refused(ValueError, message, backend=backend)


@pytest.mark.parametrize("remat", [0, -2, True, 2.5, "all"])
def test_a_remat_that_is_none(remat, untyped):
    message = (
        f'scan: `remat` must be None, "sqrt" or a positive number of steps, but it is {remat!r}.'
    )
    refused(ValueError, message, remat=remat)


@pytest.mark.parametrize("unroll", [0, -1, True, 1.5])
def test_an_unroll_that_is_none(unroll, untyped):
    refused(
        ValueError,
        f"scan: `unroll` must be a positive integer, but it is {unroll!r}.",
        unroll=unroll,
    )


@pytest.mark.parametrize(
    ("remat", "steps", "window"),
    [(None, 9, None), (4, 9, 4), (40, 9, 40), ("sqrt", 9, 3), ("sqrt", 1000, 32), ("sqrt", 0, 1)],
)
def test_remat_is_a_window(remat, steps, window):
    assert _arguments.remat_window("f", remat, steps) == window


def test_numpy_and_lists_are_as_good_as_arrays(untyped):
    lengths, resets = [5, 2], [[False, True, False, False, True]] * 2
    expected = jaxseq.scan(
        CELL, PARAMS, XS, carry=CARRY, lengths=jnp.array(lengths), resets=jnp.array(resets)
    )
    params, xs, carry = jax.tree.map(np.asarray, (PARAMS, XS, CARRY))
    for actual in (
        jaxseq.scan(
            CELL, params, xs, carry=carry, lengths=np.array(lengths), resets=np.array(resets)
        ),
        jaxseq.scan(CELL, params, xs.tolist(), carry=carry, lengths=lengths, resets=resets),
    ):
        jax.tree.map(np.testing.assert_array_equal, actual, expected)


def test_a_row_without_batch_axes_may_have_a_length(untyped):
    expected = jaxseq.scan(CELL, PARAMS, XS[0], lengths=jnp.array(3))
    jax.tree.map(
        np.testing.assert_array_equal, jaxseq.scan(CELL, PARAMS, XS[0], lengths=3), expected
    )


def test_no_rows_are_no_trouble():
    carry, ys = jaxseq.scan(CELL, PARAMS, XS[:0], lengths=jnp.zeros(0, int))
    assert carry.h.shape == (0, 4) and ys.shape == (0, 5, 4)
