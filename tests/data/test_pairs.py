"""Pairs of texts, from TSV and CSV files."""

import gzip
import re

import pytest

from jaxseq._checks import InputError
from jaxseq.data import Pair, read_pairs, read_sources


@pytest.fixture
def write(tmp_path):
    def to_file(text, name="pairs.tsv"):
        path = tmp_path / name
        content = text.encode() if isinstance(text, str) else text
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return to_file


ROWS = [Pair("Way out", "나가는 곳"), Pair("ox", "AA K S")]


@pytest.mark.parametrize(
    "text",
    [
        "source\ttarget\nWay out\t나가는 곳\nox\tAA K S\n",
        "target\tsource\n나가는 곳\tWay out\nAA K S\tox",
        "id\ttarget\tnote\tsource\n1\t나가는 곳\t\tWay out\n2\tAA K S\tan animal\tox\n",
        "source,target\nWay out,나가는 곳\nox,AA K S\n",
        '"target","source"\n나가는 곳,"Way out"\nAA K S,ox\n\n',
        "\n source\ttarget \n\n Way out\t나가는 곳 \n\nox \t AA K S\n",
    ],
)
@pytest.mark.parametrize("name", ["pairs.txt", "pairs.gz"])
def test_the_columns_are_found_by_name(write, text, name):
    assert read_pairs(write(text, name)) == ROWS
    assert read_sources(write(text, name)) == [row.source for row in ROWS]


def test_a_source_may_have_several_targets(write):
    text = "source\ttarget\nread\tR IY D\nread\tR EH D\nread\tR IY D\n"
    assert read_pairs(write(text)) == [
        Pair("read", target) for target in ("R IY D", "R EH D", "R IY D")
    ]


def test_what_is_within_a_text_stays(write):
    text = 'source,target\n"Yes, it\nis ""so""",  그래  그래  \n'
    assert read_pairs(write(text)) == [('Yes, it\nis "so"', "그래  그래")]


def test_hangul_is_composed(write):
    assert read_sources(write("source\n하나\n")) == ["하나"]


def test_sources_need_no_targets(write):
    assert read_sources(write("source\nWay out\n")) == ["Way out"]
    assert read_sources(write("id\tsource\ttarget\n1\tox\t\n")) == ["ox"]


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Source\ttarget\na\tb\n", ", line 1: there is no column `source`; the columns are 'Sourc"),
        ("\nsource\tkorean\na\tb\n", ", line 2: there is no column `target`; the columns are 'sou"),
        ("source\ttarget\tsource\na\tb\tc\n", ", line 1: two columns are called `source`."),
        ("source\ttarget\na\tb\n \tb\n", ", line 3: the source is empty."),
        ("source\ttarget\n\na\t\u3000\n", ", line 3: the target is empty."),
        ("source\ttarget\na\tb\na\n", ", line 3: the number of fields is 1, but 2 in the header."),
        ('source,target\n"a,b\n', ", line 2: this is no CSV (unexpected end of data)."),
        ("source\ttarget\n\n", " has no rows below its header."),
        ("", " is empty."),
        ("source\ttarget\na\t새집\n".encode("cp949"), " is not UTF-8: byte 16, in line 2, is 0x"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_line(write, text, rest):
    path = write(text)
    with pytest.raises(InputError, match="^" + re.escape(f"read_pairs: `{path}`{rest}")):
        read_pairs(path)


def test_a_file_without_sources_is_refused(write):
    path = write("english\nox\n")
    problem = f"read_sources: `{path}`, line 1: there is no column `source`; the columns are 'eng"
    with pytest.raises(InputError, match="^" + re.escape(problem)):
        read_sources(path)
    with pytest.raises(InputError, match=r"read_pairs: there is no file `no/such\.tsv`"):
        read_pairs("no/such.tsv")
