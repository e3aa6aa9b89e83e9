"""What a recogniser learns from: recordings of one's own, or synthesised digits and letters."""

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from jaxseq import data
from jaxseq._checks import InputError, error
from jaxseq.recipes._sources import check_name, is_bundled
from jaxseq.recipes._speech_config import SYNTHESISED, TASK, Config
from jaxseq.recipes._speech_synthesis import synthesise, with_noise

BUNDLED = tuple(SYNTHESISED)
CLEAN = 40.0
"""Noise so many decibels below speech is what any recording has."""


class Example(NamedTuple):
    """A recording, and what is said in it.

    Attributes:
      name: its path, or its part and number if it is synthesised.
      samples: float32 ``[N]``, at the sample rate of the run.
      transcript: words with one space between.
      speaker: who speaks; empty where nobody says.
      starts: when each word begins, in seconds; empty where nobody says.

    Example:
      >>> import numpy as np
      >>> Example("a.wav", np.zeros(8000, np.float32), "one two", "Ann", ()).transcript
      'one two'
    """

    name: str
    samples: Float32[np.ndarray, " N"]
    transcript: str
    speaker: str
    starts: tuple[float, ...]


class Parts(NamedTuple):
    """Examples in their parts; one that there is not is empty.

    Attributes:
      train: to learn from.
      valid: to choose the weights by.
      test: to report on.

    Example:
      >>> Parts([], [], [])._fields
      ('train', 'valid', 'test')
    """

    train: list[Example]
    valid: list[Example]
    test: list[Example]


def read_parts(config: Config) -> Parts:
    """Returns the parts of synthesised data, or of a file of one's own.

    Args:
      config: the settings, none of which is left out.

    Returns:
      The parts; a file of one's own is ``train``.

    Raises:
      InputError: if there is no such file, or it cannot be used.
      ImportError: if espeakng-loader is needed and not installed.

    Example:
      >>> from jaxseq.recipes import speech
      >>> speech.read_parts(speech.resolved(speech.Config(data="no/such.tsv")))
      Traceback (most recent call last):
        ...
      jaxseq._checks.InputError: read_speech: there is no file `no/such.tsv`.
        Hint: check the spelling; a path is relative to the working directory.
    """
    if is_bundled(config.data, BUNDLED):
        parts = Parts(*(_synthesised(config, config.data, part) for part in Parts._fields))
    else:
        parts = Parts(_read(config, config.data), [], [])
    if config.valid is not None:
        parts = parts._replace(valid=read_examples(config, config.valid))
    return parts


def read_examples(config: Config, source: str) -> list[Example]:
    """Returns the examples to evaluate on: all of a file, or the test part of what is synthesised.

    Raises:
      InputError: as :func:`read_parts`.
      ImportError: as :func:`read_parts`.
    """
    if is_bundled(source, BUNDLED):
        return _synthesised(config, source, "test")
    return _read(config, source)


def read_unlabelled(config: Config, source: str) -> list[Example]:
    """Returns the recordings of a file that are to be transcribed; transcripts play no part.

    Raises:
      InputError: as :func:`read_parts`.
    """
    if is_bundled(source, BUNDLED):
        return _synthesised(config, source, "test")
    check_name(TASK, source, BUNDLED)
    return _examples(data.read_recordings(source, sample_rate=config.sample_rate))


def _read(config: Config, source: str) -> list[Example]:
    check_name(TASK, source, BUNDLED)
    return _examples(data.read_speech(source, sample_rate=config.sample_rate))


def _examples(recordings: Sequence[data.Recording]) -> list[Example]:
    return [Example(one.name, one.samples, one.transcript, one.speaker, ()) for one in recordings]


def _synthesised(config: Any, source: str, part: str) -> list[Example]:
    shares = {"train": 1, "valid": 10, "test": 5}
    count = max(1, config.utterances // shares[part])
    made = synthesise(source, part, count, sample_rate=config.sample_rate, seed=config.seed)
    return [
        Example(one.name, one.samples, one.transcript, one.speaker, starts) for one, starts in made
    ]


def with_held_out(parts: Parts, config: Config) -> Parts:
    """Returns the parts with some recordings held out, if there is no validation part.

    Raises:
      InputError: if there are too few recordings to hold one out.
    """
    if parts.valid or not config.hold_out:
        return parts
    held = data.hold_out(parts.train, lambda example: example.name, one_in=config.hold_out)
    return parts._replace(train=held.train, valid=held.held_out)


def with_training_noise(examples: Sequence[Example], config: Any) -> list[Example]:
    """Returns the examples with white noise, each by its own share, the same for the same seed."""
    if config.noise >= CLEAN:
        return list(examples)
    rng = np.random.default_rng([config.seed, *b"noise"])
    return [
        one._replace(
            samples=with_noise(rng, one.samples, decibels=rng.uniform(config.noise, CLEAN))
        )
        for one in examples
    ]


def mark(parts: Parts) -> dict[str, int]:
    """Returns what tells data from other data: how many recordings, and a checksum."""
    checksum = 0
    for part in parts:
        for example in part:
            content = np.ascontiguousarray(example.samples).tobytes()
            checksum = zlib.crc32(content + b"\t" + example.transcript.encode(), checksum)
    return {"recordings": sum(map(len, parts)), "crc32": checksum}


def units_of(transcript: str, labels: str) -> list[str]:
    """Returns the labels of a transcript: its words, or its characters with the spaces.

    Example:
      >>> units_of("on it", "words"), units_of("on it", "characters")
      (['on', 'it'], ['o', 'n', ' ', 'i', 't'])
    """
    return transcript.split() if labels == "words" else list(transcript)


def joined(units: Sequence[str], labels: str) -> str:
    """Returns the transcript that labels make: the inverse of :func:`units_of`."""
    return " ".join(units) if labels == "words" else " ".join("".join(units).split())


MOST_WORDS = 1000
"""With more words than these to tell apart, a model of words is a mistake."""


def labels_for(examples: Sequence[Example], config: Any) -> list[str]:
    """Returns the labels of training, sorted.

    Raises:
      InputError: if words are to be found, and there are too many.
    """
    labels = sorted({unit for one in examples for unit in units_of(one.transcript, config.labels)})
    if config.labels == "words" and len(labels) > MOST_WORDS:
        problem = f"the transcripts of `{config.data}` have {len(labels)} different words"
        hint = "set `labels` to characters"
        raise error(TASK, problem, hint=hint, kind=InputError)
    return labels
