"""A tagger with all that it takes to use it, and how it is trained."""

import functools
import itertools
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
from jaxseq.recipes._run import batches_of, initial_state, saved_params
from jaxseq.recipes._tagging_config import TASK, Config
from jaxseq.recipes._tagging_data import Rows, allowed_of, labels_of

BUCKETS = 2
EVALUATION_ROWS = 64
TAG, WORD = 0, 1
"""Where in a step's integers stand the tag, and the first number of the word; then its letters."""


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
      words: the number of each word, and of what else of words has one, from 1; 0 is any other.
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
          int32 ``[T, N]`` for each.
        """
        tags = {label: tag for tag, label in enumerate(self.labels)}
        letters, symbols = letters_at(self.config), symbols_of(self.config)
        encoded = []
        for row in rows:
            steps = np.zeros((len(row), letters + self._width), np.int32)
            for step, (word, label) in zip(steps, row, strict=True):
                step[TAG] = tags.get(label, -1)
                step[WORD:letters] = [self.words.get(symbol, 0) for symbol in symbols(word)]
                if self.config.spelling:
                    spelt = [self.letters.get(letter, 1) for letter in spelling(word, self._width)]
                    step[letters : letters + len(spelt)] = spelt
            encoded.append(steps)
        return encoded

    @property
    def _width(self) -> int:
        """How many letters of a word are read."""
        return (self.config.max_letters or 0) if self.config.spelling else 0


def letters_at(config: Config) -> int:
    """Returns where in a step's integers the letters begin."""
    return WORD + len(symbols_of(config)("a"))


def symbols_of(config: Config) -> Callable[[str], list[str]]:
    """Returns what gives the symbols of a word: itself, and what is asked for of its affixes."""
    longest = config.affixes or 0
    if not longest:
        return lambda word: [folded(word)]

    def symbols(word: str) -> list[str]:
        # A space cannot be in a token, so nothing of a word can be taken for a word.
        plain = folded(word)
        ends = [f"{size} {plain[:size]}" for size in range(1, longest + 1)]
        ends += [f"{plain[-size:]} {size}" for size in range(1, longest + 1)]
        before = word[: len(word) - len(re.sub(r"^\W+", "", word))]
        after = word[len(re.sub(r"\W+$", "", word)) :]
        return [plain, f"shape {shape(word)}", f"around {before} {after}", *ends]

    return symbols


def shape(word: str) -> str:
    """Returns a word's kinds of characters, each run of one kind as one.

    Example:
      >>> shape("6257A"), shape("McLean,")
      ('0X', 'XxXx,')
    """
    kinds = (
        "0" if c.isdigit() else "X" if c.isupper() else "x" if c.isalpha() else c for c in word
    )
    return "".join(kind for kind, _ in itertools.groupby(kinds))


def folded(word: str) -> str:
    """Returns what a word is looked up by: small letters, 0 for each digit, nothing around it.

    Case and punctuation are not lost: the layer that reads the characters sees them.

    Example:
      >>> folded("St.,"), folded("55A"), folded(",")
      ('st', '00a', ',')
    """
    plain = re.sub(r"^\W+|\W+$", "", word) or word
    return re.sub(r"\d", "0", plain.lower())


def spelling(word: str, most: int) -> str:
    """Returns the first characters of a word, with 0 for each digit: what is read of it.

    Example:
      >>> spelling("55A,", 3)
      '00A'
    """
    return re.sub(r"\d", "0", word[:most])


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
      >>> config = resolved(Config(embed_size=2, affixes=0, spelling=False), {"a", "b"})
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
        symbols=letters_at(config) - WORD,
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
    given: Any = config  # in which no setting is None
    words = [token.token for row in rows for token in row]
    counts = Counter(symbol for word in words for symbol in symbols_of(config)(word))
    kept = [symbol for symbol, count in counts.items() if count >= given.min_count]
    letters = sorted({letter for word in words for letter in spelling(word, len(word))})
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


def emissions_of(
    functions: Functions,
    config: Config,
    params: PyTree,
    values: Array,
    lengths: Array,
    key: Key | None = None,
) -> Array:
    """Returns the scores of the tags; with a key, some of the words' symbols are hidden."""
    letters, given = letters_at(config), {}
    words = values[..., WORD:letters]
    if key is not None and config.word_dropout:
        kept = jax.random.bernoulli(
            jax.random.fold_in(key, 1), 1.0 - config.word_dropout, words.shape
        )
        words = jnp.where(kept, words, 0)
    if config.spelling:
        characters = values[..., letters:]
        given = {"characters": characters, "char_lengths": (characters > 0).sum(-1)}
    words = words[..., 0] if words.shape[-1] == 1 else words
    return functions.emissions(params, words, lengths=lengths, rngs=key, **given)


def make_loss(model: Model) -> Callable[..., Any]:
    """Returns the loss on batches of encoded sequences, in nats a token."""

    def loss(
        params: PyTree, carry: Any, batch: data.BucketBatch, key: Key | None
    ) -> tuple[SumCount, Any]:
        values, lengths = jnp.asarray(batch.values), jnp.asarray(batch.lengths)
        emissions = emissions_of(model.functions, model.config, params, values, lengths, key)
        tags = values[..., TAG]
        found = model.functions.log_likelihood(params, emissions, tags, lengths=lengths)
        return SumCount(-found.sum(), lengths.sum().astype(found.dtype)), carry

    return loss


def find_tags(
    model: Model, params: PyTree, encoded: Sequence[np.ndarray]
) -> list[Int32[np.ndarray, " T"]]:
    """Returns the most likely tags of encoded sequences, which are not empty."""
    found: list[Any] = [None] * len(encoded)
    run = _compiled(model.functions, model.config)
    for batch in batches_of(encoded, rows=min(EVALUATION_ROWS, len(encoded)), buckets=BUCKETS):
        tags = np.asarray(run(params, batch.values, batch.lengths))
        for row, length, place in zip(tags, batch.lengths, batch.rows, strict=True):
            if place >= 0:
                found[place] = row[:length]
    return found


@functools.cache
def _compiled(functions: Functions, config: Config) -> Callable[..., Array]:
    @jax.jit
    def tags(params: PyTree, values: Array, lengths: Array) -> Array:
        emissions = emissions_of(functions, config, params, values, lengths)
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

    Example:
      >>> from jaxseq.recipes import tagging
      >>> from jaxseq.recipes._tagging_config import resolved
      >>> config = resolved(tagging.Config(data="my.conll", hidden_size=2), {"a", "b"})
      >>> model = tagging.build(config, ["a", "b"], {"elm": 1}, {"e": 2})
      >>> [len(labels) for labels in tagging.label_words(model, [["Elm", "St."], []])]
      [2, 0]
    """
    some = [[data.Token(word, "") for word in row] for row in rows if row]
    if not some:
        raise error(TASK, "there is no word to label", kind=InputError)
    found = iter(find_tags(model, model.params, model.encode(some)))
    return [[model.labels[tag] for tag in next(found)] if row else [] for row in rows]
