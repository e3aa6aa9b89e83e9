# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 10 Forecasting (시계열 예측)
#
# Section 7.1 of the chapter names stock prices (주가) and the weather (날씨) first among its
# sequences. After this notebook you can forecast a time series (시계열) with a recurrent network,
# say how sure the forecast is, and measure both so that a sceptic believes you: beside simple
# forecasts, on data that nothing was fitted to, with every index in its place.

# %%
import contextlib
import io
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from jaxseq import data, losses, nn, training
from jaxseq.recipes import forecasting

plt.style.use("jaxseq.pictures")

# %% [markdown]
# ## One convention of indices
#
# A forecast is *of* a step, made *after* another step, some steps ahead. Off by one in any of
# these, and a model looks brilliant, or useless. Here it is always
#
# $$\hat x_{t,h} \text{ is made after reading step } t, \text{ of the value at step } t + 1 + h.$$
#
# `nn.Forecaster` reads a series and gives `ys[..., t, h]`, after every step at once; `targets`
# puts what comes into the same places. An untrained one goes on with the last increment, so there
# is a case that anybody can check: a series of constant increments is continued exactly.

# %%
line = 3.0 + 2.0 * np.arange(12.0, dtype=np.float32)[:, None]
untrained = nn.Forecaster(1, 8, horizon=3, rngs=jax.random.key(0))
params = nn.pure(untrained).params
after_each = jax.jit(nn.pure(untrained).apply)(params, line[:-3]).value[..., 0]  # [t, h]
coming = untrained.targets(jnp.asarray(line))[..., 0]
by_hand = np.array([[line[t + 1 + h, 0] for h in range(3)] for t in range(9)])

assert (coming == by_hand).all()
assert np.allclose(after_each[1:], by_hand[1:], atol=1e-5)  # one value shows no increment yet

figure, axis = plt.subplots(figsize=(6, 3))
axis.plot(line, "k.-", lw=1, label="the series")
for mark, t in zip("osD", (2, 5, 8), strict=True):
    axis.plot(t + 1 + np.arange(3), after_each[t], mark, ms=9, mfc="none", label=f"after step {t}")
axis.set(xlabel="step", ylabel="value", title="an untrained forecaster continues a line")
axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# ## 7.1 The weather: what may be looked at
#
# The highest temperature of each day in Seattle: two years to train on, one to choose the weights
# by, one to test. Whatever is fitted, the scaling (스케일링) too, is fitted on the training part
# *alone*: the mean of the whole series knows the future. What is known beforehand is no secret:
# the place of each day in the year, as sine and cosine.

# %%
WINDOW, HORIZON = 32, 7
corpus = data.load("seattle_weather")
parts = corpus.train, corpus.valid, corpus.test
dates, temps = (np.concatenate([getattr(p, name) for p in parts]) for name in ("date", "temp_max"))
ends = np.cumsum([len(part.date) for part in parts])  # of training, validation, test


def scaling(values):
    """Returns the centre and the scale of a series, by its training part."""
    return values[: ends[0]].mean(), values[: ends[0]].std()


center, scale = scaling(temps)
turn = 2 * np.pi * (dates - dates.astype("datetime64[Y]")).astype(float) / 365.2425
table = np.column_stack([(temps - center) / scale, np.sin(turn), np.cos(turn)]).astype(np.float32)

hotter = np.where(np.arange(len(temps)) < ends[0], temps, temps + 5)  # another future
assert scaling(hotter) == (center, scale) and hotter.mean() > temps.mean() + 2
print(f"training: {center:.2f} °C ± {scale:.2f}; all years: {temps.mean():.2f} ± {temps.std():.2f}")

# %% [markdown]
# ## Simple forecasts first
#
# Persistence (지속 예측) says that tomorrow is as today; the seasonal naive forecast (계절 단순
# 예측), that it is as a year ago; an autoregression (자기회귀 모형, AR) is a line through the last
# `p` values, fitted by least squares, and read as the next value to reach the one after. All are
# made after every step and keep the convention: `value[t, h]` is of step `t + 1 + h`.


