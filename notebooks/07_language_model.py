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
# # 07 Language models and generation (언어 모델과 생성)
#
# After this notebook you can train a language model (언어 모델) on a text of yours, measure it in
# bits per character, and let it write, by the likeliest symbol or by chance at a temperature of
# your choice. Sections 7.2.6, *all outputs* (모든 출력), and 7.2.7 of the chapter. It reads
# *Moby-Dick* by the character and the constitution of Korea by the syllable.

# %%
import contextlib
import io
import itertools
import json
import math
import pathlib
import tempfile
from collections import Counter

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxseq
from jaxseq import cells, data, decoding, nn, training
from jaxseq.losses import bits_per_symbol, cross_entropy, mean, perplexity
from jaxseq.recipes import language_model

plt.style.use("jaxseq.pictures")
BITS = 1 / math.log(2)  # bits in a nat

# %% [markdown]
# ## 7.2.7 Discrete in, discrete out
#
# Language processing is mostly classification: what goes in and what comes out is discrete, and
# training is by cross-entropy (교차 엔트로피). A language model classifies at every step: given all
# symbols so far, which one is next? A `Vocabulary` turns text into integers and back, exactly. A
# slice of the book must do here.

# %%
text = data.load("moby_dick").train[:300_000]
vocabulary = data.Vocabulary.of_characters(text)
ids = vocabulary.encode(text)
assert vocabulary.decode(ids) == text
print(len(ids), "characters,", len(vocabulary), "different ones")

# %% [markdown]
# How many bits does the next character take, if one knows nothing, or the frequencies of
# characters, or of pairs, triples and so on? These are conditional entropies (조건부 엔트로피) of
# the text itself:
#
# $$H_k = -\frac1N \sum_t \log_2 \frac{c(y_{t-k+1} \dots y_t)}{c(y_{t-k+1} \dots y_{t-1})}.$$
#
# Every further character of the past makes the next one surer. (Long contexts occur once each, so
# that counting alone would soon claim to be certain: it has learnt the text by heart.)


# %%
def conditional_entropy(text, k):
    """Returns the bits that a character takes, given the k - 1 before it, in the text itself."""
    runs = Counter(text[at : at + k] for at in range(len(text) - k + 1))
    before = Counter(text[at : at + k - 1] for at in range(len(text) - k + 1))
    total = sum(runs.values())
    return -sum(n * math.log2(n / before[run[:-1]]) for run, n in runs.items()) / total


entropies = {0: math.log2(len(vocabulary))}
entropies |= {k: conditional_entropy(text, k) for k in range(1, 7)}

figure, axis = plt.subplots(figsize=(6.5, 2.8))
bars = axis.bar(list(entropies), list(entropies.values()), color=["0.6"] + ["C0"] * 6)
axis.bar_label(bars, fmt="%.2f", padding=2)
axis.set_xticks(range(7), ["nothing\nknown", *map(str, range(1, 7))])
axis.set(xlabel="length k of the run of characters", ylabel="bits per character", ylim=(0, 7))
axis.set_title("how much the past says of the next character")
plt.show()

# %% [markdown]
# ## Windows that go on
#
# `WindowBatches` lays a long text out as parallel rows and cuts them into windows: row `b` of a
# batch goes on where row `b` of the batch before ended. So the hidden state (은닉 상태) is handed
# on from batch to batch, and the gradient is not: truncated back-propagation through time
# (시간 역전파, BPTT). The target of a symbol is the one after it.

# %%
batches = data.WindowBatches(ids, batch_size=16, window=32, repeat=True)
first, second = next(batches), next(batches)
for name, row in (("input ", first.inputs[0]), ("target", first.targets[0])):
    print(name, repr(vocabulary.decode(row)))
print("next  ", repr(vocabulary.decode(second.inputs[0])))

# %% [markdown]
# ## 7.2.6 All outputs: the model
#
# The probability of a text is the product of the probabilities of its symbols, each given all
# before it; the loss is the mean of their negative logarithms:
#
# $$p(y_1, \dots, y_n) = \prod_t p(y_t \mid y_{<t}), \qquad
# p(\cdot \mid y_{<t}) = \mathrm{softmax}(W h_{t-1} + b), \qquad
# L = -\frac1n \sum_t \log p(y_t \mid y_{<t}).$$
#
# With the core this is three lines: look the symbols' vectors up, scan, project. `nn.LanguageModel`
# owns such weights, and `nn.pure` takes it apart into nested dicts and a pure function of them.
# With the same weights both compute the same.

# %%
model = nn.LanguageModel(len(vocabulary), 32, 64, cell="gru", rngs=jax.random.key(0))
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
before = cross_entropy(logits, first.targets)
print("untrained:", float(mean(before)), " log V:", math.log(len(vocabulary)))

