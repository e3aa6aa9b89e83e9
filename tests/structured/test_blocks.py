"""Blocks of steps side by side find what one step after the other does."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.structured._blocks import total_of_blocks
from jaxseq.structured._exact import exact_total
from jaxseq.structured._partition import expected, log_partition, posterior
from jaxseq.structured._scaled import FEW_STATES, scale
from jaxseq.structured._scores import Scores

close = functools.partial(np.testing.assert_allclose, rtol=1e-11, atol=1e-11)


def scores_of(steps, form="one", states=3, far=0.0):
    rng = np.random.default_rng(steps)
    shape = {"one": (), "a row": (3,), "a step": (steps - 1, 3)}[form]
    transition = jnp.array(rng.normal(size=(*shape, states, states))).at[..., 0, 1].add(-far)
    emission = jnp.array(2 * rng.normal(size=(3, steps, states)))
    ends = jnp.array(rng.normal(size=(2, 3, states)))
    lengths = jnp.array([steps, max(steps // 2, 1), 1], jnp.int32)
    pads = np.arange(steps)[None, :, None] >= np.asarray(lengths)[:, None, None]
    return Scores(transition, jnp.where(pads, jnp.nan, emission), *ends, lengths)


def of_valid(scores, array):
    valid = np.arange(scores.sizes[0]) < np.asarray(scores.lengths)[:, None]
    return np.where(valid[..., None], array, 0)


@pytest.mark.parametrize(
    ("form", "states"),
    [("one", 3), ("one", FEW_STATES + 2), ("a row", 3), ("a row", FEW_STATES + 2), ("a step", 3)],
)
@pytest.mark.parametrize("steps", [1, 2, 31, 66])
def test_the_sum_is_that_in_logarithms(steps, form, states, x64):
    scores = scores_of(steps, form, states)
    both = jax.jit(lambda s: (total_of_blocks(scale(s.chain)), exact_total(s)))
    close(*both(scores))


@pytest.mark.parametrize("form", ["one", "a row", "a step"])
@pytest.mark.parametrize("far", [0.0, np.inf])
def test_what_is_expected_and_its_logarithm_are_those_step_by_step(form, far, x64):
    scores = scores_of(31, form, far=far)
    got, want = (posterior(name, scores) for name in ("associative", "sequential"))
    close(got.log_z, want.log_z)
    close(of_valid(scores, got.log_marginal), of_valid(scores, want.log_marginal))
    close(got.counts, want.counts)
    if form != "a step":
        jax.tree.map(
            close,
            *(
                jax.jit(functools.partial(expected, name))(scores)
                for name in ("associative", "sequential")
            ),
        )


def test_derivatives_of_the_second_order_are_those_step_by_step(x64):
    scores = scores_of(20)
    emission = jnp.nan_to_num(scores.emission)

    def slope(name, direction):
        def total(emission):
            return log_partition(name, scores._replace(emission=emission)).sum()

        return jax.jvp(jax.grad(total), (emission,), (direction,))[1]

    slopes = (jax.jit(functools.partial(slope, name)) for name in ("associative", "sequential"))
    close(*(of(jnp.cos(emission)) for of in slopes))


@pytest.mark.parametrize("far", [0.0, np.inf])
def test_a_row_without_a_path_has_none_in_blocks(far, x64):
    scores = scores_of(31, far=far)
    scores = scores._replace(emission=scores.emission.at[0, 9].set(-jnp.inf))
    found = posterior("associative", scores)
    assert found.log_z[0] == -np.inf
    assert np.all(np.isneginf(found.log_marginal[0]))
    np.testing.assert_array_equal(found.counts[0], 0)
    assert np.all(np.isfinite(found.log_z[1:]))


def test_memory_of_the_gradient_is_a_few_arrays_of_all_steps():
    # What is forbidden is checked in another branch, for which XLA reserves some more.
    shapes = [
        jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((2, 2), (1, 48_502, 2), (1, 2))
    ]

    def total(transition, emission, initial):
        return log_partition("associative", Scores(transition, emission, initial, None, None)).sum()

    compiled = jax.jit(jax.grad(total, 1)).lower(*shapes).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 10 * 4 * 48_502 * 2
