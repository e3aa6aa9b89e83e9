"""The user's own files, normalisation, and the three parts."""

import gzip
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxseq._checks import InputError
from jaxseq.data import normalize_text, read_text, split_text

KOREAN = "모든 국민은 법 앞에 평등하다.\n"


@pytest.fixture
def write(tmp_path):
    def to_file(data, name="text.txt"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return to_file


def test_a_file_is_read_as_it_is(write):
    text = "Call me Ishmael.\n\n" + KOREAN
    assert read_text(write(text.encode())) == text
    assert read_text(str(write(text.encode()))) == text


@pytest.mark.parametrize("name", ["text.txt.gz", "text.txt"])
def test_a_gzipped_file_is_unzipped_whatever_its_name(write, name):
    assert read_text(write(gzip.compress(KOREAN.encode()), name)) == KOREAN


def test_byte_order_mark_line_ends_and_decomposed_letters_are_normalised(write):
    data = b"\xef\xbb\xbf" + unicodedata.normalize("NFD", "한\r\n국\ré\n").encode()
    assert read_text(write(data)) == "한\n국\né\n"


@settings(deadline=None, max_examples=60)
@given(text=st.text(st.sampled_from("a\r\n\ufeff\u1112\u1161\u11ab한é\u0301\u0323 ")))
def test_normalising_gives_nfc_without_carriage_returns(text):
    normal = normalize_text(text)
    assert unicodedata.is_normalized("NFC", normal)
    assert "\r" not in normal


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "no.txt"
    message = f"read_text: there is no file `{path}`.\n  Hint: check the spelling"
    with pytest.raises(InputError, match=re.escape(message)):
        read_text(path)


def test_a_directory_is_no_text(tmp_path, write):
    message = f"read_text: `{tmp_path}` is not a file.\n  Hint: give the path of one text file."
    with pytest.raises(InputError, match=re.escape(message)):
        read_text(tmp_path)
    with pytest.raises(InputError, match="is not a file"):
        read_text(write(b"a") / "below")


def test_an_empty_file_is_refused(write):
    with pytest.raises(InputError, match=r"text.txt` is empty\.\n  Hint: give a file with text\.$"):
        read_text(write(b""))


@pytest.mark.parametrize("text", [" \n\t\r\n", "\u3000\u00a0"])
def test_a_file_of_white_space_is_refused(write, text):
    with pytest.raises(
        InputError, match=r"text.txt` has no text in it\.\n  Hint: give a file with"
    ):
        read_text(write(text.encode()))


@pytest.mark.parametrize(
    ("encoding", "text", "place", "byte", "guess"),
    [
        ("cp949", "abc " + KOREAN, 4, "b8", "CP949"),
        ("latin-1", "un café noir", 6, "e9", "ISO-8859-1"),
        ("utf-16", KOREAN, 0, "ff", "UTF-16"),
    ],
)
def test_other_encodings_are_refused_with_the_way_out(write, encoding, text, place, byte, guess):
    path = write(text.encode(encoding))
    message = (
        f"`{path}` is not UTF-8: byte {place} is 0x{byte}.\n"
        f"  Hint: re-encode it; if it is {guess}: `iconv -f {guess} -t UTF-8 FILE`."
    )
    with pytest.raises(InputError, match=re.escape(message)):
        read_text(path)


def test_a_gzip_file_that_breaks_off_is_refused(write):
    whole = gzip.compress(KOREAN.encode() * 50)
    damaged = whole[:20] + bytes(10) + whole[30:]
    for data in (whole[:-20], whole[:4], damaged):
        message = "is a gzip file that breaks off or is damaged.\n  Hint: make or download it again"
        with pytest.raises(InputError, match=message):
            read_text(write(data))


@settings(deadline=None, max_examples=60)
@given(count=st.integers(20, 500))
def test_the_parts_are_the_whole_text(count):
    text = "".join(map(chr, range(0x4E00, 0x4E00 + count)))
    parts = split_text(text)
    assert parts.train + parts.valid + parts.test == text
    assert len(parts.train) == count * 90 // 100
    assert len(parts.train) + len(parts.valid) == count * 95 // 100


def test_a_text_too_short_for_three_parts_is_refused():
    message = (
        "split_text: `text` has 10 characters, too few for three parts.\n  Hint: give at least"
    )
    with pytest.raises(InputError, match=message):
        split_text("a" * 10)
