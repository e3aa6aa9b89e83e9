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
# # 03 Vanishing and exploding gradients, and clipping (기울기 소실, 그래디언트 클리핑)
#
# Section 7.2.3 of the chapter. After this notebook you can measure how a gradient fades or grows on
# its way through time and through layers, say beforehand which of the two a network will do, and
# hold an exploding run with gradient clipping.

# %%
import functools
import math

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxseq
from jaxseq import data, diagnostics, training

plt.style.use("jaxseq.pictures")

# %% [markdown]
# ## 7.2.3 Squashing functions saturate
#
# The chapter: tanh and sigmoid saturate (포화), their derivatives tend to 0, and so the gradient
# shrinks with every layer and step. ReLU has the derivative 1 wherever it is positive.
#
# $$\mathrm{sigmoid}(x) = \frac 1 {1 + e^{-x}}, \qquad
# \tanh(x) = \frac{1 - e^{-2x}}{1 + e^{-2x}}, \qquad
# \mathrm{sigmoid}' = \mathrm{sigmoid}\,(1 - \mathrm{sigmoid}), \qquad \tanh' = 1 - \tanh^2$$

# %%
x = np.linspace(-6, 6, 241, dtype=np.float32)
tanh, sigmoid, relu = jnp.tanh, jax.nn.sigmoid, jax.nn.relu
named = {"tanh": tanh, "sigmoid": sigmoid, "ReLU": relu}
slope = {name: np.asarray(jax.jit(jax.vmap(jax.grad(f)))(x)) for name, f in named.items()}

figure, axes = plt.subplots(1, 2, figsize=(9.5, 3))
for (name, f), dash in zip(named.items(), ("-", "--", ":"), strict=True):
    axes[0].plot(x, f(x), dash, label=name)
    axes[1].plot(x, slope[name], dash, label=name)
axes[0].set(title="the function", xlabel="x", ylabel="f(x)", ylim=(-1.2, 2.2))
axes[1].set(title="its derivative", xlabel="x", ylabel="f'(x)")
axes[0].legend(loc="upper left")
plt.show()

assert np.isclose(slope["tanh"].max(), 1) and np.isclose(slope["sigmoid"].max(), 1 / 4)
assert max(slope[name][end] for name in ("tanh", "sigmoid") for end in (0, -1)) < 0.003

# %% [markdown]
# ### Two misprints
#
# The source has tanh without the 2 in the exponents, which is $\tanh(x/2)$; and it has
# $\mathrm{sigmoid}(x) = 2 \tanh(2x) - 1$, which is not even positive. Right are the formula above
# and
#
# $$\tanh(x) = 2\,\mathrm{sigmoid}(2x) - 1, \qquad
# \mathrm{sigmoid}(x) = \frac{\tanh(x/2) + 1} 2.$$

# %%
right = {
    "tanh": (1 - np.exp(-2 * x)) / (1 + np.exp(-2 * x)),
    "sigmoid": (np.tanh(x / 2) + 1) / 2,
}
misprint = {"tanh": (1 - np.exp(-x)) / (1 + np.exp(-x)), "sigmoid": 2 * np.tanh(2 * x) - 1}

figure, axes = plt.subplots(1, 2, figsize=(9.5, 2.7))
for axis, name in zip(axes, right, strict=True):
    axis.plot(x, named[name](x), lw=4, alpha=0.35, color="C0", label=f"{name} of JAX")
    axis.plot(x, right[name], color="C2", label="right formula")
    axis.plot(x, misprint[name], "--", color="C1", label="as printed")
    axis.set(title=name, xlabel="x", ylabel="f(x)")
    axis.legend(loc="lower right")
plt.show()

errors = {
    name: (
        np.abs(right[name] - named[name](x)).max(),
        np.abs(misprint[name] - named[name](x)).max(),
    )
    for name in right
}
for name, (good, bad) in errors.items():
    print(f"{name:<8} right formula off by {good:.1e}, as printed by {bad:.2f}")
assert all(good < 1e-6 and bad > 0.3 for good, bad in errors.values())
assert np.allclose(misprint["tanh"], np.tanh(x / 2), atol=1e-6) and misprint["sigmoid"].min() < 0

