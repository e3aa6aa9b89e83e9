"""What holds for every reader of users' files: what cannot be read is named, with the way out."""

import gzip
import re

import numpy as np
import pytest

from jaxseq._checks import InputError
from jaxseq.data import (
    read_labelled_text,
    read_series,
    read_tagged,
    read_text,
    read_texts,
    read_tokens,
)
from jaxseq.data._files import listed

TABLE = "text\tlabel\n갑\tone\n을 é\ttwo\n"
TOKENS = "갑\tO\n\n을 é\tB\n"
SERIES = "# 갑\n@classLabel true é b\n@data\n1,2:3,4:é\n"
READERS = {
    read_text: "갑\n을 é\n",
    read_labelled_text: TABLE,
    read_texts: TABLE,
    read_tagged: TOKENS,
    read_tokens: TOKENS,
    read_series: SERIES,
}


@pytest.fixture(params=READERS, ids=lambda reader: reader.__name__)
def reader(request):
    return request.param


@pytest.fixture
def write(tmp_path):
    def to_file(data, name="data.txt"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return to_file


def plain(value):
    """The same for results that hold arrays, which do not compare."""
    return repr(value)


def test_gzip_bom_and_line_ends_change_nothing(reader, write):
    text = READERS[reader]
    expected = plain(reader(write(text.encode())))
    others = (
        gzip.compress(text.encode()),
        b"\xef\xbb\xbf" + text.encode(),
        text.replace("\n", "\r\n").encode(),
        gzip.compress(b"\xef\xbb\xbf" + text.replace("\n", "\r").encode()),
    )
    for data in others:
        assert plain(reader(write(data))) == expected
        assert plain(reader(str(write(data, "data.gz")))) == expected


def test_letters_are_composed(reader, write):
    text = READERS[reader]
    loose = text.replace("é", "e\u0301").replace("갑", "\u1100\u1161\u11b8")
    assert plain(reader(write(loose.encode()))) == plain(reader(write(text.encode())))


def test_a_missing_file_is_named(reader, tmp_path):
    path = tmp_path / "no.txt"
    message = f"{reader.__name__}: there is no file `{path}`.\n  Hint: check the spelling; a path"
    with pytest.raises(InputError, match=re.escape(message)):
        reader(path)


def test_a_directory_is_no_file(reader, tmp_path, write):
    wanted = ".npz or .ts file" if reader is read_series else "text file"
    message = f"{reader.__name__}: `{tmp_path}` is not a file.\n  Hint: give the path of one "
    with pytest.raises(InputError, match=re.escape(f"{message}{wanted}.")):
        reader(tmp_path)
    with pytest.raises(InputError, match="is not a file"):
        reader(write(b"a") / "below")


def test_a_broken_gzip_file_is_refused(reader, write):
    whole = gzip.compress(READERS[reader].encode() * 50)
    for data in (whole[:-20], whole[:4], whole[:20] + bytes(10) + whole[30:]):
        path = write(data)
        message = (
            f"{reader.__name__}: `{path}` is a gzip file that breaks off or is damaged.\n"
            "  Hint: make or download it again; `gzip -t FILE` checks it."
        )
        with pytest.raises(InputError, match=re.escape(message)):
            reader(path)


@pytest.mark.parametrize(
    ("encoding", "line_end", "line", "guess"),
    [
        *(("cp949", "\n", 2, "CP949"), ("cp949", "\r\n", 2, "CP949")),
        *(("cp949", "\r", 2, "CP949"), ("latin-1", "\n", 3, "ISO-8859-1")),
        ("utf-16", "\n", 1, "UTF-16"),
    ],
)
def test_other_encodings_are_refused_with_line_and_way_out(write, encoding, line_end, line, guess):
    text = TABLE if encoding != "latin-1" else "text\tlabel\nplain\tone\nun café\ttwo\n"
    data = text.replace("é", "" if encoding == "cp949" else "é").replace("\n", line_end)
    data = data.encode(encoding)
    place = 0 if encoding == "utf-16" else next(i for i, byte in enumerate(data) if byte > 127)
    path = write(data)
    message = (
        f"read_labelled_text: `{path}` is not UTF-8: byte {place}, in line {line}, is "
        f"0x{data[place]:02x}.\n"
        f"  Hint: re-encode it; if it is {guess}: `iconv -f {guess} -t UTF-8 FILE`."
    )
    with pytest.raises(InputError, match=re.escape(message)):
        read_labelled_text(path)


def test_every_reader_of_lines_names_the_line_of_a_byte_that_is_not_utf8(reader, write):
    text = READERS[reader]
    data = text.encode().replace("é".encode(), b"\xe9")
    line = text[: text.index("é")].count("\n") + 1
    place = "" if reader is read_text else f", in line {line},"
    message = f"is not UTF-8: byte {data.index(0xE9)}{place} is 0xe9."
    with pytest.raises(InputError, match=re.escape(message)):
        reader(write(data))


@pytest.mark.parametrize(
    ("text", "problem"),
    [("", "is empty"), ("\ufeff", "is empty"), (" \r\n\t\n", "has no text in it")],
)
def test_a_file_without_text_is_refused(reader, write, text, problem):
    path = write(text.encode())
    message = f"{reader.__name__}: `{path}` {problem}.\n  Hint: give a file with text."
    with pytest.raises(InputError, match=re.escape(message)):
        reader(path)


def test_a_list_in_an_error_stays_short():
    assert listed([]) == "none"
    assert listed(["a", "b" * 33]) == f"'a', '{'b' * 31}…'"
    assert listed([*"abcdefgh"]).endswith("'h'")
    assert listed([*"abcdefghi"]).endswith("'h', …")


def test_series_in_arrays_may_be_gzipped_too(write, tmp_path):
    np.savez(tmp_path / "a.npz", values=np.ones((3, 2)), lengths=[1, 2], labels=[5, 6])
    data = (tmp_path / "a.npz").read_bytes()
    assert plain(read_series(write(gzip.compress(data)))) == plain(read_series(write(data)))
