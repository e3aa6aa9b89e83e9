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
# # Recurrent networks
#
# Sections 7.1 to 7.2.7 of the chapter on sequential modelling (시퀀셜 모델링), as code. Three
# functions carry all of it: `jaxseq.elman(...)` and its like return a *cell*, `cell.step` advances
# **one example by one step**, and `jaxseq.scan` runs a cell over time and over the batch. Each
# section states what the chapter states, computes it, and asserts it.

# %%
import functools

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxseq
from jaxseq import data, nn
from jaxseq.losses import cross_entropy, mean

plt.rcParams.update(
    {
        "figure.constrained_layout.use": True,
        "figure.dpi": 100,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
        "axes.titlesize": "medium",
        "legend.frameon": False,
    }
)


# %% [markdown]
# ## 7.1, 7.2 The recursion
#
# A feed-forward (피드포워드) network is `y = f(x)`: it sees one input. A recurrent network (순환
# 신경망, RNN) is `h_t = f(x_t, h_{t-1}; θ)`: inputs arrive in order, and the hidden state (은닉
# 상태) changes with each. So the same input means something else after another past.
#
# The chapter's cell is that of Elman, with two biases:
#
# $$\hat y_t = h_t = \tanh(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh}), \qquad
# \theta = \{W_{ih}, b_{ih}, W_{hh}, b_{hh}\}.$$
#
# Its weights have the chapter's shapes, `W_ih ∈ R^{d×w}` and `W_hh ∈ R^{d×d}`, where `w` is
# `input_size` and `d` is `hidden_size`.

# %%
w, d = 3, 12
cell = jaxseq.elman(input_size=w, hidden_size=d)
params = cell.init(jax.random.key(0))
{name: leaf.shape for name, leaf in params._asdict().items()}


# %% [markdown]
# Written out, a step is one line. `cell.step` is that line with checks; both take one example, and
# `(carry, x) -> (carry, y)` is the order of `jax.lax.scan`. The carry is a named tuple, here
# `ElmanCarry(h)`.


# %%
def by_hand(params, h, x):
    return jnp.tanh(params.w_ih @ x + params.b_ih + params.w_hh @ h + params.b_hh)


x = jax.random.normal(jax.random.key(1), (w,))
carry, y = cell.step(params, cell.carry(params), x)
assert np.allclose(y, by_hand(params, jnp.zeros(d), x), atol=1e-6)
assert (y == carry.h).all()

# %% [markdown]
# One pulse at step 5, and silence after it: without the recurrence the network forgets at once,
# with it the pulse goes on in the hidden state.

# %%
pulse = jnp.zeros((40, w)).at[5].set(1.5)
forgetful = params._replace(w_hh=jnp.zeros_like(params.w_hh))

figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), sharey=True)
for axis, weights, title in zip(
    axes,
    (forgetful, params),
    ("feed-forward: $y_t = f(x_t)$", "recurrent: $h_t = f(x_t, h_{t-1})$"),
    strict=True,
):
    _, hs = jaxseq.scan(cell, weights, pulse)
    image = axis.imshow(hs.T, cmap="RdBu", vmin=-1, vmax=1, aspect="auto", interpolation="none")
    axis.set(title=title, xlabel="step t")
axes[0].set_ylabel("hidden unit")
figure.colorbar(image, ax=axes, label="activation")
plt.show()


# %% [markdown]
# ## 7.2.1 Over time, and the sizes
#
# The chapter's tensors have the batch first: a step is `(batch, 1, input)`, a sequence `(batch, n,
# input)`, its states `h_{1:n}` are `(batch, n, hidden)`, and one `h_t` is `(batch, hidden)`.
# `jaxseq.scan` takes and returns exactly these. What it computes is a Python loop over `t`;
# `jax.vmap` makes the step of one example one of a batch.

# %%
batch, n = 4, 24
xs = jax.random.normal(jax.random.key(2), (batch, n, w))
last, hs = jaxseq.scan(cell, params, xs)

step = jax.vmap(cell.step, in_axes=(None, 0, 0))
carry, outputs = cell.carry(params, (batch,)), []
for t in range(n):
    carry, y = step(params, carry, xs[:, t])
    outputs.append(y)

assert hs.shape == (batch, n, d) and last.h.shape == (batch, d)
assert np.allclose(hs, np.stack(outputs, axis=1), atol=1e-6)
assert np.allclose(last.h, carry.h, atol=1e-6)

