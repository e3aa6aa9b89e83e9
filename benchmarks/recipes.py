"""What the recipes reach: ``python benchmarks/recipes.py`` runs each with its default settings.

A run that is there already is not run again. ``--write README.md README.ko.md`` puts the table
between the comments ``<!-- recipes -->`` and ``<!-- /recipes -->`` of these pages. Runs that take
less than three minutes are repeated with two more seeds.
"""

import dataclasses
import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import tyro

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
}


class Recipe(NamedTuple):
    """A run of the command line, and what of its report is told.

    Attributes:
      task: of the command line.
      data: the bundled data.
      title: of the row, by language.
      measure: what is measured, by language.
      path: where the figure stands in a part of a report, in 0..1.
    """

    task: str
    data: str
    title: dict[str, str]
    measure: dict[str, str]
    path: tuple[str, ...]


ACCURACY = {"en": "accuracy", "ko": "정확도"}
RECIPES = (
    Recipe(
        "classification",
        "names",
        {"en": "names, 21 languages", "ko": "이름, 21개 언어"},
        ACCURACY,
        ("accuracy",),
    ),
    Recipe(
        "classification",
        "udhr",
        {"en": "paragraphs, 20 languages", "ko": "문단, 20개 언어"},
        ACCURACY,
        ("accuracy",),
    ),
    Recipe(
        "classification",
        "japanese_vowels",
        {"en": "JapaneseVowels, 9 speakers", "ko": "JapaneseVowels, 화자 9명"},
        ACCURACY,
        ("accuracy",),
    ),
    Recipe(
        "tagging",
        "usaddress",
        {"en": "US addresses, 29 labels", "ko": "미국 주소, 29개 표지"},
        {"en": "span F1", "ko": "구간 F1"},
        ("span_f1",),
    ),
    Recipe(
        "tagging",
        "hkcancor",
        {"en": "Cantonese, 95 parts of speech", "ko": "광둥어 품사, 95개"},
        ACCURACY,
        ("accuracy",),
    ),
    Recipe(
        "tagging",
        "korean_spacing",
        {"en": "Korean spacing", "ko": "한국어 띄어쓰기"},
        {"en": "F1 of spaces", "ko": "공백 F1"},
        ("by_label", "SPACE", "f1"),
    ),
)

WORDS = {
    "en": {
        "head": ["data", "measure on the test part", "this model", "three seeds", "others", "time"],
        "note": "Each row is `python -m jaxseq train TASK --data NAME` with its default settings; "
        "all are made by `make recipes`. In %: seed 0, and mean ± standard deviation over the "
        "seeds 0, 1 and 2 of runs under three minutes; the others are of the same run. Time is the "
        "whole command, on {device}.",
    },
    "ko": {
        "head": ["데이터", "시험 부분에서 잰 것", "이 모형", "시드 셋", "비교 대상", "시간"],
        "note": "각 행은 기본 설정의 `python -m jaxseq train TASK --data NAME`이며, 모두 "
        "`make recipes`가 만듭니다. 단위는 %: 시드 0의 값, 그리고 3분 안에 끝나는 실행은 시드 0, "
        "1, 2의 평균 ± 표준편차입니다. 비교 대상은 같은 실행에서 계산했습니다. 시간은 명령 전체의 "
        "시간이며 {device}에서 쟀습니다.",
    },
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Runs the recipes and makes Markdown of their reports."""

    names: tuple[str, ...] = tuple(recipe.data for recipe in RECIPES)
    """Which data."""
    runs: Path = Path("runs/recipes")
    """Where the runs are, one directory each."""
    only_table: bool = False
    """Runs nothing, and tells what is there."""
    results: Path = ROOT / "benchmarks" / "results" / "recipes.json"
    """Where the figures are kept; those of runs that are not there stay."""
    write: tuple[Path, ...] = ()
    """Pages whose text between the two comments is replaced."""


def command(recipe: Recipe, seed: int, out: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "jaxseq", "train", recipe.task),
        *("--data", recipe.data, "--seed", str(seed), "--out", str(out)),
    ]


def run(recipe: Recipe, seed: int, runs: Path) -> dict[str, Any]:
    """Runs the command line unless its report is there; returns what is told of it."""
    out = runs / f"{recipe.data}-{seed}"
    told = out / "told.json"
    if not told.exists():
        shutil.rmtree(out, ignore_errors=True)
        begin = time.monotonic()
        subprocess.run(command(recipe, seed, out), check=True)
        seconds = time.monotonic() - begin
        report = json.loads((out / "report.json").read_text())
        told.write_text(json.dumps(figures(recipe, report) | {"seconds": round(seconds, 1)}))
    return json.loads(told.read_text())


def figures(recipe: Recipe, report: dict[str, Any]) -> dict[str, Any]:
    """Returns the figure of a report and those beside it, in per cent."""
    others = report["others"]["test"]
    return {
        "value": percent(report["test"], recipe.path),
        "others": {
            SHORT[name]: percent(row, recipe.path) for name, row in others.items() if name in SHORT
        },
        "versions": report["versions"],
        "device": report["device"],
    }


def percent(page: Any, path: tuple[str, ...]) -> float:
    for name in path:
        page = page[name]
    return round(100 * page, 2)


def measure(recipe: Recipe, runs: Path) -> dict[str, Any]:
    """Runs a recipe, with more seeds if it is brief."""
    first = run(recipe, SEEDS[0], runs)
    seeds = SEEDS if first["seconds"] < BRIEF else SEEDS[:1]
    values = [run(recipe, seed, runs)["value"] for seed in seeds]
    return {**first, "seeds": values}


def table(found: dict[str, Any], language: str) -> str:
    """Returns the rows in Markdown."""
    words = WORDS[language]
    lines = [
        "| " + " | ".join(words["head"]) + " |",
        "| --- | --- |" + 2 * " ---: |" + " --- | ---: |",
    ]
    for recipe in RECIPES:
        row = found.get(recipe.data)
        if row is None:
            continue
        seeds = row["seeds"]
        spread = "–"
        if len(seeds) > 1:
            spread = f"{statistics.mean(seeds):.2f} ± {statistics.stdev(seeds):.2f}"
        others = "; ".join(f"{name} {value:.2f}" for name, value in row["others"].items())
        cells = [
            *(f"{recipe.title[language]}: `{recipe.task}`, `{recipe.data}`",),
            *(recipe.measure[language], f"**{row['value']:.2f}**", spread, others),
            f"{row['seconds'] / 60:.1f} min",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    devices = sorted({row["machine"] for row in found.values()})
    return "\n".join([*lines, "", words["note"].format(device=", ".join(devices))])


def replace(page: Path, text: str) -> None:
    """Puts a text between the two comments of a page."""
    old = page.read_text(encoding="utf-8")
    before, rest = old.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def main(options: Options) -> None:
    import machine

    found = json.loads(options.results.read_text()) if options.results.exists() else {}
    for recipe in RECIPES:
        if recipe.data in options.names and not options.only_table:
            found[recipe.data] = measure(recipe, options.runs) | {"machine": machine.device()}
            options.results.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    for page in options.write:
        replace(page, table(found, "ko" if page.name.endswith(".ko.md") else "en"))
    print(table(found, "en"))


if __name__ == "__main__":
    main(tyro.cli(Options))
