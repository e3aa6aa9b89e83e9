"""Pictures of alignments: any number of them, of any script."""

import numpy as np
import pytest

from jaxseq.recipes import _translation_pictures
from jaxseq.recipes._pictures import Fonts
from jaxseq.recipes._translation_pictures import Alignment, alignment_picture, symbol_name


def example(source, target):
    weights = np.random.default_rng(0).dirichlet(np.ones(len(source)), len(target))
    return Alignment(source, target, weights)


@pytest.mark.parametrize("count", [1, 3])
def test_some_alignments_are_drawn(count, tmp_path):
    one = example([*"ab $", "{a_long_placeholder}"], ["가", " ", "{a_long_placeholder}", "end"])
    path = alignment_picture(tmp_path / "a.png", [one] * count, title="$한글$ " * 3)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_what_no_font_has_is_written_in_latin_letters(tmp_path, monkeypatch):
    # With none but the usual font: a glyph that it lacks would be a warning, and so an error.
    monkeypatch.setattr(
        _translation_pictures, "fonts_for", lambda texts: Fonts([], frozenset("가漢␣"))
    )
    one = example([*"ab "], ["가", "漢", "end"])
    assert alignment_picture(tmp_path / "a.png", [one], title="t").stat().st_size > 0


def test_symbols_have_names():
    none = Fonts([], frozenset("집"))
    assert [symbol_name(s, none) for s in ("a", "$", "집 ", "{" + "x" * 30 + "}")] == [
        *("a", r"\$", "jip␣", "{xxxxxxxxxx…")
    ]
