"""Beam search against a beam of Python lists, against every text there is, and against greedy."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq import Directions, gru
from jaxseq.decoding import Beams, beam_search, greedy

V = 5
PROMPTS = jnp.array([0, 3, 4])


def table(seed=0, size=V):
    logits = 2 * np.random.default_rng(seed).normal(size=(size, size))
    return jnp.asarray(logits.astype(np.float32))


def bigram(carry, token):
    return carry, carry[token]


CELL = gru(V, V)


def gru_step(carry, token):
    """A GRU over one-hot symbols; its carry holds the weights, and its state has batch axis 1."""
    params, state = carry
    x = jax.nn.one_hot(token, V)
    before = jax.tree.map(lambda leaf: leaf[0], state)
    after, y = jax.vmap(CELL.step, in_axes=(None, 0, 0))(params, before, x)
    return (params, jax.tree.map(lambda leaf: leaf[None], after)), 5 * y


def gru_carry(batch, seed=0):
    params = CELL.init(jax.random.key(seed))
    return params, CELL.carry(params, (1, batch))


search = functools.partial(beam_search, gru_step, axes=(None, 1))


def penalty(count, alpha):
    return ((5 + count) / 6) ** alpha


@jax.jit
def one_step(carry, token):
    carry, logits = gru_step(carry, token[None])
    return carry, jax.nn.log_softmax(logits)[0]


def twin(prompt, *, width, length, stop, alpha):
    """A beam of tuples (score, log-probability, symbols, finished, carry)."""
    beams = [(0.0, 0.0, [], False, gru_carry(1))]
    for _ in range(length):
        candidates = []
        for beam in beams:
            _, log_p, symbols, finished, carry = beam
            if finished:
                candidates.append(beam)
                continue
            carry, steps = one_step(carry, jnp.array(symbols[-1] if symbols else prompt))
            for symbol, step in enumerate(np.asarray(steps, np.float64)):
                total, text = log_p + step, [*symbols, symbol]
                scored = total / penalty(len(text), alpha)
                candidates.append((scored, total, text, symbol == stop, carry))
        beams = sorted(candidates, key=lambda beam: -beam[0])[:width]
    return beams


@pytest.mark.parametrize(
    ("width", "length", "alpha"), [(1, 4, 0.0), (3, 5, 0.0), (3, 5, 0.7), (7, 4, 1.3), (30, 2, 0.0)]
)
def test_it_is_the_beam_of_lists(width, length, alpha):
    options = {"width": width, "length": length, "stop": 1}
    found = search(gru_carry(3), PROMPTS, length_penalty=alpha, **options)
    assert isinstance(found, Beams)
    ends = set()
    for b, prompt in enumerate(PROMPTS.tolist()):
        expected = twin(prompt, alpha=alpha, **options)
        for w, (score, log_p, symbols, finished, _) in enumerate(expected):
            text = (symbols + [1] * length)[:length]
            assert found.tokens[b, w].tolist() == text
            assert found.lengths[b, w] == len(symbols) - finished
            np.testing.assert_allclose(found.log_probs[b, w], log_p, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(found.scores[b, w], score, rtol=1e-4, atol=1e-5)
            ends.add(len(symbols))
        there = len(expected)
        assert there == width or (found.log_probs[b, there:] == -jnp.inf).all()
    assert width == 1 or len(ends) > 1  # texts of several lengths


def test_a_beam_of_one_is_greedy():
    carry = gru_carry(3)
    text = greedy(gru_step, carry, PROMPTS, length=6, stop=1)
    for alpha in (0.0, 1.0):
        found = search(carry, PROMPTS, width=1, length=6, stop=1, length_penalty=alpha)
        np.testing.assert_array_equal(found.tokens[:, 0], text.tokens)
        np.testing.assert_array_equal(found.lengths[:, 0], text.lengths)
        np.testing.assert_allclose(found.log_probs[:, 0], text.log_probs.sum(1), rtol=1e-5)


def every_text(logits, prompt, length, stop, alpha):
    """All texts that end, or reach the length: of each the score, and the log-probability."""
    log_probs = np.float64(jax.nn.log_softmax(logits))
    texts = {}
    for symbols in itertools.product(range(len(logits)), repeat=length):
        cut = symbols[: symbols.index(stop) + 1] if stop in symbols else symbols
        total = sum(log_probs[a, b] for a, b in itertools.pairwise((prompt, *cut)))
        texts[cut] = (total / penalty(len(cut), alpha), total)
    return texts


@pytest.mark.parametrize("alpha", [0.0, 2.0])
def test_a_beam_that_holds_everything_is_exact(alpha):
    logits = table(1, size=3)
    options = {"width": 27, "length": 3, "stop": 2, "length_penalty": jnp.float32(alpha)}
    found = beam_search(bigram, logits, jnp.array([0, 1]), axes=None, **options)
    for b in range(2):
        expected = every_text(logits, b, 3, 2, alpha)
        assert len(expected) == 15
        texts = [tuple(text) for text in found.tokens[b, :15].tolist()]
        assert set(texts) == {(*text, 2, 2)[:3] for text in expected}
        assert (jnp.diff(found.scores[b, :15]) <= 0).all()
        for w, (text, count) in enumerate(zip(texts, found.lengths[b].tolist(), strict=False)):
            score, total = expected[text[: count + 1]]
            np.testing.assert_allclose(found.scores[b, w], score, rtol=1e-5)
            np.testing.assert_allclose(found.log_probs[b, w], total, rtol=1e-5)
        nothing = jax.tree.map(lambda leaf, b=b: leaf[b, 15:], found)
        assert (nothing.log_probs == -jnp.inf).all() and (nothing.scores == -jnp.inf).all()
        assert (nothing.tokens == 2).all() and (nothing.lengths == 0).all()


def test_without_a_stop_symbol_every_text_is_of_full_length():
    logits = table(2, size=3)
    found = beam_search(bigram, logits, jnp.array([0]), axes=None, width=12, length=2)
    expected = sorted(
        (-float(sum(jax.nn.log_softmax(logits)[p] for p in [(0, a), (a, b)])), [a, b])
        for a in range(3)
        for b in range(3)
    )
    assert found.tokens[0, :9].tolist() == [text for _, text in expected]
    assert found.lengths[0].tolist() == [2] * 9 + [0] * 3
    assert (found.tokens[0, 9:] == 0).all()


def test_of_equals_the_first_are_kept():
    def flat(carry, token):
        return carry, jnp.zeros((token.shape[0], 3))

    found = beam_search(flat, (), jnp.array([2]), width=4, length=2, stop=1)
    assert found.tokens[0].tolist() == [[1, 1], [0, 0], [0, 1], [0, 2]]
    np.testing.assert_allclose(found.log_probs[0], [-math.log(3)] + [-2 * math.log(3)] * 3, 1e-6)


def test_symbols_that_are_ruled_out_are_in_no_text():
    logits = jnp.array([[0.0, -jnp.inf, 0.0], [0.0, 0.0, 0.0], [-jnp.inf, -jnp.inf, 0.0]])
    found = beam_search(bigram, logits, jnp.array([0]), axes=None, width=5, length=2)
    assert found.tokens[0, :3].tolist() == [[2, 2], [0, 0], [0, 2]]
    assert jnp.isneginf(found.log_probs[0, 3:]).all() and (found.lengths[0, 3:] == 0).all()


def test_a_finished_text_sees_no_nan_from_what_follows():
    def breaks(carry, token):
        logits = jnp.where(carry[:, None] > 0, jnp.nan, 9.0 * jax.nn.one_hot(token + 1, 4))
        return carry + 1, logits

    found = beam_search(
        breaks, jnp.zeros(2, jnp.int32), jnp.array([1, 0]), width=1, length=3, stop=2
    )
    assert found.tokens[0].tolist() == [[2, 2, 2]] and jnp.isfinite(found.log_probs[0]).all()
    assert jnp.isnan(found.log_probs[1]).all()


def count_calls():
    calls = []

    def step(carry, token):
        jax.debug.callback(lambda _: calls.append(None), token[0])
        return carry, carry[token]

    return calls, step


def test_the_search_ends_when_every_text_has_ended():
    calls, step = count_calls()
    to_stop = jnp.tile(jnp.array([[-9.0, -1.0, 0.0]]), (3, 1))
    found = beam_search(step, to_stop, jnp.array([0, 1]), axes=None, width=2, length=50, stop=2)
    jax.block_until_ready(found)
    jax.effects_barrier()
    assert found.lengths.tolist() == [[0, 1]] * 2
    assert len(calls) == 2


def test_the_step_is_traced_once_and_never_again():
    traces = []

    def step(carry, token):
        traces.append(None)
        return carry, carry[token]

    run = functools.partial(beam_search, step, axes=None, width=3, length=3)
    first = run(table(0), jnp.array([0, 1]), length_penalty=0.5)
    assert len(traces) == 1
    second = run(table(1), jnp.array([2, 1]), length_penalty=0.6)
    assert len(traces) == 1
    assert first.tokens.tolist() != second.tokens.tolist()


def test_it_runs_inside_jit_and_vmap_with_weights_closed_over():
    tables = jnp.stack([table(0), table(1)])
    options = {"width": 3, "length": 3, "stop": 0, "length_penalty": 0.5}

    @jax.jit
    @jax.vmap
    def texts(weights):
        return beam_search(lambda c, token: (c, weights[token]), (), jnp.array([0, 1]), **options)

    got = texts(tables)
    for i in range(2):
        alone = beam_search(bigram, tables[i], jnp.array([0, 1]), axes=None, **options)
        np.testing.assert_array_equal(got.tokens[i], alone.tokens)
        np.testing.assert_allclose(got.scores[i], alone.scores, rtol=1e-6)


def test_dtypes_are_int32_and_float32(x64):
    for dtype in (jnp.bfloat16, jnp.float64):
        prompts = jnp.array([0], jnp.uint8)
        found = beam_search(bigram, table().astype(dtype), prompts, axes=None, width=2, length=2)
        assert found.tokens.dtype == found.lengths.dtype == jnp.int32
        assert found.scores.dtype == found.log_probs.dtype == jnp.float32
        assert found.tokens.shape == (1, 2, 2) and found.scores.shape == (1, 2)


def test_what_a_step_hands_back_untouched_is_never_moved():
    memory = jnp.arange(6.0).reshape(3, 2) ** 2

    def step(carry, token):
        seen, memory = carry["seen"] + 1, carry["memory"]
        logits = memory[:, :1] * jax.nn.one_hot(token, V) + seen[..., 0]
        return {"seen": seen, "memory": memory}, logits

    def run(memory):
        carry = {"seen": jnp.zeros((3, 1, 1)), "memory": memory}
        return beam_search(step, carry, PROMPTS, width=2, length=2)

    program = str(jax.make_jaxpr(run)(memory))
    moved = [line for line in program.splitlines() if " gather[" in line]
    assert any("f32[6,1,1]" in line for line in moved)
    assert not any("f32[6,2]" in line for line in moved)
    assert run(memory).tokens[:, 0].tolist() == [[0, 0], [3, 3], [4, 4]]


def test_wrong_settings_are_refused(untyped):
    run = functools.partial(beam_search, bigram, table(), jnp.array([0]), axes=None)
    with pytest.raises(
        ValueError, match=r"^beam_search: `width` must be at least 1, but it is 0\."
    ):
        run(width=0, length=1)
    with pytest.raises(TypeError, match=r"`width` must be a Python integer, but it is 2\.0"):
        run(width=2.0, length=1)
    with pytest.raises(ValueError, match=r"`length` must be at least 1, but it is 0"):
        run(width=1, length=0)
    with pytest.raises(ValueError, match=r"`stop` must be between 0 and V - 1 = 4, but it is 5"):
        run(width=1, length=1, stop=5)
    for wrong in (-0.5, float("inf"), float("nan")):
        with pytest.raises(
            ValueError, match=r"`length_penalty` must be at least 0 and finite, but"
        ):
            run(width=1, length=1, length_penalty=wrong)
    with pytest.raises(TypeError, match=r"`length_penalty` must be one number, but it is 'a'"):
        run(width=1, length=1, length_penalty="a")


def test_axes_that_do_not_fit_are_refused(untyped):
    def run(axes, carry):
        beam_search(
            lambda c, t: (c, jnp.zeros((1, 2))), carry, PROMPTS, axes=axes, width=1, length=1
        )

    with pytest.raises(TypeError, match=r"`axes` must be a prefix of `carry`, as `in_axes` of jax"):
        run((0, 0, 0), (jnp.zeros(3), jnp.zeros(3)))
    with pytest.raises(
        ValueError,
        match=r"`axes` must say which axis of the carry is the batch of B = 3, but `carry\['h'\]` "
        r"has shape \(1, 3\), and its axis is to be 0\.\n  Hint: of a layer's carry it is 1; None",
    ):
        run(0, {"h": jnp.zeros((1, 3))})
    with pytest.raises(ValueError, match=r"and its axis is to be 2"):
        run(2, {"h": jnp.zeros((1, 3))})
    with pytest.raises(TypeError, match=r"`axes` must be a Python integer, but it is 1\.0"):
        run(1.0, {"h": jnp.zeros((1, 3))})


def test_a_step_that_does_not_fit_is_refused():
    with pytest.raises(
        ValueError, match=r"logits of shape \(B \* width, V\) with B \* width = 6, "
    ):
        beam_search(lambda c, t: (c, jnp.zeros((3, 2))), (), PROMPTS, width=2, length=1)
    carry = {"layer": Directions(jnp.zeros((1, 2)), jnp.zeros((1, 2)))}
    with pytest.raises(ValueError, match=r"^beam_search: `carry` belongs to a bidirectional model"):
        beam_search(lambda c, t: (c, jnp.zeros((1, 2))), carry, jnp.array([0]), width=1, length=1)
