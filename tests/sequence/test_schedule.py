"""The rule of the schedules by size, and schedules that are set by hand."""

import jax
import jax.numpy as jnp
import pytest

import jaxseq
from jaxseq.sequence._arguments import check_unroll
from jaxseq.sequence._schedule import (
    APART_FROM,
    FEW,
    FEW_TRAINED,
    LARGE,
    LONGEST,
    LONGEST_TRAINED,
    SHORTEST,
    SMALL,
    WINDOW,
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
LSTM, GRU, ELMAN = (
    {"additive": True, "gates": 4},
    {"additive": False, "gates": 3},
    {"additive": True, "gates": 1},
)


@pytest.mark.parametrize(
    ("steps", "window"),
    [(512, 64), (64, 32), (100, 50), (35, None), (38, 19), (16, 8), (15, None), (101, None)],
)
def test_a_window_is_the_longest_of_several_that_leaves_no_rest(steps, window):
    assert even_window(steps, 64) == window
    assert even_window(0, 64) is None
    assert even_window(steps, SHORTEST - 1) is None


@pytest.mark.parametrize("cell", [ELMAN, GRU, LSTM])
@pytest.mark.parametrize("batch", [1, FEW])
def test_of_few_rows_the_products_of_all_steps_are_one(batch, cell):
    assert choose_schedules(batch, 4096, 4 * 512 * 4, **cell) == Schedules(WHOLE, WHOLE)


@pytest.mark.parametrize("batch", [1, FEW])
def test_small_values_that_are_taken_apart_are_made_in_the_loop_if_nobody_keeps_them(batch):
    below, from_there = (
        choose_schedules(batch, 64, size, **GRU) for size in (APART_FROM - 1, APART_FROM)
    )
    assert (below, from_there) == (Schedules(IN_LOOP, WHOLE), Schedules(WHOLE, WHOLE))
    assert choose_schedules(batch, 64, 1, **LSTM) == Schedules(WHOLE, WHOLE)


@pytest.mark.parametrize("size", [1, LARGE])
def test_from_a_few_rows_on_the_products_stay_in_the_loop(size):
    several = choose_schedules(FEW + 1, 1, size, **GRU)
    assert several == Schedules(IN_LOOP, WHOLE), "where somebody differentiates, from a few more on"
    assert choose_schedules(FEW_TRAINED, 1, size, **GRU) == several
    assert choose_schedules(FEW_TRAINED + 1, 1, size, **GRU) == Schedules(IN_LOOP, IN_LOOP)


def test_with_one_gate_the_products_of_all_steps_are_one_of_any_number_of_rows():
    assert choose_schedules(64, 64, 1, **ELMAN).train == WHOLE
    large = choose_schedules(64, 512, LARGE // (64 * 512), **ELMAN)
    assert large.train == Schedule(hoist=True, window=LONGEST_TRAINED)


def test_an_additive_cell_that_nobody_differentiates_hoists_what_is_small():
    rows, steps = FEW_TRAINED + 1, 101
    size = SMALL // (rows * steps)
    assert choose_schedules(rows, steps, size, **LSTM) == Schedules(WHOLE, IN_LOOP)
    assert choose_schedules(rows, steps, size + 1, **LSTM).infer != WHOLE


def test_of_what_is_not_small_it_hoists_a_window_if_that_leaves_no_rest():
    for steps, infer in (
        (4 * LONGEST, Schedule(hoist=True, window=LONGEST)),
        (SHORTEST - 1, IN_LOOP),
        (101, IN_LOOP),  # a rest would be another loop to compile
    ):
        size = SMALL // (16 * steps) + 1
        assert choose_schedules(16, steps, size, **LSTM).infer == infer
        assert choose_schedules(16, steps, size, **GRU).infer == IN_LOOP


@pytest.mark.parametrize(
    ("held", "infer", "train", "infer_above", "train_above"),
    [(64, 32, 64, 32, 32), (16, 16, 16, 8, 8), (8, 8, 8, None, 8)],
)
def test_a_window_is_no_longer_than_the_cache_holds(held, infer, train, infer_above, train_above):
    size = WINDOW // (16 * held)
    above = (infer_above, train_above)
    for one, expected in ((size, (infer, train)), (size + 1, above)):
        found = choose_schedules(16, 4096, one, **LSTM)
        assert (found.infer.window, found.train.window) == expected
        assert found.infer.hoist == (found.infer.window is not None)


@pytest.mark.parametrize("cell", [GRU, LSTM])
def test_a_large_buffer_of_a_training_step_is_cut_into_windows(cell):
    longest, rows = LONGEST_TRAINED, 16
    size = LARGE // (rows * 8 * longest)
    below = choose_schedules(rows, 8 * longest, size - 1, **cell)
    above = choose_schedules(rows, 8 * longest, size, **cell)
    assert (below.train, above.train) == (IN_LOOP, Schedule(hoist=False, window=longest))
    assert below.infer == above.infer
    assert choose_schedules(rows, 101, LARGE, **cell).train == IN_LOOP
    shortest = choose_schedules(rows, 4096, LARGE, **cell)
    assert shortest == Schedules(IN_LOOP, Schedule(hoist=False, window=SHORTEST))


@pytest.mark.parametrize("cell", [ELMAN, GRU, LSTM])
def test_without_rows_there_is_a_schedule_too(cell):
    assert choose_schedules(0, 64, 4096, **cell).train == WHOLE


@pytest.mark.parametrize("additive", [False, True])
def test_on_an_accelerator_the_products_of_all_steps_are_one_of_any_number_of_rows(additive):
    rows = 64 * FEW
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
