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
# # 01 Recurrent cells and their shapes (순환 신경망)
#
# Sections 7.1 to 7.2.1 of the chapter, and what 7.2.7 says of lengths. After this notebook you
# can write the step of a recurrent network by hand and with `jaxseq`, run it over time and over a
# batch, say the shape of every tensor, put sequences of different lengths into one batch, and use
# `jit`, `vmap` and `grad` on all of it.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.dates import MonthLocator

import jaxseq
from jaxseq import cells, data

plt.style.use("jaxseq.pictures")

# %% [markdown]
# ## 7.1 What is sequential
#
# Sequential modelling (시퀀셜 모델링) is about inputs that arrive in order: prices, weather,
# speech, words. What makes them sequences is that neighbours depend on each other. Below left, the
# highest temperature in Seattle on each day of two years; below right, its correlation with the
# same series *k* days later. Shuffle the days, and the same numbers have nothing to say about each
# other.


# %%
def features(part):
    """Returns highest and lowest temperature, rain (log) and wind of each day, [days, 4]."""
    rain = np.log1p(part.precipitation)
    return np.stack([part.temp_max, part.temp_min, rain, part.wind], axis=1)


weather = data.load("seattle_weather")
known = features(weather.train)  # 2012 and 2013; the year after them is for checking
everything = np.concatenate([known, features(weather.valid)])
series = ((everything - known.mean(0)) / known.std(0)).astype(np.float32)
highest = known[:, 0]


def correlation(values, lags):
    return np.array([np.corrcoef(values[: len(values) - k], values[k:])[0, 1] for k in lags])


lags = np.arange(1, 31)
in_order = correlation(highest, lags)
shuffled = correlation(np.random.default_rng(0).permutation(highest), lags)

# %%
figure, axes = plt.subplots(1, 2, figsize=(9.5, 2.8), width_ratios=(3, 2))
axes[0].plot(weather.train.date, highest, lw=0.9)
axes[0].set(title="Seattle, 2012 and 2013", xlabel="month", ylabel="highest temperature (°C)")
axes[0].xaxis.set_major_locator(MonthLocator(bymonth=(1, 7)))
axes[1].plot(lags, in_order, "o-", ms=3, label="in order")
axes[1].plot(lags, shuffled, "s:", ms=3, label="days shuffled")
axes[1].set(xlabel="days in between, k", ylabel="correlation", ylim=(-0.3, 1))
axes[1].set_title("with the value k days later")
axes[1].legend(loc="center right")
plt.show()

assert in_order.min() > 0.5 > 0.2 > np.abs(shuffled).max()

# %% [markdown]
# ## 7.2 The recursion
#
# A feed-forward (피드포워드) network is `y = f(x)`: it sees one input. A recurrent network (순환
# 신경망, RNN) is
#
# $$h_t = f(x_t, h_{t-1}; \theta):$$
#
# the hidden state (은닉 상태) changes with each input, so the same input means something else after
# another past. The chapter's cell is Elman's, with two biases:
#
# $$\hat y_t = h_t = \tanh(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh}), \qquad
# \theta = \{W_{ih}, b_{ih}, W_{hh}, b_{hh}\},$$
#
# with $x_t \in R^w$, $h_t \in R^d$, $W_{ih} \in R^{d \times w}$, $W_{hh} \in R^{d \times d}$ and
# both biases in $R^d$. In `jaxseq` the width `w` is `input_size`, and `d` is `hidden_size`.

# %%
w, d = 4, 16
cell = jaxseq.elman(input_size=w, hidden_size=d)
params = cell.init(jax.random.key(0))
{name: leaf.shape for name, leaf in params._asdict().items()}


# %% [markdown]
# Written out, a step is one line. `cell.step` is that line with checks. Both take **one example**,
# and `(carry, x) -> (carry, y)` is the order of `jax.lax.scan`. The carry is what goes from step to
# step, here `ElmanCarry(h)`; the output `y` is the same `h`.


