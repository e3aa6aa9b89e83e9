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
# # Structured models
#
# Beside the neural sequence models stand the classical ones, which sum over all paths through a
# lattice of steps and states: the hidden Markov model (은닉 마르코프 모델, HMM) and the conditional
# random field (조건부 무작위장, CRF). `jaxseq.structured` has both as pure functions over one core:
# ragged, differentiable, and with the same names. Here they meet a genome, earthquakes, a stock
# and the labelled addresses of the United States.

# %%
import itertools
from functools import partial

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from jaxseq import data
from jaxseq.recipes import address_crf
from jaxseq.structured import crf, ctc, hmm

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

# How the sums run along the time: of several ways, all with the same values, the one that compiles
# fastest. Left out, it is the one that runs fastest.
quick = {"backend": "sequential"}

# %% [markdown]
# ## A genome in two states
#
# The state (상태) of an HMM is hidden and follows a Markov chain (마르코프 연쇄); what is seen is
# emitted (방출) by it. The genome of the bacteriophage lambda, 48,502 letters, is thought to be
# laid out in long stretches of two compositions. `hmm.fit` finds them by expectation maximisation
# (기댓값 최대화, EM): how often each state and each transition is expected, given the data and the
# parameters so far, gives the next parameters, and the log-likelihood (로그 가능도) never falls.
# `smooth` then gives the posterior (사후 확률) of the state at each place, `viterbi` the best path.

# %%
letters = "ACGT"
genome = data.load("lambda_phage").train
bases = np.array([letters.index(base) for base in genome], np.int32)
independent = sum(n * np.log(n / bases.size) for n in np.bincount(bases))

with jax.enable_x64(True):
    start = hmm.HMM(
        jnp.log(jnp.array([0.5, 0.5])),
        jnp.log(jnp.array([[0.999, 0.001], [0.001, 0.999]])),
        hmm.CategoricalParams(
            jnp.log(jnp.array([[0.25, 0.25, 0.30, 0.20], [0.27, 0.21, 0.20, 0.32]]))
        ),
    )
    family = hmm.categorical(2, 4)
    phage = hmm.fit(
        jax.random.key(0), family, bases, model=start, max_iterations=80, tolerance=1e-5
    )
    given = (phage.model.log_initial, phage.model.log_transition)
    evidence = family.log_prob(phage.model.emission, bases)
    smoothed = jax.jit(partial(hmm.smooth, **quick))(*given, evidence)
    states, _ = jax.jit(hmm.viterbi)(*given, evidence)
changes = (np.flatnonzero(np.diff(states)) + 1).tolist()
posterior = np.exp(smoothed.log_marginals)
more_likely = (np.flatnonzero(np.diff(posterior.argmax(-1))) + 1).tolist()
emitted = np.exp(phage.model.emission.log_probs)
print(f"independent letters {independent:.2f}, two states {phage.log_likelihood:.2f} nats")
print("the best path changes its state at", changes)
print("the more likely state changes at  ", more_likely)

# %%
figure, axes = plt.subplots(2, 1, figsize=(10, 4.2), sharex=True)
place = np.arange(bases.size) / 1000
window = np.ones(500) / 500
share = np.convolve(np.isin(bases, [1, 2]), window, mode="same")
axes[0].plot(place[250:-250], share[250:-250], color="tab:gray", lw=0.8)
axes[0].set(ylabel="share of G and C", title="500 letters around each place")
axes[1].fill_between(place, posterior[:, 0], color="tab:blue", alpha=0.6, lw=0)
for change in changes:
    axes[1].axvline(change / 1000, color="k", lw=0.8, ls=":")
axes[1].set(
    xlabel="place in the genome (1,000 bases)",
    ylabel="probability",
    title="posterior of the state rich in G and C; dotted: the best path changes",
    ylim=(0, 1),
)
axes[1].margins(x=0)
plt.show()

assert abs(phage.log_likelihood - -66_678.07) < 0.01
assert (np.diff(phage.history) > -1e-6).all()
assert more_likely == [198, 22501, 31456, 33186, 38374, 46436]

# %% [markdown]
# ## Earthquakes: how many states?
#
# Counts of earthquakes of magnitude 7 and more, by year. In each state the count is Poisson. The
# fit begins from several random starts, and the best end is the published maximum.

# %%
quakes = data.load("earthquakes_yearly").train
fits, decoded = {}, {}
with jax.enable_x64(True):
    for size in (2, 3):
        family = hmm.poisson(size)
        fits[size] = hmm.fit(
            jax.random.key(1), family, quakes.count, restarts=4, tolerance=1e-7, **quick
        )
        model = fits[size].model
        evidence = family.log_prob(model.emission, quakes.count)
        states, _ = jax.jit(hmm.viterbi)(model.log_initial, model.log_transition, evidence)
        decoded[size] = np.asarray(model.emission.rate)[np.asarray(states)]