# %% [markdown]
# The final carry comes back always, so a sequence may be cut anywhere and continued. (The type of
# what `scan` returns depends on no flag.)

# %%
middle, first_half = jaxseq.scan(cell, params, xs[:, :10])
_, second_half = jaxseq.scan(cell, params, xs[:, 10:], carry=middle)
assert np.allclose(np.concatenate([first_half, second_half], axis=1), hs, atol=1e-6)

# %% [markdown]
# ## 7.2.2 Back-propagation through time
#
# All steps share θ. Back-propagation through time (시간 역전파, BPTT) therefore gives a sum. With
# `L = 1/n Σ_t L(ŷ_t, y_t)` the chapter writes `∂L/∂θ = 1/n Σ_t ∂L(ŷ_t, y_t)/∂θ`. Each of these
# terms is a sum again: over the steps `s ≤ t` at which θ was *used*. To see both, give every step
# its own copy `θ_s`, and differentiate every `L_t` by every `θ_s`. Since a cell is a pure function
# of its params, the copies are simply one more thing to scan over.

# %%
targets = jax.random.normal(jax.random.key(3), (batch, n, d))


def loss(params):
    _, hs = jaxseq.scan(cell, params, xs)
    return ((hs - targets) ** 2).mean(axis=(0, 2)).mean()


def losses(copies):
    """Returns L_t / n for every t; `copies` are params with a leading axis, one a step."""

    def body(carry, inputs):
        theta, x = inputs
        return step(theta, carry, x)

    _, hs = jax.lax.scan(body, cell.carry(params, (batch,)), (copies, jnp.swapaxes(xs, 0, 1)))
    return ((hs - jnp.swapaxes(targets, 0, 1)) ** 2).mean(axis=(1, 2)) / n


copies = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (n, *leaf.shape)), params)
summands = jax.jit(jax.jacrev(losses))(copies)  # leaves [t, s, ...]
whole = jax.jit(jax.grad(loss))(params)


def agree(a, b, atol=1e-6):
    return all(
        np.allclose(p, q, atol=atol)
        for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


assert agree(jax.tree.map(lambda leaf: np.sum(leaf, (0, 1)), summands), whole)

# %% [markdown]
# The picture is that triangle. A row is a loss, a column a step at which θ was used: nothing above
# the diagonal (no loss depends on later steps), and less and less to the left of it. The gradient
# is the sum of all of it. That it fades to the left is the subject of the next section.

# %%
norms = np.sqrt(sum((np.asarray(leaf) ** 2).reshape(n, n, -1).sum(-1) for leaf in summands))
assert (np.triu(norms, 1) == 0).all() and (np.diag(norms) > 0).all()

figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4))
image = axes[0].imshow(
    np.ma.masked_equal(norms, 0), norm="log", cmap="viridis", aspect="auto", interpolation="none"
)
axes[0].set(title="norm of each summand", xlabel="step s of use", ylabel="step t of the loss")
figure.colorbar(image, ax=axes[0], label=r"$\|\partial L_t / \partial \theta_s\|$")
by_loss = np.cumsum(np.asarray(summands.w_hh).sum(1), axis=0)
axes[1].plot(np.linalg.norm(by_loss, axis=(1, 2)), label="terms up to t")
axes[1].axhline(np.linalg.norm(whole.w_hh), color="k", ls=":", label="jax.grad of scan")
axes[1].set(title="adding up the terms for $W_{hh}$", xlabel="step t", ylabel="norm of the sum")
axes[1].legend()
plt.show()


# %% [markdown]
# ## 7.2.3 The vanishing gradient
#
# Both squashing functions saturate: their derivatives tend to 0. Two formulas are misprinted in
# the source; the right ones are
#
# $$\tanh(x) = \frac{1 - e^{-2x}}{1 + e^{-2x}} \quad\text{(without the 2 it is } \tanh(x/2)),
# \qquad \tanh(x) = 2\,\mathrm{sigmoid}(2x) - 1,$$
#
# the latter being `sigmoid(x) = (tanh(x/2) + 1) / 2` (the source has `sigmoid = 2 tanh(2x) - 1`,
# which is not even positive).

