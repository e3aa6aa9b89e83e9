"""What a memory run reports: a row for each task, length, cell and seed, and the table of them."""

import csv
import io
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jaxseq.recipes._directory import write_json, write_text
from jaxseq.recipes._memory_course import THRESHOLD, Course
from jaxseq.recipes._memory_pictures import NAMES, curves_picture, lengths_picture
from jaxseq.recipes._memory_tasks import TASKS

Rows = Sequence[dict[str, Any]]

ABOUT = {
    "adding": "solved where the mean squared error on the test set is below {threshold}; "
    "who always says 1 has 0.1667",
    "copy": "solved where less than {threshold:.0%} of the symbols of the test set are recalled "
    "wrong; who guesses gets 87.5 % wrong",
}


def rows_of(course: Course) -> list[dict[str, Any]]:
    """Returns what a report says of a network, length by length."""
    network, rows, before = course.network, [], 0
    task = TASKS[network.task]
    for lesson in course.lessons:
        at = lesson.threshold_step
        rows.append(
            {
                **network._asdict(),
                "length": lesson.length,
                "loss": lesson.loss,
                "loss_of_guessing": task.guess_loss(lesson.length),
                "error": lesson.error,
                "error_of_guessing": task.guess_error,
                "solved": lesson.error < THRESHOLD,
                "steps": lesson.steps,
                "steps_to_threshold": at,
                "steps_to_threshold_in_all": None if at is None else before + at,
                "seconds": lesson.seconds,
            }
        )
        before += lesson.steps
    return rows


def curves_of(course: Course) -> list[dict[str, Any]]:
    """Returns the validation errors of a network over its steps, length by length."""
    return [
        {
            **course.network._asdict(),
            "length": lesson.length,
            "steps": [int(step) for step, _ in lesson.curve],
            "error": [error for _, error in lesson.curve],
        }
        for lesson in course.lessons
    ]


def summary(report: dict[str, Any]) -> str:
    """Returns a report as Markdown: for each task a table with a row for each length and cell.

    Of several seeds it shows the median, and how many of them solved a length.

    Args:
      report: from :func:`jaxseq.recipes.memory.train`.

    Returns:
      The tables.

    Example:
      >>> from jaxseq.recipes import memory
      >>> row = {"task": "adding", "cell": "gru", "seed": 0, "length": 10, "loss": 0.004,
      ...        "loss_of_guessing": 1 / 6, "error": 0.004, "solved": True,
      ...        "steps_to_threshold": 300, "steps_to_threshold_in_all": 300}
      >>> print(memory.summary({"rows": [row]}))
      adding problem: solved where the mean squared error on the test set is below 0.01;
      who always says 1 has 0.1667
      <BLANKLINE>
      |  T | cell | mean squared error | guessing | solved | steps to solve it | steps in all |
      | -: | :--- | -----------------: | -------: | -----: | ----------------: | -----------: |
      | 10 | GRU  |             0.0040 |   0.1667 |    yes |               300 |          300 |
    """
    pieces = []
    for name in dict.fromkeys(row["task"] for row in report["rows"]):
        rows = [row for row in report["rows"] if row["task"] == name]
        pairs = dict.fromkeys((row["length"], row["cell"]) for row in rows)
        groups = [
            [row for row in rows if (row["length"], row["cell"]) == pair]
            for pair in sorted(pairs, key=lambda pair: pair[0])
        ]
        columns = _columns(name)
        about = ABOUT[name].format(threshold=THRESHOLD)
        body = [[show(group) for show in columns.values()] for group in groups]
        pieces.append(f"{TASKS[name].title}: {about}\n\n{_markdown([*columns], body)}")
    return "\n\n".join(pieces)


def _columns(name: str) -> dict[str, Callable[[Rows], str]]:
    """Returns the columns of a task's table: what each shows of the rows of one length and cell."""
    wrong: dict[str, Callable[[Rows], str]] = {}
    if name == "copy":
        wrong["recalled wrong"] = lambda rows: f"{_median(rows, 'error'):.2%}".replace("%", " %")
    return {
        "T": lambda rows: str(rows[0]["length"]),
        "cell": lambda rows: NAMES[rows[0]["cell"]],
        TASKS[name].unit: lambda rows: f"{_median(rows, 'loss'):.4f}",
        "guessing": lambda rows: f"{rows[0]['loss_of_guessing']:.4f}",
        **wrong,
        "solved": _solved,
        "steps to solve it": lambda rows: _steps(rows, "steps_to_threshold"),
        "steps in all": lambda rows: _steps(rows, "steps_to_threshold_in_all"),
    }


def _median(rows: Rows, key: str) -> float:
    return statistics.median(row[key] for row in rows)


def _solved(rows: Rows) -> str:
    solved = sum(row["solved"] for row in rows)
    return f"{solved} of {len(rows)}" if len(rows) > 1 else ("yes" if solved else "no")


def _steps(rows: Rows, key: str) -> str:
    """Returns the median of those that solved a length; of the others there is none."""
    steps = [row[key] for row in rows if row["solved"] and row[key] is not None]
    return f"{statistics.median(steps):.0f}" if steps else "-"


def _markdown(header: list[str], body: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]
    left = header.index("cell")
    rule = [
        ":" + "-" * (width - 1) if place == left else "-" * (width - 1) + ":"
        for place, width in enumerate(widths)
    ]
    lines = [
        [
            text.ljust(width) if place == left else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in [header, rule, *body]
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def leave(out: Path, report: dict[str, Any], curves: list[dict[str, Any]]) -> None:
    """Writes the report, its rows as CSV, the table, the curves, and the two pictures.

    Args:
      out: the directory.
      report: what :func:`jaxseq.recipes.memory.train` returns.
      curves: of all networks, from :func:`curves_of`.
    """
    rows = report["rows"]
    write_json(out / "report.json", report)
    write_json(out / "history.json", curves)
    write_text(out / "table.md", summary(report) + "\n")
    page = io.StringIO()
    writer = csv.DictWriter(page, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(out / "table.csv", page.getvalue())
    lengths_picture(out / "error_over_length.png", rows, threshold=THRESHOLD)
    curves_picture(out / "learning_curve.png", curves, threshold=THRESHOLD)