# %%
def persistence(values):
    return np.repeat(values[:, None], HORIZON, axis=1)


def seasonal_naive(values, season=365):
    places = np.arange(len(values))[:, None] + 1 + np.arange(HORIZON) - season
    return np.where(places >= 0, values[np.maximum(places, 0)], np.nan)


def autoregression(values, end, order=12, horizon=HORIZON):
    """Returns the forecasts of an AR(order) that is fitted to the values before `end`."""
    lags = np.lib.stride_tricks.sliding_window_view(values, order)[:, ::-1]  # the latest first
    before = np.column_stack([np.ones(end - order), lags[: end - order]])
    weights = np.linalg.lstsq(before, values[order:end], rcond=None)[0]
    found = np.full((len(values), horizon), np.nan)
    for h in range(horizon):
        found[order - 1 :, h] = weights[0] + lags @ weights[1:]
        lags = np.column_stack([found[order - 1 :, h], lags[:, :-1]])
    return found


simple = {
    "persistence": persistence(temps),
    "seasonal naive, a year": seasonal_naive(temps),
    "AR(12)": autoregression(temps, ends[0]),
}

# %% [markdown]
# Errors are told in units of what persistence errs by, one step ahead, in training: the mean
# absolute scaled error,
#
# $$\mathrm{MASE}_h = \frac{\frac{1}{O} \sum_o |\hat x_{o,h} - x_{o+1+h}|}
# {\frac{1}{n - 1} \sum_{t=2}^{n} |x_t - x_{t-1}|}.$$
#
# The origin (기점) `o` rolls through the whole test year: a forecast after each day, from what was
# known on that day.

# %%
ahead = 1 + np.arange(HORIZON)
origins = {
    name: np.arange(begin - 1, end - HORIZON)
    for name, begin, end in zip(("valid", "test"), ends[:-1], ends[1:], strict=True)
}
test = origins["test"]
targets = temps[test[:, None] + ahead]
unit = float(losses.naive_scale(jnp.asarray(temps[: ends[0]], jnp.float32)))


def mase(values):
    """Returns the scaled error of forecasts [O, H] of the test year, by horizon."""
    return np.abs(values - targets).mean(0) / unit


theirs = losses.scaled_error(simple["AR(12)"][test], targets, np.full(targets.shape, unit))
assert np.isclose(losses.mean(theirs), mase(simple["AR(12)"][test]).mean(), rtol=1e-4)
{name: mase(values[test])[[0, 6]].round(3).tolist() for name, values in simple.items()}

# %% [markdown]
# ## A network that says how sure it is
#
# A head (출력층) may give more than a number. A *quantile* (분위수) head gives $\hat x_\tau$ for
# many levels $\tau$, and is trained by the quantile loss, which is least where a share $\tau$ of
# the values lies below:
#
# $$\rho_\tau(u) = \max(\tau u, \; (\tau - 1) u), \qquad u = x - \hat x_\tau.$$
#
# *Student's t* gives location, scale and degrees of freedom, trained by the likelihood; its heavy
# tails forgive a surprise. A **direct** (직접) model gives all seven days at once; a **recursive**
# (재귀) one gives the next day, and reads what it gave. Here: direct with quantiles, and recursive
# with Student's t, whose later days are known by drawing paths.

