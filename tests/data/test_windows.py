"""Language-model batches: every target once, rows that continue, static shapes."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxseq._checks import InputError
from jaxseq.data import WindowBatches


def epoch(ids, batch_size, window):
    return list(WindowBatches(ids, batch_size=batch_size, window=window))


def rows_of(batches, field):
    """The valid steps of every row, the batches put together again."""
    rows = [[] for _ in batches[0].lengths]
    for batch in batches:
        for row, values, length in zip(rows, getattr(batch, field), batch.lengths, strict=True):
            row.extend(values[:length].tolist())
    return rows


@st.composite
def cases(draw):
    count = draw(st.integers(2, 60))
    sizes = st.integers(1, count - 1)
    return np.arange(1, count + 1), draw(sizes), draw(sizes)


def test_a_text_becomes_these_batches():
    first, second = epoch(np.array([5, 6, 7, 8, 9, 10, 11, 12]), 2, 3)
    np.testing.assert_array_equal(first.inputs, [[5, 6, 7], [9, 10, 11]])
    np.testing.assert_array_equal(first.targets, [[6, 7, 8], [10, 11, 12]])
    np.testing.assert_array_equal(first.lengths, [3, 3])
    np.testing.assert_array_equal(first.starts, [True, True])
    np.testing.assert_array_equal(second.inputs, [[8, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(second.targets, [[9, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(second.lengths, [1, 0])
    np.testing.assert_array_equal(second.starts, [False, False])


@settings(deadline=None, max_examples=80)
@given(case=cases())
def test_every_target_occurs_exactly_once_and_in_order(case):
    ids, batch_size, window = case
    rows = rows_of(epoch(ids, batch_size, window), "targets")
    assert list(chain.from_iterable(rows)) == ids[1:].tolist()
    assert max(map(len, rows)) - min(map(len, rows)) <= 1


@settings(deadline=None, max_examples=80)
@given(case=cases())
def test_every_input_is_the_symbol_before_its_target(case):
    ids, batch_size, window = case
    batches = epoch(ids, batch_size, window)
    # The ids count up by one.
    assert list(chain.from_iterable(rows_of(batches, "inputs"))) == (ids[1:] - 1).tolist()


@settings(deadline=None, max_examples=80)
@given(case=cases())
def test_shapes_and_dtypes_never_change_and_padding_is_0(case):
    ids, batch_size, window = case
    batches = WindowBatches(ids, batch_size=batch_size, window=window)
    steps = np.arange(window)
    count = 0
    for count, batch in enumerate(batches, start=1):
        assert batch.inputs.shape == batch.targets.shape == (batch_size, window)
        assert batch.lengths.shape == batch.starts.shape == (batch_size,)
        dtypes = [field.dtype for field in batch]
        assert dtypes == [np.int32, np.int32, np.int32, np.bool_]
        pads = steps >= batch.lengths[:, None]
        assert not batch.inputs[pads].any()
        assert not batch.targets[pads].any()
        assert batch.starts.tolist() == [count == 1] * batch_size
        assert batch.lengths.max() > 0
    assert count == len(batches)


def test_only_the_last_two_batches_are_padded():
    batches = epoch(np.arange(1000), 7, 9)
    assert all((batch.lengths == 9).all() for batch in batches[:-2])


def test_repeating_begins_the_text_anew():
    batches = WindowBatches(np.arange(8), batch_size=2, window=3, repeat=True)
    first, second, third = next(batches), next(batches), next(batches)
    np.testing.assert_array_equal(first.inputs, third.inputs)
    assert third.starts.all() and not second.starts.any()
    assert batches.cursor == {"epoch": 1, "batch": 1}


def test_the_ids_may_be_a_list_or_any_integers():
    for ids in ([1, 2, 3], np.array([1, 2, 3], np.uint8)):
        batch = next(WindowBatches(ids, batch_size=1, window=2))
        assert batch.inputs.dtype == np.int32
        np.testing.assert_array_equal(batch.targets, [[2, 3]])


def test_changing_the_ids_afterwards_changes_nothing():
    ids = np.arange(5, dtype=np.int32)
    batches = WindowBatches(ids, batch_size=1, window=4)
    ids[:] = 9
    np.testing.assert_array_equal(next(batches).targets, [[1, 2, 3, 4]])


def test_a_text_of_exactly_one_window_is_enough():
    (batch,) = epoch(np.arange(4), 1, 3)
    np.testing.assert_array_equal(batch.targets, [[1, 2, 3]])


def test_a_text_shorter_than_one_window_is_refused():
    message = (
        r"^WindowBatches: the text has 9 symbols, so 8 to predict, fewer than `window` = 64\."
        r"\n  Hint: give more text, or a `window` of at most 8\.$"
    )
    with pytest.raises(InputError, match=message):
        WindowBatches(np.arange(9), batch_size=2, window=64)


def test_a_text_with_fewer_targets_than_rows_is_refused():
    message = r"fewer than `batch_size` = 16\.\n  Hint: give more text, or a `batch_size` of at mo"
    with pytest.raises(InputError, match=message):
        WindowBatches(np.arange(9), batch_size=16, window=4)


@pytest.mark.parametrize("count", [0, 1])
def test_a_text_with_nothing_to_predict_is_refused(count):
    message = rf"the text has {count} symbols, so 0 to predict, .*\n  Hint: give more text\.$"
    with pytest.raises(InputError, match=message):
        WindowBatches(np.arange(count), batch_size=1, window=1)


@pytest.mark.parametrize("name", ["batch_size", "window"])
def test_sizes_are_at_least_1(name):
    sizes = {"batch_size": 1, "window": 1} | {name: 0}
    with pytest.raises(ValueError, match=f"^WindowBatches: `{name}` must be at least 1, but it is"):
        WindowBatches(np.arange(9), **sizes)


def test_ids_are_integers_on_one_axis():
    with pytest.raises(ValueError, match=r"`ids` must have shape \(N,\), but it has shape \(1, 2"):
        WindowBatches(np.zeros((1, 2), int), batch_size=1, window=1)
    with pytest.raises(
        TypeError, match=r"`ids` must be integers, but they are float64\.\n  Hint: enc"
    ):
        WindowBatches(np.zeros(3), batch_size=1, window=1)
