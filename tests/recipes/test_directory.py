"""The directory of a run: written in full or not at all, read back, and never overwritten."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Literal

import pytest

from jaxseq._checks import InputError
from jaxseq.recipes._directory import (
    LEFT,
    check_same_data,
    config_of,
    damaged,
    evaluation_directory,
    read_settings,
    settings_of_run,
    task_of,
    write_json,
    write_settings,
    write_table,
    write_text,
)


@dataclasses.dataclass(frozen=True)
class Config:
    out: Path = Path("runs/x")
    size: int = 3
    rate: float = 0.5
    name: str = "elman"
    limit: int | None = None
    cell: Literal["gru", "lstm"] | None = None
    resume: bool = False


@pytest.fixture
def begun(tmp_path):
    """The directory of a run that has begun."""
    write_settings(tmp_path / "run", "task", Config(out=tmp_path / "run", size=4), note="한글")
    return tmp_path / "run"


def test_a_file_is_replaced_in_one_move(tmp_path):
    path = write_text(tmp_path / "a.txt", "one")
    write_text(path, "two")
    assert path.read_text() == "two" and list(tmp_path.iterdir()) == [path]


def test_json_is_for_people(tmp_path):
    assert write_json(tmp_path / "a.json", {"한": 1}).read_text() == '{\n  "한": 1\n}\n'


def test_a_table_has_one_line_a_row(tmp_path):
    rows = [["a\tb", "c\r\nd"], ["한글", ""], ['"e"', "\u2028 f"]]
    path = write_table(tmp_path / "a.tsv", ["one", "two"], rows)
    text = 'one\ttwo\na b\tc  d\n한글\t\n"e"\t\u2028 f\n'
    assert path.read_bytes() == text.encode()


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write_text(path, "text\n")
    assert os.read(reader, 99) == b"text\n" and path.is_fifo()
    os.close(reader)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_leaves_what_was_there(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match=r"taken cannot be written: Is a directory\.\n  Hint: choose"):
        write_text(tmp_path / "taken", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_settings_come_back(begun):
    page = read_settings(begun, "task")
    assert page["note"] == "한글" and page["settings"]["size"] == 4
    assert config_of(page, Config, begun) == Config(out=begun, size=4)


def test_a_directory_that_was_moved_is_read_under_its_new_name(begun, tmp_path):
    moved = begun.rename(tmp_path / "moved")
    assert config_of(read_settings(moved, "task"), Config, moved).out == moved


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("names", "names"),
        ("/data/mails.tsv", "mails"),
        ("mails.tsv.gz", "mails"),
        ("../mails.2024.conll.gz", "mails.2024"),
        ("mails.2025.conll", "mails.2025"),
        (".hidden", ".hidden"),
        ("한글.npz", "한글"),
    ],
)
def test_an_evaluation_is_called_like_its_file(source, name, tmp_path):
    path = evaluation_directory(tmp_path, source)
    assert path == tmp_path / "evaluations" / name and path.is_dir()
    assert evaluation_directory(tmp_path, source) == path


def test_an_evaluation_that_has_no_place_is_an_error(tmp_path):
    (tmp_path / "evaluations").touch()
    with pytest.raises(OSError, match=r"evaluations/names cannot be made: Not a directory"):
        evaluation_directory(tmp_path, "names")


def test_the_task_of_a_run_is_read(begun, tmp_path):
    assert task_of(begun) == "task"
    problem = (
        r"holds no run: there is no config\.json in it\.\n  Hint: `python -m jaxseq train TASK"
    )
    with pytest.raises(InputError, match=problem):
        task_of(tmp_path)


def test_data_are_those_of_then_or_an_error():
    page = {"task": "tags", "data": {"crc32": 1}}
    check_same_data(page, {"crc32": 1}, "my.tsv")
    problem = (
        r"^tags: the data of my\.tsv are not what they were when the run began\.\n  Hint: bring"
    )
    for other in (page, {"task": "tags"}):
        with pytest.raises(InputError, match=problem):
            check_same_data(other, {"crc32": 2}, "my.tsv")


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot be made: Not a directory\.\n  Hint: choose another"):
        write_settings(tmp_path / "file" / "run", "task", Config())


def test_a_directory_without_settings_is_no_run(tmp_path):
    problem = (
        r"holds no run: there is no config\.json in it\.\n  Hint: `python -m jaxseq train task"
    )
    with pytest.raises(InputError, match=problem):
        read_settings(tmp_path, "task")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "null", '{"schema": 1}', '{"schema": 1, "task": ["tags"]}', "\udcff"],
)
def test_settings_that_are_none_are_damaged(text, tmp_path):
    (tmp_path / "config.json").write_text(text, errors="surrogateescape")
    for read in (task_of, lambda directory: read_settings(directory, "task")):
        with pytest.raises(InputError, match=r"config\.json is damaged: .*\.\n  Hint: restore"):
            read(tmp_path)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (None, "it has no settings"),
        ([1], "it has no settings"),
        ({"size": "4"}, "size = '4' is no setting"),
        ({"size": 4.0}, "size = 4.0 is no setting"),
        ({"size": True}, "size = True is no setting"),
        ({"rate": None}, "rate = None is no setting"),
        ({"other": 1}, "other = 1 is no setting"),
        ({"limit": "7"}, "limit = '7' is no setting"),
        ({"cell": "elman"}, "cell = 'elman' is no setting"),
        ({"cell": 3}, "cell = 3 is no setting"),
        ({"out": None}, "out = None is no setting"),
    ],
)
def test_settings_of_another_kind_are_damaged(settings, problem, begun):
    with pytest.raises(InputError, match=rf"config\.json is damaged: {problem}\."):
        config_of({"settings": settings}, Config, begun)


def test_a_whole_number_is_a_number_and_what_is_missing_is_the_default(begun):
    assert config_of({"settings": {"rate": 2}}, Config, begun) == Config(out=begun, rate=2)
    assert config_of({"settings": {"limit": 7}}, Config, begun) == Config(out=begun, limit=7)
    settings = {"limit": None, "cell": "gru", "out": "elsewhere"}
    assert config_of({"settings": settings}, Config, begun) == Config(out=begun, cell="gru")


def test_another_task_and_another_version_are_refused(begun):
    problem = "is of the task 'task', version 1, but 'tags', version 1, is needed"
    with pytest.raises(InputError, match=rf"{problem}\.\n  Hint: name the directory of another"):
        read_settings(begun, "tags")
    path = begun / "config.json"
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(InputError, match="is of the task 'task', version 2"):
        read_settings(begun, "task")


def test_a_new_run_has_the_settings_asked_for(tmp_path):
    config = Config(out=tmp_path / "new", size=7, resume=True)
    assert settings_of_run(config, "task") == (config, None)


def test_a_run_is_not_begun_twice(begun):
    problem = r"there is a run in .* already\.\n  Hint: --resume goes on with it; --out names"
    with pytest.raises(InputError, match=problem):
        settings_of_run(Config(out=begun), "task")


@pytest.mark.parametrize("size", [3, 4])  # the default stands for what was not asked for
def test_a_resumed_run_has_its_own_settings(size, begun):
    config, page = settings_of_run(Config(out=begun, size=size, resume=True), "task")
    assert config == Config(out=begun, size=4, resume=True)
    assert page == json.loads((begun / "config.json").read_text())


def test_a_run_is_not_resumed_with_other_settings(begun):
    problem = r"has size = 4, but 5 is asked for\.\n  Hint: leave the option out"
    with pytest.raises(InputError, match=problem):
        settings_of_run(Config(out=begun, size=5, resume=True), "task")


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("name", LEFT)
def test_files_of_somebody_else_are_not_overwritten(name, resume, tmp_path):
    (tmp_path / name).touch()
    problem = rf"holds {name}, which a run would overwrite.*\n  Hint: choose another directory"
    with pytest.raises(InputError, match=problem):
        settings_of_run(Config(out=tmp_path, resume=resume), "task")


def test_damage_names_the_file(tmp_path):
    assert str(damaged(tmp_path, "it is empty")).startswith(
        f"recipes: {tmp_path}/config.json is damaged: it is empty.\n"
    )
