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
# # 05 Several layers and both directions (여러 계층, 양방향)
#
# Sections 7.2.4 and 7.2.5 of the chapter. After this notebook you can stack cells by hand and with
# `jaxseq.nn`, run both directions of time over a ragged batch, say the shape of every hidden state,
# keep a deep stack trainable with residual connections and dropout, and say which tasks need the
# future and which forbid it.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxseq
from jaxseq import cells, data, diagnostics, nn, training
from jaxseq.losses import accuracy, cross_entropy, mean

plt.style.use("jaxseq.pictures")


def distance(left, right):
    """Returns the greatest difference between two trees of arrays."""
    pairs = zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
    return max(float(np.abs(np.subtract(one, other)).max()) for one, other in pairs)


# %% [markdown]
# The batch is four utterances of JapaneseVowels, in which speakers say two vowels: 12 numbers a
# frame, and rows of different lengths.

# %%
utterances = sorted(data.load("japanese_vowels").train, key=lambda row: -len(row.values))
xs, lengths = data.pad([utterances[k].values for k in (0, 40, 120, 250)])
batch, n, w = xs.shape
d = 8
lengths

# %% [markdown]
# ## 7.2.4 Several layers
#
# Several layers (여러 계층): the states of one layer are the inputs of the next,
#
# $$h^{(1)}_t = f^{(1)}(x_t, h^{(1)}_{t-1}), \qquad h^{(k)}_t = f^{(k)}(h^{(k-1)}_t,
# h^{(k)}_{t-1}),$$
#
# and the output is the top layer's, `(batch, n, hidden)`. In the core, `jaxseq.stack` takes cells
# and returns a cell, whose params and carry are tuples. The Flax modules of `jaxseq.nn` own the
# weights instead, and keep the chapter's hidden state `(#layers, batch, hidden)`. Both compute what
# one scan after the other does.

# %%
layers = nn.LSTM(w, d, num_layers=3, rngs=jax.random.key(0))
carry, ys = layers(xs, lengths=lengths)

tower = jaxseq.stack([jaxseq.lstm(w, d), jaxseq.lstm(d, d), jaxseq.lstm(d, d)])
carries, ys_of_stack = jaxseq.scan(tower, layers.params, xs, lengths=lengths)

below = xs
for cell, params in zip(layers.cells, layers.params, strict=True):
    _, below = jaxseq.scan(cell, params, below, lengths=lengths)

stack_error = max(
    distance(ys, ys_of_stack), distance(ys, below), distance(carry.c[2], carries[2].c)
)
print("outputs      (batch, n, hidden)       ", ys.shape)
print("hidden state (#layers, batch, hidden) ", carry.h.shape)
assert stack_error < 1e-6 and ys.shape == (batch, n, d)
assert carry.h.shape == carry.c.shape == (3, batch, d)

# %% [markdown]
# ### The gradient through layers
#
# A stack is deep in two directions: in time and in layers. `diagnostics.gradient_flow` gives
# $dL/dh_t$ for every layer at once. Left, three layers of GRU over the first utterance, with a loss
# that looks at the last step of the top layer. Right, six layers of Elman cells, plain and with
# residual connections (잔차 연결), where the output of a layer is `x + cell(x)`: the whole gradient
# by the states of each layer.

# %%
row = jnp.asarray(xs[:1])
three = jaxseq.stack([jaxseq.gru(w, d), *[jaxseq.gru(d, d)] * 2])


def last_output(tower):
    """Returns a loss that looks at the last step of the top layer."""
    return lambda params: jaxseq.scan(tower, params, row)[1][:, -1].sum()


flow = diagnostics.gradient_flow(last_output(three), three.init(jax.random.key(1)))

bottom, layer = (jaxseq.elman(size, d, init="torch") for size in (w, d))
deep = {
    "plain": jaxseq.stack([bottom, *[layer] * 5]),
    "residual": jaxseq.stack([bottom, *[jaxseq.residual(layer)] * 5]),
}
by_layer = {}
for name, one in deep.items():
    found = diagnostics.gradient_flow(last_output(one), one.init(jax.random.key(2)))
    by_layer[name] = [np.linalg.norm(each.gradient.h) for each in found.layers]

# %%
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.3))
diagnostics.plot_gradient_flow(flow, ax=axes[0])
axes[0].set(title="three GRU layers", ylabel=r"$\|dL/dh_t\|$")
for (name, norms), style in zip(by_layer.items(), ("o--", "s-"), strict=True):
    axes[1].plot(range(1, 7), norms, style, label=name)
