"""Labelled series, from .npz files; of .ts files, what the two have in common."""

import importlib.resources
import io
import re
import zipfile

import numpy as np
import pytest

from jaxseq._checks import InputError
from jaxseq.data import load, read_series

GOOD = {"values": np.arange(15.0).reshape(5, 3), "lengths": [2, 3], "labels": ["slow", "fast"]}
LAYOUT = "\n  Hint: save `values` [frames, I], all cases end to end, `lengths` [N] and"


@pytest.fixture
def write(tmp_path):
    def to_file(**arrays):
        path = tmp_path / "data.bin"
        with path.open("wb") as file:
            np.savez(file, **arrays)
        return path

    return to_file


def refusal(path, rest):
    return "^" + re.escape(f"read_series: `{path}` {rest}")


def prefixed(prefix, **changes):
    return {f"{prefix}_{name}": value for name, value in {**GOOD, **changes}.items()}


def bundled(name):
    return importlib.resources.as_file(importlib.resources.files("jaxseq.data") / "corpora" / name)


def test_the_bundled_file_is_such_a_file():
    with bundled("japanese_vowels.npz") as path:
        parts = read_series(path)
    corpus = load("japanese_vowels")
    assert parts.valid is None
    for found, expected in ((parts.train, corpus.train), (parts.test, corpus.test)):
        assert [case.label for case in found] == [str(case.label) for case in expected]
        for case, same in zip(found, expected, strict=True):
            np.testing.assert_array_equal(case.values, same.values)


def test_arrays_without_a_prefix_are_all_for_training(write):
    parts = read_series(write(**GOOD))
    assert (parts.valid, parts.test) == (None, None)
    slow, fast = parts.train
    assert (slow.label, fast.label) == ("slow", "fast")
    assert slow.values.dtype == fast.values.dtype == np.float32
    assert slow.values.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert fast.values.tolist() == [[6, 7, 8], [9, 10, 11], [12, 13, 14]]


@pytest.mark.parametrize(
    "names", [["train"], ["test"], ["valid", "train"], ["train", "valid", "test"]]
)
def test_the_parts_are_those_that_are_there(write, names):
    arrays = {}
    for place, name in enumerate(names):
        arrays |= prefixed(name, labels=[place, place])
    parts = read_series(write(**arrays))
    for name in ("train", "valid", "test"):
        part = getattr(parts, name)
        if name in names:
            assert [case.label for case in part] == [str(names.index(name))] * 2
        else:
            assert part is None


