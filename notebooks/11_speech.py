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
# # 11 Speech and CTC (음성 인식과 CTC)
#
# Section 7.1 of the chapter names speech recognition (음성 인식) among its tasks. After this
# notebook you can turn sound into features, train a recurrent network on recordings of which
# nobody has noted *when* each word is said, read words off it, and find out when they were said.
# What makes it possible is connectionist temporal classification (연결주의 시간 분류, CTC).

# %%
import collections
import itertools

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from jaxseq import data, losses, nn, sequence, training
from jaxseq.recipes import speech
from jaxseq.structured import ctc, hmm

plt.style.use("jaxseq.pictures")

# %% [markdown]
# ## 7.1 The sound
#
# The digits are said by the synthesiser espeak-ng (the extra `jaxseq[speech]`), in many voices
# and accents, at all speeds. A *synthesised* voice is not a person, and what follows holds for
# such voices. The parts of the data have no voice in common. The shortest recordings suffice here:
# one digit or two.

# %%
config = speech.resolved(speech.Config(data="digits", utterances=1600))
RATE, SECONDS = config.sample_rate, 1.9


def short(examples):
    """Returns the examples of one or two words that are not too long."""
    few = [one for one in examples if len(one.transcript.split()) <= 2]
    return [one for one in few if len(one.samples) <= SECONDS * RATE]


parts = speech.Parts(*map(short, speech.read_parts(config)))
LABELS = sorted({word for one in parts.train for word in one.transcript.split()})
voices = [{one.speaker for one in part} for part in parts]
assert len(LABELS) == 11 and not voices[0] & voices[2] and not voices[1] & voices[2]
for name, part, voice in zip(parts._fields, parts, voices, strict=True):
    print(f"{name:6} {len(part):4} recordings in {len(voice)} voices, as {part[0].transcript!r}")

# %% [markdown]
# ## What the network hears: log-mel features
#
# Sound is 8000 numbers a second. Every 10 ms a frame (프레임) of 25 ms is cut out, faded at its
# ends, and taken apart into frequencies; the energy is added up in bands that are equally wide on
# the mel scale (멜 척도), as the ear has them, and of that the logarithm is taken:
#
# $$X_t = \mathrm{rFFT}(w \odot s_{tH : tH + W}), \qquad
# f_{t,m} = \log \max\Big(\sum_k M_{mk} |X_t(k)|^2, \; \epsilon\Big), \qquad
# \mathrm{mel}(f) = 2595 \log_{10}(1 + f / 700).$$
#
# One frame of `sequence.log_mel`, by hand:


# %%
def frame_by_hand(samples, t, bands=40, fft=256):
    width, hop = RATE * 25 // 1000, RATE // 100
    fade = np.sin(np.pi * np.arange(width) / width) ** 2
    power = np.abs(np.fft.rfft(fade * samples[t * hop : t * hop + width], fft)) ** 2
    edges = sequence.mel_edges(bands, low=20.0, high=RATE / 2)
    hertz = np.arange(fft // 2 + 1)[:, None] * RATE / fft
    rise, fall = hertz - edges[:-2], edges[2:] - hertz
    triangles = np.minimum(rise / np.diff(edges)[:-1], fall / np.diff(edges)[1:]).clip(0)
    return np.log(np.maximum(power @ triangles, 1e-10))


pairs = (one for one in parts.test if len({*one.transcript.split()}) == 2)
example = max(pairs, key=lambda one: len(one.samples))
heard = sequence.log_mel(example.samples, sample_rate=RATE)
loudest = int(heard.features.mean(1).argmax())
assert np.allclose(heard.features[loudest], frame_by_hand(example.samples, loudest), atol=1e-2)

# %%
cut = np.lib.stride_tricks.sliding_window_view(example.samples, 200)[::80] * np.hanning(200)
energy = 10 * np.log10(np.abs(np.fft.rfft(cut, 256)).T ** 2 + 1e-10)
mels = np.asarray(heard.features).T * 10 / np.log(10)
edges = sequence.mel_edges(40, low=20.0, high=RATE / 2)


def spectrogram(axis, decibels, top):
    """Draws energy, from 60 dB below the loudest on; returns the image."""
    extent = (0, decibels.shape[1] / 100, 0, top)
    shown = decibels - decibels.max()
    return axis.imshow(shown, origin="lower", aspect="auto", extent=extent, vmin=-60, vmax=0)


figure, axes = plt.subplots(3, 1, figsize=(9, 6), sharex=True)
axes[0].plot(np.arange(len(example.samples)) / RATE, example.samples, lw=0.6)
axes[0].set(ylabel="sound (-1 to 1)", title=f"{example.transcript!r}, a voice of the test part")
spectrogram(axes[1], energy, RATE / 2000)
axes[1].set(ylabel="frequency (kHz)", title="energy by frequency")
image = spectrogram(axes[2], mels, 40)
ticks = [0.25, 0.5, 1, 2, 3]
axes[2].set_yticks(np.interp(ticks, edges[1:-1] / 1000, np.arange(40) + 0.5), ticks)
axes[2].set(xlabel="time (s)", ylabel="mel band (kHz)", title="log-mel features")
figure.colorbar(image, ax=axes[1:], label="dB below the loudest")
plt.show()

# %% [markdown]
# ## CTC: the rule
#
# There are more frames than words, and nobody says which frame belongs to which. CTC lets the
# network name a symbol at *every* frame, a label or the blank (공백, ∅). A path (경로) collapses
# to labels: first drop what repeats the frame before, then the blanks. So `∅aab∅b` is "abb", and
# two equal labels in a row need a blank between. The probability of the labels is the sum over
# *all* paths that collapse to them:
#
# $$p(y \mid x) = \sum_{\pi \,:\, \mathcal{B}(\pi) = y} \; \prod_t p_t(\pi_t), \qquad
# L = -\log p(y \mid x).$$
#
# On a tiny case all paths can be tried: three symbols, eight frames.

# %%
SYMBOLS, FRAMES, labels = "∅ab", 8, (1, 2, 2)


def collapse(path):
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)


