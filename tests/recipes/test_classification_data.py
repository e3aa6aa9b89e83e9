"""What a classifier learns from: files of every kind, their parts, and what is wrong with them."""

import gzip

import numpy as np
import pytest
import tiny_tasks

from jaxseq import data
from jaxseq._checks import InputError
from jaxseq.recipes._classification_config import Config
from jaxseq.recipes._classification_data import (
    Example,
    Parts,
    check_kind,
    mark,
    read_examples,
    read_parts,
    read_values,
    standard,
    with_held_out,
)

ROWS = [("the sea", "calm"), ("a gale", "wild"), ("foam, and spray", "wild"), ("dusk", "calm")]
TS = """# walks
@problemName walks
@univariate false
@dimensions 2
@classLabel true up down

@data
1,2,3:4,5,6:up
3,2:6,5:down
"""


def write(folder, name, content):
    """A file, gzipped if its name says so; its path as a person types it."""
    content = content.encode() if isinstance(content, str) else content
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return str(path)


def npz(folder, name, **arrays):
    np.savez(folder / name, **arrays)
    return str(folder / name)


def same(one, other):
    """Whether parts hold the same examples."""
    return all(
        len(a) == len(b)
        and all(
            np.array_equal(x.value, y.value) and x.label == y.label
            for x, y in zip(a, b, strict=True)
        )
        for a, b in zip(one, other, strict=True)
    )


# ------------------------------------------------------------------------------------- what is read


@pytest.mark.parametrize(
    ("name", "sizes", "labels", "kind"),
    [
        ("names", (31358, 1796, 1794), 21, "text"),
        ("udhr", (820, 0, 367), 20, "text"),
        ("japanese_vowels", (270, 0, 370), 9, "series"),
    ],
)
def test_bundled_corpora_come_in_their_parts(name, sizes, labels, kind):
    parts = read_parts(name)
    assert parts.kind == kind and tuple(map(len, parts)) == sizes
    assert len({example.label for example in parts.train}) == labels


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("kind", ["tsv", "csv"])
def test_texts_come_from_tables(kind, suffix, tmp_path):
    rows = [(f'"{text}"' if kind == "csv" else text, label) for text, label in ROWS]
    content = tiny_tasks.table(rows, mark="," if kind == "csv" else "\t")
    path = write(tmp_path, f"weather.{kind}{suffix}", content)
    parts = read_parts(path)
    assert parts == Parts([Example(*row) for row in ROWS], [], []) and parts.kind == "text"
    assert read_examples(path) == parts.train
    assert read_values(path, "text") == [text for text, _ in ROWS]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_series_come_from_ts_files(suffix, tmp_path):
    parts = read_parts(write(tmp_path, f"walks.ts{suffix}", TS))
    assert parts.kind == "series" and [e.label for e in parts.train] == ["up", "down"]
    np.testing.assert_array_equal(parts.train[1].value, [[3, 6], [2, 5]])


def test_series_come_from_archives_of_arrays_with_and_without_parts(tmp_path):
    values, labels = tiny_tasks.series(6)
    whole = read_parts(npz(tmp_path, "a.npz", **tiny_tasks.arrays(values, labels)))
    assert len(whole.train) == 6 and not whole.valid and not whole.test
    arrays = tiny_tasks.arrays(values, labels, "train_")
    arrays |= tiny_tasks.arrays(values[:2], labels[:2], "test_")
    path = npz(tmp_path, "b.npz", **arrays)
    parts = read_parts(path)
    assert same(parts, whole._replace(test=whole.train[:2]))
    assert same([read_examples(path)], [whole.train[:2]])
    assert len(read_values(path, "series")) == 2
    zipped = write(tmp_path, "b.npz.gz", (tmp_path / "b.npz").read_bytes())
    assert same(read_parts(zipped), parts)


def test_the_bundled_archive_is_a_file_as_ones_own_may_be(tmp_path):
    corpus = data.load("japanese_vowels")
    parts = {name: getattr(corpus, name) for name in ("train", "test")}
    arrays = {}
    for name, rows in parts.items():
        values = [row.values for row in rows]
        arrays |= tiny_tasks.arrays(values, [row.label + 1 for row in rows], f"{name}_")
    assert same(read_parts(npz(tmp_path, "vowels.npz", **arrays)), read_parts("japanese_vowels"))


def test_a_validation_file_is_the_validation_part(tmp_path):
    train = write(tmp_path, "a.tsv", tiny_tasks.table(ROWS))
    valid = write(tmp_path, "b.csv", tiny_tasks.table(ROWS[:1], mark=","))
    assert read_parts(train, valid).valid == [Example(*ROWS[0])]


def test_a_file_with_the_name_of_a_corpus_is_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "names", tiny_tasks.table(ROWS))
    assert len(read_parts("names").train) == 4
    assert read_values("names", "text") == [text for text, _ in ROWS]


