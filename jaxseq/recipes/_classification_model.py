"""A classifier with all that it takes to use it, and how it is trained."""

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int32

from jaxseq import data, nn
from jaxseq._checks import InputError, error
from jaxseq._types import Array, Key, PyTree
from jaxseq.losses import SumCount, cross_entropy
from jaxseq.recipes._classification_config import TASK, Config
from jaxseq.recipes._classification_data import Example, Kind, Parts, standard
from jaxseq.recipes._directory import config_of, damaged, read_settings
from jaxseq.recipes._run import batches_of, initial_state, saved_params

UNKNOWN = "\ufffd"
BUCKETS = 4
EVALUATION_ROWS = 64
HASHES = 2**14
"""So many numbers there are for the n-grams of each order above 1, by their hash."""


class Model(NamedTuple):
    """A classifier with all that it takes to use it.

    Attributes:
      params: the weights of each network, a tuple.
      apply: ``(params[n], inputs, *, lengths, rngs) -> logits [*batch, K]``, a pure function.
      labels: the classes, in the order of the logits.
      vocabulary: of texts; None where the inputs are series.
      scale: mean and deviation of each feature of series; None where the inputs are texts.
      config: the settings that it was made with.

    Example:
      >>> Model._fields
      ('params', 'apply', 'labels', 'vocabulary', 'scale', 'config')
    """

    params: tuple[PyTree, ...]
    apply: Callable[..., Any]
    labels: tuple[str, ...]
    vocabulary: data.Vocabulary | None
    scale: tuple[np.ndarray, np.ndarray] | None
    config: Config

    @property
    def kind(self) -> Kind:
        """Whether it reads texts or series."""
        return "series" if self.vocabulary is None else "text"

    def encode(self, values: Sequence[Any]) -> list[np.ndarray]:
        """Returns texts as symbols, and series with mean 0 and deviation 1.

        Args:
          values: texts, or arrays ``[T, I]``.

        Returns:
          An array for each, int32 ``[T]`` or float32 ``[T, I]``.

        Raises:
          InputError: if a series has another number of features.
        """
        if self.vocabulary is not None:
            limit = self.config.max_length
            texts = [as_read(self.config, text) for text in values]
            return [self.vocabulary.encode(text)[:limit] for text in texts]
        assert self.scale is not None
        mean, deviation = self.scale
        for place, series in enumerate(values):
            if np.shape(series)[1:] != mean.shape:
                problem = f"series {place} has shape {np.shape(series)}, but the model reads"
                raise error(TASK, f"{problem} {len(mean)} features", kind=InputError)
        return [((series - mean) / deviation).astype(np.float32) for series in values]


def build(
    config: Config,
    labels: Sequence[str],
    vocabulary: data.Vocabulary | None = None,
    scale: tuple[np.ndarray, np.ndarray] | None = None,
) -> Model:
    """Returns the model of the settings, with fresh weights.

    Args:
      config: the settings, none of which is left out.
      labels: the classes.
      vocabulary: of texts.
      scale: of series.

    Returns:
      The model.

    Raises:
      ValueError: if a setting is out of range.

    Example:
      >>> from jaxseq import data
      >>> from jaxseq.recipes._classification_config import resolved
      >>> vocabulary = data.Vocabulary.of_characters("abc")
      >>> config = resolved(Config(embed_size=2, hidden_size=2), "text")
      >>> model = build(config, ["x", "y"], vocabulary)
      >>> model.apply(model.params[0], vocabulary.encode("abba")[None]).shape
      (1, 2)
    """
    given: Any = config  # in which no setting is None
    orders = 1 if vocabulary is None else given.ngrams
    key = jax.random.key(given.seed)
    made = [
        nn.pure(
            nn.SequenceClassifier(
                len(labels),
                given.embed_size if scale is None else len(scale[0]),
                given.hidden_size,
                given.num_layers,
                vocab_size=None if vocabulary is None else len(vocabulary) + (orders - 1) * HASHES,
                symbols=orders,
                cell=given.cell,
                bidirectional=given.bidirectional,
                pooling=tuple(given.pooling.split("+")),
                dropout=given.dropout,
                rngs=jax.random.fold_in(key, number) if number else key,
            )
        )
        for number in range(given.networks)
    ]
    apply = made[0].apply
    if orders > 1:
        assert vocabulary is not None
        apply = reading_grams(apply, len(vocabulary), orders)
    params = tuple(network.params for network in made)
    return Model(params, apply, tuple(labels), vocabulary, scale, config)


