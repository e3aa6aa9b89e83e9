"""The sum alone, scaled at each step or once in four, is the sum in logarithms."""

import jax
import jax.numpy as jnp
import lattices
import numpy as np
import pytest

from jaxseq.structured import _groups, hmm
from jaxseq.structured._exact import exact_log_partition
from jaxseq.structured._groups import GROUP, STATES_FIRST, even, log_total
from jaxseq.structured._scores import Scores

both = jax.jit(lambda scores: (log_total(scores), exact_log_partition(scores.chain)))


def scores_of(steps, form="one", dtype=np.float64, scale=1.0, states=4):
    rng = np.random.default_rng(steps)
    shape = {"one": (), "a row": (3,), "a step": (steps - 1, 3)}[form]
    transition = jnp.array(rng.normal(size=(*shape, states, states)), dtype)
    emission = jnp.array(scale * rng.normal(size=(3, steps, states)), dtype)
    ends = jnp.array(rng.normal(size=(2, 3, states)), dtype)
    lengths = jnp.array([steps, max(steps // 2, 1), 1], jnp.int32)
    return Scores(transition, emission, *ends, lengths)


@pytest.mark.parametrize(
    ("form", "states"),
    [
        ("one", 4),
        ("one", STATES_FIRST[0]),
        ("one", STATES_FIRST[-1] + 1),
        ("a row", 4),
        ("a step", 4),
    ],
)
@pytest.mark.parametrize("steps", [1, GROUP, GROUP + 1, 2 * GROUP + 3])
def test_steps_and_groups_of_them_are_the_sum_in_logarithms(steps, form, states, x64):
    given = scores_of(steps, form, states=states)
    for rows in (given, given._replace(lengths=None)):
        np.testing.assert_allclose(*both(rows), rtol=1e-12)


@pytest.mark.parametrize(("form", "states"), [("one", 4), ("one", STATES_FIRST[0]), ("a step", 4)])
@pytest.mark.parametrize("steps", [34, 41])  # the last of three chunks is whole, or reads on
def test_chunks_of_groups_are_the_sum_in_logarithms(steps, form, states, x64, monkeypatch):
    monkeypatch.setattr(_groups, "NUMBERS", steps * states)  # of three rows
    given = scores_of(steps, form, states=states)
    for rows in (given, given._replace(lengths=None)):
        found = jax.jit(lambda scores: log_total(scores))(rows)
        np.testing.assert_allclose(found, both(rows)[1], rtol=1e-12)


def test_in_float32_no_emission_is_too_much():
    # Each step rules out all but one state, and rather another one than the step before.
    given = scores_of(203, dtype=np.float32, scale=150.0)
    given = given._replace(transition=jnp.where(jnp.eye(4, dtype=bool), 0, jnp.float32(-11)))
    assert even(given.transition)
    with jax.enable_x64(True):
        wide = (jnp.array(np.float64(array)) for array in given[:4])
        exact = both(Scores(*wide, given.lengths))[1]
    np.testing.assert_allclose(both(given)[0], exact, rtol=1e-6)


def test_transitions_far_apart_are_not_even():
    given = scores_of(5, dtype=np.float32)
    for far in (-60.0, -np.inf):
        assert not even(given.transition.at[1, 2].set(far))


def test_the_sum_alone_is_the_value_beside_its_gradient():
    initial, transition, emission, _ = lattices.scores(dtype=np.float32)
    for far in (0.0, -30.0, -np.inf):
        moves = transition.copy()
        moves[0, 1] += np.float32(far)

        def value(emission, moves=moves):
            values = hmm.log_likelihood(initial, moves, emission, lengths=lattices.LENGTHS)
            return values.sum(), values

        beside = jax.jit(jax.value_and_grad(value, has_aux=True))(emission)[0][1]
        np.testing.assert_allclose(jax.jit(value)(emission)[1], beside, rtol=1e-5)
