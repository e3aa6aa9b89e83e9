"""The bundled corpora, opened by name."""

import difflib
from typing import Any, NamedTuple

from jaxseq._checks import InputError, error
from jaxseq.data._catalogue import CATALOGUE


class Corpus(NamedTuple):
    """A bundled corpus, in its parts.

    A part that the split does not have is ``None``; where there is no split at all, everything is
    in ``train``. Together, the parts are all of the data.

    Attributes:
      name: what :func:`load` calls it.
      train: the training part.
      valid: the validation part, or ``None``.
      test: the test part, or ``None``.
      licence: the licence as its origin states it; its text is in ``corpora/LICENSES``.
      source: where it comes from.
      description: what it is, and how it is split.

    Example:
      >>> load("nile")
      Corpus(name='nile', train=<Nile of 100>, valid=None, test=None)
    """

    name: str
    train: Any
    valid: Any
    test: Any
    licence: str
    source: str
    description: str

    def __repr__(self) -> str:
        # The parts themselves would fill a notebook.
        parts = [f"{part}={_size(getattr(self, part))}" for part in ("train", "valid", "test")]
        return f"Corpus(name={self.name!r}, {', '.join(parts)})"


def names() -> tuple[str, ...]:
    """Returns the names of the bundled corpora, sorted.

    Example:
      >>> len(names()), names()[:3]
      (17, ('cmudict', 'co2_weekly', 'earthquakes_yearly'))
    """
    return tuple(sorted(CATALOGUE))


def load(name: str) -> Corpus:
    """Returns a bundled corpus, read from its file at every call.

    ======================== ================================================= ==================
    name                     each part is                                      parts
    ======================== ================================================= ==================
    ``moby_dick``            a text                                            train, valid, test
    ``korean_constitution``  a text                                            train, valid, test
    ``lambda_phage``         a text of ACGT                                    train
    ``cmudict``              a list of :class:`Pronunciation`                  train, valid, test
    ``home_assistant_en_ko`` a list of :class:`Translation`                    train, valid, test
    ``udhr``                 a list of :class:`Paragraph`                      train, test
    ``names``                a list of :class:`PersonName`                     train, valid, test
    ``usaddress``            a list of addresses, lists of :class:`Token`      train, valid, test
    ``hkcancor``             a list of utterances, lists of :class:`Token`     train, valid, test
    ``japanese_vowels``      a list of :class:`Utterance`                      train, test
    ``stocks``               :class:`Stocks`, columns                          train, valid, test
    ``seattle_weather``      :class:`SeattleWeather`, columns                  train, valid, test
    ``sunspots_yearly``      :class:`Sunspots`, columns                        train, valid, test
    ``co2_weekly``           :class:`CO2`, columns                             train, valid, test
    ``earthquakes_yearly``   :class:`Earthquakes`, columns                     train
    ``gnp_growth``           :class:`GNPGrowth`, columns                       train
    ``nile``                 :class:`Nile`, columns                            train
    ======================== ================================================= ==================

    Args:
      name: one of :func:`names`.

    Returns:
      The corpus, whose ``description`` says how it is split.

    Raises:
      InputError: if there is no such corpus.

    Example:
      >>> corpus = load("moby_dick")
      >>> len(corpus.train), len(corpus.valid), len(corpus.test)
      (1071285, 59516, 59516)
      >>> corpus.licence
      'database PDDL-1.0, contents CC0-1.0'
    """
    if name not in CATALOGUE:
        close = difflib.get_close_matches(name, CATALOGUE)
        hint = f"did you mean {' or '.join(map(repr, close))}" if close else "names() lists them"
        problem = f"there is no corpus {name!r}"
        raise error("load", problem, hint=hint, kind=InputError)
    entry = CATALOGUE[name]
    train, valid, test = entry.parts()
    return Corpus(name, train, valid, test, entry.licence, entry.source, entry.description)


def _size(part: Any) -> str:
    if part is None:
        return "None"
    size = len(part) if isinstance(part, str | list) else len(part[0])
    return f"<{type(part).__name__} of {size}>"
