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
# # 12 Your own cell, your own training loop (직접 만드는 셀과 학습 루프)
#
# After this notebook you can write a recurrent cell in a dozen lines, have its contract checked,
# run it over time on the fast path, and train it with nothing but `jax.jit` and optax, all of the
# loop inside one compiled function. From this package come only the type of a cell and what runs
# one over time; a look at the gradient comes at the end. The data are the sunspots of three
# centuries.

# %%
import functools
import pathlib
import tempfile
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from safetensors.numpy import load_file, save_file

import jaxseq
from jaxseq import cells, data, diagnostics, testing

plt.style.use("jaxseq.pictures")

# %% [markdown]
# ## What a cell is
#
# The chapter's recurrent network (순환 신경망) is $h_t = f(x_t, h_{t-1}; \theta)$ (7.2). A
# `jaxseq.Cell` is that $f$ for **one example**, together with where weights and states begin: six
# fields, and pure functions. It knows nothing of batches and of time. As an example the minimal
# gated unit (최소 게이트 유닛, MGU): a GRU with one gate in place of two,
#
# $$f = \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf}), \qquad
# n = \tanh(W_{in} x_t + b_{in} + f \odot (W_{hn} h_{t-1} + b_{hn})), \qquad
# h_t = (1 - f) \odot h_{t-1} + f \odot n.$$
#
# Weights and state are named tuples, with the names that they have everywhere in the package; both
# blocks, $f$ and $n$, lie in one matrix.


# %%
class MGUParams(NamedTuple):
    w_ih: Any  # [2 H, I]: f, then n
    w_hh: Any  # [2 H, H]
    b_ih: Any  # [2 H]
    b_hh: Any  # [2 H]


class MGUCarry(NamedTuple):
    h: Any  # [*batch, H]


def mgu_update(z_x, z_h, carry):
    """Returns the next state from W_ih x + b_ih and W_hh h + b_hh, each [2 H]."""
    f_x, n_x = jnp.split(z_x, 2)
    f_h, n_h = jnp.split(z_h, 2)
    f = jax.nn.sigmoid(f_x + f_h)
    n = jnp.tanh(n_x + f * n_h)
    return MGUCarry((1 - f) * carry.h + f * n)


def mgu_step(params, carry, x):
    z_x = params.w_ih @ x + params.b_ih
    z_h = params.w_hh @ carry.h + params.b_hh
    carry = mgu_update(z_x, z_h, carry)
    return carry, carry.h


# %% [markdown]
# The factory makes the cell for given sizes. A cell is compared by the identity of its functions,
# so the factory is cached: the same sizes give the same cell, and a compiled program is found
# again.


# %%
@functools.cache
def mgu(input_size, hidden_size):
    wide = 2 * hidden_size

    def init(key, dtype=jnp.float32):
        keys, glorot = jax.random.split(key), jax.nn.initializers.glorot_uniform()
        w_ih = glorot(keys[0], (wide, input_size), dtype)
        w_hh = glorot(keys[1], (wide, hidden_size), dtype)
        return MGUParams(w_ih, w_hh, jnp.zeros(wide, dtype), jnp.zeros(wide, dtype))

    def carry(params, batch_shape=(), *, key=None):
        return MGUCarry(jnp.zeros((*batch_shape, hidden_size), params.w_hh.dtype))

    return jaxseq.Cell(
        name="mgu",
        input_size=input_size,
        output_size=hidden_size,
        init=init,
        carry=carry,
        step=mgu_step,
    )


cell = mgu(3, 8)
params = cell.init(jax.random.key(0))
carry, y = cell.step(params, cell.carry(params), jnp.ones(3))
jax.tree.map(jnp.shape, params), y.shape

# %% [markdown]
# ## Over time, over a batch, through `jit`, `vmap` and `grad`
#
# `jaxseq.scan` runs any cell over time and any number of batch axes; lengths, resets and reversed
# time are its business. What it computes is a Python loop, and `jax.vmap` of the step.