logits = 1.5 * np.asarray(jax.random.normal(jax.random.key(0), (FRAMES, 3)))
log_probs = jax.nn.log_softmax(logits)
probs = np.exp(log_probs)
paths = np.array([*itertools.product(range(3), repeat=FRAMES)])
mine = paths[[collapse(path) == labels for path in paths.tolist()]]
by_force = probs[np.arange(FRAMES), mine].prod(1)

assert collapse((0, 1, 1, 2, 0, 2)) == (1, 2, 2)
print(f"{len(mine)} of {len(paths)} paths collapse to 'abb'; the likeliest are")
for n in np.argsort(-by_force)[:3]:
    print(" ", "".join(SYMBOLS[k] for k in mine[n]), f"{by_force[n]:.4f}")

# %% [markdown]
# ## CTC: the forward recursion
#
# Paths need not be listed. Write the labels with blanks around them, `∅ a ∅ b ∅ b ∅`; a path stays
# in its state, goes on to the next, or skips a blank between two *different* labels. So
#
# $$\alpha_t(s) = p_t(z_s) \big(\alpha_{t-1}(s) + \alpha_{t-1}(s-1)
# + [z_s \ne \varnothing, \, z_s \ne z_{s-2}] \; \alpha_{t-1}(s-2)\big), \qquad
# p(y \mid x) = \alpha_T(2N) + \alpha_T(2N - 1).$$


# %%
def forward(probs, labels):
    """Returns the forward probabilities [T, 2N + 1] and the states' symbols."""
    symbols = np.zeros(2 * len(labels) + 1, int)
    symbols[1::2] = labels
    skips = (symbols != 0) & (symbols != np.roll(symbols, 2))
    skips[:2] = False
    alpha = np.zeros((len(probs), len(symbols)))
    alpha[0, :2] = probs[0, symbols[:2]]
    for t in range(1, len(probs)):
        before = np.pad(alpha[t - 1], (2, 0))
        alpha[t] = probs[t, symbols] * (before[2:] + before[1:-1] + skips * before[:-2])
    return alpha, symbols


alpha, symbols = forward(probs, labels)
nats = float(ctc.loss(log_probs, np.array(labels)).nats)
in_full = -np.log([by_force.sum(), alpha[-1, -2:].sum()])
print(f"by force {in_full[0]:.6f}, forward {in_full[1]:.6f}, ctc.loss {nats:.6f} nats")
assert np.allclose(in_full, nats, atol=1e-4)

# %% [markdown]
# ## CTC: the gradient
#
# Let $\gamma_t(k)$ be the posterior (사후 확률) that frame $t$ is aligned with symbol $k$, given
# the labels: the share of the paths through there. With logits $u$ before the softmax,
#
# $$\frac{\partial L}{\partial \log p_t(k)} = -\gamma_t(k), \qquad
# \frac{\partial L}{\partial u_t(k)} = \mathrm{softmax}(u_t)_k - \gamma_t(k).$$
#
# A step of descent moves every frame towards the posterior that the network itself, told the
# labels, thinks likely. `ctc.align` gives the best single path, an alignment (정렬).

