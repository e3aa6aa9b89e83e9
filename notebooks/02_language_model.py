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
# # A language model
#
# Sections 7.2.6 and 7.2.7 of the chapter. Language processing is mostly classification: what goes
# in and what comes out is discrete, training is by cross-entropy. A language model (언어 모델)
# classifies at every step, *all outputs* (모든 출력): given all symbols so far, which one is next?
# It is autoregressive (자기회귀): its past output determines the next. Here it reads *Moby-Dick*
# by the character and the constitution of Korea by the syllable; first with the core alone in a
# loop of your own, then with the package's step, then with its recipe.

# %%
import json
import math
import pathlib
import tempfile

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxseq
from jaxseq import cells, data, decoding, nn, training
from jaxseq.losses import cross_entropy, mean
from jaxseq.recipes import language_model

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
# ## 7.2.7 Discrete in, discrete out
#
# A `Vocabulary` turns text into integers and back, exactly. `WindowBatches` lays a long text out
# as parallel rows and cuts them into windows: row `b` of a batch goes on where row `b` of the
# batch before ended, so the hidden state (은닉 상태) is handed on, and the gradient is not. That
# is truncated back-propagation through time (시간 역전파, BPTT). A slice of the book must do here.

# %%
text = data.load("moby_dick").train[:400_000]
vocabulary = data.Vocabulary.of_characters(text)
ids = vocabulary.encode(text)
assert vocabulary.decode(ids) == text

batches = data.WindowBatches(ids, batch_size=16, window=32, repeat=True)
first, second = next(batches), next(batches)
assert first.inputs.shape == (16, 32) and (first.inputs[:, 1:] == first.targets[:, :-1]).all()
assert (first.targets[:, -1] == second.inputs[:, 0]).all()  # the next window goes on
print(len(vocabulary), "symbols;", repr(vocabulary.decode(first.inputs[0])))

# %% [markdown]
# ## 7.2.6 All outputs: the model
#
# With the core, a language model is three lines: look the symbols' vectors up, scan, project.
# `nn.LanguageModel` owns such weights, and `nn.pure` takes it apart into nested dicts and a pure
# function of them, so that the rest of the program need not know Flax. With the same weights both
# compute the same.

# %%
model = nn.LanguageModel(
    len(vocabulary), embed_size=32, hidden_size=64, cell="gru", rngs=jax.random.key(0)
)
params, apply = nn.pure(model)
cell = jaxseq.gru(32, 64)


def by_core(params, tokens, h):
    """Returns the state [B, H] and the logits [B, T, V] after reading tokens [B, T]."""
    weights = cells.GRUParams(**params["rnn"]["layers"]["0"])
    xs = params["embedding"][tokens]
    carry, hs = jaxseq.scan(cell, weights, xs, carry=cells.GRUCarry(h))
    return carry.h, hs @ params["projection"].T + params["bias"]


h, logits = by_core(params, first.inputs, jnp.zeros((16, 64)))
carry, same_logits = apply(params, first.inputs)
assert carry.h.shape == (1, 16, 64)  # (#layers, batch, hidden)
assert np.allclose(logits, same_logits, atol=1e-5) and np.allclose(h, carry.h[0], atol=1e-5)

# %% [markdown]
# Before training the cross-entropy is about that of guessing among all symbols, `log V`.

# %%
before = cross_entropy(logits, first.targets)
assert abs(mean(before) - math.log(len(vocabulary))) < 0.3
float(mean(before)), math.log(len(vocabulary))

# %% [markdown]
# ## A training loop of your own
#
# Everything is a pure function of arrays, so the loop is the one that you would write anyway.

# %%
optimizer = optax.adam(6e-3)


@jax.jit
def update(params, opt_state, h, batch):
    def objective(params):
        fresh = jnp.where(batch.starts[:, None], 0.0, h)  # a row that begins anew
        after, logits = by_core(params, batch.inputs, fresh)
        return mean(cross_entropy(logits, batch.targets, lengths=batch.lengths)), after

    (value, h), gradient = jax.value_and_grad(objective, has_aux=True)(params)
    gradient = training.clip_by_global_norm(gradient, 1.0).grads
    updates, opt_state = optimizer.update(gradient, opt_state)
    return optax.apply_updates(params, updates), opt_state, h, value


mine, opt_state, h = params, optimizer.init(params), jnp.zeros((16, 64))
batches.seek({"epoch": 0, "batch": 0})
my_losses = []
for _, batch in zip(range(60), batches, strict=False):
    mine, opt_state, h, value = update(mine, opt_state, h, batch)
    my_losses.append(value)