# %%
def by_hand(params, h, x):
    return jnp.tanh(params.w_ih @ x + params.b_ih + params.w_hh @ h + params.b_hh)


x = jnp.asarray(series[0])
carry, y = cell.step(params, cell.carry(params), x)
step_error = float(np.abs(y - by_hand(params, jnp.zeros(d), x)).max())
print(f"the two differ by {step_error:.1e} at most")
assert step_error < 1e-6 and (y == carry.h).all()

# %% [markdown]
# One pulse at step 5, and silence after it. Without the recurrence the network forgets at once;
# with it the pulse goes on in the hidden state, and fades.

# %%
pulse = jnp.zeros((40, w)).at[5].set(1.5)
forgetful = params._replace(w_hh=jnp.zeros_like(params.w_hh))
answers = {
    "feed-forward: $y_t = f(x_t)$": jaxseq.scan(cell, forgetful, pulse)[1],
    "recurrent: $h_t = f(x_t, h_{t-1})$": jaxseq.scan(cell, params, pulse)[1],
}


def show_states(axis, hs, title):
    """Draws states [T, d] as an image, a row for each unit."""
    image = axis.imshow(hs.T, cmap="RdBu", vmin=-1, vmax=1, aspect="auto", interpolation="none")
    axis.set(title=title, xlabel="step t")
    return image


figure, axes = plt.subplots(1, 2, figsize=(9.5, 2.6), sharey=True)
for axis, (title, hs) in zip(axes, answers.items(), strict=True):
    image = show_states(axis, hs, title)
axes[0].set_ylabel("hidden unit")
figure.colorbar(image, ax=axes, label="activation")
plt.show()

forgotten, kept = (np.abs(hs[6:]).max(1) for hs in answers.values())
assert (forgotten == 0).all() and (kept[:10] > 0.05).all()

# %% [markdown]
# ## 7.2.1 Over time, and the sizes
#
# The chapter's tensors have the batch first. A row here is four weeks of weather; there are eight
# rows. `jaxseq.scan` takes and returns exactly the chapter's sizes; what it computes is a Python
# loop over `t`. `jax.vmap` makes the step of one example the step of a batch.

# %%
batch, n = 8, 28
xs = jnp.asarray(series[: batch * n].reshape(batch, n, w))
last, hs = jaxseq.scan(cell, params, xs)
_, one_step = jaxseq.scan(cell, params, xs[:, :1])

step = jax.jit(jax.vmap(cell.step, in_axes=(None, 0, 0)))
carry, outputs = cell.carry(params, (batch,)), []
for t in range(n):
    carry, y = step(params, carry, xs[:, t])
    outputs.append(y)
loop_error = float(np.abs(hs - np.stack(outputs, axis=1)).max())

table = {
    "one step": ("(batch, 1, input)", xs[:, :1].shape),
    "sequence": ("(batch, n, input)", xs.shape),
    "h_1:n": ("(batch, n, hidden)", hs.shape),
    "h_t": ("(batch, hidden)", last.h.shape),
}
for name, (chapter, shape) in table.items():
    print(f"{name:<10}{chapter:<20}{shape}")
assert loop_error < 1e-6 and np.allclose(last.h, carry.h, atol=1e-6)
assert one_step.shape == (batch, 1, d)

# %% [markdown]
# The final carry always comes back, so a sequence may be cut anywhere and continued. (What `scan`
# returns depends on no flag.)

# %%
middle, first_part = jaxseq.scan(cell, params, xs[:, :10])
_, second_part = jaxseq.scan(cell, params, xs[:, 10:], carry=middle)
cut_error = float(np.abs(jnp.concatenate([first_part, second_part], axis=1) - hs).max())
assert cut_error < 1e-6

# %% [markdown]
# ### The loss is a fold
#
# The chapter's loss is $L = \frac 1 n \sum_t L(\hat y_t, y_t)$. A recurrent network and its loss
# are one fold over time: the state and the sum so far go in, both come out. Here $\hat y_t = h_t$
# must say tomorrow's weather, squeezed into (-1, 1); so `d` is 4.