# %% [markdown]
# ## The gradient over 200 steps
#
# Back over one step a gradient is multiplied by the transpose of the step's Jacobian, and over many
# steps by a product of such matrices:
#
# $$\frac{dL}{dh_{t-1}} = \left(\frac{\partial h_t}{\partial h_{t-1}}\right)^{\!\top}
# \frac{dL}{dh_t}, \qquad \frac{\partial h_t}{\partial h_{t-1}} =
# \mathrm{diag}\big(f'(z_t)\big)\, W_{hh} \quad\text{(Elman).}$$
#
# If the factors are below 1, the product vanishes exponentially: the vanishing gradient (기울기
# 소실). Five networks of 32 units read 200 letters of *Moby-Dick*, in eight rows; the loss looks at
# the last step. "Orthogonal" is how `jaxseq.elman` begins: $W_{hh}$ keeps lengths, and only the
# tanh takes away. "tanh" and "ReLU" begin as PyTorch does, uniform in $\pm 1/\sqrt d$. In float64,
# since float32 ends at about 1e-45.

# %%
span, width, batch = 200, 32, 8
text = data.load("moby_dick").train[: span * batch]
vocabulary = data.Vocabulary.of_characters(text)
letters = np.eye(len(vocabulary))[vocabulary.encode(text).reshape(batch, span)]
size = len(vocabulary)
direction = np.random.default_rng(0).normal(size=(batch, width))

nets = {
    "Elman tanh": jaxseq.elman(size, width, init="torch"),
    "Elman ReLU": jaxseq.elman(size, width, activation=relu, init="torch"),
    "Elman orthogonal": jaxseq.elman(size, width),
    "GRU": jaxseq.gru(size, width),
    "LSTM": jaxseq.lstm(size, width),
}


def last_step(net, params):
    """Returns a loss that looks at the last state only."""
    carry, _ = jaxseq.scan(net, params, jnp.asarray(letters))
    return (direction * carry.h).sum()


# %%
with jax.enable_x64(True):
    weights = {name: net.init(jax.random.key(1), jnp.float64) for name, net in nets.items()}
    flows = {
        name: diagnostics.gradient_flow(functools.partial(last_step, net), weights[name])
        for name, net in nets.items()
    }
    exponents = {
        name: float(
            diagnostics.lyapunov_exponents(
                net, weights[name], jnp.asarray(letters[0]), key=jax.random.key(2)
            )[0]
        )
        for name, net in nets.items()
    }

# %%
figure, axis = plt.subplots(figsize=(8.5, 4))
with jax.enable_x64(True):
    diagnostics.plot_gradient_flow(flows, ax=axis)
axis.set(ylim=(1e-80, 1e3), ylabel=r"$\|dL/dh_t\|$, of the LSTM also $\|dL/dc_t\|$")
axis.set_title("how much of the last step's loss reaches step t, before training")
axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()


def by_state(flow):
    """Returns the norm of dL/dh_t over all rows, [T]."""
    return np.linalg.norm(flow.layers[0].gradient.h, axis=(0, 2))


reaching = {name: by_state(flow) for name, flow in flows.items()}
assert reaching["Elman ReLU"][0] < reaching["Elman tanh"][0] < reaching["Elman orthogonal"][0]
assert reaching["Elman orthogonal"][0] < reaching["LSTM"][0] < 1e-3 * reaching["LSTM"][-1]

# %% [markdown]
# All of them vanish, on a logarithmic axis in straight lines. A ReLU passes nothing where it is 0,
# so at this start it is worse than tanh. The LSTM keeps most, and still less than a thousandth
# arrives 200 steps back: its forget gate begins at about sigmoid(1) = 0.73. Notebook 04 opens it.
#
# ## Before any gradient: Lyapunov exponents
#
# The slope of those lines can be known without a loss. The leading Lyapunov exponent (랴푸노프
# 지수) λ of a trajectory is the growth of a small change of the state, in nats a step: below 0 it
# dies out, and so does the gradient; above 0 both explode. Measured on one row, beside the slope
# of the lines above between steps 40 and 160.

# %%
fitted = {
    name: -np.polyfit(np.arange(40, 160), np.log(values[40:160]), 1)[0]
    for name, values in reaching.items()
}
print(f"{'':<18}{'λ':>8}{'slope':>8}   (nats a step)")
for name in nets:
    print(f"{name:<18}{exponents[name]:8.3f}{fitted[name]:8.3f}")
assert all(abs(exponents[name] - fitted[name]) < 0.1 for name in nets)

# %% [markdown]
# Make $W_{hh}$ longer, and the same network goes from vanishing to exploding. Left, λ over the
# factor; right, by how much each step stretches the state at most (`diagnostics.jacobian_norms`).
# The turn comes above a factor of 1, since the tanh takes away.

# %%
elman, weight = nets["Elman orthogonal"], nets["Elman orthogonal"].init(jax.random.key(1))
row = jnp.asarray(letters[0], jnp.float32)
factors = np.array([0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3], np.float32)