# %% [markdown]
# ## Two ways to write one training
#
# Everything is a pure function of arrays, so a loop of your own is the one that you would write
# anyway. Or `training.make_step` compiles an update from a loss `(params, carry, batch, key) ->
# (sum and count, carry)`, which it clips (그래디언트 클리핑), checks and reports, and `fit` is the
# loop around it, with progress, evaluation and checkpoints. The losses are the same.

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

figure, axis = plt.subplots(figsize=(6.5, 2.8))
axis.plot(my_losses, color="C1", lw=5, alpha=0.4, label="a loop of one's own, on the core")
axis.plot(losses, color="k", lw=1, label="make_step and fit, on nn.LanguageModel")
axis.set(xlabel="update", ylabel="cross-entropy (nats)", title="two ways to write one training")
axis.legend()
plt.show()

# %% [markdown]
# ## The recipe, and bits per character
#
# `recipes.language_model` does all of it in one call, as `python -m jaxseq train language-model`
# does: it splits the text, trains, keeps the best checkpoint, and reports the bits per character on
# held out text, beside what `xz -9e` and an interpolated 6-gram model need for it. The run is
# short, and the slice of the book too; `make demo` takes the whole book, and minutes.

# %%
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "slice.txt").write_text(text, encoding="utf-8")
config = language_model.Config(
    data=str(folder / "slice.txt"),
    out=folder / "moby",
    hidden_size=128,
    batch_size=8,
    window=64,
    steps=500,
    evaluate_every=125,
    learning_rate=6e-3,
)
with contextlib.redirect_stderr(io.StringIO()):  # where lines of progress go
    report = language_model.train(config)
print(json.dumps({key: report[key] for key in ("test", "bits_per_character_of_others")}, indent=2))

# %%
history = training.History.from_json(json.loads((config.out / "history.json").read_text()))
figure, axis = plt.subplots(figsize=(8, 3.2))
steps, values = zip(*((record.step, record.loss) for record in history.steps), strict=True)
axis.plot(steps, BITS * np.array(values), lw=0.8, label="training windows")
steps, values = zip(*((record.step, record.value) for record in history.evaluations), strict=True)
axis.plot(steps, BITS * np.array(values), "o", label="validation part")
for (name, value), dash in zip(
    report["bits_per_character_of_others"].items(), ("--", "-.", ":"), strict=True
):
    axis.axhline(value, color="k", ls=dash, lw=1.2, label=f"{name} (test part)")
axis.set(xlabel="update", ylabel="bits per character", ylim=(2, 6.5), title="learning curve")
axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# `load` gives the best model back, as plain functions. What it finds surprising, symbol by symbol:
# the beginning of a word costs bits, its end is nearly free.

# %%
trained = language_model.load(config.out)


def surprise(text):
    """Returns the bits that each symbol but the first takes, given those before it."""
    tokens = trained.vocabulary.encode(text)
    _, logits = trained.apply(trained.params, tokens[None, :-1])
    log_probs = np.asarray(jax.nn.log_softmax(logits[0]))
    return -log_probs[np.arange(len(tokens) - 1), tokens[1:]] * BITS


sentence = "the captain of the ship was standing upon the deck, and the white whale"
cost = surprise(sentence)
begins = np.array([character == " " for character in sentence[:-1]])
figure, axis = plt.subplots(figsize=(10, 2.4))
place = np.arange(1, len(sentence))
axis.bar(place[begins], cost[begins], color="C1", label="first of a word")
axis.bar(place[~begins], cost[~begins], color="C0", hatch="..", label="others")
axis.set_xticks(range(len(sentence)), list(sentence), family="monospace", fontsize=8)
axis.tick_params(axis="x", length=0)
axis.set(ylabel="surprise (bits)", xlabel="symbol")
axis.margins(x=0.01)
axis.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
plt.show()

# %% [markdown]
# ## 7.2.6 Autoregressive: writing
#
# An autoregressive model (자기회귀 모델): its past output determines the next. To write, the output
# becomes the next input. `decoding` does this as one compiled scan over a step
# `(carry, token) -> (carry, logits)`. The weights travel in the carry, so that the compiled program
# serves these weights and any later ones. Greedy decoding (탐욕적 디코딩) takes the likeliest
# symbol and soon repeats itself; sampling draws from
#
# $$y_t \sim \mathrm{softmax}(l_t / \tau), \qquad \tau \text{ the temperature (온도)}.$$


# %%
def read_one(carry, token):
    params, state = carry
    state, logits = trained.step(params, state, token)
    return (params, state), logits


prompt = trained.vocabulary.encode("the white whale ")
state, _ = trained.apply(trained.params, prompt[None, :-1])
begin = (trained.params, state), prompt[-1:]


def sample(temperature):
    key = jax.random.key(4)
    return decoding.sample(read_one, *begin, key=key, length=120, temperature=temperature)


