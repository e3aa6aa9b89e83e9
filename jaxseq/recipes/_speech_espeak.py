"""Drives espeak-ng: a program by itself, run by its path, that needs nothing but Python.

It runs in a process of its own for two reasons. The synthesiser keeps state from one utterance to
the next, so that only a fresh one always says the same in the same way. And whatever happens in
the C library, it happens elsewhere.

It reads JSON from its standard input, ``{"library": PATH, "data": PATH, "utterances": [{"text",
"voice", "rate", "pitch", "range", "gap"}, …]}``, and writes to its standard output the sample rate
and then for each utterance how many samples and words there are, the samples, and at which sample
each word begins; all integers of 32 bits but the samples, which have 16.
"""

import array
import ctypes
import json
import struct
import sys
from collections.abc import Iterator
from typing import Any

SYNCHRONOUS = 2  # the samples are given to the callback, and synthesis returns when it is done
DONT_EXIT = 0x8000
UTF8 = 1
END, WORD = 0, 1
PARAMETERS = {"rate": 1, "pitch": 3, "range": 4, "gap": 7}
"""The numbers of espeak-ng's parameters: words a minute, 0-100, 0-100, and tens of ms."""


class Event(ctypes.Structure):
    """What espeak-ng says of a place in the sound."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event)
)


class Synthesiser:
    """The library, once it is ready, and what it has said.

    Args:
      library: its path.
      data: the path of its voices.
    """

    def __init__(self, library: str, data: str) -> None:
        self._library = ctypes.CDLL(library)
        self.sample_rate = self._library.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), DONT_EXIT)
        if self.sample_rate <= 0:
            raise RuntimeError(f"espeak-ng does not start with the voices in {data}")
        self._sound, self._starts = bytearray(), array.array("i")
        self._callback = Callback(self._hear)  # kept, or it would be freed while it is called
        self._library.espeak_SetSynthCallback(self._callback)

    def _hear(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._sound += ctypes.string_at(samples, 2 * count)
        place = 0
        while events[place].type != END:
            if events[place].type == WORD:
                self._starts.append(events[place].sample)
            place += 1
        return 0

    def say(self, utterance: dict[str, Any]) -> tuple[bytes, array.array]:
        """Returns the samples of an utterance, and at which of them each word begins."""
        self._sound, self._starts = bytearray(), array.array("i")
        voice = utterance["voice"]
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise RuntimeError(f"espeak-ng has no voice {voice}")
        for name, number in PARAMETERS.items():
            self._library.espeak_SetParameter(number, int(utterance[name]), 0)
        text = utterance["text"].encode()
        size = ctypes.c_size_t(len(text) + 1)
        if self._library.espeak_Synth(text, size, 0, 1, 0, UTF8, None, None):
            raise RuntimeError(f"espeak-ng does not say {utterance['text']!r}")
        return bytes(self._sound), self._starts


def spoken(job: dict[str, Any]) -> Iterator[bytes]:
    """Yields what the program writes, piece by piece."""
    synthesiser = Synthesiser(job["library"], job["data"])
    yield struct.pack("=i", synthesiser.sample_rate)
    for utterance in job["utterances"]:
        samples, starts = synthesiser.say(utterance)
        yield struct.pack("=ii", len(samples) // 2, len(starts)) + samples + starts.tobytes()


def main() -> int:
    """Reads a job, and writes what is said."""
    try:
        for piece in spoken(json.load(sys.stdin)):
            sys.stdout.buffer.write(piece)
    except (OSError, RuntimeError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
