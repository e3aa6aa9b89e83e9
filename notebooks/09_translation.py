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
# # 09 Translation with attention (어텐션을 쓰는 번역)
#
# Sections 7.1 and 7.2.6 of the chapter. After this notebook you can build a translator from an
# encoder, attention and a decoder, train it, search for its best outputs, and see what it looked
# at. The language pair is a small one, so that it trains in seconds: English spelling to English
# sounds. `e n o u g h` becomes `IH N AH F`, with another number of symbols, and with letters whose
# sound depends on their neighbours. That is translation (번역) with all of its parts.

# %%
import re
from typing import NamedTuple

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

from jaxseq import data, decoding, losses, nn, sequence, training

plt.style.use("jaxseq.pictures")

# %% [markdown]
# ## 7.1 The data: sequences of different lengths
#
# "Variable length in, variable length out" (7.2.7). CMUdict is a dictionary of pronunciations.
# Here are its words of 4 to 6 letters with at most 8 phones; the digits of the stress are left
# out. A word may have several right pronunciations. The first trains; in the test any of them
# counts. The test part has words that training has never seen.


# %%
def short_words(rows):
    """Returns {word: its pronunciations}, each a tuple of phones without stress."""
    found = {}
    for word, phones in rows:
        if 4 <= len(word) <= 6 and word.isalpha() and len(phones) <= 8:
            found.setdefault(word, []).append(tuple(phone.rstrip("012") for phone in phones))
    return found


corpus = data.load("cmudict")
train, test = short_words(corpus.train), short_words(corpus.test)
test = dict([*test.items()][::2])
PHONES = sorted({phone for sounds in train.values() for one in sounds for phone in one})
print(f"{len(train)} words to train on, {len(test)} to test on, {len(PHONES)} phones")
{word: [" ".join(one) for one in train[word]] for word in ("enough", "though", "rough")}

# %% [markdown]
# The number 0 pads a source; in a target it begins, ends and pads. So what the decoder *reads* is
# `0 y_1 … y_n`, and what it is to *write* is `y_1 … y_n 0`: the same symbols, one step apart.

# %%
NUMBER = {phone: number for number, phone in enumerate(PHONES, start=1)}
STEPS = 9  # 8 phones and the end


class Pairs(NamedTuple):
    source: np.ndarray  # [B, S]: letters, 1 to 26
    source_lengths: np.ndarray
    reads: np.ndarray  # [B, T]
    writes: np.ndarray
    lengths: np.ndarray


def encode(words):
    """Returns the words and their first pronunciations as numbers."""
    letters = data.pad([np.array([ord(c) - 96 for c in word]) for word in words], length=6)
    sounds = [np.array([NUMBER[phone] for phone in words[word][0]]) for word in words]
    writes = data.pad(sounds, length=STEPS)
    reads = np.pad(writes.values, ((0, 0), (1, 0)))[:, :-1]
    return Pairs(*letters, reads, writes.values, writes.lengths + 1)


def spell(numbers):
    """Returns the phones before the first 0."""
    numbers = [int(n) for n in numbers]
    return tuple(PHONES[n - 1] for n in numbers[: (*numbers, 0).index(0)])


pairs, tests = encode(train), encode(test)
at = [*train].index("enough")
print(pairs.source[at], pairs.reads[at], pairs.writes[at], sep="\n")

