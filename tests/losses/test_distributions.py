"""Losses of forecasts: textbook values, pads, gradients, messages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.test_util import check_grads

from jaxseq import losses

RNG = np.random.default_rng(0)
SHAPE = (2, 5)
TARGETS = RNG.normal(size=SHAPE).astype(np.float32)
LOC = RNG.normal(size=SHAPE).astype(np.float32)
SCALE = RNG.uniform(0.5, 2, SHAPE).astype(np.float32)
DF = RNG.uniform(2.1, 9, SHAPE).astype(np.float32)
LEVELS = np.array([0.1, 0.5, 0.8], np.float32)
THREE = tuple(RNG.normal(size=(*SHAPE, 3)).astype(np.float32) for _ in range(3))
MIXTURE = (THREE[0], THREE[1], np.abs(THREE[2]) + 0.3)
LENGTHS = np.array([3, 0])
CASES = {
    "squared_error": (losses.squared_error, (LOC,), ()),
    "absolute_error": (losses.absolute_error, (LOC,), ()),
    "quantile_loss": (losses.quantile_loss, (THREE[0],), (LEVELS,)),
    "student_t_loss": (losses.student_t_loss, (LOC, SCALE, DF), ()),
    "gaussian_mixture_loss": (losses.gaussian_mixture_loss, MIXTURE, ()),
    "crps_quantiles": (losses.crps_quantiles, (THREE[0],), (LEVELS,)),
    "crps_samples": (losses.crps_samples, (THREE[0],), ()),
    "crps_student_t": (losses.crps_student_t, (LOC, SCALE, DF), ()),
    "crps_gaussian_mixture": (losses.crps_gaussian_mixture, MIXTURE, ()),
    "coverage": (losses.coverage, (LOC, LOC + SCALE), ()),
}
NO_GRADIENT = {"coverage", "crps_student_t"}


@pytest.mark.parametrize("name", CASES)
def test_lengths_and_masks_agree_and_pads_never_matter(name):
    loss, forecast, more = CASES[name]
    mask = np.arange(SHAPE[1]) < LENGTHS[:, None]
    inside = [np.where(mask if a.ndim == 2 else mask[..., None], a, np.nan) for a in forecast]
    targets = np.where(mask, TARGETS, np.nan)
    whole = jax.jit(loss)(*[a[:1, :3] for a in forecast], TARGETS[:1, :3], *more)
    for told in ({"lengths": LENGTHS}, {"mask": mask}):
        found = jax.jit(loss)(*inside, targets, *more, **told)
        np.testing.assert_allclose(found.total, whole.total, rtol=1e-5)
        assert found.count == 3


@pytest.mark.parametrize("name", sorted(CASES.keys() - NO_GRADIENT))
def test_the_gradient_of_what_is_padded_is_zero(name):
    loss, forecast, more = CASES[name]
    mask = np.arange(SHAPE[1]) < LENGTHS[:, None]
    inside = [np.where(mask if a.ndim == 2 else mask[..., None], a, np.nan) for a in forecast]

    @jax.jit
    def total(forecast):
        return loss(*forecast, np.where(mask, TARGETS, np.nan), *more, mask=mask).total

    for grad, array in zip(jax.grad(total)(inside), forecast, strict=True):
        kept = mask if array.ndim == 2 else np.broadcast_to(mask[..., None], array.shape)
        assert np.isfinite(grad).all() and not np.asarray(grad)[~kept].any()


@pytest.mark.parametrize("name", ["student_t_loss", "gaussian_mixture_loss"])
def test_the_gradients_of_likelihoods_are_those_of_differences(name):
    loss, forecast, _ = CASES[name]
    total = jax.jit(lambda *arrays: loss(*arrays, TARGETS).total)
    check_grads(total, tuple(map(jnp.asarray, forecast)), order=1, modes=["rev"], rtol=0.02)


def test_nothing_counted_is_a_mean_of_zero():
    loss, forecast, more = CASES["student_t_loss"]
    found = loss(*forecast, TARGETS, *more, lengths=np.array([0, 0]))
    assert losses.mean(found) == 0 and found.count == 0


def test_likelihoods_are_those_of_the_textbook():
    student = -scipy.stats.t.logpdf(TARGETS, DF, LOC, SCALE).sum()
    np.testing.assert_allclose(losses.student_t_loss(LOC, SCALE, DF, TARGETS).total, student, 1e-5)
    weights = np.exp(MIXTURE[0]) / np.exp(MIXTURE[0]).sum(-1, keepdims=True)
    density = (weights * scipy.stats.norm.pdf(TARGETS[..., None], *MIXTURE[1:])).sum(-1)
    found = losses.gaussian_mixture_loss(*MIXTURE, TARGETS).total
    np.testing.assert_allclose(found, -np.log(density).sum(), rtol=1e-5)


def test_the_quantile_loss_is_least_at_the_quantile():
    values = np.sort(RNG.normal(size=99)).astype(np.float32)
    for level in (0.1, 0.5, 0.9):
        levels = np.array([level], np.float32)
        totals = [
            float(losses.quantile_loss(np.full((99, 1), q), values, levels).total) for q in values
        ]
        assert int(np.argmin(totals)) == round(level * 99 - 0.5)


def test_half_precision_is_summed_in_float32():
    found = losses.squared_error(LOC.astype(jnp.bfloat16), TARGETS.astype(jnp.bfloat16))
    assert found.total.dtype == jnp.float32


def test_what_is_out_of_range_is_named():
    with pytest.raises(ValueError, match="student_t_loss: `scale` must be above 0, but there is 0"):
        losses.student_t_loss(LOC, 0 * SCALE, DF, TARGETS)
    with pytest.raises(ValueError, match="`levels` must lie between 0 and 1, and grow, but they"):
        losses.quantile_loss(THREE[0], TARGETS, LEVELS[::-1].copy())
    with pytest.raises(ValueError, match="crps_samples: `samples` must have at least 2 draws"):
        losses.crps_samples(THREE[0][..., :1], TARGETS)
    assert np.isnan(jax.jit(losses.student_t_loss)(LOC, -SCALE, DF, TARGETS).total)
    assert np.isnan(losses.crps_student_t(LOC, SCALE, DF / 9, TARGETS).total)


def test_shapes_and_types_that_do_not_fit_are_named(untyped):
    for call, kind, problem in (
        (lambda: losses.squared_error(LOC[0], TARGETS), ValueError, "`forecasts` must have shape"),
        (lambda: losses.squared_error(LOC[0, 0], TARGETS[0, 0]), ValueError, r"has shape \(\)"),
        (lambda: losses.squared_error(LOC, TARGETS.astype(int)), TypeError, "must be floating"),
        (
            lambda: losses.quantile_loss(THREE[0], TARGETS, LEVELS[:2]),
            ValueError,
            r"`levels` must have shape \(3,\), but they have shape \(2,\)",
        ),
        (
            lambda: losses.quantile_loss(THREE[0][..., :0], TARGETS, LEVELS),
            ValueError,
            r"`quantiles` must have shape \(\*batch, T, Q\) with Q at least 1",
        ),
        (
            lambda: losses.squared_error(LOC, TARGETS, lengths=LENGTHS, mask=TARGETS > 0),
            ValueError,
            "`lengths` and `mask` are both given",
        ),
    ):
        with pytest.raises(kind, match=problem):
            call()
