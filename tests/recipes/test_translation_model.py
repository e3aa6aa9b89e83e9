"""A translator's parts: what it is built of, its loss, and what is saved of it."""

import dataclasses
import json

import jax
import numpy as np
import pytest
import tiny
import tiny_tasks

from jaxseq._checks import InputError
from jaxseq.data import BucketBatch, Pair
from jaxseq.recipes import _translation_model, translation
from jaxseq.recipes._translation_config import Config, resolved
from jaxseq.recipes._translation_model import built_for, encoded_pairs, make_loss, page_of

ROWS = [Pair("on {x}", "{x} 켜기"), Pair("{y} to {x}", "{x}를 {y}로"), Pair("off", "끄기 {z}")]
SMALL = resolved(
    Config(
        **{"data": "my.tsv", "hidden_size": 4, "embed_size": 3, "source_units": "words"},
        **{"dropout": 0.0, "label_smoothing": 0.0},
    )
)


@pytest.fixture(scope="module")
def model():
    return built_for(SMALL, ROWS)


@pytest.fixture
def one_shape(monkeypatch):
    """All pairs in one bucket, so that there is one shape to compile."""
    monkeypatch.setattr(_translation_model, "BUCKETS", 1)


def batch_of(arrays, *, rows=0):
    """Arrays of one width as a batch, filled up with empty rows."""
    values = np.zeros((len(arrays) + rows, len(arrays[0])), np.int32)
    values[: len(arrays)] = arrays
    lengths = np.array([len(arrays[0])] * len(arrays) + [0] * rows, np.int32)
    return BucketBatch(values, lengths, np.arange(len(values), dtype=np.int32))


def loss_of(model, packed):
    """The sum and the count of a batch, compiled."""
    loss = make_loss(model, packed.sources)
    return jax.jit(lambda params, batch, key=None: loss(params, (), batch, key)[0])


def test_the_symbols_are_those_of_training(model):
    assert [*model.source.numbers] == ["off", "on", "to"]
    assert [*model.target.numbers] == [*" 기끄로를켜"]
    assert model.source.slots == model.target.slots == 2
    assert model.growth == (4 + 5 + 4) / (2 + 3 + 1)
    assert model.params["decoder"]["embedding"].shape == (model.target.size, 3) == (10, 3)


def test_the_loss_is_that_of_the_symbols_and_the_end(model, one_shape):
    packed = encoded_pairs(model, ROWS)
    found = loss_of(model, packed)(model.params, batch_of(packed.arrays, rows=1))
    # on {x}, {y} to {x}, off; their targets, of which {z} has no number: the sources lack it.
    sources = np.array([[5, 2, 0], [2, 6, 3], [4, 0, 0]], np.int32)
    targets = np.array([[2, 4, 9, 5, 0], [3, 8, 4, 2, 7], [6, 5, 4, 1, 0]], np.int32)
    shown = np.concatenate([np.zeros((3, 1), np.int32), targets], 1)
    logits = jax.jit(model.functions.logits)(
        model.params, sources, shown, source_lengths=np.array([2, 3, 1])
    )
    log_probs = np.asarray(jax.nn.log_softmax(logits))
    expected = 0.0
    for row, length in enumerate((4, 5, 4)):
        for t, symbol in enumerate([*targets[row, :length], 0]):
            expected -= log_probs[row, t, symbol]
    assert float(found.count) == 5 + 6 + 5
    assert float(found.total) == pytest.approx(expected, rel=1e-5)
    nothing = batch_of(packed.arrays, rows=1)
    nothing = nothing._replace(values=nothing.values * 0, lengths=nothing.lengths * 0)
    none = loss_of(model, packed)(model.params, nothing)
    assert float(none.total) == 0 and float(none.count) == 0


def test_smoothing_and_sampling_are_of_training_alone(model, one_shape):
    packed = encoded_pairs(model, ROWS)
    config = dataclasses.replace(SMALL, label_smoothing=0.2, sampling=0.5)
    batch = batch_of(packed.arrays)
    plain, other = (loss_of(m, packed) for m in (model, model._replace(config=config)))
    assert float(plain(model.params, batch).total) == float(other(model.params, batch).total)
    a, b = (float(other(model.params, batch, jax.random.key(k)).total) for k in (0, 1))
    assert a != b


def test_each_network_learns_by_itself(one_shape):
    config = dataclasses.replace(SMALL, networks=2, dropout=0.5)
    model = built_for(config, ROWS)
    packed = encoded_pairs(model, ROWS)
    loss, batch = make_loss(model, packed.sources), batch_of(packed.arrays)
    slope = jax.jit(
        jax.value_and_grad(lambda params, key: loss(params, (), batch, key)[0], has_aux=True)
    )
    key = jax.random.key(3)
    (total, count), both = slope(model.params, key)
    assert len(model.params) == 2 and float(count) == 5 + 6 + 5
    # The second has weights and dropout of its own.
    alone = [slope(model.params[0], key), slope(model.params[1], jax.random.fold_in(key, 1))]
    totals = [float(one[0][0]) for one in alone]
    assert float(total) == pytest.approx(np.mean(totals), rel=1e-5) and np.ptp(totals) > 0.01
    for (_, one), half in zip(alone, both, strict=True):
        for leaf, other in zip(jax.tree.leaves(one), jax.tree.leaves(half), strict=True):
            np.testing.assert_allclose(leaf / 2, other, atol=1e-5)


def test_the_first_of_several_networks_is_the_single_one(model):
    several = built_for(dataclasses.replace(SMALL, networks=3), ROWS)
    tiny.assert_same_bits(several.params[0], model.params)
    assert several.functions == model.functions
    weights = [one["decoder"]["projection"] for one in several.params]
    assert len(weights) == 3 and np.ptp(weights, axis=0).min() > 0


def test_a_model_comes_back_from_its_page(tmp_path_factory):
    run = tiny_tasks.translator(tmp_path_factory.getbasetemp())
    model = translation.load(run.directory)
    page = json.loads((run.directory / "config.json").read_text())
    assert page_of(model).items() <= page.items()
    again = translation.load(run.directory)
    tiny.assert_same_bits(again.params, model.params)
    assert again.functions == model.functions  # compiled once


def test_a_damaged_page_is_an_error(tmp_path, tmp_path_factory):
    run = tiny_tasks.translator(tmp_path_factory.getbasetemp())
    page = json.loads((run.directory / "config.json").read_text())
    for name, value in (
        ("settings", page["settings"] | {"networks": 0}),
        ("placeholders", "many"),
        ("growth", None),
        ("source_symbols", 7),
        ("memory", 1),
    ):
        broken = tmp_path / name
        broken.mkdir()
        (broken / "config.json").write_text(json.dumps({**page, name: value}))
        with pytest.raises(InputError, match=r"config\.json is damaged: "):
            translation.load(broken)
