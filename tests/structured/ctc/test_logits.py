"""The loss of logits is that of their log-probabilities, and its gradient one array."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from orders import every_order

from jaxseq.structured import ctc

T, V = 6, 3
LABELS = np.array([[1, 2, 1], [1, 1, 2], [2, 2, -5], [1, 9, 9], [7, 7, 7], [1, 2, 1], [0, 0, 0]])
LABEL_LENGTHS = np.array([3, 3, 2, 1, 0, 3, 0])
LENGTHS = np.array([6, 5, 4, 6, 3, 2, 0])  # the last but one is too short, the last is empty
PADS = (np.arange(T) >= LENGTHS[:, None])[..., None]


def ragged(scores, **options):
    given = {"lengths": jnp.array(LENGTHS), "label_lengths": jnp.array(LABEL_LENGTHS)}
    return ctc.loss(scores, jnp.array(LABELS), **given, **options)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("infeasible", ["inf", "zero"])
def test_logits_give_what_their_log_softmax_gives(infeasible):
    rng = np.random.default_rng(12)
    logits = jnp.array(np.where(PADS, np.nan, 2 * rng.normal(size=(len(LENGTHS), T, V))))
    tangent = jnp.array(np.where(PADS, np.nan, rng.normal(size=logits.shape)))

    def nats(logits):
        log_probs = jax.nn.log_softmax(logits)
        return ragged(log_probs, infeasible=infeasible).nats

    def ours(logits):
        return ragged(logits, infeasible=infeasible, normalised=False).nats

    found, pull = jax.vjp(ours, logits)
    np.testing.assert_allclose(found, nats(logits), rtol=1e-12)
    clean = jnp.nan_to_num(logits)
    weights = jnp.ones_like(found)
    want = jax.vjp(nats, clean)[1](weights)[0]
    got = pull(weights)[0]
    np.testing.assert_allclose(got, np.where(PADS, 0, want), atol=1e-12)
    np.testing.assert_allclose(
        jax.jvp(ours, (logits,), (tangent,))[1],
        jax.jvp(nats, (clean,), (jnp.nan_to_num(tangent),))[1],
        atol=1e-12,
    )


@pytest.mark.usefixtures("x64")
def test_of_logits_there_are_second_derivatives_and_nan_in_the_pads_is_not_in_them():
    rng = np.random.default_rng(13)
    logits, direction = (np.where(PADS, 0, rng.normal(size=(len(LENGTHS), T, V))) for _ in range(2))

    def ours(logits):
        return ragged(logits, infeasible="zero", normalised=False).nats.sum()

    def nats(logits):
        return ragged(jax.nn.log_softmax(logits), infeasible="zero").nats.sum()

    want = every_order(nats, logits, direction)
    got = every_order(ours, np.where(PADS, np.nan, logits), direction)
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-12), got, want)


def test_the_gradient_by_logits_is_the_largest_array():
    logits, labels = jnp.zeros((2, 64, 500)), jnp.ones((2, 5), jnp.int32)

    def total(logits):
        return ctc.loss(logits, labels, normalised=False).nats.sum()

    memory = jax.jit(jax.grad(total)).lower(logits).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 0.3 * logits.nbytes
