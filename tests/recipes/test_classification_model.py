"""A classifier and how it is trained: what it reads, its loss by hand, and how it comes back."""

import dataclasses
import json
import math
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
import tiny_tasks

from jaxseq import data
from jaxseq._checks import InputError
from jaxseq.recipes._classification_config import Config, resolved
from jaxseq.recipes._classification_data import Example, Parts
from jaxseq.recipes._classification_model import (
    BUCKETS,
    HASHES,
    _disturb,
    _hide,
    assessor,
    build,
    built_for,
    grams,
    load,
    log_probs,
    make_loss,
    page_of,
)
from jaxseq.recipes._run import batches_of

SMALL = {
    **{"cell": "gru", "embed_size": 2, "hidden_size": 3, "num_layers": 1, "pooling": "mean+max"},
    **{"dropout": 0.0, "symbol_dropout": 0.0, "noise": 0.0, "label_smoothing": 0.0, "crop": 0},
    "ngrams": 1,
}
TEXT = resolved(Config(max_length=6, **SMALL), "text")
ROWS = [Example("abba", "x"), Example("cab", "y"), Example("bcbcbc", "y"), Example("a", "z")]


@pytest.fixture(scope="module")
def model():
    return build(TEXT, ["x", "y", "z"], data.Vocabulary.of_characters("abc", unknown="\ufffd"))


@pytest.fixture(scope="module")
def of_series():
    config = resolved(Config(**SMALL), "series")
    return build(config, ["up", "down"], scale=(np.array([1.0, 2.0]), np.array([2.0, 4.0])))


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return tiny_tasks.classifier(tmp_path_factory.getbasetemp())


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run.directory, tmp_path / "copy")


def batch_of(model, examples, rows=None):
    """All examples in one batch, in their order; rows that fill up at the end."""
    encoded = model.encode([example.value for example in examples])
    return next(iter(batches_of(encoded, rows=rows or len(examples), buckets=1)))


# ------------------------------------------------------------------------------------ what it reads


def test_a_text_is_its_symbols_composed_and_cut(model):
    encoded = model.encode(["abc", "a?", "cab" * 9, ""])
    assert [array.tolist() for array in encoded] == [[1, 2, 3], [1, 0], [3, 1, 2, 3, 1, 2], []]
    assert all(array.dtype == np.int32 for array in encoded)


def test_a_series_has_mean_0_and_deviation_1(of_series):
    (found,) = of_series.encode([np.array([[1.0, 2.0], [3.0, -2.0]])])
    np.testing.assert_array_equal(found, [[0, 0], [1, -1]])
    assert found.dtype == np.float32


def test_a_series_of_another_width_is_an_error(of_series):
    problem = r"^classification: series 1 has shape \(5, 3\), but the model reads 2 features"
    with pytest.raises(InputError, match=problem):
        log_probs(of_series, [np.zeros((4, 2)), np.zeros((5, 3))])


@pytest.mark.parametrize("units", ["characters", "words"])
def test_the_vocabulary_is_that_of_training(units):
    rows = [Example("ab ab", "x"), Example("b\ufffd", "y")]
    config = dataclasses.replace(TEXT, units=units, min_count=2)
    model = built_for(config, Parts(rows, [Example("new", "x")], []))
    known = {"characters": {"\ufffd", "a", "b"}, "words": {"\ufffd", "ab"}}[units]
    assert model.labels == ("x", "y") and {*model.vocabulary.symbols} == known


def test_the_same_runs_of_symbols_have_the_same_numbers():
    tokens = np.random.default_rng(0).integers(0, 6, (40, 50)).astype(np.int32)
    found = np.asarray(grams(jnp.asarray(tokens), 6, 3))
    np.testing.assert_array_equal(found[..., 0], tokens)
    for order in (2, 3):
        numbers, begin = {}, 6 + (order - 2) * HASHES
        assert begin <= found[..., order - 1].min()
        assert found[..., order - 1].max() < begin + HASHES
        for row, line in zip(tokens.tolist(), found[..., order - 1].tolist(), strict=True):
            marked = [-1] * (order - 1) + row  # a beginning is a symbol of its own
            for step, number in enumerate(line):
                numbers.setdefault(tuple(marked[step : step + order]), set()).add(number)
        assert all(len(some) == 1 for some in numbers.values())
        shared = len(numbers) - len(set().union(*numbers.values()))
        assert shared <= 0.05 * len(numbers)


