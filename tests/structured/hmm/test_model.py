"""The parameters of a hidden Markov model: starts, simulation, priors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.structured import hmm

COINS = hmm.categorical(2, 2)
EVEN = jnp.log(jnp.full((2, 2), 0.5))
FAIR = hmm.HMM(EVEN[0], EVEN, hmm.CategoricalParams(EVEN))


def test_a_start_is_made_of_probabilities_and_is_another_for_each_key():
    first, second = (hmm.init(jax.random.key(seed), hmm.poisson(3)) for seed in (0, 1))
    for model in (first, second):
        np.testing.assert_allclose(np.exp(model.log_initial).sum(), 1, rtol=1e-6)
        np.testing.assert_allclose(np.exp(model.log_transition).sum(1), 1, rtol=1e-6)
    assert (first.log_transition != second.log_transition).all()
    assert (first.log_initial != second.log_initial).all()


@pytest.mark.parametrize("size", [1, 3])
def test_a_start_may_hold_on_to_its_states(size):
    model = hmm.init(jax.random.key(0), hmm.poisson(size), self_transition=0.75)
    transition = np.exp(model.log_transition)
    np.testing.assert_allclose(np.diag(transition), 0.75 if size > 1 else 1, rtol=1e-6)
    np.testing.assert_allclose(transition.sum(1), 1, rtol=1e-6)


def test_a_start_does_not_look_at_pads_or_at_missing_steps():
    counts = np.array([[3.0, 4.0, 9.0, np.nan], [5.0, -2.0, np.nan, np.nan]])
    observed = np.array([[1, 1, 1, 1], [1, 0, 1, 1]], bool)
    found = [
        hmm.init(jax.random.key(0), hmm.poisson(2), xs, lengths=np.array([3, 2]), observed=observed)
        for xs in (counts, np.where(counts >= 0, counts, 1e6))
    ]
    jax.tree.map(np.testing.assert_array_equal, *found)


def test_simulated_chains_move_as_their_transitions_say():
    model = hmm.HMM(
        jnp.log(jnp.array([0.2, 0.8])),
        jnp.log(jnp.array([[0.9, 0.1], [0.4, 0.6]])),
        hmm.CategoricalParams(jnp.log(jnp.array([[1.0, 0.0], [0.3, 0.7]]))),
    )
    states, symbols = hmm.simulate(jax.random.key(0), COINS, model, 30, batch_shape=(40, 10))
    assert states.shape == symbols.shape == (40, 10, 30) and states.dtype == jnp.int32
    states, symbols = np.asarray(states), np.asarray(symbols)
    assert abs(states[..., 0].mean() - 0.8) < 0.1
    moves = np.zeros((2, 2))
    np.add.at(moves, (states[..., :-1], states[..., 1:]), 1)
    expected = np.exp(model.log_transition)
    np.testing.assert_allclose(moves / moves.sum(1, keepdims=True), expected, atol=0.03)
    assert (symbols[states == 0] == 0).all() and abs(symbols[states == 1].mean() - 0.7) < 0.03


def test_one_simulated_step_makes_no_move():
    states, symbols = hmm.simulate(jax.random.key(0), COINS, FAIR, 1)
    assert states.shape == symbols.shape == (1,)


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        ({"log_initial": EVEN}, ValueError, r"`log_initial` must have shape \(K,\) = \(2,\), but"),
        ({"log_transition": EVEN[0]}, ValueError, r"`log_transition` must have shape \(K, K\)"),
        (
            {"emission": hmm.PoissonParams(jnp.ones(2))},
            TypeError,
            "params of the family categorical, CategoricalParams, but it is PoissonParams",
        ),
        (
            {"emission": hmm.CategoricalParams(jnp.zeros((2, 3)))},
            ValueError,
            r"arrays of the family's sizes, such as \(2, 2\), but there is \(2, 3\)",
        ),
    ],
)
@pytest.mark.usefixtures("untyped")
def test_a_model_of_other_sizes_is_refused(change, kind, text):
    with pytest.raises(kind, match=text):
        hmm.simulate(jax.random.key(0), COINS, FAIR._replace(**change), 3)


@pytest.mark.usefixtures("untyped")
def test_numbers_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"hmm.simulate: `steps` must be a positive integer"):
        hmm.simulate(jax.random.key(0), COINS, FAIR, 0)
    for wrong in (0, 1.0):
        with pytest.raises(
            ValueError, match=r"`self_transition` must be more than 0 and less than"
        ):
            hmm.init(jax.random.key(0), COINS, self_transition=wrong)
    with pytest.raises(ValueError, match=r"hmm.init: there is no step to learn from"):
        hmm.init(jax.random.key(0), COINS, np.zeros((2, 3), int), lengths=np.array([0, 0]))
