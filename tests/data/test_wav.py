"""WAV files: what is in them as numbers, what is refused, and another sample rate."""

import gzip
import struct
import wave

import numpy as np
import pytest

from jaxseq._checks import InputError
from jaxseq.data import Sound, read_wav, resample

VALUES = np.array([0.0, 0.5, -0.5, -1.0, 0.25, 127 / 128], np.float32)
KINDS = {  # code, bits, what is written
    "8 bits": (1, 8, np.uint8(128 + 128 * VALUES)),
    "16 bits": (1, 16, np.int16(2**15 * VALUES)),
    "24 bits": (1, 24, np.int32(2**31 * np.float64(VALUES)).view(np.uint8).reshape(-1, 4)[:, 1:]),
    "32 bits": (1, 32, np.int32(2**31 * np.float64(VALUES))),
    "floats": (3, 32, VALUES),
    "long floats": (3, 64, np.float64(VALUES)),
}


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def wav(content, *, code=1, bits=16, channels=1, rate=8000, before=b"", more=b""):
    width = bits // 8 * channels
    layout = struct.pack("<HHIIHH", code, channels, rate, rate * width, width, bits) + more
    body = b"WAVE" + before + chunk(b"fmt ", layout) + chunk(b"data", content)
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.fixture
def write(tmp_path):
    def write(data):
        path = tmp_path / "a.wav"
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("kind", KINDS)
def test_each_encoding_is_the_numbers_that_it_stands_for(write, kind):
    code, bits, content = KINDS[kind]
    found = read_wav(write(wav(content.tobytes(), code=code, bits=bits)))
    assert found.sample_rate == 8000 and found.samples.dtype == np.float32
    np.testing.assert_array_equal(found.samples, VALUES)


def test_what_pythons_own_module_writes_is_read(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((2, 2, 16000, 0, "NONE", ""))
        file.writeframes(np.int16([[100, 300], [-100, -300]]).tobytes())
    found = read_wav(tmp_path / "a.wav")
    np.testing.assert_array_equal(found.samples, np.float32([200, -200]) / 2**15)
    assert found.sample_rate == 16000 and found.seconds == 2 / 16000


def test_chunks_before_the_samples_are_passed_over_and_gzip_is_undone(write):
    data = wav(np.int16([1, 2]).tobytes(), before=chunk(b"LIST", b"odd"))
    assert len(read_wav(write(gzip.compress(data))).samples) == 2


def test_the_extensible_format_says_further_on_what_it_is(write):
    more = struct.pack("<HHI", 22, 32, 0) + struct.pack("<H", 3) + bytes(14)
    found = read_wav(write(wav(VALUES.tobytes(), code=0xFFFE, bits=32, more=more)))
    np.testing.assert_array_equal(found.samples, VALUES)


def test_samples_whose_number_the_writer_did_not_know_go_to_the_end(write):
    data = wav(np.int16([1, 2, 3]).tobytes())
    streamed = data.replace(b"data\x06\0\0\0", b"data\xff\xff\xff\xff")
    assert len(read_wav(write(streamed)).samples) == 3


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"a.wav` is empty\.\n  Hint: convert it, as with `ffmpeg"),
        (b"ID3\4 a song", r"is no WAV file: it begins with b'ID3\\x04 a song'"),
        (wav(b"\0" * 8, code=7, bits=8), "has mu-law of 8 bits, which are not read here"),
        (wav(b"\0" * 8, code=77, bits=8), "has the encoding 0x004d of 8 bits, which"),
        (wav(b"\0" * 8, bits=12), "has integers of 12 bits, which are not read here"),
        (wav(b"\0" * 8, channels=0), "says that it has 0 channels and 8000 samples a second"),
        (wav(b""), "has no samples.\n  Hint: leave it out, or record it again"),
        (wav(b"\0" * 8)[:36], "has no samples: there is no `data` chunk"),
        (wav(b"\0" * 8)[:-2], "breaks off: 6 of 8 bytes of samples are there"),
        (b"RIFF\0\0\0\0WAVEdata\2\0\0\0\0\0", "has no format before its samples"),
        (
            wav(np.float32([np.nan]).tobytes(), code=3, bits=32),
            "has samples that are no finite numbers",
        ),
    ],
)
def test_what_is_no_sound_is_refused(write, data, message):
    with pytest.raises(InputError, match=message):
        read_wav(write(data))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="read_wav: there is no file"):
        read_wav(tmp_path / "none.wav")


# ---------------------------------------------------------------------------- another sample rate


def test_sound_at_another_rate_is_what_scipy_makes_of_it():
    from scipy import signal  # seconds of import, which the collecting processes need not have

    rng = np.random.default_rng(0)
    smooth = signal.firwin(201, 3000, fs=22050)  # nothing near the new half rate, where they differ
    sound = np.convolve(rng.standard_normal(5000), smooth)
    found, theirs = resample(sound, 22050, 8000), signal.resample_poly(sound, 160, 441)
    assert found.dtype == np.float32 and len(found) == len(theirs)
    np.testing.assert_allclose(found, theirs, atol=0.01 * np.abs(theirs).max())


def test_what_the_new_rate_cannot_carry_is_taken_out():
    tone = np.sin(2 * np.pi * 5000 * np.arange(16000) / 16000)
    assert np.abs(resample(tone, 16000, 8000)[200:-200]).max() < 0.01


@pytest.mark.parametrize(("old", "new"), [(8000, 16000), (8000, 44100), (11025, 8000), (3, 2)])
def test_a_slow_wave_stays_the_wave_that_it_is(old, new):
    frequency = min(old, new) / 20
    found = resample(np.sin(2 * np.pi * frequency * np.arange(old) / old), old, new)
    expected = np.sin(2 * np.pi * frequency * np.arange(len(found)) / new)
    middle = slice(len(found) // 4, 3 * len(found) // 4 + 1)
    if old > 100:
        np.testing.assert_allclose(found[middle], expected[middle], atol=0.01)
    assert len(found) == new


def test_the_same_rate_and_no_sound_change_nothing():
    samples = np.arange(5.0)
    np.testing.assert_array_equal(resample(samples, 8000, 8000), samples)
    assert len(resample(np.zeros(0), 8000, 16000)) == 0
    assert len(resample(np.ones(1), 8000, 16000)) == 2


def test_rates_and_shapes_that_make_no_sense_are_refused(untyped):
    with pytest.raises(ValueError, match="resample: `new` must be at least 1, but it is 0"):
        resample(np.zeros(3), 8000, 0)
    with pytest.raises(ValueError, match=r"must have shape \(N,\), but they have shape \(2, 2\)"):
        resample(np.zeros((2, 2)), 8000, 16000)


def test_a_sound_says_how_long_it_lasts():
    assert Sound(np.zeros(4000, np.float32), 8000).seconds == 0.5
