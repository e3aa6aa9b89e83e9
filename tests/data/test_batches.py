"""What holds for every batch iterator: the cursor, epochs, and going back."""

import json
import re

import numpy as np
import pytest

from jaxseq._checks import InputError
from jaxseq.data import BucketBatches, WindowBatches

SEQUENCES = [np.arange(length) + 1 for length in (4, 1, 7, 3, 3, 8, 2)]


def windows(**options):
    return WindowBatches(np.arange(20), batch_size=3, window=2, **options)


def buckets(**options):
    return BucketBatches(SEQUENCES, batch_size=2, boundaries=(3, 8), seed=5, **options)


@pytest.fixture(params=[windows, buckets])
def make(request):
    return request.param


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_cursor_names_the_next_batch(make):
    batches = make()
    assert batches.cursor == {"epoch": 0, "batch": 0}
    next(batches)
    assert batches.cursor == {"epoch": 0, "batch": 1}


def test_seeking_any_saved_cursor_goes_on_with_the_same_batches(make):
    batches = make(repeat=True)
    seen = []
    for _ in range(3 * len(batches)):
        seen.append((json.loads(json.dumps(batches.cursor)), next(batches)))
    for start, (cursor, _) in enumerate(seen):
        fresh = make(repeat=True)
        fresh.seek(cursor)
        assert fresh.cursor == cursor
        assert all(same(next(fresh), batch) for _, batch in seen[start:])


def test_an_epoch_has_as_many_batches_as_len_says(make):
    batches = make()
    assert len(list(batches)) == len(batches)


def test_a_finished_iterator_stays_finished(make):
    batches = make()
    for _ in range(len(batches)):
        next(batches)
    assert batches.cursor == {"epoch": 0, "batch": len(batches)}
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(batches)


def test_a_loop_over_a_finished_iterator_is_the_next_epoch(make):
    batches, endless = make(), make(repeat=True)
    for _ in range(3):
        assert all(same(batch, next(endless)) for batch in batches)
    assert batches.cursor == {"epoch": 2, "batch": len(batches)}


def test_a_loop_over_a_begun_epoch_finishes_it(make):
    batches = make()
    next(batches)
    assert len(list(batches)) == len(batches) - 1


def test_the_end_of_an_epoch_is_a_place_to_seek(make):
    batches = make()
    batches.seek({"epoch": 1, "batch": len(batches)})
    with pytest.raises(StopIteration):
        next(batches)
    endless = make(repeat=True)
    endless.seek({"epoch": 1, "batch": len(batches)})
    assert endless.cursor == {"epoch": 2, "batch": 0}


def test_a_cursor_may_hold_integers_of_numpy(make):
    batches = make()
    batches.seek({"epoch": np.int32(1), "batch": np.array(2)})
    assert batches.cursor == {"epoch": 1, "batch": 2}
    json.dumps(batches.cursor)


def test_changing_a_cursor_does_not_move_the_iterator(make):
    batches = make()
    batches.cursor["batch"] = 2
    assert batches.cursor == {"epoch": 0, "batch": 0}


@pytest.mark.parametrize(
    "cursor",
    [
        *({}, {"epoch": 0}, {"epoch": 0, "batch": 0, "row": 0}, {"epoch": 0, "batch": 0.0}),
        *({"epoch": 0, "batch": True}, {"epoch": "0", "batch": 0}, ["epoch", "batch"], None),
    ],
)
def test_what_is_no_cursor_is_refused(make, untyped, cursor):
    name = type(make()).__name__
    message = f"{name}.seek: `cursor` must be {{'epoch': int, 'batch': int}}, but it is {cursor!r}."
    with pytest.raises(InputError, match=re.escape(message + "\n  Hint: use a saved `cursor`.")):
        make().seek(cursor)


@pytest.mark.parametrize(("epoch", "batch"), [(0, -1), (-1, 0), (2, 1000)])
def test_a_place_that_does_not_exist_is_refused(make, epoch, batch):
    batches = make()
    message = (
        f"`cursor` names batch {batch} of epoch {epoch}, and an epoch here has the batches 0 to "
        f"{len(batches) - 1}.\n  Hint: the cursor comes from other data or another batch size."
    )
    with pytest.raises(InputError, match=re.escape(message)):
        batches.seek({"epoch": epoch, "batch": batch})
    assert batches.cursor == {"epoch": 0, "batch": 0}