# %% [markdown]
# ## 7.2.6 Encoder and decoder
#
# The encoder (인코더) reads the source both ways and keeps *every* state; the decoder (디코더) is
# autoregressive (자기회귀): it reads what it wrote before.
#
# $$s_1, \dots, s_S = \mathrm{encoder}(x_1, \dots, x_S), \qquad
# h_t = \mathrm{decoder}(h_{t-1}, y_{t-1})$$
#
# $$c_t = \sum_s \alpha_{ts} \, s_s, \qquad a_t = \tanh(W_a [c_t; h_t] + b_a), \qquad
# p(y_t \mid y_{<t}, x) = \mathrm{softmax}(W a_t + b)$$
#
# Only the encoder may be bidirectional (양방향): the source is known as a whole, the target is
# not. Without $c_t$ the whole source would have to fit into one state. With it, each step looks
# the source up again: attention (어텐션). Its weights $\alpha_{ts}$ are a softmax over the steps
# of the source, of a score that says how well a key fits the query:
#
# $$\text{dot: } \; q^\top k_s, \qquad \text{additive: } \; w^\top \tanh(q + k_s),
# \qquad q = W_q h_t, \quad k_s = W_k s_s.$$
#
# By hand, for one query:


# %%
def softmax(scores):
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def dot_by_hand(query, keys, values):
    weights = softmax(keys @ query)
    return weights @ values, weights


def additive_by_hand(query, keys, values, weight):
    weights = softmax(np.tanh(query + keys) @ weight)
    return weights @ values, weights


rng = np.random.default_rng(0)
query, keys, values, weight = (
    rng.normal(size=shape).astype(np.float32) for shape in ((4,), (5, 4), (5, 3), (4,))
)
by_dot = sequence.dot_attention(query, keys, values)
by_sum = sequence.additive_attention(query, keys, values, weight=weight)
for ours, by_hand in (
    (by_dot, dot_by_hand(query, keys, values)),
    (by_sum, additive_by_hand(query, keys, values, weight)),
):
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(ours, by_hand, strict=True))
np.round(np.stack([by_dot.weights, by_sum.weights]), 3)

# %% [markdown]
# To see it work, let the keys be six directions, and turn a query past all of them. The larger
# the products, the sharper the look. The memory is ragged: the last of its seven steps is padding
# and gets weight 0, although its key fits as well as the others do.

# %%
angles = np.linspace(0, np.pi, 7)
memory = np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
turn = np.linspace(0, np.pi, 91)
queries = np.column_stack([np.cos(turn), np.sin(turn)]).astype(np.float32)
looks = {
    scale: sequence.dot_attention(queries, memory, memory, scale=scale, lengths=np.array(6)).weights
    for scale in (2.0, 30.0)
}

figure, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
for axis, (scale, weights) in zip(axes, looks.items(), strict=True):
    image = axis.imshow(
        weights.T, aspect="auto", origin="lower", vmin=0, vmax=1, extent=(0, 180, 0.5, 7.5)
    )
    axis.set(title=f"products times {scale:g}", xlabel="direction of the query (degrees)")
axes[0].set_ylabel("step of the memory (7 is padding)")
figure.colorbar(image, ax=axes, label="attention weight")
plt.show()

sharp = looks[30.0]
assert np.allclose(sharp.sum(1), 1, atol=1e-5) and (sharp[:, 6] == 0).all()
assert [int(sharp[15 * k].argmax()) for k in range(6)] == [0, 1, 2, 3, 4, 5]
assert looks[2.0].max() < 0.6 < 0.9 < sharp.max()

# %% [markdown]
# ## Training: teacher forcing
#
# In training the decoder reads the *right* symbol before each one that it is to write, whatever
# it would have written itself: teacher forcing (교사 강요). All steps are then known at once, and
# the loss is the chapter's cross-entropy (교차 엔트로피), averaged over all symbols that count:
#
# $$L = -\frac{1}{\sum_b T_b} \sum_b \sum_{t \le T_b} \log p(y_t \mid y_{<t}, x).$$
#
# `nn.Seq2Seq` is the whole model; `nn.pure` makes a plain function of it. The loop is plain optax.

# %%
model = nn.Seq2Seq(27, 1 + len(PHONES), 32, 128, cell="gru", rngs=jax.random.key(0))
params, apply = nn.pure(model)
UPDATES, ROWS = 600, 128
optimizer = optax.adam(optax.cosine_decay_schedule(4e-3, UPDATES))


