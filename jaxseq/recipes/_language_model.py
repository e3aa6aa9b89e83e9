"""The language model of a run: its settings, its weights, and what it writes."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseq import data, nn, training
from jaxseq._checks import InputError, error
from jaxseq._types import PyTree
from jaxseq.losses import cross_entropy
from jaxseq.recipes._directory import config_of, damaged, read_settings
from jaxseq.recipes._language_model_text import TASK, UNKNOWN, opening
from jaxseq.recipes._run import initial_state as begin
from jaxseq.recipes._run import saved_params


@dataclasses.dataclass(frozen=True)
class Config:
    """Trains a recurrent language model on a text, and measures it on the text's last part.

    The first 90 % of the text are for training, the next 5 % choose the best checkpoint, the last
    5 % are held out for the report.

    Attributes:
      data: a text file (UTF-8, plain or gzipped), or the name of a bundled text.
      valid: another text to choose the best checkpoint and to report on; the whole of the first is
        then for training.
      out: the directory for checkpoints, report, pictures and sample.
      units: what a symbol is; words keep white space and punctuation as symbols of their own.
      cell: the recurrent cell.
      embed_size: the width of a symbol's vector.
      hidden_size: units in a layer.
      num_layers: recurrent layers.
      dropout: the share dropped from the vectors, between layers and before the projection.
      tied: whether the projection is the transposed embedding.
      batch_size: rows of text that are read side by side.
      window: symbols that the gradient reaches back over; the state is handed on.
      steps: updates.
      learning_rate: at its highest; it rises over the first steps and falls along a cosine.
      weight_decay: of AdamW.
      max_norm: what the gradient's global norm is clipped to.
      evaluate_every: updates between evaluations on the second part of the text, which also come
        at least once in each pass over the first.
      patience: ends the run after so many evaluations without an improvement; 0 for never.
      seed: of weights, dropout and sample.
      resume: whether to go on with the run in that directory, if there is one.
      tensorboard: whether loss, norms and evaluations are also written into ``out/tensorboard``.

    Example:
      >>> Config(hidden_size=32).hidden_size
      32
    """

    data: str = "moby_dick"
    valid: str | None = None
    out: Path = Path("runs/language-model")
    units: Literal["characters", "words"] = "characters"
    cell: Literal["elman", "gru", "lstm"] = "gru"
    embed_size: int = 32
    hidden_size: int = 256
    num_layers: int = 1
    dropout: float = 0.0
    tied: bool = False
    batch_size: int = 8
    window: int = 64
    steps: int = 4000
    learning_rate: float = 3e-3
    weight_decay: float = 0.0
    max_norm: float = 1.0
    evaluate_every: int = 1000
    patience: int = 20
    seed: int = 0
    resume: bool = False
    tensorboard: bool = False


class Model(NamedTuple):
    """A language model with all that it takes to use it; the functions are pure.

    Attributes:
      params: the weights.
      apply: ``(params, tokens [B, T], *, carry, rngs) -> (carry, logits [B, T, V])``.
      step: ``(params, carry, token [B]) -> (carry, logits [B, V])``.
      carry: ``(batch_shape) -> carry``.
      vocabulary: between text and tokens.
      config: the settings that it was made with.

    Example:
      >>> Model._fields
      ('params', 'apply', 'step', 'carry', 'vocabulary', 'config')
    """

    params: PyTree
    apply: Callable[..., Any]
    step: Callable[..., Any]
    carry: Callable[..., Any]
    vocabulary: data.Vocabulary
    config: Config


def build(config: Config, vocabulary: data.Vocabulary) -> Model:
    """Returns the model of the settings, with fresh weights.

    Args:
      config: the settings.
      vocabulary: of the text.

    Returns:
      The model.

    Raises:
      ValueError: if the settings contradict each other.

    Example:
      >>> from jaxseq import data
      >>> vocabulary = data.Vocabulary.of_characters("abc")
      >>> model = build(Config(embed_size=2, hidden_size=2), vocabulary)
      >>> carry, logits = model.apply(model.params, vocabulary.encode("abba")[None])
      >>> logits.shape
      (1, 4, 3)
    """
    module = nn.LanguageModel(
        len(vocabulary),
        config.embed_size,
        config.hidden_size,
        config.num_layers,
        cell=config.cell,
        dropout=config.dropout,
        tied=config.tied,
        rngs=jax.random.key(config.seed),
    )
    params, apply = nn.pure(module)
    step = nn.pure(module, method="step").apply
    return Model(params, apply, step, module.carry, vocabulary, config)


def load(directory: Path) -> Model:
    """Returns the best model of a run, or the latest if it ended before its first evaluation.

    Args:
      directory: of the run.

    Returns:
      The model.

    Raises:
      InputError: if there is no run, or its settings or its checkpoint are damaged or of another
        model.

    Example:
      >>> load(Path("no/such/run"))
      Traceback (most recent call last):
        ...
      jaxseq._checks.InputError: recipes: no/such/run holds no run: there is no config.json in it.
        Hint: `python -m jaxseq train language-model --out no/such/run` makes one.
    """
    directory = Path(directory)
    page = read_settings(directory, TASK)
    config = config_of(page, Config, directory)
    try:
        vocabulary = data.Vocabulary.from_dict(page["vocabulary"])
    except (KeyError, TypeError, ValueError) as cause:
        raise damaged(directory, cause) from cause
    model = build(config, vocabulary)
    return model._replace(params=saved_params(directory, initial_state(model)))


def initial_state(model: Model) -> training.TrainState:
    """Returns the state in which the training of a model begins."""
    config = model.config
    carry = model.carry((config.batch_size,))
    return begin(config, model.params, config.steps, carry=carry)


def line_bits(model: Model, lines: Sequence[str]) -> list[float]:
    """Returns how many bits a model needs for each line, read as the beginning of a text."""
    start = model.vocabulary.encode(opening(model.vocabulary))
    rows = [np.concatenate([start, model.vocabulary.encode(line)]) for line in lines]
    bits = [0.0] * len(lines)
    boundaries = data.bucket_boundaries([len(row) for row in rows], count=4)
    batches = data.BucketBatches(
        rows, batch_size=min(64, len(rows)), boundaries=boundaries, seed=0, shuffle=False
    )
    for batch in batches:
        nats = _line_nats(model.apply)(model.params, batch.values, batch.lengths)
        for place, value in zip(batch.rows, np.asarray(nats), strict=True):
            if place >= 0:
                bits[place] = float(value) / math.log(2)
    return bits


@functools.cache
def _line_nats(apply: Callable[..., Any]) -> Callable[..., Any]:
    @jax.jit
    def nats(params: PyTree, values: Any, lengths: Any) -> Any:
        ahead = jnp.maximum(lengths - 1, 0)
        _, logits = apply(params, values[:, :-1], lengths=ahead)
        row = jax.vmap(lambda *row: cross_entropy(row[0], row[1], lengths=row[2]).total)
        return row(logits, values[:, 1:], ahead)

    return nats


def write(model: Model, prompt: str, decode: Callable[..., Any], **options: Any) -> str:
    """Returns the prompt and what a decoder of :mod:`jaxseq.decoding` makes the model write.

    Args:
      model: from :func:`load`.
      prompt: what the text begins with.
      decode: :func:`jaxseq.decoding.greedy` or :func:`jaxseq.decoding.sample`.
      **options: of the decoder.

    Returns:
      The text.

    Raises:
      InputError: if the prompt is empty or holds symbols that the model does not know.
      DivergedError: if the model's predictions are not finite.

    Example:
      >>> from jaxseq import data, decoding
      >>> from jaxseq.recipes import language_model
      >>> vocabulary = data.Vocabulary.of_characters("abc")
      >>> config = language_model.Config(embed_size=2, hidden_size=2)
      >>> model = language_model.build(config, vocabulary)
      >>> len(language_model.write(model, "ab", decoding.greedy, length=3))
      5
    """
    prompt = data.normalize_text(prompt)
    if not prompt:
        hint = "give one symbol or more"
        raise error("generate", "the prompt is empty", hint=hint, kind=InputError)
    # Without its unknown symbol a vocabulary refuses what it has not seen, by name.
    ids = dataclasses.replace(model.vocabulary, unknown=None).encode(prompt)
    if model.vocabulary.unknown_id in ids:
        problem = f"the prompt holds {UNKNOWN!r}, which stands for what the model does not know"
        raise error("generate", problem, hint="leave it out", kind=InputError)
    carry = model.carry((1,))
    if len(ids) > 1:
        carry, _ = model.apply(model.params, ids[None, :-1], carry=carry)
    step = _decoding_step(model.step, model.vocabulary.unknown_id)
    written = decode(step, (model.params, carry), jnp.asarray(ids[-1:]), **options)
    if not np.isfinite(written.log_probs).all():
        raise error(
            "generate",
            "the model's predictions are not finite",
            hint="train another one, at a lower learning rate",
            kind=training.DivergedError,
        )
    return prompt + model.vocabulary.decode(np.asarray(written.tokens[0]))


@functools.cache
def _decoding_step(step: Callable[..., Any], unknown_id: int | None) -> Callable[..., Any]:
    """Returns the model's step with its weights in the carry, and nothing unknown to choose."""

    def read(carry: Any, token: Any) -> tuple[Any, Any]:
        params, state = carry
        state, logits = step(params, state, token)
        if unknown_id is not None:
            logits = logits.at[:, unknown_id].set(-jnp.inf)
        return (params, state), logits

    return read