# %%
LEVELS = np.arange(1, 40, dtype=np.float32) / 40  # 0.025, 0.05, …, 0.975
MASK = np.broadcast_to((np.arange(WINDOW) >= WINDOW // 2)[:, None, None], (WINDOW, HORIZON, 1))


def forecaster(strategy, head):
    return nn.Forecaster(
        1,
        16,
        horizon=HORIZON,
        strategy=strategy,
        head=head,
        levels=LEVELS.tolist(),
        future_covariates=2,
        lags=8,
        differences=False,  # temperatures return to a level
        start="level",
        cell="gru",
        dropout=0.3,
        rngs=jax.random.key(0),
    )


def windows_after(steps):
    """Returns the windows [O, W + H, 3] whose last step that is read is each of these."""
    return table[steps[:, None] + np.arange(1 - WINDOW, 1 + HORIZON)]


# %% [markdown]
# Training takes windows (창) of the training years; two years are few, so the network is small,
# and dropout strong. The forecasts after the second half of a window count. The weights with the
# lowest score on the validation year are kept.


# %%
def fit(model, outlook, updates=120):
    """Returns trained weights; `outlook(params, windows)` are quantiles of scaled values."""
    params, apply = nn.pure(model)
    optimizer = optax.adamw(optax.cosine_decay_schedule(4e-3, updates), weight_decay=1e-2)
    mask = jnp.asarray(MASK[None, :, : model.steps])

    @jax.jit
    def update(params, state, windows, key):
        coming = model.targets(windows[..., :1])

        def loss(params):
            found = apply(params, windows[:, :WINDOW, :1], future=windows[..., 1:], rngs=key)
            return losses.mean(found.loss(coming, mask=jnp.broadcast_to(mask, coming.shape)))

        gradient = training.clip_by_global_norm(jax.grad(loss)(params), 1.0).grads
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    rng, state, best = np.random.default_rng(0), optimizer.init(params), (np.inf, params)
    learnt = data.series_windows(table[: ends[0]], window=WINDOW, horizon=HORIZON)
    for step, key in enumerate(jax.random.split(jax.random.key(1), updates), start=1):
        params, state = update(params, state, learnt[rng.integers(len(learnt), size=64)], key)
        if step % 40 == 0:
            quantiles = outlook(params, windows_after(origins["valid"]))
            score = crps(quantiles, table[origins["valid"][:, None] + ahead, 0]).mean()
            best = min(best, (score, params), key=lambda pair: pair[0])
    return best[1]


def crps(quantiles, values):
    """Returns twice the mean quantile loss, by horizon: of quantiles [O, H, Q]."""
    away = values[..., None] - quantiles
    return 2 * np.maximum(LEVELS * away, (LEVELS - 1) * away).mean((0, 2))


# %%
direct = forecaster("direct", "quantile")
recursive = forecaster("recursive", "student_t")
forecast, draw = nn.pure(direct, method="forecast").apply, nn.pure(recursive, method="sample").apply


@jax.jit
def of_direct(params, windows):
    return forecast(params, windows[:, :WINDOW, :1], future=windows[..., 1:]).values[..., 0, :]


@jax.jit
def paths_of(params, windows):
    read, known = windows[:, :WINDOW, :1], windows[..., 1:]
    return draw(params, jax.random.key(2), 100, read, future=known)[..., 0]  # [100, O, H]


def of_recursive(params, windows):
    return np.moveaxis(np.quantile(paths_of(params, windows), LEVELS, axis=0), 0, -1)


weights = {"direct": fit(direct, of_direct), "recursive": fit(recursive, of_recursive)}

# %% [markdown]
# ## All of them in one table
#
# The score of a distribution is its CRPS (연속 순위 확률 점수), in the unit of the values; for a
# forecast that is one number it is the absolute error, and it is small only where the forecast is
# both near and rightly sure of it:
#
# $$\mathrm{CRPS} = \int (F(y) - [x \le y])^2 \, dy
# = 2 \int_0^1 \rho_\tau(x - F^{-1}(\tau)) \, d\tau
# \approx \frac{2}{Q} \sum_q \rho_{\tau_q}(x - \hat x_{\tau_q}).$$
#
# The simple forecasts get their quantiles from their own errors in training.


# %%
def with_errors(values):
    """Returns quantiles [O, H, Q] of a simple forecast, as wide as its errors in training."""
    train = np.arange(365, ends[0] - HORIZON)
    left = temps[train[:, None] + ahead] - values[train]
    return values[test][..., None] + np.moveaxis(np.quantile(left, LEVELS, axis=0), 0, -1)


windows = windows_after(test)
quantiles = {name: with_errors(values) for name, values in simple.items()}
quantiles["direct, quantiles"] = center + scale * np.asarray(of_direct(weights["direct"], windows))
quantiles["recursive, Student's t"] = center + scale * of_recursive(weights["recursive"], windows)


def covered(found, low, high):
    """Returns the share of the targets between two of the quantiles, by horizon."""
    return ((found[..., low] <= targets) & (targets <= found[..., high])).mean(0)


scores, inside = {}, {}
print("days ahead                  MASE 1      7   CRPS 1      7   in 80 %   (all days)")
for name, found in quantiles.items():
    middle = simple[name][test] if name in simple else found[..., 19]
    scores[name] = mase(middle), crps(found, targets)
    inside[name] = covered(found, 3, 35)
    numbers = [*scores[name][0][[0, 6]], *scores[name][1][[0, 6]]]
    print(f"{name:26}", *(f"{x:7.3f}" for x in numbers), f"{100 * inside[name].mean():8.1f} %")

# %%
looks = dict(zip(quantiles, ("C6:", "C4-.", "C2--", "C0o-", "C1s-"), strict=True))
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4))
for name, look in looks.items():
    axes[0].plot(ahead, scores[name][1], look, label=name)
    axes[1].plot(ahead, 100 * inside[name], look, label=name)
