"""What a forecasting run reports, and the files that it leaves for a person to look at."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxseq import training
from jaxseq.recipes._directory import write_json
from jaxseq.recipes._forecast_pictures import Panel, forecast_picture, horizon_picture
from jaxseq.recipes._forecasting_data import Dataset, axis_name
from jaxseq.recipes._forecasting_measures import (
    RANDOM_WALK,
    Outcome,
    baselines,
    compare,
    measures,
    outcome_of,
    taken,
)
from jaxseq.recipes._forecasting_model import Forecasts, Model, outlook
from jaxseq.recipes._forecasting_scaling import encode
from jaxseq.recipes._pictures import history_picture

PANELS = 4
SHOWN_STEPS = 120
BANDS = (0, 3, 19, 35, 38)
"""Where 2.5, 10, 50, 90 and 97.5 per cent stand among the quantiles."""

Found = dict[int, Forecasts]
"""The forecasts of each series of a dataset that has a part, by its number."""


def forecasts_of(model: Model, dataset: Dataset, part: str) -> Found:
    """Returns the forecasts of the targets of a part, of all series that have it."""
    assert model.config.horizon is not None
    found = {}
    for number, (series, spans) in enumerate(zip(dataset.series, dataset.spans, strict=True)):
        if part in spans:
            begin, end = spans[part]
            origins = np.arange(max(begin - model.config.horizon, 0), max(end - 1, 1))
            encoded = encode(model.config, model.scaling, series)
            found[number] = outlook(model, series, encoded, origins)
    return found


def outcomes_of(model: Model, dataset: Dataset, part: str, found: Found) -> dict[str, Outcome]:
    """Returns the outcome of a model's forecasts, for each column."""
    units = units_of(model, dataset)
    return {
        name: outcome_of(dataset, units, part, column, lambda n, c=column: taken(found[n], c))
        for column, name in enumerate(model.columns)
    }


def units_of(model: Model, dataset: Dataset) -> list[tuple[Any, Any]]:
    """Returns the units and the variances of the columns of each series."""
    scaling = [model.scaling[series.name] for series in dataset.series]
    return [(one.unit, one.variance) for one in scaling]


def report_on(model: Model, dataset: Dataset, part: str, found: Found) -> dict[str, Any]:
    """Returns the measures of a model's forecasts of a part."""
    columns = {}
    for name, outcome in outcomes_of(model, dataset, part, found).items():
        page: dict[str, Any] = measures(outcome)
        if model.config.head == "point":  # which claims no interval
            page = {key: value for key, value in page.items() if "coverage" not in key}
        columns[name] = page
    targets = sum(spans[part][1] - spans[part][0] for spans in dataset.spans if part in spans)
    return {"series": len(found), "targets": targets, "columns": columns}


def others(model: Model, dataset: Dataset, part: str, found: Found) -> dict[str, Any]:
    """Returns the measures of simple forecasts of a part, and whether the model beats them."""
    ours, units = outcomes_of(model, dataset, part, found), units_of(model, dataset)
    page: dict[str, Any] = {}
    for column, name in enumerate(model.columns):
        made = {
            number: baselines(model.config, dataset.series[number].values[:, column], spans)
            for number, spans in enumerate(dataset.spans)
            if part in spans
        }
        for other in next(iter(made.values())):
            if not all(other in each for each in made.values()):
                continue
            outcome = outcome_of(
                dataset, units, part, column, lambda n, made=made, other=other: made[n][other]
            )
            row = measures(outcome) | {"beaten": compare(ours[name], outcome)._asdict()}
            page.setdefault(other, {"columns": {}})["columns"][name] = row
    return page


def leave_report(
    out: Path, report: dict[str, Any], model: Model, dataset: Dataset, part: str, found: Found
) -> None:
    """Writes the report, and draws the forecasts of one part and their errors by horizon.

    Args:
      out: the directory.
      report: of the run, or of the part alone.
      model: whose forecasts they are.
      dataset: the series.
      part: what is drawn.
      found: its forecasts.
    """
    write_json(out / "report.json", report)
    column = model.columns[0]
    page = report.get(part, report)
    about = f"{Path(report['data']).name}, {part} part, {column}"
    forecast_picture(
        out / "forecast.png",
        panels_of(model, dataset, part, found),
        time=model.time,
        column=axis_name(report["data"], column),
        title=f"{about}: forecasts of {model.config.horizon} step"
        f"{'s' if model.config.horizon != 1 else ''} ahead",
    )
    rows = {"this model": page, **report.get("others", {}).get(part, {})}
    own = page["columns"][column]
    coverage = {share: own[f"coverage_{share}"] for share in (80, 95) if f"coverage_{share}" in own}
    horizon_picture(
        out / "horizons.png",
        {name: row["columns"][column]["mase"] for name, row in rows.items()},
        coverage,
        title=f"{about}: errors and intervals by horizon, {page['targets']} targets",
    )