axes[1].set(
    title="six Elman layers", xlabel="layer (1 reads the input)", yscale="log", ylim=(0.05, 20)
)
axes[1].set_ylabel("norm over all steps")
axes[1].legend(loc="lower right")
plt.show()

last = [float(each.norm.h[0, -1]) for each in flow.layers]
assert len(flow.layers) == 3 and last == sorted(last)
assert by_layer["residual"][0] > 10 * by_layer["plain"][0]

# %% [markdown]
# ### Residual connections and dropout between layers
#
# `nn.GRU(..., residual=True)` adds to every layer but the first its input. `dropout` acts on the
# input of every layer but the first, drawn anew for each step; it is off unless the call is given
# `rngs`. So the first layer is never touched. (`input_dropout` and `state_dropout` are variational:
# one mask for a whole sequence.)

# %%
residual = nn.GRU(w, d, num_layers=3, residual=True, rngs=jax.random.key(3))
gru = jaxseq.gru(d, d)
by_stack = jaxseq.stack([jaxseq.gru(w, d), jaxseq.residual(gru), jaxseq.residual(gru)])
residual_error = distance(residual(row)[1], jaxseq.scan(by_stack, residual.params, row)[1])

dropping = nn.GRU(w, d, num_layers=2, dropout=0.5, rngs=jax.random.key(4))
plain = nn.GRU(w, d, num_layers=2, rngs=jax.random.key(4))
quiet, _ = dropping(row)
noisy, _ = dropping(row, rngs=jax.random.key(5))
assert residual_error < 1e-6
assert distance(quiet, plain(row)[0]) == 0  # the same weights, and no key: no dropout
assert (noisy.h[0] == quiet.h[0]).all() and (noisy.h[1] != quiet.h[1]).all()

masks = {
    "anew for each step (dropout)": cells.dropout_mask(jax.random.key(6), 0.5, (n, d), jnp.float32),
    "one for all steps (variational)": jnp.tile(
        cells.dropout_mask(jax.random.key(7), 0.5, (1, d), jnp.float32), (n, 1)
    ),
}
figure, axes = plt.subplots(1, 2, figsize=(9.5, 2.1), sharey=True)
for axis, (title, mask) in zip(axes, masks.items(), strict=True):
    image = axis.imshow(mask.T, cmap="Greys", vmin=0, vmax=2, aspect="auto", interpolation="none")
    axis.set(title=title, xlabel="step t")
axes[0].set_ylabel("unit")
figure.colorbar(image, ax=axes, label="factor", ticks=(0, 2))
plt.show()

# %% [markdown]
# ## 7.2.5 Both directions
#
# Bidirectional (양방향): a second cell, which shares no parameters with the first, runs from the
# last step to the first, and the two states stand side by side at every step:
#
# $$\overrightarrow h_t = f(x_t, \overrightarrow h_{t-1}; \theta), \qquad
# \overleftarrow h_t = f(x_t, \overleftarrow h_{t+1}; \theta'), \qquad
# y_t = [\overrightarrow h_t; \overleftarrow h_t].$$
#
# In the core, params and carry are a `Directions(forward, backward)`. By hand it is two scans, one
# of them with `reverse=True`, whose outputs stay in the order of the inputs.

# %%
cell = jaxseq.gru(w, d)
pair = jaxseq.Directions(*map(cell.init, jax.random.split(jax.random.key(8))))
ends, both = jaxseq.bidirectional(cell, pair, xs, lengths=lengths)

_, ahead = jaxseq.scan(cell, pair.forward, xs, lengths=lengths)
_, back = jaxseq.scan(cell, pair.backward, xs, lengths=lengths, reverse=True)
pair_error = distance(both, jnp.concatenate([ahead, back], axis=-1))

# At its own last valid step, a row's backward state is the first step from the initial state.
beginning = jax.vmap(cell.step, in_axes=(None, None, 0))
last_frames = xs[np.arange(batch), lengths - 1]
_, first_back = beginning(pair.backward, cell.carry(pair.backward), last_frames)
start_error = distance(back[np.arange(batch), lengths - 1], first_back)
print(f"two scans: {pair_error:.1e} apart; start at the last valid step: {start_error:.1e} apart")
assert both.shape == (batch, n, 2 * d) and pair_error < 1e-6 and start_error < 1e-6
assert (ends.backward.h == both[:, 0, d:]).all()  # the backward direction ends at step 0

