"""The tool that builds the notebooks, and what is kept of them in the repository."""

import importlib.util
from pathlib import Path

import jupytext
import nbformat
import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted((ROOT / "notebooks").glob("*.py"))
HEAD = "# %% [markdown]\n# # A page\n\n# %%\n"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("notebook_tool", ROOT / "tools" / "notebook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kept(path, *, source="1 + 1", outputs=()):
    code = nbformat.v4.new_code_cell(source, outputs=[*outputs])
    cells = [nbformat.v4.new_markdown_cell("# A page"), code]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def number(text, **more):
    data = {"text/plain": text, **more}
    return nbformat.v4.new_output("execute_result", data=data, execution_count=1)


def printed(text):
    return nbformat.v4.new_output("stream", name="stdout", text=text)


def test_other_numbers_and_a_stream_in_pieces_are_no_drift(tool, tmp_path):
    one = kept(tmp_path / "a.ipynb", outputs=[printed("0.1"), number("2")])
    two = kept(tmp_path / "b.ipynb", outputs=[printed("0."), printed("2"), number("3")])
    tool.drift(one, two)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"source": "1 + 2", "outputs": [number("2")]}, "the text of cell 1 of .* differ from"),
        ({}, "the outputs of cell 1 of .* differ from"),
        ({"outputs": [number("2", **{"image/png": "AA=="})]}, "the outputs of cell 1 of .* differ"),
    ],
)
def test_another_cell_or_kind_of_output_is_drift(tool, tmp_path, changed, problem):
    built = kept(tmp_path / "a.ipynb", outputs=[number("2")])
    with pytest.raises(SystemExit, match=f"{problem}.*run `make keep-notebooks`"):
        tool.drift(built, kept(tmp_path / "b.ipynb", **changed))


def test_a_notebook_that_is_not_kept_is_drift(tool, tmp_path):
    with pytest.raises(SystemExit, match=r"b.ipynb is missing; run `make keep-notebooks`"):
        tool.drift(kept(tmp_path / "a.ipynb"), tmp_path / "b.ipynb")


def test_one_cell_more_is_drift(tool, tmp_path):
    built = kept(tmp_path / "a.ipynb")
    short = tmp_path / "b.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=nbformat.read(built, 4).cells[:1]), short)
    with pytest.raises(SystemExit, match=r"b.ipynb has 1 cells, .*a.ipynb has 2"):
        tool.drift(built, short)


@pytest.mark.slow  # starts a kernel
def test_an_assertion_that_does_not_hold_is_an_error(tool, tmp_path):
    script = tmp_path / "page.py"
    script.write_text(f"{HEAD}assert 1 + 1 == 2\n")
    tool.main(script, tmp_path / "page.ipynb")
    assert nbformat.read(tmp_path / "page.ipynb", 4).cells[1].id == "cell-1"
    script.write_text(f"{HEAD}assert 1 + 1 == 3\n")
    with pytest.raises(SystemExit, match=r"(?s)error: .*page.py: .*AssertionError"):
        tool.main(script, tmp_path / "other.ipynb")
    assert not (tmp_path / "other.ipynb").exists()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_that_is_kept_has_the_cells_of_its_script(script):
    page = nbformat.read(script.with_suffix(".ipynb"), 4)
    made = jupytext.read(script)
    assert [(c.cell_type, c.source) for c in page.cells] == [
        (c.cell_type, c.source) for c in made.cells
    ]
    failed = [o for c in page.cells for o in c.get("outputs", []) if o.output_type == "error"]
    assert not failed


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_asserts_what_it_claims_and_draws(script):
    text = script.read_text()
    assert "# # " in text and "## Exercises" in text and "## What must hold" in text
    assert text.count("**Answer.**") >= 3
    assert "assert " in text.split("## What must hold")[1]
    assert "plt.show()" in text and any("가" <= letter <= "힣" for letter in text)
