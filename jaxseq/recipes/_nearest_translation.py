"""What a translator has to beat: the target of the nearest training source. NumPy only.

It is also what a translator may remember: the targets of some sources that are near.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int32, Int64

from jaxseq._checks import error
from jaxseq.losses import edit_distance

WHERE = "nearest_translation"
BEGIN, END = "\2", "\3"
"""Marks around a text: the control characters of that name, which no text has."""
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")


class Nearest(NamedTuple):
    """Training texts, to be found again by their n-grams.

    Attributes:
      sources: N of them.
      targets: one for each.
      grams: the number of each n-gram of training, V of them.
      rarity: ``[V]``: the logarithm of how rare each is, plus 1.
      starts: ``[V + 1]``: where in the next two the sources that have each n-gram begin.
      rows: which sources those are.
      weights: how much the n-gram counts in each, of a vector of length 1.
      order: how many characters an n-gram has at most.
      compared: so many of the nearest are compared by their edit distance too.

    Example:
      >>> model = fit(["turn on", "turn off"], ["켜기", "끄기"])
      >>> len(model.sources), model.starts.shape == (len(model.grams) + 1,)
      (2, True)
    """

    sources: Sequence[str]
    targets: Sequence[str]
    grams: dict[str, int]
    rarity: Float64[np.ndarray, " V"]
    starts: Int64[np.ndarray, " V1"]
    rows: Int32[np.ndarray, " M"]
    weights: Float64[np.ndarray, " M"]
    order: int
    compared: int


def fit(
    sources: Sequence[str], targets: Sequence[str], *, order: int = 4, compared: int = 10
) -> Nearest:
    r"""Counts the n-grams of the sources, and weighs them by how rare they are.

    .. math:: w(g, s) \propto c(g, s) \left(1 + \log \frac{N}{n(g)}\right)

    with :math:`n(g)` of N sources having the n-gram. N-grams are those of 2 to ``order`` characters
    of the text in small letters, with a mark before it and another after it.

    Args:
      sources: what to find again.
      targets: one for each.
      order: how many characters an n-gram has at most.
      compared: so many of the nearest by their n-grams are compared by their edit distance, and the
        least of them is taken; 1 for n-grams alone.

    Returns:
      The model.

    Raises:
      ValueError: if there are no sources, or not as many targets.

    Example:
      >>> model = fit(["turn on", "turn off"], ["켜기", "끄기"])
      >>> predict(model, ["Turn it on", "off"])
      ['켜기', '끄기']

    References:
      Salton and Buckley, "Term-Weighting Approaches in Automatic Text Retrieval", 1988.
    """
    if not sources or len(sources) != len(targets):
        problem = f"there are {len(sources)} sources and {len(targets)} targets"
        raise error(WHERE, problem, hint="give equally many, and one at least")
    counts = [_count(source, order) for source in sources]
    grams: dict[str, int] = {}
    for count in counts:
        for gram in count:
            grams.setdefault(gram, len(grams))
    rows = np.repeat(np.arange(len(counts)), [len(count) for count in counts])
    columns = np.array([grams[gram] for count in counts for gram in count])
    had = np.bincount(columns, minlength=len(grams))
    rarity = 1 + np.log(len(sources) / had)
    weights = np.array([n for count in counts for n in count.values()]) * rarity[columns]
    weights /= np.sqrt(np.bincount(rows, weights**2))[rows]
    by_gram = np.argsort(columns, kind="stable")
    starts = np.concatenate([[0], np.cumsum(had)])
    inverted = (starts, rows[by_gram].astype(np.int32), weights[by_gram])
    return Nearest(sources, targets, grams, rarity, *inverted, order, compared)


def predict(model: Nearest, texts: Sequence[str]) -> list[str]:
    """Returns the target of the nearest source of each text.

    Nearest is the least edit distance, by character, among those with the greatest cosine of their
    n-grams; the first of equals. The placeholders of the source found, in its target, become those
    of the text, in their order.

    Args:
      model: from :func:`fit`.
      texts: what to translate.

    Example:
      >>> predict(fit(["Set up {name}"], ["{name} 설정"]), ["Set up {host}"])
      ['{host} 설정']
    """
    return [_filled(model, text, _nearest(model, text)) for text in texts]


class Neighbour(NamedTuple):
    """A training source near a text.

    Attributes:
      target: its target, with the placeholders of the text.
      similarity: of the two, from 0 to 1.

    Example:
      >>> Neighbour("켜기", 0.75).similarity
      0.75
    """

    target: str
    similarity: float


def neighbours(model: Nearest, text: str, *, count: int) -> list[Neighbour]:
    r"""Returns the training sources with the greatest cosines of their n-grams, those first.

    How similar two texts are is the mean of two measures: the cosine, for which rare n-grams count
    more and their order does not, and the edits that make one of the other, for which all
    characters count alike.

    .. math:: \frac{1}{2} \left(\cos(a, b) + 1 - \frac{d(a, b)}{\max(|a|, |b|)}\right)

    N-grams that training does not have are no part of the cosine.

    Args:
      model: from :func:`fit`.
      text: what to translate.
      count: how many sources, or all if there are fewer.

    Example:
      >>> model = fit(["turn on", "turn off"], ["켜기", "끄기"])
      >>> [(one.target, round(one.similarity, 2)) for one in neighbours(model, "Turn on", count=2)]
      [('켜기', 1.0), ('끄기', 0.58)]
    """
    found = []
    small = text.lower()
    for place, cosine in zip(*_by_cosine(model, text, count), strict=True):
        other = model.sources[place].lower()
        edits = edit_distance(small, other) / max(len(small), len(other), 1)
        found.append(Neighbour(_filled(model, text, place), (cosine + 1 - edits) / 2))
    return found


def _nearest(model: Nearest, text: str) -> int:
    best, _ = _by_cosine(model, text, model.compared)
    if len(best) == 1:
        return best[0]
    small = text.lower()
    distances = [edit_distance(small, model.sources[place].lower()) for place in best]
    return best[int(np.argmin(distances))]


def _by_cosine(model: Nearest, text: str, count: int) -> tuple[list[int], list[float]]:
    """Returns the places with the greatest cosines, those first, and the cosines."""
    counts = {g: n for g, n in _count(text, model.order).items() if g in model.grams}
    rows, scores = [np.zeros(0, np.int32)], [np.zeros(0)]
    square = 0.0
    for gram, times in counts.items():
        place = model.grams[gram]
        there = slice(model.starts[place], model.starts[place + 1])
        weight = times * model.rarity[place]
        square += weight**2
        rows.append(model.rows[there])
        scores.append(weight * model.weights[there])
    cosines = np.bincount(np.concatenate(rows), np.concatenate(scores), len(model.sources))
    few = min(count, len(cosines))
    best = np.argpartition(-cosines, few - 1)[:few]
    best = best[np.lexsort((best, -cosines[best]))]
    return best.tolist(), (cosines[best] / (np.sqrt(square) or 1.0)).tolist()


def _filled(model: Nearest, text: str, place: int) -> str:
    """Returns the target at a place with the placeholders of a text."""
    there, given = (
        list(dict.fromkeys(_PLACEHOLDER.findall(t))) for t in (model.sources[place], text)
    )
    names = dict(zip(there, given, strict=False))
    return _PLACEHOLDER.sub(lambda found: names.get(found[0], found[0]), model.targets[place])


def _count(text: str, order: int) -> Counter[str]:
    whole = f"{BEGIN}{text.lower()}{END}"
    return Counter(
        whole[begin : begin + size]
        for size in range(2, order + 1)
        for begin in range(len(whole) - size + 1)
    )
