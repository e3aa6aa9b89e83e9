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
# # 06 Classification (분류)
#
# After this notebook you can turn a sequence of any length into one class: pool the states of a
# recurrent network, train it by cross-entropy (교차 엔트로피) in a loop of your own, read a
# confusion matrix, and see which characters an attention looks at. Section 7.2.6 of the chapter,
# *one output* (하나의 출력). The data are names of people: which language is a name from?

# %%
import contextlib
import functools
import io
import math
import pathlib
import tempfile
from collections import Counter
from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxseq
from jaxseq import data, nn
from jaxseq.losses import confusion_matrix, cross_entropy, macro_f1, mean, precision_recall_f1
from jaxseq.recipes import classification

plt.style.use("jaxseq.pictures")

# %% [markdown]
# ## 7.2.6 One output
#
# For text classification (텍스트 분류) the chapter takes the last step's hidden state (은닉 상태),
# maps it to one number a class, and makes probabilities of these by the softmax. With the right
# class as a one-hot vector $y$, the loss is the cross-entropy:
#
# $$\hat y = \mathrm{softmax}(W h_n + b), \qquad
# \mathrm{softmax}(l)_i = \frac{e^{l_i}}{\sum_j e^{l_j}}, \qquad
# L = -\sum_i y_i \log \hat y_i.$$
#
# Since only one $y_i$ is 1, the loss is minus the log-probability of the right class. In JAX:


# %%
def by_the_book(logits, label):
    y = jax.nn.one_hot(label, logits.shape[-1])
    y_hat = jnp.exp(logits) / jnp.exp(logits).sum(-1, keepdims=True)
    return -(y * jnp.log(y_hat)).sum(-1)


logits = jax.random.normal(jax.random.key(0), (5, 4))
labels = jnp.array([0, 3, 1, 1, 2])
ours = cross_entropy(logits, labels)
print(ours)
assert np.isclose(mean(ours), by_the_book(logits, labels).mean(), atol=1e-6)

# %% [markdown]
# `cross_entropy` returns the sum and the count, so that batches of different sizes add up, and it
# shifts each row by its largest number, which changes no probability. The book's line overflows
# where numbers are large; the shifted one does not.

# %%
large = jnp.array([[1000.0, 0.0, -1000.0]])
print(
    "by the book:",
    by_the_book(large, jnp.array([0])),
    " shifted:",
    cross_entropy(large, jnp.array([0]))[0],
)

p = np.linspace(0.005, 1, 200)
figure, axes = plt.subplots(1, 2, figsize=(9, 3))
axes[0].plot(p, -np.log(p))
axes[0].axhline(math.log(7), color="k", ls=":", lw=1)
axes[0].annotate("guessing among 7 classes", (0.99, math.log(7)), ha="right", va="bottom")
axes[0].set(
    title="the loss of one example",
    xlabel="probability of the right class",
    ylabel="cross-entropy (nats)",
)
example = jnp.array([2.0, 0.5, -1.0, 0.0])
for place, scale in enumerate((0.5, 1.0, 3.0)):
    bars = np.arange(4) + 0.27 * (place - 1)
    axes[1].bar(bars, jax.nn.softmax(scale * example), width=0.27, label=f"{scale:g} times l")
axes[1].set_xticks(range(4), [f"l = {value:g}" for value in example.tolist()])
axes[1].set(title="softmax", xlabel="class, by its logit", ylabel="probability", ylim=(0, 1))
axes[1].legend()
plt.show()

# %% [markdown]
# ## The names
#
# `data.load("names")` has first and family names of 21 languages, each name in one language only.
# Seven languages are enough here, equally many names of each, so that accuracy means what it says
# and guessing is right one time in seven.

# %%
LANGUAGES = {"es": "Spanish", "fr": "French", "ga": "Irish", "is": "Icelandic"}
LANGUAGES |= {"it": "Italian", "pl": "Polish", "tr": "Turkish"}
codes = list(LANGUAGES)
STEPS, GUESS = 12, 1 / len(codes)


