"""A tagger and how it is trained: what it reads of words, its loss by hand, how it comes back."""

import dataclasses
import itertools
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
import tiny_tasks

from jaxseq._checks import InputError
from jaxseq.data import Token
from jaxseq.recipes import tagging
from jaxseq.recipes._run import batches_of
from jaxseq.recipes._tagging_config import Config, resolved
from jaxseq.recipes._tagging_model import (
    BUCKETS,
    TAG,
    WORD,
    build,
    built_for,
    emissions_of,
    find_tags,
    folded,
    known_words,
    label_words,
    letters_at,
    load,
    make_loss,
    page_of,
    symbols_of,
)

SMALL = {
    **{"cell": "gru", "embed_size": 2, "hidden_size": 2, "num_layers": 1, "min_count": 1},
    **{"char_embed_size": 2, "char_hidden_size": 2, "dropout": 0.0, "word_dropout": 0.0},
    **{"affixes": 0, "max_letters": 20},
}
ROWS = [
    [Token("7", "O"), Token("Elm", "B-X"), Token("St.", "I-X")],
    [Token("Oak", "B-X")],
    [Token("Elm", "O"), Token("9", "O")],
]


def config(**changes):
    return resolved(Config(data="my.conll", **SMALL | changes), {"O", "B-X", "I-X"})


@pytest.fixture(scope="module", params=["softmax", "crf"])
def model(request):
    return built_for(config(output=request.param, spelling=request.param == "crf"), ROWS)


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return tiny_tasks.tagger(tmp_path_factory.getbasetemp())


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run.directory, tmp_path / "copy")


def log_likelihood(model):
    """The function of ``(values, tags, lengths)``, of one row, in one program."""

    @jax.jit
    def function(values, tags, lengths):
        found = emissions_of(model.functions, model.config, model.params, values, lengths)
        return model.functions.log_likelihood(model.params, found, tags, lengths=lengths)[0]

    return function


def words_of(rows):
    return [[token.token for token in row] for row in rows]


# ------------------------------------------------------------------------------- what it reads


def test_a_word_is_looked_up_in_small_letters_without_digits_and_what_is_around_it():
    assert [folded(word) for word in ("St.", "(Elm)", "1B", "서울시,", "...", "#")] == [
        *("st", "elm", "0b", "서울시", "...", "#")
    ]


def test_a_step_has_its_tag_and_the_number_of_its_word(model):
    rows = [[Token("ELM", "I-X"), Token("8", "other"), Token("new", "O")]]
    (steps,) = model.encode(rows)
    assert steps.dtype == np.int32 and len(steps) == 3
    assert [model.labels[tag] if tag >= 0 else None for tag in steps[:, TAG]] == ["I-X", None, "O"]
    assert steps[:, WORD].tolist() == [model.words["elm"], model.words["0"], 0]


def test_beginnings_and_endings_shape_and_what_is_around_are_symbols_of_a_word():
    symbols = symbols_of(config(affixes=2))
    assert symbols("(StE9.,") == [
        *("ste0", "shape (XxX0.,", "around ( .,"),
        *("1 s", "2 st", "0 1", "e0 2"),
    ]
    for word in ("", "a", "...", "서울시"):
        assert WORD + len(symbols(word)) == letters_at(config(affixes=2))
    assert symbols_of(config())("St.") == ["st"] and letters_at(config()) == WORD + 1


def test_affixes_tell_words_apart_that_have_no_number():
    model = built_for(config(affixes=2, min_count=2, spelling=False), [*ROWS, *ROWS[1:2]])
    one, same, other = model.encode([[Token(word, "O")] for word in ("Oaks", "Oakes", "new,")])
    assert one[0, WORD] == other[0, WORD] == 0
    assert (one == same).all() and (one != other).any()
    assert label_words(model, [["Oaks", "new,"], ["Elm"]])[1] == label_words(model, [["Elm"]])[0]


def test_rare_words_have_no_number_but_are_spelt():
    model = built_for(config(min_count=2, spelling=True), ROWS)
    assert {"elm", "0"} <= {*model.words} and "oak" not in model.words
    assert {*"Elm0StOak."} == {*model.letters} and min(model.letters.values()) == 2
    one, other = model.encode([[Token("Oak", "O")], [Token("Kao", "O")]])
    assert one[0, WORD] == other[0, WORD] == 0 and (one != other).any()


def test_letters_beyond_those_that_are_read_make_no_difference():
    model = built_for(config(spelling=True), ROWS)
    a, b = model.encode([[Token("a" * 200 + "b", "O")], [Token("a" * 200 + "c", "O")]])
    np.testing.assert_array_equal(a, b)


# ------------------------------------------------------------------------------------- finding


def test_tags_do_not_depend_on_what_stands_beside(model):
    rows = ROWS + [[Token(word, "O")] * length for length, word in enumerate("abcd", start=1)]
    together = find_tags(model, model.params, model.encode(rows))
    for row, tags in zip(rows, together, strict=True):
        (alone,) = find_tags(model, model.params, model.encode([row]))
        assert len(tags) == len(row) and tags.tolist() == alone.tolist()


def test_the_labels_are_those_of_the_best_path(model):
    values = jnp.asarray(model.encode(ROWS[:1])[0])[None]
    lengths = jnp.array([3], jnp.int32)
    score = log_likelihood(model)
    scores = {
        path: float(score(values, np.array([path], np.int32), lengths))
        for path in itertools.product(range(3), repeat=3)
    }
    best = max(scores, key=scores.__getitem__)
    assert label_words(model, words_of(ROWS[:1])) == [[model.labels[tag] for tag in best]]
    assert np.logaddexp.reduce(list(scores.values())) == pytest.approx(0, abs=1e-4)


