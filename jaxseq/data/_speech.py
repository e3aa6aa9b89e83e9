"""Speech of the user's own: a TSV or CSV file of WAV files and what is said in them."""

import os
import pathlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from jaxseq.data._files import UserFile
from jaxseq.data._labelled import numbered_columns
from jaxseq.data._wav import Sound, resample, sound_of


class Recording(NamedTuple):
    """What somebody said.

    Attributes:
      name: what it is called: its path as its file has it.
      samples: float32 ``[N]`` in [-1, 1].
      sample_rate: samples a second.
      transcript: what is said, words with one space between; empty where nobody says.
      speaker: who speaks; empty where nobody says.

    Example:
      >>> import numpy as np
      >>> Recording("a.wav", np.zeros(4, np.float32), 8000, "one two", "Ann").transcript.split()
      ['one', 'two']
    """

    name: str
    samples: Float32[np.ndarray, " N"]
    sample_rate: int
    transcript: str
    speaker: str


def read_speech(path: str | os.PathLike[str], *, sample_rate: int | None = None) -> list[Recording]:
    r"""Reads a TSV or CSV file of recordings and their transcripts, plain or gzipped.

    The first line names the columns ``path`` and ``transcript``, and ``speaker`` if there is one,
    in any order; tabs, commas, quotes, other columns and empty lines are as in
    :func:`read_labelled_text`. A path is one of a WAV file as :func:`read_wav` reads them, relative
    to the folder that the file is in. White space in a transcript counts as one space.

    Args:
      path: the file; UTF-8.
      sample_rate: what all recordings are brought to by :func:`resample`; None to leave each as it
        is.

    Returns:
      The recordings, in the order of the file.

    Raises:
      InputError: naming the file, and the line where there is one, as in
        :func:`read_labelled_text`, or if a WAV file is missing or cannot be used, as in
        :func:`read_wav`.

    Example:
      >>> import pathlib, tempfile, wave
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     folder = pathlib.Path(folder)
      ...     with wave.open(str(folder / "a.wav"), "wb") as file:
      ...         file.setparams((1, 2, 8000, 0, "NONE", ""))
      ...         file.writeframes(bytes(16000))
      ...     _ = (folder / "said.tsv").write_text("path\ttranscript\na.wav\tone two\n")
      ...     [recording] = read_speech(folder / "said.tsv", sample_rate=16000)
      >>> recording.transcript, recording.samples.shape
      ('one two', (16000,))
    """
    return _read("read_speech", pathlib.Path(path), sample_rate, ("path", "transcript"))


def read_recordings(
    path: str | os.PathLike[str], *, sample_rate: int | None = None
) -> list[Recording]:
    r"""Reads the recordings of a TSV or CSV file that are to be transcribed.

    The file is one that :func:`read_speech` reads, but it needs no column ``transcript``.

    Args:
      path: the file; UTF-8.
      sample_rate: as in :func:`read_speech`.

    Returns:
      The recordings, in the order of the file, without transcripts.

    Raises:
      InputError: as in :func:`read_speech`.

    Example:
      >>> read_recordings("no/such/file.tsv")
      Traceback (most recent call last):
        ...
      jaxseq._checks.InputError: read_recordings: there is no file `no/such/file.tsv`.
        Hint: check the spelling; a path is relative to the working directory.
    """
    return _read("read_recordings", pathlib.Path(path), sample_rate, ("path",))


def _read(
    where: str, path: pathlib.Path, sample_rate: int | None, names: tuple[str, ...]
) -> list[Recording]:
    file = UserFile(where, path)
    found = []
    for line, fields in numbered_columns(file, *names, optional=("speaker",)):
        name, transcript, speaker = fields if len(names) == 2 else (fields[0], "", fields[1])
        sound = _sound(file, line, name.strip())
        rate = sample_rate or sound.sample_rate
        samples = resample(sound.samples, sound.sample_rate, rate)
        said = " ".join(transcript.split())
        found.append(Recording(name.strip(), samples, rate, said, speaker.strip()))
    return found


def _sound(file: UserFile, line: int, name: str) -> Sound:
    """Returns the sound of a row, whose errors name the row and the WAV file."""
    place = file.path.parent / name
    if not place.is_file():
        hint = f"paths are relative to the folder of the file, {file.path.parent}"
        raise file.error(f"there is no file `{name}`", line=line, hint=hint)
    wav = UserFile(f"{file.where}: `{file.path}`, line {line}", place)
    return sound_of(wav, wav.read(wanted="WAV file"))
