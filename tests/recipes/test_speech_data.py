"""What a recogniser learns from: files, synthesised parts, noise, labels."""

import gzip

import numpy as np
import pytest
import tiny_speech

from jaxseq._checks import InputError
from jaxseq.recipes import _speech_data
from jaxseq.recipes._speech_config import Config, resolved
from jaxseq.recipes._speech_data import (
    Example,
    Parts,
    joined,
    labels_for,
    mark,
    read_examples,
    read_parts,
    read_unlabelled,
    units_of,
    with_held_out,
    with_training_noise,
)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tiny_speech.recordings(tmp_path_factory.mktemp("spoken"))


def settings(data, **given):
    return resolved(Config(data=str(data), **{"sample_rate": 8000} | given))


def test_a_file_is_what_to_train_on_and_another_chooses_the_weights(file):
    parts = read_parts(settings(file))
    assert [len(part) for part in parts] == [6, 0, 0]
    first = parts.train[0]
    assert (first.name, first.transcript, first.speaker) == ("one_two.wav", "one two", "f2")
    assert len(first.samples) == 6800 and first.starts == ()
    both = read_parts(settings(file, valid=str(file), sample_rate=4000))
    assert len(both.valid) == 6 and len(both.valid[0].samples) == 3400


def test_held_out_recordings_go_by_their_path(file):
    parts = with_held_out(read_parts(settings(file)), settings(file, hold_out=3))
    assert [one.name for one in parts.valid] == ["one_two.wav", "two_two.wav"]
    assert len(parts.train) == 4
    assert with_held_out(parts, settings(file)) is parts
    whole = read_parts(settings(file))
    assert with_held_out(whole, settings(file, hold_out=0)) is whole


def test_what_is_to_be_transcribed_needs_no_transcripts(file):
    path = file.with_name("new.tsv.gz")
    path.write_bytes(gzip.compress(b"path\none_two.wav\n"))
    [one] = read_unlabelled(settings(file), str(path))
    assert one.name == "one_two.wav" and one.transcript == ""


def test_synthesised_parts_have_their_sizes_and_voices():
    pytest.importorskip("espeakng_loader", reason="the synthesiser is an extra")
    config = resolved(Config(utterances=20))
    parts = read_parts(config)
    assert [len(part) for part in parts] == [20, 2, 4]
    assert len(parts.test[0].starts) == len(parts.test[0].transcript.split())
    np.testing.assert_array_equal(parts.test[3].samples, read_examples(config, "digits")[3].samples)
    assert len(read_unlabelled(config, "digits")) == 4
    assert mark(parts) == mark(read_parts(config)) != mark(parts._replace(test=[]))


def test_a_name_that_is_none_is_refused_with_those_that_are_close():
    for read in (read_examples, read_unlabelled):
        with pytest.raises(InputError, match=r"no bundled corpus for speech 'digit'.*\n.*'digits'"):
            read(settings("digits"), "digit")


def test_noise_is_drawn_once_for_each_and_for_each_seed_anew(file):
    examples = read_parts(settings(file)).train
    config = settings(file, noise=10.0)
    noisy, again = (with_training_noise(examples, config) for _ in range(2))
    other = with_training_noise(examples, settings(file, noise=10.0, seed=1))
    for clean, one, same, different in zip(examples, noisy, again, other, strict=True):
        np.testing.assert_array_equal(one.samples, same.samples)
        assert not np.array_equal(one.samples, different.samples)
        noise, power = np.mean((one.samples - clean.samples) ** 2), np.mean(clean.samples**2)
        assert 10 - 0.5 < 10 * np.log10(power / noise) < 40 + 0.5
        assert one.samples.dtype == np.float32 and one.transcript == clean.transcript
    assert with_training_noise(examples, settings(file, noise=40.0)) == examples


def test_transcripts_become_labels_and_come_back():
    for labels in ("words", "characters"):
        assert joined(units_of("on it", labels), labels) == "on it"
    assert joined([" ", "a", " ", " ", "b"], "characters") == "a b"


def test_labels_are_those_of_training_and_words_must_be_few(monkeypatch):
    examples = [Example("a", np.zeros(2, np.float32), text, "", ()) for text in ("b a", "a c")]
    assert labels_for(examples, settings("my.tsv", labels="words")) == ["a", "b", "c"]
    assert labels_for(examples, settings("my.tsv")) == [" ", "a", "b", "c"]
    monkeypatch.setattr(_speech_data, "MOST_WORDS", 2)
    with pytest.raises(InputError, match=r"`my.tsv` have 3 different words.*\n.*`labels` to char"):
        labels_for(examples, settings("my.tsv", labels="words"))


def test_a_part_without_examples_is_empty():
    assert Parts([], [], []).valid == []