# %%
xs = jax.random.normal(jax.random.key(1), (4, 30, 3))
last, ys = jaxseq.scan(cell, params, xs)

step = jax.vmap(cell.step, in_axes=(None, 0, 0))
carry, outputs = cell.carry(params, (4,)), []
for t in range(30):
    carry, y = step(params, carry, xs[:, t])
    outputs.append(y)
print("scan and loop differ by", float(abs(jnp.stack(outputs, axis=1) - ys).max()))

traced = []


@jax.jit
def loss(params, xs):
    traced.append(xs.shape)  # runs when JAX traces the function, and only then
    return jaxseq.scan(mgu(3, 8), params, xs)[1][:, -1].sum()


gradient = jax.grad(loss)(params, xs)
ensemble = jax.vmap(cell.init)(jax.random.split(jax.random.key(2), 5))
five = jax.vmap(loss, in_axes=(0, None))(ensemble, xs)
for _ in range(3):
    loss(params, xs)
print("five networks at once:", five.round(2), " traced", len(traced), "times")

# %% [markdown]
# ## The fast path
#
# `jaxseq.plan` says what a scan would do, without doing it. A cell that is only a step is run by
# `jax.lax.scan`, the plain specification: all products stand in the loop.

# %%
print(jaxseq.plan(cell, params, xs))

# %% [markdown]
# Say more, and it gets fast. Where a step is two affine maps around a cheap update, `maps` names
# them. The products of the inputs then leave the loop, as one large product over all steps, and so
# do products of the gradient. There is no derivative to write.


# %%
@functools.cache
def fast_mgu(input_size, hidden_size):
    maps = cells.Maps(
        input=lambda params, x: params.w_ih @ x + params.b_ih,
        recurrent=lambda params, h: params.w_hh @ h + params.b_hh,
        update=mgu_update,
    )
    return mgu(input_size, hidden_size)._replace(maps=maps)


fast = fast_mgu(3, 8)
slow_plan, fast_plan = (jaxseq.plan(one, params, xs) for one in (cell, fast))
print(fast_plan)

# %% [markdown]
# What is worth having in a loop is little. JAX can print the program of a gradient; here are the
# products of matrices that stand inside of its loops, which run one after the other, step by step.


# %%
def products_in_loops(program, inside=False):
    """Returns how many products stand in the bodies of the loops of a program of JAX."""
    count = 0
    for equation in program.eqns:
        count += inside and equation.primitive.name == "dot_general"
        for value in jax.tree.leaves(list(equation.params.values())):
            body = getattr(value, "jaxpr", value)
            if hasattr(body, "eqns"):
                count += products_in_loops(body, inside or equation.primitive.name == "scan")
    return count


def of_gradient(one):
    def total(params):
        return jaxseq.scan(one, params, xs)[1].sum()

    return products_in_loops(jax.make_jaxpr(jax.grad(total))(params).jaxpr)


products = {"step alone": of_gradient(cell), "with maps": of_gradient(fast)}
figure, axis = plt.subplots(figsize=(6, 1.8))
axis.bar_label(axis.barh(list(products), list(products.values()), color=["0.6", "C0"]), padding=3)
axis.invert_yaxis()
axis.set(xlabel="products of matrices in the loops of one gradient")
axis.margins(x=0.15)
plt.show()

# %% [markdown]
# ## Does it keep the contract?
#
# `testing.check_cell(cell)` runs the checks that the package's own cells pass: a sequence may be
# cut anywhere, padding never matters (NaN in it included), resets are separate sequences, gradients
# are derivatives, the maps make up the step, and more. It belongs into a test of yours. To be
# quick, this page takes from `testing.CHECKS` those that ask most of the cell itself. And a cell
# that is wrong is told what is: here one whose `reset` does nothing, so that it does not begin
# afresh where it should.

