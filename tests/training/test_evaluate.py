import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq._checks import InputError
from jaxseq.training import make_evaluate


def test_the_mean_is_over_all_terms_not_over_batches():
    def loss(params, carry, batch, key):
        return (jnp.sum(batch * params), jnp.array(float(batch.size))), carry

    evaluate = make_evaluate(loss)
    result = evaluate(jnp.array(1.0), (), [jnp.array([1.0, 2.0]), jnp.array([6.0])])
    assert result == (3.0, 9.0, 3.0)
    assert all(type(number) is float for number in result)


def test_the_carry_is_handed_on_and_there_is_no_key(state, loss, batches):
    def watched(params, carry, batch, key):
        assert key is None
        return loss(params, carry, batch, key)

    result = make_evaluate(watched)(state.params, state.carry, batches(end=12))
    carry, total = state.carry, 0.0
    for batch in batches(end=12):
        (part, _), carry = loss(state.params, carry, batch, None)
        total += float(part)
    np.testing.assert_allclose(result.total, total, rtol=1e-6)
    assert result.count == 12 * 24


def test_what_is_evaluated_is_not_donated(state, loss, batches):
    evaluate = make_evaluate(loss)
    first = evaluate(state.params, state.carry, batches(end=2))
    assert evaluate(state.params, state.carry, batches(end=2)) == first


def test_sums_of_many_batches_do_not_lose_small_ones():
    def loss(params, carry, batch, key):
        return (batch, jnp.array(1.0)), carry

    parts = [jnp.array(2.0**24)] + 3 * [jnp.array(1.0)]
    assert make_evaluate(loss)((), (), parts).total == 2.0**24 + 3


def test_a_mean_over_nothing_is_zero():
    def loss(params, carry, batch, key):
        return (batch, jnp.array(0.0)), carry

    assert make_evaluate(loss)((), (), [jnp.array(0.0)]).mean == 0.0


def test_no_batches_are_refused(loss, state):
    with pytest.raises(InputError, match="make_evaluate: `batches` gave no batch to evaluate on"):
        make_evaluate(loss)(state.params, state.carry, iter([]))


def test_an_axis_that_the_mesh_lacks_is_refused(loss):
    mesh = jax.make_mesh((1,), ("data",))
    with pytest.raises(ValueError, match=r"make_evaluate: `axis` must be one of the mesh's axes "):
        make_evaluate(loss, mesh=mesh, axis="rows")
