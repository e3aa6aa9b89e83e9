import pytest
import results


def row(kind="lstm", case="single", work="train", **ratios):
    """A row with the given medians."""
    return {
        "case": case,
        "kind": kind,
        "size": [2, 3, 4, 5],
        "work": work,
        "ratios": {name: [0.9 * value, value, 1.1 * value] for name, value in ratios.items()},
        "missing": {},
    }


def test_results_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "new" / "results.json"
    found = {"device": "a", "extras": {"x": [1]}, "rows": [row(flax=0.5), row("gru", flax=2.0)]}
    results.save(path, found)
    assert results.load(path) == found
    assert path.read_text().count("\n  {") == 2  # a line each


def test_a_new_row_takes_the_place_of_the_old_one_of_its_key():
    merged = results.merge([row(flax=0.5), row("elman", flax=1.0)], [row(flax=0.7)])
    assert [one["kind"] for one in merged] == ["elman", "lstm"]
    assert results.medians(merged, "flax") == [1.0, 0.7]


def test_names_are_in_the_order_of_the_table_of_peers():
    assert results.names([row(torch=1.0, flax=1.0), row(equinox=1.0)]) == [
        "flax",
        "equinox",
        "torch",
    ]


def test_a_spread_is_the_geometric_mean_and_both_ends():
    assert results.spread([row(flax=0.5), row(flax=2.0), row(torch=9.0)], "flax") == pytest.approx(
        (1.0, 0.5, 2.0)
    )
    assert results.spread([row(torch=9.0)], "flax") is None


def test_reasons_are_gathered_by_peer():
    rows = [row(kind) | {"missing": {"keras": "not installed"}} for kind in ("gru", "lstm", "gru")]
    assert results.missing(rows) == {"keras": {"not installed": ["gru", "lstm"]}}