def panels_of(model: Model, dataset: Dataset, part: str, found: Found) -> list[Panel]:
    """Returns what to draw of the first column: some forecasts, or all if each is one step."""
    numbers, horizon = list(found), model.config.horizon
    assert horizon is not None
    if horizon == 1:
        return [_one_step(dataset, part, number, found[number]) for number in numbers[:PANELS]]
    panels = []
    for place in range(PANELS):
        number = numbers[place % len(numbers)]
        begin, end = dataset.spans[number][part]
        series, forecasts = dataset.series[number], found[number]
        last = max(end - 1 - horizon, begin - 1, int(forecasts.origins[0]))
        origin = max(begin - 1, int(forecasts.origins[0]))
        origin += int((last - origin) * place / max(PANELS - 1, 1))
        first = max(origin + 1 - min(model.config.window or 0, 4 * horizon + 8), 0)
        stop = min(origin + 1 + horizon, len(series.values))
        at = origin - int(forecasts.origins[0])
        count = stop - origin - 1
        panels.append(
            Panel(
                f"{series.name} after {series.times[origin]}".strip(),
                series.times[first:stop],
                series.values[first:stop, 0],
                series.times[origin + 1 : stop],
                forecasts.value[at, :count, 0],
                forecasts.quantiles[at, :count, 0][:, BANDS],
            )
        )
    return panels


def _one_step(dataset: Dataset, part: str, number: int, forecasts: Forecasts) -> Panel:
    """Returns the forecasts of a part, each made one step before."""
    series, (begin, end) = dataset.series[number], dataset.spans[number][part]
    end = min(end, begin + SHOWN_STEPS)
    first = int(forecasts.origins[0]) + 1
    begin = max(begin, first)
    rows = slice(begin - first, end - first)
    return Panel(
        f"{series.name} each forecast one step before".strip(),
        series.times[max(begin - 12, 0) : end],
        series.values[max(begin - 12, 0) : end, 0],
        series.times[begin:end],
        forecasts.value[rows, 0, 0],
        forecasts.quantiles[rows, 0, 0][:, BANDS],
    )


def leave_history(out: Path, model: Model, history: training.History, *, validated: bool) -> None:
    """Writes what happened in training, and draws it."""
    config = model.config
    units = {"point": "squared error", "quantile": "quantile loss"}
    history_picture(
        out,
        history,
        unit=f"{units.get(config.head or '', 'nats')} per value",
        measure="scaled CRPS" if validated else None,
        title=f"{Path(config.data).name}: {config.members} x {config.cell}, {config.num_layers} x "
        f"{config.hidden_size} units, {config.strategy}, {config.head}",
    )


def summary(report: dict[str, Any]) -> str:
    """Returns a report in lines for a person.

    Args:
      report: from :func:`jaxseq.recipes.forecasting.train` or ``evaluate``.

    Example:
      >>> from jaxseq.recipes import forecasting
      >>> row = {"mase": [0.5], "rmse": [2.0], "crps": [1.5], "arv": [0.1],
      ...        "coverage_80": [0.75], "coverage_95": [1.0]}
      >>> page = {"data": "my.csv", "targets": 8, "columns": {"rain": row}}
      >>> print(forecasting.summary(page))
      my.csv, rain, 8 targets
        ahead    MASE      RMSE      CRPS     ARV   80 %   95 %
            1   0.500         2       1.5   0.100   75.0  100.0  this model
    """
    lines = []
    known = ("data", "others", "task", "time", "training", "parameters", "versions", "device")
    parts = [name for name in report if name not in known and "columns" in dict_of(report[name])]
    for part in parts or [None]:
        page = report if part is None else report[part]
        rows = {"this model": page, **report.get("others", {}).get(part, {})}
        for column in page["columns"]:
            told = f", {part} part" if part else ""
            lines.append(f"{report['data']}{told}, {column}, {page['targets']} targets")
            lines.append("  ahead    MASE      RMSE      CRPS     ARV   80 %   95 %")
            count = len(page["columns"][column]["mase"])
            for h in sorted({0, count - 1}):
                for name, row in rows.items():
                    lines.append(_line(h, row["columns"][column], name))
            walk = rows.get(RANDOM_WALK)
            if walk is not None:
                lines.append("  " + verdict(walk["columns"][column]["beaten"]["beaten"]))
    return "\n".join(lines)


def dict_of(value: Any) -> dict[str, Any]:
    """Returns a dictionary, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def _line(h: int, row: dict[str, Any], name: str) -> str:
    def shown(key: str, form: str, width: int, factor: float = 1.0) -> str:
        value = row.get(key, [None] * (h + 1))[h]
        return f"{'–':>{width}}" if value is None else f"{factor * value:{width}{form}}"

    numbers = shown("mase", ".3f", 8) + shown("rmse", ".4g", 10) + shown("crps", ".4g", 10)
    numbers += shown("arv", ".3f", 8) + shown("coverage_80", ".1f", 7, 100.0)
    return f"  {h + 1:5d}{numbers}{shown('coverage_95', '.1f', 7, 100.0)}  {name}"


def verdict(beaten: list[bool]) -> str:
    """Returns in words at which horizons a model beats the random walk, by more than chance.

    Example:
      >>> verdict([True, False])
      'beats the random walk 1 step ahead; does not beat it 2 steps ahead'
      >>> verdict([False, False])
      'does not beat the random walk 1 and 2 steps ahead'
    """
    won, lost = ([h + 1 for h, b in enumerate(beaten) if b == one] for one in (True, False))
    if not lost:
        return f"beats the random walk {_steps(won)} ahead"
    if not won:
        return f"does not beat the random walk {_steps(lost)} ahead"
    return f"beats the random walk {_steps(won)} ahead; does not beat it {_steps(lost)} ahead"


def _steps(numbers: list[int]) -> str:
    if len(numbers) > 2 and numbers == [*range(numbers[0], numbers[-1] + 1)]:
        text = f"{numbers[0]} to {numbers[-1]}"
    else:
        text = ", ".join(map(str, numbers[:-1])) + " and " if numbers[1:] else ""
        text += str(numbers[-1])
    return f"{text} step{'s' if numbers != [1] else ''}"
