"""A forecaster: one convention of indices, pads, strategies that agree, covariates, messages."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq import nn

HEADS = ("point", "quantile", "student_t", "mixture")
RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(3, 6, 2)).astype(np.float32)
KEY = jax.random.key(0)


def moved(model, seed=1):
    """The model with all its weights moved, so that nothing of it is at its start."""
    rng = np.random.default_rng(seed)

    def move(leaf):
        further = np.asarray(leaf) + 0.1 * rng.normal(size=leaf.shape)
        return jnp.asarray(further.astype(leaf.dtype))

    return nn.with_params(model, jax.tree.map(move, nn.pure(model).params))


@functools.cache
def forecaster(horizon=3, size=2, **settings):
    return nn.Forecaster(size, 4, horizon=horizon, rngs=KEY, **settings)


def run(model, *args, method="__call__", **given):
    """What a method of the model returns, compiled as a whole."""
    params, apply = nn.pure(model, method=method)
    if method == "sample":  # whose number is static
        args, (key, count) = args[2:], args[:2]
        return jax.jit(lambda p, *a, **g: apply(p, key, count, *a, **g))(params, *args, **given)
    return jax.jit(apply)(params, *args, **given)


# ----------------------------------------------------------------------------------- convention


@pytest.mark.parametrize(
    ("head", "differences"),
    [
        *((head, True) for head in HEADS),
        ("point", False),
        *(pytest.param(head, False, marks=pytest.mark.slow) for head in HEADS[1:]),
    ],
)
def test_a_series_of_constant_increments_is_continued_exactly(head, differences):
    # The mean of a mixture is itself rounded: of one component it is not.
    model = forecaster(head=head, differences=differences, components=1)
    series = np.arange(12.0, dtype=np.float32)[:, None] * np.array([3.0, -2.0], np.float32)
    read = series[:9]
    found = np.asarray(run(model, read).point())  # [T, H, N]
    targets = np.asarray(model.targets(jnp.asarray(series)))
    for t in range(1, 9):  # after the first step nobody knows the increment
        for h in range(3):
            assert (found[t, h] == series[t + 1 + h]).all()
            assert (targets[t, h] == series[t + 1 + h]).all()
    assert (np.asarray(run(model, read, method="forecast").point()) == series[9:12]).all()


def test_a_recursive_model_continues_a_line_exactly_too():
    model = forecaster(strategy="recursive")
    line = np.arange(9.0, dtype=np.float32)[:, None] * np.array([3.0, -2.0], np.float32)
    assert (run(model, line[:6], method="forecast").value == line[6:]).all()
    assert (run(model, line[:6]).value[1:, 0] == line[2:7]).all()


@pytest.mark.parametrize(("start", "differences"), [("level", True), ("level", False)])
def test_a_model_may_begin_at_the_last_value_or_at_nothing(start, differences):
    model = forecaster(start=start, differences=differences, lags=1)
    wanted = np.broadcast_to(VALUES[:, :, None], (3, 6, 3, 2))
    np.testing.assert_array_equal(run(model, VALUES).value, wanted)
    nothing = forecaster(start="zero", differences=False, lags=0)
    assert not np.asarray(run(nothing, VALUES).value).any()
    assert not np.asarray(run(nothing, VALUES, method="forecast").value).any()


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_with_differences_a_level_is_only_added(strategy):
    model = moved(forecaster(strategy=strategy))
    low, high = (run(model, VALUES + level, method="forecast").value for level in (0.0, 64.0))
    np.testing.assert_allclose(high - low, 64.0, rtol=1e-4)


# ----------------------------------------------------------------------------------- strategies


@pytest.mark.parametrize(
    "head", ["point", "student_t", *(pytest.param(h, marks=pytest.mark.slow) for h in HEADS[1::2])]
)
def test_direct_and_recursive_agree_one_step_ahead(head):
    direct = moved(forecaster(1, head=head, future_covariates=1))
    future = RNG.normal(size=(3, 7, 1)).astype(np.float32)
    again = forecaster(1, head=head, strategy="recursive", future_covariates=1)
    again = nn.with_params(again, nn.pure(direct).params)
    for call in ("__call__", "forecast"):
        pair = [run(model, VALUES, method=call, future=future) for model in (direct, again)]
        jax.tree.map(np.testing.assert_array_equal, *pair)
    far = forecaster(3, head="point", strategy="recursive", future_covariates=1)
    if head == "point":
        far = nn.with_params(far, nn.pure(direct).params)
        longer = np.concatenate([future, future[:, :2]], axis=1)
        first = run(far, VALUES, method="forecast", future=longer).value[:, :1]
        np.testing.assert_allclose(first, pair[0].value, rtol=1e-6)


def test_a_recursive_forecast_is_the_model_called_on_its_own_output():
    model = moved(forecaster(strategy="recursive", future_covariates=1, static_covariates=2))
    future = RNG.normal(size=(3, 9, 1)).astype(np.float32)
    static = RNG.normal(size=(3, 2)).astype(np.float32)
    found = run(model, VALUES, method="forecast", future=future, static=static).value
    read = VALUES
    for h in range(3):
        known = np.concatenate([future[:, : len(read[0]) + 1], np.zeros((3, 2, 1), np.float32)], 1)
        ahead = run(model, read, future=known, static=static).value[:, -1]
        np.testing.assert_allclose(ahead[:, 0], found[:, h], rtol=1e-5, atol=1e-6)
        read = np.concatenate([read, ahead], axis=1)


def test_the_last_step_of_a_call_is_the_forecast():
    model = moved(forecaster(head="mixture", past_covariates=1, future_covariates=2))
    told = {
        "past": RNG.normal(size=(3, 6, 1)).astype(np.float32),
        "future": RNG.normal(size=(3, 9, 2)).astype(np.float32),
    }
    every, last = run(model, VALUES, **told), run(model, VALUES, method="forecast", **told)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[:, -1], b, rtol=1e-5, atol=1e-6), every, last
    )


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_samples_are_those_of_the_forecast(strategy):
    model = moved(forecaster(1, head="student_t", strategy=strategy))
    drawn = run(model, jax.random.key(2), 3000, VALUES, method="sample")
    forecast = run(model, VALUES, method="forecast")
    wanted = jax.jit(forecast.quantiles)(np.float32([0.25, 0.5, 0.75]))
    found = np.moveaxis(np.quantile(np.asarray(drawn), [0.25, 0.5, 0.75], axis=0), 0, -1)
    np.testing.assert_allclose(found, wanted, atol=0.12)


def test_paths_of_a_random_walk_spread_with_the_root_of_time():
    model = forecaster(4, 1, head="student_t", strategy="recursive", start="level")
    given = (jax.random.key(3), 4000, np.zeros((1, 5, 1), np.float32))
    drawn = np.asarray(run(model, *given, method="sample"))
    spread = drawn[:, 0, :, 0].std(0)
    np.testing.assert_allclose(spread / spread[0], np.sqrt([1, 2, 3, 4]), rtol=0.1)


# ------------------------------------------------------------------------------------ padding


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_pads_never_matter(strategy):
    more = {} if strategy == "recursive" else {"past_covariates": 1}
    model = moved(forecaster(head="student_t", strategy=strategy, future_covariates=1, **more))
    lengths = np.array([6, 4, 0])
    mask = (np.arange(6) < lengths[:, None])[..., None]
    beyond = (np.arange(9) < lengths[:, None] + 3)[..., None]
    future = RNG.normal(size=(3, 9, 1)).astype(np.float32)
    past = RNG.normal(size=(3, 6, 1)).astype(np.float32)
    given = {"future": np.where(beyond, future, np.nan), "lengths": lengths}
    short = {"future": future[1:2, :7]}
    if strategy == "direct":
        given["past"], short["past"] = np.where(mask, past, np.nan), past[1:2, :4]
    holes = np.where(mask, VALUES, np.nan)

    def loss(params, values):
        forecast = nn.pure(model).apply(params, values, **given)
        targets = jnp.zeros((3, 6, model.steps, 2))
        kept = jnp.broadcast_to(jnp.asarray(mask)[..., None], targets.shape)
        return forecast.loss(targets, mask=kept).total, forecast

    slope = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))
    grads, every = slope(nn.pure(model).params, jnp.asarray(holes))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))
    assert not np.asarray(grads[1])[~np.broadcast_to(mask, VALUES.shape)].any()
    alone = run(model, VALUES[1:2, :4], **short)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[1:2, :4], b, rtol=1e-5, atol=1e-6), every, alone
    )
    key = jax.random.key(4)
    ends = run(model, key, 2, holes, method="sample", **given)
    assert np.isfinite(ends).all()
    if strategy == "direct":
        one = run(model, VALUES[1:2, :4], method="forecast", **short)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a[1:2], b, rtol=1e-5, atol=1e-6),
            run(model, holes, method="forecast", **given),
            one,
        )


def test_every_weight_gets_a_gradient():
    settings = {"past_covariates": 1, "future_covariates": 1, "static_covariates": 1}
    model = moved(forecaster(head="quantile", **settings))
    told = {
        "past": np.ones((3, 6, 1), np.float32),
        "future": RNG.normal(size=(3, 9, 1)).astype(np.float32),
        "static": np.ones((3, 1), np.float32),
    }
    params, apply = nn.pure(model)
    targets = jnp.asarray(RNG.normal(size=(3, 6, 3, 2)).astype(np.float32))
    grads = jax.jit(jax.grad(lambda p: apply(p, VALUES, **told).loss(targets).total))(params)
    assert all(np.asarray(leaf).any() for leaf in jax.tree.leaves(grads))


def test_dropout_needs_a_key_and_more_than_one_batch_axis_is_as_one():
    model = moved(forecaster(dropout=0.5))
    one = run(model, VALUES).value
    assert (run(model, VALUES, rngs=KEY).value != one).any()
    two = run(model, VALUES.reshape(3, 1, 6, 2)).value
    np.testing.assert_allclose(two[:, 0], one, rtol=1e-6)


def test_an_ensemble_is_a_vmap_over_weights():
    models = [moved(forecaster(), seed) for seed in (1, 2)]
    params = jax.tree.map(lambda *a: jnp.stack(a), *(nn.pure(model).params for model in models))
    apply = nn.pure(models[0], method="forecast").apply
    found = jax.jit(jax.vmap(apply, in_axes=(0, None)))(params, jnp.asarray(VALUES)).value
    for place, model in enumerate(models):
        one = run(model, VALUES, method="forecast").value
        np.testing.assert_allclose(found[place], one, rtol=1e-5, atol=1e-6)


# ----------------------------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"strategy": "both"}, '`strategy` must be one of "direct", "recursive", but it is'),
        ({"start": "mean"}, '`start` must be one of "trend", "level", "zero", but it is'),
        ({"head": "normal"}, '`head` must be one of "point", "quantile", "student_t", "mixture"'),
        ({"levels": (0.5, 0.1)}, r"`levels` must lie between 0 and 1, and grow, but they are"),
        ({"horizon": 0}, "`horizon` must be a positive integer, but it is 0"),
        ({"past_covariates": -1}, "`past_covariates` must be a positive integer, but it is -1"),
        ({"bidirectional": True}, "`bidirectional` is not possible: a backward direction reads"),
        ({"start": "zero"}, '`start="zero"` needs differences=False'),
        ({"lags": 0}, '`lags` must be at least 1 for start="trend" and differences=True'),
        ({"differences": False, "lags": 1}, '`lags` must be at least 2 for start="trend"'),
        (
            {"strategy": "recursive", "past_covariates": 2},
            "a recursive model cannot have past_covariates = 2: beyond the next step nobody",
        ),
    ],
)
def test_settings_that_do_not_fit_are_named(settings, problem, untyped):
    with pytest.raises(ValueError, match=f"Forecaster: {problem}"):
        nn.Forecaster(1, 2, rngs=KEY, **{"horizon": 2, **settings})


def test_inputs_that_do_not_fit_are_named(untyped):
    model = forecaster(future_covariates=1)
    future = np.zeros((3, 9, 1), np.float32)
    for call, problem in (
        (
            lambda: model(VALUES[..., :1], future=future),
            r"`values` must have shape \(\*batch, T, N",
        ),
        (lambda: model(VALUES), "`future` must be given: the model has future_covariates = 1"),
        (
            lambda: model(VALUES, future=future, past=VALUES),
            "`past` is given, but the model has no past_covariates",
        ),
        (
            lambda: model(VALUES, future=future[:, :6]),
            r"`future` must have shape \(\*batch, T \+ horizon, F\) = \(3, 9, 1\), but it has",
        ),
        (lambda: model.sample(KEY, 0, VALUES, future=future), "`count` must be a positive integer"),
    ):
        with pytest.raises(ValueError, match=problem):
            call()
    far = forecaster(head="student_t", strategy="recursive")
    with pytest.raises(ValueError, match="has no formula\\.\n  Hint: use sample"):
        far.forecast(VALUES)