# %% [markdown]
# ## The same with `make_step` and `fit`
#
# `training.make_step` compiles that update from a loss `(params, carry, batch, key) -> (sum and
# count, carry)`: it clips, reports the norm before and after, and does not apply a step that is
# not finite. `fit` is the loop around it, with progress, evaluation, checkpoints and an orderly
# end. Each can be used without the other. The losses are those of the loop above.


# %%
def loss(params, carry, batch, key):
    carry = jax.tree.map(lambda state: jnp.where(batch.starts[None, :, None], 0.0, state), carry)
    carry, logits = apply(params, batch.inputs, carry=carry, rngs=key)
    return cross_entropy(logits, batch.targets, lengths=batch.lengths), carry


start = training.init_state(params, optimizer, key=jax.random.key(1), carry=model.carry((16,)))
step = training.make_step(loss, optimizer, max_norm=1.0)
batches.seek({"epoch": 0, "batch": 0})
result = training.fit(start, step, batches, steps=60, progress=False)

losses = [record.loss for record in result.history.steps]
figure, axis = plt.subplots(figsize=(6, 2.8))
axis.plot(my_losses, color="tab:blue", lw=4, alpha=0.4, label="a loop of one's own, on the core")
axis.plot(losses, color="k", lw=1, label="make_step and fit, on nn.LanguageModel")
axis.set(xlabel="update", ylabel="cross-entropy (nats)", title="two ways to write one training")
axis.legend()
plt.show()
assert np.allclose(losses, my_losses, rtol=1e-3)
assert losses[-1] < losses[0] - 1

# %% [markdown]
# ## Gradient clipping
#
# What vanishes over many steps can also explode. A ReLU network saturates nowhere: where its
# `W_hh` has grown a little too large, every step multiplies the gradient by more than 1, and a
# single update along it undoes all the others. Gradient clipping (그래디언트 클리핑) scales the
# gradient down to a global norm of at most `c`: `g ← g · min(1, c / ‖g‖)`. The same run of plain
# gradient descent, with a bold learning rate, without clipping and with it; both come to the cliff
# at the third batch:

# %%
explosive = nn.LanguageModel(
    len(vocabulary), 32, 64, cell="elman", activation=jax.nn.relu, rngs=jax.random.key(2)
)
unstable, read = nn.pure(explosive)


def explosive_loss(params, carry, batch, key):
    _, logits = read(params, batch.inputs)  # each window begins anew
    return cross_entropy(logits, batch.targets, lengths=batch.lengths), carry


def descend(max_norm):
    optimizer = optax.sgd(2.0)
    state = training.init_state(unstable, optimizer, key=jax.random.key(3))
    step = training.make_step(explosive_loss, optimizer, max_norm=max_norm)
    rows = []
    batches.seek({"epoch": 0, "batch": 0})
    for _, batch in zip(range(40), batches, strict=False):
        state, metrics = step(state, batch)
        rows.append(metrics)
    return state, jax.tree.map(lambda *leaves: np.stack(leaves), *rows)


runs = {"no clipping": descend(None), "clipped to 1": descend(1.0)}

figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.2))
colors = {"no clipping": "tab:red", "clipped to 1": "tab:blue"}
for name, (_, metrics) in runs.items():
    before = np.where(np.isfinite(metrics.norm), metrics.norm, 1e9)  # above the picture
    axes[0].plot(before, color=colors[name], lw=1.2, label=f"{name}: before")
    axes[1].plot(metrics.loss, color=colors[name], lw=1.2, label=name)
after = runs["clipped to 1"][1].clipped_norm
axes[0].plot(after, color="tab:blue", ls=":", lw=2, label="clipped to 1: after")
axes[0].set(
    title="the gradient's norm",
    xlabel="update",
    ylabel="global norm",
    yscale="log",
    ylim=(0.1, 1e5),
)
axes[1].axhline(math.log(len(vocabulary)), color="k", ls=":", lw=1, label="guessing: log V")
axes[1].set(
    title="the loss",
    xlabel="update",
    ylabel="cross-entropy (nats)",
    yscale="log",
    ylim=(2, 1e3),
)
for axis in axes:
    axis.legend(fontsize="small")
plt.show()
{name: int(state.skipped) for name, (state, _) in runs.items()}  # not finite, so not applied

