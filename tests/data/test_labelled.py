"""Texts with labels, from TSV and CSV files."""

import csv
import io
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxseq._checks import InputError
from jaxseq.data import LabelledText, normalize_text, read_labelled_text, read_texts


@pytest.fixture
def write(tmp_path):
    def to_file(text, name="rows.txt"):
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return to_file


def refusal(path, rest, where="read_labelled_text"):
    """What an error must begin with."""
    return "^" + re.escape(f"{where}: `{path}`{rest}")


ROWS = [LabelledText("So it goes.", "good"), LabelledText("Meh", "bad")]


@pytest.mark.parametrize(
    "text",
    [
        "text\tlabel\nSo it goes.\tgood\nMeh\tbad\n",
        "label\ttext\ngood\tSo it goes.\nbad\tMeh",
        "id\tlabel\tdate\ttext\n1\tgood\t\tSo it goes.\n2\tbad\t1969\tMeh\n",
        "text,label\nSo it goes.,good\nMeh,bad\n",
        'label,id,text\n"good",1,"So it goes."\nbad,,Meh\n',
        '"text","label"\n"So it goes.",good\n"Meh","bad"\n\n\n',
        "\n\n text ,label \n\nSo it goes., good\n\nMeh,bad \n",
    ],
)
def test_the_columns_are_found_by_name(write, text):
    assert read_labelled_text(write(text)) == ROWS
    assert read_texts(write(text)) == [row.text for row in ROWS]


def test_the_name_of_the_file_decides_nothing(write):
    assert read_labelled_text(write("text\tlabel\na, b\tc\n", "rows.csv")) == [("a, b", "c")]
    assert read_labelled_text(write('text,label\n"a\tb",c\n', "rows.tsv")) == [("a\tb", "c")]


def test_quotes_are_letters_between_tabs(write):
    text = 'text\tlabel\n"So" it, goes\tgood\n"\tbad\n'
    assert read_labelled_text(write(text)) == [('"So" it, goes', "good"), ('"', "bad")]


def test_quoted_fields_hold_commas_quotes_and_line_ends(write):
    text = 'text,label\r\n"So, ""it""\r\n\r\ngoes",good\r\n5" nails,bad\r\n'
    assert read_labelled_text(write(text)) == [('So, "it"\n\ngoes', "good"), ('5" nails', "bad")]


def test_other_line_separators_of_unicode_are_letters(write):
    for text in ("a\u2028b", "a\x0bb", "a\x85b", "a\x1cb"):
        assert read_texts(write(f"text,label\n{text},c\n")) == [text]
        assert read_texts(write(f"text\tlabel\n{text}\tc\n")) == [text]


def test_white_space_is_kept_in_texts_and_taken_off_labels(write):
    assert read_labelled_text(write("text\tlabel\n  a \t c d \n")) == [("  a ", "c d")]


def test_texts_need_no_labels(write):
    assert read_texts(write("text\nSo it goes.\nMeh\n")) == ["So it goes.", "Meh"]
    assert read_texts(write("id\ttext\tlabel\n1\tMeh\t\n")) == ["Meh"]


LETTERS = st.sampled_from("ab,\"\t\r\n é\u0301\u1112\u1161\u11ab한;'")
FIELDS = st.text(LETTERS, min_size=1, max_size=8).filter(lambda text: not text.isspace())


# The folder of the fixture is the same for all examples, and each writes its file anew.
SHARED = [HealthCheck.function_scoped_fixture]


@settings(deadline=None, max_examples=60, suppress_health_check=SHARED)
@given(rows=st.lists(st.tuples(FIELDS, FIELDS), min_size=1, max_size=5))
def test_what_the_csv_module_writes_comes_back(write, rows):
    file = io.StringIO(newline="")
    csv.writer(file).writerows([("label", "text"), *rows])
    expected = [(normalize_text(text), normalize_text(label).strip()) for label, text in rows]
    assert read_labelled_text(write(file.getvalue())) == expected