def test_what_is_to_be_labelled_needs_no_labels(tmp_path):
    assert read_values(write(tmp_path, "a.tsv", "text\tid\nsea\t1\n"), "text") == ["sea"]
    assert len(read_values("udhr", "text")) == 367


# ---------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("nmaes", r"no bundled corpus for classification 'nmaes'\..*did you mean 'names'"),
        ("zzz", r"corpus for classification 'zzz'\.\n  Hint: use one of names, udhr, japanese_vow"),
        ("no/such.tsv", r"there is no file `no/such\.tsv`"),
        ("no/such.npz", r"there is no file `no/such\.npz`"),
    ],
)
def test_a_source_that_is_none_is_an_error(source, problem):
    for read in (read_parts, read_examples, lambda source: read_values(source, "text")):
        with pytest.raises(InputError, match=rf"(?s){problem}"):
            read(source)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("text\tlabel\na\tx\nb\n", "line 3: the number of fields is 1, but 2 in the header"),
        ("text\tlabel\na\tx\n\nb\t\n", "line 4: the label is empty"),
        ("text\tclass\na\tx\n", "line 1: there is no column `label`"),
        ("text\tlabel\n", "has no rows below its header"),
        ("", "is empty"),
        (b"text\tlabel\n\xb0\xed\xb7\xa1\tx\n", "is not UTF-8: byte 11, in line 2, .*CP949"),
    ],
)
def test_a_table_that_cannot_be_used_is_an_error_with_its_line(content, problem, tmp_path):
    with pytest.raises(InputError, match=f"(?s)a.tsv`.*{problem}"):
        read_parts(write(tmp_path, "a.tsv", content))


def test_one_class_is_too_few(tmp_path):
    path = write(tmp_path, "a.tsv", tiny_tasks.table([("a", "x"), ("b", "x")]))
    problem = r"all examples of `.*a\.tsv` have the label 'x'\.\n  Hint: give examples of two"
    with pytest.raises(InputError, match=problem):
        read_parts(path)


def test_an_archive_without_a_training_part_cannot_be_trained_on(tmp_path):
    path = npz(tmp_path, "a.npz", **tiny_tasks.arrays(*tiny_tasks.series(3), "test_"))
    with pytest.raises(InputError, match=r"a\.npz` has no example to train on"):
        read_parts(path)
    assert len(read_examples(path)) == 3


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("b.tsv", "text\tlabel\nsea\tcalm\n\n\nfog\tgrey\n", 5),
        ("b.tsv.gz", "\nlabel\ttext\ncalm\tsea\n grey \tfog\nwild\tgale\n", 4),
        ("b.csv", 'text,id,label\n"a\nb",1,calm\n\n"fog\nand mist",2,grey\n', 5),
    ],
)
def test_a_label_that_training_lacks_is_named_with_its_line(name, content, line, tmp_path):
    train = write(tmp_path, "a.tsv", tiny_tasks.table(ROWS))
    valid = write(tmp_path, name, content)
    problem = rf"{name}`, line {line}: training does not have the label 'grey'\."
    with pytest.raises(InputError, match=rf"{problem}\n  Hint: the labels are calm, wild\.$"):
        read_parts(train, valid)


def test_a_label_of_a_series_that_training_lacks_is_named(tmp_path):
    train = write(tmp_path, "a.ts", TS)
    other = TS.replace("up down", "up down still").replace(":down", ":still")
    with pytest.raises(InputError, match=r"b\.ts`, line 9: training does not have the label 'sti"):
        read_parts(train, write(tmp_path, "b.ts", other))
    values, _ = tiny_tasks.series(4)
    arrays = tiny_tasks.arrays(values, ["a", "b", "a", "b"], "train_")
    arrays |= tiny_tasks.arrays(values, ["a", "b", "c", "b"], "test_")
    problem = r"c\.npz`, example 3 of the test part: training does not have the label 'c'"
    with pytest.raises(InputError, match=problem):
        read_parts(npz(tmp_path, "c.npz", **arrays))


def test_of_many_labels_an_error_names_some(tmp_path):
    rows = [(f"text {n}", f"label {n:02}") for n in range(30)]
    train = write(tmp_path, "a.tsv", tiny_tasks.table(rows))
    valid = write(tmp_path, "b.tsv", tiny_tasks.table([("text", "other")]))
    with pytest.raises(InputError, match=r"the labels are label 00, .*, label 19 and 10 more\.$"):
        read_parts(train, valid)


