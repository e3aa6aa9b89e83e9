"""Memory runs end to end: what they leave, and that an interrupted one ends the same."""

import csv
import json

import jax
import pytest

from jaxseq import training
from jaxseq.recipes import memory
from jaxseq.recipes._memory_course import Course, Lesson, Network
from jaxseq.recipes._memory_network import begin
from jaxseq.recipes._memory_report import curves_of, rows_of


def settings(out, **changes):
    small = {"hidden_size": 3, "batch_size": 2, "steps": 4, "evaluate_every": 2}
    chosen = {"tasks": ("adding", "copy"), "cells": ("elman",), "lengths": (2, 3)}
    return memory.Config(out=out, **{**small, **chosen, **changes})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("memory") / "run"
    return out, memory.train(settings(out))


def test_a_run_reports_every_network_and_length(run):
    out, report = run
    kept = json.loads((out / "report.json").read_text())
    assert kept == report and report["outcome"] == "finished"
    rows = [(row["task"], row["cell"], row["length"], row["steps"]) for row in report["rows"]]
    assert rows == [(task, "elman", length, 4) for task in ("adding", "copy") for length in (2, 3)]
    assert report["parameters"]["adding-elman"] == 2 * 3 + 3 * 3 + 2 * 3 + 3 + 1
    for row in report["rows"]:
        assert row["solved"] == (row["error"] < 0.01) and row["loss"] >= 0


def test_a_run_leaves_tables_curves_and_pictures(run):
    out, report = run
    assert (out / "table.md").read_text() == memory.summary(report) + "\n"
    rows = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
    assert [row["length"] for row in rows] == ["2", "3", "2", "3"]
    curves = json.loads((out / "history.json").read_text())
    assert [curve["steps"] for curve in curves] == [[2, 4]] * 4
    for name in ("error_over_length.png", "learning_curve.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_an_interrupted_run_goes_on_to_the_same_numbers(run, tmp_path, monkeypatch):
    """It is stopped in the middle of the second network, as a signal would."""
    _, whole = run
    fit, calls = training.fit, []

    def stopped(state, step, batches, **options):
        calls.append(1)
        if len(calls) == 2:
            options["steps"] = 6  # of 8: a length and a half
        return fit(state, step, batches, **options)

    monkeypatch.setattr(training, "fit", stopped)
    first = memory.train(settings(tmp_path / "run"))
    assert first["outcome"] == "interrupted"
    assert (first["finished"], first["networks"], first["step"]) == (1, 2, 6)
    again = memory.train(settings(tmp_path / "run", resume=True))
    assert [dict(row, seconds=0) for row in again["rows"]] == [
        dict(row, seconds=0) for row in whole["rows"]
    ]
    assert len(calls) == 3  # the finished network was not trained again


def test_a_network_goes_on_as_soon_as_it_solves_a_length(tmp_path, monkeypatch):
    config = settings(tmp_path, lengths=(2, 3, 4))
    cell, params = begin(jax.random.key(0), "adding", "elman", 3, span=2)
    course = Course(Network("adding", "elman", 0), cell, config)
    errors = iter([0.009, 0.02, 0.004, 0.003, 0.5, 0.5, 0.5])

    class Score:
        loss = 0.1

        def __init__(self, *_):
            self.error = next(errors)

    monkeypatch.setattr(course, "_score", Score)
    batches = iter(course)
    assert next(batches).inputs.shape == (2, 2, 2)
    assert course.assess(params) == 3.0  # 0.009 is below the threshold, and not enough
    next(batches)
    next(batches)
    next(batches)
    assert course.assess(params) == 2.0  # the steps are used up; the test says 0.004
    assert course.lessons[0].threshold_step == 1 and course.length == 3
    assert next(batches).inputs.shape == (2, 3, 2)
    assert course.assess(params) == 1.0  # solved at once
    assert course.lessons[1].steps == 1 and course.steps == 5


def test_the_table_counts_steps_from_the_beginning_and_seeds_together():
    course = Course.__new__(Course)
    course.network = Network("copy", "gru", 0)
    course.lessons = [
        Lesson(10, 50, 50, 0.001, 0.002, [[50, 0.002]], 1.0),
        Lesson(20, 80, None, 0.1, 0.5, [[80, 0.5]], 1.0),
    ]
    rows = rows_of(course)
    assert [row["steps_to_threshold_in_all"] for row in rows] == [50, None]
    assert curves_of(course)[1]["error"] == [0.5]
    other = [dict(row, seed=1, solved=True, steps_to_threshold=70) for row in rows]
    told = memory.summary({"rows": rows + other})
    assert "2 of 2" in told and "1 of 2" in told and "50.00 %" in told
    assert " yes |" in memory.summary({"rows": rows}) and " no |" in memory.summary({"rows": rows})
