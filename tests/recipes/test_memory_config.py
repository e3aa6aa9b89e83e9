"""The settings of memory runs: out of range they are named, and they come back as they were."""

import dataclasses
import json

import pytest

from jaxseq._checks import InputError
from jaxseq.recipes._directory import settings_of_run, write_settings
from jaxseq.recipes._memory_config import TASK, Config, check


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"tasks": ()}, r"memory: `tasks` must be some of adding, copy, each once, but it is \(\)"),
        ({"tasks": ("adding", "adding")}, r"`tasks` must be some of adding, copy, each once"),
        ({"cells": ("rnn",)}, r"`cells` must be some of elman, lstm, gru, each once"),
        ({"lengths": ()}, r"`lengths` must be numbers that grow, from 2 on, but it is \(\)"),
        ({"lengths": (1, 5)}, r"`lengths` must be numbers that grow, from 2 on"),
        ({"lengths": (9, 5)}, r"`lengths` must be numbers that grow, from 2 on"),
        ({"lengths": (5, 5)}, r"`lengths` must be numbers that grow, from 2 on"),
        ({"seeds": 0}, r"`seeds` must be at least 1, but it is 0"),
        ({"hidden_size": 0}, r"`hidden_size` must be at least 1, but it is 0"),
        ({"elman_learning_rate": 0.0}, r"`elman_learning_rate` must be above 0, but it is 0\.0"),
        ({"steps": 0}, r"`steps` must be at least 1, but it is 0"),
        ({"seed": 2**32 - 1, "seeds": 2}, r"`seed` must be at least 0 and below 2\^32"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(changes, problem, untyped):
    check(Config())
    with pytest.raises(InputError, match=problem):
        check(dataclasses.replace(Config(), **changes))


def test_settings_come_back_as_they_were(tmp_path):
    config = Config(out=tmp_path / "run", tasks=("copy",), lengths=(3, 7), hidden_size=9)
    assert settings_of_run(config, TASK) == (config, None)
    write_settings(config.out, TASK, config)
    found, page = settings_of_run(Config(out=tmp_path / "run", resume=True), TASK)
    assert page is not None and found == dataclasses.replace(config, resume=True)
    with pytest.raises(InputError, match=r"there is a run in .* already"):
        settings_of_run(config, TASK)
    other = dataclasses.replace(config, lengths=(3, 8), resume=True)
    with pytest.raises(InputError, match=r"has lengths = \(3, 7\), but \(3, 8\) is asked for"):
        settings_of_run(other, TASK)


@pytest.mark.parametrize("lengths", ["3 7", [3, "seven"], 3, None])
def test_damaged_lengths_are_said_to_be(lengths, tmp_path):
    write_settings(tmp_path / "run", TASK, Config(out=tmp_path / "run"))
    path = tmp_path / "run" / "config.json"
    page = json.loads(path.read_text())
    page["settings"]["lengths"] = lengths
    path.write_text(json.dumps(page))
    with pytest.raises(InputError, match=r"config\.json is damaged: lengths = "):
        settings_of_run(Config(out=tmp_path / "run", resume=True), TASK)