# %% [markdown]
# What an output has read is what it has a gradient by. Below, $\|\partial y_t / \partial x_s\|$ for
# a row with 14 valid steps of 18: the forward direction has read the past, the backward direction
# the future from the row's own last valid step on, and the padding touches nothing.

# %%
short, valid = jnp.asarray(xs[0, :18]), jnp.array(14)
runs = {
    "forward": lambda xs: jaxseq.scan(cell, pair.forward, xs, lengths=valid)[1],
    "backward": lambda xs: jaxseq.scan(cell, pair.backward, xs, lengths=valid, reverse=True)[1],
    "both": lambda xs: jaxseq.bidirectional(cell, pair, xs, lengths=valid)[1],
}
reach = {
    name: np.linalg.norm(jax.jit(jax.jacrev(run))(short), axis=(1, 3)) for name, run in runs.items()
}

figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.1), sharey=True, layout="compressed")
for axis, (name, jacobian) in zip(axes, reach.items(), strict=True):
    shown = np.ma.masked_equal(jacobian, 0)
    image = axis.imshow(shown, norm="log", cmap="viridis", interpolation="none")
    image.set_clim(1e-3, 1)
    axis.set(title=name, xlabel="input step s", xticks=range(0, 18, 4), yticks=range(0, 18, 4))
    axis.axhline(13.5, color="C1", lw=1)
    axis.axvline(13.5, color="C1", lw=1)
axes[0].set_ylabel("output step t")
figure.colorbar(image, ax=axes, label=r"$\|\partial y_t / \partial x_s\|$", extend="both")
plt.show()

assert (np.triu(reach["forward"], 1) == 0).all() and (np.tril(reach["backward"], -1) == 0).all()
assert (reach["both"][:14, :14] > 0).all()
assert (reach["both"][14:] == 0).all() and (reach["both"][:, 14:] == 0).all()

# %% [markdown]
# ### Several layers, both directions
#
# The joined states are the next layer's input **to both directions**. So the weights of the next
# layer are `2 * hidden` wide, in both. The hidden state is `(#direction × #layers, batch, hidden)`:
# layer 0 forward, layer 0 backward, layer 1 forward, and so on. Only some middle layers may be
# bidirectional: `bidirectional` is one bool, or one bool a layer.

# %%
deep_both = nn.GRU(w, d, num_layers=2, bidirectional=True, rngs=jax.random.key(9))
carry, ys = deep_both(xs, lengths=lengths)

joined = xs
for cell_of, directions in zip(deep_both.cells, deep_both.params, strict=True):
    _, joined = jaxseq.bidirectional(cell_of, directions, joined, lengths=lengths)
joined_error = distance(ys, joined)

middle = nn.GRU(w, d, 3, bidirectional=(False, True, False), rngs=jax.random.key(10))
carry_middle, ys_middle = middle(xs, lengths=lengths)
print(f"{'both layers both ways':<24}{ys.shape!s:<14}{carry.h.shape}")
print(f"{'only the middle one':<24}{ys_middle.shape!s:<14}{carry_middle.h.shape}")
top = deep_both.params[1]
assert top.forward.w_ih.shape == top.backward.w_ih.shape == (3 * d, 2 * d)
assert ys.shape == (batch, n, 2 * d) and carry.h.shape == (2 * 2, batch, d)
assert ys_middle.shape == (batch, n, d) and carry_middle.h.shape == (1 + 2 + 1, batch, d)
assert joined_error < 1e-6

# %% [markdown]
# ## An experiment: where does a Korean word end?
#
# Korean text without its spaces, and for every syllable the question whether a space follows
# (띄어쓰기). That depends on what comes next, which a forward network has not read. The text is the
# constitution of Korea, in pieces of at most 40 syllables; each model has an embedding of 16, GRU
# layers of 24 units in each direction, and 200 updates.


# %%
def pieces_of(text, longest=40):
    """Returns (syllables, whether a space follows) for each piece of each line."""
    pieces = []
    for line in text.split("\n"):
        words = line.split()
        syllables = "".join(words)
        spaced = np.zeros(len(syllables), np.int32)
        spaced[np.cumsum([len(word) for word in words[:-1]], dtype=int) - 1] = len(words) > 1
        for begin in range(0, len(syllables), longest):
            end = begin + longest
            pieces.append((syllables[begin:end], spaced[begin:end]))
    return pieces


def padded(pieces):
    ids, lengths = data.pad([vocabulary.encode(syllables) for syllables, _ in pieces], length=40)
    return ids, data.pad([tags for _, tags in pieces], length=40).values, lengths


