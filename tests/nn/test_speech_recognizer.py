"""The recogniser: its parts one by one, ragged rows, its loss, and what is refused."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from readers import drawn

from jaxseq import nn
from jaxseq.sequence import stack_frames
from jaxseq.structured import ctc

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(3, 7, 2)).astype(np.float32)
LENGTHS = np.array([7, 0, 4], np.int32)
SPOILT = np.where((np.arange(7) >= LENGTHS[:, None])[..., None], np.float32(np.nan), FEATURES)


def make(**settings):
    settings = {"cell": "gru", "stack": 2, "rngs": jax.random.key(1)} | settings
    model = drawn(lambda: nn.SpeechRecognizer(2, 3, 4, **settings))
    model.bias.set_value(jnp.array([0.5, -0.5, 0.2, 0.1]))
    return model


@pytest.fixture(scope="module")
def model():
    return make()


def test_log_probabilities_are_those_of_its_parts(model):
    found = model(SPOILT, lengths=LENGTHS)
    frames = stack_frames(SPOILT, size=2, lengths=LENGTHS)
    _, ys = model.reader.rnn(frames.features, lengths=frames.lengths)
    logits = np.asarray(ys) @ np.asarray(model.projection.get_value()).T
    expected = jax.nn.log_softmax(logits + np.float32([0.5, -0.5, 0.2, 0.1])[None, None])
    np.testing.assert_allclose(found.log_probs, expected, atol=1e-6)
    assert found.lengths.tolist() == [4, 0, 2]


def test_a_row_is_heard_as_it_is_alone(model):
    found = model(SPOILT, lengths=LENGTHS)
    alone = model(FEATURES[2, :4])
    np.testing.assert_allclose(found.log_probs[2, :2], alone.log_probs, atol=1e-6)
    assert alone.log_probs.shape == (2, 4) and int(alone.lengths) == 2


def test_its_loss_is_the_sum_over_all_alignments(model):
    found = model(FEATURES[0])
    log_probs = np.float64(found.log_probs)
    paths = [
        path
        for path in itertools.product(range(4), repeat=4)
        if [k for k, _ in itertools.groupby(path) if k] == [2, 1]
    ]
    total = sum(np.exp(sum(log_probs[t, k] for t, k in enumerate(path))) for path in paths)
    nats = model.loss(found, np.array([2, 1], np.int32)).nats
    np.testing.assert_allclose(nats, -np.log(total), rtol=1e-5)


def test_gradients_reach_every_weight_and_never_see_the_pads(model):
    params, apply = nn.pure(model)
    labels, counts = jnp.array([[2, 1], [9, 9], [3, 9]]), jnp.array([2, 0, 1])

    def loss(params, features):
        found = apply(params, features, lengths=jnp.asarray(LENGTHS))
        nats = ctc.loss(found.log_probs, labels, lengths=found.lengths, label_lengths=counts).nats
        return nats.sum()

    slopes, slope = jax.jit(jax.grad(loss, argnums=(0, 1)))(params, jnp.asarray(SPOILT))
    for path, leaf in jax.tree.leaves_with_path(slopes):
        assert np.isfinite(leaf).all() and np.abs(leaf).max() > 0, jax.tree_util.keystr(path)
    assert np.isfinite(slope).all() and (np.asarray(slope)[np.isnan(SPOILT)] == 0).all()


def test_a_row_too_short_for_its_labels_is_left_out_on_request(model):
    found = model(FEATURES, lengths=LENGTHS)
    labels = np.array([[1, 1], [1, 1], [1, 1]], np.int32)
    assert np.asarray(model.loss(found, labels).nats)[1:].tolist() == [np.inf, np.inf]
    left = model.loss(found, labels, infeasible="zero")
    assert left.infeasible.tolist() == [False, True, True] and left.nats[1] == 0


def test_dropout_needs_a_key_and_draws_by_it():
    model = make(dropout=0.5)
    assert not np.array_equal(
        model(FEATURES, rngs=jax.random.key(0)).log_probs,
        model(FEATURES, rngs=nnx.Rngs(dropout=1)).log_probs,
    )
    np.testing.assert_array_equal(model(FEATURES).log_probs, model(FEATURES).log_probs)


def test_one_direction_half_precision_and_one_frame_a_run_are_had_for_the_asking():
    model = make(stack=1, bidirectional=False, cell="elman", param_dtype=jnp.bfloat16)
    found = model(jnp.asarray(FEATURES, jnp.bfloat16))
    assert found.log_probs.shape == (3, 7, 4) and found.log_probs.dtype == jnp.float32
    assert model.projection.get_value().shape == (4, 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stack": 0}, "`stack` must be a positive integer, but it is 0"),
        ({"cell": "rnn"}, "`cell` must be one of"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\), but it is 1.0"),
    ],
)
def test_settings_out_of_range_are_refused(untyped, settings, message):
    with pytest.raises(ValueError, match=f"SpeechRecognizer: {message}"):
        make(**settings)


def test_features_of_another_width_are_refused(untyped, model):
    with pytest.raises(ValueError, match=r"num_features = 2, but they have shape \(3, 7, 3\)"):
        model(np.zeros((3, 7, 3), np.float32))
    with pytest.raises(ValueError, match=r"num_features = 2, but they have shape \(2,\)"):
        model(np.zeros(2, np.float32))
