"""What a translator learns from: files and corpora, what is held out, and how pairs are packed."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxseq._checks import InputError
from jaxseq.data import Pair
from jaxseq.recipes._translation_config import Config, resolved
from jaxseq.recipes._translation_data import (
    Parts,
    mark,
    pack,
    read_parts,
    read_rows,
    read_sources,
    short_enough,
    slots_of,
    texts_of,
    with_held_out,
)

TEXT = "source\ttarget\nox\tAA K S\nbox\tB AA K S\nox\tAA K S\nox\tAO K S\n"
ROWS = [Pair("ox", "AA K S"), Pair("box", "B AA K S"), Pair("ox", "AO K S")]


def write(folder, name, content):
    """A file, gzipped if its name says so; its path as a person types it."""
    content = content.encode() if isinstance(content, str) else content
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return str(path)


# ------------------------------------------------------------------------------------ what is read


def test_the_strings_come_in_their_parts():
    parts = read_parts("home_assistant_en_ko")
    assert tuple(map(len, parts)) == (10811, 645, 616)
    assert parts.train[0] == Pair("Armed", "경보 설정") or parts.train[0].source
    assert read_rows("home_assistant_en_ko") == parts.test
    assert read_sources("home_assistant_en_ko") == [*dict.fromkeys(row[0] for row in parts.test)]


def test_words_come_with_their_phones_without_stress():
    parts = read_parts("cmudict")
    words = [len({row.source for row in part}) for part in parts]
    assert words == [112542, 6208, 6176]
    phones = {phone for row in parts.train for phone in row.target.split(" ")}
    assert len(phones) == 39 and not any(phone[-1].isdigit() for phone in phones)
    # What only stress told apart is one pair.
    assert all(len({*part}) == len(part) for part in parts)
    assert Pair("record", "R AH K AO R D") in {row for part in parts for row in part}


@pytest.mark.parametrize("name", ["a.tsv", "a.txt.gz"])
def test_pairs_come_from_columns_each_once(name, tmp_path):
    path = write(tmp_path, name, TEXT)
    assert read_parts(path) == Parts(ROWS, [], []) and read_rows(path) == ROWS
    assert read_sources(path) == ["ox", "box", "ox", "ox"]


def test_a_source_is_one_with_all_that_is_right_of_it():
    texts = texts_of(ROWS)
    assert texts.sources == ["ox", "box"]
    assert texts.targets == [["AA K S", "AO K S"], ["B AA K S"]]


def test_what_is_to_be_translated_needs_no_targets(tmp_path):
    assert read_sources(write(tmp_path, "a.txt", "source\nox\n")) == ["ox"]


def test_a_validation_file_is_the_validation_part(tmp_path):
    path = write(tmp_path, "a.tsv", TEXT)
    valid = write(tmp_path, "b.tsv", "source\ttarget\nfox\tF AA K S\n")
    assert read_parts(path, valid) == Parts(ROWS, [Pair("fox", "F AA K S")], [])


def test_a_file_with_the_name_of_a_corpus_is_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "cmudict", TEXT)
    assert read_parts("cmudict") == Parts(ROWS, [], [])


# -------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("cmudit", r"corpus for translation 'cmudit'\.\n  Hint: did you mean 'cmudict'"),
        ("zzz", r"translation 'zzz'\.\n  Hint: use one of cmudict, home_assistant_en_ko, or a"),
        ("no/such.tsv", r"there is no file `no/such\.tsv`"),
    ],
)
def test_a_source_that_is_none_is_an_error(source, problem):
    for read in (read_parts, read_rows, read_sources):
        with pytest.raises(InputError, match=problem):
            read(source)


def test_columns_that_cannot_be_used_are_an_error_with_their_line(tmp_path):
    path = write(tmp_path, "a.tsv", "source\ttarget\nox\tAA K S\nbox\t \n")
    with pytest.raises(InputError, match=r"a\.tsv`, line 3: the target is empty"):
        read_parts(path)


# -------------------------------------------------------------------------------- parts and marks


def test_all_rows_of_a_source_are_held_out_together():
    rows = [Pair(f"word {n // 2}", f"target {n}") for n in range(120)]
    config = resolved(Config(data="my.tsv", hold_out=4))
    train, valid, test = with_held_out(Parts(rows, [], []), config)
    assert sorted(train + valid) == sorted(rows) and test == []
    assert not {row.source for row in train} & {row.source for row in valid}
    assert 5 < len(valid) / 2 < 30
    none = Parts(rows, [], [])
    assert with_held_out(none, resolved(Config(data="my.tsv", hold_out=0))) == none
    given = Parts(rows, rows[:1], [])
    assert with_held_out(given, config) == given


def test_a_mark_tells_data_from_other_data():
    whole = Parts(ROWS, [], [])
    assert mark(whole) == mark(Parts([*ROWS], [], []))
    others = [Parts(ROWS[::-1], [], []), Parts(ROWS[:2], [], []), Parts([], ROWS, ROWS)]
    assert len({str(mark(parts)) for parts in [whole, *others]}) == 4


def test_slots_are_as_many_as_the_source_with_most_placeholders_has():
    config = resolved(Config(data="my.tsv"))
    rows = [Pair("{a} {b} {a}", "x"), Pair("no", "{c}{d}{e}")]
    assert slots_of(rows, config) == 2 and slots_of(rows[1:], config) == 0


def test_pairs_that_are_too_long_are_not_trained_on():
    config = resolved(Config(data="my.tsv", max_length=3, target_units="spaces"))
    rows = [Pair("abc", "A B C"), Pair("abcd", "A"), Pair("a", "A A A A"), Pair("{long}", "A")]
    assert short_enough(rows, config) == [rows[0], rows[3]]
    problem = r"all 2 training pairs have more than 3 symbols\.\n  Hint: raise `max_length`"
    with pytest.raises(InputError, match=problem):
        short_enough(rows[1:3], config)


# ----------------------------------------------------------------------------------------- arrays

SIZES = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=12)


@given(sizes=SIZES, count=st.integers(1, 3))
def test_both_sides_come_back_from_what_is_packed(sizes, count):
    random = np.random.default_rng(0)
    sources, targets = (
        [random.integers(1, 9, pair[side]).astype(np.int32) for pair in sizes] for side in (0, 1)
    )
    packed = pack(sources, targets, count=count)
    assert len({len(array) for array in packed.arrays}) <= count
    for array, source, target in zip(packed.arrays, sources, targets, strict=True):
        steps = packed.sources[len(array)]
        one, other = array[:steps], array[steps:]
        assert one[one > 0].tolist() == one[: len(source)].tolist() == source.tolist()
        assert other[other > 0].tolist() == other[: len(target)].tolist() == target.tolist()


def test_with_enough_boundaries_nothing_is_padded():
    sources, targets = [np.ones(n, np.int32) for n in (2, 5)], [np.ones(3, np.int32)] * 2
    packed = pack(sources, targets, count=2)
    assert [array.tolist() for array in packed.arrays] == [[1] * 5, [1] * 8]
    assert packed.sources == {5: 2, 8: 5}


def test_arrays_of_one_width_have_their_target_in_one_place():
    sources, targets = [np.ones(n, np.int32) for n in (2, 5)], [np.ones(n, int) for n in (4, 1)]
    packed = pack(sources, targets, count=2)
    assert sorted(packed.sources.items()) == [(6, 2), (7, 5)]
    assert [len(array) for array in packed.arrays] == [6, 7]
