"""Labelled series, from .ts files."""

import re

import numpy as np
import pytest

from jaxseq._checks import InputError
from jaxseq.data import load, read_series

HEADER = "@problemName Walks\n@univariate false\n@classLabel true slow fast\n@data\n"
CASE = "\n  Hint: write one case a line: values with `,` between, dimensions with `:`, and last the"
BEGIN = "\n  Hint: begin with lines such as `@classLabel true first second`, and then `@data`."


@pytest.fixture
def write(tmp_path):
    def to_file(text):
        path = tmp_path / "walks.txt"
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


def cases(path):
    parts = read_series(path)
    assert (parts.valid, parts.test) == (None, None)
    return [(case.values.tolist(), case.label) for case in parts.train]


def test_a_case_is_a_line_of_dimensions_and_a_class(write):
    text = f"# of a walk\n\n{HEADER}1,2,3:4,5,6:slow\n\n# the next\n -1.5e1 , .5:7, 8 : fast \n"
    assert cases(write(text)) == [
        ([[1, 4], [2, 5], [3, 6]], "slow"),
        ([[-15, 7], [0.5, 8]], "fast"),
    ]


@pytest.mark.parametrize(
    "header",
    [
        "@univariate true\n@classLabel true a b\n",
        "@UNIVARIATE TRUE\n@CLASSLABEL TRUE a b\n",
        "@dimensions 1\n@classlabel true\tb a\n@equalLength true\n@missing true\n",
        "@classLabel true a\n@dimension 1\n@timestamps false\n@targetlabel false\n",
        "@classLabel true a\n",
    ],
)
def test_the_header_is_read_whatever_its_order_and_case(write, header):
    assert cases(write(f"{header}@Data\n1,2:a\n3:a\n")) == [([[1], [2]], "a"), ([[3]], "a")]


def test_what_is_written_comes_back(write):
    expected = load("japanese_vowels").test
    lines = [
        ":".join(
            [*(",".join(map(repr, column.tolist())) for column in case.values.T), str(case.label)]
        )
        for case in expected
    ]
    labels = " ".join(map(str, range(9)))
    header = f"@timeStamps false\n@dimensions 12\n@classLabel true {labels}\n@data\n"
    found = read_series(write(header + "\n".join(lines))).train
    assert [case.label for case in found] == [str(case.label) for case in expected]
    for case, same in zip(found, expected, strict=True):
        np.testing.assert_array_equal(case.values, same.values)
        assert case.values.dtype == np.float32
        assert case.values.flags.c_contiguous


def check(path, rest):
    with pytest.raises(InputError, match="^" + re.escape(f"read_series: `{path}`{rest}")):
        read_series(path)


@pytest.mark.parametrize(
    ("lines", "number", "problem"),
    [
        ("1,2\n", 5, "there is no `:`, so no class behind the values"),
        ("1:2:slow\n# a\n1:slow\n", 7, "the number of dimensions is 1, but 2 in the first case"),
        ("1:slow\n1:Slow\n", 6, "the class 'Slow' is none of the header's: 'slow', 'fast'"),
        ("1:2:\n", 5, "the class '' is none of the header's: 'slow', 'fast'"),
        ("1,2:1:slow\n", 5, "the number of values is 1 in dimension 2, but 2 in dimension 1"),
    ],
)
def test_a_case_that_does_not_fit_is_refused(write, lines, number, problem):
    path = write(HEADER + lines)
    check(path, f", line {number}: {problem}.{CASE}")


@pytest.mark.parametrize("tag", ["@dimensions 2", "@univariate true"])
def test_a_case_of_other_dimensions_than_the_header_says_is_refused(write, tag):
    path = write(f"{tag}\n@classLabel true a\n@data\n1:2:3:a\n")
    expected = 2 if tag == "@dimensions 2" else 1
    check(path, f", line 4: the number of dimensions is 3, but {expected} in the header.{CASE}")


@pytest.mark.parametrize("value", ["?", "NaN", "nan", "", "inf", "1e300", "one", "(0"])
def test_what_is_no_finite_number_is_refused_with_its_place(write, value):
    path = write(f"{HEADER}1,2:3,4:slow\n1,2:3,{value}:fast\n")
    rest = (
        f", line 6: value 2 of dimension 2 is {value!r}, which is no finite float32.\n  Hint: miss"
    )
    check(path, rest)


def test_time_stamps_are_refused(write):
    path = write("@timeStamps true\n@classLabel true a\n@data\n(0,1),(1,2):a\n")
    check(
        path, ", line 1: time stamps are not supported.\n  Hint: write the values alone, at equal"
    )


@pytest.mark.parametrize("words", ["", " true", " false", " a b"])
def test_a_header_that_names_no_classes_is_refused(write, words):
    path = write(f"@problemName a\n@classLabel{words}\n@data\n1:a\n")
    check(path, f", line 2: @classLabel names no classes.{BEGIN}")


def test_a_header_without_classes_is_refused(write):
    path = write("@problemName a\n@targetLabel true\n@data\n1:0.5\n")
    check(path, f" has no @classLabel before @data.{BEGIN}")


@pytest.mark.parametrize("words", ["", "0", "-1", "two", "2 3"])
def test_a_number_of_dimensions_that_is_none_is_refused(write, words):
    path = write(f"@classLabel true a\n@dimensions {words}\n@data\n1:a\n")
    rest = (
        f"@dimensions must be a positive integer, but it is {words!r}.\n  Hint: leave the line out"
    )
    check(path, f", line 2: {rest}")


def test_data_must_be_announced(write):
    path = write("@classLabel true a\n# here\n1,2:a\n")
    check(path, f", line 3: there is no @data before '1,2:a'.{BEGIN}")
    path = write("@classLabel true a\n")
    check(path, f" has no line @data.{BEGIN}")


def test_a_header_alone_is_refused(write):
    path = write(f"{HEADER}\n# nothing\n")
    check(path, f" has no cases below @data.{CASE}")


def test_a_file_of_comments_is_refused(write):
    path = write("# nothing\n")
    check(path, f" has no line @data.{BEGIN}")
