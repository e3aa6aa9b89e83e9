"""What a tagger learns from: files and corpora, what is held out, and what is wrong with them."""

import gzip

import pytest
import tiny_tasks

from jaxseq import data
from jaxseq._checks import InputError
from jaxseq.data import Token
from jaxseq.recipes._tagging_config import Config, resolved
from jaxseq.recipes._tagging_data import (
    Parts,
    allowed_of,
    check_labels,
    check_paths,
    labels_of,
    mark,
    place_of,
    read_parts,
    read_rows,
    read_words,
    spacing_row,
    with_held_out,
    words_of,
)

TEXT = """-DOCSTART- -X- O O

# a comment
to\tO
Pusan\tB-CITY

#\tO


Seoul\tB-CITY
City\tI-CITY
"""


def write(folder, name, content):
    """A file, gzipped if its name says so; its path as a person types it."""
    content = content.encode() if isinstance(content, str) else content
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return str(path)


def rows_of(text):
    """Sequences from `word/LABEL word/LABEL; word/LABEL`."""
    return [[Token(*pair.split("/")) for pair in row.split()] for row in text.split(";")]


# ------------------------------------------------------------------------------------ what is read


@pytest.mark.parametrize(
    ("name", "sizes", "labels"),
    [
        ("usaddress", (912, 298, 303), 29),
        ("hkcancor", (13844, 1096, 1222), 90),
        ("korean_spacing", (10660, 625, 577), 2),
    ],
)
def test_bundled_corpora_come_in_their_parts(name, sizes, labels):
    parts = read_parts(name)
    assert tuple(map(len, parts)) == sizes and len(labels_of(parts.train)) == labels


def test_what_is_measured_and_labelled_of_a_corpus_is_its_test_part():
    test = read_parts("usaddress").test
    assert read_rows("usaddress") == test and read_words("usaddress") == words_of(test)


@pytest.mark.parametrize("name", ["a.conll", "a.txt.gz"])
def test_sequences_come_from_columns(name, tmp_path):
    path = write(tmp_path, name, TEXT)
    rows = rows_of("to/O Pusan/B-CITY;#/O;Seoul/B-CITY City/I-CITY")
    assert read_parts(path) == Parts(rows, [], []) and read_rows(path) == rows
    assert read_words(path) == [["to", "Pusan"], ["#"], ["Seoul", "City"]]


def test_what_is_to_be_labelled_needs_no_labels(tmp_path):
    path = write(tmp_path, "a.txt", "to\nPusan\n\nSeoul\n")
    assert read_words(path) == [["to", "Pusan"], ["Seoul"]]


def test_a_validation_file_is_the_validation_part(tmp_path):
    path = write(tmp_path, "a.conll", TEXT)
    valid = write(tmp_path, "b.conll", "Busan\tB-CITY\n")
    assert read_parts(path, valid).valid == rows_of("Busan/B-CITY")


def test_a_file_with_the_name_of_a_corpus_is_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "usaddress", TEXT)
    assert len(read_parts("usaddress").train) == len(read_words("usaddress")) == 3


def test_spaces_are_labels_of_the_characters_after_them():
    row = spacing_row(" 새  집\t이다 ")
    assert "".join(token.token for token in row) == "새집이다"
    assert [token.label for token in row] == ["NONE", "SPACE", "SPACE", "NONE"]
    assert spacing_row("  ") == []


def test_what_training_has_seen_is_no_test_of_spacing():
    train, valid, test = read_parts("korean_spacing")
    seen = {"".join(token.token for token in row) for row in train}
    for part in (valid, test):
        assert not seen & {"".join(token.token for token in row) for row in part}
    assert min(map(len, train)) > 1


# -------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("usadress", r"corpus for tagging 'usadress'\.\n  Hint: did you mean 'usaddress'"),
        ("zzz", r"corpus for tagging 'zzz'\.\n  Hint: use one of usaddress, hkcancor, korean_sp"),
        ("no/such.conll", r"there is no file `no/such\.conll`"),
    ],
)
def test_a_source_that_is_none_is_an_error(source, problem):
    for read in (read_parts, read_rows, read_words):
        with pytest.raises(InputError, match=problem):
            read(source)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a\tX\nb\n", "line 2: there is no tab after 'b'"),
        ("a\tX\nb\tY\tZ\n", "line 2: the number of columns is 3, but 2 in line 1"),
        ("a\tX\n\nb\t \n", "line 3: the label of 'b' is empty"),
        ("\n\n# only\n", "has no tokens in it"),
        ("", "is empty"),
        ("고래\tX\n".encode("cp949"), "is not UTF-8: byte 0, in line 1, .*CP949"),
    ],
)
def test_columns_that_cannot_be_used_are_an_error_with_their_line(content, problem, tmp_path):
    with pytest.raises(InputError, match=rf"(?s)a\.conll`.*{problem}"):
        read_parts(write(tmp_path, "a.conll", content))


def test_one_label_is_too_few(tmp_path):
    problem = r"all tokens of `.*a\.conll` have the label 'X'\.\n  Hint: give tokens of two labels"
    with pytest.raises(InputError, match=problem):
        read_parts(write(tmp_path, "a.conll", "a\tX\nb\tX\n"))