@pytest.mark.parametrize("dtype", ["int16", "uint8", "float16", ">f8", "float64"])
def test_values_of_any_numbers_become_float32(write, dtype):
    for order in "CF":
        values = np.asarray(GOOD["values"], dtype, order=order)
        case = read_series(write(**{**GOOD, "values": values})).train[0]
        assert case.values.dtype == np.float32
        assert case.values.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        *(([3, -1], ["3", "-1"]), (np.array([3, 250], np.uint8), ["3", "250"])),
        *(([" slow", "한 "], ["slow", "한"]), (["1.0", "1"], ["1.0", "1"])),
    ],
)
def test_labels_become_strings(write, labels, expected):
    parts = read_series(write(**{**GOOD, "labels": labels}))
    assert [case.label for case in parts.train] == expected


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        (
            {"values": GOOD["values"], "labels": ["a", "b"]},
            "has no array 'lengths'; its arrays are 'values', 'labels'.",
        ),
        (
            {"x": GOOD["values"], "y": ["a", "b"]},
            "has no array 'values', 'lengths', 'labels'; its arrays are 'x', 'y'.",
        ),
        ({}, "has no array 'values', 'lengths', 'labels'; its arrays are none."),
        (
            {**prefixed("train"), "test_values": GOOD["values"]},
            "has no array 'test_lengths', 'test_labels'; its arrays are 'train_values', "
            "'train_lengths', 'train_labels', 'test_values'.",
        ),
        ({**GOOD, "classes": [1]}, "has arrays that mean nothing here: 'classes'."),
        (
            {**prefixed("train"), **prefixed("val")},
            "has arrays that mean nothing here: 'val_values', 'val_lengths', 'val_labels'.",
        ),
        (
            {**prefixed("test"), "values": GOOD["values"]},
            "has arrays that mean nothing here: 'values'.",
        ),
    ],
)
def test_missing_and_unknown_arrays_are_refused(write, arrays, problem):
    path = write(**arrays)
    with pytest.raises(InputError, match=refusal(path, problem + LAYOUT)):
        read_series(path)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"values": np.ones(5)},
            "has `values` of dtype float64 and shape (5,), which are to be numbers [frames, I].",
        ),
        (
            {"values": np.ones((5, 3), complex)},
            "has `values` of dtype complex128 and shape (5, 3), which are to be numbers "
            "[frames, I].",
        ),
        ({"values": np.ones((5, 0))}, "has nothing in `values`: its shape is (5, 0)."),
        (
            {"lengths": [2.0, 3.0]},
            "has `lengths` of dtype float64 and shape (2,), which are to be integers [N].",
        ),
        (
            {"lengths": [[2, 3]]},
            "has `lengths` of dtype int64 and shape (1, 2), which are to be integers [N].",
        ),
        ({"lengths": np.zeros(0, int)}, "has nothing in `lengths`: its shape is (0,)."),
        ({"lengths": [2, 4]}, "has 5 frames in `values`, and `lengths` sum to 6."),
        ({"lengths": [1, 2, 2]}, "has 2 `labels` for 3 `lengths`."),
        (
            {"labels": [1.0, 2.0]},
            "has `labels` of dtype float64 and shape (2,), which are to be integers or "
            "strings [N].",
        ),
        (
            {"labels": [b"a", b"b"]},
            "has `labels` of dtype |S1 and shape (2,), which are to be integers or strings [N].",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(write, changes, problem):
    path = write(**{**GOOD, **changes})
    with pytest.raises(InputError, match=refusal(path, problem + LAYOUT)):
        read_series(path)


@pytest.mark.parametrize(("value", "text"), [(np.nan, "nan"), (-np.inf, "-inf"), (1e300, "1e+300")])
def test_values_that_are_not_finite_are_refused_with_their_place(write, value, text):
    values = GOOD["values"].copy()
    values[3, 1] = values[4, 0] = value
    path = write(**prefixed("test", values=values))
    rest = f"has `test_values`[3, 1] = {text}, which is no finite float32.\n  Hint: fill in missing"
    with pytest.raises(InputError, match=refusal(path, rest)):
        read_series(path)


@pytest.mark.parametrize(("lengths", "least"), [([5, 0], 0), ([6, -1], -1)])
def test_a_case_without_frames_is_refused(write, lengths, least):
    path = write(**{**GOOD, "lengths": lengths})
    rest = f"has a length of {least} in `lengths`, at place 1.\n  Hint: give every case at least"
    with pytest.raises(InputError, match=refusal(path, rest)):
        read_series(path)


def test_an_empty_label_is_refused(write):
    path = write(**{**GOOD, "labels": ["a", " "]})
    rest = "has an empty label in `labels`, at place 1.\n  Hint: give every case a label."
    with pytest.raises(InputError, match=refusal(path, rest)):
        read_series(path)


def test_parts_of_different_widths_are_refused(write):
    path = write(**prefixed("train"), **prefixed("test", values=np.ones((5, 4))))
    rest = "has frames of different widths: 3 in `train_values`, 4 in `test_values`."
    with pytest.raises(InputError, match=refusal(path, rest + LAYOUT)):
        read_series(path)


def test_python_objects_are_not_unpickled(write):
    path = write(**{**GOOD, "labels": np.array(["a", 1], object)})
    rest = "has no plain array in `labels` (Object arrays cannot be loaded when allow_pickle=False)"
    with pytest.raises(
        InputError, match=refusal(path, f"{rest}.\n  Hint: save labels as np.array(")
    ):
        read_series(path)


def test_a_broken_archive_is_refused(write):
    whole = write(**GOOD).read_bytes()
    for data in (whole[:-30], whole[:200] + b"\0\xff" * 4 + whole[208:]):
        path = write()
        path.write_bytes(data)
        rest = "is an .npz file that breaks off or is damaged ("
        with pytest.raises(InputError, match=refusal(path, rest)):
            read_series(path)


def test_a_member_that_is_no_array_is_refused(tmp_path):
    path = tmp_path / "book.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("values", "lengths", "labels"):
            archive.writestr(name, "text")
    with pytest.raises(
        InputError, match=refusal(path, f"has a `values` that is no array.{LAYOUT}")
    ):
        read_series(path)


def test_an_archive_of_ts_files_is_to_be_unzipped(tmp_path):
    path = tmp_path / "Walks.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("Walks_TRAIN.ts", "@data")
    rest = (
        "has no array 'values', 'lengths', 'labels'; its arrays are 'Walks_TRAIN.ts'.\n"
        "  Hint: unzip it, and give one .ts file."
    )
    with pytest.raises(InputError, match=refusal(path, rest)):
        read_series(path)


def test_a_single_array_is_refused(tmp_path):
    path = tmp_path / "values.npz"
    file = io.BytesIO()
    np.save(file, GOOD["values"])
    path.write_bytes(file.getvalue())
    rest = "is a single array (.npy), not an .npz file."
    with pytest.raises(InputError, match=refusal(path, rest + LAYOUT)):
        read_series(path)


def test_a_file_of_neither_kind_is_refused_with_its_beginning(tmp_path):
    path = tmp_path / "values.npz"
    path.write_text("\n# a comment\n1.0,2.0:3.0,4.0:a\n")
    rest = (
        "is neither an .npz nor a .ts file: its text begins with '1.0,2.0:3.0,4.0:a'.\n"
        "  Hint: a .ts file is to begin with lines such as `@classLabel true first second`, and "
        "then `@data`."
    )
    with pytest.raises(InputError, match=refusal(path, rest)):
        read_series(path)
