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
# # 08 Tagging: HMM, CRF, BiLSTM-CRF (태깅)
#
# After this notebook you can label every step of a sequence: by a hidden Markov model that only
# counts, by a recurrent network that decides step by step, and by a conditional random field on top
# of one, which chooses all labels together and keeps to rules. Sections 7.1, the classical models,
# and 7.2.6, *all outputs* (모든 출력), of the chapter. The data are earthquakes, addresses in the
# United States, and Korean without its spaces.

# %%
import functools
import itertools
from collections import Counter, defaultdict
from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from jaxseq import data, nn
from jaxseq.losses import confusion_matrix, precision_recall_f1, span_f1
from jaxseq.recipes import tagging
from jaxseq.structured import crf, hmm

plt.style.use("jaxseq.pictures")

# %% [markdown]
# ## 7.1 The hidden Markov model
#
# In a hidden Markov model (은닉 마르코프 모델, HMM) a state $z_t$ is hidden and follows a Markov
# chain; what is seen, $x_t$, is emitted by it:
#
# $$p(x, z) = p(z_1) \prod_{t>1} p(z_t \mid z_{t-1}) \prod_t p(x_t \mid z_t), \qquad
# p(x) = \sum_z p(x, z).$$
#
# The sum has $K^n$ terms, and the forward algorithm (전향 알고리즘) takes $n K^2$ steps for it:
# $\alpha_t(j) = p(x_t \mid j) \sum_i \alpha_{t-1}(i) \, p(j \mid i)$. Each $\alpha_t$ is scaled to
# sum to 1, so that nothing underflows, and the logarithms of the scales add up to $\log p(x)$.


# %%
def forward(initial, transition, likelihood):
    """Returns log p(x); `likelihood` [T, K] is what each observation says of each state."""
    alpha, log_p = initial * likelihood[0], 0.0
    for t in range(len(likelihood)):
        if t:
            alpha = (alpha @ transition) * likelihood[t]
        log_p += np.log(alpha.sum())
        alpha = alpha / alpha.sum()
    return log_p


# %% [markdown]
# Which parameters? Expectation maximisation (기댓값 최대화, EM) begins somewhere, asks how often
# each state and each transition is expected given the data, takes these counts for the next
# parameters, and goes on. The likelihood (가능도) never falls, but it may end at a lower top, so it
# is worth beginning more than once. The data: how many earthquakes of magnitude 7 and more there
# were in each year. In each of three states the count is Poisson with a rate of its own.

# %%
quakes = data.load("earthquakes_yearly").train
family = hmm.poisson(3)
with jax.enable_x64(True):
    climbs = [
        hmm.fit(jax.random.key(seed), family, quakes.count, max_iterations=150, tolerance=1e-7)
        for seed in range(5)
    ]
    best = max(climbs, key=lambda found: found.log_likelihood)
    model = best.model
    chain = (model.log_initial, model.log_transition)
    evidence = family.log_prob(model.emission, quakes.count)
    by_hand = forward(*map(np.exp, chain), np.exp(evidence))
    posterior = np.exp(jax.jit(hmm.smooth)(*chain, evidence).log_marginals)
    states, _ = jax.jit(hmm.viterbi)(*chain, evidence)
rates = np.asarray(model.emission.rate)
print("rates:", np.sort(rates).round(2), "a year; log-likelihood", round(best.log_likelihood, 4))

# %% [markdown]
# Two questions can be asked once the parameters are known. What is the probability of each state at
# each step, given *all* observations, the posterior (사후 확률)? And which *path* of states is the
# likeliest, by Viterbi's algorithm (비터비 알고리즘)?

# %%
figure, axes = plt.subplots(1, 3, figsize=(13, 3.2), width_ratios=(2, 3, 3))
for seed, (found, dash) in enumerate(zip(climbs, ("-", "--", "-.", ":", "-"), strict=True)):
    axes[0].plot(found.history, dash, label=f"start {seed}")
axes[0].set(xlabel="iteration of EM", ylabel="log-likelihood (nats)", title="five climbs")
axes[0].set(xscale="symlog", ylim=(-350, -325))
axes[0].legend()
order = np.argsort(rates)
names = [f"{rates[k]:.0f} a year" for k in order]
axes[1].stackplot(quakes.year, posterior[:, order].T, labels=names, colors=("C5", "C4", "C1"))
axes[1].set(xlabel="year", ylabel="probability", title="posterior of the rate", ylim=(0, 1))
axes[1].margins(x=0)
axes[1].legend(loc="lower left", frameon=True, framealpha=0.9)
axes[2].bar(quakes.year, quakes.count, color="0.7", width=0.9, label="counted")
axes[2].step(quakes.year, rates[states], where="mid", color="C1", label="rate on the best path")
axes[2].set(xlabel="year", ylabel="earthquakes a year", title="the best path")
axes[2].legend()
plt.show()

