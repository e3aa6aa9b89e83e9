"""A forecaster trained in seconds through the command line, once a session."""

import functools

import numpy as np
import tiny
from tiny_tasks import Run

SETTINGS = [
    *("--time", "day", "--values", "temp,level", "--past-covariates", "rain"),
    *("--future-covariates", "open", "--calendar", "week", "--horizon", "2", "--window", "6"),
    *("--season", "7", "--order", "2", "--hold-out", "0.15", "--test", "0.25", "--lags", "2"),
    *("--members", "2", "--cell", "elman", "--hidden-size", "2", "--batch-size", "16"),
    *("--epochs", "2", "--learning-rate", "0.01", "--dropout", "0.1"),
]


def table(days=80, *, seed=0, more=0, gap=None):
    """A series as a file has it: values, covariates, and ``more`` days to come."""
    rng = np.random.default_rng(seed)
    dates = np.datetime64("2020-01-01") + np.arange(days + more)
    temp = 10 + 3 * np.sin(2 * np.pi * np.arange(days) / 7) + rng.normal(size=days)
    level = np.cumsum(rng.normal(size=days))
    rain, opened = rng.exponential(size=days), np.arange(days + more) % 7 < 5
    lines = ["day,temp,level,rain,open"]
    for t, date in enumerate(dates):
        known = t < days
        numbers = [f"{a[t]:.4f}" for a in (temp, level, rain)] if known else ["", "", ""]
        if t == gap:
            numbers[0] = ""
        lines.append(",".join([str(date), *numbers, str(int(opened[t]))]))
    return "\n".join(lines) + "\n"


def train(data, out, *options):
    """The words of a command line that trains the tiny model."""
    words = ["train", "forecasting", "--data", str(data), "--out", str(out)]
    return [*words, *SETTINGS, *map(str, options)]


@functools.cache
def trained(base):
    """The run that all tests of a session look at; who changes it takes a copy."""

    def words_of(folder):
        (folder / "shop.csv").write_text(table())
        return train(folder / "shop.csv", folder / "run")

    folder, printed = tiny.once(base, "tiny forecaster", words_of)
    return Run(folder / "run", folder / "shop.csv", printed)
