"""What the recipes reach: ``python benchmarks/recipes.py`` runs each with its default settings.

A run that is there already is not run again. ``--write README.md README.ko.md`` puts the table
between the comments ``<!-- recipes -->`` and ``<!-- /recipes -->`` of these pages. Runs that take
less than three minutes are repeated with two more seeds.
"""

import dataclasses
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro
from recipe_tables import MEMORY, ROWS, Row, page_text

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- recipes -->", "<!-- /recipes -->"
BRIEF = 180.0
SEEDS = (0, 1, 2)
SHORT = {
    "naive Bayes of character 1-3-grams": "naive Bayes",
    "a hidden Markov model for each class": "an HMM a class",
    "the most frequent label of each word": "most frequent label",
    "a hidden Markov model": "HMM",
    "a CRF with features by hand": "CRF, features by hand",
    "the nearest training source": "nearest training source",
    "persistence (random walk)": "persistence",
    "seasonal naive, 7 steps": "seasonal naive, 7",
    "seasonal naive, 365 steps": "seasonal naive, 365",
    "AR(12)": "AR(12)",
    "AR(5)": "AR(5)",
    "hidden Markov models of words": "HMMs of words",
}
"""What stands beside a figure, and what it is called there."""
RUNS = {row.data: row.task for row in ROWS}


@dataclasses.dataclass(frozen=True)
class Options:
    """Runs the recipes and makes Markdown of their reports."""

    names: tuple[str, ...] = (*RUNS, MEMORY)
    """Which data; ``memory`` for the memory tasks, which make their own."""
    runs: Path = Path("runs/recipes")
    """Where the runs are, one directory each."""
    only_table: bool = False
    """Runs nothing, and tells what is there."""
    results: Path = ROOT / "benchmarks" / "results" / "recipes.json"
    """Where the figures are kept; those of runs that are not there stay."""
    write: tuple[Path, ...] = ()
    """Pages whose text between the two comments is replaced."""


def command(task: str, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "jaxseq", "train", task, *more, "--out", str(out)]


def run(data: str, seed: int, runs: Path) -> dict[str, Any]:
    """Runs the command line unless its report is there; returns what is told of it."""
    out = runs / f"{data}-{seed}"
    words = command(RUNS[data], out, "--data", data, "--seed", str(seed))
    rows = [row for row in ROWS if row.data == data]
    return told(words, out, lambda report: figures(rows, report))


def told(
    words: list[str], out: Path, figures_of: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """Returns the figures of the run in a directory, which is made unless they are there."""
    page = out / "told.json"
    if not page.exists():
        shutil.rmtree(out, ignore_errors=True)
        begin = time.monotonic()
        subprocess.run(words, check=True)
        seconds = time.monotonic() - begin
        report = json.loads((out / "report.json").read_text())
        page.write_text(json.dumps(figures_of(report) | {"seconds": round(seconds, 1)}))
    return json.loads(page.read_text())


def memory_figures(report: dict[str, Any]) -> dict[str, Any]:
    """Returns the errors of the memory tasks at the greatest length, by task and cell."""
    length = max(row["length"] for row in report["rows"])
    tasks: dict[str, Any] = {}
    for row in report["rows"]:
        if row["length"] == length:
            found = {"error": row["error"], "solved": row["solved"]}
            tasks.setdefault(row["task"], {})[row["cell"]] = found
    kept = {key: report[key] for key in ("threshold", "versions", "device")}
    return {"length": length, "tasks": tasks, **kept}


def figures(rows: list[Row], report: dict[str, Any]) -> dict[str, Any]:
    """Returns the figures of a report that are told, and those beside them."""
    found = {
        row.key: {
            "value": figure(row, report[row.part]),
            "others": {
                SHORT[name]: figure(row, page)
                for name, page in report["others"].get(row.part, {}).items()
                if name in SHORT
            },
        }
        for row in rows
    }
    return {"rows": found, "versions": report["versions"], "device": report["device"]}


def figure(row: Row, page: Any) -> float:
    for name in row.path:
        page = page[name]
    return round(row.scale * page, row.digits)


def measure(data: str, runs: Path) -> dict[str, Any]:
    """Runs a recipe, with more seeds if it is brief."""
    first = run(data, SEEDS[0], runs)
    seeds = SEEDS if first["seconds"] < BRIEF else SEEDS[:1]
    pages = [run(data, seed, runs)["rows"] for seed in seeds]
    rows = {
        key: row | {"seeds": [page[key]["value"] for page in pages]}
        for key, row in first["rows"].items()
    }
    return first | {"rows": rows}


def replace(page: Path, text: str) -> None:
    """Puts a text between the two comments of a page."""
    old = page.read_text(encoding="utf-8")
    before, rest = old.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def main(options: Options) -> None:
    import machine

    found = json.loads(options.results.read_text()) if options.results.exists() else {}

    def keep(name: str, row: dict[str, Any]) -> None:
        found[name] = row | {"machine": machine.device()}
        options.results.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")

    asked = () if options.only_table else options.names
    for data in RUNS:
        if data in asked:
            keep(data, measure(data, options.runs))
    if MEMORY in asked:
        out = options.runs / MEMORY
        keep(MEMORY, told(command(MEMORY, out), out, memory_figures))
    for page in options.write:
        replace(page, page_text(found, "ko" if page.name.endswith(".ko.md") else "en"))
    print(page_text(found, "en"))


if __name__ == "__main__":
    main(tyro.cli(Options))
