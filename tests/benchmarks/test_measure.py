import gc

import pytest
from measure import geometric_mean, interleave, quartiles, ratio, seconds_of


def test_every_program_runs_once_a_round_whatever_the_order():
    calls = []
    programs = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    times = interleave(programs, rounds=3, seconds=0.0)
    assert [len(one) for one in times.values()] == [3, 3]
    # Once to learn how long it takes; then, being short, once untimed before each timed call.
    assert calls.count("a") == calls.count("b") == 1 + 2 * 3
    assert all(calls[i] == calls[i + 1] for i in range(2, len(calls), 2))


def test_rounds_go_on_until_the_seconds_have_passed_or_there_are_enough():
    assert len(interleave({"a": int}, rounds=1, seconds=60.0, most=4)["a"]) == 4


def test_the_collector_is_off_while_timing_and_on_again_after():
    seen = []
    interleave({"a": lambda: seen.append(gc.isenabled())}, rounds=1, seconds=0.0)
    assert seen[-1] is False
    assert gc.isenabled()


def test_a_result_is_freed_after_the_clock_has_stopped():
    assert seconds_of(lambda: [0]) >= 0


def test_quartiles_of_five_values_are_three_of_them():
    assert quartiles([5.0, 1.0, 4.0, 2.0, 3.0]) == [2.0, 3.0, 4.0]


def test_a_ratio_is_of_medians_between_the_quartiles_of_the_rounds():
    low, middle, high = ratio([1.0, 2.0, 3.0], [2.0, 4.0, 4.0])
    assert middle == 2.0 / 4.0
    assert (low, high) == (0.5, 0.625)


def test_a_ratio_lies_within_its_quartiles():
    low, middle, high = ratio([1.0, 1.0, 9.0, 9.0, 2.0], [1.0, 2.0, 3.0, 9.0, 9.0])
    assert low <= middle <= high


def test_twice_and_half_as_fast_make_one():
    assert geometric_mean([2.0, 0.5]) == pytest.approx(1.0)