# %%
small = jaxseq.elman(w, w)
start = small.init(jax.random.key(1))
days, tomorrow = jnp.asarray(series[:365]), jnp.tanh(jnp.asarray(series[1:366]))


def loss_as_fold(params):
    def add(state, inputs):
        carry, total = state
        x, y = inputs
        carry, guess = small.step(params, carry, x)
        return (carry, total + ((guess - y) ** 2).mean()), None

    zero = (small.carry(params), jnp.zeros(()))
    (_, total), _ = jax.lax.scan(add, zero, (days, tomorrow))
    return total / len(days)


def loss_of_scan(params):
    _, guesses = jaxseq.scan(small, params, days)
    return ((guesses - tomorrow) ** 2).mean(1).mean()


folded, scanned = float(loss_as_fold(start)), float(loss_of_scan(start))
print(f"fold {folded:.6f}, scan {scanned:.6f}")
assert np.isclose(folded, scanned, rtol=1e-5)

# %% [markdown]
# ## An experiment: what does the hidden state know of the past?
#
# The states of 32 units with random weights over three years of weather. Nothing was trained, and
# still the state holds the past: a linear map of $h_t$, fitted on 2012 and 2013, tells the
# temperature *k* days ago in 2014. A linear map of the day's own weather $x_t$ knows what a day
# tells of its neighbours, and no more. Negative lags are the future.

# %%
wide = jaxseq.elman(w, 32)
_, states = jaxseq.scan(wide, wide.init(jax.random.key(2)), jnp.asarray(series))
first, cut, end = 30, len(known), len(series) - 5  # skip the first month; 2014 begins at `cut`


def recovered(inputs, lag):
    """Returns R², on 2014, of the least-squares map from inputs to the temperature lag days ago."""
    inputs = np.column_stack([inputs, np.ones(len(inputs))])
    place = np.arange(first, end)
    target = series[place - lag, 0]
    fitted = place < cut - 30  # a month apart, so that no lag reaches from one part to the other
    checked = place >= cut
    weights = np.linalg.lstsq(inputs[place][fitted], target[fitted], rcond=None)[0]
    rest = target[checked] - inputs[place][checked] @ weights
    return 1 - rest.var() / target[checked].var()


known_lags = np.arange(-5, 21)
by_state = np.array([recovered(np.asarray(states), k) for k in known_lags])
by_input = np.array([recovered(series, k) for k in known_lags])

# %%
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.2), width_ratios=(3, 2))
image = show_states(axes[0], states[cut : cut + 180], "random weights, January to June 2014")
axes[0].set(xlabel="day of 2014", ylabel="hidden unit")
figure.colorbar(image, ax=axes[0], label="activation")
axes[1].plot(known_lags, by_state, "o-", ms=3, label="from the state $h_t$")
axes[1].plot(known_lags, by_input, "s:", ms=3, label="from the input $x_t$ alone")
axes[1].axvline(0, color="0.6", lw=0.8)
axes[1].set(title="temperature k days ago", xlabel="lag k (days)", ylabel="R² on 2014")
axes[1].set_ylim(0, 1.03)
axes[1].legend(loc="lower center")
plt.show()

past = (known_lags >= 1) & (known_lags <= 4)
assert (by_state[past] > 0.8).all() and (by_state[past] > by_input[past] + 0.05).all()

# %% [markdown]
# Of the days just gone the state knows far more than the day's own weather does. Further back it
# fades: that is the subject of notebooks 02 and 03.
#
# ## 7.2.7 Sequences of different lengths
#
# Sentences and utterances differ in length. `data.pad` puts them in one array and keeps their
# `lengths`. The contract: at a padded step the output is 0 and the state stays, so the final carry
# is the one after the row's last valid step; a row of length 0 gives its initial carry; and what is
# *in* the padding never matters, for no output and no gradient. Here it is NaN. The rows are
# utterances of the data set JapaneseVowels, 12 numbers a frame, and an empty one.