# %%
SOME = (
    *("carry_keeps_its_type", "scan_is_a_python_loop", "resets_are_separate_sequences"),
    *("every_weight_has_a_gradient", "gradients_are_derivatives", "maps_compose_to_the_step"),
)


def verdicts(cell):
    """Returns of each of the checks whether the cell passes it."""
    found = {}
    for check in testing.CHECKS:
        if check.__name__ in SOME:
            try:
                check(cell, "auto")
                found[check.__name__] = "passed"
            except AssertionError:
                found[check.__name__] = "failed"
    return found


ours = verdicts(fast_mgu(2, 3))
stuck = verdicts(fast_mgu(2, 3)._replace(reset=lambda params, carry: carry))
for name in ours:
    print(f"{name:>30}  {ours[name]}  {stuck[name]}")

# %% [markdown]
# ## Sunspots: the task
#
# A number for each year, from 1700 on. After each year, forecast the next one. Years up to 1920 are
# for training; 1921 to 1955 and 1956 to 1979 are the test sets of the literature. The network reads
# the series once, from left to right, and its output at a year is a forecast of the *change* to
# the next: $\hat x_{t+1} = x_t + w \cdot h_t + b$. Since it is causal, all years can be read in one
# scan, and only those of training enter the loss:
#
# $$L(\theta) = \frac{1}{n} \sum_{t+1 \le 1920} (\hat x_{t+1} - x_{t+1})^2.$$

# %%
corpus = data.load("sunspots_yearly")
parts = (corpus.train, corpus.valid, corpus.test)
year = np.concatenate([part.year for part in parts])
spots = np.concatenate([part.sunspots for part in parts])
series = jnp.asarray(spots / 100, jnp.float32)
learnt = jnp.asarray(year[1:] <= 1920)
early = (year[1:] > 1920) & (year[1:] <= 1955)
late = (year[1:] > 1955) & (year[1:] <= 1979)


class Model(NamedTuple):
    """All that is trained: a plain tree of arrays."""

    cell: Any
    w: Any
    b: Any


def init_model(cell, key):
    keys = jax.random.split(key)
    w = 0.1 * jax.random.normal(keys[0], (cell.output_size,))
    return Model(cell.init(keys[1]), w, jnp.zeros(()))


def forecast(cell, model, series):
    """Returns the forecast of the year after each, [T]."""
    _, hs = jaxseq.scan(cell, model.cell, series[:, None])
    return series + hs @ model.w + model.b


# %% [markdown]
# ## A training loop of your own, compiled whole
#
# One update is value and gradient, and optax. `jax.lax.scan` makes a few hundred of them one
# compiled function that returns the state and the losses on the way: Python is entered once. And
# since everything is a pure function of the state, `jax.vmap` trains eight networks side by side,
# from eight seeds, which is an ensemble (앙상블).

# %%
optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(3e-3, weight_decay=1e-2))
SEEDS, UPDATES = 8, 125


class State(NamedTuple):
    model: Model
    optimizer: Any


def begin(cell, key):
    model = init_model(cell, key)
    return State(model, optimizer.init(model))


def squared(cell, model):
    return (forecast(cell, model, series[:-1]) - series[1:]) ** 2


@functools.partial(jax.jit, static_argnames="cell")
def train(cell, states):
    """Returns the states after UPDATES updates, and the errors on the way [SEEDS, UPDATES, 3]."""

    def update(state, _):
        def loss(model):
            errors = squared(cell, model)
            means = [jnp.mean(errors, where=years) for years in (learnt, early, late)]
            return means[0], jnp.stack(means)

        gradient, means = jax.grad(loss, has_aux=True)(state.model)
        updates, after = optimizer.update(gradient, state.optimizer, state.model)
        return State(optax.apply_updates(state.model, updates), after), means

    return jax.vmap(lambda state: jax.lax.scan(update, state, None, length=UPDATES))(states)


# %% [markdown]
# The same function trains the package's GRU: to it, a cell is a cell. Each is trained by four
# calls, 500 updates in all, and the state after each call is kept.

