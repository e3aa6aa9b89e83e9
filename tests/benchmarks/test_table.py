import pytest
import results
import table


def row(kind, work, **ratios):
    """A row with the given medians."""
    return {
        "case": "single",
        "kind": kind,
        "size": [2, 3, 4, 5],
        "work": work,
        "ratios": {name: [0.9 * value, value, 1.1 * value] for name, value in ratios.items()},
        "missing": {},
    }


FOUND = {
    "device": "a machine that is not there",
    "platform": "cpu",
    "threads": {"XLA": 2},
    "versions": {"jax": "1.2", "keras": "not installed"},
    "product_gflops": 100.0,
    "extras": {},
    "rows": [
        row("lstm", "train", flax=0.5, products=2.0),
        row("lstm", "train", flax=0.72, products=2.0),
        row("gru", "infer", flax=1.5),
    ],
}


def test_the_table_has_means_and_both_ends_of_peers_only():
    text = table.readme([FOUND], "en")
    assert "| Flax nnx.RNN | 0.60 (0.50–0.72) |" in text
    assert "| Flax nnx.RNN | 1.50 (1.50–1.50) |" in text
    assert "products" not in text
    assert "a machine that is not there, float32, threads: XLA 2; jax 1.2." in text
    assert "keras" not in text


def test_the_korean_page_says_the_same_in_korean():
    text = table.readme([FOUND], "ko")
    assert "학습 한 단계" in text and "0.60 (0.50–0.72)" in text


def test_the_full_page_has_every_row_and_the_bound(tmp_path):
    text = table.full_page([FOUND], tmp_path)
    assert "| LSTM | 2, 3, 4, 5 | 0.50 (0.45–0.55) | 2.00 (1.80–2.20) |" in text
    assert "| LSTM | **geometric mean** | **0.60** | **2.00** |" in text
    assert "### One layer: inference" in text


def test_the_full_page_has_what_a_stream_costs_where_it_was_measured(tmp_path):
    assert "One step at a time" not in table.full_page([FOUND], tmp_path)
    ratios = {"calls": [0.8, 0.9, 1.0], "loop": [0.1, 0.2, 0.3]}
    times = {"torch": [9.0, 10.0, 11.0], "calls": [8.0, 9.0, 9.5], "loop": [1.0, 2.0, 3.0]}
    stream = [{"kind": "gru", "size": [1, 256], "us": times, "ratios": ratios}]
    text = table.full_page([FOUND | {"streaming": stream}], tmp_path)
    assert "| GRU | 1, 256 | 10.0 | 9.0, 0.90 (0.80–1.00) | 2.0, 0.20 (0.10–0.30) |" in text


def test_the_text_between_the_comments_is_replaced():
    page = "above\n<!-- benchmark -->\nold\n<!-- /benchmark -->\nbelow\n"
    assert table.replace(page, "new") == (
        "above\n<!-- benchmark -->\n\nnew\n\n<!-- /benchmark -->\nbelow\n"
    )
    assert table.replace(table.replace(page, "other"), "new") == table.replace(page, "new")


def test_a_page_without_the_comments_is_refused():
    with pytest.raises(ValueError, match="must have <!-- benchmark --> and <!-- /benchmark -->"):
        table.replace("nothing", "new")


def test_a_link_is_relative_to_the_page():
    assert table.link(table.ROOT / "docs" / "images" / "x.png", table.ROOT) == "docs/images/x.png"
    assert table.link(table.ROOT / "docs" / "images" / "x.png", table.ROOT / "docs") == (
        "images/x.png"
    )


def test_every_case_and_kind_of_work_has_words_in_both_languages():
    for words in table.WORDS.values():
        assert {*results.CASES, *results.WORKS} <= set(words)