corpus = data.load("korean_constitution")
learnt, unseen = pieces_of(corpus.train), pieces_of(corpus.valid + corpus.test)
vocabulary = data.Vocabulary.of_characters("".join(s for s, _ in learnt), unknown="\ufffd")
ids, tags, piece_lengths = padded(learnt)
held_out = padded(unseen)
never = 1 - np.concatenate([tags for _, tags in unseen]).mean()
print(f"{len(learnt)} pieces, {len(vocabulary)} syllables; saying never: {never:.1%} right")

# %%
rng = np.random.default_rng(0)
lessons = [
    (ids[rows], tags[rows], piece_lengths[rows]) for rows in rng.integers(0, len(ids), (200, 32))
]


def train(num_layers, bidirectional):
    """Returns the module, and its accuracy on the held-out pieces over the updates."""
    model = nn.SequenceTagger(
        2,
        16,
        24,
        num_layers,
        vocab_size=len(vocabulary),
        cell="gru",
        bidirectional=bidirectional,
        rngs=jax.random.key(11),
    )
    params, apply = nn.pure(model)

    def loss(params, carry, lesson, key):
        ids, tags, lengths = lesson
        return cross_entropy(apply(params, ids, lengths=lengths), tags, lengths=lengths), carry

    @jax.jit
    def right(params):
        ids, tags, lengths = held_out
        return mean(accuracy(apply(params, ids, lengths=lengths), tags, lengths=lengths))

    optimizer = optax.adam(1e-2)
    state = training.init_state(params, optimizer, key=jax.random.key(12))
    step, scores = training.make_step(loss, optimizer, max_norm=1.0), []
    for k in range(0, len(lessons), 10):
        some = lessons[k : k + 10]
        state = training.fit(state, step, some, steps=k + 10, progress=False).state
        scores.append(float(right(state.params)))
    return nn.with_params(model, state.params), scores


# %%
settings = {"forward": (1, False), "both": (1, True), "both, two layers": (2, True)}
taggers = {name: train(*setting) for name, setting in settings.items()}

# %%
figure, axis = plt.subplots(figsize=(7.5, 3.1))
for (name, (_, scores)), style in zip(taggers.items(), ("s:", "o-", "^--"), strict=True):
    axis.plot(np.arange(10, 201, 10), 100 * np.array(scores), style, ms=3, label=name)
axis.axhline(100 * never, color="0.5", lw=1, label="saying never")
axis.set(xlabel="update", ylabel="right on held-out text (%)", title="does a space follow?")
axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

final = {name: float(np.mean(scores[-3:])) for name, (_, scores) in taggers.items()}
print({name: f"{score:.1%}" for name, score in final.items()}, f"never: {never:.1%}")
assert never < final["forward"] < final["both"] - 0.02
assert 1 - final["both"] < 0.7 * (1 - final["forward"])
assert abs(final["both, two layers"] - final["both"]) < 0.02

# %% [markdown]
# With the next syllables before its eyes the network makes far fewer mistakes; on so little text a
# second layer changes hardly anything. A piece of the held-out text, spaced by two of the networks:


# %%
def with_spaces(model, syllables):
    """Returns the text as the model would space it."""
    emissions = model(vocabulary.encode(syllables)[None])
    follows = np.asarray(model.decode(emissions)[0][0])
    return "".join(s + " " * int(space) for s, space in zip(syllables, follows, strict=True))


syllables, spaces = max(unseen, key=lambda piece: piece[1].sum())
print("as written:", "".join(s + " " * int(x) for s, x in zip(syllables, spaces, strict=True)))
for name in ("forward", "both"):
    print(f"{name:>10}:", with_spaces(taggers[name][0], syllables))

# %% [markdown]
# ## What needs the future cannot generate
#
# An autoregressive model (자기회귀 모델) makes its next input from its past output. A bidirectional
# layer needs the end of the sequence before it can give its first output, so it has no `step`, and
# a language model has no `bidirectional`. Both say so.


# %%
def refusal(call):
    """Returns what the error of a call says, which must be one."""
    try:
        call()
    except (TypeError, ValueError) as problem:
        return str(problem)
    raise AssertionError("the call was not refused")


no_step = refusal(lambda: deep_both.step(deep_both.carry((batch,)), jnp.asarray(xs[:, 0])))
no_model = refusal(lambda: nn.LanguageModel(9, 4, 8, bidirectional=True, rngs=jax.random.key(0)))
print(no_step, no_model, sep="\n\n")
assert "reads the future" in no_step and "bidirectional" in no_model

