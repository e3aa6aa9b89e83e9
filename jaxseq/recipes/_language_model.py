"""The language model of a run: its settings, its weights, its vocabulary, and what it writes."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseq import data, nn, training
from jaxseq._checks import InputError, error
from jaxseq._types import PyTree
from jaxseq.recipes._directory import read_settings

TASK = "language-model"
UNKNOWN = "\ufffd"


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
      evaluate_every: updates between evaluations on the second part of the text.
      patience: ends the run after so many evaluations without an improvement; 0 for never.
      seed: of weights, dropout and sample.
      resume: whether to go on with the run in ``out`` if there is one.

    Example:
      >>> Config(hidden_size=32).hidden_size
      32
    """

    data: str = "moby_dick"
    out: Path = Path("runs/language-model")
    units: Literal["characters", "words"] = "characters"
    cell: Literal["elman", "gru", "lstm"] = "lstm"
    embed_size: int = 64
    hidden_size: int = 256
    num_layers: int = 1
    dropout: float = 0.0
    tied: bool = False
    batch_size: int = 32
    window: int = 64
    steps: int = 2000
    learning_rate: float = 4e-3
    weight_decay: float = 0.0
    max_norm: float = 1.0
    evaluate_every: int = 500
    patience: int = 0
    seed: int = 0
    resume: bool = False


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
    """Returns the best model of a run.

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
    page = read_settings(Path(directory), TASK)
    try:
        settings = {**page["settings"], "out": Path(directory)}
        config = Config(**settings)
        vocabulary = data.Vocabulary.from_dict(page["vocabulary"])
    except (KeyError, TypeError) as cause:
        raise error(
            "recipes",
            f"the config.json in {directory} is damaged: {cause}",
            hint="restore the file from a copy, or train anew into another directory",
            kind=InputError,
        ) from cause
    model = build(config, vocabulary)
    with training.Checkpoints(Path(directory) / "checkpoints") as checkpoints:
        return model._replace(params=checkpoints.restore_params(model.params, which="best"))


def vocabulary_of(text: str, units: str) -> data.Vocabulary:
    """Returns the vocabulary of a training text; id 0 stands for all that is not in it."""
    if units == "words":
        # What occurs once stands for what never does, so that the model learns of the unknown.
        return data.Vocabulary.of_words(text, unknown=UNKNOWN, min_count=2)
    return data.Vocabulary.of_characters(text, unknown=UNKNOWN)


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
    carry = model.carry((1,))
    if len(ids) > 1:
        carry, _ = model.apply(model.params, ids[None, :-1], carry=carry)
    step = _decoding_step(model.step, model.vocabulary.unknown_id)
    written = decode(step, (model.params, carry), jnp.asarray(ids[-1:]), **options)
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