# %%
norm, clipped = runs["clipped to 1"][1].norm, runs["clipped to 1"][1].clipped_norm
assert np.allclose(clipped, np.minimum(norm, 1.0), rtol=1e-5) and norm.max() > 10
assert runs["clipped to 1"][1].loss[-10:].mean() < math.log(len(vocabulary)) - 1
assert runs["no clipping"][1].finite[0] and runs["no clipping"][0].skipped > 30
assert runs["clipped to 1"][0].skipped == 0

# %% [markdown]
# ## The recipe
#
# `recipes.language_model` does all of it in one call, as `python -m jaxseq train language-model`
# does: it splits the text, trains, keeps the best checkpoint, and reports bits per character on
# held out text beside what `xz -9e` and an interpolated 6-gram model need for it. The run is
# short, and the slice of the book too; `make demo` takes the whole book and minutes.

# %%
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "slice.txt").write_text(text, encoding="utf-8")
config = language_model.Config(
    data=str(folder / "slice.txt"),
    out=folder / "moby",
    cell="gru",
    embed_size=32,
    hidden_size=128,
    batch_size=8,
    window=64,
    steps=600,
    evaluate_every=100,
    learning_rate=5e-3,
)
report = language_model.train(config)
print(json.dumps({key: report[key] for key in ("test", "bits_per_character_of_others")}, indent=2))

# %%
history = training.History.from_json(json.loads((config.out / "history.json").read_text()))
bits = 1 / math.log(2)
figure, axis = plt.subplots(figsize=(8, 3.4))
axis.plot(
    [record.step for record in history.steps],
    [record.loss * bits for record in history.steps],
    color="tab:blue",
    lw=1,
    label="training windows",
)
axis.plot(
    [record.step for record in history.evaluations],
    [record.value * bits for record in history.evaluations],
    "o",
    color="tab:red",
    label="validation part",
)
marks = ("tab:green", "tab:purple", "tab:gray")
for color, (name, value) in zip(marks, report["bits_per_character_of_others"].items(), strict=True):
    axis.axhline(value, color=color, ls=":", lw=1.5, label=f"{name} (test part)")
axis.set(xlabel="update", ylabel="bits per character", ylim=(2, 6.5), title="learning curve")
axis.legend(fontsize="small")
plt.show()

assert report["test"]["bits_per_character"] < 3.0
assert report["test"]["bits_per_character"] < report["bits_per_character_of_others"]["xz -9e alone"]

# %% [markdown]
# `load` gives the best model back, as plain functions. What it finds surprising, symbol by symbol:
# a word's beginning costs bits, its end is nearly free.

# %%
trained = language_model.load(config.out)
sentence = "the captain of the ship was standing upon the deck, and the white whale"
tokens = trained.vocabulary.encode(sentence)
_, logits = trained.apply(trained.params, tokens[None, :-1])
log_probs = np.asarray(jax.nn.log_softmax(logits[0]))
surprise = -log_probs[np.arange(len(tokens) - 1), tokens[1:]] * bits

figure, axis = plt.subplots(figsize=(10, 2.4))
starts_a_word = np.array([a == " " for a in sentence[:-1]])
axis.bar(range(1, len(sentence)), surprise, color=np.where(starts_a_word, "tab:red", "tab:blue"))
axis.set_xticks(range(len(sentence)), list(sentence), family="monospace", fontsize=8)
axis.tick_params(axis="x", length=0)
axis.set(ylabel="bits", xlabel="symbol", title="the surprise of each symbol (red: after a space)")
axis.margins(x=0.01)
plt.show()
assert surprise[starts_a_word].mean() > surprise[~starts_a_word].mean()

# %% [markdown]
# ## 7.2.6 Autoregressive: writing
#
# To write, the model's output becomes its next input. `decoding` does this as one compiled scan
# over a step `(carry, token) -> (carry, logits)`. The weights ride in the carry: the compiled
# program then serves these weights and any later ones. Greedy decoding takes the likeliest symbol
# and soon repeats itself; sampling draws from `softmax(logits / temperature)`.


# %%
def read_one(carry, token):
    params, state = carry
    state, logits = trained.step(params, state, token)
    return (params, state), logits


prompt = trained.vocabulary.encode("the white whale ")
state, logits = trained.apply(trained.params, prompt[None, :-1])
begin = (trained.params, state), prompt[-1:]

greedy = decoding.greedy(read_one, *begin, length=120)
print("greedy: ", trained.vocabulary.decode(greedy.tokens[0]))
written = {}
for temperature in (0.4, 0.8, 1.3):
    written[temperature] = decoding.sample(
        read_one, *begin, key=jax.random.key(4), length=120, temperature=temperature
    )
    print(f"\n{temperature}:    ", trained.vocabulary.decode(written[temperature].tokens[0]))