# %% [markdown]
# And if one trained it all the same? Each output must tell the *next* letter, which the backward
# direction has just read. So it learns to copy, its loss falls far below what any honest model
# reaches, and it knows nothing. On *Moby-Dick*, 150 updates each:

# %%
story = data.load("moby_dick").train[:40_000]
alphabet = data.Vocabulary.of_characters(story)


def next_letter_loss(bidirectional):
    """Returns the nats a letter, after training to tell the next letter."""
    options = {"vocab_size": len(alphabet), "cell": "gru", "bidirectional": bidirectional}
    model = nn.SequenceTagger(len(alphabet), 16, 32, rngs=jax.random.key(13), **options)
    params, apply = nn.pure(model)

    def loss(params, carry, batch, key):
        logits = apply(params, batch.inputs, lengths=batch.lengths)
        return cross_entropy(logits, batch.targets, lengths=batch.lengths), carry

    batches = data.WindowBatches(alphabet.encode(story), batch_size=16, window=32, repeat=True)
    optimizer = optax.adam(1e-2)
    state = training.init_state(params, optimizer, key=jax.random.key(14))
    step = training.make_step(loss, optimizer, max_norm=1.0)
    records = training.fit(state, step, batches, steps=150, progress=False).history.steps
    return float(np.mean([record.loss for record in records[-10:]]))


nats = {name: next_letter_loss(flag) for name, flag in (("forward", False), ("both", True))}
print({name: f"{value:.2f} nats a letter" for name, value in nats.items()})
assert nats["both"] < 0.5 * nats["forward"]

# %% [markdown]
# ## Exercises
#
# **1.** A backward direction is the forward one on the reversed sequence. Why is reversing the
# padded array wrong? Show it, and put it right.

# %% [markdown]
# **Answer.** Reversed, a short row begins with its padding. Each row must be reversed within its
# own length; that is what `reverse=True` does.

# %%
weights = pair.backward
naive = jaxseq.scan(cell, weights, xs[:, ::-1], lengths=lengths)[1][:, ::-1]
turn = np.where(np.arange(n) < lengths[:, None], lengths[:, None] - 1 - np.arange(n), np.arange(n))
turned = np.take_along_axis(xs, turn[..., None], axis=1)
careful = np.take_along_axis(
    np.asarray(jaxseq.scan(cell, weights, turned, lengths=lengths)[1]), turn[..., None], axis=1
)
assert distance(careful, back) < 1e-6 and distance(naive, back) > 0.1

# %% [markdown]
# **2.** How many weights has a GRU of two layers in both directions, with input $w$ and hidden size
# $d$? Why more than four times one layer in one direction?

# %% [markdown]
# **Answer.** $2 \cdot 3\,(d\,w + d^2 + 2d) + 2 \cdot 3\,(d \cdot 2d + d^2 + 2d)$: the second layer
# reads $2d$ numbers, which here is more than $w$.

# %%
counted = sum(leaf.size for leaf in jax.tree.leaves(deep_both.params))
one_layer = 3 * (d * w + d * d + 2 * d)
assert counted == 2 * one_layer + 2 * 3 * (d * 2 * d + d * d + 2 * d) > 4 * one_layer
counted

# %% [markdown]
# **3.** Three layers, of which only the middle one is bidirectional. Which inputs does the output
# at step *t* depend on?

# %% [markdown]
# **Answer.** On all valid ones: the middle layer's backward direction brings the future, the layers
# around it the past.

# %%
by_input = jax.jit(jax.jacrev(lambda xs: middle(xs[None], lengths=valid[None])[1][0]))(short)
touched = np.linalg.norm(by_input, axis=(1, 3)) > 0
assert touched[:14, :14].all() and not touched[14:].any() and not touched[:, 14:].any()

# %% [markdown]
# ## What must hold
#
# A stack is one scan after the other; both directions are two scans, each row's backward one from
# its own last valid step; the next layer reads both; residual connections keep the gradient; the
# future helps where it may be read, and is refused where it may not.

# %%
assert max(stack_error, residual_error, pair_error, start_error, joined_error) < 1e-6
assert carry.h.shape == (4, batch, d) and carry_middle.h.shape == (4, batch, d)
assert (reach["both"][:14, :14] > 0).all() and (reach["both"][:, 14:] == 0).all()
assert by_layer["residual"][0] > 10 * by_layer["plain"][0]
assert never < final["forward"] < final["both"] - 0.02
assert nats["both"] < 0.5 * nats["forward"]
assert "reads the future" in no_step
print("All statements hold.")
