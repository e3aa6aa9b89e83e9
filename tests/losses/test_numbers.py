"""What stands behind the losses of numbers: harmless pads, and levels that are levels."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.losses._numbers import checked, checked_levels, summed


def test_pads_become_harmless_and_what_counts_stays():
    holes = np.array([1.0, np.nan], np.float32)
    found = checked(
        "f", holes, {"scale": holes}, lengths=None, mask=np.array([True, False]),
        positive=("scale",),
    )  # fmt: skip
    targets, valid, scale = found
    assert targets.tolist() == [1, 0] and scale.tolist() == [1, 1]
    assert summed(scale, valid) == (1.0, 1.0)


def test_the_widest_dtype_is_that_of_the_sums():
    half = np.ones(2, jnp.bfloat16)
    found = checked("f", half, {"x": np.ones(2, np.float32)}, lengths=None, mask=None)
    assert {array.dtype for array in (found[0], found[2])} == {jnp.dtype("float32")}


def test_levels_grow_between_0_and_1():
    assert checked_levels("f", np.array([0.1, 0.9])).tolist() == pytest.approx([0.1, 0.9])
    for levels, problem in (
        (np.array([0.5, 0.5]), "f: `levels` must lie between 0 and 1, and grow"),
        (np.array([[0.5]]), r"f: `levels` must have shape \(Q,\), but they have shape \(1, 1\)"),
        (np.array([]), r"f: `levels` must have shape \(Q,\)"),
    ):
        with pytest.raises(ValueError, match=problem):
            checked_levels("f", levels)
