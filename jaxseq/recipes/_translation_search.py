"""The search for the translations of a model, and what it attended to."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseq import data, decoding, nn
from jaxseq._checks import InputError, error
from jaxseq._types import Array, PyTree
from jaxseq.recipes import _nearest_translation, _translation_consensus
from jaxseq.recipes._run import batches_of
from jaxseq.recipes._translation_config import TASK
from jaxseq.recipes._translation_model import BUCKETS, Functions, Model, networks_of
from jaxseq.recipes._translation_units import (
    EDGE,
    FIRST,
    UNKNOWN,
    join,
    placeholders,
    split,
)

EVALUATION_ROWS = 128
LENGTHS = (10, 2.0)
"""A translation has at most so many symbols more than so many times the mean for its source."""
NEIGHBOURS = 5
"""So many of the nearest training sources have a say in a translation."""
TEMPERATURE = 0.05
"""Of two of them, the one that is less similar by this counts e times less."""


class Hypothesis(NamedTuple):
    """A translation that a search has found.

    Attributes:
      text: the translation.
      log_prob: the logarithm of its probability under the model, in nats; NaN if it is not the
        model's but the memory's.
      score: what it was compared with others by: the same, divided by a power of the length; of a
        model with a memory, how like what is right it can be expected to be, from 0 to 1.
      certainty: the geometric mean of the probabilities of its symbols, and of its end; NaN if it
        is the memory's.

    Example:
      >>> Hypothesis("AA K S", -0.25, -0.1, 0.94).text
      'AA K S'
    """

    text: str
    log_prob: float
    score: float
    certainty: float


def translate(
    model: Model, sources: Sequence[str], *, beam: int | None = None
) -> list[list[Hypothesis]]:
    """Returns the likeliest translations of texts.

    Of a model of several networks, the probability of a symbol is the mean of theirs.

    Of a model with a memory, the translations of the nearest training sources are among them, and
    the best is the one most like all of them, by their weights: of least Bayes risk. The model's
    own share its certainty of the likeliest, by their probabilities; those of the memory share
    ``config.memory``, by how similar the sources are.

    Args:
      model: a trained model.
      sources: the texts; an empty one has one translation, which is empty.
      beam: how many translations of each; those of the settings by default.

    Returns:
      A list for each text, the best first. Placeholders in it are those of its source.

    Raises:
      InputError: if there is no text.

    Example:
      >>> from jaxseq.recipes import translation
      >>> from jaxseq.recipes._translation_config import resolved
      >>> from jaxseq.recipes._translation_units import symbols_of
      >>> config = resolved(translation.Config(hidden_size=4, embed_size=4))
      >>> letters = symbols_of(["ox"], "characters", slots=0)
      >>> phones = symbols_of([["AA", "K", "S"]], "spaces", slots=0)
      >>> model = translation.build(config, letters, phones)
      >>> [len(best) for best in translation.translate(model, ["ox", ""], beam=2)]
      [2, 1]

    References:
      Kumar and Byrne, "Minimum Bayes-Risk Decoding for Statistical Machine Translation", 2004.
    """
    found: list[list[Hypothesis]] = [[Hypothesis("", 0.0, 0.0, 1.0)] for _ in sources]
    symbols = model.read(sources)
    some = [place for place, text in enumerate(symbols) if text]
    if not some:
        raise error(TASK, "there is no text to translate", kind=InputError)
    names = [placeholders(symbols[place]) for place in some]
    encoded = [
        model.source.encode(symbols[place], given) for place, given in zip(some, names, strict=True)
    ]
    slots = np.array([min(len(given), model.source.slots) for given in names], np.int32)
    width = beam or model.config.beam or 1
    rows = min(EVALUATION_ROWS, len(encoded))
    for batch in batches_of(encoded, rows=rows, buckets=BUCKETS):
        most = slots[batch.rows] * (batch.rows >= 0)
        beams = _search(model, batch, most, width)
        for row, place in enumerate(batch.rows):
            if place >= 0:
                best = _hypotheses(model, names[place], *(leaf[row] for leaf in beams))
                found[some[place]] = best
    if model.memory is not None:
        for place in some:
            found[place] = _agreed(model, sources[place], found[place])
    return found


def _agreed(model: Model, source: str, best: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Returns as many as were found, of these and those of the memory, the most like all first."""
    assert model.memory is not None
    near = _nearest_translation.neighbours(model.memory, source, count=NEIGHBOURS)
    own = best[0].certainty * _shares([one.log_prob for one in best])
    others = _shares([one.similarity / TEMPERATURE for one in near])
    weights = dict.fromkeys((one.text for one in best), 0.0)
    for one, weight in zip(best, own, strict=True):
        weights[one.text] += weight
    for one, weight in zip(near, float(model.config.memory or 0.0) * others, strict=True):
        text = _without_others(one.target, source)
        weights[text] = weights.get(text, 0.0) + weight
    texts = list(weights)
    scores = _translation_consensus.expected(texts, np.array([*weights.values()]))
    made = {one.text: one for one in reversed(best)}
    ranked = sorted(zip(scores.tolist(), texts, strict=True), key=lambda pair: -pair[0])
    return [
        made.get(text, Hypothesis(text, math.nan, math.nan, math.nan))._replace(score=score)
        for score, text in ranked[: len(best)]
    ]


