"""The training loop: steps, evaluations, checkpoints, and an orderly end."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from jaxseq._checks import error
from jaxseq._types import PyTree
from jaxseq.training._checkpoints import Checkpoints
from jaxseq.training._history import History
from jaxseq.training._loggers import Logger, scalars_to
from jaxseq.training._progress import reporter
from jaxseq.training._run import Best, Run
from jaxseq.training._signals import stop_on_signals
from jaxseq.training._state import TrainState
from jaxseq.training._step import Step

Outcome = Literal["finished", "early stop", "interrupted"]


class FitResult(NamedTuple):
    """What a run has come to.

    Attributes:
      state: after the last step.
      history: of every step and evaluation, those before a resumption included.
      outcome: ``"finished"``, ``"early stop"`` or ``"interrupted"``.
      best: the best evaluation and the params it was of; None if nothing was evaluated.

    Example:
      >>> FitResult._fields
      ('state', 'history', 'outcome', 'best')
    """

    state: TrainState
    history: History
    outcome: Outcome
    best: Best | None


def fit(
    state: TrainState,
    step: Step,
    batches: Any,
    *,
    steps: int,
    evaluate: Callable[[PyTree], Any] | None = None,
    evaluate_every: int | None = None,
    patience: int | None = None,
    checkpoints: Checkpoints | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    max_skipped: int = 20,
    progress: bool = True,
    loggers: Sequence[Logger] = (),
    history: History | None = None,
) -> FitResult:
    """Trains until ``state.step`` is ``steps``, or there is a reason to end before.

    Steps are dispatched ahead of the device, and their results fetched some at a time. SIGINT
    (Ctrl-C) and SIGTERM end the run after the step under way, with a checkpoint; a second signal
    raises :class:`KeyboardInterrupt`. A run that is resumed ends with the same bits as one that
    never stopped. The state that is given stays usable.

    Args:
      state: from :func:`init_state`.
      step: from :func:`make_step`.
      batches: an iterable of batches. With ``checkpoints`` it must have a ``cursor`` (a dict for
        JSON: the position before the next batch) and ``seek(cursor)``.
      steps: the number of the last step, those before a resumption included; the run also finishes
        where ``batches`` end.
      evaluate: ``evaluate(params) -> float``, lower is better.
      evaluate_every: every so many steps, and when the run finishes; only then if it is None.
      patience: ends the run after so many evaluations in a row that are no better than the best.
      checkpoints: written whenever an evaluation is the best so far, every ``checkpoint_every``
        steps, and at the end.
      checkpoint_every: every so many steps.
      resume: continues from the latest checkpoint; from the beginning if there is none.
      max_skipped: how many steps in a row may fail to be finite.
      progress: shows a bar on a terminal, a line every ten seconds elsewhere.
      loggers: each is told the loss, the gradient's norms, the count and the seconds of every step
        (the names of :class:`StepRecord`), and every ``evaluation``.
      history: appended to, if given; it is also in the result.

    Returns:
      The state, the history, the outcome and the best params.

    Raises:
      DivergedError: if more than ``max_skipped`` steps in a row were not finite.
      InputError: if the checkpoints are of another run, there is no batch, or a log is there.
      OSError: if a checkpoint or a log cannot be written.
      TypeError: if ``batches`` cannot be resumed although ``checkpoints`` are asked for.
      ValueError: if the arguments contradict each other.

    Example:
      >>> import itertools, jax, jax.numpy as jnp, optax
      >>> from jaxseq.training import init_state, make_step
      >>> def loss(params, carry, batch, key):
      ...     return (jnp.sum((params - batch) ** 2), jnp.array(2.0)), carry
      >>> optimizer = optax.sgd(0.25)
      >>> state = init_state(jnp.array(0.0), optimizer, key=jax.random.key(0))
      >>> batches = itertools.repeat(jnp.array([1.0, 3.0]))
      >>> result = fit(state, make_step(loss, optimizer), batches, steps=3, progress=False)
      >>> result.outcome, float(result.state.params), [r.loss for r in result.history.steps]
      ('finished', 1.75, [5.0, 2.0, 1.25])
    """
    counts = {"steps": steps, "evaluate_every": evaluate_every, "patience": patience}
    _check_counts({**counts, "checkpoint_every": checkpoint_every, "max_skipped": max_skipped})
    _check_pairs(evaluate, evaluate_every, patience)
    _check_checkpoints(batches, checkpoints, checkpoint_every, resume)
    run = Run(
        state, step, batches, evaluate=evaluate, checkpoints=checkpoints, max_skipped=max_skipped
    )
    run.history = History() if history is None else history
    if resume and checkpoints is not None and checkpoints.exists:
        run.restore(checkpoints)
    with (
        stop_on_signals() as stop,
        scalars_to(loggers, run.number, resume=resume or run.number > 0) as scalars,
        reporter(progress, steps, run.number) as shown,
    ):
        run.reports = (scalars, shown)
        while (outcome := _outcome(run, steps, patience, stop.requested)) is None:
            if not run.advance():
                outcome = "finished"
                break
            run.look_after(evaluate_every, checkpoint_every)
        run.finish(evaluate=outcome == "finished")
    return FitResult(run.state, run.history, outcome, run.best)


def _outcome(run: Run, steps: int, patience: int | None, stop: bool) -> Outcome | None:
    if run.number >= steps:
        return "finished"
    # While steps are being skipped, an evaluation cannot improve: the run recovers or diverges.
    if patience is not None and run.waited >= patience and not run.streak:
        return "early stop"
    return "interrupted" if stop else None


def _check_counts(counts: dict[str, int | None]) -> None:
    for name, count in counts.items():
        least = 0 if name == "max_skipped" else 1
        if count is not None and count < least:
            raise error("fit", f"`{name}` must be at least {least}, but it is {count}")


def _check_pairs(
    evaluate: Callable[[PyTree], Any] | None, evaluate_every: int | None, patience: int | None
) -> None:
    if evaluate is None and evaluate_every is not None:
        raise error("fit", "`evaluate_every` needs `evaluate`, a function of params")
    if evaluate_every is None and patience is not None:
        raise error("fit", "`patience` counts evaluations: it needs `evaluate_every`")


def _check_checkpoints(
    batches: Any, checkpoints: Checkpoints | None, every: int | None, resume: bool
) -> None:
    if checkpoints is None:
        if every is not None or resume:
            name = "resume" if resume else "checkpoint_every"
            raise error("fit", f"`{name}` needs `checkpoints`, a place to keep them")
        return
    if not (hasattr(batches, "cursor") and callable(getattr(batches, "seek", None))):
        raise error(
            "fit",
            "`batches` must have `cursor` and `seek(cursor)`, so that a run can be resumed, but "
            f"{type(batches).__name__} does not",
            hint="use an iterator of jaxseq.data, or leave `checkpoints` out",
            kind=TypeError,
        )
    checkpoints.prepare()
    if checkpoints.exists and not resume:
        raise error(
            "fit",
            f"there is a run in {checkpoints.directory} already",
            hint="continue it with resume=True, or choose another directory",
        )