# %% [markdown]
# ## An HMM that tags by counting
#
# Where the states are labels, and training data have them, there is nothing to fit: initial,
# transition and emission probabilities are frequencies. The addresses are labelled by hand with 29
# labels. A word that is rare in training is known by its shape (형태) only.

# %%
addresses = data.load("usaddress")
for token in addresses.test[4]:
    print(f"{token.token:>12}  {token.label}")


def shape(word):
    """Returns the kinds of characters of a word: 'Elm' is Xx, '60614' is 0, '5th' is 0x."""
    kinds = ("0" if c.isdigit() else "X" if c.isupper() else "x" if c.islower() else c
             for c in word)  # fmt: skip
    return "".join(kind for kind, _ in itertools.groupby(kinds))


def looks(word):
    """Returns what is seen of a word: itself, its shape, its end."""
    return f"word {word.lower()}", f"shape {shape(word)}", f"end {word.lower()[-3:]}"


# %%
LABELS = sorted({token.label for row in addresses.train for token in row})
STEPS, K = 19, len(LABELS)  # no address is longer
seen = Counter(look for row in addresses.train for token in row for look in looks(token.token))
often_seen = sorted(look for look, count in seen.items() if count > 1)
numbers = {look: number for number, look in enumerate(["?", *often_seen])}


class Rows(NamedTuple):
    """Symbols [B, T, 3], labels [B, T], and how many steps of each row are real [B]."""

    ids: np.ndarray
    labels: np.ndarray
    lengths: np.ndarray


def encoded(rows):
    ids = [np.array([[numbers.get(look, 0) for look in looks(token.token)] for token in row],
                    np.int32) for row in rows]  # fmt: skip
    labels = [np.array([LABELS.index(token.label) for token in row], np.int32) for row in rows]
    padded = data.pad(ids, length=STEPS)
    return Rows(padded.values, data.pad(labels, length=STEPS).values, padded.lengths)


train, test = encoded(addresses.train), encoded(addresses.test)
right = [[token.label for token in row] for row in addresses.test]


# %%
def counted(rows, alpha=0.05):
    """Returns the logarithms of smoothed frequencies: initial, transition, emission [V, K]."""
    initial, move = np.full(K, alpha), np.full((K, K), alpha)
    emit = np.full((len(numbers), K), alpha)
    for ids, labels, length in zip(*rows, strict=True):
        labels = labels[:length]
        initial[labels[0]] += 1
        np.add.at(move, (labels[:-1], labels[1:]), 1)
        np.add.at(emit, (symbols(ids[:length]), labels), 1)
    frequencies = initial / initial.sum(), move / move.sum(1, keepdims=True), emit / emit.sum(0)
    return [np.log(table).astype(np.float32) for table in frequencies]


def symbols(ids):
    """Returns the one symbol that the HMM sees: the word, or the shape of a rare one."""
    return np.where(ids[..., 0], ids[..., 0], ids[..., 1])


log_initial, log_move, log_emit = counted(train)
path, _ = jax.jit(hmm.viterbi)(
    log_initial, log_move, log_emit[symbols(test.ids)], lengths=test.lengths
)


def named(tags, lengths):
    """Returns the labels of each row."""
    rows = zip(np.asarray(tags), lengths, strict=True)
    return [[LABELS[tag] for tag in row[:n]] for row, n in rows]


found = {"HMM": named(path, test.lengths)}

# %% [markdown]
# What every tagger has to beat: each word's most frequent label (최빈 레이블), whatever stands
# beside it.

# %%
tally, everything = defaultdict(Counter), Counter()
for token in itertools.chain(*addresses.train):
    tally[token.token][token.label] += 1
    everything[token.label] += 1
most = everything.most_common(1)[0][0]
found["most frequent label"] = [
    [tally[token.token].most_common(1)[0][0] if token.token in tally else most for token in row]
    for row in addresses.test
]