axes[0].set(xlabel="days ahead", ylabel="CRPS (°C)", title="how good")
axes[1].axhline(80, color="0.5", lw=1)
axes[1].set(xlabel="days ahead", ylabel="targets inside (%)", title="in intervals of 80 %")
axes[1].set_ylim(50, 100)
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center")
plt.show()

# %% [markdown]
# An autoregression is hard to beat. One day ahead all three are about level; a week ahead the
# recursive network is better than the line, since it knows the season. Persistence and last year
# are far behind, and all the intervals hold about what they promise.
#
# ## Bands and paths
#
# Above, what the direct model says: the median, and bands (예측 구간) that hold 80 and 95 per cent
# by its own account. Below, paths (경로) of the recursive one: each day is drawn after the one
# before, so a path goes on as weather does.

# %%
shown = [30, 150, 270]
paths = center + scale * np.asarray(paths_of(weights["recursive"], windows))
figure, axes = plt.subplots(2, 3, figsize=(10, 5), sharey=True)
for column, o in enumerate(shown):
    days, before = ahead, np.arange(-13, 1)
    found = quantiles["direct, quantiles"][o]
    for low, high, alpha in ((0, 38, 0.2), (3, 35, 0.35)):
        axes[0, column].fill_between(days, found[:, low], found[:, high], color="C0", alpha=alpha)
    axes[0, column].plot(days, found[:, 19], "C0--", label="median")
    axes[1, column].plot(days, paths[:30, o].T, color="C1", lw=0.7, alpha=0.6)
    for axis in axes[:, column]:
        axis.plot(before, temps[test[o] + before], "k-")
        axis.plot(days, targets[o], "k.", label="what came")
    axes[0, column].set_title(f"after {dates[test[o]]}")
    axes[1, column].set_xlabel("days from then")
axes[0, 0].set_ylabel("direct: highest (°C)")
axes[1, 0].set_ylabel("recursive: highest (°C)")
axes[0, 0].legend(loc="upper left")
plt.show()

# %% [markdown]
# ## Direct and recursive are one set of weights
#
# A recursive model is a direct one of horizon 1 that reads its own output. So both have the same
# weights and agree at horizon 1, and the rest is the direct one in a loop. Here with weights
# shaken at random, since untrained ones add nothing to the base.

# %%
one = nn.Forecaster(1, 8, horizon=1, cell="gru", rngs=jax.random.key(3))
options = {"strategy": "recursive", "cell": "gru", "rngs": jax.random.key(3)}
many = nn.Forecaster(1, 8, horizon=5, **options)
leaves, tree = jax.tree.flatten(nn.pure(one).params)
keys = jax.random.split(jax.random.key(4), len(leaves))
shaken = [a + 0.3 * jax.random.normal(k, a.shape) for a, k in zip(leaves, keys, strict=True)]
shaken = jax.tree.unflatten(tree, shaken)
by_one, by_many = (jax.jit(nn.pure(model, method="forecast").apply) for model in (one, many))