# %%
posterior = np.stack([(by_force[:, None] * (mine == k)).sum(0) for k in range(3)], axis=1)
posterior /= by_force.sum()
gradient = jax.grad(lambda u: ctc.loss(jax.nn.log_softmax(u), np.array(labels)).nats)(logits)
assert np.allclose(gradient, probs - posterior, atol=1e-5)

aligned = ctc.align(log_probs, np.array(labels))
best = "".join(SYMBOLS[labels[n]] if n >= 0 else "∅" for n in aligned.frames.tolist())
assert np.isclose(np.exp(aligned.score), by_force.max(), atol=1e-6)

figure, axes = plt.subplots(1, 3, figsize=(10, 3), width_ratios=(5, 4, 4))
found = np.log10(np.maximum(alpha.T, 1e-12))
image = axes[0].imshow(np.where(alpha.T > 0, found, np.nan), aspect="auto")
axes[0].set_yticks(range(7), [SYMBOLS[k] for k in symbols])
axes[0].set(title="forward, and the best path", ylabel="state", xlabel="frame")
figure.colorbar(image, ax=axes[0], label=r"$\log_{10} \alpha_t(s)$")
states = np.where(aligned.frames >= 0, 2 * aligned.frames + 1, np.nan)
axes[0].plot(states, "o", color="C1")
image = axes[1].imshow(posterior.T, aspect="auto", vmin=0, vmax=1)
figure.colorbar(image, ax=axes[1])
axes[1].set(title=r"posterior $\gamma$", xlabel="frame")
image = axes[2].imshow((posterior - probs).T, aspect="auto", cmap="RdBu_r", vmin=-1, vmax=1)
axes[2].set(title=r"push on the logits, $\gamma$ - softmax", xlabel="frame")
for axis in axes[1:]:
    axis.set_yticks(range(3), [*SYMBOLS])
figure.colorbar(image, ax=axes[2])
plt.show()
best

# %% [markdown]
# ## CTC: reading labels off
#
# Greedy decoding takes the likeliest symbol of each frame and collapses. But the best path need not
# belong to the best labels, whose probability is spread over many paths; a beam search (빔 탐색)
# over prefixes adds them up. Two frames, blank 0.6 and *a* 0.4 in both:

# %%
coin = np.log(np.array([[0.6, 0.4], [0.6, 0.4]], np.float32))
greedy, beam = ctc.greedy(coin), ctc.beam_search(coin, width=4, n_best=2)
print("greedy:", greedy.labels[: greedy.label_lengths].tolist(), f"{np.exp(greedy.score):.2f}")
for row, count, log_prob in zip(beam.labels, beam.label_lengths, beam.log_probs, strict=True):
    print("beam:  ", row[:count].tolist(), f"{np.exp(log_prob):.2f}")
assert greedy.label_lengths == 0 and beam.labels[0, 0] == 1
assert np.isclose(np.exp(beam.log_probs[0]), 1 - 0.6**2, atol=1e-5)

# %% [markdown]
# ## A recogniser
#
# `nn.SpeechRecognizer` reads the features, three frames as one, with a bidirectional (양방향)
# network, and gives the log-probabilities of 11 words and the blank. Words are labels where there
# are few of them. The features of each recording get mean 0 and variance 1, so that loudness and
# microphone say nothing.

# %%
SIZE = int(SECONDS * RATE)


@jax.jit
def features_of(samples, lengths):
    frames = sequence.log_mel(samples, sample_rate=RATE, lengths=lengths)
    return sequence.standardize(frames.features, lengths=frames.lengths), frames.lengths


def ready(examples):
    """Returns features, their lengths, labels and their number."""
    features = features_of(*data.pad([one.samples for one in examples], length=SIZE))
    numbers = [[1 + LABELS.index(w) for w in one.transcript.split()] for one in examples]
    return *map(np.asarray, features), *data.pad([np.array(row) for row in numbers], length=2)


train, valid, test = map(ready, parts)
model = nn.SpeechRecognizer(40, len(LABELS), 96, cell="gru", dropout=0.2, rngs=jax.random.key(0))
params, apply = nn.pure(model)
train[0].shape

# %% [markdown]
# Training hears every voice now as a smaller, now as a taller person: all bands are moved up or
# down by up to two. The rest is the loop of every other notebook.

