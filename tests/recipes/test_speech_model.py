"""The model of a run: labels and numbers, its loss, what training hides, and what is loaded."""

import dataclasses
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_speech

from jaxseq import data
from jaxseq._checks import InputError
from jaxseq.recipes._speech_config import Config, resolved
from jaxseq.recipes._speech_data import Example
from jaxseq.recipes._speech_model import build, built_for, load, make_loss, masked, warped
from jaxseq.structured import ctc

SETTINGS = Config(
    **{"data": "my.tsv", "labels": "words", "num_mels": 2, "stack": 1, "hidden_size": 3},
    **{"num_layers": 1, "cell": "gru", "time_mask": 0, "mel_mask": 0, "dropout": 0.0},
    warp=0.0,
)
TEXTS = ("one two", "two", "two two two", "one")
EXAMPLES = [Example(text, np.zeros(2, np.float32), text, "", ()) for text in TEXTS]
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def model():
    return built_for(resolved(SETTINGS), EXAMPLES)


def test_transcripts_are_numbers_and_come_back(model):
    assert model.labels == ("one", "two") and model.seconds == 0.01
    assert model.encode("two one three") == [2, 1]  # what the model lacks is left out
    assert model.decode([2, 1]) == "two one"
    letters = build(resolved(dataclasses.replace(SETTINGS, labels="characters")), [" ", "a"])
    assert letters.encode("a a") == [2, 1, 2] and letters.decode([1, 2, 1, 1, 2]) == "a a"


def test_the_loss_is_that_of_ctc_in_nats_a_label(model):
    values = RNG.normal(size=(4, 4, 2)).astype(np.float32)
    lengths, rows = np.array([4, 3, 4, 0], np.int32), np.array([0, 1, 2, -1], np.int32)
    loss = make_loss(model, EXAMPLES)
    batch = data.BucketBatch(values, lengths, rows)
    sums, carry = jax.jit(lambda params: loss(params, (), batch, None))(model.params)
    expected = 0.0
    for row in (0, 1):  # row 2 has three labels with blanks between, and four frames
        log_probs = jax.jit(model.apply)(model.params, values[row, : lengths[row]]).log_probs
        labels = np.array(model.encode(TEXTS[row]), np.int32)
        expected += float(jax.jit(ctc.loss)(log_probs, labels).nats)
    np.testing.assert_allclose(sums.total, expected, rtol=1e-5)
    assert float(sums.count) == 3 and carry == ()


def test_training_hides_frames_and_bands_and_evaluation_nothing():
    config = dataclasses.replace(SETTINGS, time_mask=3, mel_mask=2)
    features, lengths = jnp.ones((64, 20, 8)), jnp.full(64, 20).at[0].set(4)
    found = np.asarray(masked(config, features, lengths, jax.random.key(0)))
    assert set(np.unique(found)) == {0.0, 1.0}
    bands, frames = (found == 0).all(1).sum(1), (found == 0).all(2).sum(1)
    assert bands.max() == 2 and bands.min() == 0  # of a row
    assert frames.max() <= 6 and frames[0] == 0 and len(set(frames.tolist())) > 3
    none = masked(SETTINGS, features, lengths, jax.random.key(0))
    np.testing.assert_array_equal(none, features)


def test_bands_are_stretched_along_the_lines_between_them():
    line = jnp.broadcast_to(jnp.arange(8.0)[None, None], (64, 3, 8))
    config = dataclasses.replace(SETTINGS, warp=0.2)
    found = np.asarray(warped(config, line, jax.random.key(0)))
    factors = found[:, 0, 1]
    np.testing.assert_allclose(
        found, np.minimum(factors[:, None] * np.arange(8), 7)[:, None].repeat(3, 1), atol=1e-5
    )
    assert 0.8 <= factors.min() < 0.9 < 1.1 < factors.max() <= 1.2
    np.testing.assert_allclose(warped(SETTINGS, line, jax.random.key(0)), line)


def test_a_model_that_is_loaded_is_the_best_of_its_run(tmp_path_factory, tmp_path):
    run = tiny_speech.recogniser(tmp_path_factory.getbasetemp())
    model = load(run.directory)
    assert model.labels == ("one", "three", "two") and model.seconds == pytest.approx(0.03)
    copy = shutil.copytree(run.directory, tmp_path / "copy")
    page = json.loads((copy / "config.json").read_text())
    del page["labels"]
    (copy / "config.json").write_text(json.dumps(page))
    with pytest.raises(InputError, match="is damaged"):
        load(copy)
