"""Sampling: the right distribution, and the same text for the same key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxseq import Directions
from jaxseq.decoding import greedy, sample

KEY = jax.random.key(3)
P = np.array([0.4, 0.05, 0.25, 0.3])


def fixed(carry, token):
    """Every symbol is drawn from the same distribution, whose logits are the carry."""
    return carry, jnp.broadcast_to(carry[None, :], (token.shape[0], carry.shape[0]))


def bigram(carry, token):
    return carry, carry[token]


def table():
    return jnp.asarray(np.random.default_rng(0).normal(size=(5, 5)).astype(np.float32))


def counts(**options):
    logits = jnp.log(jnp.asarray(P, jnp.float32))
    text = sample(fixed, logits, jnp.zeros(40, jnp.int32), key=KEY, length=100, **options)
    return np.bincount(np.asarray(text.tokens).ravel(), minlength=4)


def agrees(counts, probabilities):
    probabilities = np.asarray(probabilities) / np.sum(probabilities)
    seen = probabilities > 0
    assert counts[~seen].sum() == 0
    return stats.chisquare(counts[seen], probabilities[seen] * counts.sum()).pvalue > 0.01


def test_symbols_come_as_often_as_the_model_says():
    assert agrees(counts(), P)
    assert not agrees(counts(), P[::-1])


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_temperature_divides_the_logits(temperature):
    assert agrees(counts(temperature=temperature), P ** (1 / temperature))


def test_top_k_draws_from_the_k_likeliest():
    assert agrees(counts(top_k=2), [0.4, 0, 0, 0.3])


def test_top_p_draws_from_the_nucleus():
    assert agrees(counts(top_p=0.8), [0.4, 0, 0.25, 0.3])


def test_the_temperature_comes_before_the_nucleus_and_top_k_too():
    # At temperature 1/2 the probabilities are .51, .01, .20, .29: .75 needs two; at 1, three.
    assert agrees(counts(temperature=0.5, top_p=0.75), [0.16, 0, 0, 0.09])
    # Of the three likeliest, .42, .32, .26 are left: .73 needs two; of all four it needs three.
    assert agrees(counts(top_k=3, top_p=0.73), [0.4, 0, 0, 0.3])


def test_rows_are_drawn_independently():
    text = sample(fixed, jnp.zeros(4), jnp.zeros(2, jnp.int32), key=KEY, length=400)
    joint = np.bincount(np.asarray(4 * text.tokens[0] + text.tokens[1]), minlength=16)
    assert agrees(joint, np.ones(16))


def test_the_same_key_gives_the_same_text_and_another_key_another():
    token = jnp.array([0, 1])
    first = sample(bigram, table(), token, key=KEY, length=8)
    again = sample(bigram, table(), token, key=KEY, length=8)
    other = sample(bigram, table(), token, key=jax.random.key(4), length=8)
    np.testing.assert_array_equal(first.tokens, again.tokens)
    np.testing.assert_array_equal(first.log_probs, again.log_probs)
    assert first.tokens.tolist() != other.tokens.tolist()


def test_a_smaller_length_gives_the_beginning_of_the_text():
    token = jnp.array([0, 1])
    long = sample(bigram, table(), token, key=KEY, length=8)
    short = sample(bigram, table(), token, key=KEY, length=3)
    np.testing.assert_array_equal(long.tokens[:, :3], short.tokens)


@pytest.mark.parametrize("options", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-30}])
def test_at_the_limit_it_is_greedy(options):
    token = jnp.array([0, 1, 4])
    text = sample(bigram, table(), token, key=KEY, length=6, **options)
    likeliest = greedy(bigram, table(), token, length=6)
    np.testing.assert_array_equal(text.tokens, likeliest.tokens)
    np.testing.assert_allclose(text.log_probs, likeliest.log_probs, rtol=1e-6)


def test_log_probabilities_are_the_models_own():
    logits = jnp.log(jnp.asarray(P, jnp.float32))
    text = sample(
        fixed, logits, jnp.array([0]), key=KEY, length=20, temperature=0.7, top_k=3, top_p=0.9
    )
    np.testing.assert_allclose(text.log_probs, np.log(P)[text.tokens], rtol=1e-5)


def test_a_row_stops():
    text = sample(fixed, jnp.zeros(4), jnp.zeros(20, jnp.int32), key=KEY, length=12, stop=2)
    for tokens, length, log_probs in zip(*map(np.asarray, text), strict=True):
        assert 2 not in tokens[:length] and (tokens[length:] == 2).all()
        assert (log_probs[: length + 1] < 0).all() and (log_probs[length + 1 :] == 0).all()
    assert len(set(text.lengths.tolist())) > 3


def test_nan_logits_show_in_the_log_probabilities():
    text = sample(fixed, jnp.array([0.0, jnp.nan]), jnp.array([0]), key=KEY, length=2, top_k=1)
    assert jnp.isnan(text.log_probs).all()


def test_another_temperature_key_or_p_compiles_nothing_new():
    traces = []

    def step(carry, token):
        traces.append(None)
        return carry, carry[token]

    def run(seed, temperature, p):
        key = jax.random.key(seed)
        return sample(
            step, table(), jnp.array([0]), key=key, length=2, temperature=temperature, top_p=p
        )

    run(0, 1.0, 0.9)
    run(1, 0.5, 0.4)
    run(1, 2, 1)
    assert len(traces) == 1


def test_temperature_and_p_may_be_traced_and_mapped_over():
    def run(temperature, p):
        options = {"key": KEY, "length": 4, "temperature": temperature, "top_p": p}
        return sample(bigram, table(), jnp.array([0, 1]), **options).tokens

    temperatures, p = jnp.array([0.1, 1.0, 3.0]), jnp.array([1.0, 0.5, 0.9])
    got = jax.jit(jax.vmap(run))(temperatures, p)
    for i in range(3):
        np.testing.assert_array_equal(got[i], run(temperatures[i], p[i]))


def test_half_precision_logits_do():
    text = sample(
        bigram, table().astype(jnp.bfloat16), jnp.array([0]), key=KEY, length=3, top_k=3, top_p=0.9
    )
    assert text.log_probs.dtype == jnp.float32 and jnp.isfinite(text.log_probs).all()


def refused(kind, match, **options):
    options = {"key": KEY, "length": 2} | options
    with pytest.raises(kind, match=match):
        sample(bigram, table(), jnp.array([0]), **options)


def test_temperature_zero_points_to_greedy():
    refused(
        ValueError,
        r"^sample: `temperature` must be positive, but it is 0\.\n  Hint: .*decoding\.greedy",
        temperature=0,
    )


@pytest.mark.parametrize("temperature", [-1.0, np.inf, np.nan])
def test_a_temperature_out_of_range_is_refused(temperature):
    refused(
        ValueError,
        rf"`temperature` must be positive and finite, but it is {temperature}",
        temperature=temperature,
    )


def test_numbers_out_of_range_are_refused(untyped):
    refused(ValueError, r"^sample: `top_k` must be between 1 and V, but it is 0\.", top_k=0)
    refused(ValueError, r"^sample: `top_k` must be between 1 and V = 5, but it is 6\.", top_k=6)
    refused(TypeError, r"^sample: `top_k` must be a Python integer, but it is 1\.5", top_k=1.5)
    refused(ValueError, r"^sample: `top_p` must be in \(0, 1\], but it is 0\.0\.", top_p=0.0)
    refused(TypeError, r"^sample: `top_p` must be one number, but it is True", top_p=True)
    refused(TypeError, r"^sample: `temperature` must be one number", temperature=jnp.ones(2))
    refused(ValueError, r"^sample: `length` must be at least 1, but it is -1\.", length=-1)


def test_what_is_no_key_is_refused(untyped):
    refused(TypeError, r"^sample: `key` must be a PRNG key, but it is 0\.\n  Hint: jax", key=0)
    refused(TypeError, r"`key` must be a PRNG key, but it is Array", key=jax.random.PRNGKey(0))
    refused(ValueError, r"`key` must be one PRNG key, but .* \(2,\)", key=jax.random.split(KEY))


def test_the_carry_of_a_bidirectional_model_is_refused():
    carry = (Directions(jnp.zeros(1), jnp.zeros(1)), table())
    with pytest.raises(ValueError, match=r"^sample: `carry` belongs to a bidirectional model"):
        sample(bigram, carry, jnp.array([0]), key=KEY, length=1)