figure, axes = plt.subplots(1, 2, figsize=(11, 3.2), sharey=True)
for axis, (size, found) in zip(axes, fits.items(), strict=True):
    axis.bar(quakes.year, quakes.count, color="tab:gray", alpha=0.5, width=0.9, label="counted")
    axis.step(
        quakes.year, decoded[size], where="mid", color="tab:red", label="rate of the decoded state"
    )
    axis.set(
        xlabel="year",
        ylabel="earthquakes a year",
        title=f"{size} states: log-likelihood {found.log_likelihood:.4f} nats",
    )
axes[0].legend(fontsize="small")
plt.show()
rates = {size: np.sort(found.model.emission.rate).round(3) for size, found in fits.items()}
print(rates)

assert abs(fits[2].log_likelihood - -341.8787) < 1e-4
assert abs(fits[3].log_likelihood - -328.5275) < 1e-4
assert np.allclose(rates[2], [15.421, 26.018], atol=2e-3)
assert np.allclose(rates[3], [13.134, 19.713, 29.710], atol=2e-3)

# %% [markdown]
# ## Regimes of a stock
#
# Daily log returns of IBM: what changes from time to time is hardly their mean, but their
# spread, the volatility (변동성). A Gaussian HMM with three states, fitted on the years before
# 2010, names the regimes (국면); later years are decoded with what was learnt before them.

# %%
corpus = data.load("stocks")
parts = (corpus.train, corpus.valid, corpus.test)
ibm = np.concatenate([part.ticker == "IBM" for part in parts])
date = np.concatenate([part.date for part in parts])[ibm]
price = np.concatenate([part.adj_close for part in parts])[ibm]
returns = 100 * np.diff(np.log(price))[:, None]  # per cent
days = date[1:]
before = days < np.datetime64("2010-01-01")

market = hmm.gaussian(3, 1, min_variance=1e-2)
with jax.enable_x64(True):
    regimes = hmm.fit(
        jax.random.key(2),
        market,
        returns[before],
        model=lambda key: hmm.init(key, market, returns[before], self_transition=0.95),
        restarts=2,
        tolerance=1e-3,
        **quick,
    )
    calm_first = np.argsort(regimes.model.emission.variance[:, 0])
    model = regimes.model
    levels = market.log_prob(model.emission, returns)
    path, _ = jax.jit(hmm.viterbi)(model.log_initial, model.log_transition, levels)
    online = jax.jit(partial(hmm.filter, **quick))(model.log_initial, model.log_transition, levels)

# What each day's return was thought likely the day before, by the filter, on the later years.
log_probs = np.asarray(online.log_probs)
chance = np.exp(log_probs[:-1]) @ np.exp(np.asarray(model.log_transition))
forecast = np.log((chance * np.exp(np.asarray(levels))[1:]).sum(-1))
mean, variance = returns[before].mean(), returns[before].var()
normal = -0.5 * (np.log(2 * np.pi * variance) + (returns[:, 0] - mean) ** 2 / variance)
later = ~before[1:]
gain = (forecast - normal[1:])[later].mean()
rank = np.argsort(calm_first)[np.asarray(path)]
deviation = np.sqrt(np.asarray(model.emission.variance)[calm_first, 0])
print("standard deviations:", deviation.round(2), "per cent a day")
print(f"gain over one normal distribution, {later.sum()} days after 2010: {gain:.3f} nats a day")

# %%
figure, axes = plt.subplots(2, 1, figsize=(11, 5), sharex=True, height_ratios=(2, 1))
colors = ("tab:green", "tab:orange", "tab:red")
edges = np.flatnonzero(np.diff(rank, prepend=-1, append=-1))
for begin, end in itertools.pairwise(edges):
    until = days[min(end, len(days) - 1)]
    for axis in axes:
        axis.axvspan(days[begin], until, color=colors[rank[begin]], alpha=0.25, lw=0)
axes[0].plot(date, price, color="k", lw=0.9)
axes[0].set(yscale="log", ylabel="adjusted price (US dollars)", title="IBM in three regimes")
axes[0].minorticks_off()
axes[0].set_yticks([50, 100, 200], ["50", "100", "200"])
for color, spread in zip(colors, deviation, strict=True):
    axes[0].fill_between([], [], color=color, alpha=0.25, label=f"± {spread:.1f} % a day")
