"""The rule of the schedules by size, and schedules that are set by hand."""

import jax
import jax.numpy as jnp
import pytest

import jaxseq
from jaxseq.sequence._arguments import check_unroll
from jaxseq.sequence._schedule import (
    APART_FROM,
    HOIST_UP_TO,
    INFER_WINDOWS,
    LARGE,
    SMALL,
    TRAIN_WINDOWS,
    Schedule,
    Schedules,
    choose_schedules,
    choose_unroll,
    even_window,
    overridden,
    override,
)

WHOLE = Schedule(hoist=True)
IN_LOOP = Schedule(hoist=False)


@pytest.mark.parametrize(
    ("steps", "window"),
    [(512, 64), (64, 32), (100, 50), (35, None), (38, 19), (16, None), (101, None), (0, None)],
)
def test_a_window_is_the_longest_of_several_that_leaves_no_rest(steps, window):
    assert even_window(steps, range(64, 15, -1)) == window


@pytest.mark.parametrize("additive", [False, True])
@pytest.mark.parametrize("batch", [1, HOIST_UP_TO])
def test_of_few_rows_the_products_of_all_steps_are_one(batch, additive):
    schedules = choose_schedules(batch, 4096, 4 * 512 * 4, additive=additive, gates=3)
    assert schedules == Schedules(WHOLE, WHOLE)


@pytest.mark.parametrize("batch", [1, HOIST_UP_TO])
def test_small_values_that_are_taken_apart_are_made_in_the_loop(batch):
    below, from_there = (
        choose_schedules(batch, 64, size, additive=False, gates=3)
        for size in (APART_FROM - 1, APART_FROM)
    )
    assert (below, from_there) == (Schedules(IN_LOOP, IN_LOOP), Schedules(WHOLE, WHOLE))
    assert choose_schedules(batch, 64, 1, additive=True, gates=4) == Schedules(WHOLE, WHOLE)


@pytest.mark.parametrize("size", [1, LARGE])
def test_from_a_few_rows_on_the_products_stay_in_the_loop(size):
    schedules = choose_schedules(HOIST_UP_TO + 1, 1, size, additive=False, gates=3)
    assert schedules == Schedules(IN_LOOP, IN_LOOP)


def test_an_additive_cell_that_nobody_differentiates_hoists_what_is_small():
    rows, steps = HOIST_UP_TO + 1, 101
    size = SMALL // (rows * steps)
    schedules = choose_schedules(rows, steps, size, additive=True, gates=4)
    assert schedules == Schedules(WHOLE, IN_LOOP)
    one_gate = choose_schedules(rows, steps, size, additive=True, gates=1)
    assert one_gate == Schedules(WHOLE, WHOLE)
    assert choose_schedules(rows, steps, size + 1, additive=True, gates=4).infer != WHOLE


def test_of_what_is_not_small_it_hoists_a_window_if_that_leaves_no_rest():
    longest = INFER_WINDOWS[0]
    for steps, infer in (
        (4 * longest, Schedule(hoist=True, window=longest)),
        (INFER_WINDOWS[-1] - 1, IN_LOOP),
        (101, IN_LOOP),  # a rest would be another loop to compile
    ):
        size = SMALL // (16 * steps) + 1
        assert choose_schedules(16, steps, size, additive=True, gates=4).infer == infer
        assert choose_schedules(16, steps, size, additive=False, gates=3).infer == IN_LOOP


@pytest.mark.parametrize("additive", [False, True])
def test_a_large_buffer_of_a_training_step_is_cut_into_windows(additive):
    longest, rows = TRAIN_WINDOWS[0], 16
    size = LARGE // (rows * 4 * longest)
    below = choose_schedules(rows, 4 * longest, size - 1, additive=additive, gates=3)
    above = choose_schedules(rows, 4 * longest, size, additive=additive, gates=3)
    assert (below.train, above.train) == (IN_LOOP, Schedule(hoist=False, window=longest))
    assert below.infer == above.infer
    assert choose_schedules(rows, 101, LARGE, additive=additive, gates=3).train == IN_LOOP


@pytest.mark.parametrize("additive", [False, True])
def test_on_an_accelerator_the_products_of_all_steps_are_one_of_any_number_of_rows(additive):
    rows = 64 * HOIST_UP_TO
    schedules = choose_schedules(rows, 4096, LARGE, additive=additive, gates=3, platform="gpu")
    assert schedules == Schedules(WHOLE, WHOLE)


@pytest.mark.parametrize(("platform", "steps"), [("cpu", 1), ("gpu", 8), ("tpu", 8)])
def test_an_iteration_has_as_many_steps_as_suit_the_device(platform, steps, monkeypatch):
    assert choose_unroll(platform) == steps
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    assert check_unroll("scan", None, "fused") == check_unroll("scan", None, "auto") == steps
    assert check_unroll("scan", None, "reference") == 1, "the specification is the plain loop"
    assert check_unroll("scan", 3, "auto") == check_unroll("scan", 3, "reference") == 3


def test_schedules_are_set_by_hand_for_what_begins_inside_alone():
    assert overridden() is None
    with override(WHOLE, IN_LOOP):
        assert overridden() == Schedules(WHOLE, IN_LOOP)
        with override(IN_LOOP, WHOLE):
            assert overridden() == Schedules(IN_LOOP, WHOLE)
        assert overridden() == Schedules(WHOLE, IN_LOOP)
    assert overridden() is None


def stopped():
    with override(WHOLE, WHOLE):
        raise KeyboardInterrupt


def test_an_error_inside_leaves_no_schedule_behind():
    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert overridden() is None


def products_in_loops(schedule):
    """How many products stand in the loops of a scan that nobody differentiates."""
    cell = jaxseq.gru(2, 3)
    params = jax.eval_shape(cell.init, jax.random.key(0))
    with override(schedule, schedule):
        text = str(
            jax.make_jaxpr(lambda params: jaxseq.scan(cell, params, jnp.ones((4, 5, 2))))(params)
        )
    return text.count("dot_general"), text.count("scan[")


def test_a_schedule_moves_the_inputs_product_out_of_the_loop_or_into_windows():
    """Two products and one loop; a rest of a window is another loop, in which both are again."""
    assert products_in_loops(WHOLE) == products_in_loops(IN_LOOP) == (2, 1)
    assert products_in_loops(Schedule(hoist=True, window=2)) == (4, 3)
    assert products_in_loops(Schedule(hoist=True, window=5)) == (2, 1)