@functools.cache
def reading_grams(apply: Callable[..., Any], size: int, orders: int) -> Callable[..., Any]:
    """Returns a model of symbols ``[B, T]`` that is given the n-grams which end there too."""

    def read(params: PyTree, tokens: Any, **given: Any) -> Array:
        return apply(params, grams(jnp.asarray(tokens), size, orders), **given)

    return read


def grams(tokens: Int32[Array, "B T"], size: int, orders: int) -> Int32[Array, "B T N"]:
    """Returns the numbers of the n-grams that end at each step, of each order from 1 on.

    Those of order 1 are the tokens, in 0..size-1; those above have :data:`HASHES` numbers each,
    which some share.
    """
    columns, found, steps = [tokens], tokens.astype(jnp.uint32), tokens.shape[1]
    for order in range(2, orders + 1):
        before = jnp.pad(tokens, ((0, 0), (order - 1, 0)), constant_values=size)[:, :steps]
        # Two odd constants spread the pairs; the high bits are folded into the low, which are kept.
        found = (found * jnp.uint32(16777619)) ^ (before.astype(jnp.uint32) * jnp.uint32(40503))
        mixed = (found ^ (found >> jnp.uint32(15))) % jnp.uint32(HASHES)
        columns.append(mixed.astype(jnp.int32) + jnp.int32(size + (order - 2) * HASHES))
    return jnp.stack(columns, axis=-1)


def built_for(config: Config, parts: Parts) -> Model:
    """Returns a model with fresh weights for the training part."""
    labels = sorted({example.label for example in parts.train})
    values = [example.value for example in parts.train]
    if parts.kind == "series":
        return build(config, labels, scale=standard(values))
    text = "\n".join(as_read(config, value) for value in values)
    of = getattr(data.Vocabulary, f"of_{config.units}")
    return build(config, labels, of(text, unknown=UNKNOWN, min_count=config.min_count))


def as_read(config: Config, text: str) -> str:
    """Returns a text as the model reads it."""
    return data.normalize_text(text.lower() if config.lowercase else text)


