"""A recurrent classifier of texts or series: from examples to a model that labels others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxseq.recipes._classification_config import TASK, Config, check, resolved
from jaxseq.recipes._classification_data import (
    Example,
    Parts,
    check_examples,
    check_kind,
    mark,
    read_examples,
    read_parts,
    read_values,
    with_held_out,
)
from jaxseq.recipes._classification_model import (
    BUCKETS,
    Model,
    assessor,
    build,
    built_for,
    load,
    log_probs,
    make_loss,
    page_of,
)
from jaxseq.recipes._classification_report import (
    leave_history,
    leave_report,
    measures,
    others,
    summary,
)
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

__all__ = [
    "Config",
    "Example",
    "Model",
    "Parts",
    "TASK",
    "build",
    "classify",
    "evaluate",
    "load",
    "log_probs",
    "predict",
    "read_parts",
    "summary",
    "train",
]


def train(config: Config) -> dict[str, Any]:
    """Trains a classifier, and leaves all that came of it in ``config.out``.

    There are then ``config.json``, ``checkpoints/``, ``report.json`` (accuracy and macro-F1 of each
    part that there is, each class by itself, beside baselines of the same run), ``confusion.png``,
    ``errors.tsv`` (worst first), ``learning_curve.png`` and ``history.json``; of texts also
    ``prefixes.png``, the accuracy over the first characters. SIGTERM and Ctrl-C end the run after
    the step under way, with a checkpoint; ``resume`` goes on from there.

    Args:
      config: the settings.

    Returns:
      The report; where the run was interrupted, only how it can go on.

    Raises:
      InputError: if the data, the settings or the directory cannot be used.
      OSError: if something cannot be written; what was there before stays.
      DivergedError: if loss or gradient are no longer finite.
      ImportError: if matplotlib, which draws the pictures, is not installed.

    Example:
      >>> import pathlib, tempfile
      >>> from jaxseq.recipes import classification
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     config = classification.Config(
      ...         data="japanese_vowels", out=pathlib.Path(directory), hidden_size=4, epochs=1)
      ...     report = classification.train(config)
      >>> report["test"]["examples"]
      370
    """
    config, page = settings_of_run(config, TASK)
    whole = read_parts(config.data, config.valid)
    config = resolved(config, whole.kind)
    check_settings(TASK, config)
    check(config)
    check_drawing()
    parts = with_held_out(whole, config)
    model = built_for(config, parts)
    if page is None:
        write_settings(config.out, TASK, config, data=mark(whole), **page_of(model))
    else:
        check_same_data(page, mark(whole), config.data)
    assert config.batch_size is not None and config.epochs is not None
    batches = batches_of(
        model.encode([example.value for example in parts.train]),
        rows=min(config.batch_size, len(parts.train)),
        seed=config.seed,
        # All random pieces have one length.
        buckets=1 if config.crop and parts.kind == "text" else BUCKETS,
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
    report: dict[str, Any] = {"task": TASK, "data": config.data, "classes": len(model.labels)}
    named = _named(parts)
    found = {name: log_probs(model, _values(part)) for name, part in named.items()}
    for name, part in named.items():
        report[name] = measures(model, part, found[name])
    report["others"] = others(parts, model)
    report |= run_report(model.params, result, terms="examples")
    leave_history(config.out, model, result.history, validated=bool(parts.valid))
    shown = next(iter(named))
    leave_report(config.out, report, model, named[shown], found[shown])
    return report


def _named(parts: Parts) -> dict[str, list[Example]]:
    """Returns the parts to report on, the most telling first."""
    named = {"test": parts.test, "valid": parts.valid}
    return {name: part for name, part in named.items() if part} or {"train": parts.train}


def _values(examples: Sequence[Example]) -> list[Any]:
    return [example.value for example in examples]


def evaluate(directory: Path, *, source: str | None = None) -> dict[str, Any]:
    """Measures a trained classifier.

    Args:
      directory: of a run.
      source: a file, or the name of a bundled corpus: all of it, or its test part if it has one.
        None for the test part of the data that the model was trained on, or else the part that
        chose its weights, as in the report of the training.

    Returns:
      The report, which is also written: to ``report.json`` in
      ``evaluations/NAME`` of the run's directory, with a picture and the errors beside it.

    Raises:
      InputError: if there is no such run, the data cannot be used, or are not what the run began
        with, or have a label that the model does not know.
      OSError: if the report cannot be written.

    Example:
      >>> evaluate(Path("no/such/run"))
      Traceback (most recent call last):
        ...
      jaxseq._checks.InputError: recipes: no/such/run holds no run: there is no config.json in it.
        Hint: `python -m jaxseq train classification --out no/such/run` makes one.
    """
    model = load(directory)
    check_drawing()
    if source is None:
        source, examples = model.config.data, _own_examples(directory, model.config)
    else:
        check_kind(source, model.kind)
        examples = read_examples(source)
        check_examples(examples, model.labels, source)
    found = log_probs(model, _values(examples))
    report = {"task": TASK, "data": source, **measures(model, examples, found)}
    out = evaluation_directory(directory, source)
    leave_report(out, report, model, examples, found)
    return report


def _own_examples(directory: Path, config: Config) -> list[Example]:
    """Returns what the report of a run is on, if it is still there."""
    whole = read_parts(config.data, config.valid)
    check_same_data(read_settings(Path(directory), TASK), mark(whole), config.data)
    return next(iter(_named(with_held_out(whole, config)).values()))


def classify(model: Model, values: Sequence[Any]) -> list[str]:
    """Returns the most likely label of each text or series.

    Args:
      model: from :func:`load`.
      values: texts, or arrays ``[T, I]``.

    Returns:
      A label for each.

    Raises:
      InputError: if there is none, or a series has another number of features.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq import data
      >>> from jaxseq.recipes import classification
      >>> from jaxseq.recipes._classification_config import resolved
      >>> config = resolved(classification.Config(embed_size=2, hidden_size=2), "text")
      >>> vocabulary = data.Vocabulary.of_characters("abc", unknown="?")
      >>> model = classification.build(config, ["x", "y"], vocabulary)
      >>> len(classification.classify(model, ["abba", "cab"]))
      2
    """
    return [model.labels[best] for best in log_probs(model, values).argmax(1)]


def predict(directory: Path, *, source: str, to: Path) -> int:
    """Labels what is in a file, and writes a file with the labels and their probabilities.

    Args:
      directory: of a run.
      source: a TSV or CSV file with the column text, or series as for :func:`train`: all, or the
        test part if there is one. Labels in it play no part.
      to: the file to write: TSV with the columns text (or row), label and probability.

    Returns:
      How many there were.

    Raises:
      InputError: if there is no such run, or the file cannot be used.
      OSError: if the labels cannot be written.

    Example:
      >>> predict(Path("no/such/run"), source="texts.tsv", to=Path("labels.tsv"))
      Traceback (most recent call last):
        ...
      jaxseq._checks.InputError: recipes: no/such/run holds no run: there is no config.json in it.
        Hint: `python -m jaxseq train classification --out no/such/run` makes one.
    """
    model = load(directory)
    values = read_values(source, model.kind)
    found = log_probs(model, values)
    lines = [
        [value if model.kind == "text" else str(place), model.labels[k], f"{row[k]:.4f}"]
        for place, (value, row) in enumerate(zip(values, np.exp(found), strict=True))
        for k in [row.argmax()]
    ]
    name = "text" if model.kind == "text" else "row"
    write_table(Path(to), [name, "label", "probability"], lines)
    return len(lines)