def test_a_crf_keeps_to_its_scheme():
    model = built_for(config(output="crf", scheme="bio", spelling=False), ROWS)
    rows = [[str(n), "Elm", "St.", "x"] for n in range(20)]
    for labels in label_words(model, rows):
        pairs = itertools.pairwise(["O", *labels])
        assert all(after != "I-X" or before in ("B-X", "I-X") for before, after in pairs)


def test_sequences_without_words_have_no_labels(model):
    found = label_words(model, [[], ["Elm", "7"], []])
    assert found[0] == found[2] == [] and len(found[1]) == 2
    with pytest.raises(InputError, match=r"^tagging: there is no word to label"):
        label_words(model, [[]])
    with pytest.raises(InputError, match=r"^tagging: there is no word to label"):
        label_words(model, [])


# ------------------------------------------------------------------------------------ training


def test_the_loss_is_the_negative_log_likelihood_of_the_real_tokens(model):
    loss, score, expected = jax.jit(make_loss(model)), log_likelihood(model), 0.0
    for row in ROWS:
        values = jnp.asarray(model.encode([row])[0])[None]
        lengths = jnp.array([len(row)], jnp.int32)
        expected -= float(score(values, values[..., TAG], lengths))
    sums, carry = [], "carry"
    for batch in batches_of(model.encode(ROWS), rows=2, buckets=BUCKETS):
        found, carry = loss(model.params, (), batch, None)
        sums.append([float(found.total), float(found.count)])
    assert np.sum(sums, 0) == pytest.approx([expected, 6], rel=1e-5) and carry == ()


def test_a_share_of_the_words_is_hidden_in_training():
    model = built_for(config(output="softmax", spelling=False), ROWS)
    hiding = model._replace(config=dataclasses.replace(model.config, word_dropout=0.5))
    rows = [[Token("Elm", "O")] * 40]
    hidden = [[Token("new", "O")] * 40]
    lengths = jnp.array([40], jnp.int32)

    def emissions(model, rows, key):
        values = jnp.asarray(model.encode(rows)[0])[None]
        return np.asarray(
            emissions_of(model.functions, model.config, model.params, values, lengths, key)
        )

    key = jax.random.key(0)
    found = emissions(hiding, rows, key)
    assert (found == emissions(hiding, rows, key)).all()
    assert (found != emissions(hiding, rows, jax.random.key(1))).any()
    assert (found != emissions(model, rows, key)).any()
    assert (found != emissions(hiding, hidden, key)).any()
    np.testing.assert_array_equal(emissions(hiding, rows, None), emissions(model, rows, None))


def test_batches_for_training_are_shuffled_and_go_on(model):
    encoded = model.encode([ROWS[0]] * 4)
    batches = batches_of(encoded, rows=4, buckets=BUCKETS, seed=3)
    epochs = [next(batches).rows.tolist() for _ in range(6)]
    assert all(sorted(rows) == [0, 1, 2, 3] for rows in epochs) and len(set(map(str, epochs))) > 1


# ------------------------------------------------------------------------------------- loading


def test_a_page_brings_the_model_back(model):
    page = json.loads(json.dumps(page_of(model)))
    words = {word: number for number, word in enumerate(page["words"], start=1)}
    letters = {letter: number for number, letter in enumerate(page["letters"], start=2)}
    again = build(model.config, page["labels"], words, letters)
    assert again._replace(functions=None, params=None) == model._replace(
        functions=None, params=None
    )
    tiny.assert_same_bits(again.params, model.params)


def test_a_run_is_loaded_with_its_best_weights(run):
    tiny.assert_same_bits(load(run.directory).params, load(run.directory).params)
    best = json.loads((run.directory / "report.json").read_text())["training"]["best_step"]
    history = json.loads((run.directory / "history.json").read_text())["evaluations"]
    assert history["value"][history["step"].index(best)] == min(history["value"])


def test_the_words_of_training_are_remembered(run):
    known = known_words(run.directory)
    assert {"Elm", "St", "Busan"} <= known and "elm" not in known
    train = tagging.read_parts(str(run.data)).train
    assert known <= {token.token for row in train for token in row}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"labels": None}, "NoneType"),
        ({"words": 3}, "'int' object is not iterable"),
        ({"letters": None}, "'NoneType' object is not iterable"),
        ({"labels": ["B-길", "B-city", "I-길", "X"]}, '"X" is no label of the scheme'),
    ],
)
def test_a_damaged_page_is_an_error(changes, problem, copy, untyped):
    path = copy / "config.json"
    page = json.loads(path.read_text())
    path.write_text(json.dumps(page | changes))
    with pytest.raises(InputError, match=rf"config\.json is damaged: .*{problem}"):
        load(copy)


@pytest.mark.parametrize("known", [None, 3])
def test_without_the_words_of_training_the_settings_are_damaged(known, copy):
    path = copy / "config.json"
    page = json.loads(path.read_text())
    path.write_text(json.dumps(page | {"known": known}))
    with pytest.raises(InputError, match=r"config\.json is damaged: .*not iterable"):
        known_words(copy)
    del page["known"]
    path.write_text(json.dumps(page))
    with pytest.raises(InputError, match=r"config\.json is damaged: 'known'"):
        tagging.evaluate(copy)


@pytest.mark.parametrize(("name", "value"), [("hidden_size", None), ("output", "hmm")])
def test_a_damaged_setting_is_an_error(name, value, copy, untyped):
    tiny.edit(copy, **{name: value})
    with pytest.raises(InputError, match=r"config\.json is damaged"):
        load(copy)


def test_a_page_of_another_model_is_an_error(copy):
    path = copy / "config.json"
    page = json.loads(path.read_text())
    path.write_text(json.dumps(page | {"words": page["words"][1:]}))
    with pytest.raises(InputError, match="is of another model"):
        load(copy)