@jax.jit
@jax.vmap
def stretch(factor):
    longer = weight._replace(w_hh=factor * weight.w_hh)
    exponent = diagnostics.lyapunov_exponents(elman, longer, row, key=jax.random.key(3))
    return exponent[0], diagnostics.jacobian_norms(elman, longer, row, key=jax.random.key(4))


growth, stretched = map(np.asarray, stretch(factors))
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3))
axes[0].plot(factors, growth, "o-")
axes[0].axhline(0, color="0.5", lw=0.8)
axes[0].set(title="vanishing below 0, exploding above", xlabel="factor on $W_{hh}$")
axes[0].set_ylabel("Lyapunov exponent λ (nats a step)")
for k, dash in ((0, ":"), (2, "-"), (5, "--")):
    axes[1].plot(stretched[k], dash, lw=1.1, label=f"factor {factors[k]:g}")
axes[1].set(title="norm of each step's Jacobian", xlabel="step t", ylim=(0, None))
axes[1].set_ylabel(r"$\|\partial h_t / \partial h_{t-1}\|_2$")
axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

assert growth[0] < growth[2] < 0 < growth[-1]
assert (growth <= np.log(stretched).mean(1) + 0.02).all()  # no direction grows faster than the norm

# %% [markdown]
# ## Saturation
#
# Larger weights do not only stretch: they push the units into the flat parts of the tanh, where the
# derivative is 0. Here the weights at the input and in the recurrence grow together.
# `diagnostics.gates` gives what the units are at each step, `saturation` their histogram and the
# share within 5 % of the bounds.

# %%
many = jnp.asarray(letters, jnp.float32)
found = {}
for factor in (1, 2, 4):
    grown = weight._replace(w_hh=factor * weight.w_hh, w_ih=factor * weight.w_ih)
    units = diagnostics.gates(elman, grown, many)["hidden"]
    found[f"weights × {factor}"] = diagnostics.saturation(units, bounds=(-1.0, 1.0))

figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.2))
for (name, one), dash in zip(found.items(), ("-", "--", ":"), strict=True):
    share = one.counts / one.counts.sum()
    axes[0].stairs(100 * share, one.edges, ls=dash, lw=1.6, label=name)
axes[0].set(title="all units, all steps", xlabel="$h$", ylabel="share (%)", yscale="log")
axes[0].set_xticks((-1, -0.5, 0, 0.5, 1))
axes[0].legend(loc="upper center")
diagnostics.plot_saturation({name: found[name] for name in list(found)[1:]}, ax=axes[1])
axes[1].set(title="within 5 % of the bounds")
plt.show()

flat = {name: float((one.low + one.high).mean()) for name, one in found.items()}
print({name: f"{100 * share:.1f} %" for name, share in flat.items()})
assert flat["weights × 1"] < 0.01 < flat["weights × 2"] < 0.5 < flat["weights × 4"]

# %% [markdown]
# ## Exploding, and clipping
#
# Where the gradient explodes, one step of gradient descent throws the weights far away. Gradient
# clipping (그래디언트 클리핑) keeps the direction and limits the length, over all weights together:
#
# $$g \leftarrow g \cdot \min\left(1, \frac{c}{\|g\|_2}\right).$$

# %%
gradient = {"w": jnp.array([[3.0, 0.0], [0.0, 4.0]]), "b": jnp.array([12.0])}
clipped = training.clip_by_global_norm(gradient, 1.0)
by_optax, _ = optax.clip_by_global_norm(1.0).update(gradient, optax.EmptyState())
assert float(clipped.norm) == 13.0 and np.isclose(optax.tree.norm(clipped.grads), 1.0)
assert all(np.allclose(clipped.grads[name], by_optax[name]) for name in gradient)
assert np.allclose(clipped.grads["w"] * 13, gradient["w"], atol=1e-5)

# %% [markdown]
# An experiment on Seattle's weather: tell tomorrow's highest temperature, lowest temperature, rain
# and wind from the days up to now, in rows of 120 days, by plain gradient descent. The networks
# begin on the exploding side, with $W_{hh}$ 1.8 times orthogonal. Eight of them, each run twice on
# the same batches: once as it is, once with the norm clipped at 1.

# %%
weather = data.load("seattle_weather").train
rain = np.log1p(weather.precipitation)
columns = np.stack([weather.temp_max, weather.temp_min, rain, weather.wind], axis=1)
series = ((columns - columns.mean(0)) / columns.std(0)).astype(np.float32)
begins = np.random.default_rng(1).integers(0, len(series) - 121, (200, 8))  # batches, rows
batches = jnp.asarray(series[begins[..., None] + np.arange(121)])
net = jaxseq.elman(4, width)