def drawn(part, count):
    """Returns `count` names of each language, drawn at random from those that are not too long."""
    generator, chosen = np.random.default_rng(0), []
    for code in codes:
        rows = [row for row in part if row.language == code and len(row.name) <= STEPS]
        chosen += [rows[place] for place in generator.permutation(len(rows))[:count]]
    return chosen


corpus = data.load("names")
train, valid, test = drawn(corpus.train, 1024), drawn(corpus.valid, 50), drawn(corpus.test, 50)
print(len(train), len(valid), len(test))
print(", ".join(f"{row.name} ({row.language})" for row in test[::35]))

# %% [markdown]
# A vocabulary turns a name into integers. A character that occurs once in training is taken for
# the unknown one, which is then known too. `data.pad` puts all names into one array, with their
# lengths: what stands behind a name is padding (패딩).


# %%
class Examples(NamedTuple):
    """Symbols [B, T], how many of each row are real [B], and the right classes [B]."""

    ids: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray


letters = "".join(row.name for row in train)
vocabulary = data.Vocabulary.of_characters(letters, unknown="\ufffd", min_count=2)


def encoded(rows):
    padded = data.pad([vocabulary.encode(row.name) for row in rows], length=STEPS)
    labels = np.array([codes.index(row.language) for row in rows], np.int32)
    return Examples(padded.values, padded.lengths, labels)


parts = {"train": encoded(train), "valid": encoded(valid), "test": encoded(test)}
print(len(vocabulary), "symbols; the first rows:")
print(parts["train"].ids[:3], parts["train"].lengths[:3])

# %% [markdown]
# ## From many states to one vector
#
# The last state is one choice of several. With $y_1, \dots, y_\ell$ the outputs at the *valid*
# steps:
#
# $$\text{last: } y_\ell, \qquad \text{mean: } \frac1\ell \sum_{t \le \ell} y_t, \qquad
# \text{max: } \max_{t \le \ell} y_t, \qquad
# \text{attention: } \sum_{t \le \ell} \alpha_t y_t, \quad
# \alpha = \mathrm{softmax}_{t \le \ell}\bigl(v \cdot \tanh(A y_t + a)\bigr).$$
#
# `nn.SequenceClassifier` has all four: symbols, embedding, layers, pooling (풀링), one linear map.
# The layers are bidirectional (양방향) unless told otherwise; "last" is then what each direction
# has when it has read the whole name.


# %%
def classifier(pooling, seed=0):
    return nn.SequenceClassifier(
        len(codes),
        16,
        32,
        vocab_size=len(vocabulary),
        cell="gru",
        pooling=pooling,
        dropout=0.2,
        rngs=jax.random.key(seed),
    )


fresh = nn.pure(classifier("attention"))
count = sum(leaf.size for leaf in jax.tree.leaves(fresh.params))
print({name: jax.tree.map(jnp.shape, leaf) for name, leaf in fresh.params.items()})
print(count, "weights")

# %% [markdown]
# Why *valid* matters: a network that goes on over the pads changes its state with each of them. The
# picture has a plain GRU that reads 7 vectors and then zeros. Told the length, `scan` stops
# there: the state stays, whatever comes.

# %%
cell = jaxseq.gru(16, 32)
weights = cell.init(jax.random.key(1))
seven = jax.random.normal(jax.random.key(2), (1, 7, 16))
padded = jnp.pad(seven, ((0, 0), (0, 20), (0, 0)))
_, blind = jaxseq.scan(cell, weights, padded)
told, _ = jaxseq.scan(cell, weights, padded, lengths=jnp.array([7]))
means = np.cumsum(blind[0], axis=0) / np.arange(1, 28)[:, None]


def drift(states):
    """Returns how far each state from step 7 on is from that at step 7, relative to it."""
    states = np.asarray(states)[6:]
    return np.linalg.norm(states - states[0], axis=1) / np.linalg.norm(states[0])


