import itertools
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxseq._checks import InputError
from jaxseq.training import (
    Checkpoints,
    DivergedError,
    History,
    fit,
    init_state,
    make_evaluate,
    make_step,
)


@pytest.fixture
def evaluate(state, loss, batches):
    evaluator = make_evaluate(loss)
    return lambda params: evaluator(params, state.carry, batches(end=3)).mean


class Signalling:
    """Batches that ask for an end, once or twice, while one of them is fetched."""

    def __init__(self, batches, at, *, signals=(signal.SIGTERM,)):
        self.batches, self.at, self.signals = batches, at, signals

    def __next__(self):
        if self.batches.number == self.at:
            for number in self.signals:
                os.kill(os.getpid(), number)
        return next(self.batches)

    @property
    def cursor(self):
        return self.batches.cursor

    def seek(self, cursor):
        self.batches.seek(cursor)


def losses(result):
    return [record.loss for record in result.history.steps]


def test_fit_is_the_plain_loop(state, step, batches, same):
    plain, data = jax.tree.map(jnp.copy, state), batches()
    expected = []
    for _ in range(25):
        plain, metrics = step(plain, next(data))
        expected.append(float(metrics.loss))
    result = fit(state, step, batches(), steps=25, progress=False)
    same(result.state, plain)
    np.testing.assert_allclose(losses(result), expected, rtol=1e-7)
    assert (result.outcome, result.best) == ("finished", None)
    assert [record.step for record in result.history.steps] == list(range(1, 26))
    seconds = [record.seconds for record in result.history.steps]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0
    assert all(record.count == 24 for record in result.history.steps)
    assert all(record.clipped_norm <= min(record.norm, 1.0) for record in result.history.steps)


def test_the_state_given_stays_usable(state, step, batches, same):
    first = fit(state, step, batches(), steps=2, progress=False)
    same(fit(state, step, batches(), steps=2, progress=False).state, first.state)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_resumes_to_the_same_bits(
    state, step, batches, evaluate, tmp_path, same, number
):
    options = {"steps": 20, "evaluate": evaluate, "evaluate_every": 4, "progress": False}
    whole = fit(state, step, batches(), **options)
    with Checkpoints(tmp_path) as checkpoints:
        stopping = Signalling(batches(), 10, signals=(number,))
        first = fit(state, step, stopping, checkpoints=checkpoints, **options)
        assert (first.outcome, int(first.state.step)) == ("interrupted", 11)
    with Checkpoints(tmp_path) as checkpoints:
        second = fit(state, step, batches(), checkpoints=checkpoints, resume=True, **options)
    same(second.state, whole.state)
    assert second.outcome == "finished"
    assert losses(second) == losses(whole)
    assert second.history.evaluations == whole.history.evaluations
    assert second.best[:2] == whole.best[:2]
    same(second.best.params, whole.best.params)
    seconds = [record.seconds for record in second.history.steps]
    assert seconds == sorted(seconds)


