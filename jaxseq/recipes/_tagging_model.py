"""A tagger with all that it takes to use it, and how it is trained."""

import functools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int32

from jaxseq import data, nn
from jaxseq._checks import InputError, error
from jaxseq._types import Array, Key, PyTree
from jaxseq.losses import SumCount
from jaxseq.recipes._directory import config_of, damaged, read_settings
from jaxseq.recipes._run import initial_state, saved_params
from jaxseq.recipes._tagging_config import TASK, Config
from jaxseq.recipes._tagging_data import Rows, allowed_of, labels_of

BUCKETS = 2
EVALUATION_ROWS = 64
LETTERS = 20
"""So many characters of a word are read."""

WORD, TAG, SPELLING = 0, 1, 2
"""Where in a step's integers stand the word, its tag, and its characters."""


class Functions(NamedTuple):
    """What a tagger computes; all are pure functions of its params.

    Attributes:
      emissions: ``(params, words, *, characters, char_lengths, lengths, rngs)``.
      log_likelihood: ``(params, emissions, tags, *, lengths)``.
      decode: ``(params, emissions, *, lengths)``.

    Example:
      >>> Functions._fields
      ('emissions', 'log_likelihood', 'decode')
    """

    emissions: Callable[..., Any]
    log_likelihood: Callable[..., Any]
    decode: Callable[..., Any]


class Model(NamedTuple):
    """A tagger with all that it takes to use it.

    Attributes:
      params: the weights.
      functions: what it computes.
      labels: in the order of the tags.
      words: the number of each word, from 1; 0 is any other.
      letters: the number of each character, from 2; 1 is any other, 0 is none.
      config: the settings that it was made with.

    Example:
      >>> Model._fields
      ('params', 'functions', 'labels', 'words', 'letters', 'config')
    """

    params: PyTree
    functions: Functions
    labels: tuple[str, ...]
    words: dict[str, int]
    letters: dict[str, int]
    config: Config

    def encode(self, rows: Sequence[Sequence[data.Token]]) -> list[Int32[np.ndarray, "T N"]]:
        """Returns the numbers of each step: the word, its tag, and its characters.

        Args:
          rows: labelled sequences; a label that the model does not know has the tag -1.

        Returns:
          int32 ``[T, 2 + characters]`` for each.
        """
        tags = {label: tag for tag, label in enumerate(self.labels)}
        width = SPELLING + (LETTERS if self.config.spelling else 0)
        encoded = []
        for row in rows:
            steps = np.zeros((len(row), width), np.int32)
            for step, (word, label) in zip(steps, row, strict=True):
                step[WORD] = self.words.get(folded(word), 0)
                step[TAG] = tags.get(label, -1)
                if self.config.spelling:
                    spelt = [self.letters.get(letter, 1) for letter in spelling(word)]
                    step[SPELLING : SPELLING + len(spelt)] = spelt
            encoded.append(steps)
        return encoded


def folded(word: str) -> str:
    """Returns what a word is looked up by: small letters, 0 for each digit, nothing around it.

    Case and punctuation are not lost: the layer that reads the characters sees them.

    Example:
      >>> folded("St.,"), folded("55A"), folded(",")
      ('st', '00a', ',')
    """
    plain = re.sub(r"^\W+|\W+$", "", word) or word
    return re.sub(r"\d", "0", plain.lower())


def spelling(word: str) -> str:
    """Returns the characters of a word that are read: 0 for each digit, and only the first ones.

    Example:
      >>> spelling("55A,")
      '00A,'
    """
    return re.sub(r"\d", "0", word[:LETTERS])


def build(
    config: Config, labels: Sequence[str], words: dict[str, int], letters: dict[str, int]
) -> Model:
    """Returns the model of the settings, with fresh weights.

    Args:
      config: the settings, none of which is left out.
      labels: in the order of the tags.
      words: the number of each word.
      letters: the number of each character.

    Returns:
      The model.

    Raises:
      ValueError: if a setting is out of range, or the labels are not of the scheme.

    Example:
      >>> from jaxseq.recipes._tagging_config import resolved
      >>> config = resolved(Config(embed_size=2, hidden_size=2, spelling=False), {"a", "b"})
      >>> model = build(config, ["a", "b"], {"elm": 1}, {})
      >>> import jax.numpy as jnp
      >>> model.functions.emissions(model.params, jnp.array([[1, 0]])).shape
      (1, 2, 2)
    """
    given: Any = config  # in which no setting is None
    module = nn.SequenceTagger(
        len(labels),
        given.embed_size,
        given.hidden_size,
        given.num_layers,
        vocab_size=len(words) + 1,
        char_vocab_size=len(letters) + 2 if given.spelling else None,
        char_embed_size=given.char_embed_size,
        char_hidden_size=given.char_hidden_size,
        output=given.output,
        allowed=allowed_of(config, labels),
        cell=given.cell,
        dropout=given.dropout,
        rngs=jax.random.key(given.seed),
    )
    names = ("__call__", "log_likelihood", "decode")
    functions = Functions(*(nn.pure(module, method=name).apply for name in names))
    return Model(nn.pure(module).params, functions, tuple(labels), words, letters, config)


