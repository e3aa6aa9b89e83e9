"""Builds a notebook from its jupytext percent script and executes it: SCRIPT.py OUT.ipynb."""

import sys
import tempfile
import time
from pathlib import Path

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
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as sockets:
        # Over socket files, not TCP; in the repository root, whence `runs/` and the like are meant.
        ipc = {"transport": "ipc", "ip": str(Path(sockets) / "kernel")}
        client = NotebookClient(
            notebook,
            timeout=SECONDS,
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


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