def page_of(model: Model) -> dict[str, Any]:
    """Returns what a run writes beside its settings, so that its model can be built again."""
    page: dict[str, Any] = {"labels": list(model.labels)}
    if model.vocabulary is not None:
        page["vocabulary"] = model.vocabulary.to_dict()
    if model.scale is not None:
        page["scale"] = [array.tolist() for array in model.scale]
    return page


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
        Hint: `python -m jaxseq train classification --out no/such/run` makes one.
    """
    directory = Path(directory)
    page = read_settings(directory, TASK)
    config = config_of(page, Config, directory)
    try:
        labels, vocabulary, scale = page["labels"], None, None
        if "vocabulary" in page:
            vocabulary = data.Vocabulary.from_dict(page["vocabulary"])
        if "scale" in page:
            mean, deviation = (np.array(row, np.float64) for row in page["scale"])
            scale = (mean, deviation)
        model = build(config, labels, vocabulary, scale)
    except (AttributeError, KeyError, TypeError, ValueError) as cause:
        raise damaged(directory, cause) from cause
    return model._replace(params=saved_params(directory, initial_state(config, model.params, 1)))


def log_probs(model: Model, values: Sequence[Any]) -> Float[np.ndarray, "N K"]:
    """Returns the log-probability of each class for each text or series.

    Args:
      model: a trained model.
      values: texts, or arrays ``[T, I]``; at least one.

    Returns:
      ``[N, K]``, in the order of ``model.labels``.

    Raises:
      InputError: if there is none, or a series has another number of features.

    Example:
      >>> import numpy as np
      >>> from jaxseq import data
      >>> from jaxseq.recipes import classification
      >>> from jaxseq.recipes._classification_config import resolved
      >>> config = resolved(classification.Config(embed_size=2, hidden_size=2), "text")
      >>> vocabulary = data.Vocabulary.of_characters("abc", unknown="?")
      >>> model = classification.build(config, ["x", "y"], vocabulary)
      >>> found = classification.log_probs(model, ["abba", "cab"])
      >>> bool(np.allclose(np.exp(found).sum(1), 1))
      True
    """
    if not values:
        raise error(TASK, "there is nothing to classify", kind=InputError)
    return _run(model.apply, model.params, model.encode(values), len(model.labels))


def _run(apply: Callable, params: PyTree, encoded: Sequence[np.ndarray], classes: int) -> Any:
    found = np.zeros((len(encoded), classes), np.float32)
    for batch in batches_of(encoded, rows=min(EVALUATION_ROWS, len(encoded)), buckets=BUCKETS):
        rows = batch.rows >= 0
        log_probs = _compiled(apply)(params, batch.values, batch.lengths)
        found[batch.rows[rows]] = np.asarray(log_probs)[rows]
    return found


@functools.cache
def _compiled(apply: Callable) -> Callable[..., Array]:
    @jax.jit
    def log_probs(params: tuple[PyTree, ...], values: Array, lengths: Array) -> Array:
        logits = jnp.stack([apply(network, values, lengths=lengths) for network in params])
        nats = jax.nn.log_softmax(logits)
        return jax.nn.logsumexp(nats, axis=0) - math.log(len(params))

    return log_probs


def assessor(model: Model, examples: Sequence[Example]) -> Callable[[PyTree], float]:
    """Returns what measures params: the share of wrong labels in per cent.

    Of equal shares the surer is the lower: less than a millionth of an error is added. With no
    examples to choose by, it is 0.
    """
    encoded = model.encode([example.value for example in examples])
    right = np.array([model.labels.index(example.label) for example in examples], np.int32)

    def assess(params: PyTree) -> float:
        if not encoded:
            return 0.0
        found = _run(model.apply, params, encoded, len(model.labels))
        nats = -float(found[np.arange(len(right)), right].mean())
        if not math.isfinite(nats):
            return math.nan
        wrong = int((found.argmax(1) != right).sum())
        return 100 * (wrong + 1e-6 * nats / (1 + nats)) / len(right)

    return assess


def make_loss(model: Model, examples: Sequence[Example]) -> Callable[..., Any]:
    """Returns the loss on batches of the encoded examples, with what training adds to them."""
    config: Any = model.config
    targets = jnp.asarray([model.labels.index(example.label) for example in examples], jnp.int32)
    prepare = _hide if model.vocabulary is not None else _disturb

    def loss(
        params: tuple[PyTree, ...], carry: Any, batch: data.BucketBatch, key: Key | None
    ) -> tuple[SumCount, Any]:
        rows = jnp.asarray(batch.rows)
        right, mask = targets[rows], rows >= 0
        smoothing = 0.0 if key is None else config.label_smoothing
        sums = []
        for number, network in enumerate(params):
            # Each network sees pieces of its own, so that they err in different places.
            own = key if key is None or not number else jax.random.fold_in(key, number)
            values, lengths = jnp.asarray(batch.values), jnp.asarray(batch.lengths)
            if own is not None:
                values, lengths = prepare(config, values, lengths, own)
            logits = model.apply(network, values, lengths=lengths, rngs=own)
            sums.append(cross_entropy(logits, right, mask=mask, label_smoothing=smoothing))
        # The terms counted are the examples, however many networks read them.
        total = jnp.stack([each.total for each in sums]).mean()
        return SumCount(total, sums[0].count), carry

    return loss


def _hide(config: Any, tokens: Array, lengths: Array, key: Key) -> tuple[Array, Array]:
    """Returns a random piece of each text, some of whose symbols are unknown."""
    where, how_long, hidden = jax.random.split(jax.random.fold_in(key, 1), 3)
    if config.crop:
        most = jnp.minimum(lengths, config.crop)
        # Half of the pieces are as long as may be, the others of any length.
        share = jnp.minimum(2.0 * jax.random.uniform(how_long, lengths.shape), 1.0)
        piece = jnp.ceil(share * most.astype(share.dtype)).astype(jnp.int32)
        room = (lengths - piece + 1).astype(jnp.float32)
        first = (jax.random.uniform(where, lengths.shape) * room).astype(jnp.int32)
        places = first[:, None] + jnp.arange(config.crop)[None]
        tokens = jnp.take_along_axis(tokens, places, axis=1, mode="clip")
        lengths = piece
    if config.symbol_dropout:
        kept = jax.random.bernoulli(hidden, 1.0 - config.symbol_dropout, tokens.shape)
        tokens = jnp.where(kept, tokens, 0)
    return tokens, lengths


def _disturb(config: Any, values: Array, lengths: Array, key: Key) -> tuple[Array, Array]:
    """Returns series with noise added."""
    noise = jax.random.normal(jax.random.fold_in(key, 1), values.shape, jnp.float32)
    return values + config.noise * noise, lengths
