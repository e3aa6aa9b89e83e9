"""The tasks of memory: examples against definitions written out, and what guessing is worth."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.recipes._memory_tasks import (
    BLANK,
    DELIMITER,
    TASKS,
    adding,
    copy_memory,
    guessing,
    not_recalled,
    squared_error,
)


def test_one_number_of_each_half_is_marked_and_their_sum_is_asked_for():
    inputs, targets = adding(np.random.default_rng(1), 50, 7)
    for row, target in zip(inputs, targets, strict=True):
        (first, second) = np.flatnonzero(row[:, 1])
        assert first < 3 <= second and set(row[:, 1]) == {0.0, 1.0}
        assert target == row[first, 0] + row[second, 0]
    assert inputs.dtype == targets.dtype == np.float32


def test_who_always_says_1_has_the_variance_of_the_sum():
    _, targets = adding(np.random.default_rng(2), 20_000, 10)
    assert TASKS["adding"].guess_loss(10) == pytest.approx(np.mean((targets - 1) ** 2), rel=0.03)


@pytest.mark.parametrize("length", [1, 2, 6])
def test_what_was_shown_is_asked_for_again_after_the_blanks(length):
    inputs, targets = copy_memory(np.random.default_rng(3), 4, length)
    symbols = inputs.argmax(-1)
    assert inputs.shape == (4, length + 20, 10) and (inputs.sum(-1) == 1).all()
    for shown, asked in zip(symbols, targets, strict=True):
        assert shown[:10].max() < BLANK and list(shown[:10]) == list(asked[-10:])
        assert list(shown[10:]) == [BLANK] * (length - 1) + [DELIMITER] + [BLANK] * 10
        assert list(asked[:-10]) == [BLANK] * (length + 10)


def test_guessing_the_symbols_costs_their_entropy_spread_over_the_steps():
    assert guessing(100) == pytest.approx(10 * math.log(8) / 120)


def test_only_the_last_output_counts_in_adding():
    outputs = jnp.array([[[9.0], [1.0]], [[9.0], [0.5]]])
    total, count = squared_error(outputs, jnp.array([1.5, 0.5]))
    assert (float(total), float(count)) == (0.25, 2.0)


def test_only_the_recall_counts_as_an_error_of_copying():
    _, targets = copy_memory(np.random.default_rng(4), 2, 3)
    outputs = np.eye(9, dtype=np.float32)[targets]
    outputs[:, :-10] = 0.0  # wrong before the recall
    outputs[0, -1] = np.eye(9)[(targets[0, -1] + 1) % 8]
    total, count = not_recalled(jnp.asarray(outputs), jnp.asarray(targets))
    assert (float(total), float(count)) == (1.0, 20.0)
