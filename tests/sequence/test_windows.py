"""A scan over windows of steps is the scan over the steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.sequence._windows import scan_windows


def body_of(reverse, sizes):
    """Adds up what it sees, in the order of time, and notes how long its windows are."""

    def step(carry, x):
        carry = 0.5 * carry + x["a"]
        return carry, {"sum": carry, "twice": 2 * x["b"]}

    def body(carry, window):
        sizes.append(window["a"].shape[0])
        return jax.lax.scan(step, carry, window, reverse=reverse)

    return body


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("size", [1, 3, 4, 7, 9])
def test_windows_of_any_size_give_the_same(size, reverse):
    inputs = {"a": jnp.arange(7.0), "b": jnp.arange(14.0).reshape(7, 2)}
    carry = jnp.asarray(10.0)
    sizes = []
    expected = body_of(reverse, [])(carry, inputs)
    actual = scan_windows(body_of(reverse, sizes), carry, inputs, size=size, reverse=reverse)
    jax.tree.map(np.testing.assert_array_equal, actual, expected)
    assert set(sizes) == ({size, 7 % size} if 7 % size else {size})


@pytest.mark.parametrize("reverse", [False, True])
def test_no_steps_are_no_windows(reverse):
    inputs = {"a": jnp.zeros(0), "b": jnp.zeros((0, 2))}
    carry, outputs = scan_windows(
        body_of(reverse, []), jnp.asarray(10.0), inputs, size=3, reverse=reverse
    )
    assert carry == 10.0 and outputs["sum"].shape == (0,) and outputs["twice"].shape == (0, 2)


def test_what_is_not_given_is_left_out():
    def body(carry, window):
        assert window[1] is None
        return carry + jnp.sum(window[0]), window

    carry, outputs = scan_windows(body, jnp.asarray(0.0), (jnp.ones(5), None), size=2)
    assert carry == 5.0 and outputs[0].shape == (5,) and outputs[1] is None
