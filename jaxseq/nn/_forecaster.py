"""A recurrent forecaster: what comes after each step of a series, and how sure that is."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Shaped

from jaxseq._checks import error, shape_text
from jaxseq._types import Array, ArrayLike, Key, Lengths
from jaxseq.nn._arguments import check_rates, check_sizes, draw_key
from jaxseq.nn._forecaster_heads import Forecast, PointForecast, checked_head
from jaxseq.nn._forecaster_parts import (
    Outlook,
    Past,
    Start,
    Strategy,
    ahead_of,
    beside,
    check_direction,
    check_settings,
    coming,
    covariates_of,
    lagged,
    repeated,
    starting_base,
)
from jaxseq.nn._reader import RECURRENT, check_cell, drop, without_pads
from jaxseq.sequence import last_pool

WHERE = "Forecaster"


class Forecaster(nnx.Module):
    r"""A recurrent forecaster: what the values of a series will be, after each of its steps.

    .. math:: \hat x_{t,h} = b_{t,h} + W_h \tanh(U s_t + F f_{t + 1 + h} + u_h) + w_h, \qquad
        s_t = \mathrm{layers}(x_1, \dots, x_t)

    **One convention of indices**: ``ys[..., t, h]`` is the forecast, made after reading step ``t``,
    of the value at step ``t + 1 + h``. :meth:`targets` puts what comes into the same places.

    The base :math:`b_{t,h}` is linear in the last values. Its weights are learnt, and ``start``
    says with what they begin; :math:`W` begins at 0, so it is what an untrained model forecasts:

    - ``"trend"``: that the last increment goes on, :math:`x_t + (h + 1)(x_t - x_{t-1})`. A series
      of constant increments is continued exactly;
    - ``"level"``: the last value, :math:`x_t`;
    - ``"zero"``: 0, which needs ``differences=False``.

    With ``differences`` layers and base read increments, and the forecast is what is added to
    :math:`x_t`: a series that lies higher has forecasts as much higher, after any training.
    Without, they read the values, so that a level may be returned to.

    The ``strategy`` is ``"direct"``: all horizons at once; or ``"recursive"``: one step, and what
    it gives is read as the next value, again and again. A recursive model has the weights of a
    direct one of horizon 1, and agrees with it there.

    Args:
      num_values: N, how many values a step has; each gets a forecast.
      hidden_size: H.
      num_layers: L.
      horizon: how many steps ahead.
      strategy: which of the above.
      head: ``"point"``, ``"quantile"``, ``"student_t"`` or ``"mixture"``: what a forecast is, a
        :class:`PointForecast` and so on.
      levels: of a quantile head.
      components: of a mixture.
      past_covariates: how many more numbers of a step are read, known when it is over. A recursive
        model has none: it would have to forecast them too.
      future_covariates: how many numbers of a step are known beforehand, such as its season.
      static_covariates: how many numbers a whole series has.
      lags: how many values, or increments, the base reads.
      differences: see above.
      start: see above.
      cell: ``"lstm"``, ``"gru"`` or ``"elman"``.
      dropout: rate, in [0, 1), on what the layers read, between them, and on what they give.
      param_dtype: of all weights. Forecasts are in float32 or better.
      rngs: an ``nnx.Rngs``, whose stream ``params`` (or ``default``) gives one key, or a key.
      **options: of the layers, as in :class:`LanguageModel`.

    Raises:
      ValueError: if a size, a rate, a name or a level is none of the above, there are too few
        ``lags`` for ``start``, a recursive model is to have past covariates, or the layers are to
        run both ways, which would read what is to be forecast.
      TypeError: as in :class:`LSTM`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq import nn
      >>> model = nn.Forecaster(1, 8, horizon=3, rngs=jax.random.key(0))
      >>> model.forecast(jnp.array([[1.0], [3.0], [5.0]])).value[:, 0].tolist()
      [7.0, 9.0, 11.0]

    References:
      Wen et al., "A Multi-Horizon Quantile Recurrent Forecaster", 2017 (direct, after every step);
      Salinas et al., "DeepAR: Probabilistic Forecasting with Autoregressive Recurrent Networks",
      International Journal of Forecasting 36(3), 2020 (recursive); Bishop, "Mixture Density
      Networks", 1994; Lai et al., "Modeling Long- and Short-Term Temporal Patterns with Deep Neural
      Networks", 2018 (the linear base).
    """

    def __init__(
        self,
        num_values: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        horizon: int,
        strategy: Strategy = "direct",
        head: Literal["point", "quantile", "student_t", "mixture"] = "point",
        levels: Sequence[float] = (0.1, 0.5, 0.9),
        components: int = 3,
        past_covariates: int = 0,
        future_covariates: int = 0,
        static_covariates: int = 0,
        lags: int = 2,
        differences: bool = True,
        start: Start = "trend",
        cell: Literal["lstm", "gru", "elman"] = "lstm",
        dropout: float = 0.0,
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs | Key,
        **options: Any,
    ):
        check_sizes(WHERE, num_values=num_values, horizon=horizon, components=components)
        check_rates(WHERE, dropout=dropout)
        check_cell(WHERE, cell)
        check_direction(WHERE, options)
        covariates = (past_covariates, future_covariates, static_covariates)
        check_settings(WHERE, strategy, covariates, lags, differences, start)
        self.num_values, self.horizon, self.strategy = num_values, horizon, strategy
        self.past, self.future, self.static = covariates
        self.lags, self.differences, self.dropout = lags, bool(differences), float(dropout)
        self.head = checked_head(WHERE, head, levels, components)
        keys = jax.random.split(draw_key(WHERE, rngs, "params"), 3)
        self.rnn = RECURRENT[cell](
            num_values + sum(covariates),
            hidden_size,
            num_layers,
            dropout=dropout,
            param_dtype=param_dtype,
            rngs=keys[0],
            **options,
        )
        self.outlook = Outlook(
            starting_base(start, self.steps, lags, differences=self.differences),
            (self.rnn.output_size, hidden_size, future_covariates, num_values),
            self.head,
            differences=self.differences,
            param_dtype=param_dtype,
            keys=keys[1:],
        )

    @property
    def steps(self) -> int:
        """How many steps ahead the head looks: ``horizon`` of a direct model, 1 of a recursive."""
        return self.horizon if self.strategy == "direct" else 1

    def __call__(
        self,
        values: Float[ArrayLike, "*batch T N"],
        *,
        past: Float[ArrayLike, "*batch T P"] | None = None,
        future: Float[ArrayLike, "*batch S F"] | None = None,
        static: Float[ArrayLike, "*batch C"] | None = None,
        lengths: Lengths | None = None,
        rngs: nnx.Rngs | Key | None = None,
        **settings: Any,
    ) -> Forecast:
        """Returns the forecasts after every step, which a model is trained on.

        Args:
          values: the series, ``[*batch, T, N]``; what is in the pads never matters.
          past: covariates of the same steps, ``[*batch, T, P]``.
          future: covariates of these and the next ``horizon`` steps, ``[*batch, T + horizon, F]``;
            of a row of length n, the first n + horizon.
          static: covariates of each series, ``[*batch, C]``.
          lengths: how many steps of each row are valid, ``[*batch]``.
          rngs: for dropout, as in a call of :class:`LSTM`; None for evaluation.
          **settings: ``backend``, ``remat`` and ``unroll``, as in :func:`jaxseq.scan`.

        Returns:
          The forecast of each value, ``[*batch, T, steps, N]``: of all horizons, or of a recursive
          model the next step. Those at padded steps mean nothing.

        Raises:
          ValueError: if a shape does not fit, or covariates are missing or not expected; and all of
            a call of :class:`LSTM`.
          TypeError: as in a call of :class:`LSTM`.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> from jaxseq import nn
          >>> model = nn.Forecaster(2, 4, horizon=3, head="student_t", rngs=jax.random.key(0))
          >>> forecast = model(jnp.ones((5, 7, 2)), lengths=jnp.array([7, 6, 2, 1, 0]))
          >>> forecast.loc.shape
          (5, 7, 3, 2)
        """
        past_steps, _, future = self._read(values, past, future, static, lengths, rngs, settings)
        ahead = None if future is None else ahead_of(future, values.shape[-2], self.steps)
        return self.outlook(past_steps, ahead)

    def targets(self, values: Shaped[Array, "*batch S N"]) -> Shaped[Array, "*batch T K N"]:
        """Returns what the forecasts after each step are of: ``[..., t, h]`` is step t + 1 + h.

        Args:
          values: of the steps read and the ``horizon`` after them, ``[*batch, T + horizon, N]``.

        Returns:
          ``[*batch, T, steps, N]``.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> from jaxseq import nn
          >>> model = nn.Forecaster(1, 4, horizon=2, rngs=jax.random.key(0))
          >>> model.targets(jnp.arange(5.0)[:, None])[..., 0].tolist()
          [[1.0, 2.0], [2.0, 3.0], [3.0, 4.0]]
        """
        return ahead_of(values, values.shape[-2] - self.horizon, self.steps)

    def forecast(
        self,
        values: Float[ArrayLike, "*batch T N"],
        *,
        past: Float[ArrayLike, "*batch T P"] | None = None,
        future: Float[ArrayLike, "*batch S F"] | None = None,
        static: Float[ArrayLike, "*batch C"] | None = None,
        lengths: Lengths | None = None,
    ) -> Forecast:
        """Returns the forecast of the next ``horizon`` steps after each series.

        Args:
          values: as in a call, and so on.
          past: see there.
          future: see there.
          static: see there.
          lengths: as in a call; a row of length 0 gets what the model says of a series of zeros.

        Returns:
          The forecast of each value, ``[*batch, horizon, N]``.

        Raises:
          ValueError: as in a call; and if the model is recursive, its head is a distribution and
            the horizon more than 1: what it says of later steps is only known by samples.
          TypeError: as in a call.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> from jaxseq import nn
          >>> settings = {"horizon": 3, "strategy": "recursive", "start": "level"}
          >>> model = nn.Forecaster(1, 4, **settings, rngs=jax.random.key(0))
          >>> model.forecast(jnp.array([[1.0], [3.0]])).value[:, 0].tolist()
          [3.0, 3.0, 3.0]
        """
        if self.steps < self.horizon and self.head.name != "point":
            raise error(
                f"{WHERE}.forecast",
                f'what a recursive model with head="{self.head.name}" says of horizon = '
                f"{self.horizon} steps has no formula",
                hint='use sample, or strategy="direct"',
            )
        past_steps, carry, future = self._ends(values, past, future, static, lengths)
        if self.steps == self.horizon:
            return self.outlook(past_steps, future)
        return PointForecast(self._follow(past_steps, carry, future, static, lambda f, _: f.value))

    def sample(
        self,
        key: Key,
        count: int,
        values: Float[ArrayLike, "*batch T N"],
        *,
        past: Float[ArrayLike, "*batch T P"] | None = None,
        future: Float[ArrayLike, "*batch S F"] | None = None,
        static: Float[ArrayLike, "*batch C"] | None = None,
        lengths: Lengths | None = None,
    ) -> Float[Array, "count *batch horizon N"]:
        """Returns draws of the next ``horizon`` steps after each series.

        Those of a recursive model are paths: each step is drawn after the ones before it. Those of
        a direct model are draws of each step alone.

        Args:
          key: what they depend on.
          count: how many.
          values: as in a call, and so on.
          past: see there.
          future: see there.
          static: see there.
          lengths: as in :meth:`forecast`.

        Returns:
          ``[count, *batch, horizon, N]``.

        Raises:
          ValueError: as in a call, or if ``count`` is below 1.
          TypeError: as in a call.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> from jaxseq import nn
          >>> settings = {"horizon": 3, "strategy": "recursive", "head": "student_t"}
          >>> model = nn.Forecaster(1, 4, **settings, rngs=jax.random.key(0))
          >>> model.sample(jax.random.key(1), 100, jnp.ones((5, 7, 1))).shape
          (100, 5, 3, 1)
        """
        check_sizes(f"{WHERE}.sample", count=count)
        past_steps, carry, future = self._ends(values, past, future, static, lengths)

        repeat = functools.partial(repeated, count=count)
        past_steps = Past(*map(repeat, past_steps))
        future = None if future is None else repeat(future)
        if self.steps == self.horizon:
            return self.outlook(past_steps, future).sample(key)
        static = None if static is None else repeat(jnp.asarray(static))
        carry = jax.tree.map(functools.partial(repeat, axis=1), carry)
        keys = jax.random.split(key, self.horizon)
        return self._follow(past_steps, carry, future, static, lambda f, h: f.sample(keys[h]))

    def _ends(
        self, values: Any, past: Any, future: Any, static: Any, lengths: Any
    ) -> tuple[Past, Any, Array | None]:
        """Returns what is known after each series, and the covariates of the steps to come."""
        known, carry, future = self._read(values, past, future, static, lengths, None, {})
        lags = jnp.moveaxis(known.lags, -2, 0)
        state, last = (last_pool(array, lengths=lengths) for array in known[:2])
        ends = [last_pool(lag, lengths=lengths) for lag in lags]
        none = jnp.zeros((*last.shape[:-1], 0, self.num_values), last.dtype)
        known = Past(state, last, jnp.stack(ends, axis=-2) if ends else none)
        return known, carry, None if future is None else coming(future, self.horizon, lengths)

    def _read(
        self,
        values: Any,
        past: Any,
        future: Any,
        static: Any,
        lengths: Any,
        rngs: Any,
        settings: dict[str, Any],
    ) -> tuple[Past, Any, Array | None]:
        """Runs the layers, and returns what is known after each step, the carry and ``future``."""
        values = jnp.asarray(values)
        if values.ndim < 2 or values.shape[-1] != self.num_values:
            raise error(
                WHERE,
                f"`values` must have shape (*batch, T, N) with N = num_values = {self.num_values}, "
                f"but they have shape {shape_text(values.shape)}",
            )
        *batch, steps, _ = values.shape
        beyond = None if lengths is None else jnp.asarray(lengths, jnp.int32) + self.horizon
        values = without_pads(WHERE, values, lengths, features=True)
        past = covariates_of(WHERE, "past", past, (*batch, steps, self.past), lengths)
        shape = (*batch, steps + self.horizon, self.future)
        future = covariates_of(WHERE, "future", future, shape, beyond)
        static = covariates_of(WHERE, "static", static, (*batch, self.static), None)
        signal = values
        if self.differences:
            signal = jnp.diff(values, axis=-2, prepend=values[..., :1, :])
            signal = without_pads(WHERE, signal, lengths, features=True)
        each = None if static is None else jnp.repeat(static[..., None, :], steps, axis=-2)
        soon = None if future is None else future[..., 1 : steps + 1, :]
        keys = [None, None, None]
        if rngs is not None and (self.dropout or self.rnn.input_dropout or self.rnn.state_dropout):
            keys = list(jax.random.split(draw_key(WHERE, rngs, "dropout"), 3))
        xs = drop(keys[0], self.dropout, beside(signal, past, soon, each))
        carry, ys = self.rnn(xs, lengths=lengths, rngs=keys[1], **settings)
        lags = lagged(signal, self.lags, repeat=not self.differences)
        return Past(drop(keys[2], self.dropout, ys), values, lags), carry, future

    def _follow(
        self,
        past: Past,
        carry: Any,
        future: Array | None,
        static: Any,
        choose: Callable[[Any, Array], Array],
    ) -> Float[Array, "*lead horizon N"]:
        """Returns the steps that come of reading what is chosen as the next value."""
        static = None if static is None else jnp.asarray(static)

        def body(state: tuple[Past, Any], h: Array) -> tuple[tuple[Past, Any], Array]:
            past, carry = state
            soon = None if future is None else future[..., h, :]
            forecast = self.outlook(past, None if soon is None else soon[..., None, :])
            value = choose(forecast, h)[..., 0, :].astype(past.last.dtype)
            signal = value - past.last if self.differences else value
            # After the last step nothing is read, so it does not matter what it would be.
            then = None if future is None else future[..., jnp.minimum(h + 1, self.horizon - 1), :]
            carry, y = self.rnn.step(carry, beside(signal, None, then, static))
            lags = jnp.concatenate([signal[..., None, :], past.lags], axis=-2)
            return (Past(y, value, lags[..., : self.lags, :]), carry), value

        _, values = jax.lax.scan(body, (past, carry), jnp.arange(self.horizon))
        return jnp.moveaxis(values, 0, -2)