def logits_of(params, rows):
    lengths = {"source_lengths": rows.source_lengths, "lengths": rows.lengths}
    return apply(params, rows.source, rows.reads, **lengths)


@jax.jit
def update(params, state, rows):
    def loss(params):
        nats = losses.cross_entropy(logits_of(params, rows), rows.writes, lengths=rows.lengths)
        return losses.mean(nats)

    value, gradient = jax.value_and_grad(loss)(params)
    gradient = training.clip_by_global_norm(gradient, 1.0).grads
    updates, state = optimizer.update(gradient, state)
    return optax.apply_updates(params, updates), state, value


rng, state, nats = np.random.default_rng(1), optimizer.init(params), []
for _ in range(UPDATES):
    chosen = rng.integers(len(train), size=ROWS)
    params, state, value = update(params, state, Pairs(*(leaf[chosen] for leaf in pairs)))
    nats.append(value)
nats = np.array(nats)
print(f"{nats[:10].mean():.2f} nats a symbol at first, {nats[-50:].mean():.2f} at the end")

# %% [markdown]
# ## Free running: the decoder reads itself
#
# In use there is no teacher. `decoding.greedy` takes the likeliest symbol and hands it back:
# free running (자유 실행). The weights travel in the carry, so the loop is compiled once.

# %%
read = nn.pure(model, method="step").apply
encoder = jax.jit(nn.pure(model, method="encode").apply)


def write(carry, token):
    params, state = carry
    state, logits = read(params, state, token)
    return (params, state), logits


begin = (params, encoder(params, tests.source, lengths=tests.source_lengths))
zeros = np.zeros(len(test), np.int32)
free = decoding.greedy(write, begin, zeros, length=STEPS, stop=0)
own = np.asarray(free.tokens)
for word, tokens in [*zip(test, own, strict=True)][40::160]:
    found = spell(tokens)
    print(f"{word:7} {' '.join(found):22} {'right' if found in test[word] else ''}")

# %% [markdown]
# How much worse is it without a teacher? At the first symbol nothing differs. Later, a mistake is
# read, which training has never shown. On the right: the step *after* the first mistake, once with
# the right symbol given back by the teacher, and once with the mistake. (`model(..., sampling=p)`
# is scheduled sampling: in training, a share `p` of the symbols read are the model's own.)

# %%
teacher = np.asarray(jax.jit(logits_of)(params, tests).argmax(-1))
counts = np.arange(STEPS) < tests.lengths[:, None]
hits = {"teacher forcing": teacher == tests.writes, "free running": own == tests.writes}
by_step = {
    name: np.array([hit[counts[:, t], t].mean() for t in range(7)]) for name, hit in hits.items()
}
wrong = counts & ~hits["free running"]
rows = np.flatnonzero(wrong.any(1))
steps = wrong[rows].argmax(1) + 1
there = steps < tests.lengths[rows]
after = {name: hit[rows[there], steps[there]].mean() for name, hit in hits.items()}

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), width_ratios=(3, 2), sharey=True)
for mark, (name, share) in zip("os", by_step.items(), strict=True):
    axes[0].plot(range(1, 8), 100 * share, mark + "-", label=name)
axes[0].set(xlabel="step of the decoder", ylabel="symbols right (%)", title="by step")
axes[0].set_ylim(0, 105)
axes[0].legend(loc="lower left")
heights = [100 * share for share in after.values()]
bars = axes[1].bar([*after], heights, color=["C0", "C1"], width=0.6)
axes[1].bar_label(bars, fmt="%.0f %%")
axes[1].set_title("one step after the first mistake")
plt.show()

assert np.isclose(by_step["teacher forcing"][0], by_step["free running"][0])
assert after["free running"] < after["teacher forcing"] - 0.05

# %% [markdown]
# ## What it has to beat
#
# A lookup is a translator too: take the pronunciation of the training word that is nearest in
# edit distance (편집 거리). Measured are the share of wrong words, and the phoneme error rate
# (음소 오류율): the edits to the nearest right pronunciation, per phone.


