"""What is public: sorted, complete, explained by an executed example, and in the documentation."""

import importlib
import inspect
import types
from pathlib import Path

import pytest

import jaxseq

ROOT = Path(__file__).parent.parent
ROOMS = sorted(path.parent.name for path in (ROOT / "jaxseq").glob("*/__init__.py"))


def modules_of(name):
    """A room, and the modules that it makes public."""
    module = importlib.import_module(name)
    inner = [n for n in module.__all__ if isinstance(getattr(module, n), types.ModuleType)]
    return [name, *(found for n in inner for found in modules_of(f"{name}.{n}"))]


PUBLIC = [name for room in ROOMS for name in modules_of(f"jaxseq.{room}")]
MODULES = ["jaxseq", *PUBLIC]


def public(module):
    """The public objects of a module that are ours; of one that is a file, those defined in it."""
    home = "jaxseq" if hasattr(module, "__path__") else module.__name__
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, types.ModuleType)
        and (getattr(value, "__module__", None) or "").startswith(home)
    }


def callables():
    """The public functions and classes, under the names of their rooms."""
    found = {}
    for room in PUBLIC:
        module = importlib.import_module(room)
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value):
                found[f"{room}.{name}"] = value
    return found


@pytest.mark.parametrize("name", MODULES)
def test_all_is_sorted_and_complete(name):
    module = importlib.import_module(name)
    assert list(module.__all__) == sorted(set(module.__all__))
    assert set(public(module)) <= set(module.__all__)
    for public_name in module.__all__:
        assert getattr(module, public_name) is not None


@pytest.mark.parametrize("name", MODULES)
def test_a_public_module_says_what_it_is(name):
    assert importlib.import_module(name).__doc__


def test_every_room_is_reached_from_the_top_level():
    assert set(ROOMS) <= set(dir(jaxseq))
    for room in ROOMS:
        assert getattr(jaxseq, room) is importlib.import_module(f"jaxseq.{room}")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'jaxseq' has no attribute 'transformer'"):
        jaxseq.transformer  # noqa: B018 - the access is the test


def test_every_name_at_the_top_level_lives_in_a_room():
    homes = callables()
    for name in jaxseq.__all__:
        value = getattr(jaxseq, name)
        assert isinstance(value, types.ModuleType) or any(value is home for home in homes.values())


@pytest.mark.parametrize("name", sorted(callables()))
def test_every_public_name_has_an_example(name):
    text = inspect.getdoc(callables()[name]) or ""
    assert text, f"{name} has no docstring"
    assert "Example:" in text and ">>> " in text, f"{name} has no executed example"
    assert text.splitlines()[0].endswith((".", ":")), f"{name}: the first line is a sentence"


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_documented(room):
    """``make docs`` fails if one of its names is then missing: docs/conf.py, check_coverage."""
    page = (ROOT / "docs" / "reference" / f"{room}.md").read_text()
    index = (ROOT / "docs" / "reference" / "index.md").read_text()
    assert f"({room}.md)" in index and f"\n{room}\n" in index
    for name in modules_of(f"jaxseq.{room}"):
        assert f".. automodule:: {name}\n" in page


def test_every_function_at_the_top_level_is_named_in_the_reference():
    index = (ROOT / "docs" / "reference" / "index.md").read_text()
    for name in jaxseq.__all__:
        if not isinstance(getattr(jaxseq, name), types.ModuleType):
            assert f"`jaxseq.{name}`" in index
