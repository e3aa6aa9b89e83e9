"""A recurrent language model: from a text to a model that predicts and writes it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxseq import data, decoding, training
from jaxseq._checks import InputError, error
from jaxseq._types import PyTree
from jaxseq.losses import SumCount, cross_entropy
from jaxseq.recipes._directory import settings_of_run, write_json, write_settings
from jaxseq.recipes._language_model import (
    TASK,
    Config,
    Model,
    build,
    load,
    vocabulary_of,
    write,
)
from jaxseq.recipes._language_model_report import leave, measures, others, run_report

__all__ = [
    "TASK",
    "Config",
    "Model",
    "build",
    "evaluate",
    "generate",
    "load",
    "read_parts",
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
    config = settings_of_run(config, TASK) or config
    _check(config)
    parts = read_parts(config.data)
    vocabulary = vocabulary_of(parts.train, config.units)
    ids = {name: vocabulary.encode(text) for name, text in parts._asdict().items()}
    batches = data.WindowBatches(
        ids["train"], batch_size=config.batch_size, window=config.window, repeat=True
    )
    write_settings(config.out, TASK, config, vocabulary=vocabulary.to_dict())
    model = build(config, vocabulary)
    optimizer = _optimizer(config)
    loss = _loss(model)
    assess = _assessor(model, loss)
    state = training.init_state(
        model.params,
        optimizer,
        key=jax.random.key(config.seed),
        carry=model.carry((config.batch_size,)),
    )
    with training.Checkpoints(config.out / "checkpoints") as checkpoints:
        result = training.fit(
            state,
            training.make_step(loss, optimizer, max_norm=config.max_norm),
            batches,
            steps=config.steps,
            evaluate=lambda params: assess(params, ids["valid"]).mean,
            evaluate_every=min(config.evaluate_every, config.steps),
            patience=config.patience or None,
            checkpoints=checkpoints,
            resume=config.resume,
        )
    if result.outcome == "interrupted":
        return {"outcome": result.outcome, "step": int(result.state.step), "out": str(config.out)}
    model = model._replace(params=result.best.params)
    report = {
        "task": TASK,
        "data": config.data,
        "test": measures(assess(model.params, ids["test"]), parts.test, ids["test"], vocabulary),
        "valid": measures(
            assess(model.params, ids["valid"]), parts.valid, ids["valid"], vocabulary
        ),
        "bits_per_character_of_others": others(parts, vocabulary_of(parts.train, "characters")),
        **run_report(model.params, result),
    }
    start = "\n" if "\n" in vocabulary.symbols else vocabulary.symbols[-1]
    key = jax.random.key(config.seed)
    sample = write(model, start, decoding.sample, key=key, length=400, temperature=0.7)
    title = f"{config.cell}, {config.num_layers} x {config.hidden_size} units, {config.data}"
    leave(config.out, report, result.history, sample.strip("\n"), title=title)
    return report


def evaluate(directory: Path, *, source: str | None = None) -> dict[str, Any]:
    """Measures a trained model on a text.

    Args:
      directory: of a run.
      source: a text file, or the name of a bundled text, read as a whole; None for the held-out
        part of the text that the model was trained on.

    Returns:
      The report, which is also written: to ``evaluation.json``, or to ``evaluation-NAME.json`` for
      a text of its own.

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
        source, text = model.config.data, read_parts(model.config.data).test
        path = directory / "evaluation.json"
    else:
        text = _text(source)
        path = directory / f"evaluation-{Path(source).name.split('.')[0]}.json"
    ids = model.vocabulary.encode(text)
    result = _assessor(model, _loss(model))(model.params, ids)
    report = {"task": TASK, "data": source, **measures(result, text, ids, model.vocabulary)}
    write_json(path, report)
    return report


def generate(
    directory: Path,
    *,
    prompt: str = "\n",
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
      prompt: what the text begins with.
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

    Example:
      >>> generate(Path("no/such/run"), prompt="Call me ")
      Traceback (most recent call last):
        ...
      jaxseq._checks.InputError: recipes: no/such/run holds no run: there is no config.json in it.
        Hint: `python -m jaxseq train language-model --out no/such/run` makes one.
    """
    model = load(Path(directory))
    options: dict[str, Any] = {"length": length}
    if not greedy:
        options |= {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        options["key"] = jax.random.key(seed)
    return write(model, prompt, decoding.greedy if greedy else decoding.sample, **options)


def read_parts(source: str) -> data.TextParts:
    """Returns the three parts of a text: a file of one's own, or a bundled text.

    Args:
      source: a path, or a name of :func:`jaxseq.data.names` whose corpus is one text.

    Returns:
      The parts for training, validation and test.

    Raises:
      InputError: if there is no such file and no such text, or it cannot be used.

    Example:
      >>> [len(part) for part in read_parts("korean_constitution")]
      [16995, 944, 945]
    """
    return data.split_text(_text(source))


def _text(source: str) -> str:
    if Path(source).exists() or source not in data.names():
        if not Path(source).exists() and Path(source).name == source and not Path(source).suffix:
            data.load(source)  # a bare word that is no file is a misspelt name: this says so
        return data.read_text(source)
    corpus = data.load(source)
    parts = [part for part in (corpus.train, corpus.valid, corpus.test) if part]
    if not all(isinstance(part, str) for part in parts):
        raise error(
            "language-model",
            f"the bundled {source} is no running text",
            hint="use moby_dick or korean_constitution, or a text file of your own",
            kind=InputError,
        )
    return "".join(parts)


def _check(config: Config) -> None:
    for name in ("steps", "evaluate_every", "batch_size", "window"):
        if getattr(config, name) < 1:
            raise error(
                TASK,
                f"`{name}` must be at least 1, but it is {getattr(config, name)}",
                kind=InputError,
            )
    if not config.learning_rate > 0:
        problem = f"`learning_rate` must be above 0, but it is {config.learning_rate}"
        raise error(TASK, problem, kind=InputError)


def _optimizer(config: Config) -> optax.GradientTransformation:
    warmup = min(100, config.steps // 10)
    rate = optax.warmup_cosine_decay_schedule(
        init_value=0.0 if warmup else config.learning_rate,
        peak_value=config.learning_rate,
        warmup_steps=warmup,
        decay_steps=config.steps,
        end_value=0.02 * config.learning_rate,
    )
    return optax.adamw(rate, b2=0.99, weight_decay=config.weight_decay)


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


def _assessor(
    model: Model, loss: Callable[..., Any]
) -> Callable[[PyTree, np.ndarray], training.Evaluation]:
    """Returns the function that measures params on a stream of symbols."""
    evaluate = training.make_evaluate(loss)

    def assess(params: PyTree, ids: np.ndarray) -> training.Evaluation:
        window = max(1, min(EVALUATION_WINDOW, len(ids) - 1))
        rows = max(1, min(EVALUATION_ROWS, (len(ids) - 1) // window))
        batches = data.WindowBatches(ids, batch_size=rows, window=window)
        return evaluate(params, model.carry((rows,)), batches)

    return assess
