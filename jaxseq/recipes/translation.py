"""A recurrent translator: from pairs of texts to a model that translates others.

The bundled ``cmudict`` is English words and their sounds, ``home_assistant_en_ko`` is English and
Korean. :func:`translate` does it in Python.
"""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxseq._checks import InputError, error
from jaxseq._types import PyTree
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
from jaxseq.recipes._translation_config import TASK, Config, as_begun, check, resolved
from jaxseq.recipes._translation_data import (
    Parts,
    Texts,
    mark,
    read_parts,
    read_rows,
    read_sources,
    short_enough,
    texts_of,
    with_held_out,
)
from jaxseq.recipes._translation_model import (
    Functions,
    Model,
    build,
    built_for,
    encoded_pairs,
    load,
    make_loss,
    memory_of,
    page_of,
)
from jaxseq.recipes._translation_report import (
    check_scoring,
    leave_history,
    leave_report,
    measures,
    others,
    report_on,
    summary,
)
from jaxseq.recipes._translation_search import Hypothesis, translate, translate_best

__all__ = [
    "Config",
    "Functions",
    "Hypothesis",
    "Model",
    "Parts",
    "TASK",
    "build",
    "evaluate",
    "load",
    "predict",
    "read_parts",
    "summary",
    "train",
    "translate",
]

ASSESSED = 2000
"""So many sources at most choose the weights."""


def train(config: Config) -> dict[str, Any]:
    r"""Trains a translator, and leaves all that came of it in ``config.out``.

    There are then ``config.json``, ``checkpoints/``, ``report.json`` (word and phoneme error rates
    of pronunciations, chrF and BLEU of texts, beside the nearest training source in the same run),
    ``alignments.png``, ``errors.tsv`` (worst first), ``learning_curve.png`` and ``history.json``.
    SIGTERM and Ctrl-C end the run after the step under way, with a checkpoint; ``resume`` goes on
    from there.

    Args:
      config: the settings.

    Returns:
      The report; where the run was interrupted, only how it can go on.

    Raises:
      InputError: if the data, the settings or the directory cannot be used.
      OSError: if something cannot be written; what was there before stays.
      DivergedError: if loss or gradient are no longer finite.
      ImportError: if matplotlib, which draws the pictures, or sacrebleu, which measures
        translations of texts, is not installed.

    Example:
      >>> import pathlib, tempfile
      >>> from jaxseq.recipes import translation
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     file = pathlib.Path(directory) / "my.tsv"
      ...     _ = file.write_text("source\ttarget\nox\tAA K S\nbox\tB AA K S\n")
      ...     config = translation.Config(
      ...         data=str(file), out=pathlib.Path(directory) / "run", target_units="spaces",
      ...         hold_out=0, hidden_size=4, embed_size=4, epochs=1)
      ...     report = translation.train(config)
      >>> report["train"]["sources"]
      2
    """
    config, page = settings_of_run(config, TASK)
    config = resolved(config if page is None else as_begun(config))
    check_settings(TASK, config)
    check(config)
    whole = read_parts(config.data, config.valid)
    check_drawing()
    check_scoring(config)
    parts = with_held_out(whole, config)
    learnt = short_enough(parts.train, config)
    model = built_for(config, learnt)
    if config.memory:
        model = model._replace(memory=memory_of(parts.train))
    if page is None:
        write_settings(config.out, TASK, config, data=mark(whole), **page_of(model))
    else:
        check_same_data(page, mark(whole), config.data)
    assert config.batch_size is not None and config.epochs is not None and config.networks
    packed = encoded_pairs(model, learnt)
    widths = len({len(array) for array in packed.arrays})
    rows = min(config.batch_size, len(learnt))
    batches = batches_of(packed.arrays, rows=rows, buckets=widths, seed=config.seed)
    steps = config.epochs * len(batches)
    # The loss is the mean over the networks: its gradient has the quadratic mean of their norms,
    # divided by the root of their number.
    max_norm = config.max_norm / math.sqrt(config.networks)
    result = fit(
        dataclasses.replace(config, max_norm=max_norm),
        initial_state(config, model.params, steps),
        make_loss(model, packed.sources),
        batches,
        _assessor(model, texts_of(parts.valid)),
        steps=steps,
        evaluate_every=len(batches) if parts.valid else steps,
    )
    if result.outcome == "interrupted":
        return {"outcome": result.outcome, "step": int(result.state.step), "out": str(config.out)}
    model = model._replace(params=best_params(TASK, result))
    report: dict[str, Any] = {"task": TASK, "data": config.data, "pairs": len(learnt)}
    report["left_out"] = len(parts.train) - len(learnt)
    named, found = _named(parts), {}
    for name, texts in named.items():
        found[name], report[name] = report_on(model, texts)
    report["others"] = others(parts, model)
    report |= run_report(model.params, result, terms="symbols")
    leave_history(config.out, model, result.history, validated=bool(parts.valid))
    shown = next(iter(named))
    leave_report(config.out, report, model, found[shown], named[shown])
    return report


