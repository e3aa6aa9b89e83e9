"""Heads of a forecaster: what each says, its loss, its quantiles and its draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq import losses, nn
from jaxseq.nn._forecaster_heads import HEADS, checked_head

RNG = np.random.default_rng(0)
LEVELS = (0.1, 0.25, 0.5, 0.9)
NUMBERS = {
    name: jnp.asarray(
        RNG.normal(size=(2, 3, checked_head("f", name, LEVELS, 2).size)).astype(np.float32)
    )
    for name in HEADS
}
BASE = jnp.asarray(RNG.normal(size=(2, 3)).astype(np.float32))


def read(name):
    return checked_head("f", name, LEVELS, 2).read(NUMBERS[name], BASE)


@pytest.mark.parametrize("name", HEADS)
def test_an_untrained_head_leaves_the_base_where_it_is(name):
    head = checked_head("f", name, LEVELS, 3)
    numbers = jnp.broadcast_to(jnp.asarray(head.bias(), jnp.float32), (2, 3, head.size))
    np.testing.assert_allclose(head.read(numbers, BASE).point(), BASE, atol=1e-6)


@pytest.mark.parametrize("name", HEADS)
def test_quantiles_grow_and_draws_have_them(name):
    forecast = read(name)
    found = np.asarray(jax.jit(forecast.quantiles)(jnp.asarray(LEVELS)))
    assert found.shape == (2, 3, 4) and (np.diff(found) >= 0).all()
    keys = jax.random.split(jax.random.key(1), 4000)
    drawn = np.asarray(jax.jit(jax.vmap(forecast.sample))(keys))
    assert drawn.shape == (4000, 2, 3)
    np.testing.assert_allclose(np.quantile(drawn, 0.5, axis=0), found[..., 2], atol=0.2)


def test_losses_are_those_of_the_room_of_losses():
    targets, mask = BASE + 0.5, np.array([[True, True, False], [False, True, True]])
    point, quantile, student, mixture = map(read, HEADS)
    assert isinstance(quantile, nn.QuantileForecast) and isinstance(student, nn.StudentTForecast)
    for forecast, loss in (
        (point, losses.squared_error(point.value, targets, mask=mask)),
        (quantile, losses.quantile_loss(quantile.values, targets, quantile.levels, mask=mask)),
        (student, losses.student_t_loss(*student, targets, mask=mask)),
        (mixture, losses.gaussian_mixture_loss(*mixture, targets, mask=mask)),
    ):
        assert forecast.loss(targets, mask=mask) == loss and loss.count == 4


def test_scales_are_above_0_and_tails_have_a_variance():
    head = checked_head("f", "student_t", LEVELS, 1)
    forecast = head.read(jnp.full((1, 3), -1e4), jnp.zeros(1))
    assert forecast.scale > 0 and forecast.df >= 2


def test_quantiles_lie_on_lines_between_the_levels_and_are_the_outermost_beyond():
    values, levels = jnp.array([[1.0, 2.0, 5.0]]), jnp.array([0.1, 0.5, 0.9])
    forecast = nn.QuantileForecast(values, levels)
    found = forecast.quantiles(jnp.array([0.01, 0.3, 0.7, 0.99]))
    np.testing.assert_allclose(found, [[1.0, 1.5, 3.5, 5.0]], rtol=1e-6)
    alone = nn.QuantileForecast(values[:, :1], levels[:1])
    assert alone.quantiles(levels).tolist() == [[1.0, 1.0, 1.0]] and alone.point() == 1


def test_the_point_of_a_mixture_is_its_mean():
    logits = jnp.log(jnp.array([[0.25, 0.75]]))
    forecast = nn.MixtureForecast(logits, jnp.array([[0.0, 4.0]]), jnp.ones((1, 2)))
    np.testing.assert_allclose(forecast.point(), [3.0], rtol=1e-6)
