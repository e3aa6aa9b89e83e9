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
# # 04 LSTM and GRU (장단기 메모리, 게이트 순환 유닛)
#
# The chapter's contents name them, and 7.2.7 says what for: a plain recurrent network forgets over
# long spans, and LSTM and GRU remedy that. After this notebook you can write both, gate by gate,
# look at the gates of a trained network, set how long a network remembers before it has learnt
# anything, and choose a cell for a task.

# %%
import functools
import itertools
import math

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxseq
from jaxseq import cells, data, diagnostics, nn, training
from jaxseq.losses import accuracy, bits_per_symbol, cross_entropy, mean

plt.style.use("jaxseq.pictures")
sigmoid = jax.nn.sigmoid

# %% [markdown]
# ## The LSTM, gate by gate
#
# Long short-term memory (장단기 메모리, LSTM) carries two vectors: the hidden state `h`, which it
# shows, and the cell state (셀 상태) `c`, which it keeps. Three gates (게이트), numbers between 0
# and 1, decide what is written, what is kept and what is shown:
#
# $$\begin{aligned}
# i &= \sigma(W_{ii} x_t + b_{ii} + W_{hi} h_{t-1} + b_{hi}) && \text{input gate} \\
# f &= \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf}) && \text{forget gate (망각 게이트)} \\
# g &= \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) && \text{candidate} \\
# o &= \sigma(W_{io} x_t + b_{io} + W_{ho} h_{t-1} + b_{ho}) && \text{output gate} \\
# c_t &= f \odot c_{t-1} + i \odot g, \qquad h_t = o \odot \tanh(c_t)
# \end{aligned}$$
#
# The four blocks lie on top of each other in `w_ih [4*H, I]` and `w_hh [4*H, H]`, in the order i,
# f, g, o, as in PyTorch.


# %%
def lstm_by_hand(params, h, c, x):
    z = params.w_ih @ x + params.b_ih + params.w_hh @ h + params.b_hh
    i, f, g, o = jnp.split(z, 4)
    c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
    return sigmoid(o) * jnp.tanh(c), c


inputs, width = 4, 16
lstm = jaxseq.lstm(inputs, width)
lstm_params = lstm.init(jax.random.key(0))
x, h, c = (
    jax.random.normal(key, (n,))
    for key, n in zip(jax.random.split(jax.random.key(1), 3), (inputs, width, width), strict=True)
)

carry, y = lstm.step(lstm_params, cells.LSTMCarry(h, c), x)
h_by_hand, c_by_hand = lstm_by_hand(lstm_params, h, c, x)
lstm_error = float(np.abs(np.concatenate([carry.h - h_by_hand, carry.c - c_by_hand])).max())
assert lstm_error < 1e-6 and (y == carry.h).all()
{name: leaf.shape for name, leaf in lstm_params._asdict().items()}

# %% [markdown]
# ## The GRU
#
# The gated recurrent unit (게이트 순환 유닛, GRU) has one state and two gates. The update gate `z`
# says how much of the old state stays; the reset gate `r` says how much of it the candidate reads:
#
# $$\begin{aligned}
# r &= \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{t-1} + b_{hr}), \qquad
# z = \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz}) \\
# n &= \tanh(W_{in} x_t + b_{in} + r \odot (W_{hn} h_{t-1} + b_{hn})) \\
# h_t &= (1 - z) \odot n + z \odot h_{t-1}
# \end{aligned}$$
#
# This is the form of PyTorch and cuDNN. In the paper of Cho et al. the reset acts *before* the
# product, $W_{hn}(r \odot h_{t-1})$: another function, which `reset_after=False` gives.


# %%
def gru_by_hand(params, h, x, reset_after=True):
    r_x, z_x, n_x = jnp.split(params.w_ih @ x + params.b_ih, 3)
    r_h, z_h, n_h = jnp.split(params.w_hh @ h + params.b_hh, 3)
    r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
    w_hn, b_hn = params.w_hh[2 * width :], params.b_hh[2 * width :]
    n = jnp.tanh(n_x + (r * n_h if reset_after else w_hn @ (r * h) + b_hn))
    return (1 - z) * n + z * h


