"""What the runs of all recipes have in common: numbers in their ranges, weights that come back."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq import training
from jaxseq._checks import InputError
from jaxseq.losses import SumCount
from jaxseq.recipes import _run
from jaxseq.recipes._run import (
    best_params,
    check_drawing,
    check_seed,
    check_settings,
    fit,
    initial_state,
    optimizer,
    run_report,
    saved_params,
)


@dataclasses.dataclass(frozen=True)
class Config:
    out: Path = Path("runs/x")
    epochs: int | None = None
    batch_size: int = 4
    learning_rate: float = 0.1
    weight_decay: float = 0.0
    max_norm: float = 1.0
    patience: int = 0
    seed: int = 0
    resume: bool = False
    tensorboard: bool = False


class Counter:
    """Batches 0, 1, 2, … with a cursor."""

    def __init__(self, end=99):
        self.cursor, self.end = {"next": 0}, end

    def __iter__(self):
        return self

    def __next__(self):
        if self.cursor["next"] == self.end:
            raise StopIteration
        self.cursor = {"next": self.cursor["next"] + 1}
        return jnp.float32(self.cursor["next"])

    def seek(self, cursor):
        self.cursor = dict(cursor)


def loss(params, carry, batch, key):
    return SumCount((params - batch) ** 2, jnp.ones(())), carry


def run(config, steps=6, evaluate=float, end=99):
    state = initial_state(config, jnp.float32(0.0), steps)
    return fit(config, state, loss, Counter(end), evaluate, steps=steps, evaluate_every=2)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"epochs": 0}, r"task: `epochs` must be at least 1, but it is 0\."),
        ({"batch_size": -1}, r"`batch_size` must be at least 1, but it is -1"),
        ({"patience": -1}, r"`patience` must be at least 0, but it is -1"),
        ({"weight_decay": -0.5}, r"`weight_decay` must be at least 0, but it is -0\.5"),
        ({"learning_rate": 0.0}, r"`learning_rate` must be above 0, but it is 0\.0"),
        ({"learning_rate": float("nan")}, r"`learning_rate` must be above 0, but it is nan"),
        ({"max_norm": -1.0}, r"`max_norm` must be above 0, but it is -1\.0"),
        ({"seed": -1}, r"`seed` must be at least 0 and below 2\^32, but it is -1"),
    ],
)
def test_a_number_out_of_range_is_named(changes, problem):
    check_settings("task", Config())
    with pytest.raises(InputError, match=problem):
        check_settings("task", dataclasses.replace(Config(), **changes))


def test_a_seed_is_taken_as_it_stands():
    check_seed("task", 2**32 - 1)
    with pytest.raises(InputError, match=r"task: `seed` must be at least 0 and below 2\^32"):
        check_seed("task", 2**32)


def test_what_draws_is_asked_for_before_a_run(monkeypatch):
    check_drawing()
    monkeypatch.setattr(_run.util, "find_spec", lambda name: None)
    problem = r"matplotlib, which draws the pictures.*\n  Hint: pip install 'jaxseq\[plot\]'"
    with pytest.raises(ImportError, match=problem):
        check_drawing()


def test_the_rate_rises_and_falls():
    def sizes(steps):
        made = optimizer(Config(), steps)
        state, found = made.init(jnp.float32(0.0)), []
        with jax.numpy_dtype_promotion("standard"):
            for _ in range(steps):
                update, state = made.update(jnp.float32(1.0), state, jnp.float32(0.0))
                found.append(float(-update))
        return np.array(found)

    long = sizes(40)
    assert long[0] == 0 and long.argmax() == 4 and long.max() == pytest.approx(0.1, rel=1e-3)
    assert np.all(np.diff(long[4:]) < 0) and long[-1] < 0.01
    assert sizes(3)[0] == pytest.approx(0.1, rel=1e-3)  # too short to rise


def test_the_best_weights_are_reported_kept_and_read_again(tmp_path):
    config = Config(out=tmp_path)
    result = run(config, evaluate=lambda params: abs(float(params) - 0.25))
    best = best_params("task", result)
    assert result.best.step in (2, 4, 6)
    assert float(saved_params(tmp_path, initial_state(config, jnp.float32(0.0), 1))) == float(best)
    page = run_report(best, result, terms="apples")
    assert page["parameters"] == 1 and page["training"]["steps"] == 6
    assert page["training"]["apples_per_second"] > 0
    assert page["training"]["best_step"] == result.best.step


def test_a_run_that_ended_before_its_first_evaluation_has_its_latest_weights(tmp_path):
    config = Config(out=tmp_path)
    state = initial_state(config, jnp.float32(0.0), 6)
    with training.Checkpoints(tmp_path / "checkpoints") as checkpoints:
        step = training.make_step(loss, optimizer(config, 6))
        result = training.fit(state, step, Counter(), steps=1, checkpoints=checkpoints)
    assert float(saved_params(tmp_path, state)) == float(result.state.params)


def test_a_run_goes_on_to_the_same_bits(tmp_path):
    whole = run(Config(out=tmp_path / "a"))
    run(Config(out=tmp_path / "b"), end=3)
    again = run(Config(out=tmp_path / "b", resume=True))
    assert float(again.state.params) == float(whole.state.params)


def test_scalars_are_written_for_tensorboard_if_asked_for(tmp_path):
    run(Config(out=tmp_path / "without"))
    assert not (tmp_path / "without" / "tensorboard").exists()
    run(Config(out=tmp_path / "with", tensorboard=True))
    assert list((tmp_path / "with" / "tensorboard").glob("events.out.tfevents.*"))


def test_weights_that_were_never_measured_as_finite_are_not_taken(tmp_path):
    result = run(Config(out=tmp_path), evaluate=lambda params: float("nan"))
    with pytest.raises(training.DivergedError, match=r"the measure that chooses the weights was"):
        best_params("task", result)