# %%
utterances = sorted(data.load("japanese_vowels").train, key=lambda row: -len(row.values))
rows = [utterances[k].values for k in (0, 60, 200)] + [np.zeros((0, 12), np.float32)]
padded, lengths = data.pad(rows, value=np.nan)
ear = jaxseq.elman(12, 8)
weights = ear.init(jax.random.key(3))


@jax.jit
def listen(params, xs, lengths):
    def loss(params):
        carry, ys = jaxseq.scan(ear, params, xs, lengths=lengths)
        return (ys**2).sum() + carry.h.sum(), (carry, ys)

    return jax.grad(loss, has_aux=True)(params)


gradient, (carry, ys) = listen(weights, padded, lengths)
alone = [jaxseq.scan(ear, weights, row) for row in rows]
row_errors = [
    float(np.abs(np.concatenate([ys[k, : len(own)] - own, carry.h[k : k + 1] - last.h])).max())
    for k, (last, own) in enumerate(alone)
]
lengths, row_errors

# %%
figure, axes = plt.subplots(1, 2, figsize=(9.5, 2.1), sharey=True)
most = np.nanmax(np.abs(padded[..., 0]))
image = axes[0].imshow(
    padded[..., 0], cmap="PuOr", vmin=-most, vmax=most, aspect="auto", interpolation="none"
)
axes[0].set(title="first coefficient (blank: NaN)", xlabel="frame t", ylabel="row")
axes[0].set_yticks(range(len(rows)))
figure.colorbar(image, ax=axes[0], label="$x_t$")
image = axes[1].imshow(
    np.linalg.norm(ys, axis=-1), cmap="Purples", vmin=0, aspect="auto", interpolation="none"
)
axes[1].set(title="norm of the output", xlabel="frame t")
figure.colorbar(image, ax=axes[1], label=r"$\|y_t\|$")
plt.show()

assert max(row_errors) < 1e-6
assert all((ys[k, length:] == 0).all() for k, length in enumerate(lengths))
assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))

# %% [markdown]
# ## `jit`, `vmap`, `grad`
#
# A cell is pure functions and its weights are a plain tree of arrays, so JAX's own transformations
# are all that is needed. `vmap` over the weights runs twenty networks at once; `jit` compiles once;
# `grad` is back-propagation through time. Twenty gradient descents on the loss above, each from
# other random weights, in a few lines and with no optimizer:

# %%
traced = []


@jax.jit
def descend(params):
    traced.append("once for each shape")

    def update(params, _):
        value, gradient = jax.value_and_grad(loss_of_scan)(params)
        return jax.tree.map(lambda leaf, slope: leaf - 0.2 * slope, params, gradient), value

    return jax.lax.scan(update, params, length=60)


networks = jax.vmap(small.init)(jax.random.split(jax.random.key(4), 20))
_, curves = jax.vmap(descend)(networks)
_, again = jax.vmap(descend)(jax.tree.map(jnp.array, networks))
yesterday = float(((jnp.tanh(days) - tomorrow) ** 2).mean())

figure, axis = plt.subplots(figsize=(6.5, 2.9))
axis.plot(curves.T, color="C0", lw=0.7, alpha=0.6)
axis.plot(np.median(curves, axis=0), color="k", label="median of twenty networks")
axis.axhline(yesterday, color="C1", ls="--", label="guess: as today")
axis.set(xlabel="update", ylabel="mean squared error", title="tomorrow's weather", ylim=(0, None))
axis.legend(loc="upper right")
plt.show()

assert (curves[:, -1] < curves[:, 0]).all() and np.median(curves[:, -1]) < yesterday
assert len(traced) == 1 and (curves == again).all()

