"""Labelled sequences, from CoNLL files."""

import importlib.resources
import re

import pytest

from jaxseq._checks import InputError
from jaxseq.data import Token, load, read_tagged, read_tokens

FORMAT = "write one token a line, a tab and its label, and an empty line after each sequence"
TOKENS = "write one token a line, and an empty line after each sequence"


@pytest.fixture
def write(tmp_path):
    def to_file(text):
        path = tmp_path / "words.conll"
        path.write_bytes(text.encode())
        return path

    return to_file


def refusal(where, path, rest):
    return "^" + re.escape(f"{where}: `{path}`{rest}")


EXPECTED = [[Token("to", "O"), Token("Pusan", "CITY")], [Token("Seoul", "CITY")]]


@pytest.mark.parametrize(
    "text",
    [
        "to\tO\nPusan\tCITY\n\nSeoul\tCITY\n",
        "to\tO\nPusan\tCITY\n\n\n  \nSeoul\tCITY",
        "# travel\n#\n\nto\tO\n#within\nPusan\t CITY \n\n# more\nSeoul\tCITY\n\n\n",
        "-DOCSTART-\t-X-\tO\n\nto\tTO\tO\nPusan\tNNP\tCITY\n\nSeoul\t\tCITY\n",
        "-DOCSTART- -X- O O\nto\tO\nPusan\tCITY\n-DOCSTART-\nSeoul\tCITY\n",
    ],
)
def test_the_token_is_the_first_column_and_the_label_the_last(write, text):
    assert read_tagged(write(text)) == EXPECTED
    assert read_tokens(write(text)) == [["to", "Pusan"], ["Seoul"]]


def test_the_bundled_addresses_are_such_a_file():
    folder = importlib.resources.files("jaxseq.data") / "corpora"
    with importlib.resources.as_file(folder / "usaddress.conll.gz") as path:
        sequences = read_tagged(path)
        tokens = read_tokens(path)
    corpus = load("usaddress")
    assert sorted(sequences) == sorted([*corpus.train, *corpus.valid, *corpus.test])
    assert tokens == [[token.token for token in sequence] for sequence in sequences]


def test_a_number_sign_with_a_tab_is_a_token(write):
    assert read_tagged(write("#\tO\n# 5\tO\n")) == [[("#", "O"), ("# 5", "O")]]
    assert read_tokens(write("#\tO\n5\tO\n")) == [["#", "5"]]


def test_in_a_file_of_bare_tokens_a_comment_has_a_space(write):
    assert read_tokens(write("# an address\nApt\n#\n5\n\n#7\n")) == [["Apt", "#", "5"], ["#7"]]


def test_a_token_is_kept_as_it_is(write):
    assert read_tagged(write(" \tSPACE\nNew York\tCITY\n\u3000\tO\n")) == [
        [(" ", "SPACE"), ("New York", "CITY"), ("\u3000", "O")]
    ]


def test_labels_may_be_missing_where_they_are_to_be_found(write):
    assert read_tokens(write("to\nPusan\n\n한국\n")) == [["to", "Pusan"], ["한국"]]
    assert read_tokens(write("to\t\nNew York\t\n")) == [["to", "New York"]]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("to\tO\nPusan\n", 2, "there is no tab after 'Pusan'"),
        ("EU NNP B-NP B-ORG\n", 1, "there is no tab after 'EU NNP B-NP B-ORG'"),
        ("to\tO\n\n\tCITY\n", 3, "the token is empty"),
        ("# a\n\t\n", 2, "the token is empty"),
        ("to\tO\nPusan\t\n", 2, "the label of 'Pusan' is empty"),
        ("to\tO\nPusan\t \n", 2, "the label of 'Pusan' is empty"),
        ("to\tO\n\n# a\nPusan\tN\tCITY\n", 4, "the number of columns is 3, but 2 in line 1"),
        ("to\tX\tO\nPusan\tCITY\n", 2, "the number of columns is 2, but 3 in line 1"),
    ],
)
def test_a_line_that_is_no_token_with_a_label_is_refused(write, text, line, problem):
    path = write(text)
    rest = f", line {line}: {problem}.\n  Hint: {FORMAT}."
    with pytest.raises(InputError, match=refusal("read_tagged", path, rest)):
        read_tagged(path)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("to\n\n128 Main St\n", 3, "'128 Main St' has spaces in it, so it is more than one token"),
        ("to\tO\nPusan\n", 2, "the number of columns is 1, but 2 in line 1"),
        ("to\n\tO\n", 2, "the token is empty"),
    ],
)
def test_a_line_that_is_no_token_is_refused(write, text, line, problem):
    path = write(text)
    rest = f", line {line}: {problem}.\n  Hint: {TOKENS}."
    with pytest.raises(InputError, match=refusal("read_tokens", path, rest)):
        read_tokens(path)


@pytest.mark.parametrize("text", ["# nothing\n\n", "-DOCSTART- -X- O\n\n"])
@pytest.mark.parametrize(("reader", "hint"), [(read_tagged, FORMAT), (read_tokens, TOKENS)])
def test_a_file_without_tokens_is_refused(write, reader, hint, text):
    path = write(text)
    rest = f" has no tokens in it.\n  Hint: {hint}."
    with pytest.raises(InputError, match=refusal(reader.__name__, path, rest)):
        reader(path)
