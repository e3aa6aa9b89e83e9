"""Sound in a WAV file: what is in it as numbers, and at another sample rate."""

import math
import os
import pathlib
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32

from jaxseq._checks import error
from jaxseq.data._batches import check_positive
from jaxseq.data._files import UserFile

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_NAMES = {2: "ADPCM", 6: "A-law", 7: "mu-law", 17: "IMA ADPCM", 49: "GSM", 85: "MP3", 255: "AAC"}
_UNKNOWN = 0xFFFFFFFF
"""What a program writes as the length of a stream, which it does not know when it begins."""
_CONVERT = "convert it, as with `ffmpeg -i FILE -ac 1 -c:a pcm_s16le NEW.wav`"


class Sound(NamedTuple):
    """Sound as numbers.

    Attributes:
      samples: float32 ``[N]`` in [-1, 1], of the mean of the channels.
      sample_rate: samples a second.

    Example:
      >>> Sound(np.zeros(8000, np.float32), sample_rate=16000).seconds
      0.5
    """

    samples: Float32[np.ndarray, " N"]
    sample_rate: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.sample_rate


def read_wav(path: str | os.PathLike[str]) -> Sound:
    r"""Reads a WAV file: integers of 8, 16, 24 or 32 bits, or floats of 32 or 64.

    Several channels become their mean. Integers of n bits are divided by :math:`2^{n-1}`.

    Args:
      path: the file, plain or gzipped.

    Returns:
      The sound, at the file's own sample rate; :func:`resample` gives another.

    Raises:
      InputError: naming the file, if it cannot be read, is no WAV file, breaks off, has another
        encoding, no samples, or samples that are not finite.

    Example:
      >>> import pathlib, tempfile, wave
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = pathlib.Path(folder) / "two.wav"
      ...     with wave.open(str(path), "wb") as file:
      ...         file.setparams((1, 2, 8000, 0, "NONE", ""))
      ...         file.writeframes(b"\x00\x40\x00\xc0")  # 16384 and -16384
      ...     read_wav(path)
      Sound(samples=array([ 0.5, -0.5], dtype=float32), sample_rate=8000)

    References:
      IBM and Microsoft, "Multimedia Programming Interface and Data Specifications 1.0", 1991.
    """
    file = UserFile("read_wav", pathlib.Path(path))
    return sound_of(file, file.read(wanted="WAV file"))


def sound_of(file: UserFile, data: bytes) -> Sound:
    """Returns the sound in the bytes of a file, or raises the error that names it."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        problem = f"is no WAV file: it begins with {data[:12]!r}" if data else "is empty"
        raise file.error(problem, hint=_CONVERT)
    layout: tuple[int, int, int, int] | None = None
    for name, content, length in _chunks(data[12:]):
        if name == b"fmt " and len(content) >= 16:
            layout = _layout(file, content)
        if name == b"data":
            if layout is None:
                raise file.error("has no format before its samples", hint=_CONVERT)
            if length > len(content) and length != _UNKNOWN:
                problem = f"breaks off: {len(content)} of {length} bytes of samples are there"
                raise file.error(problem, hint="make or download it again")
            return _decoded(file, content, *layout)
    raise file.error("has no samples: there is no `data` chunk", hint=_CONVERT)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Yields the name of each chunk, what is there of it, and how long it says that it is."""
    place = 0
    while place + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, place)
        end = len(data) if length == _UNKNOWN else place + 8 + length
        yield name, data[place + 8 : end], length
        place = end + end % 2


def _layout(file: UserFile, content: bytes) -> tuple[int, int, int, int]:
    """Returns encoding, channels, sample rate and bits of a sample, or raises."""
    code, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", content)
    if code == _EXTENSIBLE and len(content) >= 26:
        code = struct.unpack_from("<H", content, 24)[0]
    if (code, bits) not in {(_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32)} | {
        (_FLOAT, 32),
        (_FLOAT, 64),
    }:
        named = {_PCM: "integers", _FLOAT: "floats"} | _NAMES
        problem = f"has {named.get(code, f'the encoding 0x{code:04x}')} of {bits} bits"
        raise file.error(f"{problem}, which are not read here", hint=_CONVERT)
    if not channels or not rate:
        problem = f"says that it has {channels} channels and {rate} samples a second"
        raise file.error(problem, hint=_CONVERT)
    return code, channels, rate, bits


def _decoded(
    file: UserFile, content: bytes, code: int, channels: int, rate: int, bits: int
) -> Sound:
    width = bits // 8
    content = content[: len(content) // (width * channels) * width * channels]
    if not content:
        raise file.error("has no samples", hint="leave it out, or record it again")
    if code == _FLOAT:
        values = np.frombuffer(content, f"<f{width}").astype(np.float32)
        if not np.isfinite(values).all():
            raise file.error("has samples that are no finite numbers", hint="make it again")
    elif bits == 8:
        values = (np.frombuffer(content, np.uint8).astype(np.float32) - 128) / 128
    elif bits == 24:
        # Each goes into the upper three bytes of four, so that its sign is where it belongs.
        wide = np.zeros((len(content) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
        values = wide.view("<i4")[:, 0].astype(np.float32) / 2**31
    else:
        values = np.frombuffer(content, f"<i{width}").astype(np.float32) / 2 ** (bits - 1)
    return Sound(values.reshape(-1, channels).mean(1, dtype=np.float32), rate)


def resample(samples: Float[np.ndarray, " N"], old: int, new: int) -> Float32[np.ndarray, " M"]:
    r"""Returns sound at another sample rate: its spectrum, cut or filled up with zeros.

    Frequencies that the new rate cannot carry are taken out, so that none comes back as another.
    The sound is followed by silence on its way, so that its end does not ring into its beginning.

    Args:
      samples: ``[N]``.
      old: samples a second.
      new: samples a second wanted.

    Returns:
      ``[ceil(N new / old)]``.

    Raises:
      ValueError: if a rate is below 1, or ``samples`` are not one-dimensional.

    Example:
      >>> tone = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
      >>> again = resample(tone, 22050, 8000)
      >>> expected = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
      >>> len(again), bool(np.abs(again - expected)[100:-100].max() < 0.01)
      (8000, True)

    References:
      Oppenheim and Schafer, "Discrete-Time Signal Processing", 1989, section 3.6.
    """
    check_positive("resample", old=old, new=new)
    if np.ndim(samples) != 1:
        problem = f"`samples` must have shape (N,), but they have shape {np.shape(samples)}"
        raise error("resample", problem)
    if old == new or not len(samples):
        return np.asarray(samples, np.float32)
    common = math.gcd(old, new)
    down, up = old // common, new // common
    # So many blocks of `down` samples become as many of `up`; powers of two are quick.
    blocks = 2 ** math.ceil(math.log2(math.ceil((len(samples) + old // 20) / down)))
    spectrum = np.fft.rfft(samples, blocks * down)
    kept = min(len(spectrum), blocks * min(up, down) // 2)
    wide = np.zeros(blocks * up // 2 + 1, spectrum.dtype)
    wide[:kept] = spectrum[:kept]
    count = math.ceil(len(samples) * new / old)
    return (np.fft.irfft(wide, blocks * up)[:count] * (up / down)).astype(np.float32)