def test_a_label_that_training_lacks_is_named_with_its_line(tmp_path):
    train = write(tmp_path, "a.conll", TEXT)
    valid = write(tmp_path, "b.conll.gz", TEXT.replace("Seoul\tB-CITY", "Seoul\tB-TOWN"))
    problem = r"b\.conll\.gz`, line 10: training does not have the label 'B-TOWN' \(of 'Seoul'\)\."
    with pytest.raises(InputError, match=rf"{problem}\n  Hint: the labels are B-CITY, I-CITY, O\."):
        read_parts(train, valid)


def test_a_label_in_a_corpus_is_named_with_its_sequence():
    rows = rows_of("a/X b/Y;c/X d/Z")
    with pytest.raises(InputError, match=r"`usaddress`, sequence 2: training .* 'Z' \(of 'd'\)"):
        check_labels(rows, ["X", "Y"], "usaddress")
    check_labels(rows, ["X", "Y", "Z"], "usaddress")


def test_of_many_labels_an_error_names_some():
    labels = [f"L{number:02}" for number in range(30)]
    with pytest.raises(InputError, match=r"the labels are L00, .*, L19 and 10 more\."):
        check_labels(rows_of("a/X"), labels, "usaddress")


def test_every_token_has_its_line(tmp_path):
    path = write(tmp_path, "a.conll", TEXT)
    lines = TEXT.split("\n")
    for number, row in enumerate(read_rows(path)):
        for step, token in enumerate(row):
            place = place_of(path, read_rows(path), number, step)
            line = int(place.rpartition("line ")[2].rstrip(":"))
            assert lines[line - 1] == f"{token.token}\t{token.label}"


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ("a\tB-X\nb\tI-X\n\nc\tO\nd\tI-X\n", 5, "'I-X' may not follow 'O' in the scheme bio"),
        ("a\tB-X\n\nb\tI-X\nc\tO\n", 3, "'I-X' may not begin a sequence in the scheme bio"),
        ("a\tB-X\nb\tM-X\nc\tE-X\nd\tS-X\n\ne\tB-X\n", 6, "'B-X' may not end a sequence in the"),
        ("a\tB\nb\tM\nc\tE\nd\tS\ne\tE\n", 5, "'E' may not follow 'S' in the scheme bmes"),
    ],
)
def test_training_labels_that_break_the_rule_of_a_crf_are_an_error(
    content, line, problem, tmp_path
):
    path = write(tmp_path, "a.conll", content)
    rows = read_rows(path)
    config = resolved(Config(data=path, output="crf"), {*labels_of(rows)})
    with pytest.raises(InputError, match=rf"a\.conll`, line {line}: {problem}.*\n  Hint: mend the"):
        check_paths(config, rows, path)
    check_paths(resolved(Config(output="softmax", data=path), {*labels_of(rows)}), rows, path)


def test_labels_that_keep_to_the_rule_are_fine():
    for text in ("a/B-X b/I-X;c/O", "a/B b/M c/E d/S", "a/B-X b/E-X;c/S-X", "a/N b/V"):
        rows = rows_of(text)
        config = resolved(Config(data="my.conll", output="crf"), {*labels_of(rows)})
        check_paths(config, rows, "usaddress")
        assert (allowed_of(config, labels_of(rows)) is None) == (config.scheme == "none")


# -------------------------------------------------------------------------------- parts and marks


def test_what_is_held_out_depends_on_the_words_alone():
    rows = [[Token(*pair) for pair in row] for row in tiny_tasks.addresses(60)]
    config = Config(hold_out=4)
    train, valid, test = with_held_out(Parts(rows, [], []), config)
    by_hand = data.hold_out(rows, lambda row: " ".join(token.token for token in row), one_in=4)
    assert (train, valid, test) == (by_hand.train, by_hand.held_out, [])
    again = with_held_out(Parts(rows[::-1], [], []), config)
    assert sorted(again.valid) == sorted(valid)


def test_nothing_is_held_out_where_there_is_a_part_or_none_is_wanted():
    rows = rows_of("a/X b/Y;c/X")
    for parts, hold_out in ((Parts(rows, rows[:1], []), 4), (Parts(rows, [], []), 0)):
        assert with_held_out(parts, Config(hold_out=hold_out)) is parts


def test_a_sequence_with_the_only_label_of_its_kind_is_trained_on():
    rows = rows_of(";".join(f"w{number}/X v/Y" for number in range(40)))
    held = with_held_out(Parts(rows, [], []), Config(hold_out=4)).valid
    changed = [[Token(row[0].token, "Z"), row[1]] if row == held[0] else row for row in rows]
    train, valid, _ = with_held_out(Parts(changed, [], []), Config(hold_out=4))
    assert valid == held[1:] and len(train) == 40 - len(valid) and "Z" in labels_of(train)


def test_where_every_sequence_has_a_label_of_its_own_none_can_be_held_out():
    rows = rows_of(";".join(f"w{number}/L{number}" for number in range(40)))
    problem = r"held out has a label that no other has\.\n  Hint: give more sequences, .* hold_out"
    with pytest.raises(InputError, match=problem):
        with_held_out(Parts(rows, [], []), Config(hold_out=4))


def test_a_mark_tells_data_from_other_data():
    rows = rows_of("a/X b/Y;c/X")
    others = [(rows, [], []), (rows, rows, []), (rows[::-1], [], []), (rows_of("a/X b/X;c/X"),)]
    others += [(rows_of("a/X b/Y;d/X"),)]
    marks = [mark(Parts(*(*parts, [], [])[:3])) for parts in others]
    assert len({tuple(one.values()) for one in marks}) == len(marks)
    assert mark(Parts(list(rows), [], [])) == marks[0] and marks[0]["sequences"] == 2