def measured(labels):
    """Returns the shares of words, and of whole addresses, that are right, and the F1 of spans."""
    pairs = zip(labels, right, strict=True)
    hits = [[a == b for a, b in zip(*pair, strict=True)] for pair in pairs]
    words = sum(map(sum, hits)) / sum(map(len, hits))
    spans = span_f1(labels, right, scheme="runs").f1
    return {"words": words, "addresses": sum(map(all, hits)) / len(hits), "spans": spans}


{name: measured(labels) for name, labels in found.items()}

# %% [markdown]
# ## 7.1 The conditional random field
#
# An HMM models the words too, and takes each as independent of the rest, given its label. A
# conditional random field (조건부 랜덤 필드, CRF) models only the labels, *given* all the words:
#
# $$p(y \mid x) = \frac{e^{s(x, y)}}{Z(x)}, \qquad
# s(x, y) = a_{y_1} + \sum_t e_{t, y_t} + \sum_{t>1} A_{y_{t-1}, y_t} + b_{y_n}, \qquad
# Z(x) = \sum_{y'} e^{s(x, y')}.$$
#
# The emissions $e$ may come from anything that reads the words; the transitions $A$ say what
# follows what. The partition function (분배 함수) $Z$ is again a sum over all paths in $n K^2$
# steps. Some paths can be ruled out altogether. In the scheme BIO, `B-X` begins a span of kind X,
# and `I-X` goes on with one, so it stands only after `B-X` or `I-X`. A forbidden path has
# probability 0 and no share in $Z$. In four steps all paths can be listed:

# %%
five = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
rule = crf.bio(five)
tempting = 3 * jax.nn.one_hot(jnp.array([0, 2, 4, 4]), 5) + jax.random.normal(
    jax.random.key(4), (4, 5)
)
nothing = jnp.zeros((5, 5))
free, _ = crf.viterbi(tempting, nothing)
bound, _ = crf.viterbi(tempting, nothing, allowed=rule)

paths = list(itertools.product(range(5), repeat=4))
legal = [p for p in paths if rule.initial[p[0]] and rule.transitions[p[:-1], p[1:]].all()]
every = np.asarray(tempting)[np.arange(4), np.array(legal)].sum(-1)
log_z = crf.log_partition(tempting, nothing, allowed=rule)
print("free:   ", [five[tag] for tag in free])
print("allowed:", [five[tag] for tag in bound])
print(f"{len(legal)} of {len(paths)} paths are allowed; log Z {float(log_z):.4f},")
print(f"by listing them {np.log(np.exp(every).sum()):.4f}")

# %% [markdown]
# ## 7.2.6 All outputs: BiLSTM, and BiLSTM-CRF
#
# A recurrent tagger gives one output a step; both directions (양방향) may be read, since nothing is
# generated. `nn.SequenceTagger` has a softmax on top, each label by itself, or a CRF. The labels of
# addresses become BIO: a place of two words is `B-PlaceName`, `I-PlaceName`. The loss is
# $-\log p(y \mid x)$ in both cases, and the training loop the same.

# %%
TAGS = [f"{part}-{label}" for label in LABELS for part in "BI"]
allowed = crf.bio(TAGS)


def as_bio(labels):
    """Returns tags [B, T] from labels: 2 k where a run of label k begins, 2 k + 1 inside."""
    inside = np.zeros_like(labels)
    inside[:, 1:] = labels[:, 1:] == labels[:, :-1]
    return 2 * labels + inside


def tagger(output):
    return nn.SequenceTagger(
        len(TAGS),
        32,
        32,
        vocab_size=len(numbers),
        symbols=3,  # word, shape and end: their vectors are added
        output=output,
        allowed=allowed if output == "crf" else None,
        dropout=0.4,
        rngs=jax.random.key(0),
    )


# %%
@functools.partial(jax.jit, static_argnames=("apply", "log_likelihood", "optimizer"))
def update(apply, log_likelihood, optimizer, params, state, batch, key):
    def loss(params):
        emissions = apply(params, batch.ids, lengths=batch.lengths, rngs=key)
        return -log_likelihood(params, emissions, batch.labels, lengths=batch.lengths).mean()

    value, gradient = jax.value_and_grad(loss)(params)
    updates, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, updates), state, value


