"""What a translator learns from: pairs of texts, of one's own or bundled."""

import zlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int32

from jaxseq import data
from jaxseq._checks import InputError, error
from jaxseq.data import Pair
from jaxseq.recipes._sources import check_name, is_bundled
from jaxseq.recipes._translation_config import TASK, Config
from jaxseq.recipes._translation_units import placeholders, split, split_source

BUNDLED = ("cmudict", "home_assistant_en_ko")
STRESS = "012"

Rows = list[Pair]


class Parts(NamedTuple):
    """Pairs in their parts; one that there is not is empty.

    Attributes:
      train: to learn from.
      valid: to choose the weights by.
      test: to report on.

    Example:
      >>> [len(part) for part in read_parts("home_assistant_en_ko")]
      [10811, 645, 616]
    """

    train: Rows
    valid: Rows
    test: Rows


class Texts(NamedTuple):
    """Sources, each once, and all that is right of each.

    Attributes:
      sources: in the order of the data.
      targets: one or more of each.

    Example:
      >>> texts_of([Pair("a", "EY"), Pair("b", "B IY"), Pair("a", "AH")]).targets
      [['EY', 'AH'], ['B IY']]
    """

    sources: list[str]
    targets: list[list[str]]


def texts_of(rows: Iterable[Pair]) -> Texts:
    """Returns pairs with each source once."""
    found: dict[str, list[str]] = {}
    for source, target in rows:
        found.setdefault(source, []).append(target)
    return Texts(list(found), list(found.values()))


def read_parts(source: str, valid: str | None = None) -> Parts:
    """Returns the parts of a bundled corpus, or of a file of one's own.

    Args:
      source: a path, or ``"cmudict"`` or ``"home_assistant_en_ko"``.
      valid: the path of a validation part.

    Returns:
      The parts; a file of one's own is ``train``. Equal pairs of a part are one.

    Raises:
      InputError: if there is no such file and no such corpus, or it cannot be used.

    Example:
      >>> from jaxseq.recipes import translation
      >>> translation.read_parts("home_assistant_en_ko").test[0]
      Pair(source='Invalid MFA code', target='MFA 코드가 잘못되었습니다')
    """
    parts = _read(source)
    if valid is not None:
        parts = parts._replace(valid=[row for part in _read(valid) for row in part])
    return parts


def read_rows(source: str) -> Rows:
    """Returns the pairs to evaluate on: the test part of a source, or all if it has none.

    Raises:
      InputError: as :func:`read_parts`.
    """
    parts = _read(source)
    return parts.test or parts.valid or parts.train


def read_sources(source: str) -> list[str]:
    """Returns the texts to be translated; targets in the file play no part.

    Raises:
      InputError: if there is no such file, or it cannot be used.
    """
    if is_bundled(source, BUNDLED):
        return texts_of(read_rows(source)).sources
    check_name(TASK, source, BUNDLED)
    return data.read_sources(source)


def mark(parts: Parts) -> dict[str, int]:
    """Returns what tells data from other data: how many pairs, and a checksum."""
    checksum = 0
    for part in parts:
        text = "".join(f"{source}\t{target}\n" for source, target in part)
        checksum = zlib.crc32(text.encode(), checksum)
    return {"pairs": sum(map(len, parts)), "crc32": checksum}


def with_held_out(parts: Parts, config: Config) -> Parts:
    """Returns the parts with some training sources held out, if there is no validation part.

    Raises:
      InputError: if there are too few sources to hold one out.
    """
    if parts.valid or not config.hold_out:
        return parts
    train, valid = data.hold_out(parts.train, lambda row: row.source, one_in=config.hold_out)
    return parts._replace(train=train, valid=valid)


def slots_of(rows: Iterable[Pair], config: Config) -> int:
    """Returns how many placeholders the source with most of them has."""
    assert config.source_units is not None
    return max(len(placeholders(split_source(row.source, config.source_units))) for row in rows)


def short_enough(rows: Rows, config: Config) -> Rows:
    """Returns the pairs that are trained on: those with no more symbols than the settings say.

    Raises:
      InputError: if there is none.
    """
    given: Any = config
    kept = [
        row
        for row in rows
        if len(split_source(row.source, given.source_units)) <= given.max_length
        and len(split(row.target, given.target_units)) <= given.max_length
    ]
    if not kept:
        problem = f"all {len(rows)} training pairs have more than {given.max_length} symbols"
        raise error(TASK, problem, hint="raise `max_length`", kind=InputError)
    return kept


class Packed(NamedTuple):
    """Pairs as arrays of few lengths, each a source and a target with padding behind both.

    Attributes:
      arrays: int32 ``[W]``: the source padded to S steps, then the target padded to T.
      sources: S for each W that there is.

    Example:
      >>> packed = pack([np.array([5, 6])], [np.array([7])], count=1)
      >>> packed.arrays[0].tolist(), packed.sources
      ([5, 6, 7], {3: 2})
    """

    arrays: list[Int32[np.ndarray, " W"]]
    sources: dict[int, int]


def pack(sources: Sequence[np.ndarray], targets: Sequence[np.ndarray], *, count: int) -> Packed:
    """Puts the numbers of each pair into one array, as :class:`BucketBatches` takes them.

    Pairs go by the longer of their two sides to the boundary that pads them least, and in a bucket
    either side is padded to its own longest. So a batch has one shape, and little in it is padding.

    Args:
      sources: the numbers of each source, none of which is 0.
      targets: those of its target.
      count: how many shapes there may be.

    Returns:
      The arrays, in the order of the pairs.
    """
    sizes = np.array([(len(a), len(b)) for a, b in zip(sources, targets, strict=True)])
    boundaries = data.bucket_boundaries(sizes.max(1), count=count)
    buckets = np.searchsorted(boundaries, sizes.max(1))
    arrays: list[Any] = [None] * len(sources)
    taken: dict[int, int] = {}
    for bucket in np.unique(buckets):
        places = np.flatnonzero(buckets == bucket)
        steps, longest = map(int, sizes[places].max(0))
        width = steps + longest
        while taken.setdefault(width, steps) != steps:
            width += 1  # by its width an array must show where its target begins
        for place in places.tolist():
            array = arrays[place] = np.zeros(width, np.int32)
            array[: len(sources[place])] = sources[place]
            array[steps : steps + len(targets[place])] = targets[place]
    return Packed(arrays, taken)


def _read(source: str) -> Parts:
    if source == "cmudict" and is_bundled(source, BUNDLED):
        return _unique(data.load(source), lambda row: " ".join(map(_without_stress, row.phones)))
    if is_bundled(source, BUNDLED):
        return _unique(data.load(source), lambda row: row.korean)
    check_name(TASK, source, BUNDLED)
    return Parts(list(dict.fromkeys(data.read_pairs(source))), [], [])


def _unique(corpus: data.Corpus, target: Any) -> Parts:
    """Returns the parts of a corpus; pairs that have become equal are one."""
    parts = (list(dict.fromkeys(Pair(row[0], target(row)) for row in part)) for part in corpus[1:4])
    return Parts(*parts)


def _without_stress(phone: str) -> str:
    return phone.rstrip(STRESS)
