"""Which steps count."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxseq.losses import _mask


def test_without_lengths_and_mask_every_step_counts():
    assert _mask.valid_steps("f", (2, 3), lengths=None, mask=None).all()


def test_eager_and_traced_lengths_agree():
    lengths = jnp.array([[0, 3], [1, 2]])

    def steps(n):
        return _mask.valid_steps("f", (2, 2, 3), lengths=n, mask=None)

    np.testing.assert_array_equal(steps(lengths), jax.jit(steps)(lengths))


def test_a_mask_is_taken_as_it_is():
    mask = jnp.array([[True, False]])
    assert _mask.valid_steps("f", (1, 2), lengths=None, mask=mask) is mask


def test_traced_values_are_not_known():
    seen = []
    jax.jit(lambda x: seen.append(_mask.known(x)))(jnp.ones(1))
    assert seen == [False] and _mask.known(jnp.ones(1), np.ones(1))


def test_known_values_are_checked_inside_a_jit_too():
    def loss(x):
        return _mask.harmless("f", x, np.array([0, 1]), lengths=None, mask=None)[0]

    assert jax.jit(loss)(jnp.ones((2, 2))).shape == (2, 2)