known, count = table[:25, :1].copy(), 20
recursion = np.asarray(by_many(shaken, known, lengths=count).value)
for t in range(count, 25):
    known[t] = by_one(shaken, known, lengths=t).value[0]
assert np.allclose(recursion[0], known[20], atol=1e-6)
assert np.allclose(recursion, known[20:], atol=1e-4)
trend = table[19, 0] + (1 + np.arange(5)) * (table[19, 0] - table[18, 0])
assert np.abs(recursion[:, 0] - trend).min() > 1e-3  # the weights do something

# %% [markdown]
# ## A rolling origin must not see ahead
#
# The model gave forecasts after all steps of a window in one pass. That is honest only if none of
# them depends on a later value. Make everything from step 20 on a heat wave: what was forecast
# after the steps before stays the same, to the last bit, and all that comes after changes.

# %%
read = jax.jit(nn.pure(direct).apply)
window = windows[:1]
heat = np.where(np.arange(WINDOW)[:, None] < 20, window[:, :WINDOW, :1], 3.0).astype(np.float32)
calm, hot = (
    np.asarray(read(weights["direct"], values, future=window[..., 1:]).values[0, :, :, 0])
    for values in (window[:, :WINDOW, :1], heat)
)
moved = np.abs(calm - hot).max((1, 2))
assert (moved[:20] == 0).all() and (moved[20:] > 0).all()

# %% [markdown]
# ## 7.1 Stock prices, beside the random walk
#
# The same with the recipe: four tickers, the logarithm of the adjusted price, five days ahead.
# `train` fits and reports, `backtest` rolls an origin over a series with the trained model. It
# forecasts increments, so that untrained it is the random walk (무작위 보행): the last price.

# %%
folder = Path(tempfile.mkdtemp())
config = forecasting.Config(data="stocks", out=folder / "run", members=1, hidden_size=8, epochs=1)
with contextlib.redirect_stderr(io.StringIO()):  # where the progress goes
    report = forecasting.train(config)
print(forecasting.summary(report))

# %%
model = forecasting.load(config.out)
dataset = forecasting.read_dataset(model.config)
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4))
for mark, series, spans in zip("os^D", dataset.series, dataset.spans, strict=True):
    begin, end = spans["test"]
    found = forecasting.backtest(model, series, first=begin - 1, last=end - 2)
    last, came = series.values[found.origins, 0], series.values[found.origins + 1, 0]
    change = 100 * (found.value[:, 0, 0] - last)
    axes[0].plot(change, 100 * (came - last), mark, ms=2, alpha=0.6, label=series.name)
axes[0].axline((0, 0), slope=1, color="0.5", lw=1)
axes[0].set(xlabel="change forecast (%)", ylabel="change that came (%)")
axes[0].set_title("the next day, from 2012 on")
axes[0].legend(markerscale=3, ncols=2, loc="upper left")
rows = {"this model": report["test"], **report["others"]["test"]}
errors = {name: row["columns"]["log_adj_close"]["mase"] for name, row in rows.items()}
for look, (name, error) in zip(("o-", "s--", "^:", "D-."), errors.items(), strict=True):
    axes[1].plot(range(1, 6), error, look, label=name)
axes[1].set(xlabel="trading days ahead", ylabel="MASE", title="scaled errors")
axes[1].set_xticks(range(1, 6))
axes[1].legend()
plt.show()

# %% [markdown]
# **It does not beat the random walk.** The forecast changes are tiny beside those that came (the
# line is where both are equal), and the errors are those of the last price. Nor does the recipe
# with its full settings: that is the row of five stocks in the README. If prices could be forecast
# from prices by a page of code, somebody would have bought until they could not. The report says
# so by itself, and "beats" means there: by more than two standard errors of the difference.
#
# ## Exercises
#
# **1.** Forecasts that are too good. What MASE has persistence on the test year if one index is
# wrong, and `value[t, h]` is compared with step `t + h`?

# %% [markdown]
# **Answer.** At `h = 0` it is perfect. A model whose first horizon is far better than everybody's
# has more often an index wrong than an idea right.