gru_params = jaxseq.gru(inputs, width).init(jax.random.key(2))
gru_steps = {
    after: jaxseq.gru(inputs, width, reset_after=after).step(gru_params, cells.GRUCarry(h), x)[1]
    for after in (True, False)
}
gru_error = max(
    float(np.abs(step - gru_by_hand(gru_params, h, x, after)).max())
    for after, step in gru_steps.items()
)
between_forms = float(np.abs(gru_steps[True] - gru_steps[False]).max())
print(f"by hand: {gru_error:.1e} apart; the two forms: {between_forms:.2f} apart")
assert gru_error < 1e-6 and between_forms > 0.01


# %% [markdown]
# ### What they cost
#
# An LSTM has four blocks of the Elman cell's weights, a GRU three:
# $G \,(d\,w + d^2 + 2 d)$ with $G = 1, 3, 4$.


# %%
def count(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


sizes = {}
for name, make in (("Elman", jaxseq.elman), ("GRU", jaxseq.gru), ("LSTM", jaxseq.lstm)):
    shapes = jax.eval_shape(make(64, 128).init, jax.random.key(0))
    sizes[name] = count(shapes)
    print(f"{name:<6} {sizes[name]:>7,} weights, 64 inputs and 128 units")
assert [sizes[name] / sizes["Elman"] for name in ("GRU", "LSTM")] == [3, 4]

# %% [markdown]
# ## Why it remembers: the way of `c`
#
# Along `c`, a step multiplies the gradient by the forget gate, and by no matrix:
# $\partial c_t / \partial c_{t-1} = \mathrm{diag}(f_t)$, as long as the gates do not read the
# state. So over many steps it is $\prod_t f_t$. Checked on real inputs, 60 days of Seattle's
# weather, with $W_{hh} = 0$: the derivative of the last `c` by the first is the product of the
# gates.

# %%
weather = data.load("seattle_weather").train
rain = np.log1p(weather.precipitation)
columns = np.stack([weather.temp_max, weather.temp_min, rain, weather.wind], axis=1)
days = jnp.asarray((columns - columns.mean(0)) / columns.std(0), jnp.float32)

deaf = lstm_params._replace(w_hh=jnp.zeros_like(lstm_params.w_hh))


@jax.jit
def last_c(c):
    carry = cells.LSTMCarry(jnp.zeros(width), c)
    return jaxseq.scan(lstm, deaf, days[:60], carry=carry)[0].c


by_first_c = jax.jacrev(last_c)(jnp.zeros(width))
product = diagnostics.gates(lstm, deaf, days[:60])["forget"].prod(0)
way_error = float(np.abs(by_first_c - jnp.diag(product)).max() / product.max())
assert way_error < 1e-3

# %% [markdown]
# ### The forget gate's bias is the memory
#
# Before training, the gate is about $\sigma(b)$, so along `c` there is $\sigma(b)^k$ of the
# influence left at lag *k*, and 1 % is reached at $k = \ln 0.01 / \ln \sigma(b)$. `jaxseq.lstm`
# begins with $b = 1$; other values are one argument away, `forget_bias`. Measured with
# `diagnostics.influence` and `effective_memory` over the weather of 128 days: with $W_{hh} = 0$ it
# is near the rule (gates move with the input, and the more open ones last longer), and the
# recurrence through `h` adds to it. 128 steps mean that it never fell so low.

# %%
biases, span = (-1.0, 0.0, 1.0, 2.0, 3.0), 128


@jax.jit
def influence_of(params):
    (layer,) = diagnostics.influence(lambda p: jaxseq.scan(lstm, p, days[:span])[1].sum(-1), params)
    return layer.gradient


def memory_of(bias, recurrence=1.0):
    """Returns the lag at which 1 % of the influence of c is left."""
    params = jaxseq.lstm(inputs, width, forget_bias=bias).init(jax.random.key(3))
    norms = influence_of(params._replace(w_hh=recurrence * params.w_hh))
    found = diagnostics.StateGradient("lstm", reverse=False, gradient=norms)
    return int(diagnostics.effective_memory(found, threshold=0.01).c)


measured = {bias: memory_of(bias) for bias in biases}
along_c = {bias: memory_of(bias, recurrence=0.0) for bias in biases}
# %%
smooth = np.linspace(-1.2, 3.2, 100)
rule = np.log(0.01) / np.log(1 / (1 + np.exp(-smooth)))

figure, axis = plt.subplots(figsize=(6.5, 3.1))
axis.plot(smooth, rule, "--", label=r"$\ln 0.01\,/\,\ln \sigma(b)$")
axis.plot(along_c.keys(), along_c.values(), "s", color="C2", label="measured, $W_{hh} = 0$")
axis.plot(measured.keys(), measured.values(), "o", color="C1", label="measured, whole cell")
axis.set(xlabel="bias b of the forget gate", ylabel="effective memory (steps)", yscale="log")
axis.set_title("an LSTM before any training")
axis.legend(loc="upper left")
plt.show()

lags = list(measured.values())
assert all(shorter < longer for shorter, longer in itertools.pairwise(lags))
by_rule = {b: math.log(0.01) / -math.log1p(math.exp(-b)) for b in biases}
assert all(1 <= along_c[b] / by_rule[b] < 2 for b in biases) and along_c[3.0] < 1.2 * by_rule[3.0]
assert all(along_c[b] <= measured[b] for b in biases)

# %% [markdown]
# ## The gates over a real text
#
# A small LSTM learns to tell the next letter of *Moby-Dick* (the language model of notebook 07),
# and then reads a passage that it has not seen.

# %%
corpus = data.load("moby_dick")
text = corpus.train[:80_000]
vocabulary = data.Vocabulary.of_characters(text)
windows = data.WindowBatches(vocabulary.encode(text), batch_size=16, window=48, repeat=True)
model = nn.LanguageModel(len(vocabulary), 16, 48, cell="lstm", rngs=jax.random.key(4))
start, apply = nn.pure(model)


def loss(params, carry, batch, key):
    carry, logits = apply(params, batch.inputs, carry=carry)
    return cross_entropy(logits, batch.targets, lengths=batch.lengths), carry


optimizer = optax.adam(1e-2)
state = training.init_state(start, optimizer, key=jax.random.key(5), carry=model.carry((16,)))
step = training.make_step(loss, optimizer, max_norm=1.0)
result = training.fit(state, step, windows, steps=250, progress=False)
trained = nn.with_params(model, result.state.params)

letters = "".join(letter for letter in corpus.valid[:3000] if letter in vocabulary.symbols)
unseen = vocabulary.encode(letters)
bits = float(bits_per_symbol(cross_entropy(trained(unseen[None, :-1])[1], unseen[None, 1:])))
print(f"{bits:.2f} bits a letter on the unseen passage; {math.log2(len(vocabulary)):.2f} by chance")
assert bits < 3.5

# %% [markdown]
# `diagnostics.gates` gives the gates at every step. Below, the forget gate of all units over the
# first 70 letters; and by itself the gate and unit that tell best whether a letter is a space (or
# the end of a line).

# %%
embedded = jnp.asarray(trained.embedding.get_value())[unseen]
gates = diagnostics.gates(trained.rnn.cells[0], trained.rnn.params[0], embedded)
blank = np.array([letter.isspace() for letter in letters])


def telling(values):
    """Returns for each unit the correlation of its gate with the blanks."""
    return np.array([np.corrcoef(unit, blank)[0, 1] for unit in np.asarray(values).T])


telltale = {name: telling(gates[name]) for name in ("input", "forget", "output")}
best = max(telltale, key=lambda name: np.abs(telltale[name]).max())
unit = int(np.abs(telltale[best]).argmax())
print(f"{best} gate of unit {unit}: correlation {telltale[best][unit]:.2f} with the blanks")

# %%
shown = slice(0, 70)
ticks = ["_" if letter.isspace() else letter for letter in letters[shown]]
figure, axes = plt.subplots(2, 1, figsize=(11, 4.6), sharex=True, height_ratios=(2.4, 1))
order = np.asarray(gates["forget"]).mean(0).argsort()
image = axes[0].imshow(
    np.asarray(gates["forget"])[shown, order].T, vmin=0, vmax=1, aspect="auto", interpolation="none"
)
axes[0].set(title="forget gate", ylabel="unit (sorted)")
figure.colorbar(image, ax=axes[0], label="open (0 to 1)")
axes[1].plot(np.asarray(gates[best])[shown, unit], "o-", ms=3)
axes[1].set(title=f"{best} gate of unit {unit}", ylabel="open (0 to 1)", ylim=(-0.05, 1.05))
axes[1].set_xticks(range(len(ticks)), ticks, fontsize=8)
axes[1].set_xlabel("letters of the passage (_: space or end of line)")
plt.show()

assert np.abs(telltale[best][unit]) > 0.6

# %% [markdown]
# ## An experiment: who remembers over 40 steps?
#
# The first symbol is one of four, 31 to 39 symbols of noise follow, and at the end the network must
# name the first one. The three cells have 32 units each, Adam and 200 updates on fresh batches. The
# gates begin open: the LSTM with `forget_bias=3`, the GRU with the same bias at its update gate.
# `vmap` over the seed trains three networks of each kind at once.

# %%
classes, symbols, longest, rows, units = 4, 8, 40, 32, 32


@jax.jit
@jax.vmap
def draw(key):
    """Returns a batch: one-hot symbols [B, T, 8], lengths [B], labels [B]."""
    keys = jax.random.split(key, 3)
    tokens = jax.random.randint(keys[0], (rows, longest), classes, symbols)
    labels = jax.random.randint(keys[1], (rows,), 0, classes)
    lengths = jax.random.randint(keys[2], (rows,), 32, longest + 1)
    return jax.nn.one_hot(tokens.at[:, 0].set(labels), symbols), lengths, labels


lessons = draw(jax.random.split(jax.random.key(6), 200))  # of 200 updates
adam = optax.adam(1e-2)


@functools.partial(jax.jit, static_argnames="cell")
def learn(cell, cell_params):
    """Returns the loss and the accuracy of each update's batch, before the update."""

    def loss(params, lesson):
        xs, lengths, labels = lesson
        carry, _ = jaxseq.scan(cell, params["cell"], xs, lengths=lengths)
        logits = carry.h @ params["out"].T
        return mean(cross_entropy(logits, labels)), mean(accuracy(logits, labels))

    def update(state, lesson):
        params, memory = state
        scores, gradient = jax.value_and_grad(loss, has_aux=True)(params, lesson)
        updates, memory = adam.update(gradient, memory)
        return (optax.apply_updates(params, updates), memory), scores

    params = {"cell": cell_params, "out": jnp.zeros((classes, units))}
    return jax.lax.scan(update, (params, adam.init(params)), lessons)[1]


# %%
contest = {
    "Elman": jaxseq.elman(symbols, units),
    "GRU": jaxseq.gru(symbols, units),
    "LSTM": jaxseq.lstm(symbols, units, forget_bias=3.0),
}
seeds = jax.random.split(jax.random.key(7), 3)
starts = {name: jax.vmap(cell.init)(seeds) for name, cell in contest.items()}
b_ih = starts["GRU"].b_ih.at[:, units : 2 * units].set(3.0)  # r, z, n: the second third
starts["GRU"] = starts["GRU"]._replace(b_ih=b_ih)
curves = {
    name: jax.vmap(functools.partial(learn, cell))(starts[name]) for name, cell in contest.items()
}

# %%
figure, axis = plt.subplots(figsize=(7.5, 3.2))
for (name, (nats, _)), (colour, dash) in zip(
    curves.items(), (("C1", ":"), ("C2", "--"), ("C0", "-")), strict=True
):
    for seed, curve in enumerate(np.asarray(nats)):
        smoothed = np.convolve(curve, np.ones(10) / 10, "valid")
        axis.plot(smoothed, dash, color=colour, lw=1.3, label=None if seed else name)
axis.axhline(np.log(classes), color="0.5", lw=1, label="guessing: ln 4")
axis.set(xlabel="update", ylabel="cross-entropy (nats)", title="three networks of each kind")
axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

print(f"{'':<8}{'right at the end':>18}{'weights':>10}")
right = {}
for name, (_, hits) in curves.items():
    right[name] = float(np.median(np.asarray(hits)[:, -30:].mean(1)))
    print(f"{name:<8}{right[name]:>17.0%}{count(starts[name]) // 3:>10,}")
assert right["LSTM"] > 0.95 and right["GRU"] > 0.95 and right["Elman"] < 0.5

# %% [markdown]
# The Elman network stays near guessing, which is right in a quarter of the cases; both gated ones
# name the symbol nearly always.
#
# ## Variants, by name
#
# All are cells: the same three functions, the same scan, the same padding contract. `jaxseq.plan`
# says how fast a loop each gets. The linear recurrences (minGRU, minLSTM, LRU) have gates that do
# not read the state, so that a long sequence can be computed in $\log_2 T$ rounds in place of $T$
# steps; `backend="associative"` asks for it.

# %%
variants = {
    "lstm": lstm,
    "peephole_lstm": jaxseq.peephole_lstm(inputs, width),  # the gates also see c
    "layer_norm_lstm": jaxseq.layer_norm_lstm(inputs, width),  # both products are normalised
    "lstm, projected": jaxseq.lstm(inputs, width, proj_size=8),  # a narrow h beside a wide c
    "gru": jaxseq.gru(inputs, width),
    "gru, reset before": jaxseq.gru(inputs, width, reset_after=False),
    "layer_norm_gru": jaxseq.layer_norm_gru(inputs, width),
    "min_gru": jaxseq.min_gru(inputs, width),  # h = (1 - z) h + z n, z and n of x alone
    "min_lstm": jaxseq.min_lstm(inputs, width),
    "zoneout of gru": jaxseq.zoneout(jaxseq.gru(inputs, width), 0.1),  # units sometimes stand still
}
loops = {}
for name, cell in variants.items():
    like = jax.eval_shape(cell.init, jax.random.key(0))
    loops[name] = jaxseq.plan(cell, like, days[:100]).backend
    print(f"{name:<20}{count(like):>6,} weights   loop: {loops[name]}")
assert loops["gru, reset before"] == "reference" != loops["gru"]

# %% [markdown]
# A minGRU needs no loop: all three ways give the same numbers.

# %%
minimal = variants["min_gru"]
minimal_params = minimal.init(jax.random.key(8))
by_loop, by_rounds = (
    jaxseq.scan(minimal, minimal_params, days[:100], backend=backend)[1]
    for backend in ("reference", "associative")
)
rounds_error = float(np.abs(by_loop - by_rounds).max())
assert rounds_error < 1e-4

# %% [markdown]
# ## Exercises
#
# **1.** Set the biases of an LSTM so that it forgets everything at every step. What is it then, if
# the recurrent weights are 0 too?

# %% [markdown]
# **Answer.** A forget gate that is shut (a bias of -30), and $W_{hh} = 0$: a feed-forward network.
# What it says of a day does not depend on the days before.

# %%
shut = deaf._replace(b_ih=deaf.b_ih.at[width : 2 * width].set(-30.0))
_, after_all = jaxseq.scan(lstm, shut, days[:30])
_, after_none = jaxseq.scan(lstm, shut, days[29:30])
_, remembering = jaxseq.scan(lstm, deaf, days[:30])
assert np.allclose(after_all[-1], after_none[-1], atol=1e-6)
assert np.abs(remembering[-1] - after_none[-1]).max() > 0.01

# %% [markdown]
# **2.** Which bias makes a GRU keep its state as it is? And its gradient?

# %% [markdown]
# **Answer.** A large bias at the update gate: $z = 1$ and $h_t = h_{t-1}$. The state stands still,
# and the gradient passes whole; so a GRU begins to remember long with a bias of a few at `z`.

# %%
gru = jaxseq.gru(inputs, width)
frozen = gru_params._replace(b_ih=gru_params.b_ih.at[width : 2 * width].set(30.0))
final = jax.jit(lambda h: jaxseq.scan(gru, frozen, days[:100], carry=cells.GRUCarry(h))[0].h)
assert np.allclose(final(h), h, atol=1e-5)
assert np.allclose(jax.jacrev(final)(h), np.eye(width), atol=1e-4)

# %% [markdown]
# **3.** An LSTM of 64 units reads 32 inputs. How wide may a GRU be to have no more weights?

# %% [markdown]
# **Answer.** Count: $4\,(64 \cdot 32 + 64^2 + 2 \cdot 64)$ are 25,088 weights; a GRU of 76 units
# has 25,080, and one of 77 units too many, 25,641.


# %%
def weights_of(cell):
    return count(jax.eval_shape(cell.init, jax.random.key(0)))


budget = weights_of(jaxseq.lstm(32, 64))
widest = max(d for d in range(60, 100) if weights_of(jaxseq.gru(32, d)) <= budget)
assert (budget, widest) == (25_088, 76)
widest

# %% [markdown]
# ## What must hold
#
# The steps are the formulas; the way of `c` is the product of the gates; the bias is the memory;
# a gate of the trained network knows where words end; gates remember over 40 steps, where a plain
# network does not.

# %%
assert max(lstm_error, gru_error) < 1e-6 < between_forms
assert sizes["LSTM"] == 4 * sizes["Elman"] and sizes["GRU"] == 3 * sizes["Elman"]
assert way_error < 1e-3 and along_c[3.0] > 4 * along_c[1.0] and measured[3.0] > 2 * measured[1.0]
assert np.abs(telltale[best][unit]) > 0.6
assert min(right["LSTM"], right["GRU"]) > 0.95 > 0.5 > right["Elman"]
assert rounds_error < 1e-4
print("All statements hold.")