# %%
seeds = jax.random.split(jax.random.key(3), SEEDS)
contestants = {"MGU, ours": fast_mgu(1, 12), "GRU": jaxseq.gru(1, 12)}
stages, errors = {}, {}
for name, one in contestants.items():
    stages[name], curves = [jax.vmap(functools.partial(begin, one))(seeds)], []
    for _ in range(4):
        states, curve = train(one, stages[name][-1])
        stages[name].append(states)
        curves.append(curve)
    errors[name] = np.concatenate(curves, axis=1)
{name: sum(leaf.size for leaf in jax.tree.leaves(stages[name][0].model)) // SEEDS
 for name in stages}  # fmt: skip

# %% [markdown]
# The years 1921 to 1955 choose when to stop: 221 years are few, and from about 250 updates on the
# networks learn them by heart, while the forecasts of other years get worse. So the networks after
# two of the four calls are the ones to use, and 1956 to 1979 remain for the test.

# %%
variance = float(np.var(spots[year <= 1920] / 100))
figure, axis = plt.subplots(figsize=(8, 3.4))
for (name, one), dash in zip(errors.items(), ("-", "--"), strict=True):
    for column, (label, color) in enumerate((("training years", "C0"), ("1921-55", "C1"))):
        curves = one[:, :, column] / variance
        axis.plot(curves.mean(0), dash, color=color, label=f"{name}: {label}")
        if name == "MGU, ours":
            low, high = curves.min(0), curves.max(0)
            axis.fill_between(np.arange(4 * UPDATES), low, high, color=color, alpha=0.15, lw=0)
axis.axvline(2 * UPDATES, color="k", ls=":", lw=1)
axis.set(xlabel="update", ylabel="relative squared error", yscale="log", ylim=(0.04, 1))
axis.set_title("mean of eight networks; shaded: lowest and highest of MGU")
axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# Errors are relative to the variance of the training years. The forecast is the mean of the eight
# networks. Beside it, what simple methods reach: persistence (next year is like this one) and an
# autoregression (자기회귀) on the last twelve years.


# %%
def relative(predicted, years):
    """Returns the mean squared error, by the variance of the training years."""
    return float(np.mean((np.asarray(predicted) - series[1:])[years] ** 2) / variance)


def autoregression(order=12):
    """Returns least-squares forecasts; the first years, which have too short a past, are kept."""
    values = np.asarray(series, float)
    past = np.lib.stride_tricks.sliding_window_view(values[:-1], order)
    rows = np.column_stack([past, np.ones(len(past))])
    known = year[order:] <= 1920
    weights, *_ = np.linalg.lstsq(rows[known], values[order:][known], rcond=None)
    return np.concatenate([values[: order - 1], rows @ weights])


predicted = {"persistence": series[:-1], "autoregression": autoregression()}
for name, one in contestants.items():
    run = jax.vmap(functools.partial(forecast, one), in_axes=(0, None))
    predicted[name] = run(stages[name][2].model, series[:-1]).mean(0)
table = {name: [relative(one, years) for years in (np.asarray(learnt), early, late)]
         for name, one in predicted.items()}  # fmt: skip
print(f"{'relative squared error':>22}   -1920  1921-55  1956-79")
for name, row in table.items():
    print(f"{name:>22}  " + "  ".join(f"{value:6.3f}" for value in row))

# %%
figure, axis = plt.subplots(figsize=(9, 3.2))
axis.plot(year[1:], spots[1:], color="k", lw=1, label="counted")
for name, dash in (("MGU, ours", "-"), ("autoregression", ":")):
    axis.plot(year[1:], 100 * np.asarray(predicted[name]), dash, label=f"{name}, a year ahead")
axis.axvspan(1920.5, 1955.5, color="0.92", lw=0)
axis.set(xlim=(1900, 1980), xlabel="year (grey: 1921-55, white to the right: 1956-79)")
axis.set(ylabel="sunspot number")
axis.legend(loc="upper left")
plt.show()

