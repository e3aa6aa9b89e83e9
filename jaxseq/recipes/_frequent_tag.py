"""What a tagger has to beat: each word's most frequent tag, whatever stands beside it."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxseq import data
from jaxseq._checks import InputError, error


class FrequentTag(NamedTuple):
    """The most frequent tags.

    Attributes:
      of_word: that of each word of training.
      of_all: that of all words, for a word that training does not have.

    Example:
      >>> FrequentTag(of_word={"run": "VERB"}, of_all="NOUN").of_all
      'NOUN'
    """

    of_word: Mapping[str, str]
    of_all: str


def fit(rows: Sequence[Sequence[data.Token]]) -> FrequentTag:
    """Counts the tags of words.

    Of equally frequent tags the first in training counts as the most frequent.

    Args:
      rows: sequences of tagged words.

    Returns:
      The most frequent tag of each word, and of all.

    Raises:
      InputError: if there is no word.

    Example:
      >>> from jaxseq.data import Token
      >>> fit([[Token("the", "DET"), Token("run", "NOUN"), Token("end", "NOUN")]])
      FrequentTag(of_word={'the': 'DET', 'run': 'NOUN', 'end': 'NOUN'}, of_all='NOUN')
    """
    of_word, of_all = defaultdict(Counter), Counter()
    for row in rows:
        for token in row:
            of_word[token.token][token.label] += 1
            of_all[token.label] += 1
    if not of_all:
        raise error("frequent_tag", "there is no labelled word to learn from", kind=InputError)
    return FrequentTag({word: _most(counts) for word, counts in of_word.items()}, _most(of_all))


def predict(model: FrequentTag, rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Gives each word its most frequent tag, and a new word the most frequent tag of all.

    Args:
      model: what :func:`fit` returns.
      rows: sequences of words.

    Returns:
      A list of tags for each.

    Example:
      >>> from jaxseq.data import Token
      >>> model = fit([[Token("the", "DET"), Token("run", "NOUN"), Token("end", "NOUN")]])
      >>> predict(model, [["the", "race"], []])
      [['DET', 'NOUN'], []]
    """
    return [[model.of_word.get(word, model.of_all) for word in row] for row in rows]


def _most(counts: Counter) -> str:
    return counts.most_common(1)[0][0]