def test_the_handlers_of_before_come_back(state, step, batches):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    stopping = Signalling(batches(), 1)
    assert fit(state, step, stopping, steps=5, progress=False).outcome == "interrupted"
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_second_signal_ends_at_once(state, step, batches):
    history, before = History(), signal.getsignal(signal.SIGINT)
    insisting = Signalling(batches(), 2, signals=(signal.SIGINT, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        fit(state, step, insisting, steps=9, progress=False, history=history)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_finished_run_resumes_to_nothing_or_to_more_steps(state, step, batches, tmp_path, same):
    whole = fit(state, step, batches(), steps=6, progress=False)
    with Checkpoints(tmp_path) as checkpoints:
        options = {"checkpoints": checkpoints, "progress": False}
        first = fit(state, step, batches(), steps=4, **options)
        again = fit(state, step, batches(), steps=4, resume=True, **options)
        same(again.state, first.state)
        same(fit(state, step, batches(), steps=6, resume=True, **options).state, whole.state)


def test_resume_begins_where_there_is_nothing_to_resume(state, step, batches, tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        result = fit(
            state, step, batches(), steps=2, checkpoints=checkpoints, resume=True, progress=False
        )
    assert int(result.state.step) == 2


def test_checkpoints_are_written_every_so_many_steps(state, step, batches, tmp_path):
    seen = []

    class Watched(Checkpoints):
        def save(self, state, **others):
            seen.append((int(state.step), others["metric"]))
            super().save(state, **others)

    values = iter([3.0, 2.0, 2.5, 4.0])
    with Watched(tmp_path) as checkpoints:
        fit(
            state, step, batches(), steps=7, checkpoints=checkpoints, checkpoint_every=3,
            evaluate=lambda params: next(values), evaluate_every=2, progress=False,
        )  # fmt: skip
    assert seen == [(2, 3.0), (3, None), (4, 2.0), (6, None), (7, None)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["4", "7"]


def test_patience_ends_a_run_and_the_best_params_are_kept(state, step, batches, tmp_path, same):
    def run(**options):
        values = iter([3.0, 2.0, float("nan"), 2.0, 1.0])
        seen = []

        def evaluate(params):
            seen.append(jax.tree.map(np.asarray, params))
            return next(values)

        options = {"evaluate": evaluate, "evaluate_every": 2, "progress": False, **options}
        return fit(state, step, batches(), steps=20, **options), seen

    result, seen = run(patience=2)
    assert (result.outcome, int(result.state.step)) == ("early stop", 8)
    assert (result.best.step, result.best.value) == (4, 2.0)
    same(result.best.params, seen[1])
    assert [record.step for record in result.history.evaluations] == [2, 4, 6, 8]
    with Checkpoints(tmp_path) as checkpoints:
        run(patience=2, checkpoints=checkpoints)
        again, _ = run(patience=2, checkpoints=checkpoints, resume=True)
        assert (again.outcome, int(again.state.step)) == ("early stop", 8)
        same(again.best.params, seen[1])
        same(checkpoints.restore_params(state.params, which="best"), seen[1])


def test_without_an_interval_the_evaluation_is_at_the_end(state, step, batches):
    result = fit(
        state, step, batches(), steps=3, evaluate=lambda params: jnp.float32(1.5), progress=False
    )
    assert result.history.evaluations == [(3, 1.5)]
    assert result.best.step == 3


def test_a_run_finishes_where_its_batches_end(state, step, batches):
    data = batches(end=3)
    result = fit(state, step, list(data), steps=9, progress=False)
    assert (result.outcome, int(result.state.step)) == ("finished", 3)


def test_no_batch_at_all_is_refused(state, step):
    with pytest.raises(InputError, match="fit: `batches` gave no batch to train on"):
        fit(state, step, iter([]), steps=9, progress=False)


def test_history_is_appended_to(state, step, batches):
    history, data = History(), batches()
    first = fit(state, step, data, steps=2, progress=False, history=history)
    second = fit(first.state, step, data, steps=4, progress=False, history=history)
    assert second.history is history
    assert [record.step for record in history.steps] == [1, 2, 3, 4]


class Spoilt:
    """Batches that are not finite from one on."""

    def __init__(self, batches, start, end=10**9):
        self.batches, self.start, self.end = batches, start, end

    def __next__(self):
        number, batch = self.batches.number, next(self.batches)
        bad = self.start <= number < self.end
        return {**batch, "ys": batch["ys"] * np.float32(np.nan)} if bad else batch

    @property
    def cursor(self):
        return self.batches.cursor

    def seek(self, cursor):
        self.batches.seek(cursor)


def test_a_few_bad_batches_are_survived(state, step, batches):
    result = fit(state, step, Spoilt(batches(), 2, 5), steps=9, progress=False, max_skipped=3)
    assert (result.outcome, int(result.state.skipped)) == ("finished", 3)
    assert np.isfinite(losses(result)).tolist() == [True] * 2 + [False] * 3 + [True] * 4


def test_a_run_that_diverges_says_when_and_what_to_do(state, step, batches, tmp_path, same):
    good = fit(state, step, batches(), steps=4, progress=False)
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.raises(
            DivergedError,
            match=r"fit: the loss has not been finite for 6 steps in a row, up to step 10; none of "
            r"them was applied\.\n  Hint: lower the learning rate, or max_norm in make_step",
        ) as caught:
            fit(
                state, step, Spoilt(batches(), 4), steps=90, progress=False, max_skipped=5,
                checkpoints=checkpoints, checkpoint_every=4,
            )  # fmt: skip
        same(caught.value.state.params, good.state.params)
        assert len(caught.value.history.steps) >= 10
        same(checkpoints.restore(state)[0].params, good.state.params)


def test_a_gradient_that_is_not_finite_is_named():
    def loss(params, carry, batch, key):
        return (jnp.sqrt(params) * batch, jnp.array(1.0)), carry

    optimizer = optax.sgd(0.1)
    state = init_state(jnp.array(0.0), optimizer, key=jax.random.key(0))
    data = itertools.repeat(jnp.array(1.0))
    with pytest.raises(DivergedError, match="the gradient has not been finite for 1 steps in a r"):
        fit(state, make_step(loss, optimizer), data, steps=3, progress=False, max_skipped=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "`steps` must be at least 1, but it is 0"),
        ({"evaluate_every": 0}, "`evaluate_every` must be at least 1, but it is 0"),
        ({"patience": 0}, "`patience` must be at least 1, but it is 0"),
        ({"checkpoint_every": -1}, "`checkpoint_every` must be at least 1, but it is -1"),
        ({"max_skipped": -1}, "`max_skipped` must be at least 0, but it is -1"),
        ({"evaluate_every": 2}, "`evaluate_every` needs `evaluate`, a function of params"),
        ({"patience": 2}, "`patience` counts evaluations: it needs `evaluate_every`"),
        ({"checkpoint_every": 2}, "`checkpoint_every` needs `checkpoints`, a place to keep them"),
        ({"resume": True}, "`resume` needs `checkpoints`, a place to keep them"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(state, step, batches, options, message):
    with pytest.raises(ValueError, match=f"fit: {message}"):
        fit(state, step, batches(), **{"steps": 3, "progress": False, **options})


def test_checkpoints_need_batches_with_a_cursor(state, step, tmp_path):
    message = r"`batches` must have `cursor` and `seek\(cursor\)`, .* but list does not"
    with pytest.raises(TypeError, match=message):
        fit(state, step, [], steps=3, checkpoints=Checkpoints(tmp_path), progress=False)


def test_a_directory_with_a_run_in_it_is_not_written_over(state, step, batches, tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state)
        options = {"steps": 3, "checkpoints": checkpoints, "progress": False}
        with pytest.raises(ValueError, match=r"fit: there is a run in .* already\.\n  Hint: cont"):
            fit(state, step, batches(), **options)
        with pytest.raises(InputError, match="was not written by fit, so it does not say where"):
            fit(state, step, batches(), resume=True, **options)


def test_a_place_that_cannot_be_written_is_refused_before_the_first_step(
    state, step, batches, tmp_path
):
    (tmp_path / "file").touch()
    data, there = batches(), Checkpoints(tmp_path / "file" / "run")
    with pytest.raises(OSError, match="cannot be written: Not a directory"):
        fit(state, step, data, steps=3, checkpoints=there, progress=False)
    assert data.number == 0


def test_patience_does_not_hide_a_run_that_diverges():
    def loss(params, carry, batch, key):
        return (jnp.sum(params * batch) / 0.0, jnp.array(1.0)), carry

    optimizer = optax.sgd(0.1)
    state = init_state(jnp.array(1.0), optimizer, key=jax.random.key(0))
    options = {"evaluate": lambda params: 1.0, "evaluate_every": 1, "patience": 2}
    with pytest.raises(DivergedError, match="the loss has not been finite for 5 steps in a row"):
        fit(
            state,
            make_step(loss, optimizer),
            itertools.repeat(jnp.array(1.0)),
            steps=20,
            max_skipped=4,
            progress=False,
            **options,
        )