@pytest.mark.parametrize(
    ("header", "missing", "columns"),
    [
        ("Text,label", "text", "'Text', 'label'"),
        ("text\tclass", "label", "'text', 'class'"),
        ("text;label", "text", "'text;label'"),
        ("It was the best of times it was the worst", "text", "'It was the best of times it was…'"),
        (",,", "text", "'', '', ''"),
    ],
)
def test_a_header_without_the_columns_is_refused_with_those_it_has(write, header, missing, columns):
    path = write(f"{header}\na,b\n")
    rest = (
        f", line 1: there is no column `{missing}`; the columns are {columns}.\n"
        "  Hint: name the columns in the first line, between tabs or commas: `text` and `label`."
    )
    with pytest.raises(InputError, match=refusal(path, rest)):
        read_labelled_text(path)


def test_texts_without_a_header_are_refused(write):
    path = write("\nSo it goes.\nMeh\n")
    rest = (
        ", line 2: there is no column `text`; the columns are 'So it goes.'.\n"
        "  Hint: name the columns in the first line, between tabs or commas: `text`."
    )
    with pytest.raises(InputError, match=refusal(path, rest, "read_texts")):
        read_texts(path)


def test_two_columns_of_one_name_are_refused(write):
    path = write("text,label,text\na,b,c\n")
    with pytest.raises(
        InputError, match=refusal(path, ", line 1: two columns are called `text`.\n  Hint: name")
    ):
        read_labelled_text(path)


@pytest.mark.parametrize(
    ("text", "line", "count", "hint"),
    [
        ("text,label\n\na,b\nso, it goes,b\n", 4, 3, "put a text with a comma, a quote or a line"),
        ('text,label\n"a\nb",c\na\n', 4, 1, "put a text with a comma"),
        ("text\tlabel\n\na\tb\na\tb\t\n", 4, 3, "a text in a file with tabs holds no tab and no"),
        ("text\tlabel\na\tb\n \n", 3, 1, "a text in a file with tabs"),
    ],
)
def test_a_row_with_another_number_of_fields_is_refused(write, text, line, count, hint):
    path = write(text)
    rest = f", line {line}: the number of fields is {count}, but 2 in the header.\n  Hint: {hint}"
    with pytest.raises(InputError, match=refusal(path, rest)):
        read_labelled_text(path)


@pytest.mark.parametrize(
    ("text", "line", "name"),
    [
        *(("text,label\na,b\n,b\n", 3, "text"), ("text,label\n\n\u3000,b\n", 3, "text")),
        *(("text,label\n a, \n\n", 2, "label"), ("label\ttext\n \tb\n", 2, "label")),
        ('text,label\n"a\n\nb",c\na,""\n', 5, "label"),
    ],
)
def test_an_empty_field_is_refused(write, text, line, name):
    path = write(text)
    rest = f", line {line}: the {name} is empty.\n  Hint: fill it in, or take the line out."
    with pytest.raises(InputError, match=refusal(path, rest)):
        read_labelled_text(path)


@pytest.mark.parametrize("row", ['""', " ", "\u3000"])
def test_an_empty_text_among_texts_is_refused(write, row):
    path = write(f"text\na\n\n{row}\n")
    with pytest.raises(
        InputError, match=refusal(path, ", line 4: the text is empty.", "read_texts")
    ):
        read_texts(path)


@pytest.mark.parametrize("text", ["text,label\n", "label\ttext\n\n\n", "text,label"])
def test_a_header_alone_is_refused(write, text):
    path = write(text)
    rest = " has no rows below its header.\n  Hint: give one row for each text."
    with pytest.raises(InputError, match=refusal(path, rest)):
        read_labelled_text(path)


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ('"So it goes,good\nMeh,bad\n', "unexpected end of data"),
        ('"So" it goes,good\n', "',' expected after '\"'"),
        (f'"{"a" * 140_000},good\n', "field larger than field limit (131072)"),
    ],
)
def test_quotes_that_do_not_match_are_refused_at_the_first_line_of_the_row(write, row, cause):
    path = write(f'text,label\n"a\nb",c\n{row}')
    rest = f", line 4: this is no CSV ({cause}).\n  Hint: put a text with a comma, a quote or a"
    with pytest.raises(InputError, match=refusal(path, rest)):
        read_labelled_text(path)


def test_a_text_between_tabs_may_be_a_whole_book(write):
    book = "call me Ishmael " * 10_000
    assert read_labelled_text(write(f"text\tlabel\n{book}\tMelville\n")) == [(book, "Melville")]
