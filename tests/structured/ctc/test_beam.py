"""Prefix beam search: against all labellings, and against the algorithm on a dictionary."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.structured import ctc


def draw(seed, shape, scale=2.0):
    logits = scale * np.random.default_rng(seed).normal(size=shape)
    return logits - np.logaddexp.reduce(logits, -1, keepdims=True)


def labellings(log_probs, blank=0):
    """The log-probability of everything that can be spelt, over all paths."""
    steps, size = log_probs.shape
    found = {}
    for path in itertools.product(range(size), repeat=steps):
        labels = tuple(symbol for symbol, _ in itertools.groupby(path) if symbol != blank)
        score = sum(log_probs[t, symbol] for t, symbol in enumerate(path))
        found[labels] = np.logaddexp(found.get(labels, -np.inf), score)
    return found


BIGRAMS = draw(99, (4, 4), scale=1.0)  # of the next symbol given the last; 0 before the first
BIGRAMS[1, 2] = -np.inf  # 2 never follows 1


def prior(labels, weight, bonus, follows=BIGRAMS):
    pairs = itertools.pairwise((0, *labels))
    return sum(weight * follows[before, label] + bonus for before, label in pairs)


def bigram_model(size):
    table = jnp.array(BIGRAMS[:size, :size])
    return ctc.LanguageModel(jnp.zeros((), int), table[0], jax.tree_util.Partial(read, table))


def read(table, state, label):
    return state + 1, table[label]


def ranked(scores, count):
    scores = {labels: score for labels, score in scores.items() if score > -np.inf}
    return sorted(scores.items(), key=lambda item: -item[1])[:count]


def listed(beams, row):
    """[(labels, score)] of a row, without what is not there."""
    labels, lengths, scores, _ = (np.asarray(leaf[row]) for leaf in beams)
    found = zip(labels.tolist(), lengths.tolist(), scores.tolist(), strict=True)
    return [(tuple(one[:n]), score) for one, n, score in found if score > -np.inf]


def assert_same(found, expected):
    assert [labels for labels, _ in found] == [labels for labels, _ in expected]
    np.testing.assert_allclose([s for _, s in found], [s for _, s in expected], rtol=1e-10)


@pytest.mark.usefixtures("x64")
def test_a_wide_beam_equals_all_labellings_with_their_probabilities():
    log_probs, lengths = draw(0, (4, 5, 3)), [5, 4, 1, 0]
    pads = (np.arange(5) >= np.array(lengths)[:, None])[..., None]
    padded = jnp.array(np.where(pads, np.nan, log_probs))
    beams = ctc.beam_search(padded, width=64, n_best=64, lengths=jnp.array(lengths))
    for row, steps in enumerate(lengths):
        assert_same(listed(beams, row), ranked(labellings(log_probs[row, :steps]), 64))
        assert np.all(beams.label_lengths[row][beams.scores[row] == -np.inf] == 0)
        place = np.arange(5) >= np.array(beams.label_lengths[row])[:, None]
        assert np.all(beams.labels[row][place] == 0)
    np.testing.assert_array_equal(beams.scores, beams.log_probs)


@pytest.mark.usefixtures("x64")
def test_a_wide_beam_with_a_language_model_equals_all_labellings_with_their_scores():
    log_probs = draw(1, (2, 5, 3))
    beams = ctc.beam_search(
        jnp.array(log_probs),
        width=64,
        n_best=64,
        language_model=bigram_model(3),
        weight=0.7,
        bonus=0.4,
    )
    for row in range(2):
        acoustic = labellings(log_probs[row])
        scores = {labels: score + prior(labels, 0.7, 0.4) for labels, score in acoustic.items()}
        expected = ranked(scores, 64)
        assert not any((1, 2) in itertools.pairwise(labels) for labels, _ in expected)
        found = listed(beams, row)
        assert_same(found, expected)
        of_the_model = [acoustic[labels] for labels, _ in found]
        np.testing.assert_allclose(beams.log_probs[row, : len(found)], of_the_model, rtol=1e-10)


def textbook(
    log_probs, width, *, symbols=None, weight=0.0, bonus=0.0, most=99, blank=0, follows=BIGRAMS
):
    """Hannun et al.'s algorithm on a dictionary: {prefix: (ends in blank, ends in label)}."""
    beam = {(): (0.0, -np.inf)}

    def score(item):
        prefix, ends = item
        added = prior(prefix, weight, bonus, follows) if weight or bonus else 0
        return np.logaddexp(*ends) + added

    for frame in log_probs:
        kept = [k for k in np.argsort(-frame, kind="stable") if k != blank][:symbols]
        after = {}

        def add(prefix, in_blank, in_label, after=after):
            old = after.get(prefix, (-np.inf, -np.inf))
            after[prefix] = (np.logaddexp(old[0], in_blank), np.logaddexp(old[1], in_label))

        for prefix, (in_blank, in_label) in beam.items():
            total = np.logaddexp(in_blank, in_label)
            add(prefix, total + frame[blank], -np.inf)
            if prefix:
                add(prefix, -np.inf, in_label + frame[prefix[-1]])
            for k in range(len(frame)):
                longer = (*prefix, k)
                if k == blank or not (k in kept or longer in beam) or len(longer) > most:
                    continue
                again = prefix and prefix[-1] == k
                add(longer, -np.inf, (in_blank if again else total) + frame[k])
        alive = [item for item in after.items() if score(item) > -np.inf]
        beam = dict(sorted(alive, key=lambda item: -score(item))[:width])
    return sorted(((p, score((p, e))) for p, e in beam.items()), key=lambda item: -item[1])


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "options",
    [{}, {"blank": 3}, {"symbols": 2}, {"max_labels": 2}, {"weight": 0.9, "bonus": 0.3}],
    ids=str,
)
def test_a_narrow_beam_equals_the_textbook_algorithm(options):
    log_probs = draw(2, (40, 14, 4), scale=0.8)
    model = {"language_model": bigram_model(4)} if "weight" in options else {}
    beams = ctc.beam_search(jnp.array(log_probs), width=3, n_best=3, **options, **model)
    names = {"max_labels": "most"}
    same = {names.get(name, name): value for name, value in options.items()}
    for row in range(40):
        assert_same(listed(beams, row), textbook(log_probs[row], 3, **same))
    assert beams.labels.shape == (40, 3, options.get("max_labels", 14))


