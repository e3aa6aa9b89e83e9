"""A recurrent recogniser of speech: from recordings and transcripts to a model that writes others.

The bundled ``digits`` and ``letters`` are connected ones in many voices, said by the synthesiser
espeak-ng (``pip install 'jaxseq[speech]'``); validation and test parts have voices of their own.
"""

from pathlib import Path
from typing import Any

from jaxseq.recipes._directory import (
    check_same_data,
    evaluation_directory,
    read_settings,
    settings_of_run,
    write_settings,
    write_table,
)
from jaxseq.recipes._run import (
    batches_of,
    best_params,
    check_drawing,
    check_settings,
    fit,
    initial_state,
    run_report,
)
from jaxseq.recipes._speech_config import TASK, Config, check, resolved
from jaxseq.recipes._speech_data import (
    Example,
    Parts,
    mark,
    read_examples,
    read_parts,
    read_unlabelled,
    with_held_out,
    with_training_noise,
)
from jaxseq.recipes._speech_hearing import (
    BUCKETS,
    Span,
    align,
    assessor,
    features_of,
    listen,
    transcribe,
)
from jaxseq.recipes._speech_model import Model, build, built_for, load, make_loss
from jaxseq.recipes._speech_report import (
    leave_history,
    leave_report,
    noise_rates,
    others,
    report_on,
    summary,
)

__all__ = [
    "Config",
    "Example",
    "Model",
    "Parts",
    "Span",
    "TASK",
    "align",
    "build",
    "evaluate",
    "load",
    "predict",
    "read_parts",
    "resolved",
    "summary",
    "train",
    "transcribe",
]


def train(config: Config) -> dict[str, Any]:
    """Trains a recogniser, and leaves all that came of it in ``config.out``.

    There are then ``config.json``, ``checkpoints/``, ``report.json`` (error rates of words and
    characters of each part that there is, of each speaker, with noise, and beside them those of
    hidden Markov models of the same run), ``alignment.png``, ``errors.tsv`` (worst first),
    ``learning_curve.png`` and ``history.json``. SIGTERM and Ctrl-C end the run after the step under
    way, with a checkpoint; ``resume`` goes on from there.

    Args:
      config: the settings.

    Returns:
      The report; where the run was interrupted, only how it can go on.

    Raises:
      InputError: if the data, the settings or the directory cannot be used.
      OSError: if something cannot be written; what was there before stays.
      DivergedError: if loss or gradient are no longer finite.
      ImportError: if matplotlib, which draws the pictures, is not installed, or espeakng-loader,
        where digits or letters are to be synthesised.

    Example:
      >>> train(Config(data="no/such.tsv", out=Path("no/such/run")))
      Traceback (most recent call last):
        ...
      jaxseq._checks.InputError: read_speech: there is no file `no/such.tsv`.
        Hint: check the spelling; a path is relative to the working directory.
    """
    config, page = settings_of_run(config, TASK)
    config = resolved(config)
    check_settings(TASK, config)
    check(config)
    check_drawing()
    whole = read_parts(config)
    parts = with_held_out(whole, config)
    model = built_for(config, parts.train)
    if page is None:
        write_settings(config.out, TASK, config, data=mark(whole), labels=list(model.labels))
    else:
        check_same_data(page, mark(whole), config.data)
    assert config.epochs is not None
    noisy = [example.samples for example in with_training_noise(parts.train, config)]
    batches = batches_of(
        features_of(config, noisy),
        rows=min(config.batch_size, len(noisy)),
        buckets=BUCKETS,
        seed=config.seed,
    )
    steps = config.epochs * len(batches)
    result = fit(
        config,
        initial_state(config, model.params, steps),
        make_loss(model, parts.train),
        batches,
        assessor(model, parts.valid),
        steps=steps,
        evaluate_every=len(batches) if parts.valid else steps,
    )
    if result.outcome == "interrupted":
        return {"outcome": result.outcome, "step": int(result.state.step), "out": str(config.out)}
    model = model._replace(params=best_params(TASK, result))
    report: dict[str, Any] = {"task": TASK, "data": config.data, "labels": len(model.labels)}
    named, heard = _named(parts), {}
    for name, examples in named.items():
        heard[name], report[name] = report_on(model, examples)
    shown = next(iter(named))
    report[shown]["with_noise"] = noise_rates(model, named[shown])
    report["others"] = others(parts, model)
    report |= run_report(model.params, result, terms="labels")
    leave_history(config.out, model, result.history, validated=bool(parts.valid))
    leave_report(config.out, report, model, named[shown], heard[shown])
    return report


def _named(parts: Parts) -> dict[str, list[Example]]:
    """Returns the parts to report on, the most telling first."""
    named = {"test": parts.test, "valid": parts.valid}
    return {name: part for name, part in named.items() if part} or {"train": parts.train}


def evaluate(directory: Path, *, source: str | None = None) -> dict[str, Any]:
    """Measures a trained recogniser.

    Args:
      directory: of a run.
      source: a file, or ``"digits"`` or ``"letters"`` for their test parts. None for the test part
        of the data that the model was trained on, or else the part that chose its weights, as in
        the report of the training.

    Returns:
      The report, which is also written: to ``report.json`` in
      ``evaluations/NAME`` of the run's directory, with a picture and the errors beside it.

    Raises:
      InputError: if there is no such run, the data cannot be used, or are not what the run began
        with.
      OSError: if the report cannot be written.
      ImportError: as in :func:`train`.

    Example:
      >>> evaluate(Path("no/such/run"))
      Traceback (most recent call last):
        ...
      jaxseq._checks.InputError: recipes: no/such/run holds no run: there is no config.json in it.
        Hint: `python -m jaxseq train speech --out no/such/run` makes one.
    """
    directory = Path(directory)
    model = load(directory)
    check_drawing()
    if source is None:
        source, examples = model.config.data, _own_examples(directory, model.config)
    else:
        examples = read_examples(model.config, source)
    heard, page = report_on(model, examples)
    report = {"task": TASK, "data": source, **page}
    report["with_noise"] = noise_rates(model, examples)
    out = evaluation_directory(directory, source)
    leave_report(out, report, model, examples, heard)
    return report


def _own_examples(directory: Path, config: Config) -> list[Example]:
    """Returns what the report of a run is on, if it is still there."""
    whole = read_parts(config)
    check_same_data(read_settings(directory, TASK), mark(whole), config.data)
    return next(iter(_named(with_held_out(whole, config)).values()))


def predict(directory: Path, *, source: str, to: Path) -> int:
    """Transcribes the recordings of a file, and writes a file with the transcripts.

    Args:
      directory: of a run.
      source: a TSV or CSV file with the column path; transcripts in it play no part.
      to: the file to write: TSV with the columns path, transcript and log_probability, in nats.

    Returns:
      How many recordings there were.

    Raises:
      InputError: if there is no such run, or the file cannot be used.
      OSError: if the transcripts cannot be written.

    Example:
      >>> predict(Path("no/such/run"), source="new.tsv", to=Path("said.tsv"))
      Traceback (most recent call last):
        ...
      jaxseq._checks.InputError: recipes: no/such/run holds no run: there is no config.json in it.
        Hint: `python -m jaxseq train speech --out no/such/run` makes one.
    """
    model = load(directory)
    examples = read_unlabelled(model.config, source)
    heard = listen(model, [example.samples for example in examples])
    lines = [
        [example.name, one.beam, f"{one.log_prob:.4f}"]
        for example, one in zip(examples, heard, strict=True)
    ]
    write_table(Path(to), ["path", "transcript", "log_probability"], lines)
    return len(lines)
