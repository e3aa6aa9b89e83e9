"""The directory of a run: its settings, its reports, and what may not be overwritten."""

import dataclasses
import json
import os
import re
import types
import typing
from pathlib import Path
from typing import Any

from jaxseq._checks import InputError, error

SETTINGS = "config.json"
SCHEMA = 1
LEFT = (
    *("checkpoints", "report.json", "history.json", "learning_curve.png", "sample.txt"),
    *("errors.tsv", "confusion.png", "prefixes.png", "evaluations"),
    *("tensorboard", "alignment.png", "alignments.png"),
    *("forecast.png", "horizons.png"),
)
"""What a run leaves beside its settings."""


def write_text(path: Path, text: str) -> Path:
    """Writes a file in full or not at all: what was there before stays until the end."""
    if path.is_char_device() or path.is_fifo():
        path.write_text(text, encoding="utf-8")  # such as /dev/stdout, which must not be replaced
        return path
    draft = path.with_name(f".{path.name}.partial")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    except OSError as cause:
        draft.unlink(missing_ok=True)
        raise error(
            "recipes",
            f"{path} cannot be written: {cause.strerror or cause}",
            hint="choose another directory, or make room",
            kind=OSError,
        ) from cause
    return path


def write_json(path: Path, page: Any) -> Path:
    """Writes JSON that a person can read, in full or not at all."""
    return write_text(path, json.dumps(page, indent=2, ensure_ascii=False) + "\n")


def write_table(path: Path, header: list[str], rows: list[list[str]]) -> Path:
    """Writes tab-separated rows; what would break a row in two is written as a space."""
    lines = [[re.sub(r"[\t\r\n]", " ", field) for field in row] for row in [header, *rows]]
    return write_text(path, "".join("\t".join(row) + "\n" for row in lines))


def evaluation_directory(directory: Path, source: str) -> Path:
    """Returns where the report of a source belongs, ``evaluations/NAME`` of a run, made if need be.

    NAME is that of the file without its ending: ``mails.2024`` of ``mails.2024.tsv.gz``.

    Raises:
      OSError: if it cannot be made.
    """
    name = Path(Path(source).name.removesuffix(".gz")).stem
    return _made(Path(directory) / "evaluations" / name)


def task_of(directory: Path) -> str:
    """Returns the task of the run in a directory.

    Raises:
      InputError: if there is no run, or its settings are damaged.
    """
    return _read(Path(directory), "TASK")["task"]


def read_settings(directory: Path, task: str) -> dict[str, Any]:
    """Returns what :func:`write_settings` wrote, or says what is wrong."""
    page = _read(directory, task)
    known = (page["schema"], page["task"])
    if known != (SCHEMA, task):
        raise error(
            "recipes",
            f"{directory / SETTINGS} is of the task {known[1]!r}, version {known[0]}, "
            f"but {task!r}, version {SCHEMA}, is needed",
            hint="name the directory of another run",
            kind=InputError,
        )
    return page


def _read(directory: Path, task: str) -> dict[str, Any]:
    path = directory / SETTINGS
    if not path.is_file():
        raise error(
            "recipes",
            f"{directory} holds no run: there is no {SETTINGS} in it",
            hint=f"`python -m jaxseq train {task} --out {directory}` makes one",
            kind=InputError,
        )
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
        if "schema" not in page or not isinstance(page["task"], str):
            raise KeyError("schema or task")
    except (ValueError, KeyError, TypeError, AttributeError) as cause:
        raise damaged(directory, cause) from cause
    return page


def config_of(page: dict[str, Any], kind: type[Any], directory: Path) -> Any:
    """Returns the settings of a page from :func:`read_settings`, with ``out`` as it is called now.

    Raises:
      InputError: if they are not those of the task.
    """
    settings = page.get("settings")
    if not isinstance(settings, dict):
        raise damaged(directory, "it has no settings")
    hints = typing.get_type_hints(kind)
    for name, value in settings.items():
        if name not in hints or not _fits(value, hints[name]):
            raise damaged(directory, f"{name} = {value!r} is no setting")
    # JSON knows no tuples.
    given = {name: tuple(v) if isinstance(v, list) else v for name, v in settings.items()}
    return kind(**{**given, "out": directory})


def damaged(directory: Path, cause: Any) -> Exception:
    """Returns the error that says what is wrong with the settings in a directory."""
    return error(
        "recipes",
        f"{directory / SETTINGS} is damaged: {str(cause).rstrip('.')}",
        hint="restore the file from a copy, or train anew into another directory",
        kind=InputError,
    )


def write_settings(directory: Path, task: str, config: Any, **more: Any) -> None:
    """Writes the settings of a run that begins, and what else it takes to load its model."""
    settings = {key: _plain(value) for key, value in dataclasses.asdict(config).items()}
    page = {"schema": SCHEMA, "task": task, "settings": settings, **more}
    write_json(_made(directory) / SETTINGS, page)


def _made(directory: Path) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise error(
            "recipes",
            f"the directory {directory} cannot be made: {cause.strerror or cause}",
            hint="choose another one with --out",
            kind=OSError,
        ) from cause
    return directory


def settings_of_run(config: Any, task: str) -> tuple[Any, dict[str, Any] | None]:
    """Returns the settings to go on with, and what the run in ``config.out`` wrote at its start.

    Args:
      config: the settings asked for, with ``out`` and ``resume``.
      task: the name of the task.

    Returns:
      The settings that the run began with, and its page; those asked for and None if it is new.

    Raises:
      InputError: if there is a run already and ``resume`` is off, the settings asked for are
        neither those of the run nor the default ones, or there are files that a run would
        overwrite.
    """
    directory = Path(config.out)
    if not (directory / SETTINGS).exists():
        _check_free(directory)
        return config, None
    if not config.resume:
        raise error(
            "recipes",
            f"there is a run in {directory} already",
            hint="--resume goes on with it; --out names another directory",
            kind=InputError,
        )
    page = read_settings(directory, task)
    saved = config_of(page, type(config), directory)
    for field in dataclasses.fields(config):
        asked, value = getattr(config, field.name), getattr(saved, field.name)
        if field.name not in ("out", "resume") and asked not in (value, field.default):
            raise error(
                "recipes",
                f"the run in {directory} has {field.name} = {value!r}, but {asked!r} is asked for",
                hint="leave the option out to resume, or start anew in another directory",
                kind=InputError,
            )
    return dataclasses.replace(saved, resume=True), page


def check_same_data(page: dict[str, Any], mark: Any, source: str) -> None:
    """Raises if data are not those that a run began with.

    Args:
      page: from :func:`read_settings`, with the mark of then as ``data``.
      mark: what tells the data of now from others.
      source: where they are from.

    Raises:
      InputError: naming the source.
    """
    if page.get("data") != mark:
        raise error(
            page["task"],
            f"the data of {source} are not what they were when the run began",
            hint="bring the data of then back, or train anew into another directory",
            kind=InputError,
        )


def _check_free(directory: Path) -> None:
    there = [name for name in LEFT if (directory / name).exists()]
    if there:
        raise error(
            "recipes",
            f"{directory} holds {' and '.join(there)}, which a run would overwrite, "
            f"but no {SETTINGS} that they belong to",
            hint="choose another directory with --out",
            kind=InputError,
        )


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _fits(value: Any, hint: Any) -> bool:
    """Whether what came from JSON can stand where the hint does."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in typing.get_args(hint))
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if origin is tuple:
        return isinstance(value, list) and all(_fits(v, typing.get_args(hint)[0]) for v in value)
    kinds = {float: (int, float), Path: (str,)}.get(hint, (hint,))
    return type(value) in kinds