# %%
UPDATES, ROWS = 300, 32
optimizer = optax.adamw(optax.cosine_decay_schedule(4e-3, UPDATES), weight_decay=1e-3)


@jax.jit
def update(params, state, rows, key):
    features, lengths, labels, counts = rows
    key, up = jax.random.split(key)
    moved = jnp.arange(40) + jax.random.randint(up, (ROWS, 1), -2, 3)
    features = jnp.take_along_axis(features, moved.clip(0, 39)[:, None], axis=2)

    def loss(params):
        found = apply(params, features, lengths=lengths, rngs=key)
        return model.loss(found, labels, label_lengths=counts).nats.sum() / counts.sum()

    value, gradient = jax.value_and_grad(loss)(params)
    gradient = training.clip_by_global_norm(gradient, 1.0).grads
    updates, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, updates), state, value


@jax.jit
def read(params, features, lengths):
    found = apply(params, features, lengths=lengths)
    return found, ctc.greedy(found.log_probs, lengths=found.lengths)


# %%
def words(labels, counts):
    return [[LABELS[k - 1] for k in row[:n]] for row, n in zip(labels, counts, strict=True)]


def error(params, part):
    """Returns the share of wrong words."""
    _, found = read(params, *part[:2])
    found = words(np.asarray(found.labels), np.asarray(found.label_lengths))
    return losses.error_rate(found, words(*part[2:])).rate


rng, state, nats, errors = np.random.default_rng(0), optimizer.init(params), [], {}
snapshots = {0: params}
for step, key in enumerate(jax.random.split(jax.random.key(1), UPDATES), start=1):
    chosen = rng.integers(len(parts.train), size=ROWS)
    params, state, value = update(params, state, tuple(leaf[chosen] for leaf in train), key)
    nats.append(float(value))
    if step % 50 == 0:
        errors[step], snapshots[step] = error(params, valid), params

# %%
common = collections.Counter(one.transcript for one in parts.train).most_common(1)[0][0].split()
guess = losses.error_rate([common] * len(parts.test), words(*test[2:])).rate
wrong = error(params, test)
print(f"test part, {len(voices[2])} voices never heard: {100 * wrong:.1f} % of the words wrong")
print(f"always {' '.join(common)!r}: {100 * guess:.1f} % wrong")

figure, axes = plt.subplots(1, 2, figsize=(9, 3))
axes[0].plot(nats, lw=0.8)
axes[0].set(xlabel="update", ylabel="CTC loss (nats a word)", yscale="log", title="training")
axes[1].plot([*errors], [100 * share for share in errors.values()], "o-")
axes[1].set(xlabel="update", ylabel="words wrong (%)", title="the voices of the validation part")
axes[1].set_ylim(0, 105)
plt.show()

# %% [markdown]
# ## Blanks and spikes
#
# What does it say, frame by frame? At first anything. Soon it says blank nearly everywhere: blanks
# are part of most paths, and so the cheapest lesson. Then each word becomes a spike, a few steps
# wide, in a sea of blanks. CTC asks no more than that.

# %%
place = parts.test.index(example)
row = tuple(leaf[place] for leaf in test)
shown = (0, 50, UPDATES)
figure, axes = plt.subplots(1, 3, figsize=(10, 3), sharey=True)
for axis, step in zip(axes, shown, strict=True):
    found, _ = read(snapshots[step], *test[:2])
    probs = np.exp(found.log_probs[place, : found.lengths[place]])
    times = 0.03 * (np.arange(len(probs)) + 0.5)
    axis.plot(times, probs[:, 0], "--", color="0.5", label="blank")
    for mark, label in zip("os", dict.fromkeys(row[2].tolist()), strict=False):
        axis.plot(times, probs[:, label], mark + "-", ms=3, label=LABELS[label - 1])
    axis.set(xlabel="time (s)", title=f"after {step} updates", ylim=(0, 1.05))
axes[0].set_ylabel("probability")
axes[0].legend()
plt.show()

# %% [markdown]
# ## When was each word said?
#
# `ctc.align` lays known labels over the frames: a forced alignment (강제 정렬). The synthesiser has
# told when each word begins, which the network never knew. A span says where the network is sure
# of the word, not where the word begins and ends; and since it reads both ways, it may be sure
# just before.

# %%
found, _ = read(params, *test[:2])
aligned = ctc.align(found.log_probs, test[2], lengths=found.lengths, label_lengths=test[3])
begins, finishes = 0.03 * np.asarray(aligned.starts), 0.03 * np.asarray(aligned.ends)

