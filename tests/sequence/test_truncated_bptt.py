"""Truncated back-propagation: the values of a scan, the gradients of its windows."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import example

import jaxseq

CELL = jaxseq.gru(2, 3)
PARAMS, XS, CARRY = example(CELL, batch_shape=(2,), steps=7)
LENGTHS = jnp.array([7, 4])
RESETS = jnp.zeros((2, 7), bool).at[0, 4].set(True).at[1, 1].set(True)


def by_hand(params, xs, carry, *, window, lengths, resets):
    """Windows in Python, each a scan that begins where the gradient ends."""
    outputs = []
    for begin in range(0, xs.shape[1], window):
        piece = slice(begin, begin + window)
        if begin:  # a row that has ended is not parted from its end
            going = (lengths > begin)[:, None]
            carry = jax.tree.map(
                lambda leaf, going=going: jnp.where(going, jax.lax.stop_gradient(leaf), leaf), carry
            )
        carry, ys = jaxseq.scan(
            CELL,
            params,
            xs[:, piece],
            carry=carry,
            lengths=jnp.clip(lengths - begin, 0, xs[:, piece].shape[1]),
            resets=resets[:, piece],
        )
        outputs.append(ys)
    return carry, jnp.concatenate(outputs, 1)


def scalar(result):
    carry, ys = result
    return jnp.sum(jnp.sin(ys * jnp.arange(ys.size, dtype=ys.dtype).reshape(ys.shape))) + jnp.sum(
        carry.h**2
    )


@pytest.mark.parametrize("window", [1, 3, 7, 10])
def test_values_and_gradients_are_those_of_windows_cut_by_hand(window, x64):
    example_ = example(CELL, batch_shape=(2,), steps=7, dtype=np.float64)
    options = {"window": window, "lengths": LENGTHS.astype(jnp.int32), "resets": RESETS}

    def value(run):
        def loss(*arguments):
            result = run(*arguments)
            return scalar(result), result

        return jax.jit(jax.grad(loss, argnums=(0, 1, 2), has_aux=True))(*example_)

    actual = value(lambda p, x, c: jaxseq.truncated_bptt(CELL, p, x, carry=c, **options))
    expected = value(lambda p, x, c: by_hand(p, x, c, **options))
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def test_a_loss_reaches_back_to_the_start_of_its_window_and_no_further():
    cell = jaxseq.elman(1, 1, activation=lambda z: z)
    params = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), example(cell)[0])

    @jax.jit
    @jax.jacobian
    def reach(xs):
        return jaxseq.truncated_bptt(cell, params, xs, window=2)[1][:, 0]

    expected = [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]
    assert reach(jnp.zeros((5, 1)))[..., 0].tolist() == expected


def test_the_padding_parts_no_row_from_its_end():
    def last(xs, lengths):
        carry, _ = jaxseq.truncated_bptt(CELL, PARAMS, xs, window=2, lengths=lengths)
        return carry.h[1].sum()

    padded = jax.grad(last)(XS, jnp.array([7, 4]))
    alone = jax.grad(last)(XS[:, :4], jnp.array([4, 4]))
    assert float(jnp.abs(alone[1, 2:]).max()) > 0
    np.testing.assert_allclose(padded[1, :4], alone[1], atol=1e-7)
    assert not padded[1, 4:].any() and not padded[1, :2].any()


def test_the_first_window_alone_reaches_the_initial_carry():
    def outputs(carry):
        return jaxseq.truncated_bptt(CELL, PARAMS, XS, window=3, carry=carry)[1]

    gradient = jax.jit(jax.jacobian(outputs))(CARRY).h  # [B, T, H, B, H]
    reached = np.any(gradient != 0, axis=(0, 2, 3, 4))
    assert reached.tolist() == [True] * 3 + [False] * 4


@pytest.mark.parametrize("options", [{"remat": "sqrt"}, {"remat": 2, "unroll": 2}], ids=str)
def test_remat_and_unroll_change_no_value(options):
    expected = jaxseq.scan(CELL, PARAMS, XS, lengths=LENGTHS)
    actual = jaxseq.truncated_bptt(CELL, PARAMS, XS, window=3, lengths=LENGTHS, **options)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "uint32", "int64"])
def test_lengths_of_any_integer_dtype_are_taken(dtype, x64, untyped):
    def shapes(lengths):
        return jax.eval_shape(
            lambda xs: jaxseq.truncated_bptt(CELL, PARAMS, xs, window=3, lengths=lengths), XS
        )

    assert shapes(np.array([7, 0], dtype))[1].shape == (2, 7, 3)


def test_no_steps_leave_the_carry():
    carry, ys = jaxseq.truncated_bptt(CELL, PARAMS, XS[:, :0], window=2, carry=CARRY)
    np.testing.assert_array_equal(carry.h, CARRY.h)
    assert ys.shape == (2, 0, 3)


@pytest.mark.parametrize("window", [0, -1, True, 2.0, None])
def test_a_window_is_a_positive_integer(window, untyped):
    message = f"truncated_bptt: `window` must be a positive integer, but it is {window!r}."
    with pytest.raises(ValueError, match=re.escape(message)):
        jaxseq.truncated_bptt(CELL, PARAMS, XS, window=window)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"backend": "fast"},
            "`backend` must be one of 'auto', 'associative', 'fused', 'native', 'reference', "
            "but it is 'fast'",
        ),
        ({"unroll": 0}, "`unroll` must be a positive integer, but it is 0"),
        ({"remat": 0}, '`remat` must be None, "sqrt" or a positive number of steps, but it is 0'),
        ({"lengths": np.array([8, 0])}, "`lengths` must lie in [0, T] = [0, 7], but they range"),
        ({"carry": None, "resets": np.zeros((2, 3), bool)}, "`resets` must have shape (*batch, T)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_does_not_fit_is_refused_by_name(options, message, untyped):
    with pytest.raises(ValueError, match=re.escape(f"truncated_bptt: {message}")):
        jaxseq.truncated_bptt(CELL, PARAMS, XS, window=2, **options)