greedy = decoding.greedy(read_one, *begin, length=120)
written = {temperature: sample(temperature) for temperature in (0.4, 0.8, 1.3)}
for name, found in {"greedy": greedy, **written}.items():
    print(f"{name!s:>6}:", repr(trained.vocabulary.decode(found.tokens[0])))

# %%
_, next_logits = read_one(*begin)
top = np.argsort(-np.asarray(next_logits[0]))[:20]
figure, axes = plt.subplots(1, 2, figsize=(11, 3), width_ratios=(3, 2))
for place, temperature in enumerate(written):
    p = np.asarray(jax.nn.softmax(next_logits[0] / temperature))[top]
    axes[0].bar(np.arange(20) + 0.27 * (place - 1), p, width=0.27, label=f"{temperature}")
labels = [repr(trained.vocabulary.symbols[token])[1:-1] for token in top]
axes[0].set_xticks(range(20), labels, family="monospace")
axes[0].set(xlabel="next symbol", ylabel="probability", title='after "the white whale "')
axes[0].legend(title="temperature")
for (name, found), dash in zip(
    {"greedy": greedy, **written}.items(), ("-", "--", "-.", ":"), strict=True
):
    axes[1].plot(-BITS * np.cumsum(found.log_probs[0]), dash, label=f"{name}")
axes[1].set(xlabel="symbols written", ylabel="bits in all", title="how unlikely is what it writes")
axes[1].legend(title="temperature")
plt.show()

# %% [markdown]
# ## Why a bidirectional model cannot write
#
# In a bidirectional (양방향) network the output at step $t$ has also read the symbols after $t$,
# the answer among them. Trained as a language model, it learns to copy. Here the loss of such a
# network at each step of a window, beside that of one that runs forward only: nearly nothing, until
# the last step, where the answer lies outside of the window. And that is where a model that writes
# always is.


# %%
def train_reader(bidirectional, steps=200):
    """Returns the cross-entropy at each step of a window, on windows that come after training."""
    net = nn.SequenceTagger(
        len(vocabulary),
        32,
        64,
        vocab_size=len(vocabulary),
        cell="gru",
        bidirectional=bidirectional,
        rngs=jax.random.key(5),
    )
    params, apply = nn.pure(net)

    @jax.jit
    def update(params, state, batch):
        def objective(params):
            nats = optax.softmax_cross_entropy_with_integer_labels(
                apply(params, batch.inputs), batch.targets
            )
            return nats.mean(), nats.mean(0)

        gradient, by_step = jax.grad(objective, has_aux=True)(params)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, updates), state, by_step

    state, rows = optimizer.init(params), []
    batches.seek({"epoch": 0, "batch": 0})
    for _, batch in zip(range(steps), batches, strict=False):
        params, state, by_step = update(params, state, batch)
        rows.append(by_step)
    return BITS * np.mean(rows[-50:], axis=0)


by_step = {"forward only": train_reader(False), "bidirectional": train_reader(True)}
figure, axis = plt.subplots(figsize=(7, 3))
for (name, bits), marker in zip(by_step.items(), "os", strict=True):
    axis.plot(bits, marker=marker, ms=4, label=name)
axis.axhline(entropies[1], color="k", ls=":", label="frequencies of characters")
axis.set(xlabel="step of the window", ylabel="bits per character", ylim=(0, 7))
axis.legend(loc="center", bbox_to_anchor=(0.5, 0.25))
plt.show()

# %% [markdown]
# So the package has no such model, refuses at each of the three doors, and says why.


# %%
def refusal(attempt):
    """Returns what a call says that is bound to fail."""
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

# %% [markdown]
# ## Korean, by the syllable
#
# A symbol is a code point, so in Korean a syllable (음절). `data` is then the name of a bundled
# text, and everything else the same. The text is short: 17,000 syllables for training.

# %%
korean_config = language_model.Config(
    data="korean_constitution",
    out=folder / "korean",
    embed_size=48,
    hidden_size=96,
    batch_size=16,
    window=32,
    steps=200,
    evaluate_every=50,
    learning_rate=6e-3,
)
with contextlib.redirect_stderr(io.StringIO()):
    korean_report = language_model.train(korean_config)
korean = language_model.load(korean_config.out)
key, length = jax.random.key(6), 200
print(
    language_model.write(
        korean, "대한민국의 주권은 ", decoding.sample, key=key, length=length, temperature=0.7
    )
)

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 2.4), sharex=True)
titles = ("Moby-Dick, 300,000 characters", "constitution of Korea, 19,000 syllables")
for axis, title, page in zip(axes, titles, (report, korean_report), strict=True):
    values = {"this model": page["test"]["bits_per_character"]}
    values |= page["bits_per_character_of_others"]
    names = [name.replace("interpolated Witten-Bell ", "") for name in values]
    bars = axis.barh(names, list(values.values()), color=["C1", "0.6", "0.6", "0.6"])
    axis.bar_label(bars, fmt="%.2f", padding=3)
    axis.invert_yaxis()
    axis.margins(x=0.15)
    axis.set(title=title, xlabel="bits per symbol, held out")