def built_for(config: Config, rows: Rows) -> Model:
    """Returns a model with fresh weights for training sequences."""
    counts = Counter(folded(token.token) for row in rows for token in row)
    least = config.min_count or 1
    kept = [word for word, count in counts.items() if count >= least]
    letters = sorted({letter for row in rows for token in row for letter in spelling(token.token)})
    return build(
        config,
        labels_of(rows),
        {word: number for number, word in enumerate(sorted(kept), start=1)},
        {letter: number for number, letter in enumerate(letters, start=2)},
    )


def page_of(model: Model) -> dict[str, Any]:
    """Returns what a run writes beside its settings, so that its model can be built again."""
    lists = {"labels": model.labels, "words": model.words, "letters": model.letters}
    return {name: list(entries) for name, entries in lists.items()}


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
        Hint: `python -m jaxseq train tagging --out no/such/run` makes one.
    """
    directory = Path(directory)
    page = read_settings(directory, TASK)
    config = config_of(page, Config, directory)
    try:
        words = {word: number for number, word in enumerate(page["words"], start=1)}
        letters = {letter: number for number, letter in enumerate(page["letters"], start=2)}
        model = build(config, page["labels"], words, letters)
    except (KeyError, TypeError, ValueError) as cause:
        raise damaged(directory, cause) from cause
    return model._replace(params=saved_params(directory, initial_state(config, model.params, 1)))


def known_words(directory: Path) -> set[str]:
    """Returns the words that a run was trained on.

    Raises:
      InputError: if there is no run, or its settings are damaged.
    """
    page = read_settings(directory, TASK)
    try:
        return set(page["known"])
    except (KeyError, TypeError) as cause:
        raise damaged(directory, cause) from cause


def batches_of(
    encoded: Sequence[np.ndarray], *, rows: int, seed: int | None = None
) -> data.BucketBatches:
    """Returns batches of sequences: one pass in order, or with a seed shuffled and for ever."""
    lengths = [len(array) for array in encoded]
    return data.BucketBatches(
        encoded,
        batch_size=rows,
        boundaries=data.bucket_boundaries(lengths, count=BUCKETS),
        seed=seed or 0,
        shuffle=seed is not None,
        repeat=seed is not None,
    )


def emissions_of(
    model: Model, params: PyTree, values: Array, lengths: Array, key: Key | None
) -> Array:
    """Returns the scores of the tags; with a key, some of the words are hidden."""
    words, given = values[..., WORD], {}
    if key is not None and model.config.word_dropout:
        share = 1.0 - model.config.word_dropout
        kept = jax.random.bernoulli(jax.random.fold_in(key, 1), share, words.shape)
        words = jnp.where(kept, words, 0)
    if model.config.spelling:
        characters = values[..., SPELLING:]
        given = {"characters": characters, "char_lengths": (characters > 0).sum(-1)}
    return model.functions.emissions(params, words, lengths=lengths, rngs=key, **given)


def make_loss(model: Model) -> Callable[..., Any]:
    """Returns the loss on batches of encoded sequences, in nats a token."""

    def loss(
        params: PyTree, carry: Any, batch: data.BucketBatch, key: Key | None
    ) -> tuple[SumCount, Any]:
        values, lengths = jnp.asarray(batch.values), jnp.asarray(batch.lengths)
        emissions = emissions_of(model, params, values, lengths, key)
        tags = values[..., TAG]
        found = model.functions.log_likelihood(params, emissions, tags, lengths=lengths)
        return SumCount(-found.sum(), lengths.sum().astype(found.dtype)), carry

    return loss


def find_tags(
    model: Model, params: PyTree, encoded: Sequence[np.ndarray]
) -> list[Int32[np.ndarray, " T"]]:
    """Returns the most likely tags of encoded sequences, which are not empty."""
    found: list[Any] = [None] * len(encoded)
    run = _compiled(model.functions, model.config.spelling)
    for batch in batches_of(encoded, rows=min(EVALUATION_ROWS, len(encoded))):
        tags = np.asarray(run(params, batch.values, batch.lengths))
        for row, length, place in zip(tags, batch.lengths, batch.rows, strict=True):
            if place >= 0:
                found[place] = row[:length]
    return found


@functools.cache
def _compiled(functions: Functions, spelling: bool) -> Callable[..., Array]:
    @jax.jit
    def tags(params: PyTree, values: Array, lengths: Array) -> Array:
        given = {}
        if spelling:
            characters = values[..., SPELLING:]
            given = {"characters": characters, "char_lengths": (characters > 0).sum(-1)}
        emissions = functions.emissions(params, values[..., WORD], lengths=lengths, **given)
        return functions.decode(params, emissions, lengths=lengths)[0]

    return tags


def label_words(model: Model, rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Returns the most likely labels of sequences of words.

    Args:
      model: a trained model.
      rows: each a list of words; one may be empty.

    Returns:
      A list of labels for each.

    Raises:
      InputError: if there is no word.
    """
    some = [[data.Token(word, "") for word in row] for row in rows if row]
    if not some:
        raise error(TASK, "there is no word to label", kind=InputError)
    found = iter(find_tags(model, model.params, model.encode(some)))
    return [[model.labels[tag] for tag in next(found)] if row else [] for row in rows]
