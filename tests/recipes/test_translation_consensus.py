"""The likeness of translations against sacrebleu, and which of them is the most like all."""

import numpy as np
import pytest
from sacrebleu.metrics import CHRF

from jaxseq.recipes._translation_consensus import expected, likeness

TEXTS = ["켜기", "조명을 켜기", "조명 켜짐", "off", "불을 켜기 {name}", "o f f", "켜"]


def test_likeness_is_the_chrf_of_sacrebleu():
    metric = CHRF()
    right = [[metric.sentence_score(a, [b]).score / 100 for b in TEXTS] for a in TEXTS]
    np.testing.assert_allclose(likeness(TEXTS), right, atol=1e-12)


def test_a_text_is_wholly_like_itself_and_its_spacing_does_not_count():
    found = likeness(TEXTS)
    np.testing.assert_allclose(found.diagonal(), 1)
    assert found[3, 5] == found[5, 3] == pytest.approx(1)
    assert found[0, 3] == 0


def test_an_empty_text_is_like_none():
    np.testing.assert_array_equal(likeness(["", " ", "켜기"]), [[0, 0, 0], [0, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(expected([""], np.ones(1)), [0])


def test_what_is_expected_is_the_mean_by_weight():
    weights = np.array([1, 2, 0, 0.5, 0.25, 0, 3])
    right = [sum(weights / weights.sum() * row) for row in likeness(TEXTS)]
    np.testing.assert_allclose(expected(TEXTS, weights), right)
    np.testing.assert_allclose(expected(TEXTS, 7 * weights), right)


def test_equal_texts_add_their_weights():
    apart = expected(["켜기", "켜짐", "켜기", "끄기"], np.arange(1.0, 5.0))
    together = expected(["켜기", "켜짐", "끄기"], np.array([4.0, 2.0, 4.0]))
    np.testing.assert_allclose(apart, together[[0, 1, 0, 2]])


def test_the_best_may_be_one_that_is_not_the_likeliest():
    texts, weights = ["off", "조명을 켜기", "조명을 켜"], np.array([0.4, 0.3, 0.3])
    assert np.argmax(expected(texts, weights)) == 1
