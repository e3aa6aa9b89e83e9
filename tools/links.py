"""Checks the links inside a built site, files and anchors, without the network: links.py FOLDER."""

import functools
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

TARGETS = {"a": "href", "area": "href", "img": "src", "link": "href", "script": "src"}
TARGETS |= {"iframe": "src", "source": "src", "object": "data"}


class Page(HTMLParser):
    """What a page links to, each with its line, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[tuple[int, str]] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors |= {found[name] or "" for name in ("id", "name") if name in found}
        if tag in TARGETS and TARGETS[tag] in found:
            self.links.append((self.getpos()[0], found[TARGETS[tag]] or ""))


@functools.cache
def read(path: Path) -> Page:
    """Returns a page, which is read once."""
    return Page(path.read_text(encoding="utf-8"))


def problem(root: Path, page: Path, link: str) -> str | None:
    """Returns what is wrong with a link of a page; None if it leads somewhere, or off the site."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    path = unquote(parts.path)
    target = (root / path.lstrip("/") if path.startswith("/") else page.parent / path).resolve()
    target = page.resolve() if not path else target
    if not target.is_relative_to(root.resolve()):
        return "is outside the site"
    target = target / "index.html" if target.is_dir() else target
    if not target.exists():
        return "is not there"
    anchor = unquote(parts.fragment)
    if anchor in ("", "top") or target.suffix != ".html" or anchor in read(target).anchors:
        return None
    return "has no such anchor"


def broken(root: Path) -> list[str]:
    """Returns a line for each broken link of the pages below a folder."""
    return [
        f"{page.relative_to(root)}:{line}: {link or 'an empty link'} {what}"
        for page in sorted(root.rglob("*.html"))
        for line, link in read(page).links
        if (what := problem(root, page, link))
    ]


def main(root: Path) -> None:
    pages = len(list(root.rglob("*.html")))
    if not pages:
        raise SystemExit(f"error: there are no pages in {root}")
    lines = broken(root)
    print(*lines, sep="\n", end="\n" if lines else "")
    if lines:
        raise SystemExit(f"error: {len(lines)} broken links in {root}")
    print(f"{root}: the links of {pages} pages lead somewhere")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
