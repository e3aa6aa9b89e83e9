"""The target of the nearest source, against the definition computed term by term."""

import math
from collections import Counter

import pytest

from jaxseq.losses import edit_distance
from jaxseq.recipes._nearest_translation import fit, neighbours, predict

SOURCES = ["turn on", "Turn off", "turn it on", "lights", "off"]
TARGETS = ["켜기", "끄기", "그것을 켜기", "조명", "꺼짐"]


def grams(text, order):
    whole = f"\2{text.lower()}\3"
    return Counter(whole[i : i + n] for n in range(2, order + 1) for i in range(len(whole) - n + 1))


HAD = Counter(gram for source in SOURCES for gram in grams(source, 3))
RARITY = {gram: 1 + math.log(len(SOURCES) / n) for gram, n in HAD.items()}


def cosine(text, source, order):
    """The cosine of the weighted counts, n-gram by n-gram, of those that training has."""
    had = Counter(gram for other in SOURCES for gram in grams(other, order))
    rarity = {gram: 1 + math.log(len(SOURCES) / n) for gram, n in had.items()}
    a, b = ({g: n * rarity[g] for g, n in grams(t, order).items() if g in rarity}
            for t in (text, source))  # fmt: skip
    product = sum(a[gram] * b.get(gram, 0) for gram in a)
    return product / math.sqrt(sum(w * w for w in b.values()))  # the norm of a is the same for all


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("text", ["turned on", "TURN OFF", "light", "on it", "of"])
def test_the_nearest_is_the_one_by_definition(text, order):
    had = {gram for source in SOURCES for gram in grams(source, order)}
    assert had & {*grams(text, order)}
    cosines = [cosine(text, source, order) for source in SOURCES]
    best = max(range(5), key=lambda place: cosines[place])
    assert predict(fit(SOURCES, TARGETS, order=order, compared=1), [text]) == [TARGETS[best]]
    two = sorted(range(5), key=lambda place: -cosines[place])[:2]
    nearer = min(two, key=lambda p: edit_distance(text.lower(), SOURCES[p].lower()))
    assert predict(fit(SOURCES, TARGETS, order=order, compared=2), [text]) == [TARGETS[nearer]]


def test_a_training_source_is_its_own_nearest():
    assert predict(fit(SOURCES, TARGETS), SOURCES) == TARGETS


def test_a_text_with_nothing_in_common_has_a_target_too():
    assert predict(fit(SOURCES, TARGETS), ["한글", ""])[0] in TARGETS


@pytest.mark.parametrize("text", ["turned on", "TURN OFF", "on it"])
def test_neighbours_are_as_similar_as_by_definition(text):
    model = fit(SOURCES, TARGETS, order=3)
    norm = math.sqrt(sum((n * RARITY[g]) ** 2 for g, n in grams(text, 3).items() if g in RARITY))
    cosines = [cosine(text, source, 3) / norm for source in SOURCES]
    best = sorted(range(5), key=lambda place: -cosines[place])[:3]
    found = neighbours(model, text, count=3)
    assert [one.target for one in found] == [TARGETS[place] for place in best]
    for place, one in zip(best, found, strict=True):
        edits = edit_distance(text.lower(), SOURCES[place].lower())
        near = 1 - edits / max(len(text), len(SOURCES[place]))
        assert one.similarity == pytest.approx((cosines[place] + near) / 2)


def test_neighbours_are_no_more_than_the_sources():
    model = fit(["Set up {name}", "off"], ["{name} 설정", "끄기"])
    first, second = neighbours(model, "set up {host}", count=5)
    assert first.target == "{host} 설정" and second.similarity < first.similarity < 1
    (same,) = neighbours(model, "OFF", count=1)
    assert same.target == "끄기" and same.similarity == pytest.approx(1)
    assert all(one.similarity == 0 for one in neighbours(model, "한글", count=2))
    assert len(neighbours(model, "", count=2)) == 2


def test_placeholders_become_those_of_the_text():
    model = fit(["{a} joins {b}", "no"], ["{b}에 {a}, {a}와 {c}", "아니오"])
    assert predict(model, ["{x} joins {y}", "{x} joins"]) == [
        *("{y}에 {x}, {x}와 {c}", "{b}에 {x}, {x}와 {c}")
    ]


def test_sources_and_targets_must_be_as_many():
    problem = r"nearest_translation: there are 2 sources and 1 targets\.\n  Hint: give equally many"
    with pytest.raises(ValueError, match=problem):
        fit(["a", "b"], ["c"])
    with pytest.raises(ValueError, match="there are 0 sources and 0 targets"):
        fit([], [])