# %% [markdown]
# ## Stop, save, go on
#
# The state is a tree of arrays, so saving it is saving its leaves. With safetensors it is one line,
# as below; with Orbax it is `orbax.checkpoint.StandardCheckpointer().save(path, state)`, and
# `restore(path, state)` brings it back. A run that was saved after half of its updates, loaded and
# continued ends with the same weights, bit for bit, as the one that went on.


# %%
def save(path, state):
    save_file({str(n): np.asarray(leaf) for n, leaf in enumerate(jax.tree.leaves(state))}, path)


def load(path, like):
    leaves = load_file(path)
    return jax.tree.unflatten(
        jax.tree.structure(like), [leaves[str(n)] for n in range(len(leaves))]
    )


path = pathlib.Path(tempfile.mkdtemp()) / "half.safetensors"
states = stages["MGU, ours"]
save(path, states[2])
resumed = load(path, like=states[2])
for _ in range(2):
    resumed, _ = train(contestants["MGU, ours"], resumed)
same = jax.tree.map(lambda a, b: bool((a == b).all()), resumed, states[4])
print("all leaves equal:", all(jax.tree.leaves(same)), " file:", path.stat().st_size, "bytes")

# %% [markdown]
# ## What happens to the gradient
#
# `diagnostics.gradient_flow` works for a cell of one's own as for any: it is a cell. How much of
# the error of a single forecast, that of 1921, reaches the states of the years before? The
# vanishing gradient (기울기 소실) of 7.2.3, before and after training, for the first of the eight
# seeds.


# %%
def first_of(states):
    return jax.tree.map(lambda leaf: leaf[0], states).model


stop = int(np.flatnonzero(year == 1920)[0])
begun = {name: init_model(one, seeds[0]) for name, one in contestants.items()}
flows = {}
for name, one in contestants.items():
    for when, model in (("untrained", begun[name]), ("trained", first_of(stages[name][2]))):

        def error(model, one=one):
            value = forecast(one, model, series[stop - 79 : stop + 1])[-1]
            return (value - series[stop + 1]) ** 2

        flows[f"{name}, {when}"] = diagnostics.gradient_flow(error, model)

figure, axis = plt.subplots(figsize=(8, 3.4))
diagnostics.plot_gradient_flow(flows, ax=axis)
axis.set(xlabel="step t of the state (years; the last is 1920)", ylim=(1e-10, 10))
axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
norms = {name: np.asarray(flow.layers[0].norm.h) for name, flow in flows.items()}
kept = {name: float(norm[40] / norm[-1]) for name, norm in norms.items()}

# %% [markdown]
# It vanishes in all four, exponentially, but training has made the slope less steep: what is left
# after 39 steps is more, by orders of magnitude. The sun's cycle has eleven years.

# %% [markdown]
# ## Exercises
#
# **1.** A combinator takes cells and returns a cell. Stack two MGUs, the second with a way around
# it, and look at the plan.

# %% [markdown]
# **Answer.** `jaxseq.stack` and `jaxseq.residual` know nothing of the MGU, and both of its layers
# run on the fast path.

# %%
tower = jaxseq.stack([fast_mgu(3, 8), jaxseq.residual(fast_mgu(8, 8))])
weights = tower.init(jax.random.key(4))
tower_plan = jaxseq.plan(tower, weights, xs)
print(tower_plan.why)
print(jaxseq.scan(tower, weights, xs, lengths=jnp.array([30, 7, 0, 1]))[1].shape)

# %% [markdown]
# **2.** The gate $f$ lets the new in. With which bias does an untrained MGU keep its state, and the
# gradient, for longer?

# %% [markdown]
# **Answer.** With a negative one: $f$ is then near 0, and $h_t \approx h_{t-1}$. A GRU and an LSTM
# have the same remedy.