axes[0].axvline(np.datetime64("2010-01-01"), color="k", ls=":", lw=1)
axes[0].legend(loc="upper left", fontsize="small", title="standard deviation", ncols=3)
axes[1].plot(days, returns[:, 0], color="k", lw=0.4)
axes[1].axvline(np.datetime64("2010-01-01"), color="k", ls=":", lw=1)
axes[1].set(xlabel="date (dotted: fitted before, decoded after)", ylabel="log return (%)")
axes[1].margins(x=0.01)
plt.show()

assert deviation[0] < deviation[1] < deviation[2]
assert regimes.log_likelihood > normal[before].sum() + 100 and gain > 0

# %% [markdown]
# ## A CRF on addresses
#
# A CRF scores whole paths of labels, given the words: emissions from features, here made by hand,
# and transitions between labels. `recipes.address_crf` trains one on 912 addresses with 29 labels.
# What is to be beaten is each word's most frequent label (최빈 레이블).

# %%
addresses = data.load("usaddress")
baseline = address_crf.most_frequent_label_accuracy(addresses.train, addresses.test)
labeller = address_crf.train(addresses.train)
report = address_crf.evaluate(labeller, addresses.test)
print("features of a word:", ", ".join(address_crf.features_of(["33", "Elm", "St.,"])[2]))
print(f"most frequent label {baseline:.2%}; CRF {report.token_accuracy:.2%} of the words,")
print(f"{report.sequence_accuracy:.2%} of the addresses without a mistake")

# %%
transitions = np.asarray(labeller.params.transitions)
common = [
    labeller.labels.index(name)
    for name in (
        *("AddressNumber", "StreetNamePreDirectional", "StreetName", "StreetNamePostType"),
        *("OccupancyType", "OccupancyIdentifier", "PlaceName", "StateName", "ZipCode"),
    )
]
figure, axes = plt.subplots(1, 2, figsize=(11, 4), width_ratios=(3, 2))
shown = transitions[np.ix_(common, common)]
limit = np.abs(shown).max()
picture = axes[0].imshow(shown, cmap="RdBu_r", vmin=-limit, vmax=limit)
ticks = [labeller.labels[number] for number in common]
axes[0].set_xticks(range(len(common)), ticks, rotation=45, ha="right", fontsize=8)
axes[0].set_yticks(range(len(common)), ticks, fontsize=8)
axes[0].set(title="transitions", xlabel="next label", ylabel="label")
figure.colorbar(picture, ax=axes[0], label="score (nats)")
bars = axes[1].barh(
    ["most frequent label", "CRF: words", "CRF: addresses"],
    [100 * baseline, 100 * report.token_accuracy, 100 * report.sequence_accuracy],
    color=["tab:gray", "tab:red", "tab:orange"],
)
axes[1].bar_label(bars, fmt="%.1f", padding=3)
axes[1].invert_yaxis()
axes[1].set(xlabel="right on the test part (%)", xlim=(0, 110))
plt.show()

assert round(100 * baseline, 2) == 59.37
assert report.token_accuracy > 0.92 and report.sequence_accuracy > 0.74

# %% [markdown]
# ### How sure is it?
#
# The entropy (엔트로피) of the distribution over all paths is small where one path has nearly all
# of the probability. Where the model is unsure, it is more often wrong; and the k best paths
# (상위 k개 경로) say between what it wavers.

# %%
words = [[token.token for token in row] for row in addresses.test]
right = [[token.label for token in row] for row in addresses.test]
scores, lengths = address_crf.emissions(labeller, words)
weights = labeller.params._asdict()
del weights["features"]
doubt = np.asarray(jax.jit(partial(crf.entropy, **quick))(scores, lengths=lengths, **weights))
found = address_crf.label(labeller, words)
perfect = np.array([a == b for a, b in zip(found, right, strict=True)])
order = np.argsort(doubt)
thirds = np.array_split(order, 3)
shares = [perfect[third].mean() for third in thirds]

least = order[-12:]
rows = {"emissions": scores[least], "lengths": lengths[least], **weights}
tags, best = jax.jit(partial(crf.k_best, k=3))(**rows)
total = jax.jit(partial(crf.log_partition, **quick))(**rows)
chances = np.exp(np.asarray(best) - np.asarray(total)[:, None])
tie = int(np.argmax(chances[:, 1]))  # where the second path is as likely as it gets
print(" ".join(words[least[tie]]))
for path, chance in zip(np.asarray(tags[tie]), chances[tie], strict=True):
    print(
        f"  {chance:.2f}  {' '.join(labeller.labels[tag] for tag in path[: lengths[least[tie]]])}"
    )