stays = float(np.linalg.norm(told.h[0] - blind[0, 6]) / np.linalg.norm(told.h[0]))
figure, axis = plt.subplots(figsize=(6.5, 2.8))
axis.plot(drift(blind[0]), "o-", ms=4, label="last state, length not told")
axis.plot(drift(means), "s--", ms=4, label="mean, length not told")
axis.axhline(stays, color="k", ls=":", label="last state, length told")
axis.set(xlabel="pads behind the 7 steps", ylabel="relative change", ylim=(-0.05, None))
axis.set_xticks(range(0, 21, 2))
axis.set_title("what pads do to the summary of a sequence")
axis.legend(loc="center right")
plt.show()

# %% [markdown]
# ## A training loop in plain view
#
# `nn.pure` takes the model apart into a tree of weights and a pure function of them. An update is
# then what it always is in JAX: value and gradient, optax, under `jax.jit`. A key drops units in
# training (드롭아웃); without a key nothing is dropped.

# %%
optimizer = optax.adamw(optax.cosine_decay_schedule(1e-2, 5 * 56), weight_decay=1e-3)


@functools.partial(jax.jit, static_argnames="apply")
def update(apply, params, state, batch, key):
    def loss(params):
        logits = apply(params, batch.ids, lengths=batch.lengths, rngs=key)
        return mean(cross_entropy(logits, batch.labels))

    value, gradient = jax.value_and_grad(loss)(params)
    updates, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, updates), state, value


@functools.partial(jax.jit, static_argnames="apply")
def log_probs(apply, params, ids, lengths):
    return jax.nn.log_softmax(apply(params, ids, lengths=lengths))


def accuracy(apply, params, examples):
    found = np.asarray(log_probs(apply, params, examples.ids, examples.lengths)).argmax(1)
    return float((found == examples.labels).mean())


# %%
def train_classifier(pooling, epochs=5, rows=128):
    """Returns params, apply, and the validation accuracy after each epoch."""
    params, apply = nn.pure(classifier(pooling))
    state, generator, curve = optimizer.init(params), np.random.default_rng(0), []
    key = jax.random.key(1)
    for _ in range(epochs):
        order = generator.permutation(len(train)).reshape(-1, rows)
        for places in order:
            key, now = jax.random.split(key)
            batch = Examples(*(array[places] for array in parts["train"]))
            params, state, _ = update(apply, params, state, batch, now)
        curve.append(accuracy(apply, params, parts["valid"]))
    return params, apply, curve


fits = {how: train_classifier(how) for how in ("last", "mean", "max", "attention")}

# %% [markdown]
# What is to be beaten: naive Bayes (나이브 베이즈) on the runs of one to three characters, which
# takes them all as independent, given the language. It needs no training but counting.


# %%
def grams(name):
    marked = f"^{name.lower()}$"
    return [marked[at : at + n] for n in (1, 2, 3) for at in range(len(marked) - n + 1)]


def naive_bayes(rows, names, alpha=0.1):
    """Returns the likeliest class of each name: argmax over classes of sum log p(gram | class)."""
    counts = [Counter(g for row in rows if row.language == c for g in grams(row.name))
              for c in codes]  # fmt: skip
    kinds = len(set().union(*counts))
    totals = [sum(one.values()) + alpha * kinds for one in counts]
    score = [[sum(math.log((one[g] + alpha) / total) for g in grams(name))
              for one, total in zip(counts, totals, strict=True)] for name in names]  # fmt: skip
    return np.argmax(score, axis=1)


baseline = {
    name: float((naive_bayes(train, [row.name for row in rows]) == parts[name].labels).mean())
    for name, rows in (("valid", valid), ("test", test))
}
scores = {how: accuracy(apply, params, parts["test"]) for how, (params, apply, _) in fits.items()}
scores["naive Bayes"] = baseline["test"]
{name: round(100 * value, 1) for name, value in scores.items()}  # per cent of the test part

# %%
figure, axis = plt.subplots(figsize=(7, 3.2))
for (how, (_, _, curve)), marker in zip(fits.items(), "os^D", strict=True):
    axis.plot(range(1, 6), 100 * np.array(curve), marker=marker, ms=4, label=how)
