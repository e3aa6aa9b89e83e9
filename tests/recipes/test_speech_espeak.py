"""The program that drives espeak-ng, with a library in its place, and with the real one."""

import array
import ctypes
import io
import json
import struct
import sys

import pytest

from jaxseq.recipes import _speech_espeak as espeak

JOB = {"library": "L", "data": "D", "utterances": []}
ONE = {"text": "one two", "voice": "gmw/en-US", "rate": 170, "pitch": 50, "range": 50, "gap": 1}


class Library:
    """Says four samples in two pieces, and that a word begins at the first and at the third."""

    def __init__(self, *, rate=100, voice=0, said=0):
        self.rate, self.voice, self.said, self.set = rate, voice, said, {}

    def espeak_Initialize(self, output, length, data, options):
        assert (output, length, data, options) == (2, 0, b"D", 0x8000)
        return self.rate

    def espeak_SetSynthCallback(self, callback):
        self.hear = callback

    def espeak_SetVoiceByName(self, name):
        return self.voice if name == b"gmw/en-US" else 2

    def espeak_SetParameter(self, number, value, relative):
        self.set[number] = value

    def espeak_Synth(self, text, size, *rest):
        assert size.value == len(text) + 1
        for number, samples in enumerate(([1, -2], [3, 4], [])):
            events = (espeak.Event * 2)()
            if samples:
                events[0].type, events[0].sample = espeak.WORD, 2 * number
            pieces = (ctypes.c_short * 2)(*samples) if samples else None
            self.hear(pieces, len(samples), events)
        return self.said


@pytest.fixture
def run(monkeypatch, capsysbinary):
    """Runs the program on a job, and returns its exit code and what it wrote."""

    def run(library, *utterances):
        monkeypatch.setattr(ctypes, "CDLL", lambda path: library)
        page = json.dumps(JOB | {"utterances": utterances})
        monkeypatch.setattr(sys, "stdin", io.StringIO(page))
        code = espeak.main()
        return code, *capsysbinary.readouterr()

    return run


def test_samples_and_the_beginnings_of_words_are_written(run):
    library = Library()
    code, out, err = run(library, ONE, ONE)
    one = struct.pack("=ii4h2i", 4, 2, 1, -2, 3, 4, 0, 2)
    assert (code, out, err) == (0, struct.pack("=i", 100) + one + one, b"")
    assert library.set == {1: 170, 3: 50, 4: 50, 7: 1}


@pytest.mark.parametrize(
    ("library", "message"),
    [
        (Library(rate=-1), b"espeak-ng does not start with the voices in D"),
        (Library(voice=2), b"espeak-ng has no voice gmw/en-US"),
        (Library(said=1), b"espeak-ng does not say 'one two'"),
    ],
)
def test_what_goes_wrong_is_said_and_the_exit_code_is_1(run, library, message):
    code, _, err = run(library, ONE)
    assert code == 1 and err.startswith(message)


def test_the_library_itself_says_so(tmp_path):
    loader = pytest.importorskip("espeakng_loader", reason="the synthesiser is an extra")
    job = {"library": loader.get_library_path(), "data": loader.get_data_path()}
    rate, first, again = espeak.spoken(job | {"utterances": [ONE, ONE]})
    assert struct.unpack("=i", rate) == (22050,)
    samples, words = struct.unpack_from("=ii", first)
    assert samples > 10000 and words == 2
    assert first != again  # it keeps state, which is why it has a process of its own
    with pytest.raises(RuntimeError, match="has no voice gmw/none"):
        list(espeak.spoken(job | {"utterances": [ONE | {"voice": "gmw/none"}]}))


def test_words_are_kept_as_integers_of_32_bits():
    assert array.array("i").itemsize == 4