figure, axis = plt.subplots(figsize=(7, 2.8))
sides = ("surest third", "middle", "least sure third")
axis.bar(sides, [100 * share for share in shares], color=["tab:green", "tab:olive", "tab:orange"])
axis.set(ylabel="addresses without a mistake (%)", title="by entropy", ylim=(0, 100))
plt.show()

assert shares[0] > shares[1] > shares[2]
assert (np.diff(chances, axis=1) <= 1e-6).all() and (chances.sum(1) <= 1 + 1e-4).all()

# %% [markdown]
# ### What may follow what
#
# These labels carry no scheme. Where labels do, as in BIO, `I-X` may stand only after `B-X` or
# `I-X`. `allowed` says so in training as in decoding: a forbidden path has no probability at all,
# and no share in the partition function (분배 함수), over which the others are normalised.

# %%
labels = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
allowed = crf.bio(labels)
tempting = 3 * jax.nn.one_hot(jnp.array([0, 2, 4, 4]), 5) + jax.random.normal(
    jax.random.key(4), (4, 5)
)
nothing = jnp.zeros((5, 5))
free, _ = jax.jit(crf.viterbi)(tempting, nothing)
bound, _ = jax.jit(crf.viterbi)(tempting, nothing, allowed=allowed)
print("free:   ", [labels[tag] for tag in free])
print("allowed:", [labels[tag] for tag in bound])

paths = list(itertools.product(range(5), repeat=4))
legal = [
    path
    for path in paths
    if allowed.initial[path[0]]
    and all(allowed.transitions[pair] for pair in itertools.pairwise(path))
]
every = np.asarray(tempting)[np.arange(4), np.array(legal)].sum(-1)
partition = jax.jit(partial(crf.log_partition, **quick))(tempting, nothing, allowed=allowed)
print(f"{len(legal)} of {len(paths)} paths are allowed; log-partition {float(partition):.4f}")

assert free.tolist() == [0, 2, 4, 4] and tuple(bound.tolist()) in legal
assert np.isclose(partition, np.log(np.exp(every).sum()), atol=1e-4)
assert (
    jax.jit(partial(crf.log_likelihood, **quick))(tempting, free, nothing, allowed=allowed)
    == -jnp.inf
)
assert tuple(bound.tolist()) == legal[int(every.argmax())]

# %% [markdown]
# ## CTC: labels without their times
#
# Connectionist temporal classification (연결주의 시간 분류, CTC) sums over all ways to lay a label
# sequence over the frames, with a blank (공백) between. Its loss is minus a log-probability, so it
# is never negative. The best alignment (정렬) says when each label was heard. Here the frames are
# drawn so that "abcc" can be read off them.

# %%
symbols = ("blank", "a", "b", "c")
heard = np.array([0, 0, 1, 1, 0, 0, 2, 2, 2, 0, 3, 3, 0, 3, 0, 0])
noise = jax.random.normal(jax.random.key(5), (len(heard), 4))
log_probs = jax.nn.log_softmax(3 * jax.nn.one_hot(heard, 4) + noise)
target = np.array([1, 2, 3, 3])
loss = jax.jit(ctc.loss)(log_probs, target)
alignment = jax.jit(ctc.align)(log_probs, target)
print(f"loss {float(loss.nats):.4f} nats; the best alignment alone {-float(alignment.score):.4f}")

# %%
figure, axis = plt.subplots(figsize=(9, 2.6))
picture = axis.imshow(np.exp(log_probs).T, cmap="Greys", vmin=0, vmax=1, aspect="auto")
spans = zip(target, alignment.starts.tolist(), alignment.ends.tolist(), strict=True)
for symbol, begin, end in spans:
    box = plt.Rectangle((begin - 0.5, symbol - 0.5), end - begin, 1, fill=False, color="tab:red")
    axis.add_patch(box)
axis.set_yticks(range(4), symbols)
axis.set(xlabel="frame", ylabel="symbol", title='"abcc" aligned: one box a label')
figure.colorbar(picture, ax=axis, label="probability")
plt.show()

certain = jax.nn.log_softmax(60 * jax.nn.one_hot(heard, 4))
impossible = jax.jit(ctc.loss)(log_probs[:4], target)
assert 0 <= loss.nats <= -alignment.score
assert jax.jit(ctc.loss)(certain, target).nats >= 0  # where elsewhere rounding takes it below
assert impossible.nats == jnp.inf and impossible.infeasible  # c c needs a blank between
assert (alignment.starts[1:] >= alignment.ends[:-1]).all()
print("All statements hold.")
