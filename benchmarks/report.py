"""Results on a terminal."""

from typing import Any

import peers
import results
from results import Row
from rich.console import Console
from rich.table import Table

UNSTEADY = 1.3  # the upper quartile of times by the lower one: something else was running


def coloured(value: float) -> str:
    """Returns a ratio, green where ours is the faster one."""
    colour = "green" if value < 1 else "red"
    return f"[{colour}]{value:.2f}[/{colour}]"


def size_text(size: list[int]) -> str:
    return ", ".join(map(str, size))


def show_machine(console: Console, found: dict[str, Any]) -> None:
    """Names the device, the threads and the versions."""
    threads = ", ".join(f"{name} {count}" for name, count in found["threads"].items())
    versions = ", ".join(f"{name} {value}" for name, value in found["versions"].items())
    console.print(f"[bold]{found['device']}[/bold] ({found['platform']}); threads: {threads}")
    if found["load"] > 0.5:
        console.print(f"[yellow]the machine is busy[/yellow]: its load is {found['load']:.1f}")
    console.print(f"{versions}; one large product: {found['product_gflops']:.0f} GFLOP/s")


def show_rows(console: Console, rows: list[Row]) -> None:
    """Says in one line each what was just measured."""
    for row in rows:
        ratios = " ".join(f"{peer} {coloured(values[1])}" for peer, values in row["ratios"].items())
        where = f"{row['case']} {row['kind']} {size_text(row['size'])} {row['work']}"
        console.print(f"{where}, {row['rounds']} rounds: {ratios}", highlight=False)
        unsteady = [name for name, (low, _, high) in row["times"].items() if high > UNSTEADY * low]
        if unsteady:
            console.print(f"  [yellow]unsteady[/yellow]: {', '.join(unsteady)}", highlight=False)
        for peer, value in row["disagree"].items():
            console.print(f"  [red]{peer} does not agree with jaxseq[/red]: off by {value:.1e}")


def ratio_table(rows: list[Row], case: str, work: str) -> Table:
    """Returns the ratios of one case and kind of work, with geometric means."""
    chosen = results.pick(rows, case=case, work=work)
    columns = results.names(chosen)
    title = f"time of jaxseq by time of ...: {results.CASES[case]}, {results.WORKS[work]}"
    table = Table(title=title)
    for heading in ("cell", "B, T, I, H"):
        table.add_column(heading, no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right")
    for kind, title in results.KINDS.items():
        of_kind = results.pick(chosen, kind=kind)
        for row in of_kind:
            ratios = [row["ratios"].get(name) for name in columns]
            cells = ["-" if one is None else coloured(one[1]) for one in ratios]
            table.add_row(title, size_text(row["size"]), *cells)
        if of_kind:
            means = [results.spread(of_kind, name) for name in columns]
            cells = ["-" if one is None else coloured(one[0]) for one in means]
            table.add_row(title, "geometric mean", *cells, style="bold", end_section=True)
    return table


def show_extras(console: Console, extras: dict[str, Any]) -> None:
    """Prints what padding and resets cost, compile times and sizes of loops."""
    table = Table(title="one layer of jaxseq, by the time of full rows without resets")
    for heading in ("cell", "B, T, I, H", "work", "ragged", "resets"):
        table.add_column(heading)
    for row in extras["variants"]:
        cells = [f"{row[name][1]:.2f}" for name in ("ragged", "resets")]
        table.add_row(row["kind"], size_text(row["size"]), row["work"], *cells)
    console.print(table)
    table = Table(title="a training step: seconds to compile; HLO instructions of the loops")
    table.add_column("cell")
    for kind, times in extras["compile_s"].items():
        if len(table.columns) == 1:
            for name in times:
                table.add_column(peers.PEERS[name].title)
        loops = extras["loops"][kind]
        table.add_row(kind, *(f"{one[1]:.2f} s; {loops[name]}" for name, one in times.items()))
    console.print(table)


def show(console: Console, found: dict[str, Any]) -> None:
    """Prints all tables, and why peers are missing in them."""
    rows = found["rows"]
    for case in results.CASES:
        for work in results.WORKS:
            if results.pick(rows, case=case, work=work):
                console.print(ratio_table(rows, case, work))
    for peer, reasons in results.missing(rows).items():
        for why, kinds in reasons.items():
            console.print(f"{peers.PEERS[peer].title} ({', '.join(kinds)}): {why}")
    if found["extras"]:
        show_extras(console, found["extras"])
