"""Connected digits and letters in many voices, made by the synthesiser espeak-ng."""

import importlib.util
import json
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from jaxseq import data
from jaxseq._checks import error
from jaxseq.recipes._speech_config import TASK

DIGITS = "zero oh one two three four five six seven eight nine".split()
WORDS = {"digits": DIGITS, "letters": list("abcdefghijklmnopqrstuvwxyz")}
SPELT = {"a": "eh"}
"""What espeak-ng is to read so that it says the word: a lone ``a`` it takes for the article."""
LONGEST = 7

ACCENTS = (
    *("gmw/en", "gmw/en-029", "gmw/en-GB-scotland", "gmw/en-GB-x-gbclan", "gmw/en-GB-x-gbcwmd"),
    *("gmw/en-GB-x-rp", "gmw/en-US", "gmw/en-US-nyc"),
)
VOICES: dict[str, tuple[str, ...]] = {
    "train": (
        *("Andrea", "Andy", "AnxiousAndy", "Diogo", "Gene", "Gene2", "Henrique", "Hugo"),
        *("Jacky", "Lee", "Mario", "Mike", "Mr serious", "Reed", "Storm", "adam", "anika"),
        *("antonio", "aunty", "belinda", "benjamin", "caleb", "ed", "f4", "grandpa"),
        *("ian", "iven", "iven2", "iven3", "iven4", "john", "kaukovalta", "klatt", "klatt2"),
        *("klatt6", "linda", "m1", "m2", "m4", "m5", "m7", "marcelo", "max", "michel", "miguel"),
        *("mike2", "norbert", "paul", "pedro", "quincy", "rob", "robert", "shelby"),
        "travis",
    ),
    "valid": ("Annie", "Michael", "Nguyen", "boris", "david", "klatt3", "m8"),
    "test": (
        *("Alex", "Denis", "Marco", "edward", "edward2", "f1", "grandma", "gustave"),
        *("klatt4", "m3", "m6", "pablo", "steph", "steph2", "steph3"),
    ),
}
"""Variants of espeak-ng that a person could be taken for; what is alike is in one part.

Those whose breath is drawn at random, so that they never say the same twice, are left out: Alicia,
f2, f3, f5, sandro and victor; and so are the whisperers.
"""


class Said(NamedTuple):
    """What a voice is to say, and how: the fields that ``_speech_espeak`` reads.

    Attributes:
      text: words, with commas for pauses.
      voice: an accent and a variant, as ``gmw/en-US+f2``.
      rate: words a minute.
      pitch: 0 to 100.
      range: of the pitch, 0 to 100.
      gap: between words, in units of 10 ms.
    """

    text: str
    voice: str
    rate: int
    pitch: int
    range: int
    gap: int


class Spoken(NamedTuple):
    """What a voice has said.

    Attributes:
      samples: float32 ``[N]``.
      sample_rate: samples a second.
      starts: when each word begins, in seconds.
    """

    samples: Float32[np.ndarray, " N"]
    sample_rate: int
    starts: tuple[float, ...]


class Utterance(NamedTuple):
    """A recording that was synthesised, and when its words begin, in seconds."""

    recording: data.Recording
    starts: tuple[float, ...]


def check_synthesiser() -> None:
    """Raises if there is nothing to synthesise with.

    Raises:
      ImportError: if espeakng-loader is not installed.
    """
    if importlib.util.find_spec("espeakng_loader") is None:
        raise error(
            TASK,
            "espeak-ng, which says the digits and letters to learn from, is not installed",
            hint="pip install 'jaxseq[speech]', or give recordings of your own with --data",
            kind=ImportError,
        )


