"""Sequence to sequence: two decoders that agree, steps, sampling, nothing of the pads."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from readers import drawn, fit

from jaxseq import decoding, nn

SOURCE_SIZE, V, E, H = 6, 5, 3, 4
SOURCE = np.array([[1, 5, 0, 2], [3, 3, 1, 4], [2, 2, 2, 2]])
TARGET = np.array([[0, 4, 2], [0, 3, 3], [0, 1, 1]])
LENGTHS = {"source_lengths": np.array([4, 2, 0]), "lengths": np.array([3, 2, 0])}
PADS = np.arange(4) >= LENGTHS["source_lengths"][:, None]
TARGET_PADS = np.arange(3) >= LENGTHS["lengths"][:, None]
KEY = jax.random.key(3)


@functools.cache
def build(**settings):
    sizes = (SOURCE_SIZE, V, E, H, settings.pop("layers", 1))
    return drawn(lambda: nn.Seq2Seq(*sizes, rngs=jax.random.key(0), **settings))


def close(a, b, rtol=1e-5, atol=1e-6):
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=rtol, atol=atol), a, b)


KINDS = (
    {"cell": "lstm", "attention": "general"},
    {"cell": "gru", "attention": "dot", "layers": 2, "encoder_layers": 1},
    {"cell": "elman", "attention": "additive", "tied": True, "encoder_layers": 2},
)
both_ways = pytest.mark.parametrize("feeding", [False, True], ids=["at once", "feeding"])
# Where the two share most of what is looked at, the quick run has the way with more in it.
one_quickly = pytest.mark.parametrize(
    "feeding", [pytest.param(False, marks=pytest.mark.slow), True], ids=["at once", "feeding"]
)


@jax.jit
def call(model, source, target, source_lengths=None, lengths=None):
    return model(source, target, source_lengths=source_lengths, lengths=lengths)


@pytest.mark.parametrize(
    ("kind", "feeding"),
    [
        pytest.param(KINDS[1], False, id="dot-at once"),
        pytest.param(KINDS[2], True, id="additive-feeding"),
        pytest.param(KINDS[1], True, id="dot-feeding", marks=pytest.mark.slow),
        pytest.param(KINDS[2], False, id="additive-at once", marks=pytest.mark.slow),
    ],
)
def test_steps_are_the_call(kind, feeding, x64):
    model = build(**kind, input_feeding=feeding, param_dtype=jnp.float64)
    lengths = LENGTHS["source_lengths"]

    @jax.jit
    def run(model, source, target):
        def step(carry, token):
            carry, logits = model.step(carry, token)
            return carry, (logits, carry.weights)

        logits = model(source, target, source_lengths=lengths)
        looks = model.alignments(source, target, source_lengths=lengths)
        _, steps = jax.lax.scan(step, model.encode(source, lengths=lengths), target.T)
        return (logits, looks), tuple(part.swapaxes(0, 1) for part in steps)

    (logits, looks), steps = run(model, SOURCE, TARGET)
    assert logits.shape == (3, 3, V) and looks.shape == (3, 3, 4)
    close(steps, (logits, looks), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(looks.sum(-1), [[1] * 3, [1] * 3, [0] * 3], rtol=1e-12)


def test_sampling_at_rate_zero_is_the_call():
    model = build(cell="elman", layers=2, dropout=0.4)

    @jax.jit
    def run(model, rate):
        options = {**LENGTHS, "rngs": KEY}
        sampled = model(SOURCE, TARGET, sampling=rate, **options)
        return sampled, model(SOURCE, TARGET, **options)

    sampled, forced = run(model, 0.0)
    close(sampled, forced)  # the same masks too
    assert np.abs(forced - call(model, SOURCE, TARGET, **LENGTHS)).max() > 0.01


def test_what_is_fed_back_is_the_attentional_vector_of_the_step_before():
    model = build(cell="elman", input_feeding=True, layers=2)
    params = nn.pure(model).params["decoder"]

    @jax.jit
    def run(carry, token):
        xs = jnp.concatenate([params["embedding"][token], carry.attended], -1)
        _, y = model.decoder.rnn.step(carry.rnn, xs)
        after, _ = model.step(carry, token)
        context = jnp.einsum("bs,bsd->bd", after.weights, after.memory.values)
        both = jnp.concatenate([context, y], -1) @ params["w_attended"].T
        return after, jnp.tanh(both + params["b_attended"][None])

    carry = jax.jit(model.encode)(SOURCE)
    for t in range(3):
        carry, attended = run(carry, TARGET[:, t])
        close(carry.attended, attended)


def test_a_step_reads_its_own_symbol_as_often_as_asked():
    sure = nn.pure(build(cell="elman")).params
    sure["decoder"]["bias"] = jnp.zeros(V).at[2].set(1e4)  # whatever it reads, it says 2
    model = nn.with_params(build(cell="elman"), sure)
    source, target = SOURCE[:1].repeat(400, 0), TARGET[:1].repeat(400, 0)
    sampled = jax.jit(lambda rate: model(source, target, sampling=rate, rngs=KEY))
    forced, own = (call(model, source, np.tile(read, (400, 1))) for read in (TARGET[0], [0, 2, 2]))
    close(sampled(1.0), own)
    other = np.abs(sampled(jnp.array(0.25))[:, 1] - forced[:, 1]).max(-1) > 1e-3
    assert 0.15 < other.mean() < 0.35


def test_a_schedule_of_sampling_compiles_once():
    traces = []

    @jax.jit
    def run(rate, key):
        traces.append(None)
        return build(cell="elman")(SOURCE, TARGET, sampling=rate, rngs=key)

    first, again = run(jnp.array(0.9), KEY), run(jnp.array(0.9), KEY)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - run(jnp.array(0.1), jax.random.key(4))).max() > 1e-3
    assert len(traces) == 1


def everything(model, source, target, rate):
    """The gradient of all that a call and its alignments give, and these."""
    lengths = {name: jnp.asarray(array) for name, array in LENGTHS.items()}

    def loss(model):
        logits = model(source, target, sampling=rate, rngs=KEY, **lengths)
        return (logits**2).sum(), logits

    gradient, logits = jax.grad(loss, has_aux=True)(model)
    return gradient, (logits, model.alignments(source, target, **lengths))


@pytest.mark.parametrize(
    ("kind", "rate"),
    [
        ({**KINDS[2], "dropout": 0.3}, 0.0),
        ({**KINDS[1], "input_feeding": True, "dropout": 0.3}, 0.0),
        ({**KINDS[2], "input_feeding": True}, 0.5),
    ],
    ids=["at once", "feeding", "sampling"],
)
def test_the_pads_may_hold_anything(kind, rate):
    model = build(**kind)
    run = jax.jit(lambda *arrays: everything(model, *arrays, rate))
    clean = run(SOURCE, TARGET)
    dirty = np.where(PADS, [[-7, 99, -1, 1000]], SOURCE), np.where(TARGET_PADS, -3, TARGET)
    jax.tree.map(np.testing.assert_array_equal, run(*dirty), clean)
    gradient, (logits, looks) = clean
    bias = np.asarray(model.decoder.bias.get_value())
    np.testing.assert_allclose(np.asarray(logits)[TARGET_PADS], np.tile(bias, (4, 1)), rtol=1e-6)
    looks = np.asarray(looks)
    assert (looks[TARGET_PADS] == 0).all() and (looks.swapaxes(1, 2)[PADS] == 0).all()
    leaves = jax.tree.leaves(gradient)
    assert all(np.isfinite(leaf).all() and np.any(np.asarray(leaf)) for leaf in leaves)


@both_ways
def test_gradients_are_those_of_the_plain_loops(feeding, x64):
    model = build(input_feeding=feeding, param_dtype=jnp.float64)

    def loss(model, backend):
        return (model(SOURCE, TARGET, backend=backend, **LENGTHS) ** 2).sum()

    gradient = jax.jit(jax.grad(loss), static_argnums=1)
    close(gradient(model, "auto"), gradient(model, "reference"), rtol=1e-9, atol=1e-11)


@one_quickly
def test_batch_axes_are_as_one_and_one_example_needs_none(feeding):
    model = build(cell="elman", layers=2, input_feeding=feeding)
    logits = call(model, SOURCE, TARGET, **LENGTHS)
    given = {name: lengths[:, None] for name, lengths in LENGTHS.items()}
    close(call(model, SOURCE[:, None], TARGET[:, None], **given)[:, 0], logits)
    close(call(model, SOURCE[0], TARGET[0]), logits[0])
    over = jax.vmap(lambda *a: model(a[0], a[1], source_lengths=a[2], lengths=a[3]))
    close(jax.jit(over)(SOURCE, TARGET, *LENGTHS.values()), logits)
    carry = jax.eval_shape(model.encode, SOURCE[:, None])
    assert carry.rnn.h.shape == (2, 3, 1, H) and carry.attended.shape == (3, 1, H)
    after, step = jax.eval_shape(model.step, carry, TARGET[:, :1])
    assert after == carry and step.shape == (3, 1, V)


@one_quickly
def test_dropout_is_drawn_from_its_key(feeding):
    settings = {"cell": "elman", "layers": 2, "input_feeding": feeding}
    model = build(dropout=0.5, **settings)
    dropped = jax.jit(lambda key: model(SOURCE, TARGET, rngs=key))
    np.testing.assert_array_equal(dropped(KEY), dropped(jnp.copy(KEY)))
    assert np.abs(dropped(KEY) - dropped(jax.random.key(4))).max() > 1e-3
    plain = call(build(**settings), SOURCE, TARGET)
    np.testing.assert_array_equal(call(model, SOURCE, TARGET), plain)
    carry = jax.jit(lambda key: model.encode(SOURCE, rngs=key))(KEY)
    assert (carry.memory.values == 0).any()


@both_ways
def test_logits_and_weights_are_in_float32_or_better(feeding):
    model = build(param_dtype=jnp.bfloat16, input_feeding=feeding)
    leaves = jax.tree.leaves(nn.pure(model).params)
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype("bfloat16")}
    carry = jax.eval_shape(lambda: model.encode(SOURCE, lengths=LENGTHS["source_lengths"]))
    after, logits = jax.eval_shape(model.step, carry, TARGET[:, 0])
    assert after == carry and carry.attended.dtype == jnp.bfloat16
    assert logits.dtype == carry.weights.dtype == jnp.float32
    assert jax.eval_shape(lambda: model(SOURCE, TARGET, **LENGTHS)).dtype == jnp.float32


def test_weights_begin_as_documented():
    model = nn.Seq2Seq(400, 300, 64, 32, 2, attention="additive", rngs=nnx.Rngs(0))
    params = nn.pure(model).params
    assert params["encoder"]["reader"]["rnn"]["layers"]["0"]["w_hh"].shape == (64, 16)
    assert abs(float(params["decoder"]["embedding"].std()) - 1.0) < 0.03
    bridge = params["encoder"]["bridge"]
    assert bridge["w_c"].shape == (2, 32, 32) and (bridge["b_h"] == 0).all()
    limit = (6.0 / 64) ** 0.5
    assert 0.95 * limit < float(jnp.abs(bridge["w_h"]).max()) <= limit
    assert params["decoder"]["rnn"]["layers"]["0"]["w_ih"].shape == (128, 64)


def test_tied_weights_are_one_array():
    model = nn.Seq2Seq(1, 300, 64, 2, tied=True, input_feeding=True, cell="elman", rngs=nnx.Rngs(0))
    params = nn.pure(model).params["decoder"]
    assert "projection" not in params and params["w_attended"].shape == (64, 4)
    assert params["rnn"]["layers"]["0"]["w_ih"].shape == (2, 128)
    assert abs(float(params["embedding"].std()) - 64**-0.25) < 0.01


def stepper(model):
    params, read = nn.pure(model, method="step")

    def step(carry, token):
        params, state = carry
        state, logits = read(params, state, token)
        return (params, state), logits

    return step, params


@both_ways
def test_beams_share_the_memory_of_their_row(feeding):
    model = build(cell="elman", input_feeding=feeding, layers=2)
    step, params = stepper(model)
    lengths = LENGTHS["source_lengths"]
    carry = (params, jax.jit(lambda: model.encode(SOURCE, lengths=lengths))())
    begin, options = TARGET[:, 0], {"length": 5, "stop": 1}
    shared = decoding.beam_search(step, carry, begin, axes=(None, model.beams), width=3, **options)
    own = (None, nn.Seq2SeqCarry(rnn=1, attended=0, weights=0, memory=0))
    repeated = decoding.beam_search(step, carry, begin, axes=own, width=3, **options)
    np.testing.assert_array_equal(shared.tokens, repeated.tokens)
    close(shared.scores, repeated.scores)
    one = decoding.beam_search(step, carry, begin, axes=(None, model.beams), width=1, **options)
    text = decoding.greedy(step, carry, begin, **options)
    np.testing.assert_array_equal(one.tokens[:, 0], text.tokens)
    read = np.concatenate([begin[:, None], shared.tokens[:, 0, :-1]], axis=1)
    logits = call(model, SOURCE, read, source_lengths=lengths)
    scores = jnp.take_along_axis(jax.nn.log_softmax(logits), shared.tokens[:, 0, :, None], -1)[
        ..., 0
    ]
    counted = np.arange(5) <= np.asarray(shared.lengths[:, 0, None])
    close(shared.log_probs[:, 0], np.where(counted, scores, 0).sum(-1))


def test_it_learns_to_reverse():
    rng = np.random.default_rng(0)
    source = rng.integers(2, 6, (64, 4))
    target = np.concatenate([np.zeros((64, 1), int), source[:, ::-1]], axis=1)
    model = nn.Seq2Seq(6, 6, 8, 16, cell="gru", rngs=nnx.Rngs(0))
    params, apply = nn.pure(model)

    def loss(params):
        log_probs = jax.nn.log_softmax(apply(params, source, target[:, :-1]))
        return -jnp.take_along_axis(log_probs, target[:, 1:, None], -1).mean()

    params = fit(loss, params, rate=0.3, steps=150)
    assert jax.jit(loss)(params) < 0.1
    looks = jax.jit(nn.with_params(model, params).alignments)(source, target[:, :-1])
    assert (np.asarray(looks).argmax(-1) == [[3, 2, 1, 0]]).mean() > 0.5


def test_wrong_settings_are_refused(untyped):
    def run(*sizes, **settings):
        sizes = sizes or (SOURCE_SIZE, V, E, H)
        nnx.eval_shape(lambda: nn.Seq2Seq(*sizes, rngs=nnx.Rngs(0), **settings))

    with pytest.raises(
        ValueError, match=r"^Seq2Seq: `source_vocab_size` must be a positive integer"
    ):
        run(0, V, E, H)
    with pytest.raises(ValueError, match=r"`target_vocab_size` must be a positive integer"):
        run(SOURCE_SIZE, 0, E, H)
    with pytest.raises(ValueError, match=r"`embed_size` must be a positive integer"):
        run(SOURCE_SIZE, V, 0, H)
    with pytest.raises(
        ValueError, match=r"`encoder_layers` must be a positive integer, but it is 0"
    ):
        run(encoder_layers=0)
    with pytest.raises(ValueError, match=r"`dropout` must be in \[0, 1\), but it is 1"):
        run(dropout=1)
    with pytest.raises(ValueError, match=r"`cell` must be one of"):
        run(cell="rnn")
    with pytest.raises(
        ValueError,
        match=r'`attention` must be one of "dot", "general", "additive", but it is \'x\'',
    ):
        run(attention="x")
    with pytest.raises(
        ValueError,
        match=r"`hidden_size` must be even for an encoder of half of it in each direction, but it "
        r"is 3\.\n  Hint: or say `encoder_size`\.",
    ):
        run(SOURCE_SIZE, V, E, 3)
    with pytest.raises(
        ValueError,
        match=r'`attention="dot"` compares .* hidden_size = 4 and 2 \* encoder_size = 6\.\n  Hint: '
        r'choose encoder_size = hidden_size / 2, or "general"',
    ):
        run(encoder_size=3, attention="dot")


def test_wrong_calls_are_refused(untyped):
    model = build()
    with pytest.raises(
        ValueError, match=r"^Seq2Seq: `source` must lie in \[0, source_vocab_size\) = \[0, 6\), but"
    ):
        model(SOURCE + 4, TARGET)
    with pytest.raises(
        ValueError, match=r"`target` must lie in \[0, target_vocab_size\) = \[0, 5\)"
    ):
        model(SOURCE, TARGET + 1)
    with pytest.raises(TypeError, match=r"`target` must be integers, but they are float64"):
        model(SOURCE, TARGET + 0.5)
    with pytest.raises(
        ValueError,
        match=r"`source` and `target` must have the same batch axes, but they have shapes \(3, 4\) "
        r"and \(2, 3\)",
    ):
        model(SOURCE, TARGET[:2])
    with pytest.raises(ValueError, match=r"`lengths` must have shape \(\*batch,\) = \(3,\), but"):
        model(SOURCE, TARGET, lengths=np.array([1, 2]))
    with pytest.raises(
        ValueError, match=r"`lengths` must lie in \[0, T\] = \[0, 3\], but .* 1 to 4"
    ):
        model(SOURCE, TARGET, lengths=np.array([1, 2, 4]))
    with pytest.raises(TypeError, match=r"`lengths` must be integers, but they are float64"):
        model(SOURCE, TARGET, lengths=np.ones(3))
    with pytest.raises(ValueError, match=r"`sampling` must be in \[0, 1\], but it is 1\.5"):
        model(SOURCE, TARGET, sampling=1.5, rngs=KEY)
    with pytest.raises(ValueError, match=r"`sampling` must be one probability, but .* \(2,\)"):
        model(SOURCE, TARGET, sampling=jnp.ones(2), rngs=KEY)
    with pytest.raises(
        ValueError, match=r"`sampling` draws symbols, and there are no `rngs` .*\n  Hint: rngs=jax"
    ):
        model(SOURCE, TARGET, sampling=0.5)
    with pytest.raises(ValueError, match=r"`token` must have shape \(\*batch,\) = \(3,\), but it"):
        model.step(model.encode(SOURCE), np.array([0]))


def test_a_symbol_out_of_range_is_seen_under_jit():
    for feeding in (False, True):
        model = build(input_feeding=feeding)
        target = np.array([[0, V, 2], [0, 1, 1], [0, 1, 1]])
        logits = jax.jit(model.__call__)(np.where(SOURCE == 4, 9, SOURCE), target)
        assert np.isnan(logits[0, 1:]).all() and np.isfinite(logits[0, 0]).all()
        assert np.isnan(logits[1]).all() and np.isfinite(logits[2]).all()
