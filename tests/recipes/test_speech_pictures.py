"""The picture of an alignment: what is drawn where."""

import numpy as np
import pytest

from jaxseq.recipes import _speech_pictures as pictures
from jaxseq.recipes._pictures import figure
from jaxseq.recipes._speech_hearing import Span
from jaxseq.recipes._speech_pictures import alignment_picture, decibels_of
from jaxseq.sequence import log_mel


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn."""
    found = []

    def keep(*size):
        found.append(figure(*size))
        return found[-1]

    monkeypatch.setattr(pictures, "figure", keep)
    return found


def test_energy_is_in_decibels_below_the_loudest():
    sound = np.random.default_rng(0).normal(size=4000).astype(np.float32)
    found = decibels_of(sound, 8000, 20)
    nats = np.asarray(log_mel(sound, sample_rate=8000, num_mels=20).features)
    np.testing.assert_allclose(found, 10 * np.log10(np.exp(nats - nats.max())), atol=1e-3)
    assert decibels_of(np.zeros(10, np.float32), 8000, 20).shape == (0, 20)


def test_the_picture_has_the_words_at_their_times_and_names_its_axes(tmp_path, drawn):
    rng = np.random.default_rng(0)
    log_probs = np.log(rng.dirichlet(np.ones(4), size=20)).astype(np.float32)
    spans = [Span("two", 0.1, 0.16), Span(" ", 0.3, 0.33), Span("two", 0.4, 0.43)]
    path = alignment_picture(
        tmp_path / "alignment.png",
        rng.uniform(-60, 0, size=(60, 20)).astype(np.float32),
        log_probs,
        spans,
        labels=["one", "two", " "],
        sample_rate=8000,
        step=0.03,
        starts=[0.05, 0.35],
        title="a $recording$ of two words",
    )
    assert path.stat().st_size > 10000
    upper, lower, bar = drawn[0][0].axes
    assert [text.get_text() for text in upper.texts] == ["two", "␣", "two"]
    assert [round(text.xy[0], 3) for text in upper.texts] == [0.13, 0.315, 0.415]
    assert upper.get_ylabel() == "mel band (centre, kHz)" and "dB" in bar.get_ylabel()
    assert [text.get_text() for text in upper.get_yticklabels()][-1] == "2"
    assert lower.get_xlabel() == "time (s)" and lower.get_xlim() == (0, 0.6)
    blank, two, space = (line.get_ydata() for line in lower.get_lines())
    np.testing.assert_allclose([blank, two, space], np.exp(log_probs[:, [0, 2, 3]]).T)
    assert upper.get_title(loc="left") == r"a \$recording\$ of two words"
