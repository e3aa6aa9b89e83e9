"""Results of structured.py, on a terminal and as a page."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import results
from measure import geometric_mean
from peers.structured import AXES, PEERS, WORKS
from report import UNSTEADY, size_text
from rich import box
from rich.console import Console
from rich.table import Table
from table import grid

PAGE = Path(__file__).parents[1] / "docs" / "structured_benchmarks.md"
MODELS = {
    "crf": "Conditional random field",
    "hmm": "Hidden Markov model",
    "em": "Expectation maximisation",
    "ctc": "Connectionist temporal classification",
}
NOTES = {
    "crf": "Ragged: lengths uniform in T/2..T, the first one T. The log-likelihood is that of "
    "tags, summed over the batch, with scores of the first and the last tag; its gradient is by "
    "emissions and transitions. From Viterbi, pytorch-crf returns lists of tags, jaxseq arrays.",
    "hmm": "All rows of full length, since dynamax has no lengths. B, T, K = 1, 48502, 2 is the "
    "genome of the phage lambda. Smoothing returns log-likelihoods, the probabilities of all "
    "states, and expected transition counts. hmmlearn runs its compiled kernels on one sequence "
    'after the other, in float64; for "scaling" the exponentials of the evidence are ready before '
    "the clock starts. It has no gradient. dynamax runs under `vmap`; its parallel version holds "
    "`[B, T, K, K]` and is left out where K is large.",
    "em": "Categorical emissions of four letters, no prior, 20 iterations in a run; the time is of "
    "one. jaxseq is `hmm.fit` and hmmlearn is `CategoricalHMM.fit`, with all that they check and "
    "watch; of dynamax, the loop of `fit_em`, which that would compile anew at every call, and "
    "with a trace of a prior on the first state, without which its estimate is NaN.",
    "ctc": "From logits, `log_softmax` included, summed over the batch; the gradient is by the "
    "logits. jaxseq (`normalised=False`) and optax are given the logits, PyTorch what "
    "`log_softmax` makes of them. Lengths uniform in T/2..T and N/2..N, the first ones T and N. "
    "PyTorch has its logits with time in front, as it reads them.",
}


def title(model: str, work: str, size: Sequence[int]) -> str:
    return f"{MODELS[model]}, {WORKS[model][work]}, {AXES[model]} = {size_text(list(size))}"


def mega(count: float | None) -> str:
    return "–" if count is None else f"{count / 1e6:.1f}"


def number(milliseconds: float) -> str:
    """Returns a time with three digits; with three decimals where it is less than 1."""
    digits = 3 if milliseconds < 1 else max(0, 3 - len(str(int(milliseconds))))
    return f"{milliseconds:.{digits}f}"


def ratio_text(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def coloured(value: float) -> str:
    """Returns a ratio, green where ours is the faster one."""
    colour = "green" if value < 1 else "red"
    return f"[{colour}]{ratio_text(value)}[/{colour}]"


def spread(values: Sequence[float], text: Callable[[float], str] = ratio_text) -> str:
    low, middle, high = values
    return f"{text(middle)} ({text(low)}–{text(high)})"


def show_machine(console: Console, found: dict[str, Any]) -> None:
    """Names the device, the threads and the versions."""
    console.print(f"[bold]{found['device']}[/bold] ({found['platform']}). {versions(found)}")
    if found["load"] > 0.5:
        console.print(f"[yellow]the machine is busy[/yellow]: its load is {found['load']:.1f}")
    for name, version in found["versions"].items():
        if version == "not installed":
            console.print(f"[yellow]{name} is not installed[/yellow] and left out")


def show_row(console: Console, row: dict[str, Any]) -> None:
    """Says in one line what was just measured, and what is wrong with it."""
    ratios = " ".join(f"{name} {coloured(values[1])}" for name, values in row["ratios"].items())
    where = f"{row['model']}:{row['work']} {size_text(row['size'])}"
    console.print(f"{where}, {row['rounds']} rounds: {ratios}", highlight=False)
    unsteady = [name for name, (low, _, high) in row["times"].items() if high > UNSTEADY * low]
    if unsteady:
        console.print(f"  [yellow]unsteady[/yellow]: {', '.join(unsteady)}", highlight=False)
    for name in row["disagree"]:
        off = ", ".join(f"{one:.1e}" for one in row["off"][name])
        console.print(f"  [red]{name} does not agree with jaxseq[/red]: off by {off}")


def lines(rows: Iterable[dict[str, Any]]) -> list[list[str]]:
    """Returns a line for each program of each row; work and size stand in the first of a row."""
    found = []
    for row in rows:
        head = [WORKS[row["model"]][row["work"]], size_text(row["size"])]
        for name, times in row["times"].items():
            ratio = row["ratios"].get(name)
            found.append(
                [
                    *head,
                    PEERS[name].title,
                    spread(times, number),
                    "–" if ratio is None else spread(ratio),
                    mega(row["memory"][name]["growth"]),
                    mega(row["memory"][name]["temporary"]),
                ]
            )
            head = ["", ""]
    return found


def heading(model: str) -> list[str]:
    columns = ["program", "ms", "jaxseq by it", "growth (MB)", "XLA (MB)"]
    return ["work", AXES[model], *columns]


def terminal_table(model: str, rows: list[dict[str, Any]]) -> Table:
    """Returns the rows of a model, narrow enough for a terminal."""
    table = Table(title=MODELS[model], box=box.SIMPLE)
    columns = ("work", AXES[model], "program", "ms", "jaxseq by it", "growth (MB)")
    for place, name in enumerate(columns):
        table.add_column(name, justify="left" if place < 3 else "right", no_wrap=place < 5)
    for row in rows:
        head = [row["work"], size_text(row["size"])]
        for name, times in row["times"].items():
            low, middle, high = row["ratios"].get(name, [None, None, None])
            ratio = (
                "–"
                if middle is None
                else f"{coloured(middle)} ({ratio_text(low)}–{ratio_text(high)})"
            )
            memory = mega(row["memory"][name]["growth"])
            table.add_row(*head, name, number(times[1]), ratio, memory)
            head = ["", ""]
        table.add_section()
    return table


def show(console: Console, rows: list[dict[str, Any]]) -> None:
    """Prints all tables, and why peers are missing in them."""
    for model in MODELS:
        chosen = results.pick(rows, model=model)
        if chosen:
            console.print(terminal_table(model, chosen))
    for line in missing(rows):
        console.print(line, highlight=False)


def missing(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Returns why programs are not there: a line a peer and reason, with the rows it is for."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        for name, why in row["missing"].items():
            works = found.setdefault(f"{PEERS[name].title}: {why}", {})
            if why != "not installed":
                sizes = works.setdefault(WORKS[row["model"]][row["work"]], [])
                sizes.append(size_text(row["size"]))
    places = {
        text: "; ".join(f"{work} at {' and '.join(sizes)}" for work, sizes in works.items())
        for text, works in found.items()
    }
    return [f"{text} ({where})" if where else text for text, where in places.items()]


def summary(rows: list[dict[str, Any]]) -> str:
    """Returns a table of all peers: how much faster jaxseq is over all rows, and in how many."""
    body = []
    for name in PEERS:
        found = results.medians(rows, name)
        if found:
            ahead = f"{sum(one < 1 for one in found)} of {len(found)}"
            mean = spread([min(found), geometric_mean(found), max(found)])
            body.append([PEERS[name].title, mean, ahead])
    return grid(["peer", "jaxseq by it", "rows in which jaxseq is ahead"], body)


INTRODUCTION = """# Speed and memory of structured models