def begin(key):
    key_net, key_out = jax.random.split(key)
    start = net.init(key_net)
    out = 0.1 * jax.random.normal(key_out, (4, width))
    return {"net": start._replace(w_hh=1.8 * start.w_hh), "out": out}


@functools.partial(jax.jit, static_argnames="max_norm")
def descend(params, max_norm):
    """Returns the loss and both norms of each update."""

    def loss(params, batch):
        _, hs = jaxseq.scan(net, params["net"], batch[:, :-1])
        return ((hs @ params["out"].T - batch[:, 1:]) ** 2).mean()

    def update(params, batch):
        value, gradient = jax.value_and_grad(loss)(params, batch)
        gradient, norm, clipped_norm = training.clip_by_global_norm(gradient, max_norm)
        params = jax.tree.map(lambda leaf, slope: leaf - 0.7 * slope, params, gradient)
        return params, (value, norm, clipped_norm)

    return jax.lax.scan(update, params, batches)[1]


# %%
starts = jax.vmap(begin)(jax.random.split(jax.random.key(5), 8))
runs = {
    name: [np.asarray(each) for each in jax.vmap(functools.partial(descend, max_norm=most))(starts)]
    for name, most in (("as it is", None), ("clipped at 1", 1.0))
}

# %%
figure, axes = plt.subplots(2, 1, figsize=(8.5, 4.8), sharex=True)
for (name, (loss, norm, _)), colour, dash in zip(
    runs.items(), ("C1", "C0"), ("--", "-"), strict=True
):
    for axis, values in zip(axes, (loss, norm), strict=True):
        drawn = np.where(np.isfinite(values), values, np.nan).T
        lines = axis.plot(drawn, dash, color=colour, lw=0.9)
        lines[0].set_label(name)
axes[0].set(ylabel="mean squared error", yscale="log", ylim=(0.1, 1e12))
axes[0].set_title("loss (cut off above $10^{12}$)")
axes[1].axhline(1, color="k", ls=":", lw=1)
axes[1].set(xlabel="update", ylabel="norm of the gradient", yscale="log", ylim=(0.1, 1e12))
axes[1].set_title("norm before clipping; dotted: where it is clipped")
axes[0].legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

exploded = int((np.nanmax(runs["as it is"][0], axis=1) > 1e3).sum())
ends = runs["clipped at 1"][0][:, -20:].mean(1)
print(f"without clipping, the loss of {exploded} of 8 passes 1000")
print(f"clipped, the worst of 8 ends at {ends.max():.2f}")
assert exploded >= 6 and ends.max() < 0.8

# %% [markdown]
# `diagnostics.clipping_report` says of a run how often clipping acted, and how hard; here of the
# first one. (`training.fit` keeps both norms of each step in its history.)

# %%
_, norms, clipped_norms = runs["clipped at 1"]
report = diagnostics.clipping_report(norms[0], clipped_norms[0])
print(report)
assert 0 < report.clipped < 1 and report.quantiles[-1] > 10 and report.skipped == 0

# %% [markdown]
# ## How far a loss reaches back: effective memory
#
# `diagnostics.influence` gives $\|dL_t/dh_s\|$ for all pairs, and `effective_memory` the lag at
# which less than 1 % of it is left. 100 letters, before any training; 100 steps in the table mean
# that it never fell so low.

# %%
short, last_vector = row[:100], jnp.asarray(direction[0], jnp.float32)


@functools.partial(jax.jit, static_argnames="net")
def influence_of(net, params):
    """Returns the norms of dL_t/dh_s, like the carry, [t, s]."""

    def by_step(params):
        return jaxseq.scan(net, params, short)[1] @ last_vector

    return diagnostics.influence(by_step, params)[0].gradient


contest = {
    name: (nets[name], nets[name]) for name in ("Elman tanh", "Elman orthogonal", "GRU", "LSTM")
}
contest["LSTM, forget bias 3"] = nets["LSTM"], jaxseq.lstm(size, width, forget_bias=3.0)
memory = {}
for name, (net_of, source) in contest.items():
    norms = influence_of(net_of, source.init(jax.random.key(1)))
    found_lag = diagnostics.effective_memory(diagnostics.StateGradient(name, False, norms))
    memory[name] = int(jax.tree.leaves(found_lag)[-1])
    print(f"{name:<22}{memory[name]:>4} steps")
assert memory["Elman tanh"] < memory["GRU"] < memory["Elman orthogonal"] < memory["LSTM"]
assert memory["LSTM"] < memory["LSTM, forget bias 3"]

