"""A recogniser with all that it takes to use it, and how it is trained."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from jaxseq import data, nn
from jaxseq._types import Array, Key, PyTree
from jaxseq.losses import SumCount
from jaxseq.recipes._directory import config_of, damaged, read_settings
from jaxseq.recipes._run import initial_state, saved_params
from jaxseq.recipes._speech_config import TASK, Config
from jaxseq.recipes._speech_data import Example, joined, labels_for, units_of
from jaxseq.structured import ctc

HOP = 0.01
"""Seconds from one frame of features to the next."""


class Model(NamedTuple):
    """A recogniser with all that it takes to use it.

    Attributes:
      params: the weights.
      apply: ``(params, features, *, lengths, rngs) -> (log_probs, lengths)``, a pure function.
      labels: what can be found, words or characters; the first has the number 1, the blank 0.
      config: the settings that it was made with.

    Example:
      >>> Model._fields
      ('params', 'apply', 'labels', 'config')
    """

    params: PyTree
    apply: Callable[..., Any]
    labels: tuple[str, ...]
    config: Config

    @property
    def seconds(self) -> float:
        """How much time a step of the log-probabilities stands for."""
        return HOP * (self.config.stack or 1)

    def encode(self, transcript: str) -> list[int]:
        """Returns the numbers of a transcript's labels; those that the model lacks are left out."""
        numbers = {label: number for number, label in enumerate(self.labels, start=1)}
        units = units_of(transcript, self.config.labels or "words")
        return [numbers[unit] for unit in units if unit in numbers]

    def decode(self, numbers: Sequence[int]) -> str:
        """Returns the transcript that numbers of labels make."""
        return joined([self.labels[k - 1] for k in numbers], self.config.labels or "words")


def build(config: Config, labels: Sequence[str]) -> Model:
    """Returns the model of the settings, with fresh weights.

    Args:
      config: the settings, none of which is left out.
      labels: what can be found.

    Returns:
      The model.

    Raises:
      ValueError: if a setting is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.recipes import speech
      >>> model = speech.build(speech.resolved(speech.Config(hidden_size=2)), ["one", "two"])
      >>> model.apply(model.params, jnp.zeros((1, 30, 40))).log_probs.shape
      (1, 10, 3)
    """
    given: Any = config  # in which no setting is None
    module = nn.SpeechRecognizer(
        given.num_mels,
        len(labels),
        given.hidden_size,
        given.num_layers,
        stack=given.stack,
        cell=given.cell,
        dropout=given.dropout,
        rngs=jax.random.key(given.seed),
    )
    params, apply = nn.pure(module)
    return Model(params, apply, tuple(labels), config)


def built_for(config: Config, examples: Sequence[Example]) -> Model:
    """Returns a model with fresh weights for the training part."""
    return build(config, labels_for(examples, config))


def load(directory: Path) -> Model:
    """Returns the model of a run, with its best weights.

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
        Hint: `python -m jaxseq train speech --out no/such/run` makes one.
    """
    directory = Path(directory)
    page = read_settings(directory, TASK)
    config = config_of(page, Config, directory)
    try:
        model = build(config, page["labels"])
    except (KeyError, TypeError, ValueError) as cause:
        raise damaged(directory, cause) from cause
    return model._replace(params=saved_params(directory, initial_state(config, model.params, 1)))


def make_loss(model: Model, examples: Sequence[Example]) -> Callable[..., Any]:
    """Returns the loss on batches of features, in nats a label, with what training hides of them.

    Recordings that are too short for their labels count for nothing.
    """
    config: Any = model.config
    numbers = [model.encode(example.transcript) for example in examples]
    targets = np.zeros((len(numbers), max(1, *map(len, numbers))), np.int32)
    for row, labels in zip(targets, numbers, strict=True):
        row[: len(labels)] = labels
    known, counts = jnp.asarray(targets), jnp.asarray([*map(len, numbers)], jnp.int32)

    def loss(
        params: PyTree, carry: Any, batch: data.BucketBatch, key: Key | None
    ) -> tuple[SumCount, Any]:
        features, lengths = jnp.asarray(batch.values), jnp.asarray(batch.lengths)
        if key is not None:
            stretch, hide = jax.random.split(jax.random.fold_in(key, 1))
            features = masked(config, warped(config, features, stretch), lengths, hide)
        found = model.apply(params, features, lengths=lengths, rngs=key)
        rows = jnp.asarray(batch.rows)
        length = jnp.where(rows >= 0, counts[rows], 0)
        nats = ctc.loss(
            found.log_probs,
            known[rows],
            lengths=found.lengths,
            label_lengths=length,
            infeasible="zero",
        )
        count = jnp.where(nats.infeasible, 0, length).sum()
        return SumCount(nats.nats.sum(), count.astype(nats.nats.dtype)), carry

    return loss


def warped(config: Any, features: Float32[Array, "B T M"], key: Key) -> Float32[Array, "B T M"]:
    """Returns features whose bands are stretched or squeezed, each recording by its own factor.

    What a shorter or a longer vocal tract does to the frequencies of its resonances, on the mel
    scale. Between two bands is what lies on the line between them.

    References:
      Jaitly and Hinton, "Vocal Tract Length Perturbation (VTLP) Improves Speech Recognition", 2013.
    """
    rows, _, bands = features.shape
    band = jnp.arange(bands, dtype=features.dtype)
    factor = jax.random.uniform(key, (rows, 1), minval=1 - config.warp, maxval=1 + config.warp)
    place = jnp.minimum(factor * band[None], bands - 1)
    weights = jnp.maximum(0, 1 - jnp.abs(place[..., None] - band[None, None]))
    return jnp.einsum("btm,bnm->btn", features, weights)


def masked(
    config: Any, features: Float32[Array, "B T M"], lengths: Array, key: Key
) -> Float32[Array, "B T M"]:
    """Returns features with two runs of frames and one of bands hidden, of random widths.

    At most a fifth of a recording is hidden by each run of frames. The mean of the features, 0,
    stands for what is hidden.

    References:
      Park et al., "SpecAugment: A Simple Data Augmentation Method for Automatic Speech
      Recognition", 2019.
    """
    rows, steps, bands = features.shape
    keys = jax.random.split(key, 3)
    kept = ~_run(keys[0], jnp.full(rows, bands), jnp.full(rows, config.mel_mask), bands)[:, None]
    widest = jnp.minimum(config.time_mask, lengths // 5)
    for one in keys[1:]:
        kept = kept & ~_run(one, lengths, widest, steps)[:, :, None]
    return jnp.where(kept, features, 0)


def _run(key: Key, sizes: Array, widest: Array, total: int) -> Array:
    """Returns for each row a run of places below its size, of a width from 0 to the widest."""
    width, start = jax.random.uniform(key, (2, sizes.shape[0]))
    width = jnp.floor(width * (widest + 1).astype(width.dtype)).astype(jnp.int32)
    room = jnp.maximum(sizes - width + 1, 1)
    start = jnp.floor(start * room.astype(start.dtype)).astype(jnp.int32)
    place = jnp.arange(total, dtype=jnp.int32)[None]
    return (place >= start[:, None]) & (place < (start + width)[:, None])
