"""The file of results: what is in it, how it is written, and what is read off it.

A row is one case, kind, size and kind of work. Times are milliseconds, ratios are ours by theirs;
both are [lower quartile, median, upper quartile].
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import peers
from measure import geometric_mean

FOLDER = Path(__file__).parent / "results"
KEY = ("case", "kind", "size", "work")
WORKS = {"train": "training step", "infer": "inference"}
KINDS = {"elman": "Elman", "gru": "GRU", "lstm": "LSTM"}
CASES = {
    "single": "one layer",
    "both": "two layers, both directions",
    "ragged": "two layers, both directions, ragged",
}

Row = dict[str, Any]


def key(row: Row) -> tuple:
    """Returns what a row is known by."""
    return tuple(tuple(row[name]) if name == "size" else row[name] for name in KEY)


def merge(old: Iterable[Row], new: Iterable[Row]) -> list[Row]:
    """Returns the rows of both, the new ones in the place of old ones of their key."""
    rows = {key(row): row for row in [*old, *new]}.values()
    return sorted(
        rows, key=lambda row: (list(CASES).index(row["case"]), list(KINDS).index(row["kind"]))
    )


def save(path: Path, results: dict[str, Any]) -> None:
    """Writes results, one row a line, so that a difference of two files can be read."""
    head = {name: value for name, value in results.items() if name != "rows"}
    rows = ",\n".join("  " + json.dumps(row) for row in results["rows"])
    text = json.dumps(head, indent=1).removesuffix("\n}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{text},\n "rows": [\n{rows}\n ]\n}}\n')


def load(path: Path) -> dict[str, Any]:
    """Reads results."""
    return json.loads(path.read_text())


def names(rows: Iterable[Row]) -> list[str]:
    """Returns the peers that rows have ratios to, in the order of the table of peers."""
    found = {name for row in rows for name in row["ratios"]}
    return [name for name in peers.PEERS if name in found]


def pick(rows: Iterable[Row], **wanted: Any) -> list[Row]:
    """Returns the rows whose fields have the values wanted."""
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def medians(rows: Iterable[Row], peer: str) -> list[float]:
    """Returns the ratios to a peer, of the rows that have one."""
    return [row["ratios"][peer][1] for row in rows if peer in row["ratios"]]


def spread(rows: Iterable[Row], peer: str) -> tuple[float, float, float] | None:
    """Returns the geometric mean of the ratios to a peer, the lowest and the highest."""
    found = medians(rows, peer)
    return (geometric_mean(found), min(found), max(found)) if found else None


def missing(rows: Iterable[Row]) -> dict[str, dict[str, list[str]]]:
    """Returns why rows lack peers: by peer, by reason, the kinds of which that holds."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        for peer, why in row["missing"].items():
            kinds = found.setdefault(peer, {}).setdefault(why, [])
            if row["kind"] not in kinds:
                kinds.append(row["kind"])
    return found