@pytest.mark.parametrize(
    ("source", "kind", "problem"),
    [
        (
            "names",
            "series",
            r"`names` holds texts, where series are.*\n  Hint: give an NPZ or \.ts",
        ),
        ("japanese_vowels", "text", r"holds series, where texts are needed\.\n  Hint: give a TSV"),
    ],
)
def test_the_other_kind_of_data_is_an_error(source, kind, problem, tmp_path):
    with pytest.raises(InputError, match=problem):
        read_values(source, kind)
    check_kind(source, "series" if kind == "text" else "text")
    texts = write(tmp_path, "a.tsv", tiny_tasks.table(ROWS))
    series = write(tmp_path, "a.ts", TS)
    with pytest.raises(InputError, match=r"a\.ts` holds series, where texts are needed"):
        read_parts(texts, series)
    with pytest.raises(InputError, match=r"a\.tsv` holds texts, where series are needed"):
        read_parts(series, texts)


def test_series_of_another_width_are_an_error(tmp_path):
    paths = [
        npz(tmp_path, f"{size}.npz", **tiny_tasks.arrays(*tiny_tasks.series(6, size=size)))
        for size in (2, 3)
    ]
    problem = r"the series of `.*3\.npz` have 3 features, and those of training 2"
    with pytest.raises(InputError, match=problem):
        read_parts(*paths)


# ------------------------------------------------------------------------------ parts, marks, scale


def test_what_is_held_out_depends_on_the_content_alone():
    rows = [Example(text, label) for text, label in tiny_tasks.texts(60)]
    config = Config(hold_out=4)
    train, valid, test = with_held_out(Parts(rows, [], []), config)
    assert len(train) + len(valid) == 60 and 5 <= len(valid) <= 25 and test == []
    again = with_held_out(Parts(rows[::-1], [], []), config)
    assert sorted(again.valid) == sorted(valid)
    assert not {row.value for row in train} & {row.value for row in valid}
    by_hand = data.hold_out(rows, lambda row: row.value, one_in=4)
    assert valid == by_hand.held_out


def test_nothing_is_held_out_where_there_is_a_part_or_none_is_wanted():
    rows = [Example(text, label) for text, label in tiny_tasks.texts(9)]
    for parts, hold_out in ((Parts(rows, rows[:1], []), 4), (Parts(rows, [], []), 0)):
        assert with_held_out(parts, Config(hold_out=hold_out)) is parts


def test_the_only_example_of_a_class_is_trained_on():
    rows = [Example(f"text {n}", "many") for n in range(40)]
    held = data.hold_out(rows, lambda row: row.value, one_in=4).held_out
    rows = [row._replace(label="only") if row == held[0] else row for row in rows]
    train, valid, _ = with_held_out(Parts(rows, [], []), Config(hold_out=4))
    assert [row.label for row in train].count("only") == 1
    assert [row.value for row in valid] == [row.value for row in held[1:]]


def test_series_are_held_out_by_their_values():
    values, labels = tiny_tasks.series(40)
    rows = [Example(v.astype(np.float32), k) for v, k in zip(values, labels, strict=True)]
    train, valid, _ = with_held_out(Parts(rows, [], []), Config(hold_out=4))
    assert len(train) + len(valid) == 40 and 3 <= len(valid) <= 20


def test_where_every_example_is_alone_in_its_class_none_can_be_held_out():
    rows = [Example(f"text {n}", f"{n}") for n in range(40)]
    problem = (
        r"held out is the only one of its class\.\n  Hint: give more examples, .* hold_out = 0"
    )
    with pytest.raises(InputError, match=problem):
        with_held_out(Parts(rows, [], []), Config(hold_out=4))


def test_a_mark_tells_data_from_other_data():
    rows = [Example("sea", "calm"), Example("gale", "wild")]
    values = [Example(np.zeros((2, 1), np.float32), "a"), Example(np.ones((2, 1), np.float32), "b")]
    marks = [
        mark(Parts(*parts))
        for parts in (
            (rows, [], []),
            (rows[::-1], [], []),
            (rows, rows, []),
            ([rows[0], Example("gale", "calm")], [], []),
            ([rows[0], Example("gales", "wild")], [], []),
            (values, [], []),
            (values[::-1], [], []),
        )
    ]
    assert len({tuple(one.values()) for one in marks}) == len(marks)
    assert mark(Parts(list(rows), [], [])) == marks[0] and marks[0]["examples"] == 2


def test_the_scale_is_of_all_steps_and_never_zero():
    rng = np.random.default_rng(0)
    series = [rng.normal(3.0, 2.0, (n, 2)).astype(np.float32) for n in (5, 1, 9)]
    series = [np.concatenate([one, np.full((len(one), 1), 0.1, np.float32)], 1) for one in series]
    mean, deviation = standard(series)
    frames = np.concatenate(series).astype(np.float64)
    np.testing.assert_allclose(mean, frames.mean(0))
    np.testing.assert_allclose(deviation[:2], frames.std(0)[:2])
    assert deviation[2] == 1