def synthesise(
    source: str, part: str, count: int, *, sample_rate: int, seed: int
) -> list[Utterance]:
    """Returns so many utterances of a part, in its own voices.

    Args:
      source: ``"digits"`` or ``"letters"``.
      part: ``"train"``, ``"valid"`` or ``"test"``.
      count: how many.
      sample_rate: of the recordings.
      seed: the same seed, the same utterances, as long as espeak-ng stays the same.

    Returns:
      The utterances.

    Raises:
      ImportError: if espeakng-loader is not installed.
    """
    check_synthesiser()
    rng = np.random.default_rng([seed, *part.encode()])
    jobs = [_drawn(rng, WORDS[source], VOICES[part]) for _ in range(count)]
    made = []
    for number, (said, spoken) in enumerate(zip(jobs, speak(jobs), strict=True)):
        samples, before = _recorded(rng, spoken, sample_rate)
        words = said.text.replace(",", "").split()
        shown = {spelt: word for word, spelt in SPELT.items()}
        transcript = " ".join(shown.get(word, word) for word in words)
        accent, _, variant = said.voice.removeprefix("gmw/").partition("+")
        name = f"{part}/{number} {accent}"
        recording = data.Recording(name, samples, sample_rate, transcript, variant)
        starts = tuple(before + start for start in spoken.starts)
        made.append(Utterance(recording, starts if len(starts) == len(words) else ()))
    return made


def speak(jobs: Sequence[Said]) -> list[Spoken]:
    """Returns what espeak-ng says, each time in a fresh process, which always says the same.

    Raises:
      ImportError: if espeakng-loader is not installed.
      RuntimeError: if the synthesiser fails.
    """
    check_synthesiser()
    import espeakng_loader

    page = {
        "library": espeakng_loader.get_library_path(),
        "data": espeakng_loader.get_data_path(),
        "utterances": [said._asdict() for said in jobs],
    }
    program = [sys.executable, "-I", str(Path(__file__).with_name("_speech_espeak.py"))]
    done = subprocess.run(program, input=json.dumps(page).encode(), capture_output=True)
    if done.returncode:
        problem = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        raise error(TASK, f"the synthesiser failed: {problem}", kind=RuntimeError)
    return _unpacked(done.stdout, len(jobs))


def _unpacked(written: bytes, count: int) -> list[Spoken]:
    """Reads what ``_speech_espeak`` wrote."""
    (rate,) = struct.unpack_from("=i", written)
    place, found = 4, []
    for _ in range(count):
        size, words = struct.unpack_from("=ii", written, place)
        samples = np.frombuffer(written, np.int16, size, place + 8)
        starts = np.frombuffer(written, np.int32, words, place + 8 + 2 * size)
        place += 8 + 2 * size + 4 * words
        heard = samples.astype(np.float32) / 2**15
        found.append(Spoken(heard, rate, tuple((starts / rate).tolist())))
    return found


def _drawn(rng: np.random.Generator, words: Sequence[str], variants: Sequence[str]) -> Said:
    """Draws what is said, who says it, and how."""
    chosen = [words[k] for k in rng.integers(len(words), size=rng.integers(1, LONGEST + 1))]
    spelt = [SPELT.get(word, word) for word in chosen]
    # A comma is a pause, and the fall of the voice before it.
    spelt = [word + ("," if rng.random() < 0.1 else "") for word in spelt[:-1]] + spelt[-1:]
    accent = ACCENTS[int(rng.integers(len(ACCENTS)))]
    variant = variants[int(rng.integers(len(variants)))]
    return Said(
        " ".join(spelt),
        f"{accent}+{variant}",
        rate=int(rng.integers(120, 221)),
        pitch=int(rng.integers(25, 76)),
        range=int(rng.integers(20, 81)),
        gap=int(rng.integers(0, 4)),
    )


def _recorded(
    rng: np.random.Generator, spoken: Spoken, sample_rate: int
) -> tuple[Float32[np.ndarray, " N"], float]:
    """Returns speech as a microphone takes it, and how long it is silent before.

    There is silence at both ends, the loudness varies, and there is some noise, 40 dB below.
    """
    before, after = rng.uniform(0.05, 0.3, 2)
    heard = data.resample(spoken.samples, spoken.sample_rate, sample_rate)
    gain = 10 ** (rng.uniform(-18, -3) / 20) / max(float(np.abs(heard).max(initial=0)), 1e-3)
    ends = (round(before * sample_rate), round(after * sample_rate))
    samples = np.pad(gain * heard, ends)
    return with_noise(rng, samples, decibels=40.0), ends[0] / sample_rate


def with_noise(rng: Any, samples: Float32[np.ndarray, " N"], *, decibels: float) -> Any:
    """Returns sound with white noise whose power is that much below the sound's."""
    power = float(np.mean(np.square(samples), dtype=np.float64))
    noise = rng.standard_normal(len(samples), np.float32)
    return samples + np.float32((power * 10 ** (-decibels / 10)) ** 0.5) * noise
