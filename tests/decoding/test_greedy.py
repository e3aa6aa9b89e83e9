"""Greedy decoding against a Python loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq import Directions, gru
from jaxseq.decoding import Generated, greedy

VOCABULARY = 5


def table(seed=0):
    return jnp.asarray(
        np.random.default_rng(seed).normal(size=(VOCABULARY, VOCABULARY)).astype(np.float32)
    )


def bigram(carry, token):
    return carry, carry[token]


def gru_model(seed=0):
    """A GRU over one-hot symbols; its carry holds the weights."""
    cell = gru(VOCABULARY, VOCABULARY)
    params = cell.init(jax.random.key(seed))

    def step(carry, token):
        params, state = carry
        x = jax.nn.one_hot(token, VOCABULARY)
        state, y = jax.vmap(cell.step, in_axes=(None, 0, 0))(params, state, x)
        return (params, state), 5 * y

    return step, lambda batch: (params, cell.carry(params, (batch,)))


def test_it_is_the_python_loop():
    step, start = gru_model()
    token = jnp.array([0, 3, 4])
    text = greedy(step, start(3), token, length=6)
    carry, tokens, log_probs = start(3), [], []
    for _ in range(6):
        carry, logits = step(carry, token)
        token = jnp.argmax(logits, -1)
        tokens.append(token)
        log_probs.append(jax.nn.log_softmax(logits)[np.arange(3), token])
    np.testing.assert_array_equal(text.tokens, jnp.stack(tokens, 1))
    np.testing.assert_allclose(text.log_probs, jnp.stack(log_probs, 1), rtol=1e-5)
    assert text.lengths.tolist() == [6, 6, 6]


def test_dtypes_are_int32_and_float32():
    text = greedy(bigram, table().astype(jnp.bfloat16), jnp.array([0], jnp.uint8), length=2)
    assert isinstance(text, Generated)
    assert text.tokens.dtype == text.lengths.dtype == jnp.int32
    assert text.log_probs.dtype == jnp.float32
    assert text.tokens.shape == text.log_probs.shape == (1, 2)


def test_float64_models_run_too(x64):
    text = greedy(bigram, table().astype(jnp.float64), jnp.array([0]), length=2)
    assert text.tokens.dtype == jnp.int32 and text.log_probs.dtype == jnp.float32


def count(carry, token):
    return carry, 5 * jax.nn.one_hot((token + 1) % 4, 4)


def test_after_the_stop_symbol_a_row_repeats_it_at_log_probability_zero():
    text = greedy(count, None, jnp.array([0, 1, 3]), length=4, stop=3)
    assert text.tokens.tolist() == [[1, 2, 3, 3], [2, 3, 3, 3], [0, 1, 2, 3]]
    assert text.lengths.tolist() == [2, 1, 3]
    assert (text.log_probs == 0).tolist() == [[False] * 3 + [True], [False] * 2 + [True] * 2,
                                              [False] * 4]  # fmt: skip


def test_a_row_that_never_stops_is_as_long_as_it_can_be():
    assert greedy(count, None, jnp.array([0]), length=2, stop=3).lengths.tolist() == [2]


def test_a_row_that_stopped_shows_no_nan_from_what_follows():
    def breaks(carry, token):
        logits = 5 * jax.nn.one_hot(token + 1, 4)
        return carry + 1, jnp.where((carry > 0)[:, None], jnp.nan, logits)

    text = greedy(breaks, jnp.zeros(2, jnp.int32), jnp.array([0, 1]), length=3, stop=2)
    assert text.tokens[1].tolist() == [2, 2, 2]
    assert jnp.isnan(text.log_probs).tolist() == [[False, True, True], [False] * 3]


def test_of_equals_the_first_is_chosen():
    def flat(carry, token):
        return carry, jnp.zeros((token.shape[0], 3))

    assert greedy(flat, (), jnp.array([2]), length=2).tokens.tolist() == [[0, 0]]


def test_the_step_is_traced_once_and_never_again():
    traces = []

    def step(carry, token):
        traces.append(None)
        return carry, carry[token]

    first = greedy(step, table(0), jnp.array([0, 1]), length=3)
    assert len(traces) == 1
    second = greedy(step, table(1), jnp.array([2, 1]), length=3)
    assert len(traces) == 1
    assert first.tokens.tolist() != second.tokens.tolist()


def test_it_runs_inside_jit_and_vmap_with_weights_closed_over():
    tables = jnp.stack([table(0), table(1)])

    @jax.jit
    @jax.vmap
    def texts(weights):
        return greedy(lambda _, token: ((), weights[token]), (), jnp.array([0, 1]), length=3)

    got = texts(tables)
    for i in range(2):
        alone = greedy(bigram, tables[i], jnp.array([0, 1]), length=3)
        np.testing.assert_array_equal(got.tokens[i], alone.tokens)
        np.testing.assert_allclose(got.log_probs[i], alone.log_probs, rtol=1e-6)


def test_the_carry_of_a_bidirectional_model_is_refused():
    carry = {"layer": Directions(jnp.zeros((1, 2)), jnp.zeros((1, 2)))}
    with pytest.raises(
        ValueError,
        match=r"^greedy: `carry` belongs to a bidirectional model, which cannot generate: its "
        r"output at a step also reads the symbols after that step, and these are still to be "
        r"generated\.\n  Hint: train the model with bidirectional=False",
    ):
        greedy(lambda c, t: (c, jnp.zeros((1, 2))), carry, jnp.array([0]), length=1)


def test_wrong_tokens_are_refused(untyped):
    with pytest.raises(ValueError, match=r"`token` must have shape \(B,\), but .* \(\)\.\n.*None]"):
        greedy(bigram, table(), jnp.array(0), length=1)
    with pytest.raises(ValueError, match=r"has shape \(1, 3\)\.\n  Hint: .*run the symbols before"):
        greedy(bigram, table(), jnp.zeros((1, 3), jnp.int32), length=1)
    with pytest.raises(TypeError, match=r"`token` must be integers, but it has dtype float32"):
        greedy(bigram, table(), jnp.zeros(1), length=1)


def test_wrong_numbers_are_refused(untyped):
    token = jnp.array([0])
    with pytest.raises(ValueError, match=r"^greedy: `length` must be at least 1, but it is 0\."):
        greedy(bigram, table(), token, length=0)
    with pytest.raises(TypeError, match=r"`length` must be a Python integer, but it is 2\.5"):
        greedy(bigram, table(), token, length=2.5)
    with pytest.raises(TypeError, match=r"`stop` must be a Python integer, but it is 'x'"):
        greedy(bigram, table(), token, length=1, stop="x")
    with pytest.raises(ValueError, match=r"`stop` must be between 0 and V - 1 = 4, but it is 5"):
        greedy(bigram, table(), token, length=1, stop=5)


class Unhashable:
    __hash__ = None

    def __call__(self, carry, token):
        return carry, carry[token]


def test_wrong_steps_are_refused(untyped):
    def run(step, carry=None):
        greedy(step, table() if carry is None else carry, jnp.array([0]), length=1)

    with pytest.raises(TypeError, match=r"`step` must be a function \(carry, token\) -> "):
        run(3)
    with pytest.raises(TypeError, match=r"`step` must be hashable, but it is a Unhashable"):
        run(Unhashable())
    with pytest.raises(TypeError, match=r"`step` must return \(carry, logits\), but .* a list"):
        run(lambda c, t: [c, c[t]])
    with pytest.raises(ValueError, match=r"logits of shape \(B, V\) with B = 1, but .* \(5,\)"):
        run(lambda c, t: (c, c[t][0]))
    with pytest.raises(TypeError, match=r"must return floating logits, but they have dtype int32"):
        run(lambda c, t: (c, c[t].astype(jnp.int32)))


def test_a_step_that_changes_its_carry_is_refused():
    def run(step):
        greedy(step, {"h": jnp.zeros((1, 2))}, jnp.array([0]), length=1)

    logits = jnp.zeros((1, 2))
    with pytest.raises(TypeError, match=r"must return the carry in the structure in which it got"):
        run(lambda c, t: ((), logits))
    with pytest.raises(
        ValueError,
        match=r"`carry\['h'\]` had float32 \(1, 2\) and has float32 \(2,\)",
    ):
        run(lambda c, t: ({"h": c["h"][0]}, logits))
    with pytest.raises(
        TypeError, match=r"`carry\['h'\]` had float32 \(1, 2\) and has bfloat16 \(1, 2\)"
    ):
        run(lambda c, t: ({"h": c["h"].astype(jnp.bfloat16)}, logits))