axis.axhline(100 * baseline["valid"], color="k", ls=":", label="naive Bayes")
axis.set_xticks(range(1, 6))
axis.set(title="validation part", xlabel="epoch", ylabel="accuracy (%)", ylim=(55, 85))
axis.legend(title="pooling", loc="lower right")
plt.show()

# %% [markdown]
# All four learn about the same from the same data. None of them beats naive Bayes here: runs of
# three characters say most of what there is to say, and counting them needs no more than the
# thousand names of a language. Guessing would be right one time in seven.
#
# ## What stands in the pads does not matter
#
# Not a figure of speech: the pads may hold any symbol, even -1, which is none. Logits are the same
# bit for bit, and so is the gradient. A *wrong length*, however, lets pads pass for characters.

# %%
params, apply, _ = fits["attention"]
held = parts["test"]
inside = np.arange(STEPS) < held.lengths[:, None]
noise = np.random.default_rng(1).integers(0, len(vocabulary), held.ids.shape)
clean = np.asarray(log_probs(apply, params, held.ids, held.lengths))
for garbage in (noise, -1):
    spoilt = np.where(inside, held.ids, garbage).astype(np.int32)
    assert (np.asarray(log_probs(apply, params, spoilt, held.lengths)) == clean).all()

spoilt = np.where(inside, held.ids, noise).astype(np.int32)
taken = range(11)
wrong = [
    np.mean(
        np.asarray(log_probs(apply, params, spoilt, np.minimum(held.lengths + k, STEPS))).argmax(1)
        == held.labels
    )
    for k in taken
]
figure, axis = plt.subplots(figsize=(6, 2.8))
axis.plot(taken, 100 * np.array(wrong), "o-")
axis.axhline(100 * GUESS, color="k", ls=":", lw=1)
axis.annotate("guessing", (10, 100 * GUESS), ha="right", va="bottom")
axis.set(xlabel="pads that pass for characters", ylabel="accuracy (%)", ylim=(0, 100))
axis.set_title("test names, with lengths that are too large")
plt.show()

# %% [markdown]
# ## Which languages it takes for which
#
# The confusion matrix (혼동 행렬) has a row for each right class and a column for each found one.
# Precision is the share of what was found that is right, recall the share of what is right that was
# found, and F1 their harmonic mean.

# %%
found = clean.argmax(1).astype(np.int32)
matrix = np.asarray(confusion_matrix(found, held.labels, num_classes=len(codes)))
by_class = precision_recall_f1(matrix)

figure, axis = plt.subplots(figsize=(6.2, 5))
image = axis.imshow(100 * matrix / matrix.sum(1, keepdims=True), cmap="Blues", vmin=0, vmax=100)
for (i, j), number in np.ndenumerate(matrix):
    if number:
        color = "w" if number > 25 else "k"
        axis.text(j, i, number, ha="center", va="center", color=color, fontsize=9)
names_of_classes = list(LANGUAGES.values())
axis.set_xticks(range(7), names_of_classes, rotation=45, ha="right")
axis.set_yticks(range(7), names_of_classes)
axis.set(xlabel="language found", ylabel="right language")
axis.set_title(f"{np.trace(matrix)} of {matrix.sum()} names right; macro-F1 {macro_f1(matrix):.2f}")
axis.spines[:].set_visible(False)
figure.colorbar(image, ax=axis, label="share of the row (%)")
plt.show()
{name: round(float(f1), 2) for name, f1 in zip(names_of_classes, by_class.f1, strict=True)}

# %% [markdown]
# ## What the attention looks at
#
# The weights $\alpha_t$ of attention pooling (어텐션 풀링) sum to one over a name. `with_params`
# puts the trained weights back into the module, whose parts can then be run one by one.

# %%
trained = nn.with_params(classifier("attention"), params)


