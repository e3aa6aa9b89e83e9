"""Accuracy, perplexity and bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.losses import SumCount, accuracy, bits_per_symbol, cross_entropy, mean, perplexity

LOGITS = jnp.array([[[0.0, 1.0, 0.5], [2.0, 1.0, 2.0], [0.0, 3.0, 9.0]]])


def test_accuracy_counts_hits_and_the_first_of_equals_wins():
    hits = accuracy(LOGITS, jnp.array([[1, 0, 1]]))
    assert hits == SumCount(jnp.float32(2), jnp.float32(3))
    assert accuracy(LOGITS, jnp.array([[1, 2, 1]])).total == 1


def test_accuracy_ignores_pads():
    targets = jnp.array([[1, 1, -5]])
    nan = LOGITS.at[0, 2].set(jnp.nan)
    assert accuracy(nan, targets, lengths=jnp.array([2])) == SumCount(
        jnp.float32(1), jnp.float32(2)
    )
    assert mean(accuracy(nan, targets, mask=jnp.zeros((1, 3), bool))) == 0


def test_accuracy_takes_half_precision_and_counts_in_float32():
    hits = accuracy(LOGITS.astype(jnp.bfloat16), jnp.array([[1, 0, 2]], jnp.uint8))
    assert hits.total.dtype == hits.count.dtype == jnp.float32
    assert hits.total == 3


def test_under_jit_a_target_out_of_range_is_an_error_made():
    assert jax.jit(accuracy)(LOGITS, jnp.array([[1, -1, 7]])).total == 1


def test_eagerly_a_target_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"^accuracy: `targets` must be between 0 and V - 1 = 2"):
        accuracy(LOGITS, jnp.array([[1, 0, 3]]))


def test_perplexity_and_bits_of_chance_are_the_vocabulary():
    loss = cross_entropy(jnp.zeros((2, 3, 8)), jnp.zeros((2, 3), jnp.int32))
    np.testing.assert_allclose(perplexity(loss), 8, rtol=1e-5)
    np.testing.assert_allclose(bits_per_symbol(loss), 3, rtol=1e-6)


def test_of_nothing_perplexity_is_one_and_bits_are_zero():
    nothing = SumCount(jnp.float32(0), jnp.float32(0))
    assert perplexity(nothing) == 1
    assert bits_per_symbol(nothing) == 0
