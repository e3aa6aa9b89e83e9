"""Builds a notebook from its jupytext percent script and executes it: SCRIPT.py OUT.ipynb.

With ``--drift OUT.ipynb KEPT.ipynb`` it compares a notebook just built with the one that is kept in
the repository. They must have the same cells, and each cell must give the same kinds of output: the
last digits of a number, and the pixels of a picture, are not the same on every machine.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from traitlets.config import Config

SECONDS = 90  # for the whole notebook, on two cores


def main(script: Path, out: Path) -> None:
    notebook = jupytext.read(script)
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    # Names that stay the same, so that two builds differ only where something has changed.
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as sockets:
        # Over socket files, not TCP; in the repository root, whence `runs/` and the like are meant.
        ipc = {"transport": "ipc", "ip": str(Path(sockets) / "kernel")}
        client = NotebookClient(
            notebook,
            timeout=SECONDS,
            record_timing=False,
            resources={"metadata": {"path": str(Path.cwd())}},
            config=Config({"KernelManager": ipc}),
        )
        try:
            client.execute()
        except CellExecutionError as problem:
            raise SystemExit(f"error: {script}: {problem}") from None
        except CellTimeoutError:
            raise SystemExit(f"error: {script}: a cell ran for more than {SECONDS} s") from None
    seconds = time.monotonic() - begin
    if seconds > SECONDS:
        raise SystemExit(f"error: {script}: took {seconds:.0f} s, more than {SECONDS} s")
    out.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, out)
    print(f"{out}: {seconds:.0f} s")


def drift(built: Path, kept: Path) -> None:
    again = "run `make keep-notebooks` and commit what it changes"
    if not kept.is_file():
        raise SystemExit(f"error: {kept} is missing; {again}")
    new, old = (nbformat.read(path, as_version=4).cells for path in (built, kept))
    if len(new) != len(old):
        raise SystemExit(f"error: {kept} has {len(old)} cells, {built} has {len(new)}; {again}")
    for number, pair in enumerate(zip(new, old, strict=True)):
        for what, of in (("text", _text), ("outputs", _outputs)):
            found, there = map(of, pair)
            if found != there:
                problem = f"the {what} of cell {number} of {kept} differ from what {built} has"
                raise SystemExit(f"error: {problem}: {there!r}, now {found!r}; {again}")


def _text(cell: Any) -> tuple[str, str]:
    return cell.cell_type, cell.source


def _outputs(cell: Any) -> list[tuple[str, ...]]:
    """Returns the kinds of a cell's outputs: a stream may come in pieces, and counts once."""
    kinds = [
        (output.output_type, *sorted(output.get("data", [output.get("name", "")])))
        for output in cell.get("outputs", [])
    ]
    return sorted(set(kinds))


if __name__ == "__main__":
    if sys.argv[1] == "--drift":
        drift(*map(Path, sys.argv[2:]))
    else:
        main(*map(Path, sys.argv[1:]))
