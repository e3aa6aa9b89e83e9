"""Length buckets: the boundaries, the batches, the order."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxseq.data import BucketBatches, bucket_boundaries

LENGTHS = st.lists(st.integers(0, 12), min_size=1, max_size=15)


def padding(boundaries, lengths):
    return sum(min(b for b in boundaries if b >= length) - length for length in lengths)


def data(lengths):
    return [np.arange(length) + 100 * place for place, length in enumerate(lengths)]


@settings(deadline=None, max_examples=60)
@given(lengths=LENGTHS, count=st.integers(1, 4))
def test_no_other_boundaries_pad_less(lengths, count):
    found = bucket_boundaries(lengths, count=count)
    distinct = sorted({max(length, 1) for length in lengths})
    assert len(found) == min(count, len(distinct))
    assert list(found) == sorted(set(found)) and found[-1] == distinct[-1]
    every = itertools.combinations(distinct[:-1], len(found) - 1)
    least = min(padding((*choice, distinct[-1]), lengths) for choice in every)
    assert padding(found, lengths) == least


def test_boundaries_are_plain_integers():
    boundaries = bucket_boundaries(np.array([3, 9], np.int32), count=9)
    assert boundaries == (3, 9)
    assert all(type(boundary) is int for boundary in boundaries)


@pytest.mark.parametrize(
    ("lengths", "count", "kind", "message"),
    [
        ([1], 0, ValueError, "`count` must be at least 1, but it is 0"),
        ([], 1, ValueError, "`lengths` must have shape (N,) with N > 0, but it has shape (0,)"),
        ([[1]], 1, ValueError, "with N > 0, but it has shape (1, 1)"),
        ([1.5], 1, TypeError, "`lengths` must be integers, but they are float64"),
        ([1, -2], 1, ValueError, "`lengths` must not be negative, but one is -2"),
    ],
)
def test_lengths_without_boundaries_are_refused(lengths, count, kind, message):
    with pytest.raises(kind, match=f"^bucket_boundaries: .*{re.escape(message)}"):
        bucket_boundaries(lengths, count=count)


@settings(deadline=None, max_examples=60)
@given(
    lengths=LENGTHS, batch_size=st.integers(1, 4), count=st.integers(1, 3), shuffle=st.booleans()
)
def test_every_sequence_occurs_once_with_its_values(lengths, batch_size, count, shuffle):
    sequences = data(lengths)
    boundaries = bucket_boundaries(lengths, count=count)
    batches = BucketBatches(
        sequences, batch_size=batch_size, boundaries=boundaries, seed=1, shuffle=shuffle
    )
    seen, steps, real = [], 0, 0
    for batch in batches:
        assert batch.values.shape[0] == len(batch.rows) == len(batch.lengths) == batch_size
        assert batch.values.shape[1] in boundaries
        assert [field.dtype for field in batch] == [sequences[0].dtype, np.int32, np.int32]
        steps, real = steps + batch.values.size, real + batch.lengths.sum()
        for values, length, row in zip(*batch, strict=True):
            assert not values[length:].any()
            if row < 0:
                assert length == 0
            else:
                np.testing.assert_array_equal(values[:length], sequences[row])
                seen.append(row)
    assert sorted(seen) == list(range(len(lengths)))
    assert batches.waste() == pytest.approx(1 - real / steps)


def test_a_sequence_goes_to_the_smallest_boundary_that_holds_it():
    batches = BucketBatches(
        data([3, 4, 1, 9]), batch_size=2, boundaries=(3, 9), seed=0, shuffle=False
    )
    places = [(batch.values.shape[1], batch.rows.tolist()) for batch in batches]
    assert places == [(3, [0, 2]), (9, [1, 3])]


def test_features_stay():
    sequences = [np.ones((2, 3, 1), np.float32), np.ones((1, 3, 1), np.float32)]
    batch = next(BucketBatches(sequences, batch_size=3, boundaries=(2,), seed=0))
    assert batch.values.shape == (3, 2, 3, 1)
    assert batch.values.dtype == np.float32
    assert sorted(batch.rows.tolist()) == [-1, 0, 1]


def order(seed, cursor=None, **options):
    lengths = np.arange(40) % 7 + 1
    batches = BucketBatches(data(lengths), batch_size=3, boundaries=(4, 7), seed=seed, **options)
    if cursor:
        batches.seek(cursor)
    return [batch.rows.tolist() for batch in batches]


def test_the_order_depends_on_seed_and_epoch_alone():
    assert order(0) == order(0)
    assert order(0) != order(1)
    second = order(0, {"epoch": 1, "batch": 0})
    assert second != order(0)
    assert order(0, {"epoch": 1, "batch": 4}) == second[4:]


def test_an_epoch_is_shuffled_within_and_across_buckets():
    rows = order(0)
    plain = order(0, shuffle=False)
    assert sorted(itertools.chain.from_iterable(rows)) == sorted(
        itertools.chain.from_iterable(plain)
    )
    assert {tuple(sorted(row)) for row in rows} != {tuple(sorted(row)) for row in plain}
    buckets = [row[0] % 7 + 1 > 4 for row in rows]
    assert buckets != sorted(buckets)


def test_without_shuffling_every_epoch_is_in_the_order_given():
    assert order(0, shuffle=False) == order(9, {"epoch": 3, "batch": 0}, shuffle=False)
    short, long = [], []
    for row in itertools.chain.from_iterable(order(0, shuffle=False)):
        if row >= 0:
            (long if row % 7 + 1 > 4 else short).append(row)
    assert short == sorted(short) and long == sorted(long)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be at least 1, but it is 0"),
        ({"seed": -1}, "`seed` must be at least 0, but it is -1"),
        ({"boundaries": ()}, "`boundaries` must be integers that increase from at least 1, but"),
        ({"boundaries": (0, 3)}, "at least 1, but they are (0, 3).\n  Hint: use bucket_boundaries"),
        ({"boundaries": (3, 3)}, "at least 1, but they are (3, 3)"),
        (
            {"boundaries": (1, 2)},
            "sequences[1] has 3 steps, more than the last boundary 2.\n  Hint:",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(options, message):
    settings = {"batch_size": 1, "boundaries": (3,), "seed": 0} | options
    with pytest.raises(ValueError, match=f"^BucketBatches: .*{re.escape(message)}"):
        BucketBatches([np.ones(1), np.ones(3)], **settings)


def test_boundaries_are_integers(untyped):
    with pytest.raises(ValueError, match=r"must be integers .*, but they are \(1.5,\)"):
        BucketBatches([np.ones(1)], batch_size=1, boundaries=(1.5,), seed=0)


def test_sequences_that_do_not_fit_together_are_refused():
    with pytest.raises(
        TypeError, match=r"^BucketBatches: sequences\[1\] is int64, and sequences\[0"
    ):
        BucketBatches([np.ones(1), np.ones(1, int)], batch_size=1, boundaries=(1,), seed=0)
    with pytest.raises(ValueError, match=r"^BucketBatches: `sequences` is empty"):
        BucketBatches([], batch_size=1, boundaries=(1,), seed=0)
