"""The pages of the documentation: their Python runs, prints what they say, and is indexed."""

from pathlib import Path

import jax
import pages
import pytest

DOCS = Path(__file__).parents[2] / "docs"
BUILT = ("_build", "notebooks")
PAGES = [
    path
    for path in sorted(DOCS.rglob("*.md"))
    if path.relative_to(DOCS).parts[0] not in (*BUILT, "design")
]
PEERS = ("torch", "keras", "haiku", "equinox")


def named(path):
    return str(path.relative_to(DOCS))


@pytest.fixture
def at_readers(tmp_path, monkeypatch):
    """An empty folder, no screen, and JAX as it is when nobody has set anything."""
    monkeypatch.chdir(tmp_path)
    plt = pytest.importorskip("matplotlib.pyplot", reason="pages draw pictures")
    plt.switch_backend("agg")
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
    plt.close("all")


@pytest.mark.slow  # `make doctest` runs them, beside the examples of docstrings
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(b.language == "python" for b in pages.blocks(page))],
    ids=named,
)
def test_the_python_blocks_of_a_page_run(page, at_readers):
    pages.run(page)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_code_that_is_not_run_is_of_a_library_that_may_not_be_here(page):
    """``py`` in place of ``python`` says so; it must still be Python."""
    for block in pages.blocks(page):
        known = block.language in ("python", "py", "sh", "text") or block.language.startswith("{")
        assert known, f"{page.name}, line {block.line}: {block.language!r}"
        if block.language == "py":
            assert any(peer in block.text for peer in PEERS), f"{page.name}, line {block.line}"
            compile(block.text, str(page), "exec")


def test_every_guide_and_explanation_has_code_that_runs():
    for page in (*DOCS.glob("guides/*.md"), *DOCS.glob("explanation/*.md")):
        assert any(block.language == "python" for block in pages.blocks(page)), page.name


def test_every_guide_and_explanation_is_in_the_index():
    index = (DOCS / "index.md").read_text()
    for page in (*DOCS.glob("guides/*.md"), *DOCS.glob("explanation/*.md"), DOCS / "ko.md"):
        assert f"\n{page.relative_to(DOCS).with_suffix('')}\n" in index, page.name