@jax.jit
def looked_at(ids, lengths):
    """Returns the weight of each step [B, T], and the logits that follow from them [B, K]."""
    ys = trained.reader(trained.reader.vectors(ids, lengths), lengths=lengths, rngs=None)
    steps = jnp.arange(ids.shape[1]) < lengths[:, None]
    alpha = jax.nn.softmax(jnp.where(steps, trained.attention(ys), -jnp.inf), axis=-1)
    pooled = (alpha[..., None] * ys).sum(1)
    return alpha, pooled @ trained.projection.get_value().T + trained.bias.get_value()


alpha, rebuilt = map(np.asarray, looked_at(held.ids, held.lengths))
assert np.allclose(jax.nn.log_softmax(rebuilt), clean, atol=1e-4)
assert np.allclose(alpha.sum(1), 1, atol=1e-5) and (alpha[~inside] == 0).all()

# %%
shown = []  # of each language, the two test names that the model is surest of
for k in range(len(codes)):
    rows = np.flatnonzero((held.labels == k) & (found == k) & (held.lengths >= 5))
    shown += rows[np.argsort(-clean[rows, k])][:2].tolist()
width = int(held.lengths[shown].max())

figure, axis = plt.subplots(figsize=(8.5, 5.2))
image = axis.imshow(
    np.where(inside, 100 * alpha, np.nan)[shown, :width], cmap="Blues", aspect="auto"
)
for row, place in enumerate(shown):
    for t, character in enumerate(test[place].name):
        color = "w" if alpha[place, t] > 0.5 * alpha[shown].max() else "k"
        axis.text(t, row, character, ha="center", va="center", color=color)
axis.set_yticks(range(len(shown)), [LANGUAGES[test[place].language] for place in shown])
axis.set(xlabel="place in the name (characters from 0)", title="weights of attention")
axis.spines[:].set_visible(False)
figure.colorbar(image, ax=axis, label="weight (%)")
plt.show()

# %% [markdown]
# A state has read its neighbours too, so a weight is no proof of what a decision hangs on. A test
# of it: hide one character of each name, by the unknown symbol, and look at the log-probability of
# the right language. If the weights mean anything, hiding the character with the largest one costs
# more than hiding one at random.


# %%
def hiding(places):
    """Returns the mean log-probability of the right class with one character of each hidden."""
    ids = held.ids.copy()
    ids[np.arange(len(ids)), places] = vocabulary.unknown_id
    found = np.asarray(log_probs(apply, params, ids, held.lengths))
    return float(found[np.arange(len(ids)), held.labels].mean())


generator = np.random.default_rng(2)
rows = np.arange(len(held.ids))
costs = {
    "nothing": -float(clean[rows, held.labels].mean()),
    "least weight": -hiding(np.where(inside, alpha, 2).argmin(1)),
    "at random": -np.mean([hiding(generator.integers(0, held.lengths)) for _ in range(10)]),
    "largest weight": -hiding(alpha.argmax(1)),
}
figure, axis = plt.subplots(figsize=(6, 2.4))
bars = axis.barh(list(costs), list(costs.values()), color=["0.6", "C5", "C4", "C1"])
axis.bar_label(bars, fmt="%.2f", padding=3)
axis.invert_yaxis()
axis.set(xlabel="cross-entropy on the test part (nats)", ylabel="character hidden")
axis.margins(x=0.12)
plt.show()

# %% [markdown]
# ## The recipe
#
# `recipes.classification` does all of this for a file of your own: TSV or CSV with the columns text
# and label, or series of vectors. It holds examples out to choose the best weights, and leaves
# checkpoints, a report beside naive Bayes, the errors and pictures in a directory. On the command
# line it is `python -m jaxseq train classification --data my.tsv --out runs/mine`; `--data` may be
# `names`, `udhr` or `japanese_vowels` too. So that this page is quick, the file has names of six
# letters: batches of one length are compiled once.

# %%
folder = pathlib.Path(tempfile.mkdtemp())
six = [row for row in corpus.train if row.language in codes and len(row.name) == 6]
lines = ["text\tlabel", *(f"{row.name}\t{row.language}" for row in six)]
(folder / "my.tsv").write_text("\n".join(lines), encoding="utf-8")

