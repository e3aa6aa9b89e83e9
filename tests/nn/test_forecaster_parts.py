"""What stands where in time: lags, steps ahead, and the base that a model begins with."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.nn._forecaster_parts import ahead_of, lagged, starting_base


def test_steps_ahead_are_counted_from_the_next():
    found = ahead_of(jnp.arange(6.0)[:, None], 3, 2)[..., 0]
    assert found.tolist() == [[1, 2], [2, 3], [3, 4]]


@pytest.mark.parametrize(("repeat", "before"), [(True, 5.0), (False, 0.0)])
def test_lags_are_the_latest_first_and_something_stands_before_the_first(repeat, before):
    found = lagged(jnp.array([[5.0], [6.0], [7.0]]), 2, repeat=repeat)[..., 0]
    assert found.tolist() == [[5.0, before], [6.0, 5.0], [7.0, 6.0]]
    assert lagged(jnp.ones((3, 1)), 0, repeat=repeat).shape == (3, 0, 1)


@pytest.mark.parametrize("differences", [True, False])
def test_the_bases_begin_with_the_trend_the_level_or_nothing(differences):
    lags = np.array([2.0, 2.0, 2.0]) if differences else np.array([9.0, 7.0, 5.0])
    last = 9.0 if differences else 0.0
    for start, wanted in (("trend", [11.0, 13.0]), ("level", [9.0, 9.0])):
        weights = starting_base(start, 2, 3, differences=differences)
        assert (last + weights @ lags).tolist() == wanted
    assert not starting_base("zero", 2, 3, differences=False).any()