# %%
long = jax.random.normal(jax.random.key(5), (8, 100, 3))
reach = {}
for bias in (0.0, -2.0, -4.0):
    gated = params._replace(b_ih=params.b_ih.at[:8].set(bias))
    flow = diagnostics.gradient_flow(
        lambda gated: jaxseq.scan(fast, gated, long)[1][:, -1].sum(), gated
    )
    norm = np.asarray(flow.layers[0].norm.h).mean(0)
    reach[bias] = float(norm[49] / norm[-1])
print("what is left of the gradient after 50 steps:", {b: f"{v:.1e}" for b, v in reach.items()})

# %% [markdown]
# **3.** Let the trained ensemble write the sunspots of 1956 to 1979 from what was known in 1955:
# each forecast becomes the next input.

# %% [markdown]
# **Answer.** Read the years up to 1955, keep the carry, and scan `cell.step` over its own output.
# Far ahead the phase is lost and the error grows beyond that of a year ahead.

# %%
now = int(np.flatnonzero(year == 1955)[0])
one = contestants["MGU, ours"]


@jax.jit
@functools.partial(jax.vmap, in_axes=(0, None))
def written(model, known):
    carry, _ = jaxseq.scan(one, model.cell, known[:-1, None])

    def body(state, _):
        carry, x = state
        carry, h = one.step(model.cell, carry, x[None])
        x = x + h @ model.w + model.b
        return (carry, x), x

    return jax.lax.scan(body, (carry, known[-1]), None, length=24)[1]


ahead = np.asarray(written(states[2].model, series[: now + 1]))
figure, axis = plt.subplots(figsize=(8, 3))
axis.plot(year[now - 20 : now + 25], spots[now - 20 : now + 25], "k", lw=1, label="counted")
axis.plot(year[now + 1 : now + 25], 100 * ahead.mean(0), "o-", ms=3, label="written, mean of eight")
axis.fill_between(year[now + 1 : now + 25], *(100 * np.quantile(ahead, (0, 1), axis=0)), alpha=0.2)
axis.set(xlabel="year", ylabel="sunspot number")
axis.legend(loc="upper left")
plt.show()
far = float(((ahead.mean(0) - series[now + 1 : now + 25]) ** 2).mean() / variance)

# %% [markdown]
# ## What must hold

# %%
assert mgu(3, 8) is cell and np.allclose(jnp.stack(outputs, axis=1), ys, atol=1e-6)
assert all((leaf != 0).any() for leaf in jax.tree.leaves(gradient)) and five.shape == (5,)
assert len(traced) == 1  # the cell is the same each time, and so is the compiled program
assert slow_plan.backend == "reference" and fast_plan.backend == "fused"
assert np.allclose(jaxseq.scan(fast, params, xs)[1], ys, atol=1e-6)
assert 0 < products["with maps"] < products["step alone"]
assert len(ours) == len(SOME) and set(ours.values()) == {"passed"}
assert [name for name in SOME if stuck[name] == "failed"] == ["resets_are_separate_sequences"]
assert tower_plan.backend == "fused"

# %%
for name in contestants:
    training, chosen = errors[name][:, :, :2].mean(0).T
    assert training[-1] < training[2 * UPDATES] < training[UPDATES] < training[0]
    assert chosen[2 * UPDATES] < min(chosen[UPDATES // 2], chosen[-1])
    assert all(a < b for a, b in zip(table[name], table["persistence"], strict=True))
    assert all(a < b for a, b in zip(table[name], table["autoregression"], strict=True))
assert all(jax.tree.leaves(same))
assert all(np.isfinite(norm).all() and norm[0] < 0.1 * norm[-1] for norm in norms.values())
assert all(kept[f"{name}, trained"] > 100 * kept[f"{name}, untrained"] for name in contestants)
assert reach[0.0] < reach[-2.0] < reach[-4.0] and reach[-4.0] > 1e-2
assert far > table["MGU, ours"][2] and np.isfinite(ahead).all()
print("All statements hold.")
