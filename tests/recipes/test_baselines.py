"""The n-gram model against a slow twin of dictionaries, and the compressor against its files."""

import collections
import gzip
import lzma
import math
import pathlib

import numpy as np
import pytest

import jaxseq
from jaxseq.recipes._baselines import witten_bell_bits, xz_bits

CORPORA = pathlib.Path(jaxseq.__file__).parent / "data" / "corpora"


def twin(train, test, order, vocabulary_size):
    """The docstring's formula, one symbol at a time."""
    following = collections.defaultdict(collections.Counter)
    for i, symbol in enumerate(train):
        for n in range(min(order, i + 1)):
            following[tuple(train[i - n : i])][symbol] += 1
    stream, bits = [*train, *test], 0.0
    for i in range(len(train), len(stream)):
        p = 1 / vocabulary_size
        for n in range(min(order, i + 1)):
            seen = following.get(tuple(stream[i - n : i]))
            if seen:
                p = (seen[stream[i]] + len(seen) * p) / (sum(seen.values()) + len(seen))
        bits -= math.log2(p)
    return bits / len(test)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("sizes", [(200, 50), (30, 30), (3, 9), (1, 4), (0, 5), (5, 1)])
def test_it_is_its_twin_of_dictionaries(order, sizes):
    rng = np.random.default_rng(order)
    ids = np.minimum(rng.geometric(0.4, size=sum(sizes)), 7)
    train, test = ids[: sizes[0]].tolist(), ids[sizes[0] :].tolist()
    got = witten_bell_bits(train, test, order=order, vocabulary_size=9)
    assert got == pytest.approx(twin(train, test, order, 9), rel=1e-12)


def test_a_large_vocabulary_and_a_high_order_do_not_overflow():
    ids = np.random.default_rng(0).integers(50_000, size=60).tolist() * 2
    got = witten_bell_bits(ids[:70], ids[70:], order=12, vocabulary_size=50_000)
    assert got == pytest.approx(twin(ids[:70], ids[70:], 12, 50_000), rel=1e-12)


def test_nothing_learned_is_the_uniform_distribution():
    assert witten_bell_bits([], [0, 5, 3], order=3, vocabulary_size=8) == 3.0


def test_probabilities_sum_to_one_over_the_vocabulary():
    train = [0, 1, 2, 1, 0, 1, 2, 3]
    for context in ([0, 1], [4, 4], [2, 3]):
        total = 0.0
        for symbol in range(5):
            both, first = (
                n * witten_bell_bits(train, ids, order=3, vocabulary_size=5)
                for n, ids in ((3, [*context, symbol]), (2, context))
            )
            total += 2 ** (first - both)
        assert total == pytest.approx(1)


def split(name):
    """The ids of the first 90 %, the next 5 and the last 5, and the number of symbols."""
    data = (CORPORA / name).read_bytes()
    text = (gzip.decompress(data) if name.endswith(".gz") else data).decode()
    symbols, ids = np.unique(np.array(list(text)), return_inverse=True)
    return *np.split(ids, [len(text) * 90 // 100, len(text) * 95 // 100]), len(symbols)


@pytest.mark.parametrize(
    ("name", "order", "valid_bits", "test_bits"),
    [
        ("korean_constitution.txt", 4, 3.752, 4.356),
        pytest.param("moby_dick.txt.gz", 6, 2.249, 2.243, marks=pytest.mark.slow),
    ],
)
def test_it_has_the_bits_that_the_corpora_are_published_with(name, order, valid_bits, test_bits):
    train, valid, test, size = split(name)
    for part, bits in ((valid, valid_bits), (test, test_bits)):
        got = witten_bell_bits(train, part, order=order, vocabulary_size=size)
        assert round(got, 3) == bits


@pytest.mark.parametrize(
    ("kind", "match", "options"),
    [
        (ValueError, r"`order` must be at least 1, but it is 0\.", {"order": 0}),
        (ValueError, r"`test_ids` are empty\.", {"test_ids": []}),
        (ValueError, r"`train_ids` must have shape \(N,\), but .* \(1, 1\)", {"train_ids": [[0]]}),
        (ValueError, r"`test_ids` must be between 0 and V - 1 = 2, .* is 3", {"test_ids": [3]}),
        (ValueError, r"`train_ids` must be between .* but there is -1", {"train_ids": [-1]}),
        (TypeError, r"`test_ids` must be integers, but have dtype float64", {"test_ids": [0.5]}),
    ],
)  # fmt: skip
def test_what_is_no_stream_is_refused(kind, match, options):
    options = {"train_ids": [0, 1], "test_ids": [0], "order": 2} | options
    with pytest.raises(kind, match="^witten_bell_bits: " + match):
        witten_bell_bits(options.pop("train_ids"), options.pop("test_ids"), vocabulary_size=3,
                         **options)  # fmt: skip


def test_xz_counts_the_bytes_of_whole_files():
    train, test = "고래가 나타났다. the whale! " * 40, "흰 고래가 나타났다. the white whale! " * 5
    bits = xz_bits(train, test)

    def size(text):
        return len(
            lzma.compress(text.encode("utf8"), lzma.FORMAT_XZ, lzma.CHECK_CRC64, 9 | 1 << 31)
        )

    assert bits.alone == 8 * size(test) / len(test)
    assert bits.after_training == 8 * (size(train + test) - size(train)) / len(test)
    assert bits.after_training < bits.alone


def test_xz_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"^xz_bits: `test` is empty\."):
        xz_bits("a", "")