figure, axis = plt.subplots(figsize=(9, 3))
image = spectrogram(axis, mels, 40)
axis.set_yticks(np.interp(ticks, edges[1:-1] / 1000, np.arange(40) + 0.5), ticks)
axis.set(xlabel="time (s)", ylabel="mel band (kHz)")
axis.set_title("dotted: a word begins; shaded: where the network hears it", pad=20)
for start in example.starts:
    axis.axvline(start, color="white", ls=":")
for n, word in enumerate(example.transcript.split()):
    axis.axvspan(begins[place, n], finishes[place, n], color="C1", alpha=0.6, lw=0)
    axis.text((begins + finishes)[place, n] / 2, 40.8, word, ha="center")
figure.colorbar(image, ax=axis, label="dB below the loudest")
plt.show()

inside, near = [], []
for n, one in enumerate(parts.test):
    until = [*one.starts, len(one.samples) / RATE][1:]
    middles = (begins[n] + finishes[n])[: len(one.starts)] / 2
    for a, middle, b in zip(one.starts, middles, until, strict=True):
        inside.append(a <= middle <= b)
        near.append(a - 0.1 <= middle <= b)
print(f"{100 * np.mean(inside):.0f} % of {len(inside)} labels lie inside their word,", end=" ")
print(f"{100 * np.mean(near):.0f} % inside or in the 0.1 s before")

# %% [markdown]
# The recipe does all of this on up to seven digits, in 54 voices, with noise, and a hidden Markov
# model (은닉 마르코프 모델, HMM) beside it: `python -m jaxseq train speech`. Recordings of your own
# are `--data my.tsv`.
#
# ## Real voices: a hidden Markov model a speaker
#
# Before networks read whole sequences, speech was recognised by HMMs. Nine men say the Japanese
# vowels /ae/; a recording is some 7 to 29 frames of 12 cepstrum coefficients. Who speaks? One HMM
# for each man, three states from left to right, and the likeliest model wins:
#
# $$\hat c = \arg\max_c \; \log p(x_1, \dots, x_T \mid \lambda_c).$$
#
# They are fitted by expectation maximisation (기댓값 최대화, EM), all nine at once: how likely is
# each state at each frame, given the recording; and which model is likeliest, given that.

# %%
vowels = data.load("japanese_vowels")
family = hmm.gaussian(3, 12, prior_variance=0.02, prior_variance_weight=5.0)
batch = data.pad([one.values for one in vowels.test], length=29)
speakers = np.array([one.label for one in vowels.test])
of_each = [[one.values for one in vowels.train if one.label == man] for man in range(9)]
values, lengths = map(np.stack, zip(*(data.pad(few, length=29) for few in of_each), strict=True))