# %%
_, next_logits = read_one(*begin)
figure, axis = plt.subplots(figsize=(9, 2.8))
top = np.argsort(-np.asarray(next_logits[0]))[:20]
for place, temperature in enumerate((0.4, 0.8, 1.3)):
    p = np.asarray(jax.nn.softmax(next_logits[0] / temperature))[top]
    axis.bar(np.arange(20) + 0.27 * (place - 1), p, width=0.27, label=f"temperature {temperature}")
labels = [repr(trained.vocabulary.symbols[token])[1:-1] for token in top]
axis.set_xticks(range(20), labels, family="monospace")
axis.set(xlabel="next symbol", ylabel="probability", title='after "the white whale "')
axis.legend()
plt.show()

# Reading symbol by symbol is reading at once; one key is one text; the sum of the log-probabilities
# that come back says how likely the model itself finds a text: greedy is hard to beat.
_, at_once = trained.apply(trained.params, prompt[None])
assert np.allclose(at_once[:, -1], next_logits, atol=1e-4)
again = decoding.sample(read_one, *begin, key=jax.random.key(4), length=120, temperature=0.8)
assert (again.tokens == written[0.8].tokens).all()
assert greedy.log_probs.sum() > written[0.8].log_probs.sum() > written[1.3].log_probs.sum()

# %% [markdown]
# ## 7.2.6 Why a bidirectional model cannot write
#
# In a bidirectional (양방향) network the output at step t has also read the symbols after t. As a
# language model it would have read the answer; and when it is to write, what it wants to read is
# not yet written. The package refuses at each of the three doors, and says why.


# %%
def refusal(attempt):
    try:
        attempt()
    except ValueError as problem:
        return str(problem)
    raise AssertionError("a bidirectional model was let through")


both = nn.GRU(32, 64, bidirectional=True, rngs=jax.random.key(5))
refusals = [
    refusal(lambda: nn.LanguageModel(9, 4, 4, bidirectional=True, rngs=jax.random.key(5))),
    refusal(lambda: both.step(both.carry((1,)), jnp.zeros((1, 32)))),
    refusal(lambda: decoding.greedy(read_one, jaxseq.Directions(h, h), prompt[-1:], length=5)),
]
print("\n\n".join(refusals))
assert all("bidirectional" in message for message in refusals)

# %% [markdown]
# ## Korean, by the syllable
#
# A symbol is a code point, so in Korean a syllable (음절). `data` is then the name of a bundled
# text, and everything else the same. The text has 17,000 syllables for training, 380 different
# ones.

# %%
korean_config = language_model.Config(
    data="korean_constitution",
    out=folder / "korean",
    cell="gru",
    embed_size=48,
    hidden_size=96,
    batch_size=16,
    window=32,
    steps=200,
    evaluate_every=50,
    learning_rate=6e-3,
)
korean_report = language_model.train(korean_config)
korean = language_model.load(korean_config.out)
continued = language_model.write(
    korean,
    "대한민국의 주권은 ",
    decoding.sample,
    key=jax.random.key(6),
    length=400,
    temperature=0.7,
)
print(continued[:200])

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 2.4), sharex=True)
titles = ("Moby-Dick, 400,000 characters", "constitution of Korea, 19,000 syllables")
for axis, title, page in zip(axes, titles, (report, korean_report), strict=True):
    values = {"this model": page["test"]["bits_per_character"]}
    values |= page["bits_per_character_of_others"]
    names = [name.replace("interpolated Witten-Bell ", "") for name in values]
    bars = axis.barh(names, values.values(), color=["tab:red", *["tab:gray"] * 3])
    axis.bar_label(bars, fmt="%.2f", padding=3)
    axis.invert_yaxis()
    axis.set(title=title, xlabel="bits per symbol, held out")
plt.show()

# %% [markdown]
# Seconds of training come near a 6-gram model that has counted everything, and on the small Korean
# text pass it; `xz` gains most there from the training text, for a constitution repeats whole
# phrases. What more data and time do, the README says.

# %%
ngram = "interpolated Witten-Bell 6-gram"
assert korean.vocabulary.decode(korean.vocabulary.encode("국민")) == "국민"
assert len(korean.vocabulary.encode("국민")) == 2
assert korean_report["test"]["bits_per_character"] < 5
assert report["test"]["bits_per_character"] < report["bits_per_character_of_others"][ngram] + 0.4
print("All statements hold.")