@pytest.mark.usefixtures("x64")
def test_the_labels_that_are_not_looked_at_do_not_matter():
    log_probs = draw(4, (20, 10, 9), scale=0.6)  # of 8 labels a beam of 2 looks at 3
    beams = ctc.beam_search(jnp.array(log_probs), width=2, n_best=2, bonus=0.2)
    for row in range(20):
        found = textbook(log_probs[row], 2, bonus=0.2, follows=np.zeros((9, 9)))
        assert_same(listed(beams, row), found)


@pytest.mark.usefixtures("x64")
def test_a_prefix_that_comes_back_is_merged_with_what_grew_from_it():
    rows = draw(2, (40, 14, 3))[[0, 1, 6, 11, 15, 17, 21, 22]]
    steps = np.arange(15)  # after each frame, that nothing may hide
    every = jnp.array(np.broadcast_to(rows[:, None], (8, 15, 14, 3)))
    lengths = jnp.broadcast_to(jnp.array(steps), (8, 15))
    beams = ctc.beam_search(every, width=5, n_best=5, lengths=lengths)
    back = 0
    for row in range(8):
        found = [textbook(rows[row, :t], 5) for t in steps]
        for t in steps:
            assert_same(listed(beams, (row, t)), found[t])
        prefixes = [{labels for labels, _ in one} for one in found]
        for before, now in itertools.pairwise(prefixes):
            back += sum(longer[:-1] in now - before for longer in now & before)
    assert back > 5  # the rows were chosen for it


def test_of_probability_zero_nothing_is_found():
    log_probs = jnp.log(jnp.array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]]))
    beams = ctc.beam_search(log_probs, width=4, n_best=4)
    assert listed(beams, ...) == [
        ((1,), pytest.approx(np.log(0.5))),
        ((1, 2), pytest.approx(np.log(0.5))),
    ]
    assert beams.scores[2:].tolist() == [-np.inf, -np.inf] and np.all(beams.labels[2:] == 0)