def test_what_comes_after_a_text_is_in_none_of_its_runs():
    one, other = (grams(jnp.array([[1, 2, 3, after]]), 6, 3)[0, :3] for after in (0, 5))
    np.testing.assert_array_equal(one, other)


def test_a_model_of_runs_reads_texts_of_any_length():
    config = dataclasses.replace(TEXT, ngrams=3)
    model = built_for(config, Parts(ROWS, [], []))
    together = log_probs(model, ["a", "abba", "bcbcbc"])
    for row, value in zip(together, ["a", "abba", "bcbcbc"], strict=True):
        np.testing.assert_allclose(row, log_probs(model, [value])[0], atol=1e-5)


def test_the_kind_is_what_it_reads(model, of_series):
    assert (model.kind, of_series.kind) == ("text", "series")


# ---------------------------------------------------------------------------------------- log-probs


def test_log_probabilities_do_not_depend_on_what_stands_beside(model):
    values = ["abba", "cab", "", "bcbcbc", "a", "b", "ccc"]
    together = log_probs(model, values)
    np.testing.assert_allclose(np.exp(together).sum(1), 1, rtol=1e-5)
    for row, value in zip(together, values, strict=True):
        ids = model.vocabulary.encode(value)
        padded = np.zeros((1, 6), np.int32)
        padded[0, : len(ids)] = ids
        logits = model.apply(model.params[0], padded, lengths=np.array([len(ids)], np.int32))
        np.testing.assert_allclose(row, jax.nn.log_softmax(logits)[0], atol=1e-5)


def test_series_of_all_lengths_are_classified(of_series):
    rng = np.random.default_rng(0)
    series = [rng.normal(size=(steps, 2)) for steps in (3, 0, 7, 1)]
    together = log_probs(of_series, series)
    for row, one in zip(together, series, strict=True):
        np.testing.assert_allclose(row, log_probs(of_series, [one])[0], atol=1e-5)


def test_networks_differ_and_their_probabilities_are_averaged():
    config = dataclasses.replace(TEXT, networks=3)
    model = built_for(config, Parts(ROWS, [], []))
    values = ["abba", "", "bcbcbc"]
    alone = [log_probs(model._replace(params=(one,)), values) for one in model.params]
    assert len(alone) == 3 and np.ptp(alone, axis=0).max() > 1e-3
    np.testing.assert_allclose(
        np.exp(log_probs(model, values)), np.exp(alone).mean(0), rtol=1e-5, atol=1e-7
    )


def test_each_network_learns_by_itself():
    config = dataclasses.replace(TEXT, networks=2)
    model = built_for(config, Parts(ROWS, [], []))
    batch = batch_of(model, ROWS, rows=6)

    def mean_loss(params):
        return make_loss(model, ROWS)(params, (), batch, None)[0].total

    slope = jax.jit(jax.grad(mean_loss))
    both = slope(model.params)
    assert float(make_loss(model, ROWS)(model.params, (), batch, None)[0].count) == 4
    for number, network in enumerate(model.params):
        (alone,) = slope((network,))
        for one, other in zip(jax.tree.leaves(alone), jax.tree.leaves(both[number]), strict=True):
            np.testing.assert_allclose(one / 2, other, atol=1e-6)


def test_capital_letters_are_read_as_small_ones_where_the_settings_say_so():
    vocabulary = data.Vocabulary.of_characters("abc", unknown="\ufffd")
    for lowercase in (False, True):
        model = build(dataclasses.replace(TEXT, lowercase=lowercase), ["x", "y"], vocabulary)
        upper, lower = model.encode(["AB", "ab"])
        assert (upper.tolist() == lower.tolist()) is lowercase
    capital = built_for(
        dataclasses.replace(TEXT, lowercase=True), Parts([Example("AB", "x")], [], [])
    )
    assert "a" in capital.vocabulary.symbols and "A" not in capital.vocabulary.symbols