# %%
x = np.linspace(-6, 6, 241, dtype=np.float32)
tanh, sigmoid, relu = jnp.tanh, jax.nn.sigmoid, jax.nn.relu
slope = {f: jax.jit(jax.vmap(jax.grad(f)))(x) for f in (tanh, sigmoid, relu)}

assert np.allclose(tanh(x), (1 - np.exp(-2 * x)) / (1 + np.exp(-2 * x)), atol=1e-6)
assert np.allclose(tanh(x / 2), (1 - np.exp(-x)) / (1 + np.exp(-x)), atol=1e-6)
assert np.allclose(tanh(x), 2 * sigmoid(2 * x) - 1, atol=1e-6)
assert np.allclose(sigmoid(x), (tanh(x / 2) + 1) / 2, atol=1e-6)

figure, axes = plt.subplots(1, 2, figsize=(9, 3))
for f, name in ((tanh, "tanh"), (sigmoid, "sigmoid"), (relu, "ReLU")):
    axes[0].plot(x, f(x), label=name)
    axes[1].plot(x, slope[f], label=name)
axes[0].set(title="activation", xlabel="x", ylabel="f(x)", ylim=(-1.2, 2.2))
axes[1].set(title="derivative", xlabel="x", ylabel="f'(x)")
axes[0].legend()
plt.show()

assert np.isclose(slope[tanh].max(), 1) and np.isclose(slope[sigmoid].max(), 1 / 4)
assert max(slope[f][end] for f in (tanh, sigmoid) for end in (0, -1)) < 0.003

# %% [markdown]
# A gradient that flows back over a step is multiplied by `diag(f') W_hh`. So the vanishing
# gradient (기울기 소실): with tanh and sigmoid the factors shrink it exponentially. To measure
# `∂L/∂h_t` at every `t` in one backward pass, add a zero to each carry, and differentiate by these
# zeros. The loss looks at the last step only.


# %%
span, width = 100, 32
noise = jax.random.normal(jax.random.key(4), (16, span, 8))
direction = jax.random.normal(jax.random.key(5), (16, width))


@functools.partial(jax.jit, static_argnames="cell")  # equal arguments give the same cell
def gradient_norms(cell, params):
    """Returns the norm of the gradient of the loss by the carry at each step, [T]."""
    step = jax.vmap(cell.step, in_axes=(None, 0, 0))
    start = cell.carry(params, (16,))

    def loss(zeros):
        def body(carry, inputs):
            zero, x = inputs
            carry, y = step(params, carry, x)
            return jax.tree.map(jnp.add, carry, zero), y

        carry, _ = jax.lax.scan(body, start, (zeros, jnp.swapaxes(noise, 0, 1)))
        return (direction * carry.h).sum()

    zeros = jax.tree.map(lambda leaf: jnp.zeros((span, *leaf.shape)), start)
    gradients = jax.grad(loss)(zeros)
    return jnp.sqrt(sum((leaf**2).sum(-1) for leaf in gradients)).mean(-1)


cells = {
    "Elman, sigmoid": jaxseq.elman(8, width, activation=sigmoid),
    "Elman, tanh": jaxseq.elman(8, width),
    "Elman, ReLU": jaxseq.elman(8, width, activation=relu),
    "GRU": jaxseq.gru(8, width),
    "LSTM, forget bias 1": jaxseq.lstm(8, width),
}
weights = {name: cell.init(jax.random.key(6)) for name, cell in cells.items()}
# A ReLU network whose W_hh begins as the identity neither shrinks nor turns what it remembers.
cells["Elman, ReLU, identity"] = cells["Elman, ReLU"]
weights["Elman, ReLU, identity"] = weights["Elman, ReLU"]._replace(w_hh=jnp.eye(width))


def open_gate(params, gate, bias=3.0):
    """Returns params whose gate number `gate` begins with this bias; gates are [H] each."""
    return params._replace(b_ih=params.b_ih.at[gate * width : (gate + 1) * width].set(bias))


# An LSTM keeps its state where the forget gate f (of i, f, g, o) is open, which is what
# jaxseq.lstm(..., forget_bias=3.0) begins with; a GRU where the update gate z (of r, z, n) is.
for name, gate, source in (
    ("LSTM, forget bias 3", 1, "LSTM, forget bias 1"),
    ("GRU, update bias 3", 1, "GRU"),
):
    cells[name], weights[name] = cells[source], open_gate(weights[source], gate)
