import jax
import jax.numpy as jnp
import optax

from jaxseq.training import init_state, make_step


def test_a_fresh_state_counts_from_zero_in_int32(state):
    assert (int(state.step), int(state.skipped)) == (0, 0)
    assert state.step.dtype == state.skipped.dtype == jnp.int32
    assert jnp.issubdtype(state.key.dtype, jax.dtypes.prng_key)


def test_one_array_in_two_places_can_be_donated_and_stays_the_callers():
    bias = jnp.ones(3)

    def loss(params, carry, batch, key):
        return (jnp.sum((params[0] + params[1]) * batch), jnp.array(1.0)), carry

    optimizer = optax.sgd(1.0)
    state = init_state((bias, bias), optimizer, key=jax.random.key(0))
    state, _ = make_step(loss, optimizer)(state, jnp.ones(3))
    assert bias.tolist() == [1.0, 1.0, 1.0]
    assert state.params[0].tolist() == state.params[1].tolist() == [0.0, 0.0, 0.0]
