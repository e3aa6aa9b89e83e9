"""A forecaster with all that it takes to use it, how it is trained, and what it forecasts."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Float64, Int, Int32

from jaxseq import data, nn
from jaxseq._types import Array, Key, PyTree
from jaxseq.losses import SumCount
from jaxseq.recipes._directory import config_of, damaged, read_settings
from jaxseq.recipes._forecasting_config import TASK, Config
from jaxseq.recipes._forecasting_data import Series
from jaxseq.recipes._forecasting_scaling import Scaling, Sizes, restored, sizes_of
from jaxseq.recipes._run import initial_state, saved_params

LEVELS = np.arange(1, 40) / 40
"""Of the quantiles that are forecast: 0.025, 0.05, …, 0.975."""
LEAST_ROWS = 32
"""Windows are forecast in powers of two, at least so many, so that few shapes are compiled."""


class Functions(NamedTuple):
    """What a forecaster computes; all are pure functions of the params of one member.

    Attributes:
      call: ``(params, values, *, past, future, static, lengths, rngs)``: after every step.
      targets: ``(params, values)``: what came, in the same places.
      forecast: ``(params, values, *, past, future, static, lengths)``: after the last step.
      sample: ``(params, key, count, values, *, past, future, static, lengths)``.

    Example:
      >>> Functions._fields
      ('call', 'targets', 'forecast', 'sample')
    """

    call: Callable[..., Any]
    targets: Callable[..., Any]
    forecast: Callable[..., Any]
    sample: Callable[..., Any]


class Model(NamedTuple):
    """A forecaster with all that it takes to use it.

    Attributes:
      params: the weights; every leaf has an axis of members in front.
      functions: what a member computes.
      time: the name of the column of times.
      columns: the names of the values.
      scaling: of each series, by its name; of a single one that is empty.
      config: the settings that it was made with.

    Example:
      >>> Model._fields
      ('params', 'functions', 'time', 'columns', 'scaling', 'config')
    """

    params: PyTree
    functions: Functions
    time: str
    columns: tuple[str, ...]
    scaling: dict[str, Scaling]
    config: Config


class Forecasts(NamedTuple):
    """Forecasts of a series after some of its steps, in the unit of its values.

    ``value[o, h]`` is the forecast, made after reading step ``origins[o]``, of the value at step
    ``origins[o] + 1 + h``.

    Attributes:
      origins: ``[O]``.
      value: ``[O, H, N]``. Without a transform it is the mean of the forecast distribution (of
        quantiles: the median); with one, the mean of the quantiles, transformed back.
      quantiles: ``[O, H, N, Q]``, growing.
      levels: ``[Q]``: 0.025, 0.05, …, 0.975.

    Example:
      >>> Forecasts._fields
      ('origins', 'value', 'quantiles', 'levels')
    """

    origins: Int[np.ndarray, " O"]
    value: Float64[np.ndarray, "O H N"]
    quantiles: Float64[np.ndarray, "O H N Q"]
    levels: Float64[np.ndarray, " Q"]


def build(config: Config, time: str, columns: tuple[str, ...], scaling: dict[str, Scaling]) -> Any:
    """Returns a model with fresh weights.

    Args:
      config: the settings, none of which is left out.
      time: the name of the column of times.
      columns: the names of the values.
      scaling: of each series.

    Returns:
      A :class:`Model`.

    Raises:
      ValueError: if a setting is none that a network can have.

    Example:
      >>> from jaxseq.recipes import forecasting
      >>> from jaxseq.recipes._forecasting_config import resolved
      >>> from jaxseq.recipes._forecasting_scaling import Scaling
      >>> config = resolved(forecasting.Config(data="my.csv", members=2, hidden_size=4))
      >>> scaling = Scaling((0.0,), (1.0,), (), (), (), (), (1.0,), (1.0,))
      >>> model = forecasting.build(config, "day", ("rain",), {"": scaling})
      >>> model.params["outlook"]["out_bias"].shape  # members, horizon, numbers
      (2, 7, 3)
    """
    sizes, members = sizes_of(config, scaling), config.members or 1
    modules = [
        _module(config, sizes, key)
        for key in jax.random.split(jax.random.key(config.seed), members)
    ]
    names = ("__call__", "targets", "forecast", "sample")
    functions = Functions(*(nn.pure(modules[0], method=name).apply for name in names))
    trees = [nn.pure(module).params for module in modules]
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
    return Model(params, functions, time, tuple(columns), scaling, config)


def _module(config: Config, sizes: Sizes, key: Key) -> nn.Forecaster:
    given: Any = config  # in which no setting is None
    return nn.Forecaster(
        sizes.values,
        given.hidden_size,
        given.num_layers,
        horizon=given.horizon,
        strategy=given.strategy,
        head=given.head,
        levels=LEVELS.tolist(),
        components=given.components,
        past_covariates=sizes.past,
        future_covariates=sizes.future,
        static_covariates=sizes.static,
        lags=given.lags,
        differences=given.differences,
        start=given.start,
        cell=given.cell,
        dropout=given.dropout,
        rngs=key,
    )


def page_of(model: Model) -> dict[str, Any]:
    """Returns what a run writes beside its settings, so that its model can be built again."""
    scaling = {name: one._asdict() for name, one in model.scaling.items()}
    return {"time": model.time, "columns": list(model.columns), "scaling": scaling}


def load(directory: Path) -> Model:
    """Returns the model of a run, with its best weights.

    Args:
      directory: of the run.

    Returns:
      The model.

    Raises:
      InputError: if there is no run, or its settings or its checkpoint are damaged or of another
        model.

    Example:
      >>> load(Path("no/such/run"))
      Traceback (most recent call last):
        ...
      jaxseq._checks.InputError: recipes: no/such/run holds no run: there is no config.json in it.
        Hint: `python -m jaxseq train forecasting --out no/such/run` makes one.
    """
    directory = Path(directory)
    page = read_settings(directory, TASK)
    config = config_of(page, Config, directory)
    try:
        scaling = {
            name: Scaling(**{key: tuple(map(float, row)) for key, row in one.items()})
            for name, one in page["scaling"].items()
        }
        model = build(config, page["time"], tuple(page["columns"]), scaling)
    except (AttributeError, KeyError, TypeError, ValueError, StopIteration) as cause:
        raise damaged(directory, cause) from cause
    return model._replace(params=saved_params(directory, initial_state(config, model.params, 1)))


def parts_of(
    sizes: Sizes, window: int, numbers: Array
) -> tuple[Array, Array, Array, dict[str, Any]]:
    """Returns what encoded windows ``[B, S, C]`` hold.

    They are the values that are read, all values, whether these were there, and covariates.
    """
    ends = np.cumsum([sizes.values, sizes.values, sizes.past, sizes.future, sizes.static])
    blocks = [numbers[..., a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    given = {
        "past": blocks[2][..., :window, :] if sizes.past else None,
        "future": blocks[3] if sizes.future else None,
        "static": blocks[4][..., 0, :] if sizes.static else None,
    }
    return blocks[0][..., :window, :], blocks[0], blocks[1] > 0, given


def make_loss(model: Model) -> Callable[..., Any]:
    """Returns the loss on batches of encoded windows: a term for each value that is forecast.

    Steps in the first half of a window are read, but nothing forecast after them counts: in use
    there is always more to go by.
    """
    window, functions = model.config.window, model.functions
    sizes = sizes_of(model.config, model.scaling)
    assert window is not None and model.config.members is not None
    counted = np.arange(window) >= window // 2

    def loss(
        params: PyTree, carry: Any, batch: data.BucketBatch, key: Key | None
    ) -> tuple[SumCount, Any]:
        numbers = jnp.asarray(batch.values)
        read, values, there, given = parts_of(sizes, window, numbers)

        def member(params: PyTree, key: Key | None) -> tuple[Array, Array]:
            forecast = functions.call(params, read, rngs=key, **given)
            targets, known = (functions.targets(params, a) for a in (values, there))
            real = jnp.asarray(batch.lengths)[:, None] > 0
            kept = real & jnp.asarray(counted)[None]
            return tuple(forecast.loss(targets, mask=known & kept[..., None, None]))

        keys = None if key is None else jax.random.split(key, model.config.members or 1)
        totals, counts = jax.vmap(member, in_axes=(0, None if keys is None else 0))(params, keys)
        return SumCount(totals.sum(), counts.sum()), carry

    return loss


def windows_at(
    model: Model, encoded: Float32[np.ndarray, "S C"], origins: Int[np.ndarray, " O"]
) -> tuple[Float32[np.ndarray, "O R C"], Int32[np.ndarray, " O"]]:
    """Returns the windows that end at some steps, and how many steps of each are read.

    Of what comes after, there is only what is known beforehand.
    """
    window, horizon = model.config.window, model.config.horizon
    assert window is not None and horizon is not None
    sizes = sizes_of(model.config, model.scaling)
    hidden = 2 * sizes.values + sizes.past
    rows = np.zeros((len(origins), window + horizon, encoded.shape[1]), np.float32)
    lengths = np.minimum(origins + 1, window).astype(np.int32)
    for row, origin, length in zip(rows, origins, lengths, strict=True):
        steps = encoded[origin + 1 - length : origin + 1 + horizon]
        row[: len(steps)] = steps
        row[length:, :hidden] = 0
    return rows, lengths


def outlook(
    model: Model, series: Series, encoded: Float32[np.ndarray, "S C"], origins: Any
) -> Forecasts:
    """Returns what a model forecasts after some steps of a series: one call for all of them."""
    origins = np.asarray(origins, np.int64)
    rows, lengths = windows_at(model, encoded, origins)
    size = max(LEAST_ROWS, 1 << (len(origins) - 1).bit_length())
    more = size - len(origins)
    rows, lengths = np.pad(rows, ((0, more), (0, 0), (0, 0))), np.pad(lengths, (0, more))
    run = _compiled(model.functions, model.config, sizes_of(model.config, model.scaling))
    point, quantiles = (np.asarray(a)[: len(origins)] for a in run(model.params, rows, lengths))
    own = model.scaling[series.name]
    quantiles = restored(model.config, own, quantiles, axis=2)
    value = restored(model.config, own, point, axis=2)
    if model.config.transform != "none" and model.config.head != "point":
        value = quantiles.mean(-1)
    return Forecasts(origins, value, quantiles, LEVELS)


@functools.cache
def _compiled(functions: Functions, config: Config, sizes: Sizes) -> Callable[..., Any]:
    given: Any = config  # in which no setting is None
    drawn = given.strategy == "recursive" and given.head != "point" and given.horizon > 1
    levels = LEVELS.astype(np.float32)

    @jax.jit
    def run(params: PyTree, numbers: Array, lengths: Array) -> tuple[Array, Array]:
        read, _, _, covariates = parts_of(sizes, given.window, numbers)

        def member(params: PyTree, key: Key) -> tuple[Array, Array]:
            told = {"lengths": lengths, **covariates}
            if drawn:
                paths = functions.sample(params, key, given.samples, read, **told)
                return paths.mean(0), jnp.moveaxis(jnp.quantile(paths, levels, axis=0), 0, -1)
            forecast = functions.forecast(params, read, **told)
            return forecast.point(), forecast.quantiles(levels)

        keys = jax.random.split(jax.random.key(given.seed), given.members)
        points, quantiles = jax.vmap(member)(params, keys)
        return points.mean(0), quantiles.mean(0)

    return run