# %%
def distances(word):
    """Returns the edit distances of all training words to a word, all at once."""
    row = np.repeat(np.arange(7, dtype=np.int8)[:, None], len(train), axis=1)
    for place, letter in enumerate(word, start=1):
        row, before = np.empty_like(row), row
        row[0] = place
        for j in range(1, 7):
            replaced = before[j - 1] + (LETTERS[j - 1] != ord(letter) - 96)
            row[j] = np.minimum(np.minimum(before[j], row[j - 1]) + 1, replaced)
    return row[pairs.source_lengths, np.arange(len(train))]


def measure(found):
    """Returns the shares of wrong words and of wrong phones of one try for each test word."""
    total, right = losses.ErrorRate(0, 0), 0
    for one, sounds in zip(found, test.values(), strict=True):
        nearest = min(sounds, key=lambda sound, one=one: losses.edit_distance(one, sound))
        total += losses.error_rate([one], [nearest])
        right += one in sounds
    return 1 - right / len(test), total.rate


LETTERS = np.ascontiguousarray(pairs.source.T.astype(np.int8))
sounds = [*train.values()]
lookup = [sounds[int(distances(word).argmin())][0] for word in test]
table = {"nearest training word": measure(lookup), "greedy": measure([*map(spell, own)])}

# %% [markdown]
# ## Beam search, length penalty, n best
#
# Greedy search cannot take a step back. Beam search (빔 탐색) keeps the `W` best beginnings, and
# ranks finished and unfinished texts by
#
# $$\mathrm{score}(y) = \log p(y \mid x) \Big/ \Big(\frac{5 + |y|}{6}\Big)^{\alpha}.$$
#
# The penalty (길이 벌점) $\alpha$ makes up for each symbol costing probability, which with
# $\alpha = 0$ favours short texts.


# %%
def search(width, penalty):
    """Returns the best `width` pronunciations of each test word, and their log-probabilities."""
    axes = (None, model.beams)  # the weights are nobody's, the memory is shared by a word's beams
    options = {"length": STEPS, "stop": 0, "length_penalty": penalty, "axes": axes}
    return jax.device_get(decoding.beam_search(write, begin, zeros, width=width, **options))


narrow = search(1, 0.0)
by_penalty = {alpha: search(8, alpha) for alpha in (0.0, 0.5, 1.0, 2.0, 4.0)}
wide = by_penalty[0.0]
table["beam of 8, penalty 1"] = measure([spell(row[0]) for row in by_penalty[1.0].tokens])
for name, (words, phones) in table.items():
    print(f"{name:24} {100 * words:5.1f} % of the words wrong, {100 * phones:5.1f} % of the phones")
gain = np.mean(wide.log_probs[:, 0] - narrow.log_probs[:, 0] > 1e-4)
print(f"the beam finds something likelier than greedy search for {100 * gain:.0f} % of the words")

# %% [markdown]
# On outputs as short as these the first of a beam is no better than what greedy search finds. But
# the `n` best are worth having: the right pronunciation is often the second or the third. On the
# left, a word counts as right if any of its first `n` is. On the right, what the penalty does.

# %%
best = [[spell(row) for row in rows] for rows in by_penalty[1.0].tokens]
rights = [{*sounds} for sounds in test.values()]
any_right = [
    np.mean([not right.isdisjoint(few[:n]) for few, right in zip(best, rights, strict=True)])
    for n in range(1, 9)
]
mean_length = {alpha: float(found.lengths[:, 0].mean()) for alpha, found in by_penalty.items()}
right_length = tests.lengths.mean() - 1