def fit(net, rows, size, epochs):
    """Returns the trained module, and the loss of each epoch in nats a sequence."""
    params, apply = nn.pure(net)
    likelihood = nn.pure(net, method="log_likelihood").apply
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(8e-3))
    state, key, curve = optimizer.init(params), jax.random.key(1), []
    generator = np.random.default_rng(0)
    for _ in range(epochs):
        values = []
        order = generator.permutation(len(rows.ids))
        for places in order[: len(order) // size * size].reshape(-1, size):
            key, now = jax.random.split(key)
            batch = Rows(*(array[places] for array in rows))
            step = (params, state, batch, now)
            params, state, value = update(apply, likelihood, optimizer, *step)
            values.append(value)
        curve.append(np.mean(values))
    return nn.with_params(net, params), curve


# %%
def decoded(net, ids, lengths):
    """Returns emissions [B, T, K] and the best tags [B, T]."""

    @jax.jit
    def run(ids, lengths):
        emissions = net(ids, lengths=lengths)
        return emissions, net.decode(emissions, lengths=lengths)[0]

    return run(ids, lengths)


in_bio = train._replace(labels=as_bio(train.labels))
nets, curves, emissions, tags = {}, {}, {}, {}
for output, name in (("softmax", "BiLSTM"), ("crf", "BiLSTM-CRF")):
    nets[name], curves[name] = fit(tagger(output), in_bio, size=38, epochs=15)
    emissions[name], tags[name] = decoded(nets[name], test.ids, test.lengths)
    found[name] = named(np.asarray(tags[name]) // 2, test.lengths)


# %%
def broken(tags):
    """Returns how many rows of tags break the rules of BIO."""
    return sum(
        not (allowed.initial[row[0]] and allowed.transitions[row[:-1], row[1:]].all())
        for row in (row[:n] for row, n in zip(np.asarray(tags), test.lengths, strict=True))
    )


table = {name: measured(labels) for name, labels in found.items()}
ordered = ("most frequent label", "HMM", "BiLSTM", "BiLSTM-CRF")
print(f"{'per cent right':>20}  " + "  ".join(f"{name:>9}" for name in table["HMM"]))
for name in ordered:
    print(f"{name:>20}  " + "  ".join(f"{100 * value:9.1f}" for value in table[name].values()))
print("rows that break BIO:", {name: broken(one) for name, one in tags.items()})

# %%
figure, axes = plt.subplots(1, 2, figsize=(11, 3))
for (name, curve), marker in zip(curves.items(), "os", strict=True):
    axes[0].plot(range(1, 16), curve, marker=marker, ms=4, label=name)
axes[0].set(xlabel="epoch", ylabel="nats an address", ylim=(0, None), title="training loss")
axes[0].legend()
for place, (column, hatch) in enumerate(zip(("words", "addresses"), ("", "//"), strict=True)):
    values = [100 * table[name][column] for name in ordered]
    bars = axes[1].barh(np.arange(4) + 0.4 * (place - 0.5), values, 0.38, label=column, hatch=hatch)
    axes[1].bar_label(bars, fmt="%.1f", padding=3)
axes[1].set_yticks(range(4), ordered)
axes[1].invert_yaxis()
axes[1].set(xlabel="right on the test part (%)", xlim=(0, 115), title="303 addresses")
axes[1].legend(loc="upper right", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# ## What the transitions say
#
# A part of the matrix $A$ of the trained CRF. Grey are the transitions that BIO forbids; what is
# left is learnt: red pairs follow each other more than the words alone would say.

# %%
common = ("AddressNumber", "StreetName", "StreetNamePostType", "PlaceName", "StateName", "ZipCode")
chosen = [TAGS.index(f"{part}-{label}") for label in common for part in "BI"]
params = nn.pure(nets["BiLSTM-CRF"]).params
weights = {name: params["crf"][name] for name in ("transitions", "initial", "final")}
block = np.asarray(weights["transitions"])[np.ix_(chosen, chosen)]
may = np.asarray(allowed.transitions)[np.ix_(chosen, chosen)]

figure, axis = plt.subplots(figsize=(7.4, 6))
limit = np.abs(block[may]).max()
axis.set_facecolor("0.8")
image = axis.imshow(np.where(may, block, np.nan), cmap="RdBu_r", vmin=-limit, vmax=limit)
ticks = [TAGS[tag] for tag in chosen]
axis.set_xticks(range(12), ticks, rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
axis.set_yticks(range(12), ticks, fontsize=8)
axis.set(xlabel="next tag", ylabel="tag", title="transition scores; grey: forbidden")
figure.colorbar(image, ax=axis, label="score (nats)")
plt.show()

# %% [markdown]
# ## The gradient of log Z is the posterior
#
# The derivative of $\log Z$ by an emission score is the probability of that label at that step,
# summed over all paths; no backward algorithm has to be written, for `jax.grad` is one:
#
# $$\frac{\partial \log Z}{\partial e_{tk}} = p(y_t = k \mid x).$$
#
# The entropy (엔트로피) of the distribution over all paths says how sure the field is. The picture
# has the address of which it is least sure: the marginals (주변 확률), with the best path and the
# right one.

# %%
scores, lengths = emissions["BiLSTM-CRF"], test.lengths
field = {**weights, "allowed": allowed, "lengths": lengths}


@jax.jit
def inspected(scores):
    def total(scores):
        return crf.log_partition(scores, **field).sum()

    return jax.grad(total)(scores), crf.marginals(scores, **field), crf.entropy(scores, **field)


gradient, marginals, entropy = map(np.asarray, inspected(scores))
unsure = int(entropy.argmax())
n = lengths[unsure]
here = marginals[unsure, :n]
shown = np.union1d(np.flatnonzero(here.max(0) > 0.05), as_bio(test.labels)[unsure, :n])

figure, axis = plt.subplots(figsize=(9, 0.35 * len(shown) + 1.6))
image = axis.imshow(here[:, shown].T, cmap="Greys", vmin=0, vmax=1, aspect="auto")
spots = {"best path": (np.asarray(tags["BiLSTM-CRF"])[unsure, :n], "s", 14, "C0")}
spots["right"] = (as_bio(test.labels)[unsure, :n], "o", 6, "C1")
for label, (row, marker, size, color) in spots.items():
    axis.plot(
        range(n),
        np.searchsorted(shown, row),
        marker,
        ms=size,
        mfc="none",
        mec=color,
        mew=2,
        label=label,
    )
axis.set_xticks(range(n), [token.token for token in addresses.test[unsure]], rotation=20)
axis.set_yticks(range(len(shown)), [TAGS[tag] for tag in shown])
axis.set(xlabel="word", ylabel="tag")
figure.colorbar(image, ax=axis, label="probability")
axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
plt.show()

# %% [markdown]
# Is it right to be unsure? The test addresses, in thirds by entropy, and how many of each third are
# without a mistake:

# %%
perfect = np.array([a == b for a, b in zip(found["BiLSTM-CRF"], right, strict=True)])
thirds = np.array_split(np.argsort(entropy), 3)
shares = [100 * perfect[third].mean() for third in thirds]
figure, axis = plt.subplots(figsize=(6, 2.6))
bars = axis.bar(("surest third", "middle", "least sure third"), shares, color=("C2", "C4", "C1"))
axis.bar_label(bars, fmt="%.0f")
axis.set(ylabel="without a mistake (%)", xlabel="test addresses by entropy", ylim=(0, 105))
plt.show()

# %% [markdown]
# ## Korean: where the words begin
#
# The chapter's example of one output a step is morphological analysis (형태소 분석). A small
# relative of it is spacing (띄어쓰기): given Korean without its spaces, before which syllables does
# one belong? The texts are lines of a user interface and of the constitution; a tagger over
# syllables with two labels, trained by the same loop. The baseline again is the most frequent label
# of each syllable.

# %%
spacing = tagging.read_parts("korean_spacing")
short = [row for row in spacing.train if len(row) <= 24][:2560]
syllables = data.Vocabulary.of_characters(
    "".join(token.token for row in short for token in row), unknown="\ufffd", min_count=2
)


def spaced(rows):
    ids = [syllables.encode("".join(token.token for token in row)) for row in rows]
    labels = [np.array([token.label == "SPACE" for token in row], np.int32) for row in rows]
    padded = data.pad(ids, length=24)
    return Rows(padded.values, data.pad(labels, length=24).values, padded.lengths)


lines = [row for row in spacing.test if len(row) <= 24]
korean, unseen = spaced(short), spaced(lines)
net = nn.SequenceTagger(
    2, 32, 32, vocab_size=len(syllables), cell="gru", dropout=0.3, rngs=jax.random.key(2)
)
net, _ = fit(net, korean, size=64, epochs=6)
_, spaces = decoded(net, unseen.ids, unseen.lengths)

# %%
steps = np.arange(24) < korean.lengths[:, None]
often = np.zeros((len(syllables), 2))
np.add.at(often, (korean.ids[steps], korean.labels[steps]), 1)
guess = often.argmax(1)[unseen.ids].astype(np.int32)


def f1_of_spaces(labels):
    matrix = confusion_matrix(labels, unseen.labels, num_classes=2, lengths=unseen.lengths)
    return float(precision_recall_f1(matrix).f1[1])


def respaced(row, labels):
    marks = ["", *np.where(labels[1 : len(row)], " ", "")]
    return "".join(mark + token.token for mark, token in zip(marks, row, strict=True))


f1 = {"most frequent label": f1_of_spaces(guess), "BiGRU": f1_of_spaces(spaces)}
for place in (3, 40, 90, 160):
    print(respaced(lines[place], np.asarray(spaces)[place]), "|",
          respaced(lines[place], unseen.labels[place]))  # fmt: skip
print("F1 of spaces:", {name: round(value, 3) for name, value in f1.items()})

# %% [markdown]
# ## Exercises
#
# **1.** The same holds of an HMM: the gradient of $\log p(x)$ by `log_obs` is the posterior. Show
# it for the earthquakes.

# %% [markdown]
# **Answer.** Forward is `hmm.log_likelihood`, backward is `jax.grad`.

# %%
with jax.enable_x64(True):
    by_grad = np.asarray(jax.jit(jax.grad(hmm.log_likelihood, argnums=2))(*chain, evidence))
print(float(abs(by_grad - posterior).max()))

# %% [markdown]
# **2.** What are the best three labellings of the address of which the CRF is least sure, and how
# probable is each?

# %% [markdown]
# **Answer.** `crf.k_best` gives the paths and their scores; less $\log Z$, and in the exponential,
# these are probabilities.

# %%
one = {**field, "lengths": lengths[unsure]}
three, values = jax.jit(functools.partial(crf.k_best, k=3, **one))(scores[unsure])
chances = np.exp(values - crf.log_partition(scores[unsure], **one))
for row, chance in zip(np.asarray(three), chances, strict=True):
    print(f"{chance:.2f}", " ".join(TAGS[tag] for tag in row[:n]))

# %% [markdown]
# **3.** The softmax tagger breaks the rules now and then. Mend it without training it again.

# %% [markdown]
# **Answer.** Its emissions are log-probabilities up to a constant a step; a CRF without
# transitions, but with `allowed`, finds the best path that keeps to the rules.

# %%
flat = jnp.zeros((len(TAGS), len(TAGS)))
mended, _ = jax.jit(functools.partial(crf.viterbi, allowed=allowed))(
    emissions["BiLSTM"], flat, lengths=lengths
)
print("broken before and after:", broken(tags["BiLSTM"]), broken(mended))

# %% [markdown]
# ## What must hold

# %%
assert all((np.diff(found.history) > -1e-9).all() for found in climbs)
# The maximum that the literature has, from each of the five starts.
assert all(abs(found.log_likelihood - -328.5275) < 1e-3 for found in climbs)
assert np.allclose(np.sort(rates), [13.134, 19.713, 29.710], atol=5e-3)
assert abs(by_hand - best.log_likelihood) < 1e-5
assert np.allclose(posterior.sum(1), 1) and np.allclose(by_grad, posterior, atol=1e-8)
assert tuple(bound.tolist()) == legal[int(every.argmax())] and free.tolist() == [0, 2, 4, 4]
assert np.isclose(log_z, np.log(np.exp(every).sum()), atol=1e-4)
assert crf.log_likelihood(tempting, free, nothing, allowed=rule) == -jnp.inf

# %%
words = [table[name]["words"] for name in ordered]
assert round(100 * words[0], 2) == 59.37 and words[0] < words[1] < min(words[2:])
assert table["BiLSTM-CRF"]["addresses"] > table["HMM"]["addresses"]
assert broken(tags["BiLSTM-CRF"]) == 0 and broken(mended) == 0 < broken(tags["BiLSTM"])
assert np.allclose(gradient, marginals, atol=1e-4)
valid = np.arange(STEPS) < lengths[:, None]
assert np.allclose(marginals.sum(-1)[valid], 1, atol=1e-4) and (marginals[~valid] == 0).all()
assert shares[0] > shares[1] > shares[2]
assert (np.diff(chances) <= 1e-6).all() and chances.sum() <= 1 + 1e-4
assert f1["BiGRU"] > f1["most frequent label"] + 0.1
print("All statements hold.")
