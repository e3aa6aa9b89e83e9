"""The checker of links finds what is broken on a small site, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

CHECKER = Path(__file__).parents[2] / "tools" / "links.py"

GOOD = {
    "index.html": '<a href="guides/one.html#a%20b">1</a> <a href="#here">2</a> <p id="here"></p>'
    '<img src="picture.png?v=1"> <a href="https://example.org/nothing">away</a>'
    '<a href="mailto:a@example.org">us</a> <a href="guides/">folder</a> <a href="#">top</a>',
    "guides/one.html": '<h2 id="a b"></h2> <a href="../index.html">up</a> <a href="/index.html">',
    "guides/index.html": '<a name="old" href="one.html"></a> <a href="index.html#old"></a>',
    "picture.png": "",
}


def site(folder, **changed):
    """Writes the small site, with some pages changed."""
    for name, text in (GOOD | changed).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def check(folder):
    return subprocess.run(
        [sys.executable, CHECKER, folder], capture_output=True, text=True, check=False
    )


def test_a_site_without_broken_links_passes(tmp_path):
    done = check(site(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path}: the links of 3 pages lead somewhere\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('\n<a href="two.html">', "index.html:2: two.html is not there"),
        ('<a href="guides/one.html#c">', "index.html:1: guides/one.html#c has no such anchor"),
        ('<a href="#c">', "index.html:1: #c has no such anchor"),
        ('<img src="other.png">', "index.html:1: other.png is not there"),
        ('<a href="../index.html">', "index.html:1: ../index.html is outside the site"),
    ],
)
def test_what_is_broken_is_named_with_its_place(text, line, tmp_path):
    done = check(site(tmp_path, **{"index.html": text}))
    assert done.returncode == 1
    assert done.stdout == f"{line}\n"
    assert done.stderr == f"error: 1 broken links in {tmp_path}\n"


def test_a_folder_without_pages_is_no_site(tmp_path):
    done = check(tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"error: there are no pages in {tmp_path}\n"