def test_nothing_to_classify_is_an_error(model):
    with pytest.raises(InputError, match=r"^classification: there is nothing to classify"):
        log_probs(model, [])


# ----------------------------------------------------------------------------------------- training


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_is_the_smoothed_cross_entropy_of_the_real_rows(model, smoothing):
    changed = model._replace(config=dataclasses.replace(TEXT, label_smoothing=smoothing))
    batch = batch_of(changed, ROWS, rows=6)
    loss = jax.jit(make_loss(changed, ROWS))
    sums, carry = loss(model.params, (), batch, jax.random.key(0))
    found = log_probs(model, [row.value for row in ROWS]).astype(np.float64)
    right = found[np.arange(4), [model.labels.index(row.label) for row in ROWS]]
    expected = -((1 - smoothing) * right + smoothing * found.mean(1)).sum()
    assert float(sums.total) == pytest.approx(expected, rel=1e-5)
    assert float(sums.count) == 4 and carry == ()


def test_without_a_key_nothing_is_added(model):
    changed = dataclasses.replace(TEXT, label_smoothing=0.3, symbol_dropout=0.9, crop=2)
    batch = batch_of(model, ROWS)
    one, other = (
        jax.jit(make_loss(model._replace(config=config), ROWS))(model.params, (), batch, None)[0]
        for config in (TEXT, changed)
    )
    assert float(one.total) == float(other.total)


def test_a_piece_of_a_text_is_drawn_from_all_over_it():
    config = dataclasses.replace(TEXT, crop=4)
    tokens = jnp.arange(1, 11, dtype=jnp.int32)[None].repeat(400, axis=0)
    lengths = jnp.full(400, 10, jnp.int32).at[0].set(0).at[1].set(2)
    pieces, sizes = map(np.asarray, _hide(config, tokens, lengths, jax.random.key(0)))
    assert pieces.shape == (400, 4) and sizes[0] == 0 and sizes[1] <= 2
    assert {*sizes[2:].tolist()} == {1, 2, 3, 4}
    firsts = set()
    for piece, size in zip(pieces[2:], sizes[2:], strict=True):
        np.testing.assert_array_equal(np.diff(piece[:size]), 1)
        assert piece[0] >= 1 and piece[size - 1] <= 10
        firsts.add(int(piece[0]))
    assert firsts == {*range(1, 11)}


def test_a_share_of_the_symbols_is_hidden():
    config = dataclasses.replace(TEXT, symbol_dropout=0.25)
    tokens, lengths = jnp.ones((40, 100), jnp.int32), jnp.full(40, 100, jnp.int32)
    found, same = _hide(config, tokens, lengths, jax.random.key(0))
    assert float(jnp.mean(found == 0)) == pytest.approx(0.25, abs=0.03)
    assert same is lengths
    again, _ = _hide(config, tokens, lengths, jax.random.key(0))
    other, _ = _hide(config, tokens, lengths, jax.random.key(1))
    assert (found == again).all() and (found != other).any()


def test_noise_has_its_deviation():
    config = dataclasses.replace(TEXT, noise=0.5)
    values, lengths = jnp.ones((40, 20, 3)), jnp.full(40, 20, jnp.int32)
    found, same = _disturb(config, values, lengths, jax.random.key(0))
    assert float(jnp.std(found)) == pytest.approx(0.5, abs=0.03) and same is lengths
    assert float(jnp.mean(found)) == pytest.approx(1, abs=0.03)


def test_batches_for_training_are_shuffled_and_go_on(model):
    encoded = model.encode([row.value for row in ROWS])
    batches = batches_of(encoded, rows=4, seed=3, buckets=1)
    epochs = [next(batches).rows.tolist() for _ in range(6)]
    assert all(sorted(rows) == [0, 1, 2, 3] for rows in epochs) and len(set(map(str, epochs))) > 1
    in_order = list(batches_of(encoded, rows=4, buckets=BUCKETS))
    assert len(in_order) == 4  # at most as many shapes


# ----------------------------------------------------------------------------- choosing the weights


