"""Pages of Markdown: their headings, their fenced blocks, and the Python of them run."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any, NamedTuple

FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: its language, its text, and the number of the line that its text begins on.

    ``follows`` says whether nothing but blank lines parts it from the block before.
    """

    language: str
    text: str
    line: int
    follows: bool


def blocks(path: Path) -> list[Block]:
    """Returns the fenced blocks of a page."""
    page, found, end = path.read_text(), [], None
    for match in FENCE.finditer(page):
        follows = end is not None and not page[end : match.start()].strip()
        line = page.count("\n", 0, match.start(2)) + 1
        found.append(Block(match[1].strip(), match[2], line, follows))
        end = match.end()
    return found


def levels(path: Path) -> list[int]:
    """Returns the levels of the headings of a page, in their order."""
    prose = FENCE.sub("", path.read_text())
    return [len(marks) for marks in re.findall(r"^(#+) ", prose, re.MULTILINE)]


def run(path: Path) -> dict[str, Any]:
    """Runs the ``python`` blocks of a page in one namespace, and returns the namespace.

    A ``text`` block straight after one is what it prints.
    """
    names: dict[str, Any] = {"__name__": "page"}
    printed = ""
    for block in blocks(path):
        if block.language == "python":
            # The blank lines give a traceback the line numbers of the page.
            code = compile("\n" * (block.line - 1) + block.text, str(path), "exec")
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(code, names)
            printed = out.getvalue()
        elif block.language == "text" and block.follows and printed:
            assert printed.strip() == block.text.strip(), f"{path.name}, line {block.line}"
    return names