# %%
shifted = np.abs(simple["persistence"][test] - temps[test[:, None] + ahead - 1]).mean(0) / unit
assert shifted[0] == 0 and mase(simple["persistence"][test])[0] > 0.9
shifted.round(3).tolist()

# %% [markdown]
# **2.** Sunspots (태양 흑점) come and go in about 11 years. Fit AR models of several orders to the
# years up to 1920, and measure the relative variance, squared errors over the variance of the
# years 1700 to 1979, on 1921 to 1955.

# %% [markdown]
# **Answer.** Two values see whether it rises, and nine to twelve see the last cycle. (The recipe's
# network has 0.095: README.)

# %%
spots = data.load("sunspots_yearly")
years, numbers = (
    np.concatenate([getattr(part, name) for part in (spots.train, spots.valid, spots.test)])
    for name in ("year", "sunspots")
)
later = np.flatnonzero((years >= 1921) & (years <= 1955))
arv = {}
for order in (1, 2, 9, 12):
    found = autoregression(numbers, np.searchsorted(years, 1921), order, horizon=1)[later - 1, 0]
    arv[order] = ((found - numbers[later]) ** 2).mean() / numbers[years <= 1979].var()
print({f"AR({order})": round(float(value), 3) for order, value in arv.items()})
assert arv[12] < arv[2] < arv[1] and round(float(arv[12]), 2) == 0.13

# %% [markdown]
# **3.** The quantile loss and the quantile. Find by trying which number has the least mean loss at
# the level 0.9 on the training temperatures, and compare it with their 0.9 quantile.

# %% [markdown]
# **Answer.** They are the same: moving the number up costs 0.1 for each value below, and saves 0.9
# for each above, which balances where a tenth lies above.

# %%
tries = np.arange(0.0, 40.0, 0.1)
away = temps[: ends[0], None] - tries
least = tries[np.maximum(0.9 * away, -0.1 * away).mean(0).argmin()]
assert abs(least - np.quantile(temps[: ends[0]], 0.9)) < 0.15
float(least), float(np.quantile(temps[: ends[0]], 0.9))

# %% [markdown]
# ## What must hold


# %%
def standard_error(gains, lags):
    """Returns that of a mean of overlapping forecasts (Newey and West)."""
    away = gains - gains.mean()
    pairs = [(1 - k / (lags + 1)) * (away[k:] @ away[: len(away) - k]) for k in range(1, lags + 1)]
    return np.sqrt(away @ away + 2 * sum(pairs)) / len(gains)


# Both networks beat the last value a week ahead, by more than chance, and last year at once.
for name in ("direct, quantiles", "recursive, Student's t"):
    ours, walk = np.abs(quantiles[name][..., 19] - targets), np.abs(temps[test, None] - targets)
    gains = (walk - ours)[:, 6]
    assert gains.mean() > 2 * standard_error(gains, 6)
    assert (scores[name][0] < scores["seasonal naive, a year"][0]).all()
    assert (scores[name][1] < scores["persistence"][1]).all()
    # What they say of themselves is about true.
    assert np.abs(inside[name] - 0.8).max() < 0.15 and abs(inside[name].mean() - 0.8) < 0.1
line, network = scores["AR(12)"][0], scores["recursive, Student's t"][0]
assert abs(network[0] / line[0] - 1) < 0.05 and network[6] < line[6]
# The score by hand is that of the package; quantiles never cross.
found = quantiles["direct, quantiles"]
theirs = losses.mean(losses.crps_quantiles(found, targets, LEVELS))
assert np.isclose(theirs, scores["direct, quantiles"][1].mean(), rtol=1e-4)
assert all((np.diff(found) >= 0).all() for found in quantiles.values())
# Nobody beats the random walk of prices.
verdict = report["others"]["test"]["persistence (random walk)"]["columns"]["log_adj_close"]
assert not any(verdict["beaten"]["beaten"])
assert abs(errors["this model"][0] / errors["persistence (random walk)"][0] - 1) < 0.02
print("All statements hold.")