def biased(model, *logits):
    """Params whose logits are these, whatever the text."""
    params = jax.tree.map(jnp.zeros_like, model.params)
    leaves, tree = jax.tree.flatten(params)
    where = [n for n, leaf in enumerate(leaves) if leaf.shape == (3,)]
    values = jnp.array(logits, jnp.float32)
    found = []
    for n in where:
        changed = jax.tree.unflatten(tree, [*leaves[:n], values, *leaves[n + 1 :]])
        out = model.apply(changed[0], np.ones((1, 6), np.int32), lengths=np.array([2], np.int32))
        if np.allclose(out[0], values):
            found.append(changed)
    assert len(found) == 1
    return found[0]


def test_the_measure_is_the_share_of_errors_in_per_cent(model):
    assess = assessor(model, ROWS)
    assert assess(biased(model, 0.0, 9.0, 0.0)) == pytest.approx(50, abs=1e-4)
    assert assess(biased(model, 9.0, 0.0, 0.0)) == pytest.approx(75, abs=1e-4)


def test_fewer_errors_come_before_surer_answers(model):
    assess = assessor(model, ROWS)
    sure_of_nonsense = assess(biased(model, 0.0, 5e4, 0.0))  # thousands of nats
    hesitant = assess(biased(model, 1e-3, 0.0, 0.0))
    assert sure_of_nonsense < hesitant
    surer, less_sure = assess(biased(model, 0.0, 1.0, 0.0)), assess(biased(model, 0.0, 0.1, 0.0))
    assert surer < less_sure < sure_of_nonsense


def test_what_is_not_finite_measures_nothing(model):
    broken = jax.tree.map(lambda leaf: leaf * jnp.nan, model.params)
    assert math.isnan(assessor(model, ROWS)(broken))


def test_without_examples_to_choose_by_the_measure_is_0(model):
    assert assessor(model, [])(model.params) == 0


# ------------------------------------------------------------------------------------------ loading


def test_a_page_brings_the_model_back(model, of_series):
    assert json.loads(json.dumps(page_of(model)))["labels"] == ["x", "y", "z"]
    page = json.loads(json.dumps(page_of(of_series)))
    assert page == {"labels": ["up", "down"], "scale": [[1.0, 2.0], [2.0, 4.0]]}
    vocabulary = data.Vocabulary.from_dict(page_of(model)["vocabulary"])
    assert vocabulary == model.vocabulary


def test_a_run_is_loaded_with_its_best_weights(run):
    model = load(run.directory)
    again = load(run.directory)
    tiny.assert_same_bits(model.params, again.params)
    report = json.loads((run.directory / "report.json").read_text())
    best = report["training"]["best_step"]
    history = json.loads((run.directory / "history.json").read_text())["evaluations"]
    assert history["value"][history["step"].index(best)] == min(history["value"])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"labels": None}, "object of type 'NoneType' has no len"),
        ({"vocabulary": {}}, r"Vocabulary\.from_dict"),
        ({"vocabulary": None}, ""),
        ({"scale": [[1.0]]}, "not enough values"),
        ({"scale": "abc"}, "could not convert string to float"),
    ],
)
def test_a_damaged_page_is_an_error(changes, problem, copy, untyped):
    path = copy / "config.json"
    page = json.loads(path.read_text())
    path.write_text(json.dumps(page | changes))
    with pytest.raises(InputError, match=rf"config\.json is damaged: .*{problem}"):
        load(copy)


@pytest.mark.parametrize(
    ("name", "value"),
    [("pooling", None), ("pooling", "mode"), ("hidden_size", None), ("cell", "rnn"), ("cell", 3)],
)
def test_a_damaged_setting_is_an_error(name, value, copy, untyped):
    tiny.edit(copy, **{name: value})
    with pytest.raises(InputError, match=r"config\.json is damaged"):
        load(copy)


def test_a_page_without_its_labels_or_of_another_model_is_an_error(copy):
    path = copy / "config.json"
    page = json.loads(path.read_text())
    path.write_text(json.dumps(page | {"labels": ["one", "more", "class", "here"]}))
    with pytest.raises(InputError, match="is of another model"):
        load(copy)
    del page["labels"]
    path.write_text(json.dumps(page))
    with pytest.raises(InputError, match=r"config\.json is damaged: 'labels'"):
        load(copy)