def begin(values, lengths):
    """Returns a model whose states have the thirds of each recording."""
    third = jnp.minimum(3 * jnp.arange(29) // lengths[:, None], 2)
    inside = jnp.arange(29) < lengths[:, None]
    shares = jax.nn.one_hot(third, 3) * inside[..., None]
    emission = family.estimate(family.init(jax.random.key(0)), values, shares)
    moves = jnp.array([[0.8, 0.2, 0], [0, 0.8, 0.2], [0, 0, 1]])
    return hmm.HMM(jnp.log(jnp.array([1.0, 0, 0])), jnp.log(moves), emission)


def improved(model, values, lengths):
    """Returns the model after an iteration of EM, and the log-likelihood before it."""
    log_obs = family.log_prob(model.emission, values)
    found = hmm.smooth(*model[:2], log_obs, lengths=lengths)
    counts = found.transition_counts.sum(0)
    moves = jnp.log(counts / counts.sum(-1, keepdims=True))
    emission = family.estimate(model.emission, values, jnp.exp(found.log_marginals))
    return hmm.HMM(model.log_initial, moves, emission), found.log_likelihood.sum()


@jax.jit
def log_likelihoods(models):
    def one(model):
        log_obs = family.log_prob(model.emission, batch.values)
        return hmm.log_likelihood(*model[:2], log_obs, lengths=batch.lengths)

    return jax.vmap(one)(models)


models, climb = jax.jit(jax.vmap(begin))(values, lengths), []
step = jax.jit(jax.vmap(improved))
for _ in range(10):
    models, total = step(models, values, lengths)
    climb.append(total)
scores = np.asarray(log_likelihoods(models)).T
right = scores.argmax(1) == speakers
print(f"{100 * right.mean():.1f} % of {len(right)} recordings are ascribed to the right man")

# %%
table = np.zeros((9, 9), int)
np.add.at(table, (speakers, scores.argmax(1)), 1)
longest = int(batch.lengths.argmax())
model = jax.tree.map(lambda leaf: leaf[speakers[longest]], models)
path, _ = hmm.viterbi(*model[:2], family.log_prob(model.emission, batch.values[longest]))

figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
image = axes[0].imshow(batch.values[longest].T, aspect="auto", origin="lower")
for change in np.flatnonzero(np.diff(path)):
    axes[0].axvline(change + 0.5, color="C1", lw=2)
axes[0].set(xlabel="frame", ylabel="cepstrum coefficient", title="the best path changes its state")
figure.colorbar(image, ax=axes[0], label="value")
image = axes[1].imshow(table / table.sum(1, keepdims=True), vmin=0, vmax=1)
axes[1].set(xlabel="speaker found", ylabel="speaker", title="confusions")
axes[1].set_xticks(range(9), range(1, 10))
axes[1].set_yticks(range(9), range(1, 10))
figure.colorbar(image, ax=axes[1], label="share of a speaker's recordings")
plt.show()

# %% [markdown]
# ## Exercises
#
# **1.** How many paths of `T` frames collapse to `N` labels that all differ? Let `ctc.loss` count
# them, for `T = 8` and `N = 3`.

# %% [markdown]
# **Answer.** With even probabilities each path has $V^{-T}$, so $V^T e^{-L}$ counts. There are
# $\binom{T + N}{2N}$: choose where each of the `N` runs begins and ends.

# %%
even = np.full((8, 4), -np.log(4), np.float32)
count = 4**8 * np.exp(-ctc.loss(even, np.array([1, 2, 3])).nats)
by_trying = sum(collapse(path) == (1, 2, 3) for path in itertools.product(range(4), repeat=8))
assert round(float(count)) == by_trying == 462  # 11 over 6
by_trying

# %% [markdown]
# **2.** What is the least number of frames for the labels "1 2 2 2"? Find it with `ctc.loss`, and
# say what happens below.

# %% [markdown]
# **Answer.** As many as labels, and one more for each pair of equal neighbours: 6. Below there is
# no path; the loss is infinite, and the row is marked, so that it can be left out.

# %%
flags = [
    bool(ctc.loss(even[:frames, :3], np.array([1, 2, 2, 2])).infeasible) for frames in range(4, 9)
]
assert flags == [True, True, False, False, False]
flags

# %% [markdown]
# **3.** How much noise does the recogniser stand? Add white noise to the test recordings, 20, 10
# and 0 dB below the speech, and count the wrong words.

# %% [markdown]
# **Answer.** Training has heard noise 40 dB below at most, and it shows. (The recipe adds noise in
# training.)

# %%
rng, noisy = np.random.default_rng(2), {}
for decibels in (20, 10, 0):
    louder = []
    for one in parts.test:
        size = np.sqrt(np.mean(one.samples**2) / 10 ** (decibels / 10))
        noise = size * rng.standard_normal(len(one.samples))
        louder.append(one._replace(samples=(one.samples + noise).astype(np.float32)))
    noisy[decibels] = error(params, ready(louder))
print({f"{decibels} dB": f"{100 * share:.1f} % wrong" for decibels, share in noisy.items()})
assert wrong < noisy[10] < noisy[0]

# %% [markdown]
# ## What must hold

# %%
# Voices never heard: most words are right, where a guess gets most of them wrong.
assert guess > 0.8 and wrong < 0.25 and wrong < errors[50]
# Spikes in a sea of blanks: a word takes few of the steps, whatever time it takes.
steps = np.arange(found.log_probs.shape[1]) < found.lengths[:, None]
blank = (np.asarray(found.log_probs).argmax(-1) == 0)[steps].mean()
assert 0.6 < blank < 1
# The alignment, which nobody taught, mostly finds the word.
assert np.mean(inside) > 0.7 and np.mean(near) > 0.9 and len(near) > 100
# A beam adds up what a path leaves out: no labels found are less likely than the greedy ones.
options = {"lengths": found.lengths, "width": 4, "max_labels": 4}
search = ctc.beam_search(found.log_probs, **options)
assert (search.log_probs[:, 0] >= read(params, *test[:2])[1].score - 1e-3).all()
# Hidden Markov models tell nine men apart, and EM never makes one worse.
assert right.mean() > 0.9 and (np.diff(climb, axis=0) > -1e-2).all()
print("All statements hold.")