# %% [markdown]
# What `scan` will do with a cell it says beforehand, without running anything. The weights have
# PyTorch's names, shapes and gate order, and with equal weights a scan gives PyTorch's numbers:
# the tests of the package (`tests/parity`) compare them with recorded outputs.

# %%
print(jaxseq.plan(cell, params, xs))

# %% [markdown]
# ## Exercises
#
# **1.** The chapter's cell has two biases. Can training tell them apart? Say what their gradients
# are, and check it.

# %% [markdown]
# **Answer.** Only their sum enters, so their gradients are equal, and gradient descent keeps their
# difference forever. The two are there because PyTorch and cuDNN have them.

# %%
slope = jax.grad(loss_of_scan)(start)
assert np.abs(slope.b_ih).max() > 0 and (slope.b_ih == slope.b_hh).all()

# %% [markdown]
# **2.** For which weights is an Elman network feed-forward? What then happens to the outputs when
# the inputs are put in another order?

# %% [markdown]
# **Answer.** With $W_{hh} = 0$. The outputs are then put in the same other order, and nothing else
# changes; with a recurrence they do change.

# %%
order = np.random.default_rng(1).permutation(n)
moved = {}
for name, p in (("W_hh = 0", forgetful), ("recurrent", params)):
    (_, plain), (_, mixed) = jaxseq.scan(cell, p, xs), jaxseq.scan(cell, p, xs[:, order])
    moved[name] = float(np.abs(mixed - plain[:, order]).max())
assert moved["W_hh = 0"] < 1e-6 and moved["recurrent"] > 0.1
moved


# %% [markdown]
# **3.** An exponential average, $a_t = 0.9\, a_{t-1} + 0.1\, x_t$, is an Elman network. Which one?
# Run it over the temperature.

# %% [markdown]
# **Answer.** One unit, the identity in place of the tanh, $W_{hh} = 0.9$, $W_{ih} = 0.1$, and no
# bias.


# %%
def identity(z):
    return z


average = jaxseq.elman(1, 1, activation=identity)
ninths = cells.ElmanParams(jnp.full((1, 1), 0.1), jnp.full((1, 1), 0.9), jnp.zeros(1), jnp.zeros(1))
begin = cells.ElmanCarry(jnp.asarray(highest[:1], jnp.float32))
_, smooth = jaxseq.scan(average, ninths, jnp.asarray(highest[:, None], jnp.float32), carry=begin)

expected = [highest[0]]
for value in highest:
    expected.append(0.9 * expected[-1] + 0.1 * value)
average_error = float(np.abs(smooth[:, 0] - np.array(expected[1:])).max())

figure, axis = plt.subplots(figsize=(7.5, 2.6))
axis.plot(weather.train.date, highest, lw=0.6, color="0.6", label="as measured")
axis.plot(weather.train.date, smooth[:, 0], label="an Elman network of one unit")
axis.set(xlabel="month", ylabel="highest temperature (°C)", ylim=(-3, 42))
axis.legend(loc="upper right", ncols=2)
plt.show()
assert average_error < 1e-3

# %% [markdown]
# ## What must hold
#
# The weights have the chapter's shapes; a step is the formula; a scan is a loop and may be cut
# anywhere; the loss is a fold; the state knows the past; padding does not matter; and everything
# compiles once.

# %%
shapes = {name: leaf.shape for name, leaf in params._asdict().items()}
assert shapes == {"w_ih": (d, w), "w_hh": (d, d), "b_ih": (d,), "b_hh": (d,)}
assert table["one step"][1] == (batch, 1, w) and table["sequence"][1] == (batch, n, w)
assert table["h_1:n"][1] == (batch, n, d) and table["h_t"][1] == (batch, d)
assert max(step_error, loop_error, cut_error, *row_errors) < 1e-6
assert np.isclose(folded, scanned, rtol=1e-5)
assert (by_state[past] > by_input[past] + 0.05).all()
assert np.isnan(padded).any() and not np.isnan(ys).any()
assert len(traced) == 1
print("All statements hold.")