Made by `make bench-structured`, which runs `benchmarks/structured.py`. The programs of a row run in
one process, in interleaved rounds, on the same data; in float32, except for hmmlearn, which has
float64 alone. Before a row is timed, what each returns is held against what jaxseq returns: values
may differ by {values:.0e} of the largest, gradients and probabilities by {others:.0e}. Of Viterbi
that is the score of the returned path, computed in float64.

**ms** is the median, and in brackets the quartiles. **jaxseq by it** is the time of jaxseq by that
of the program: the ratio of medians, and in brackets the quartiles of the ratios within a round.
Below 1 jaxseq is faster. **growth** is by how much the resident memory of a process grows at the
peak of one run, what it returns included (`benchmarks/growth.py`): the median of 15 runs, in three
processes; below 0.1 MB it says more of what the allocator has left from before than of the program.
**XLA** is what XLA reserves for a compiled program beside its arguments and its results
(`compiled.memory_analysis().temp_size_in_bytes`); others have no such number, nor has `hmm.fit`,
which is more than one program. MB are 10^6 bytes."""


def versions(found: dict[str, Any]) -> str:
    """Returns the threads and the versions as text."""
    threads = ", ".join(f"{name} {count}" for name, count in found["threads"].items())
    there = [f"{n} {v}" for n, v in found["versions"].items() if v != "not installed"]
    return f"Threads: {threads}; {', '.join(there)}"


def files(folder: Path) -> list[Path]:
    """Returns the files of results in a folder."""
    return sorted(folder.glob("structured-*.json"))


def page(all_found: list[dict[str, Any]]) -> str:
    """Returns the page, a part a machine."""
    values, others = all_found[0]["tolerances"]
    parts = [INTRODUCTION.format(values=values, others=others)]
    for found in all_found:
        rows = found["rows"]
        parts += [f"## {found['device']}", f"{versions(found)}.", summary(rows)]
        for model, name in MODELS.items():
            chosen = results.pick(rows, model=model)
            if chosen:
                parts += [f"### {name}", NOTES[model], grid(heading(model), lines(chosen))]
        absent = "\n".join(f"- {line}" for line in missing(rows))
        parts += ["Not measured:", absent] if absent else []
    return "\n\n".join(parts) + "\n"