flow = {name: np.asarray(gradient_norms(cells[name], weights[name])) for name in cells}

# %%
looks = {"Elman": "tab:red", "GRU": "tab:green", "LSTM": "tab:blue"}
dashes = ["-", "--", ":", "-."]
figure, axis = plt.subplots(figsize=(8, 3.8))
seen = dict.fromkeys(looks, 0)
for name, norm in sorted(flow.items()):
    family = name.split(",")[0]
    axis.plot(norm, color=looks[family], ls=dashes[seen[family]], label=name)
    seen[family] += 1
axis.set(
    title="how much of the last step's loss reaches step t, before any training",
    xlabel="step t",
    ylabel=r"$\|\partial L / \partial\,\mathrm{carry}_t\|$",
    yscale="log",
    ylim=(1e-12, 1e3),
)
axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
plt.show()

assert flow["Elman, sigmoid"][-20] < flow["Elman, tanh"][-20] < flow["LSTM, forget bias 1"][-20]
assert flow["Elman, tanh"][0] < 1e-9 < 1e-2 < flow["LSTM, forget bias 3"][0]
assert flow["GRU"][0] < 1e-9 < 1e-2 < flow["GRU, update bias 3"][0]

# %% [markdown]
# A gate is what helps, and only as far as it is open: `c_t = f c_{t-1} + …` multiplies the
# gradient by `f` and by no matrix. This is why `jaxseq.lstm` begins with a forget bias of 1.
#
# Depth has the same illness and another remedy. In `jaxseq.residual(cell)` the output is `x +
# cell(x)`, so the gradient has a way around every layer.


# %%
deep = 6


def gradient_by_layer(tower):
    """Returns the norm of the loss's gradient by each layer's W_ih, over 10 steps."""
    params = tower.init(jax.random.key(7))

    @jax.jit
    @jax.grad
    def gradient(params):
        return (jaxseq.scan(tower, params, noise[:, :10])[1] * direction[:, None]).mean()

    return [np.linalg.norm(layer.w_ih) for layer in gradient(params)]


bottom, layer = (jaxseq.elman(size, width, activation=sigmoid, init="torch") for size in (8, width))
towers = {
    "plain": jaxseq.stack([bottom, *[layer] * (deep - 1)]),
    "residual": jaxseq.stack([bottom, *[jaxseq.residual(layer)] * (deep - 1)]),
}
by_layer = {name: gradient_by_layer(tower) for name, tower in towers.items()}

figure, axis = plt.subplots(figsize=(6, 2.8))
for name, norm in by_layer.items():
    axis.plot(range(1, deep + 1), norm, "o-", label=name)
axis.set(
    title="six sigmoid layers",
    xlabel="layer (1 reads the input)",
    ylabel=r"$\|\partial L / \partial W_{ih}\|$",
    yscale="log",
)
axis.legend()
plt.show()
assert by_layer["residual"][0] > 1000 * by_layer["plain"][0]


# %% [markdown]
# ## 7.2.4 Several layers
#
# Several layers (여러 계층): the states of one layer are the inputs of the next, and the output is
# the top layer's, `(batch, n, hidden)`. In the core, `jaxseq.stack` takes cells and returns a
# cell, whose params and carry are tuples. The Flax modules of `jaxseq.nn` own the weights instead,
# and keep the chapter's hidden state `(#layers, batch, hidden)`. Both compute the same.

# %%
layers = nn.LSTM(w, d, num_layers=2, init="torch", rngs=jax.random.key(8))
carry, ys = layers(xs)
assert ys.shape == (batch, n, d)
assert carry.h.shape == carry.c.shape == (2, batch, d)

stacked = jaxseq.stack([jaxseq.lstm(w, d), jaxseq.lstm(d, d)])
carries, ys_of_stack = jaxseq.scan(stacked, layers.params, xs)
assert np.allclose(ys, ys_of_stack, atol=1e-6)
assert np.allclose(carry.c[1], carries[1].c, atol=1e-6)

# %% [markdown]
# ## 7.2.5 Bidirectional
#
# Bidirectional (양방향): a second cell, which shares no parameters with the first, runs from the
# last step to the first, and the two states stand side by side at every step. In the core params
# and carry are a `Directions(forward, backward)`. With several layers the joined states are the
# input of *both* directions of the next layer; only some middle layers may be bidirectional, so
# `bidirectional` is a bool or one bool a layer, and the hidden state has one entry for each
# direction that there is: `(#direction × #layers, batch, hidden)` where all have two.