def _shares(logits: Sequence[float]) -> np.ndarray:
    """Returns the softmax."""
    powers = np.exp(np.array(logits) - max(logits))
    return powers / powers.sum()


def _without_others(text: str, source: str) -> str:
    """Returns a translation without the placeholders that its source does not have."""
    given = {*placeholders(split(source, "words"))}
    symbols = split(text, "characters")
    return join((s for s in symbols if s in given or not placeholders([s])), "characters")


def translate_best(model: Model, sources: Sequence[str], *, beam: int | None = None) -> list[str]:
    """Returns the text of the first that :func:`translate` finds for each."""
    return [best[0].text for best in translate(model, sources, beam=beam)]


def _hypotheses(
    model: Model, names: Sequence[str], tokens: Any, lengths: Any, log_probs: Any, scores: Any
) -> list[Hypothesis]:
    """Returns what a beam of one row holds."""
    rows = zip(tokens.tolist(), lengths.tolist(), log_probs.tolist(), scores.tolist(), strict=True)
    units = model.target.units
    return [
        Hypothesis(
            join(model.target.decode(row[:length], names), units),
            log_prob,
            score,
            math.exp(log_prob / (length + 1)),
        )
        for row, length, log_prob, score in rows
        if np.isfinite(log_prob)
    ]


def _search(model: Model, batch: data.BucketBatch, slots: np.ndarray, width: int) -> Any:
    """Returns the beams of a batch of sources, as arrays of the host."""
    steps = batch.values.shape[1]
    length = LENGTHS[0] + int(np.ceil(LENGTHS[1] * model.growth * steps))
    penalty = float(model.config.length_penalty or 0.0)
    run = _compiled(model.functions, model.target.slots, width, length, penalty)
    beams = run(model.params, batch.values, batch.lengths, slots)
    return jax.tree.map(np.asarray, beams)


@functools.cache
def _compiled(
    functions: Functions, known: int, width: int, length: int, penalty: float
) -> Callable[..., Any]:
    def step(carry: Any, token: Array) -> tuple[Any, Array]:
        networks, inner, slots = carry
        read = [functions.step(*one, token) for one in zip(networks, inner, strict=True)]
        logits = together([logits for _, logits in read])
        return (networks, tuple(own for own, _ in read), slots), _writable(logits, slots, known)

    @jax.jit
    def search(params: PyTree, values: Array, lengths: Array, slots: Array) -> Any:
        networks = networks_of(params)
        inner = tuple(functions.encode(one, values, lengths=lengths) for one in networks)
        begin = jnp.full(len(values), EDGE, jnp.int32)

        return decoding.beam_search(
            step,
            (networks, inner, slots),
            begin,
            axes=(None, (nn.Seq2Seq.beams,) * len(networks), 0),
            width=width,
            length=length,
            stop=EDGE,
            length_penalty=penalty,
        )

    return search


def together(logits: Sequence[Array]) -> Array:
    r"""Returns the logits of several networks as one: of a single one, its own.

    .. math:: \log \frac{1}{N} \sum_n \mathrm{softmax}(z_n)

    Args:
      logits: :math:`z_n`, ``[*batch, V]`` of each of N networks.

    Example:
      >>> one, other = jnp.log(jnp.array([0.8, 0.2])), jnp.log(jnp.array([0.4, 0.6]))
      >>> [round(p, 2) for p in jnp.exp(together([one, other])).tolist()]
      [0.6, 0.4]
    """
    if len(logits) == 1:
        return logits[0]
    nats = jax.nn.log_softmax(jnp.stack(logits))
    return jax.nn.logsumexp(nats, axis=0) - math.log(len(logits))


def _writable(logits: Array, slots: Array, known: int) -> Array:
    """Returns logits in which no unknown symbol and no placeholder that a source lacks can win."""
    number = jnp.arange(logits.shape[-1])[None]
    lacking = (number >= FIRST + slots[:, None]) & (number < FIRST + known)
    return jnp.where(lacking | (number == UNKNOWN), -jnp.inf, logits)


def align(model: Model, sources: Sequence[str]) -> list[tuple[list[str], list[str], np.ndarray]]:
    """Returns what the best translation of each text attended to.

    Args:
      model: a trained model.
      sources: texts, none of which is empty.

    Returns:
      The symbols of source and translation (and its end), and the weights ``[T, S]``, which are
      the mean of those of the networks.
    """
    found = []
    for source, best in zip(model.read(sources), translate_best(model, sources), strict=True):
        target = model.target.cut(split(best, model.target.units))
        names = placeholders(source)
        numbers = model.target.encode(target, names)
        begun = np.concatenate([[EDGE], numbers]).astype(np.int32)[None]
        coded = model.source.encode(source, names)[None]
        each = [
            model.functions.alignments(one, coded, begun)[0] for one in networks_of(model.params)
        ]
        found.append((source, [*target, "end"], np.mean(each, axis=0)))
    return found