figure, axes = plt.subplots(1, 2, figsize=(9, 3))
axes[0].plot(range(1, 9), [100 - 100 * share for share in any_right], "o-")
axes[0].set(xlabel="n", ylabel="words without a right one (%)", title="the n best", ylim=(0, None))
axes[1].plot([*mean_length], [*mean_length.values()], "o-", label="found by a beam of 8")
axes[1].axhline(right_length, color="k", ls=":", label="right")
axes[1].set(xlabel="length penalty", ylabel="phones a word", title="length of the best")
axes[1].legend()
plt.show()
for one, log_prob in zip(best[3][:3], by_penalty[1.0].log_probs[3, :3], strict=True):
    print([*test][3], "|", " ".join(one), f"| {log_prob:.2f} nats")

# %% [markdown]
# ## What it looked at
#
# `alignments` gives the weights $\alpha_{ts}$ of every step: an alignment (정렬) that nobody
# taught. It runs from the upper left to the lower right, as reading does. Of two letters with one
# sound, such as *sh*, one is looked at, and the other is passed over; which letter stands for the
# end, nobody can say.

# %%
align = jax.jit(nn.pure(model, method="alignments").apply)
lengths = {"source_lengths": tests.source_lengths, "lengths": tests.lengths}
aligned = np.asarray(align(params, tests.source, tests.reads, **lengths))
perfect = np.flatnonzero(~wrong.any(1))
parts = ("sh", "ck", "ee", "ll", "er", "th")
shown = [next(n for n in perfect if part in [*test][n]) for part in parts]

figure, axes = plt.subplots(2, 3, figsize=(9, 6))
for axis, n in zip(axes.flat, shown, strict=True):
    word, length = [*test][n], tests.lengths[n]
    image = axis.imshow(aligned[n, :length, : len(word)], vmin=0, vmax=1, aspect="auto")
    axis.set_xticks(range(len(word)), [*word])
    axis.set_yticks(range(length), [*spell(own[n]), "end"])
    axis.set_title(word)
figure.supxlabel("letter read", fontsize=10)
figure.supylabel("symbol written, from top to bottom", fontsize=10)
figure.colorbar(image, ax=axes, label="attention weight", shrink=0.7)
plt.show()

# %% [markdown]
# ## English to Korean, and placeholders
#
# The recipe does the same for texts: 10,811 pairs from the user interface of Home Assistant,
# English to Korean (한국어). It learns frequent pieces of words, and falls back on the nearest
# training source where it is not sure. In five lines, and more time than a notebook has:
#
# ```python
# from jaxseq.recipes import translation
#
# config = translation.Config(data="home_assistant_en_ko", out=Path("runs/ko"))
# report = translation.train(config)  # chrF and BLEU beside the nearest training source
# model = translation.load(config.out)
# best = translation.translate(model, ["Failed to connect to {host}"], beam=5)
# ```
#
# or `python -m jaxseq train translation --data home_assistant_en_ko`. A `{placeholder}` is what a
# program will fill in. It must come through unharmed, and its name may be one that training has
# never seen. So it is *one* symbol, and both sides name it by its place in the source:

# %%
PLACEHOLDER = re.compile(r"\{[^{}]*\}")


def numbered(english, korean):
    """Returns both texts with their placeholders as 1, 2, …, in the order of the source."""
    names = [*dict.fromkeys(PLACEHOLDER.findall(english))]
    place = {name: f"<{number}>" for number, name in enumerate(names, start=1)}
    texts = english, korean
    return [PLACEHOLDER.sub(lambda found: place[found[0]], text) for text in texts], names


interface = data.load("home_assistant_en_ko")
rows = [row for row in interface.train if PLACEHOLDER.search(row.english)]
turned = next(row for row in interface.test if row.english == "{name} ({model} at {host})")
(english, korean), names = numbered(*turned)
written = re.sub(r"<(\d+)>", lambda found: names[int(found[1]) - 1], korean)
print(english, "|", korean, "|", written)
assert written == turned.korean and korean.index("<3>") < korean.index("<2>")

