"""A recurrent tagger of words or characters: from labelled sequences to a model that labels others.

The bundled ``korean_spacing`` is Korean by character, each labelled by whether a space stands
before it; :func:`respace` puts the spaces into a text.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxseq._checks import InputError, error
from jaxseq._types import PyTree
from jaxseq.losses import span_f1
from jaxseq.recipes._directory import (
    check_same_data,
    evaluation_directory,
    read_settings,
    settings_of_run,
    write_settings,
    write_text,
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
from jaxseq.recipes._sources import is_bundled
from jaxseq.recipes._tagging_config import TASK, Config, check, resolved
from jaxseq.recipes._tagging_data import (
    BUNDLED,
    SPACE,
    Parts,
    Rows,
    check_labels,
    check_paths,
    labels_of,
    mark,
    read_parts,
    read_rows,
    read_words,
    spacing_row,
    with_held_out,
)
from jaxseq.recipes._tagging_model import (
    BUCKETS,
    TAG,
    Functions,
    Model,
    build,
    built_for,
    find_tags,
    known_words,
    label_words,
    load,
    make_loss,
    page_of,
)
from jaxseq.recipes._tagging_report import (
    leave_history,
    leave_report,
    others,
    report_on,
    summary,
)

__all__ = [
    "Config",
    "Functions",
    "Model",
    "Parts",
    "TASK",
    "build",
    "evaluate",
    "label_words",
    "load",
    "predict",
    "read_parts",
    "respace",
    "spacing_row",
    "summary",
    "train",
]


def train(config: Config) -> dict[str, Any]:
    r"""Trains a tagger, and leaves all that came of it in ``config.out``.

    There are then ``config.json``, ``checkpoints/``, ``report.json`` (accuracy on known and unknown
    words and of each label, span F1 where labels are spans, beside baselines of the same run),
    ``confusion.png``, ``errors.tsv`` (worst first), ``learning_curve.png`` and ``history.json``.
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
      ImportError: if matplotlib, which draws the pictures, is not installed.

    Example:
      >>> import pathlib, tempfile
      >>> from jaxseq.recipes import tagging
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     file = pathlib.Path(directory) / "my.conll"
      ...     _ = file.write_text("7\tNumber\nElm\tStreet\n\n9\tNumber\nOak\tStreet\n")
      ...     config = tagging.Config(
      ...         data=str(file), out=pathlib.Path(directory) / "run", hold_out=0, output="softmax",
      ...         spelling=False, hidden_size=4, epochs=1)
      ...     report = tagging.train(config)
      >>> report["train"]["tokens"]
      4
    """
    config, page = settings_of_run(config, TASK)
    whole = read_parts(config.data, config.valid)
    labels = set(labels_of(whole.train))
    config = resolved(config, labels)
    check_settings(TASK, config)
    check(config, labels)
    check_paths(config, whole.train, config.data)
    check_drawing()
    parts = with_held_out(whole, config)
    model = built_for(config, parts.train)
    known = {token.token for row in parts.train for token in row}
    if page is None:
        more = {"known": sorted(known), **page_of(model)}
        write_settings(config.out, TASK, config, data=mark(whole), **more)
    else:
        check_same_data(page, mark(whole), config.data)
    assert config.batch_size is not None and config.epochs is not None
    rows = min(config.batch_size, len(parts.train))
    batches = batches_of(model.encode(parts.train), rows=rows, buckets=BUCKETS, seed=config.seed)
    steps = config.epochs * len(batches)
    result = fit(
        config,
        initial_state(config, model.params, steps),
        make_loss(model),
        batches,
        _assessor(model, parts.valid),
        steps=steps,
        evaluate_every=len(batches) if parts.valid else steps,
    )
    if result.outcome == "interrupted":
        return {"outcome": result.outcome, "step": int(result.state.step), "out": str(config.out)}
    model = model._replace(params=best_params(TASK, result))
    report: dict[str, Any] = {"task": TASK, "data": config.data, "labels": len(model.labels)}
    named, found = _named(parts), {}
    for name, rows in named.items():
        found[name], report[name] = report_on(model, rows, known)
    report["others"] = others(parts, config.data, config.scheme or "none")
    report |= run_report(model.params, result, terms="tokens")
    leave_history(config.out, model, result.history, validated=bool(parts.valid))
    shown = next(iter(named))
    leave_report(config.out, report, found[shown], named[shown], list(report[shown]["by_label"]))
    return report


def _named(parts: Parts) -> dict[str, Rows]:
    """Returns the parts to report on, the most telling first."""
    named = {"test": parts.test, "valid": parts.valid}
    return {name: rows for name, rows in named.items() if rows} or {"train": parts.train}


def _assessor(model: Model, rows: Rows) -> Callable[[PyTree], float]:
    """Returns what measures params: wrong tokens, or 1 less span F1, in per cent.

    With no sequences to choose by, it is 0.
    """
    encoded = model.encode(rows)
    right = [[token.label for token in row] for row in rows]
    scheme = model.config.scheme or "none"

    def assess(params: PyTree) -> float:
        if not encoded:
            return 0.0
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)):
            return math.nan
        found = find_tags(model, params, encoded)
        if scheme == "none":
            hits = [(a == b[:, TAG]).mean() * len(a) for a, b in zip(found, encoded, strict=True)]
            return 100 * (1 - float(sum(hits)) / sum(map(len, encoded)))
        named = [[model.labels[tag] for tag in tags] for tags in found]
        return 100 * (1 - span_f1(named, right, scheme=scheme).f1)

    return assess


def evaluate(directory: Path, *, source: str | None = None) -> dict[str, Any]:
    """Measures a trained tagger.

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
        Hint: `python -m jaxseq train tagging --out no/such/run` makes one.
    """
    directory = Path(directory)
    model = load(directory)
    check_drawing()
    if source is None:
        source, rows = model.config.data, _own_rows(directory, model.config)
    else:
        rows = read_rows(source)
        if source != model.config.data or not is_bundled(source, BUNDLED):
            check_labels(rows, model.labels, source)
    found, page = report_on(model, rows, known_words(directory))
    report = {"task": TASK, "data": source, **page}
    out = evaluation_directory(directory, source)
    leave_report(out, report, found, rows, list(page["by_label"]))
    return report


def _own_rows(directory: Path, config: Config) -> Rows:
    """Returns what the report of a run is on, if it is still there."""
    whole = read_parts(config.data, config.valid)
    check_same_data(read_settings(directory, TASK), mark(whole), config.data)
    return next(iter(_named(with_held_out(whole, config)).values()))


def predict(directory: Path, *, source: str, to: Path) -> int:
    """Labels the tokens of a file, and writes a file with the labels.

    Args:
      directory: of a run.
      source: a file with a token a line, and blank lines between sequences; labels in it play no
        part.
      to: the file to write: CoNLL columns, token and label.

    Returns:
      How many sequences there were.

    Raises:
      InputError: if there is no such run, or the file cannot be used.
      OSError: if the labels cannot be written.

    Example:
      >>> predict(Path("no/such/run"), source="tokens.txt", to=Path("labels.conll"))
      Traceback (most recent call last):
        ...
      jaxseq._checks.InputError: recipes: no/such/run holds no run: there is no config.json in it.
        Hint: `python -m jaxseq train tagging --out no/such/run` makes one.
    """
    model = load(directory)
    rows = read_words(source)
    found = label_words(model, rows)
    blocks = [
        "".join(f"{word}\t{label}\n" for word, label in zip(*pair, strict=True))
        for pair in zip(rows, found, strict=True)
    ]
    write_text(Path(to), "\n".join(blocks))
    return len(rows)


def respace(model: Model, texts: Sequence[str]) -> list[str]:
    """Returns texts with the spaces where a model of ``korean_spacing`` puts them.

    Args:
      model: from :func:`load`.
      texts: lines; the spaces in them play no part.

    Returns:
      The same characters, with spaces.

    Raises:
      InputError: if the model's labels are not those of ``korean_spacing``, or there is no text.

    Example:
      >>> from jaxseq.recipes import tagging
      >>> from jaxseq.recipes._tagging_config import resolved
      >>> config = resolved(tagging.Config(data="korean_spacing", hidden_size=2), set())
      >>> model = tagging.build(config, ["NONE", "SPACE"], {"새": 1, "집": 2}, {})
      >>> tagging.respace(model, ["새집"])[0].replace(" ", "")
      '새집'
    """
    if SPACE not in model.labels:
        problem = f"the labels of the model are {', '.join(model.labels)}, and none is {SPACE}"
        raise error("respace", problem, hint="train one on korean_spacing", kind=InputError)
    rows = [[token.token for token in spacing_row(text)] for text in texts]
    return [
        "".join((" " if label == SPACE and place else "") + character
                for place, (character, label) in enumerate(zip(*pair, strict=True)))
        for pair in zip(rows, label_words(model, rows), strict=True)
    ]  # fmt: skip