# %% [markdown]
# (Of the LSTM it is the cell state `c`; of the others, `h`.)
#
# ## Through layers: residual connections
#
# Depth has the same illness and another remedy. With a residual connection (잔차 연결), the output
# of a layer is `x + cell(x)`, so the gradient has a way around every layer.

# %%
deep = 8
bottom, layer = (
    jaxseq.elman(inputs, width, activation=sigmoid, init="torch") for inputs in (size, width)
)
towers = {
    "plain": jaxseq.stack([bottom, *[layer] * (deep - 1)]),
    "residual": jaxseq.stack([bottom, *[jaxseq.residual(layer)] * (deep - 1)]),
}


def gradient_by_layer(tower):
    """Returns the norm of the gradient by each layer's W_ih, over ten steps."""

    def loss(params):
        return (jaxseq.scan(tower, params, many[:, :10])[1] * direction[:, None]).mean()

    gradient = jax.jit(jax.grad(loss))(tower.init(jax.random.key(7)))
    return [np.linalg.norm(layer.w_ih) for layer in gradient]


by_layer = {name: gradient_by_layer(tower) for name, tower in towers.items()}
figure, axis = plt.subplots(figsize=(6.5, 2.9))
for (name, norm), style in zip(by_layer.items(), ("o--", "s-"), strict=True):
    axis.plot(range(1, deep + 1), norm, style, label=name)
axis.set(title="eight sigmoid layers", xlabel="layer (1 reads the input)", yscale="log")
axis.set_ylabel(r"$\|\partial L / \partial W_{ih}\|$")
axis.legend(loc="lower right")
plt.show()
assert by_layer["residual"][0] > 1000 * by_layer["plain"][0]

# %% [markdown]
# ## Exercises
#
# **1.** Through a chain of sigmoids alone, how many layers does it take at best until a gradient is
# below a millionth?

# %% [markdown]
# **Answer.** The derivative is at most 1/4, at 0. So the answer is the least $k$ with
# $4^{-k} < 10^{-6}$: ten.

# %%
layers_needed = math.ceil(math.log(1e-6) / math.log(float(slope["sigmoid"].max())))
assert layers_needed == 10
layers_needed

# %% [markdown]
# **2.** A ReLU network may begin with $W_{hh} = I$ (Le, Jaitly and Hinton, 2015). What happens to
# its gradient over 200 steps?

# %% [markdown]
# **Answer.** Where a unit stays positive, the factor is exactly 1: the gradient neither vanishes
# nor explodes. Here the input's weights are made positive so that no unit ever falls to 0.

# %%
with jax.enable_x64(True):
    rectified = nets["Elman ReLU"]
    initial = weights["Elman ReLU"]
    initial = initial._replace(
        w_hh=jnp.eye(width), w_ih=0.01 * jnp.abs(initial.w_ih), b_ih=jnp.full(width, 1e-3)
    )._replace(b_hh=jnp.zeros(width))
    flow = diagnostics.gradient_flow(functools.partial(last_step, rectified), initial)
steady = by_state(flow)
assert np.allclose(steady, steady[-1])
steady[[0, 100, 199]]

# %% [markdown]
# **3.** Some clip each component at $\pm c$ instead of the norm. What is lost?

# %% [markdown]
# **Answer.** The direction. The cosine of the angle to the gradient is 1 after clipping the norm,
# and less after clipping the components.


# %%
def cosine(left, right):
    left, right = (
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)]) for tree in (left, right)
    )
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


by_component = {name: jnp.clip(leaf, -1, 1) for name, leaf in gradient.items()}
cosines = cosine(clipped.grads, gradient), cosine(by_component, gradient)
assert cosines[0] > 0.999999 and cosines[1] < 0.9
cosines

# %% [markdown]
# ## What must hold
#
# The derivatives vanish; both formulas are right, and the printed ones are not; all five gradients
# vanish, in the order of their exponents; longer weights explode; clipping holds the runs that
# explode without it; residual connections keep the gradient of the lowest layer.

# %%
assert slope["tanh"][0] < 1e-4 and slope["sigmoid"][0] < 3e-3
assert all(good < 1e-6 < 0.3 < bad for good, bad in errors.values())
assert sorted(nets, key=exponents.get) == sorted(nets, key=fitted.get)
assert all(exponent < 0 for exponent in exponents.values()) and growth[-1] > 0
assert exploded >= 6 and ends.max() < 0.8
assert by_layer["residual"][0] > 1000 * by_layer["plain"][0]
print("All statements hold.")
