"""Pieces of words, learnt from the words of training: what often stands together becomes one."""

import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

Pair = tuple[str, str]


def learn(words: Mapping[str, int], *, count: int) -> list[Pair]:
    """Returns which two pieces to join, the first before the second.

    Words begin as characters. Again and again, the two neighbours that are most frequent in all
    words become one piece; of equals the first in the order of code points.

    Args:
      words: how often each occurs.
      count: how many pairs; fewer if there are no two neighbours that occur twice.

    Example:
      >>> learn({"low": 5, "lower": 2, "newer": 3}, count=4)
      [('l', 'o'), ('lo', 'w'), ('e', 'r'), ('e', 'w')]

    References:
      Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units",
      2016.
    """
    pieces = [list(word) for word in words]
    times = list(words.values())
    pairs: Counter[Pair] = Counter()
    where: defaultdict[Pair, set[int]] = defaultdict(set)
    for place, word in enumerate(pieces):
        for pair in itertools.pairwise(word):
            pairs[pair] += times[place]
            where[pair].add(place)
    heap = [(-n, pair) for pair, n in pairs.items()]
    heapq.heapify(heap)
    joined: list[Pair] = []
    while heap and len(joined) < count:
        n, best = heapq.heappop(heap)
        if pairs[best] != -n:  # counted anew since then
            if pairs[best] > 1:
                heapq.heappush(heap, (-pairs[best], best))
            continue
        if -n < 2:
            break
        joined.append(best)
        changed = set()
        for place in where.pop(best):
            changed |= _recount(pieces, place, best, times[place], pairs, where)
        for pair in changed:
            heapq.heappush(heap, (-pairs[pair], pair))
    return joined


def _recount(
    pieces: list[list[str]],
    place: int,
    best: Pair,
    times: int,
    pairs: Counter[Pair],
    where: defaultdict[Pair, set[int]],
) -> set[Pair]:
    """Joins a pair in one word, and returns the pairs that have become more frequent."""
    old = pieces[place]
    new = pieces[place] = _join(old, best)
    for pair in itertools.pairwise(old):
        pairs[pair] -= times
    for pair in itertools.pairwise(new):
        pairs[pair] += times
        where[pair].add(place)
    return set(itertools.pairwise(new))


def split(word: str, ranks: Mapping[Pair, int]) -> list[str]:
    """Returns the pieces of a word, which joined are the word.

    Args:
      word: any.
      ranks: the place of each pair that :func:`learn` returned.

    Example:
      >>> split("lowest", {("l", "o"): 0, ("lo", "w"): 1, ("e", "s"): 2})
      ['low', 'es', 't']
    """
    pieces = list(word)
    while len(pieces) > 1:
        best = min(itertools.pairwise(pieces), key=lambda p: ranks.get(p, len(ranks)))
        if best not in ranks:
            break
        pieces = _join(pieces, best)
    return pieces


def ranks_of(joined: Iterable[Sequence[str]]) -> dict[Pair, int]:
    """Returns the place of each pair, as :func:`split` takes them.

    Example:
      >>> ranks_of([["a", "b"]])
      {('a', 'b'): 0}
    """
    return {(left, right): place for place, (left, right) in enumerate(joined)}


def _join(pieces: Sequence[str], pair: Pair) -> list[str]:
    """Returns pieces in which each occurrence of a pair is one, from the left."""
    joined, place = [], 0
    while place < len(pieces):
        both = tuple(pieces[place : place + 2]) == pair
        joined.append(pieces[place] + pieces[place + 1] if both else pieces[place])
        place += 2 if both else 1
    return joined
