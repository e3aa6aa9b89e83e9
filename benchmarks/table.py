"""Results as Markdown: ``python benchmarks/table.py`` prints the table of the README.

``--write README.md README.ko.md`` puts it between the comments ``<!-- benchmark -->`` and
``<!-- /benchmark -->`` of these pages; ``--page docs/benchmarks.md`` writes all rows.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

import machine
import peers
import results
import tyro
from measure import geometric_mean

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- benchmark -->", "<!-- /benchmark -->"
HIDDEN = ("reference", "products")  # no peers; the full page has them

# What the tables say, by the language of the page: README.ko.md is Korean.
WORDS = {
    "en": {
        "corner": "time of jaxseq by time of",
        "train": "training step",
        "infer": "inference",
        "single": "one layer",
        "both": "two layers, both directions",
        "ragged": "two layers, both directions, ragged",
        "note": "Measured on {device}, float32, threads: {threads}; {versions}. Ratios of medians "
        "of interleaved runs: the geometric mean over the sizes, and the lowest and the highest; "
        "below 1 jaxseq is faster. [All rows]({page}).",
        "picture": "Dots: the ratio for each size and peer",
    },
    "ko": {
        "corner": "jaxseq의 시간을 다음의 시간으로 나눈 값",
        "train": "학습 한 단계",
        "infer": "추론",
        "single": "한 층",
        "both": "두 층, 양방향",
        "ragged": "두 층, 양방향, 길이가 다른 행",
        "note": "{device}에서 측정, float32, 스레드: {threads}; {versions}. "
        "번갈아 실행한 시간의 중앙값의 비: 여러 크기에 대한 기하평균과 최솟값, 최댓값. "
        "1보다 작으면 jaxseq가 더 빠르다. [모든 행]({page}).",
        "picture": "점: 크기와 비교 대상마다의 비",
    },
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Makes Markdown of the files of results."""

    files: tuple[Path, ...] = ()
    """Files of results; by default all in benchmarks/results that are compare.py's."""
    write: tuple[Path, ...] = ()
    """Pages whose text between the two comments is replaced."""
    page: Path | None = None
    """Where the page with all rows is written."""


def grid(head: list[str], lines: list[list[str]]) -> str:
    """Returns a Markdown table, the first column to the left and the others to the right."""
    rule = ["---", *(len(head) - 1) * ["---:"]]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *lines))


def spread_text(rows: list[results.Row], peer: str) -> str:
    found = results.spread(rows, peer)
    if found is None:
        return "–"
    mean, low, high = found
    return f"{mean:.2f} ({low:.2f}–{high:.2f})"


def summary(found: dict[str, Any], work: str, words: dict[str, str]) -> str:
    """Returns the README's table of one kind of work: a line a peer, a column a cell and case."""
    rows = results.pick(found["rows"], work=work)
    columns = [
        (f"{results.KINDS[kind]}, {words[case]}", results.pick(rows, case=case, kind=kind))
        for case in results.CASES
        for kind in results.KINDS
        if (case == "single" or kind == "lstm") and results.pick(rows, case=case, kind=kind)
    ]
    lines = [
        [peers.PEERS[name].title, *(spread_text(chosen, name) for _, chosen in columns)]
        for name in results.names(rows)
        if name not in HIDDEN
    ]
    return grid([f"{words['corner']} … ({words[work]})", *(title for title, _ in columns)], lines)


def about(found: dict[str, Any]) -> dict[str, str]:
    """Returns the threads and the versions as text."""
    wanted = {name: value for name, value in found["versions"].items() if value != "not installed"}
    return {
        "device": found["device"],
        "threads": ", ".join(f"{name} {count}" for name, count in found["threads"].items()),
        "versions": ", ".join(f"{name} {value}" for name, value in wanted.items()),
    }


def image(found: dict[str, Any]) -> Path:
    return ROOT / "docs" / "images" / f"benchmark-{machine.slug(found['device'])}.png"


def link(target: Path, folder: Path) -> str:
    return Path(os.path.relpath(target, folder)).as_posix()


def readme(all_found: list[dict[str, Any]], language: str, folder: Path = ROOT) -> str:
    """Returns what stands between the comments of a page in ``folder``."""
    words = WORDS[language]
    page = link(ROOT / "docs" / "benchmarks.md", folder)
    parts = []
    for found in all_found:
        works = [work for work in results.WORKS if results.pick(found["rows"], work=work)]
        parts += [summary(found, work, words) for work in works]
        parts.append(words["note"].format(**about(found), page=page))
        if image(found).exists():
            parts.append(f"![{words['picture']}]({link(image(found), folder)})")
    return "\n\n".join(parts)


def cell(row: results.Row, name: str) -> str:
    values = row["ratios"].get(name)
    return "–" if values is None else f"{values[1]:.2f} ({values[0]:.2f}–{values[2]:.2f})"


def rows_table(rows: list[results.Row], *, absolute: bool) -> str:
    """Returns all rows of one case and kind of work, with geometric means a kind."""
    names = results.names(rows)
    lines = []
    for kind, title in results.KINDS.items():
        of_kind = results.pick(rows, kind=kind)
        for row in of_kind:
            ours = [f"{row['times']['jaxseq'][1]:.3f}"] if absolute else []
            size = ", ".join(map(str, row["size"]))
            lines.append([title, size, *ours, *(cell(row, name) for name in names)])
        if of_kind:
            found = [results.medians(of_kind, name) for name in names]
            means = [f"**{geometric_mean(one):.2f}**" if one else "–" for one in found]
            lines.append([title, "**geometric mean**", *(["–"] if absolute else []), *means])
    head = ["cell", "B, T, I, H", *(["jaxseq (ms)"] if absolute else [])]
    return grid([*head, *(peers.PEERS[name].title for name in names)], lines)