# %%
both = nn.Elman(w, d, num_layers=2, bidirectional=True, rngs=jax.random.key(9))
carry, ys = both(xs)
assert ys.shape == (batch, n, 2 * d) and carry.h.shape == (2 * 2, batch, d)
assert both.params[1].backward.w_ih.shape == (d, 2 * d)  # reads both directions of layer 0

middle_only = nn.Elman(
    w, d, num_layers=3, bidirectional=(False, True, False), rngs=jax.random.key(9)
)
carry, ys = jax.eval_shape(middle_only, xs)  # shapes are all that is asked for here
assert ys.shape == (batch, n, d) and carry.h.shape == (1 + 2 + 1, batch, d)

# %% [markdown]
# What an output has read is what it has a gradient by. The sequence below has 16 valid steps of
# 20: the backward direction starts at its own last valid step, and the padding touches nothing.

# %%
elman = jaxseq.elman(w, d)
pair = jaxseq.Directions(*map(elman.init, jax.random.split(jax.random.key(10))))
one = jax.random.normal(jax.random.key(11), (20, w))
valid = jnp.array(16)
runs = {
    "forward": lambda xs: jaxseq.scan(elman, pair.forward, xs, lengths=valid)[1],
    "backward": lambda xs: jaxseq.scan(elman, pair.backward, xs, lengths=valid, reverse=True)[1],
    "bidirectional": lambda xs: jaxseq.bidirectional(elman, pair, xs, lengths=valid)[1],
}


def reach(run, xs):
    """Returns the norm of the Jacobian of y_t by x_s, [t, s]."""
    return np.linalg.norm(jax.jit(jax.jacrev(run))(xs), axis=(1, 3))


def show_reach(axis, jacobian, title):
    shown = np.ma.masked_equal(jacobian, 0)
    image = axis.imshow(shown, norm="log", cmap="viridis", interpolation="none")
    image.set_clim(1e-3, 3)
    axis.set(title=title, xlabel="input step s", xticks=range(0, 20, 5), yticks=range(0, 20, 5))
    return image


reaches = {name: reach(run, one) for name, run in runs.items()}
figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.2), sharey=True, layout="compressed")
for axis, (name, jacobian) in zip(axes, reaches.items(), strict=True):
    image = show_reach(axis, jacobian, name)
axes[0].set_ylabel("output step t")
figure.colorbar(image, ax=axes, label=r"$\|\partial y_t / \partial x_s\|$", extend="min")
plt.show()

assert (np.triu(reaches["forward"], 1) == 0).all()
assert (np.tril(reaches["backward"], -1) == 0).all()
assert (reaches["bidirectional"][:16, :16] > 0).all()
assert (reaches["bidirectional"][16:] == 0).all() and (reaches["bidirectional"][:, 16:] == 0).all()

# %% [markdown]
# ## 7.2.7 Ragged batches
#
# Sentences differ in length. `data.pad` puts them in one array, and `lengths` tells `scan` which
# steps are real. At a padded step the output is 0 and the state stays, so the final carry is the
# one after the last valid step; the losses take `lengths` too. What is *in* the padding never
# matters, for no output and no gradient: here it is NaN.

# %%
rng = np.random.default_rng(0)
sequences = [rng.normal(size=(length, w)).astype(np.float32) for length in (20, 9, 0)]
padded, lengths = data.pad(sequences, value=np.nan)
params = elman.init(jax.random.key(12))


@functools.partial(jax.grad, has_aux=True)
def gradient_of_ragged(params, xs, lengths=None):
    carry, ys = jaxseq.scan(elman, params, xs, lengths=lengths)
    return (ys**2).sum() + carry.h.sum(), (carry, ys)


gradient_of_ragged = jax.jit(gradient_of_ragged)
gradient, (carry, ys) = gradient_of_ragged(params, padded, lengths)
alone = [gradient_of_ragged(params, sequence) for sequence in sequences]

for row, (_, (carry_alone, ys_alone)) in enumerate(alone):
    length = lengths[row]
    assert np.allclose(ys[row, :length], ys_alone, atol=1e-6) and (ys[row, length:] == 0).all()
    assert np.allclose(carry.h[row], carry_alone.h, atol=1e-6)