plt.show()

# %% [markdown]
# Seconds of training come near a 6-gram model that has counted everything, and on the small Korean
# text pass it; `xz` gains much there from the training part, for a constitution repeats whole
# phrases. What more data and
# time do, the README says.
#
# ## Exercises
#
# **1.** Perplexity (혼잡도) is $e^{L}$ with $L$ in nats. What is it for a model that guesses
# uniformly, and what does a bit per symbol mean in terms of it?

# %% [markdown]
# **Answer.** It is the number of symbols, all equally likely; one bit more doubles it:
# perplexity is $2^{\text{bits}}$.

# %%
guess = cross_entropy(jnp.zeros_like(logits), first.targets)
print(float(perplexity(guess)), len(vocabulary), 2 ** float(bits_per_symbol(guess)))

# %% [markdown]
# **2.** What does sampling become as the temperature goes to 0, and as it goes to infinity?

# %% [markdown]
# **Answer.** At 0 the likeliest symbol takes all of the probability: greedy decoding. At infinity
# all symbols are alike, and the text is noise, which the model itself finds very unlikely.

# %%
cold, hot = sample(1e-4), sample(1e4)
print(repr(trained.vocabulary.decode(cold.tokens[0, :40])))
print(repr(trained.vocabulary.decode(hot.tokens[0, :40])))

# %% [markdown]
# **3.** A language model gives any text a probability. Compare the sentence above, its words in
# another order, and its letters in another order.

# %% [markdown]
# **Answer.** Words out of place cost a little, on average over 50 orders, for the model knows not
# much beyond a word; letters out of place cost several bits each.

# %%
generator = np.random.default_rng(0)
words = sentence.split(" ")
orders = {
    "as it is": [sentence],
    "words shuffled": [" ".join(generator.permutation(words)) for _ in range(50)],
    "letters shuffled": ["".join(generator.permutation(list(sentence))) for _ in range(5)],
}
in_bits = {
    name: float(np.mean([surprise(version).mean() for version in versions]))
    for name, versions in orders.items()
}
for name, versions in orders.items():
    print(f"{in_bits[name]:.2f} bits per character  {versions[0]!r}")

# %% [markdown]
# ## What must hold

# %%
values = list(entropies.values())
assert all(a > b for a, b in itertools.pairwise(values))
assert first.inputs.shape == (16, 32) and (first.inputs[:, 1:] == first.targets[:, :-1]).all()
assert (first.targets[:, -1] == second.inputs[:, 0]).all()  # the next window goes on
assert carry.h.shape == (1, 16, 64)  # (#layers, batch, hidden)
assert np.allclose(logits, same_logits, atol=1e-5)
assert abs(mean(before) - math.log(len(vocabulary))) < 0.3
assert np.allclose(losses, my_losses, rtol=1e-3) and losses[-1] < losses[0] - 1
assert cost[begins].mean() > 1.5 * cost[~begins].mean()

# %%
# Reading symbol by symbol is reading at once; one key is one text; greedy is hard to beat.
_, at_once = trained.apply(trained.params, prompt[None])
assert np.allclose(at_once[:, -1], next_logits, atol=1e-4)
assert (sample(0.8).tokens == written[0.8].tokens).all()
likely = [found.log_probs.sum() for found in (greedy, written[0.8], written[1.3])]
assert likely[0] > likely[1] > likely[2]
assert (cold.tokens == greedy.tokens).all() and hot.log_probs.mean() < written[1.3].log_probs.mean()
assert in_bits["as it is"] < in_bits["words shuffled"] < in_bits["letters shuffled"]

# %%
peeking, ahead = by_step["bidirectional"], by_step["forward only"]
assert peeking[5:-1].max() < 0.5 and peeking[-1] > ahead[-1] - 0.5 and ahead[5:].min() > 2
assert all("bidirectional" in message for message in refusals)
assert np.isclose(perplexity(guess), len(vocabulary), rtol=1e-3)
assert np.isclose(2 ** bits_per_symbol(guess), perplexity(guess), rtol=1e-4)
others, ours = report["bits_per_character_of_others"], report["test"]["bits_per_character"]
ngram = "interpolated Witten-Bell 6-gram"
assert ours < others["xz -9e alone"] and ours < others[ngram] + 0.25
more = korean_report["bits_per_character_of_others"]
assert more["xz -9e after the training text"] < 0.6 * more["xz -9e alone"]
assert len(korean.vocabulary.encode("국민")) == 2
assert korean_report["test"]["bits_per_character"] < more[ngram]
print("All statements hold.")