def extras_text(extras: dict[str, Any]) -> list[str]:
    """Returns the tables of what padding, resets and compiling cost."""
    lines = [
        [
            results.KINDS[row["kind"]],
            ", ".join(map(str, row["size"])),
            results.WORKS[row["work"]],
            *(
                f"{row[name][1]:.2f} ({row[name][0]:.2f}–{row[name][2]:.2f})"
                for name in ("ragged", "resets")
            ),
        ]
        for row in extras["variants"]
    ]
    compiled = [
        [results.KINDS[kind], peers.PEERS[name].title, f"{seconds[1]:.2f}", loops]
        for kind, times in extras["compile_s"].items()
        for name, seconds in times.items()
        for loops in [", ".join(map(str, extras["loops"][kind][name]))]
    ]
    return [
        "### Lengths and resets",
        "One layer of jaxseq, by the time of the same with full rows and no resets. Resets begin a "
        "row anew at a step in 32.",
        grid(["cell", "B, T, I, H", "work", "ragged", "resets"], lines),
        "### Compiling",
        "A training step at B, T, I, H = 32, 128, 64, 128: seconds to trace and compile, and HLO "
        "instructions that one iteration of each loop runs, forward and backward.",
        grid(["cell", "what", "compile (s)", "loop bodies"], compiled),
    ]


def streaming_text(rows: list[dict[str, Any]]) -> list[str]:
    """Returns the table of one step at a time."""

    def ratio(row: dict[str, Any], name: str) -> str:
        low, middle, high = row["ratios"][name]
        return f"{row['us'][name][1]:.1f}, {middle:.2f} ({low:.2f}–{high:.2f})"

    lines = [
        [
            results.KINDS[row["kind"]],
            ", ".join(map(str, row["size"])),
            f"{row['us']['torch'][1]:.1f}",
            ratio(row, "calls"),
            ratio(row, "loop"),
        ]
        for row in rows
    ]
    return [
        "### One step at a time",
        "Microseconds a step of a stream, inputs as wide as the state: `scan` of one step under "
        "`jit`, called for each step with the carry of the one before, and one call for 64 steps; "
        "and their ratio to PyTorch's cell, called for each step.",
        grid(["cell", "B, H", "PyTorch's cell", "a call a step", "a compiled loop"], lines),
    ]


INTRODUCTION = """# Speed

Made by `make bench`, and without the CPU kernels by `make bench-fused`, which run
`benchmarks/compare.py` and `benchmarks/table.py`. All peers run in one process, in interleaved
rounds, with the same weights and inputs, in float32; before a row is timed, outputs and gradients
are held against those of jaxseq. A training step is the gradient of `mean(ys**2)` by all weights
and the inputs. Ragged rows have lengths uniform in T/4..T.

A cell is **time of jaxseq by time of the peer**: the ratio of medians, and in brackets the
quartiles of the ratios within a round. Below 1 jaxseq is faster. "The products alone" is no peer
but a bound: the matrix products of the case in XLA with next to nothing between them."""


def full_page(all_found: list[dict[str, Any]], folder: Path) -> str:
    """Returns the page with all rows."""
    parts = [INTRODUCTION]
    for found in all_found:
        text = about(found)
        parts += [f"## {text['device']}", f"Threads: {text['threads']}. {text['versions']}."]
        parts.append(f"One large product reaches {found['product_gflops']:.0f} GFLOP/s.")
        if image(found).exists():
            parts.append(f"![the ratios of all rows]({link(image(found), folder)})")
        for case, title in results.CASES.items():
            for work, of_work in results.WORKS.items():
                rows = results.pick(found["rows"], case=case, work=work)
                if rows:
                    heading = f"### {title.capitalize()}: {of_work}"
                    parts += [heading, rows_table(rows, absolute=found["platform"] != "cpu")]
        missing = [
            f"- {peers.PEERS[peer].title}: {why} ({', '.join(results.KINDS[one] for one in kinds)})"
            for peer, reasons in results.missing(found["rows"]).items()
            for why, kinds in reasons.items()
        ]
        parts += ["Not measured:", "\n".join(missing)] if missing else []
        parts += extras_text(found["extras"]) if found["extras"] else []
        parts += streaming_text(found["streaming"]) if found.get("streaming") else []
    return "\n\n".join(parts) + "\n"


def replace(text: str, new: str) -> str:
    """Returns a page with ``new`` between its two comments."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"the page must have {BEGIN} and {END}, once each")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{new}\n\n{END}{rest.split(END)[1]}"


def main(options: Options) -> None:
    """Prints the README's table, and writes pages."""
    others = ("sweep", "structured-", "recipes")
    known = results.FOLDER.glob("*.json")
    known = sorted(path for path in known if not any(name in path.name for name in others))
    all_found = [results.load(path) for path in options.files or known]
    if not all_found:
        raise SystemExit(f"error: {results.FOLDER} has no results yet: make bench")
    print(readme(all_found, "en"))
    if options.page is not None:
        options.page.write_text(full_page(all_found, options.page.resolve().parent))
    for path in options.write:
        language = "ko" if path.name.endswith(".ko.md") else "en"
        new = readme(all_found, language, path.resolve().parent)
        try:
            path.write_text(replace(path.read_text(), new))
        except ValueError as problem:
            raise SystemExit(f"error: {path}: {problem}") from None


if __name__ == "__main__":
    main(tyro.cli(Options))