summed = jax.tree.map(lambda *leaves: sum(map(np.asarray, leaves)), *[parts[0] for parts in alone])
assert agree(gradient, summed, atol=1e-4)

figure, axes = plt.subplots(1, 2, figsize=(9, 2), sharey=True)
axes[0].imshow(padded[..., 0], cmap="PuOr", vmin=-2, vmax=2, aspect="auto", interpolation="none")
axes[0].set_xticks(range(0, 20, 5))
axes[0].set(title="input, feature 0 (blank: NaN)", xlabel="step t", ylabel="row", yticks=range(3))
image = axes[1].imshow(
    np.linalg.norm(ys, axis=-1), cmap="Purples", vmin=0, aspect="auto", interpolation="none"
)
axes[1].set(title="norm of the output", xlabel="step t", xticks=range(0, 20, 5))
figure.colorbar(image, ax=axes[1])
plt.show()

# %% [markdown]
# ## 7.2.6 One output, and what a network forgets
#
# One output (하나의 출력): the last step's state, softmax over classes, cross-entropy `-Σ_i y_i
# log ŷ_i`. All outputs (모든 출력): the same at every step, as in the language model (언어 모델)
# of the next notebook. `jaxseq.losses.cross_entropy` serves both, and returns a sum and a count,
# so that batches of different sizes add up; `mean` divides.
#
# The task: the first symbol is one of four classes, 23 to 31 symbols of noise follow, and after
# the last step the network must name the class. A plain network forgets over long spans (7.2.7);
# the gates of the LSTM and the GRU are the remedy, if they begin open. `carry.h` *is* the state
# after each row's last valid step. The training loop is written here by hand, as one compiled
# function: nothing in the package stands in the way, and `vmap` over the seed trains three
# networks at once.

# %%
classes, symbols, longest, rows = 4, 8, 32, 32
optimizer = optax.adam(1e-2)


@jax.jit
@jax.vmap
def draw(key):
    """Returns a batch: one-hot symbols [B, T, 8], lengths [B], labels [B]."""
    keys = jax.random.split(key, 3)
    tokens = jax.random.randint(keys[0], (rows, longest), classes, symbols)
    labels = jax.random.randint(keys[1], (rows,), 0, classes)
    lengths = jax.random.randint(keys[2], (rows,), 24, longest + 1)
    return jax.nn.one_hot(tokens.at[:, 0].set(labels), symbols), lengths, labels


batches = draw(jax.random.split(jax.random.key(13), 150))  # of 150 updates


@functools.partial(jax.jit, static_argnames="cell")
def train(cell, cell_params):
    def loss(params, batch):
        xs, lengths, labels = batch
        carry, _ = jaxseq.scan(cell, params["cell"], xs, lengths=lengths)
        logits = carry.h @ params["out"].T
        return mean(cross_entropy(logits, labels))

    def update(state, batch):
        params, opt_state = state
        value, gradient = jax.value_and_grad(loss)(params, batch)
        updates, opt_state = optimizer.update(gradient, opt_state)
        return (optax.apply_updates(params, updates), opt_state), value

    params = {"cell": cell_params, "out": jnp.zeros((classes, width))}
    return jax.lax.scan(update, (params, optimizer.init(params)), batches)[1]


seeds = jax.random.split(jax.random.key(14), 3)
contest = {
    "Elman": jaxseq.elman(symbols, width),
    "GRU": jaxseq.gru(symbols, width),
    "LSTM": jaxseq.lstm(symbols, width, forget_bias=3.0),
}
starts = {  # params with a leading axis, one a seed
    name: jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(cell.init, seeds))
    for name, cell in contest.items()
}
starts["GRU"] = jax.vmap(functools.partial(open_gate, gate=1))(starts["GRU"])
curves = {
    name: np.asarray(jax.vmap(functools.partial(train, cell))(starts[name]))
    for name, cell in contest.items()
}

# %%
figure, axis = plt.subplots(figsize=(7, 3))
for name, curve in curves.items():
    for seed, losses_of_seed in enumerate(curve):
        smooth = np.convolve(losses_of_seed, np.ones(10) / 10, "valid")
        axis.plot(smooth, color=looks[name], lw=1.2, label=None if seed else name)
