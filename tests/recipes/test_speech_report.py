"""What a speech run reports: error rates, speakers, alignments, noise, and the files it leaves."""

import numpy as np
import pytest

from jaxseq.recipes import _speech_report as report
from jaxseq.recipes._speech_config import Config, resolved
from jaxseq.recipes._speech_data import Example, Parts
from jaxseq.recipes._speech_hearing import Heard
from jaxseq.recipes._speech_model import build

CONFIG = resolved(
    Config(
        **{"data": "my.tsv", "labels": "words", "sample_rate": 1000, "num_mels": 4, "stack": 1},
        **{"cell": "gru", "hidden_size": 3, "num_layers": 1, "beam": 2},
    )
)
RNG = np.random.default_rng(0)


def example(name, transcript, speaker="", starts=(), samples=200):
    sound = RNG.normal(size=samples).astype(np.float32)
    return Example(name, sound, transcript, speaker, starts)


def certain(path):
    log_probs = np.full((len(path), 3), -9.0, np.float32)
    log_probs[np.arange(len(path)), path] = -0.01
    return log_probs


EXAMPLES = [
    example("a.wav", "one two", "Ann", (0.0, 0.05)),
    example("b.wav", "two", "Ann", (0.02,)),
    example("c.wav", "one", "Bob", (0.0,)),
]
HEARD = [
    Heard("one two", "one two", -1.0, certain([1, 0, 0, 0, 0, 2])),
    Heard("one", "", -2.0, certain([2, 0, 0, 0])),
    Heard("two two two", "two two", -3.5, certain([1, 0])),
]


@pytest.fixture(scope="module")
def model():
    return build(CONFIG, ["one", "two"])


def test_rates_are_of_words_characters_and_recordings(model):
    page = report.measures(model, EXAMPLES, HEARD)
    assert (page["recordings"], page["words"], page["seconds"]) == (3, 4, 0.6)
    assert page["word_error_rate"] == 3 / 4  # one left out, one replaced, one too many
    assert page["character_error_rate"] == (0 + 3 + 6) / 13
    assert page["recording_error_rate"] == 2 / 3
    assert page["greedy"]["word_error_rate"] == (0 + 1 + 3) / 4


def test_speakers_stand_worst_first(model):
    page = report.measures(model, EXAMPLES, HEARD)
    assert list(page["by_speaker"].items()) == [
        ("Bob", {"words": 1, "word_error_rate": 2.0}),
        ("Ann", {"words": 3, "word_error_rate": 0.3333}),
    ]
    plain = [one._replace(speaker="", starts=()) for one in EXAMPLES]
    assert not {"by_speaker", "alignment"} & set(report.measures(model, plain, HEARD))


def test_an_alignment_is_right_inside_the_word(model):
    # Labels at steps 0 and 5 of 10 ms; the word of the second recording begins after step 0.
    found = report.measures(model, EXAMPLES, HEARD)["alignment"]
    assert found == {"labels": 4, "inside_their_word": 3 / 4}


def test_with_noise_all_is_heard_again(model):
    page = report.noise_rates(model, EXAMPLES)
    assert list(page) == ["20 dB", "10 dB", "5 dB", "0 dB"]
    assert all(rate >= 0 for rate in page.values())


def test_hidden_markov_models_stand_beside_it_where_recordings_are_long_enough(model):
    long = [example(str(k), "one two", samples=500) for k in range(3)]
    page = report.others(Parts(long, long[:1], []), model)
    assert set(page) == {"valid"}
    [(name, rates)] = page["valid"].items()
    assert name == "hidden Markov models of words" and "word_error_rate" in rates
    assert report.others(Parts(EXAMPLES, [], []), model) == {}


def test_errors_are_left_worst_first_and_a_recording_is_drawn(model, tmp_path):
    page = {"data": "my.tsv", **report.measures(model, EXAMPLES, HEARD)}
    report.leave_report(tmp_path, page, model, EXAMPLES, HEARD)
    assert (tmp_path / "errors.tsv").read_text().split("\n")[1:3] == [
        "c.wav\tBob\t2\tone\ttwo two\t-3.50",
        "b.wav\tAnn\t1\ttwo\t\t-2.00",
    ]
    assert {path.name for path in tmp_path.iterdir()} == {
        *("alignment.png", "errors.tsv", "report.json"),
    }


def test_what_is_rightly_heard_and_long_is_drawn_and_what_has_no_alignment_is_not(model):
    example, _, spans = report._shown(model, EXAMPLES, HEARD)
    assert example.name == "a.wav" and [span.label for span in spans] == ["one", "two"]
    short = [EXAMPLES[0]._replace(transcript="one " * 9)]
    assert report._shown(model, short, HEARD[:1]) is None


def test_a_summary_says_what_stands_beside_what(model):
    page = report.measures(model, EXAMPLES, HEARD)
    page["with_noise"] = {"20 dB": 0.5}
    others = {"test": {"hidden Markov models of words": report.rates(["", "", ""], EXAMPLES)}}
    lines = report.summary({"data": "digits", "test": page, "others": others}).split("\n")
    assert lines[0] == "digits, test part, 3 recordings, 4 words"
    assert lines[2].split() == ["75.00", "69.23", "this", "model"]
    assert lines[4].split()[:2] == ["100.00", "100.00"] and "hidden Markov" in lines[4]
    assert lines[5] == "  words wrong (%) with white noise: 50.0 at 20 dB"