config = classification.Config(data=str(folder / "my.tsv"), out=folder / "run", hidden_size=32)
with contextlib.redirect_stderr(io.StringIO()):  # where lines of progress go
    report = classification.train(config)
model = classification.load(folder / "run")
print(classification.summary(report).split("\n", 1)[1])
print(classification.classify(model, ["Yılmaz", "Wójcik", "Murphy", "García", "Bianca", "Þórður"]))
print(sorted(path.name for path in (folder / "run").iterdir()))

# %% [markdown]
# ## Exercises
#
# **1.** Show by `jax.grad` that the gradient of the cross-entropy by the logits is $\hat y - y$.
# What does it say of an example that is already right?

# %% [markdown]
# **Answer.** The gradient vanishes as the probability of the right class goes to 1: what is right
# no longer teaches. And its entries sum to 0, since a shift of all logits changes nothing.

# %%
gradient = jax.grad(lambda logits: cross_entropy(logits, labels).total)(logits)
residual = jax.nn.softmax(logits) - jax.nn.one_hot(labels, 4)
print(np.round(gradient, 2))

# %% [markdown]
# **2.** "Last" of a bidirectional layer is not the output at the last step: there the backward
# direction has read a single character. Show with `nn.GRU` what it is.

# %% [markdown]
# **Answer.** It is the final carry of both directions side by side: the forward half of the output
# at step $\ell$, and the backward half of the output at the first step.

# %%
layer = nn.GRU(16, 32, bidirectional=True, rngs=jax.random.key(3))
xs, lengths = jax.random.normal(jax.random.key(4), (2, 6, 16)), jnp.array([6, 4])
carry, ys = layer(xs, lengths=lengths)
ends = jnp.concatenate([ys[jnp.arange(2), lengths - 1, :32], ys[:, 0, 32:]], axis=-1)
both = jnp.concatenate([carry.h[0], carry.h[1]], axis=-1)
print(ys.shape, carry.h.shape, float(abs(ends - both).max()))

# %% [markdown]
# **3.** How many characters does the classifier need? Use the lengths to let it read the first $k$
# only.

# %% [markdown]
# **Answer.** A shorter length is a shorter name, and the padding contract does the rest. The first
# character alone is better than guessing; the accuracy rises until the whole name is read.

# %%
prefixes = range(1, 13)
by_prefix = [
    np.mean(
        np.asarray(log_probs(apply, params, held.ids, np.minimum(held.lengths, k))).argmax(1)
        == held.labels
    )
    for k in prefixes
]
figure, axis = plt.subplots(figsize=(6, 2.8))
axis.plot(prefixes, 100 * np.array(by_prefix), "o-")
axis.axhline(100 * GUESS, color="k", ls=":", lw=1)
axis.set(xlabel="characters read", ylabel="accuracy (%)", ylim=(0, 100))
plt.show()

# %% [markdown]
# ## What must hold

# %%
assert np.allclose(gradient, residual, atol=1e-6) and np.allclose(gradient.sum(1), 0, atol=1e-6)
assert (
    jnp.isnan(by_the_book(large, jnp.array([0]))).all()
    and cross_entropy(large, jnp.array([0]))[0] == 0
)
assert drift(blind[0])[5] > 0.3 and drift(means)[5] > 0.3 and stays < 1e-6
reached = [scores[how] for how in fits]
assert 0.62 < min(reached) <= max(reached) < baseline["test"] and np.ptp(reached) < 0.08
assert wrong[0] == scores["attention"] and wrong[10] < wrong[0] - 0.15
assert matrix.sum() == 350 and np.isclose(np.trace(matrix) / 350, scores["attention"])
assert costs["largest weight"] > costs["at random"] > costs["nothing"]
assert costs["at random"] > costs["least weight"]
assert np.allclose(ends, both, atol=1e-6) and not np.allclose(ys[1, 3, 32:], both[1, 32:])
assert by_prefix[0] > GUESS and by_prefix[-1] > by_prefix[2] > by_prefix[0]
others = report["others"]["valid"]
assert report["valid"]["accuracy"] > others["the largest class"]["accuracy"] + 0.25
print("All statements hold.")
