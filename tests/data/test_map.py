"""Batches with something done to each."""

import json

import numpy as np
import pytest

from jaxseq.data import BucketBatches, map_batches

SEQUENCES = [np.arange(length) + 1 for length in (4, 1, 7, 3, 3, 8, 2)]
LABELS = np.array([len(sequence) % 3 for sequence in SEQUENCES])


def buckets(**options):
    return BucketBatches(SEQUENCES, batch_size=2, boundaries=(3, 8), seed=5, **options)


def labelled(**options):
    return map_batches(lambda batch: (batch.rows.tolist(), LABELS[batch.rows]), buckets(**options))


def rows(found):
    return [batch[0] for batch in found]


def test_the_function_is_applied_to_every_batch():
    for batch, (places, labels) in zip(buckets(), labelled(), strict=True):
        assert batch.rows.tolist() == places
        real = batch.lengths > 0
        assert (labels[real] == batch.lengths[real] % 3).all()


def test_the_length_is_that_of_an_epoch():
    assert len(labelled()) == len(buckets()) == len(list(labelled()))


def test_a_loop_over_a_finished_epoch_is_the_next_epoch():
    plain, mapped = buckets(), labelled()
    for _ in range(3):
        assert [batch.rows.tolist() for batch in plain] == rows(mapped)
        assert mapped.cursor == plain.cursor
    with pytest.raises(StopIteration):
        next(mapped)


def test_a_loop_over_a_begun_epoch_finishes_it():
    mapped = labelled()
    assert iter(mapped) is mapped
    next(mapped)
    assert len(list(mapped)) == len(mapped) - 1


def test_seeking_any_saved_cursor_goes_on_with_the_same_batches():
    mapped = labelled(repeat=True)
    seen = []
    for _ in range(2 * len(mapped)):
        seen.append((json.loads(json.dumps(mapped.cursor)), next(mapped)[0]))
    for start, (cursor, _) in enumerate(seen):
        fresh = labelled(repeat=True)
        fresh.seek(cursor)
        assert fresh.cursor == cursor
        assert [next(fresh)[0] for _ in seen[start:]] == [places for _, places in seen[start:]]


def test_mapped_batches_may_be_mapped():
    twice = map_batches(lambda found: found[0][::-1], labelled())
    assert list(twice) == [places[::-1] for places in rows(labelled())]
    twice.seek({"epoch": 0, "batch": 1})
    assert twice.cursor == {"epoch": 0, "batch": 1}


@pytest.mark.parametrize("batches", [[1, 2], iter([1, 2])])
def test_batches_without_a_cursor_are_refused(batches):
    message = (
        r"^map_batches: `batches` must be an iterator with `cursor` and `seek\(cursor\)`, but it "
        rf"is of type {type(batches).__name__}\.\n  Hint: use an iterator of jaxseq\.data; for"
    )
    with pytest.raises(TypeError, match=message):
        map_batches(len, batches)


def test_batches_that_are_no_iterator_are_refused():
    class Resumable:
        cursor = 0

        def seek(self, cursor): ...

        def __iter__(self):
            yield 1

    with pytest.raises(TypeError, match="but it is of type Resumable"):
        map_batches(len, Resumable())
