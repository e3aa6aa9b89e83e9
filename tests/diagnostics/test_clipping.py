"""A run's clipping in numbers."""

import numpy as np
import pytest

from jaxseq import diagnostics


def test_it_counts_where_the_norm_became_smaller():
    norms = [0.5, 3.0, 4.0, 2.0, np.nan, 8.0, 1.0]
    found = diagnostics.clipping_report(norms, [0.5, 1.0, 1.0, 1.0, np.nan, 1.0, 1.0])
    assert (found.steps, found.skipped, found.longest) == (7, 1, 3)
    assert found.clipped == pytest.approx(4 / 7)
    assert found.kept == pytest.approx((1 / 3 + 1 / 4 + 1 / 2 + 1 / 8) / 4)
    np.testing.assert_allclose(
        found.quantiles, np.quantile([0.5, 3, 4, 2, 8, 1], [0, 0.25, 0.5, 0.75, 1])
    )
    assert str(found).startswith("clipped in 57.1% of 7 steps, to 30.2% of the norm")


def test_a_run_without_clipping_keeps_all():
    found = diagnostics.clipping_report([1.0, 2.0], [1.0, 2.0 * (1 - 1e-7)])
    assert (found.clipped, found.kept, found.longest) == (0.0, 1.0, 0)


def test_a_run_of_which_nothing_is_finite_is_told_too():
    found = diagnostics.clipping_report([np.inf], [np.inf])
    assert found.skipped == 1 and np.isnan(found.quantiles).all()


def test_wrong_use_is_said_plainly():
    with pytest.raises(ValueError, match=r"^clipping_report: there are no steps"):
        diagnostics.clipping_report([], [])
    with pytest.raises(
        ValueError, match=r"must have one number for each step, but they have shapes"
    ):
        diagnostics.clipping_report([1.0], [1.0, 2.0])
