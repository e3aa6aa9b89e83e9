"""A recurrent language model: from a text to a model that predicts and writes it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseq import data, decoding, training
from jaxseq._checks import InputError, error
from jaxseq._types import PyTree
from jaxseq.losses import SumCount, cross_entropy
from jaxseq.recipes._directory import (
    evaluation_directory,
    read_settings,
    settings_of_run,
    write_json,
    write_settings,
    write_table,
)
from jaxseq.recipes._language_model import (
    Config,
    Model,
    build,
    initial_state,
    line_bits,
    load,
    write,
)
from jaxseq.recipes._language_model_report import (
    leave,
    measures,
    others,
    summary,
)
from jaxseq.recipes._language_model_text import (
    TASK,
    check_text,
    mark,
    opening,
    read_parts,
    read_source,
    vocabulary_of,
)
from jaxseq.recipes._run import (
    best_params,
    check_drawing,
    check_seed,
    check_settings,
    fit,
    run_report,
)

__all__ = [
    "Config",
    "Model",
    "TASK",
    "build",
    "evaluate",
    "generate",
    "load",
    "predict",
    "read_parts",
    "summary",
    "train",
    "write",
]

EVALUATION_ROWS = 8
EVALUATION_WINDOW = 128


def train(config: Config) -> dict[str, Any]:
    """Trains a model, and leaves all that came of it in ``config.out``.

    There are then ``config.json``, ``checkpoints/`` (the latest and the best), ``report.json``
    (bits per character on the held-out part, beside what ``xz -9e`` and an interpolated n-gram
    model of the same training text need), ``learning_curve.png``, ``history.json`` and
    ``sample.txt``. SIGTERM and Ctrl-C end the run after the step under way, with a checkpoint;
    ``resume`` goes on from there to the same weights, bit for bit.

    Args:
      config: the settings.

    Returns:
      The report; where the run was interrupted, only how it can go on.

    Raises:
      InputError: if the text, the settings or the directory cannot be used.
      OSError: if something cannot be written; what was there before stays.
      DivergedError: if loss or gradient are no longer finite.
      ImportError: if matplotlib, which draws the learning curve, is not installed.

    Example:
      >>> import pathlib, tempfile
      >>> from jaxseq.recipes import language_model
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     config = language_model.Config(
      ...         data="korean_constitution", out=pathlib.Path(directory), embed_size=8,
      ...         hidden_size=8, batch_size=8, window=16, steps=2, evaluate_every=2)
      ...     report = language_model.train(config)
      >>> report["test"]["characters"]
      944
    """
    config, page = settings_of_run(config, TASK)
    check_settings(TASK, config)
    check_drawing()
    parts = read_parts(config.data, config.valid)
    vocabulary = vocabulary_of(parts.train, config.units)
    model = build(config, vocabulary)
    ids = {name: vocabulary.encode(text) for name, text in parts._asdict().items()}
    batches = _batches(config, ids)
    if page is None:
        more = {"text": mark("".join(parts)), "vocabulary": vocabulary.to_dict()}
        write_settings(config.out, TASK, config, **more)
    else:
        check_text(page, "".join(parts), config.data)
    assess = _assessor(model)
    result = fit(
        config,
        initial_state(model),
        _loss(model),
        batches,
        lambda params: assess(params, ids["valid"]).mean,
        steps=config.steps,
        evaluate_every=min(config.evaluate_every, config.steps, len(batches)),
    )
    if result.outcome == "interrupted":
        return {"outcome": result.outcome, "step": int(result.state.step), "out": str(config.out)}
    model = model._replace(params=best_params(TASK, result))
    report: dict[str, Any] = {"task": TASK, "data": config.data}
    for part in ("test", "valid") if config.valid is None else ("valid",):
        measured = assess(model.params, ids[part])
        report[part] = measures(measured, getattr(parts, part), ids[part], vocabulary)
    characters = vocabulary_of(parts.train, "characters")
    report["bits_per_character_of_others"] = others(parts, characters)
    report |= run_report(model.params, result, terms="symbols")
    key = jax.random.key(config.seed)
    start = opening(vocabulary)
    sample = write(model, start, decoding.sample, key=key, length=400, temperature=0.7)
    title = f"{config.cell}, {config.num_layers} x {config.hidden_size} units, {config.data}"
    report["sample"] = sample.strip("\n")
    leave(config.out, report, result.history, title=title)
    return report


def evaluate(directory: Path, *, source: str | None = None) -> dict[str, Any]:
    """Measures a trained model on a text.

    Args:
      directory: of a run.
      source: a text file, or the name of a bundled text, read as a whole; None for the held-out
        part of the text that the model was trained on.

    Returns:
      The report, which is also written: to ``report.json`` in ``evaluations/NAME`` of the run's
      directory.

    Raises:
      InputError: if there is no such run, or the text cannot be used.
      OSError: if the report cannot be written.

    Example:
      >>> evaluate(Path("no/such/run"))
      Traceback (most recent call last):
        ...
      jaxseq._checks.InputError: recipes: no/such/run holds no run: there is no config.json in it.
        Hint: `python -m jaxseq train language-model --out no/such/run` makes one.
    """
    directory = Path(directory)
    model = load(directory)
    if source is None:
        source, parts = model.config.data, read_parts(model.config.data, model.config.valid)
        check_text(read_settings(directory, TASK), "".join(parts), source)
        text = parts.test
    else:
        text = read_source(source)
    ids = model.vocabulary.encode(text)
    result = _assessor(model)(model.params, ids)
    report = {"task": TASK, "data": source, **measures(result, text, ids, model.vocabulary)}
    write_json(evaluation_directory(directory, source) / "report.json", report)
    return report


def generate(
    directory: Path,
    *,
    prompt: str | None = None,
    length: int = 400,
    temperature: float = 0.7,
    top_k: int | None = None,
    top_p: float | None = None,
    greedy: bool = False,
    seed: int = 0,
) -> str:
    """Lets a trained model go on with a text.

    Args:
      directory: of a run.
      prompt: what the text begins with; None for a new line, or where the model knows none, a
        symbol that it knows.
      length: symbols to write.
      temperature: below 1 more predictable, above 1 more surprising.
      top_k: only the k likeliest symbols, if given.
      top_p: only the likeliest symbols that make up this probability, if given.
      greedy: always the likeliest symbol; the four choices above then play no part.
      seed: the same seed, the same text.

    Returns:
      The prompt and what follows.

    Raises:
      InputError: if there is no such run, or the prompt is empty or holds unknown symbols.
      ValueError: if a number is out of range.
      DivergedError: if the model's predictions are not finite.

    Example:
      >>> generate(Path("no/such/run"), prompt="Call me ")
      Traceback (most recent call last):
        ...
      jaxseq._checks.InputError: recipes: no/such/run holds no run: there is no config.json in it.
        Hint: `python -m jaxseq train language-model --out no/such/run` makes one.
    """
    check_seed("generate", seed)
    model = load(Path(directory))
    prompt = opening(model.vocabulary) if prompt is None else prompt
    options: dict[str, Any] = {"length": length}
    if not greedy:
        options |= {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        options["key"] = jax.random.key(seed)
    return write(model, prompt, decoding.greedy if greedy else decoding.sample, **options)


def predict(directory: Path, *, source: str, to: Path) -> int:
    """Measures each line of a text, and writes how many bits the model needs for it.

    Args:
      directory: of a run.
      source: a text file; each line that is not empty is read as the beginning of a text.
      to: the file to write: TSV with the columns bits_per_character and text.

    Returns:
      How many lines there were.

    Raises:
      InputError: if there is no such run, or the file cannot be used.
      OSError: if the figures cannot be written.

    Example:
      >>> predict(Path("no/such/run"), source="lines.txt", to=Path("bits.tsv"))
      Traceback (most recent call last):
        ...
      jaxseq._checks.InputError: recipes: no/such/run holds no run: there is no config.json in it.
        Hint: `python -m jaxseq train language-model --out no/such/run` makes one.
    """
    model = load(Path(directory))
    lines = [line for line in read_source(source).split("\n") if line]
    bits = line_bits(model, lines)
    rows = [[f"{b / len(line):.4f}", line] for b, line in zip(bits, lines, strict=True)]
    write_table(Path(to), ["bits_per_character", "text"], rows)
    return len(lines)


def _batches(config: Config, ids: dict[str, np.ndarray]) -> data.WindowBatches:
    """Returns the training batches, or says that the text is too short for a run."""
    for part in ("valid", "test"):
        if len(ids[part]) < 2:
            raise error(
                TASK,
                f"the text is too short: its {part} part, a twentieth, has no symbol to predict",
                hint="give more text",
                kind=InputError,
            )
    return data.WindowBatches(
        ids["train"], batch_size=config.batch_size, window=config.window, repeat=True
    )


def _loss(model: Model) -> Callable[..., Any]:
    def loss(
        params: PyTree, carry: PyTree, batch: data.WindowBatch, key: Any
    ) -> tuple[SumCount, PyTree]:
        carry = jax.tree.map(
            lambda state: jnp.where(batch.starts[None, :, None], jnp.zeros_like(state), state),
            carry,
        )
        # Padding stands only where a row ends, and then the row starts anew: only the loss must
        # know of it, and the layers run without masks.
        carry, logits = model.apply(params, batch.inputs, carry=carry, rngs=key)
        return cross_entropy(logits, batch.targets, lengths=batch.lengths), carry

    return loss


def _assessor(model: Model) -> Callable[[PyTree, np.ndarray], training.Evaluation]:
    """Returns the function that measures params on a stream of symbols."""
    evaluate = training.make_evaluate(_loss(model))

    def assess(params: PyTree, ids: np.ndarray) -> training.Evaluation:
        window = max(1, min(EVALUATION_WINDOW, len(ids) - 1))
        rows = max(1, min(EVALUATION_ROWS, (len(ids) - 1) // window))
        batches = data.WindowBatches(ids, batch_size=rows, window=window)
        return evaluate(params, model.carry((rows,)), batches)

    return assess