same = np.mean([{*PLACEHOLDER.findall(a)} == {*PLACEHOLDER.findall(b)} for a, b in rows])
seen = {name for row in rows for name in PLACEHOLDER.findall(row.english)}
new = {name for row in interface.test for name in PLACEHOLDER.findall(row.english)} - seen
print(f"{len(rows)} pairs with placeholders, on both sides the same in {100 * same:.1f} %")
print("in the test part alone:", ", ".join(sorted(new)))

# %% [markdown]
# ## Exercises
#
# **1.** A beam search says how likely each text is. Check it: run the model over the best texts
# with teacher forcing, and add the log-probabilities up yourself, that of the end among them.

# %% [markdown]
# **Answer.** What it wrote is what it read, one step later.

# %%
tokens = wide.tokens[:, 0]
reads = np.pad(tokens, ((0, 0), (1, 0)))[:, :-1]
rows = tests._replace(reads=reads, lengths=np.minimum(wide.lengths[:, 0] + 1, STEPS))
log_probs = np.asarray(jax.nn.log_softmax(jax.jit(logits_of)(params, rows)))
each = np.take_along_axis(log_probs, tokens[..., None], axis=-1)[..., 0]
total = np.where(np.arange(STEPS) < rows.lengths[:, None], each, 0).sum(1)
assert np.allclose(total, wide.log_probs[:, 0], atol=1e-3)
float(np.abs(total - wide.log_probs[:, 0]).max())

# %% [markdown]
# **2.** Nobody told the attention that spelling goes from left to right. Has it found out? Take
# the mean place that each step looks at, and compare it with that of the step before.

# %% [markdown]
# **Answer.** $\sum_s \alpha_{ts} \, s$ grows from nearly every step to the next.

# %%
place = aligned @ np.arange(6)
onward = (np.diff(place, axis=1) > 0)[np.arange(1, STEPS) < tests.lengths[:, None] - 1]
print(f"{100 * onward.mean():.0f} % of the steps look further right than the one before")
assert onward.mean() > 0.95

# %% [markdown]
# **3.** What is hard about English spelling, its vowels or its consonants? Compare how often each
# is right under teacher forcing.

# %% [markdown]
# **Answer.** The phones of vowels begin with A, E, I, O or U.

# %%
vowels = [NUMBER[phone] for phone in PHONES if phone[0] in "AEIOU"]
is_vowel = np.isin(tests.writes, vowels)
is_consonant = (tests.writes > 0) & ~is_vowel
shares = {
    name: hits["teacher forcing"][kind].mean()
    for name, kind in (("vowels", is_vowel), ("consonants", is_consonant))
}
print({name: f"{100 * share:.1f} % right" for name, share in shares.items()})
assert shares["vowels"] < shares["consonants"] - 0.1

# %% [markdown]
# ## What must hold

# %%
# It learns, and on words that it has never seen it is far better than the nearest one it has.
assert nats[-50:].mean() < 0.2 * nats[:10].mean()
nearest, greedy, beam = table.values()
assert greedy[0] < 0.5 * nearest[0] and greedy[1] < 0.5 * nearest[1]
# A width of 1 is greedy search; a wider beam finds likelier texts, and the n best hold more.
assert (narrow.tokens[:, 0] == own).all()
assert wide.log_probs[:, 0].mean() > narrow.log_probs[:, 0].mean() and gain > 0.01
assert abs(beam[0] - greedy[0]) < 0.03 and 1 - any_right[-1] < 0.6 * (1 - any_right[0])
# The penalty makes texts longer.
assert mean_length[0.0] < mean_length[1.0] < mean_length[4.0]
# Attention is a distribution over the letters there are.
inside = np.arange(6) < tests.source_lengths[:, None, None]
assert np.allclose(aligned.sum(-1)[counts], 1, atol=1e-4)
assert (np.where(inside, 0, aligned) == 0).all()
assert same > 0.99 and new
print("All statements hold.")