def test_batch_axes_vmap_jit_and_half_precision_agree_and_a_shape_is_traced_once():
    log_probs = jnp.array(draw(3, (2, 2, 6, 3)), jnp.bfloat16)
    lengths = jnp.array([[6, 3], [0, 5]])
    traces = []

    @jax.jit
    def run(log_probs, lengths):
        traces.append(1)
        return ctc.beam_search(log_probs, width=3, n_best=2, lengths=lengths)

    beams = run(log_probs, lengths)
    run(log_probs[::-1], lengths[::-1])
    assert len(traces) == 1
    assert beams.labels.shape == (2, 2, 2, 6) and beams.scores.shape == (2, 2, 2)
    assert beams.scores.dtype == jnp.float32
    mapped = jax.vmap(run)(log_probs, lengths)
    jax.tree.map(np.testing.assert_array_equal, mapped, beams)
    np.testing.assert_array_equal(run(log_probs, lengths + 9).scores[0, 0], beams.scores[0, 0])


def test_without_frames_or_without_labels_the_empty_prefix_is_all_there_is():
    beams = ctc.beam_search(jnp.zeros((2, 0, 3)), width=2, n_best=2)
    assert beams.labels.shape == (2, 2, 0)
    assert beams.scores.tolist() == [[0, -np.inf]] * 2
    beams = ctc.beam_search(jnp.full((3, 1), -0.5), width=2)
    assert beams.label_lengths.tolist() == [0] and beams.scores.tolist() == [-1.5]
    beams = ctc.beam_search(jnp.log(jnp.array([[0.1, 0.9]])), width=2, max_labels=0)
    assert beams.labels.shape == (1, 0)
    np.testing.assert_allclose(beams.scores, np.log([0.1]), rtol=1e-6)


def test_sizes_are_checked():
    log_probs = jnp.zeros((4, 3))
    for name in ("width", "n_best", "symbols"):
        with pytest.raises(
            ValueError, match=rf"ctc.beam_search: `{name}` must be at least 1, but it is 0\."
        ):
            ctc.beam_search(log_probs, **{"width": 2, name: 0})
    with pytest.raises(ValueError, match="`max_labels` must be at least 0, but it is -1"):
        ctc.beam_search(log_probs, width=2, max_labels=-1)
    with pytest.raises(ValueError, match="`n_best` must be at most `width` = 2, but it is 3"):
        ctc.beam_search(log_probs, width=2, n_best=3)


@pytest.mark.usefixtures("untyped")
def test_a_size_that_is_no_integer_is_refused():
    with pytest.raises(TypeError, match=r"`width` must be an integer, but it is 2\.0"):
        ctc.beam_search(jnp.zeros((4, 3)), width=2.0)


@pytest.mark.usefixtures("untyped")
def test_a_language_model_that_does_not_fit_is_refused():
    log_probs, logs = jnp.zeros((4, 3)), jnp.zeros(3)

    def refused(kind, text, state, log_probs_first, step):
        model = ctc.LanguageModel(state, log_probs_first, step)
        with pytest.raises(kind, match="ctc.beam_search: the language model's " + text):
            ctc.beam_search(log_probs, width=2, language_model=model)

    class Unhashable:
        __hash__ = None

        def __call__(self, state, label):
            return state, logs

    text = r"step must be hashable, but it is a Unhashable\.\n  Hint: give a plain function, or "
    refused(TypeError, text, (), logs, Unhashable())
    text = r"step must return \(state, log_probs\), but it returned a "
    refused(TypeError, text, (), logs, lambda state, label: logs)
    text = r"log_probs must have shape \(V,\) = \(3,\), but they have shape \(4,\)"
    refused(ValueError, text, (), jnp.zeros(4), lambda state, label: (state, logs))
    text = r"step's log_probs must have shape \(V,\) = \(3,\), but they have shape \(1, 3\)"
    refused(ValueError, text, (), logs, lambda state, label: (state, logs[None]))
    text = r"step must keep the state's structure, shapes and dtypes, but float32\[2\] became "
    refused(
        TypeError,
        text + r"float32\[1\]\.",
        jnp.zeros(2),
        logs,
        lambda state, label: (state[:1], logs),
    )
    refused(TypeError, text, jnp.zeros(2), logs, lambda state, label: ((state,), logs))
