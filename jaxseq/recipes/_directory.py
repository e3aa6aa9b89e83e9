"""The directory of a run: its settings, its reports, and what may not be overwritten."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, TypeVar

from jaxseq._checks import InputError, error

SETTINGS = "config.json"
SCHEMA = 1

Config = TypeVar("Config")


def write_text(path: Path, text: str) -> Path:
    """Writes a file in full or not at all: what was there before stays until the end."""
    draft = path.with_name(f".{path.name}.partial")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    except OSError as cause:
        draft.unlink(missing_ok=True)
        raise error(
            "recipes",
            f"{path} cannot be written: {cause.strerror or cause}",
            hint="choose another directory with --out, or make room",
            kind=OSError,
        ) from cause
    return path


def write_json(path: Path, page: Any) -> Path:
    """Writes JSON that a person can read, in full or not at all."""
    return write_text(path, json.dumps(page, indent=2, ensure_ascii=False) + "\n")


def read_settings(directory: Path, task: str) -> dict[str, Any]:
    """Returns what :func:`start` or :func:`write_settings` wrote, or says what is wrong."""
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
        known = (page["schema"], page["task"])
    except (ValueError, KeyError, TypeError) as cause:
        raise error(
            "recipes",
            f"{path} is damaged: {cause}",
            hint="restore the file from a copy, or train anew into another directory",
            kind=InputError,
        ) from cause
    if known != (SCHEMA, task):
        raise error(
            "recipes",
            f"{path} is of the task {known[1]!r}, version {known[0]}, "
            f"but {task!r}, version {SCHEMA}, is needed",
            hint="name the directory of another run",
            kind=InputError,
        )
    return page


def write_settings(directory: Path, task: str, config: Any, **more: Any) -> None:
    """Writes the settings of a run that begins, and what else it takes to load its model."""
    settings = {key: _plain(value) for key, value in dataclasses.asdict(config).items()}
    page = {"schema": SCHEMA, "task": task, "settings": settings, **more}
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise error(
            "recipes",
            f"the directory {directory} cannot be made: {cause.strerror or cause}",
            hint="choose another one with --out",
            kind=OSError,
        ) from cause
    write_json(directory / SETTINGS, page)


def settings_of_run(config: Config, task: str) -> Config | None:
    """Returns the settings that the run in ``config.out`` began with, or None if it is new.

    Args:
      config: the settings asked for, with ``out`` and ``resume``.
      task: the name of the task.

    Raises:
      InputError: if there is a run already and ``resume`` is off, or the settings asked for are
        neither those of the run nor the default ones.
    """
    directory = Path(config.out)
    if not (directory / SETTINGS).exists():
        return None
    if not config.resume:
        raise error(
            "recipes",
            f"there is a run in {directory} already",
            hint="--resume goes on with it; --out names another directory",
            kind=InputError,
        )
    saved = read_settings(directory, task)["settings"]
    fields = {field.name: field for field in dataclasses.fields(config)}
    changes = {}
    for name, value in saved.items():
        if name not in fields or name in ("out", "resume"):
            continue
        asked = _plain(getattr(config, name))
        if asked not in (value, _plain(fields[name].default)):
            raise error(
                "recipes",
                f"the run in {directory} has {name} = {value!r}, but {asked!r} is asked for",
                hint="leave the option out to resume, or start anew in another directory",
                kind=InputError,
            )
        changes[name] = value
    return dataclasses.replace(config, **changes)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
