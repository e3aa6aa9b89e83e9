"""What a recogniser hears: features, transcripts, and when each label is heard."""

import itertools

import jax
import numpy as np
import pytest

from jaxseq._checks import InputError
from jaxseq.recipes._speech_config import Config, resolved
from jaxseq.recipes._speech_data import Example
from jaxseq.recipes._speech_hearing import (
    Heard,
    align,
    assessor,
    features_of,
    hear,
    spans_of,
    transcribe,
)
from jaxseq.recipes._speech_model import build
from jaxseq.sequence import log_mel, standardize
from jaxseq.structured import ctc

CONFIG = resolved(
    Config(
        **{"data": "my.tsv", "labels": "words", "sample_rate": 1000, "num_mels": 4, "stack": 2},
        **{"cell": "gru", "hidden_size": 3, "num_layers": 1, "beam": 3},
    )
)
RNG = np.random.default_rng(0)
SOUNDS = [RNG.normal(size=n).astype(np.float32) for n in (200, 90, 200)]


@pytest.fixture(scope="module")
def model():
    return build(CONFIG, ["one", "two"])


def test_features_are_those_of_each_sound_alone():
    for found, sound in zip(features_of(CONFIG, SOUNDS), SOUNDS, strict=True):
        frames = log_mel(sound, sample_rate=1000, num_mels=4)
        np.testing.assert_allclose(found, standardize(frames.features), atol=1e-4)


@pytest.mark.parametrize("beam", [0, 3])
def test_each_is_heard_as_alone(model, beam):
    features = features_of(CONFIG, SOUNDS)
    apply, greedy, loss = map(jax.jit, (model.apply, ctc.greedy, ctc.loss))
    for heard, one in zip(hear(model, model.params, features, beam=beam), features, strict=True):
        log_probs = apply(model.params, one).log_probs
        np.testing.assert_allclose(heard.log_probs, log_probs, atol=1e-5)
        best = greedy(log_probs)
        assert heard.greedy == model.decode(best.labels[: int(best.label_lengths)].tolist())
        if not beam:
            assert heard.beam == heard.greedy
            np.testing.assert_allclose(heard.log_prob, best.score, rtol=1e-4)
        else:
            labels = np.array(model.encode(heard.beam), np.int32)
            # The beam may have lost alignments on its way.
            assert -2.5 < heard.log_prob + float(loss(log_probs, labels).nats) < 1e-4


def test_transcripts_are_those_of_the_beam(model):
    heard = hear(model, model.params, features_of(CONFIG, SOUNDS), beam=3)
    assert transcribe(model, SOUNDS) == [one.beam for one in heard]


@pytest.mark.parametrize(
    ("sounds", "message"),
    [
        ([], "there is no sound to transcribe"),
        ([SOUNDS[0], np.zeros((4, 2), np.float32)], r"sound 1 must be floats .* shape \(4, 2\)"),
        ([np.zeros(400, np.int16)], "sound 0 must be floats of shape .*, but it is int16"),
    ],
)
def test_what_is_no_sound_is_refused(model, sounds, message):
    with pytest.raises(InputError, match=f"speech: {message}"):
        transcribe(model, sounds)


def certain(path):
    """Log-probabilities that are almost sure of a path."""
    return np.asarray(jax.nn.log_softmax(9.0 * np.eye(3, dtype=np.float32)[path]))


def test_labels_are_heard_when_the_model_is_sure_of_them(model):
    heard = [Heard("", "", 0.0, certain([0, 1, 1, 0, 2])), Heard("", "", 0.0, certain([2]))]
    first, short = spans_of(model, heard, ["one two", "two one"])
    assert [(span.label, round(span.start, 3), round(span.end, 3)) for span in first] == [
        ("one", 0.02, 0.06),
        ("two", 0.08, 0.1),
    ]
    assert short == []


def test_an_alignment_of_a_sound_has_every_label(model):
    spans = align(model, SOUNDS[0], "two two one")
    assert [span.label for span in spans] == ["two", "two", "one"]
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))
    with pytest.raises(InputError, match="does not know the label 'three' of the transcript"):
        align(model, SOUNDS[0], "two three")
    with pytest.raises(InputError, match="of 4 steps is too short for 9 labels"):
        align(model, SOUNDS[1], " ".join(["one"] * 9))


def test_weights_are_chosen_by_wrong_words(model):
    examples = [Example("a", sound, "one two", "", ()) for sound in SOUNDS]
    assess = assessor(model, examples)
    silent = dict(model.params, bias=np.float32([99, 0, 0]))
    assert assess(silent) == 100.0
    assert np.isnan(assess(dict(model.params, bias=np.float32([np.nan, 0, 0]))))
    assert assessor(model, [])(model.params) == 0.0
