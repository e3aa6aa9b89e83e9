"""Sums add, and divide once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.losses import SumCount, mean


def pair(total, count):
    return SumCount(jnp.float32(total), jnp.float32(count))


def test_a_mean_is_the_total_over_the_count():
    assert mean(pair(3.0, 2.0)) == 1.5


@pytest.mark.parametrize("total", [0.0, np.nan, np.inf])
def test_a_mean_over_nothing_is_zero_and_so_is_its_gradient(total):
    value, gradient = jax.jit(jax.value_and_grad(mean))(pair(total, 0.0))
    assert value == 0
    assert gradient == pair(0.0, 0.0)


def test_adding_adds_field_by_field():
    both = pair(1.0, 2.0) + pair(3.0, 4.0)
    assert isinstance(both, SumCount)
    assert both == pair(4.0, 6.0)
    assert sum([pair(1.0, 2.0)] * 3, pair(0.0, 0.0)) == pair(3.0, 6.0)


def test_adding_anything_else_is_refused():
    with pytest.raises(TypeError, match="unsupported operand"):
        pair(1.0, 2.0) + (3.0, 4.0)


def test_it_is_a_pytree_that_scan_can_carry():
    losses = SumCount(jnp.arange(3.0), jnp.ones(3))
    total, _ = jax.lax.scan(lambda s, x: (s + x, None), pair(0.0, 0.0), losses)
    assert total == pair(3.0, 3.0)