axis.axhline(np.log(classes), color="k", ls=":", lw=1, label="guessing: log 4")
axis.set(
    title="name the first symbol after 24 to 32 steps; three seeds each",
    xlabel="update",
    ylabel="cross-entropy (nats)",
)
axis.legend()
plt.show()

final = {name: np.median(curve[:, -20:].mean(1)) for name, curve in curves.items()}
assert final["LSTM"] < 0.3 and final["GRU"] < 0.3 and final["Elman"] > 0.5

# %% [markdown]
# ## 7.2.2 Long sequences: truncated BPTT
#
# A long sequence is a very deep network, and its backward pass needs every state. Truncated BPTT
# hands the carry from window to window and stops the gradient there. The values stay the same; the
# gradient reaches back to the start of its window.

# %%
elman_params = pair.forward
full = reach(lambda xs: jaxseq.scan(elman, elman_params, xs)[1], one)
cut = reach(lambda xs: jaxseq.truncated_bptt(elman, elman_params, xs, window=5)[1], one)

figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.4), sharey=True, layout="compressed")
image = show_reach(axes[0], full, "scan")
show_reach(axes[1], cut, "truncated_bptt(window=5)")
axes[0].set_ylabel("output step t")
figure.colorbar(image, ax=axes, label=r"$\|\partial y_t / \partial x_s\|$", extend="min")
plt.show()

same_window = jnp.arange(20)[:, None] // 5 == jnp.arange(20) // 5
assert (cut[~same_window] == 0).all()
assert np.allclose(cut[same_window], full[same_window], atol=1e-6)
assert np.allclose(
    jaxseq.truncated_bptt(elman, elman_params, one, window=5)[1],
    jaxseq.scan(elman, elman_params, one)[1],
    atol=1e-6,
)

# %% [markdown]
# Where the gradient must not be cut, `remat` saves memory instead: the backward pass finds every
# k-th carry kept and computes the steps in between again. With `"sqrt"`, k is near √n, and memory
# grows like √n. What is drawn is the scratch memory of the compiled gradient; in both bars a copy
# of the inputs with time as the first axis is counted, which grows like n.


# %%
@functools.partial(jax.jit, static_argnames="remat")
@jax.grad
def gradient_by_params(params, xs, remat):
    return (jaxseq.scan(elman, params, xs, remat=remat)[0].h ** 2).sum()


def compiled(n, remat):
    shape = jax.ShapeDtypeStruct((8, n, w), jnp.float32)
    return gradient_by_params.lower(elman_params, shape, remat=remat).compile()


steps = [256, 4096]
programs = {remat: [compiled(n, remat) for n in steps] for remat in (None, "sqrt")}
memory = {
    remat: [program.memory_analysis().temp_size_in_bytes / 2**20 for program in row]
    for remat, row in programs.items()
}

figure, axis = plt.subplots(figsize=(6, 2.6))
for place, (remat, sizes) in enumerate(memory.items()):
    bars = axis.bar(np.arange(2) + 0.4 * place, sizes, width=0.38, label=f"remat={remat!r}")
    axis.bar_label(bars, fmt="%.2f", padding=2)
axis.set_xticks(np.arange(2) + 0.2, [f"n = {n}" for n in steps])
axis.set(title="back-propagation through n steps", ylabel="memory (MiB)", yscale="log")
axis.set_ylim(top=3 * max(memory[None]))
axis.legend(loc="upper left")
plt.show()

long = jax.random.normal(jax.random.key(17), (8, 256, w))
plain, frugal = (programs[remat][0](elman_params, long) for remat in (None, "sqrt"))
assert agree(plain, frugal, atol=1e-4)
assert memory[None][1] / memory[None][0] > 12
copy_of_inputs = [8 * n * w * 4 / 2**20 for n in steps]  # MiB of float32
rest = np.subtract(memory["sqrt"], copy_of_inputs)
assert 3 < rest[1] / rest[0] < 6  # the square root of 4096 / 256 is 4

# %% [markdown]
# All of the above, at the end once more in one line each: the weights have the chapter's shapes, a
# scan is a loop, the gradient is a sum over steps, and padding does not matter.

# %%
assert whole.w_ih.shape == (d, w) and whole.w_hh.shape == (d, d)
assert agree(jax.tree.map(lambda leaf: np.sum(leaf, (0, 1)), summands), whole)
assert not any(jnp.isnan(leaf).any() for leaf in jax.tree.leaves(gradient))
print("All statements hold.")