def _named(parts: Parts) -> dict[str, Texts]:
    """Returns the parts to report on, the most telling first."""
    named = {"test": parts.test, "valid": parts.valid}
    some = {name: rows for name, rows in named.items() if rows} or {"train": parts.train}
    return {name: texts_of(rows) for name, rows in some.items()}


def _assessor(model: Model, texts: Texts) -> Callable[[PyTree], float]:
    """Returns what measures params, greedily: word errors in per cent, or 100 less chrF.

    The memory plays no part in it. With no sources to choose by, it is 0.
    """
    every = max(1, -(-len(texts.sources) // ASSESSED))
    few = Texts(texts.sources[::every], texts.targets[::every])
    units = str(model.config.target_units)

    def assess(params: PyTree) -> float:
        if not few.sources:
            return 0.0
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)):
            return math.nan
        found = translate_best(model._replace(params=params, memory=None), few.sources, beam=1)
        page = measures(found, few, units)
        return 100 * page["word_error_rate"] if units == "spaces" else 100 - page["chrf"]

    return assess


def evaluate(directory: Path, *, source: str | None = None) -> dict[str, Any]:
    """Measures a trained translator.

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
        with.
      OSError: if the report cannot be written.

    Example:
      >>> evaluate(Path("no/such/run"))
      Traceback (most recent call last):
        ...
      jaxseq._checks.InputError: recipes: no/such/run holds no run: there is no config.json in it.
        Hint: `python -m jaxseq train translation --out no/such/run` makes one.
    """
    directory = Path(directory)
    model = load(directory)
    check_drawing()
    check_scoring(model.config)
    if source is None:
        source, texts = model.config.data, _own_texts(directory, model.config)
    else:
        texts = texts_of(read_rows(source))
    found, page = report_on(model, texts)
    report = {"task": TASK, "data": source, **page}
    leave_report(evaluation_directory(directory, source), report, model, found, texts)
    return report


def _own_texts(directory: Path, config: Config) -> Texts:
    """Returns what the report of a run is on, if it is still there."""
    whole = read_parts(config.data, config.valid)
    check_same_data(read_settings(directory, TASK), mark(whole), config.data)
    return next(iter(_named(with_held_out(whole, config)).values()))


def predict(directory: Path, *, source: str, to: Path, n_best: int = 1) -> int:
    """Translates the sources of a file, and writes a file with the translations.

    Args:
      directory: of a run.
      source: a TSV or CSV file with a column ``source``; a column ``target`` plays no part.
      to: the file to write: TSV, with ``source``, ``prediction`` and ``log_probability``, the
        logarithm of the model's probability of the prediction, in nats; nan of what is from the
        memory.
      n_best: how many predictions of each source, the best first.

    Returns:
      How many sources there were.

    Raises:
      InputError: if there is no such run, the file cannot be used, or ``n_best`` is below 1.
      OSError: if the translations cannot be written.

    Example:
      >>> predict(Path("no/such/run"), source="new.tsv", to=Path("translated.tsv"))
      Traceback (most recent call last):
        ...
      jaxseq._checks.InputError: recipes: no/such/run holds no run: there is no config.json in it.
        Hint: `python -m jaxseq train translation --out no/such/run` makes one.
    """
    model = load(directory)
    if n_best < 1:
        problem = f"`n_best` must be at least 1, but it is {n_best}"
        raise error(TASK, problem, kind=InputError)
    sources = read_sources(source)
    beam = max(n_best, model.config.beam or 1)
    rows = [
        [text, one.text, f"{one.log_prob:.4f}"]
        for text, best in zip(sources, translate(model, sources, beam=beam), strict=True)
        for one in best[:n_best]
    ]
    write_table(Path(to), ["source", "prediction", "log_probability"], rows)
    return len(sources)
