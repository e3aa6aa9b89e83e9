"""The language model of a run: its settings, its weights, and what it writes."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxseq import data, nn, training
from jaxseq._checks import InputError, error
from jaxseq._types import PyTree
from jaxseq.recipes._directory import config_of, damaged, read_settings
from jaxseq.recipes._language_model_text import TASK, UNKNOWN


@dataclasses.dataclass(frozen=True)
class Config:
    """Trains a recurrent language model on a text, and measures it on the text's last part.

    The first 90 % of the text are for training, the next 5 % choose the best checkpoint, the last
    5 % are held out for the report.

    Attributes:
      data: a text file (UTF-8, plain or gzipped), or the name of a bundled text.
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

    Example:
      >>> Config(hidden_size=32).hidden_size
      32
    """

    data: str = "moby_dick"
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


def check_settings(config: Config) -> None:
    """Raises unless the numbers that no part of the model looks at are in their ranges.

    Raises:
      InputError: if one is not.
    """
    least = {"steps": 1, "evaluate_every": 1, "batch_size": 1, "window": 1}
    for name, bound in {**least, "patience": 0, "weight_decay": 0}.items():
        value = getattr(config, name)
        if not value >= bound:
            problem = f"`{name}` must be at least {bound}, but it is {value}"
            raise error(TASK, problem, kind=InputError)
    for name in ("learning_rate", "max_norm"):
        value = getattr(config, name)
        if not value > 0:
            problem = f"`{name}` must be above 0, but it is {value}"
            raise error(TASK, problem, kind=InputError)
    check_seed(config.seed)


def check_seed(seed: int) -> None:
    """Raises unless a key can be made of the seed as it stands.

    Raises:
      InputError: if it is out of range.
    """
    if not 0 <= seed < 2**32:
        problem = f"`seed` must be at least 0 and below 2^32, but it is {seed}"
        raise error(TASK, problem, kind=InputError)


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
    with training.Checkpoints(directory / "checkpoints") as checkpoints:
        return model._replace(params=_restored(checkpoints, model))


def _restored(checkpoints: training.Checkpoints, model: Model) -> PyTree:
    try:
        return checkpoints.restore_params(model.params, which="best")
    except InputError:
        state, extra = checkpoints.restore(initial_state(model))
        if extra["fit"]["best"] is not None:
            raise  # there is a best one, and something is wrong with it
        return state.params


def initial_state(model: Model) -> training.TrainState:
    """Returns the state in which the training of a model begins."""
    config = model.config
    return training.init_state(
        model.params,
        optimizer(config),
        key=jax.random.key(config.seed),
        carry=model.carry((config.batch_size,)),
    )


def optimizer(config: Config) -> optax.GradientTransformation:
    """Returns AdamW, its rate rising over at most 100 steps and falling along a cosine."""
    warmup = min(100, config.steps // 10)
    rate = optax.warmup_cosine_decay_schedule(
        init_value=0.0 if warmup else config.learning_rate,
        peak_value=config.learning_rate,
        warmup_steps=warmup,
        decay_steps=config.steps,
        end_value=0.02 * config.learning_rate,
    )
    return optax.adamw(rate, b2=0.99, weight_decay=config.weight_decay)


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
