"""Files of recordings and transcripts: paths, transcripts, speakers, and errors with their line."""

import gzip
import wave

import numpy as np
import pytest

from jaxseq._checks import InputError
from jaxseq.data import read_recordings, read_speech


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for number, name in enumerate(["a.wav", "sub/b.wav"], start=1):
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(np.full(100 * number, 2**14, np.int16).tobytes())
    return tmp_path


def write(folder, text, name="said.tsv"):
    (folder / name).write_text(text)
    return folder / name


def test_recordings_have_their_sound_and_what_is_said(folder):
    path = write(folder, "path\ttranscript\na.wav\tone  two\n\nsub/b.wav\t three\n")
    first, second = read_speech(path)
    assert first.name == "a.wav" and first.transcript == "one two" and first.speaker == ""
    assert first.sample_rate == 8000 and (first.samples == 0.5).all() and len(first.samples) == 100
    assert second.transcript == "three" and len(second.samples) == 200


def test_columns_stand_anywhere_and_name_the_speaker(folder):
    path = write(folder, "speaker,id,transcript,path\nAnn,7,one,a.wav\n,8,two,sub/b.wav\n", "s.csv")
    assert [(one.speaker, one.transcript) for one in read_speech(path)] == [
        ("Ann", "one"),
        ("", "two"),
    ]


def test_gzip_is_undone_and_the_sample_rate_is_the_one_asked_for(folder):
    path = folder / "said.tsv.gz"
    path.write_bytes(gzip.compress(b"path\ttranscript\na.wav\tone\n"))
    [one] = read_speech(path, sample_rate=16000)
    assert one.sample_rate == 16000 and len(one.samples) == 200


def test_what_is_to_be_transcribed_needs_no_transcript(folder):
    [one] = read_recordings(write(folder, "path\na.wav\n"))
    assert one.transcript == "" and len(one.samples) == 100
    [one] = read_recordings(write(folder, "path\ttranscript\tspeaker\na.wav\t\tBo\n"))
    assert one.transcript == "" and one.speaker == "Bo"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path\ttext\na.wav\tone\n", "line 1: there is no column `transcript`; the columns are"),
        ("path\ttranscript\na.wav\t\n", "line 2: the transcript is empty"),
        ("path\ttranscript\n", "has no rows below its header"),
        (
            "path\ttranscript\na.wav\tone\nc.wav\ttwo\n",
            "line 3: there is no file `c.wav`",
        ),
        ("path\ttranscript\nsub\tone\n", "line 2: there is no file `sub`"),
        (
            "path\ttranscript\na.wav\tone\nsaid.tsv\ttwo\n",
            r"said.tsv`, line 3: `.*said.tsv` is no WAV file: it begins with b'path\\ttransc",
        ),
    ],
)
def test_errors_name_the_file_and_the_line(folder, text, message):
    with pytest.raises(InputError, match=message):
        read_speech(write(folder, text))


def test_another_encoding_is_named(folder):
    (folder / "said.tsv").write_bytes("path\ttranscript\na.wav\t하나\n".encode("cp949"))
    with pytest.raises(InputError, match=r"is not UTF-8: byte .*, in line 2, .*\n.* CP949"):
        read_speech(folder / "said.tsv")
