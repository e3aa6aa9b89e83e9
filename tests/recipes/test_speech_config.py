"""The settings of a recogniser: what suits the data, and what is out of range."""

import pytest

from jaxseq._checks import InputError
from jaxseq.recipes._speech_config import Config, check, resolved


def test_settings_left_out_suit_the_data():
    digits, own = resolved(Config()), resolved(Config(data="my.tsv"))
    assert (digits.labels, digits.sample_rate, own.labels, own.sample_rate) == (
        *("words", 8000),
        *("characters", 16000),
    )
    assert all(value is not None for name, value in vars(digits).items() if name != "valid")


def test_settings_that_are_given_stay():
    assert resolved(Config(labels="characters", noise=0.0)).labels == "characters"
    assert resolved(Config(noise=0.0)).noise == 0.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hold_out": 1}, "`hold_out` must be 0, or at least 2, but it is 1"),
        ({"utterances": 9}, "`utterances` must be at least 10, but it is 9"),
        ({"sample_rate": 8}, "`sample_rate` must be at least 1000, but it is 8"),
        ({"beam": 0}, "`beam` must be at least 1, but it is 0"),
        ({"warp": 1.0}, r"`warp` must be in \[0, 1\), but it is 1.0"),
        ({"time_mask": -1}, "`time_mask` must be at least 0, but it is -1"),
        ({"mel_mask": -1}, "`mel_mask` must be at least 0, but it is -1"),
        ({"noise": float("inf")}, "`noise` must be a finite number, but it is inf"),
    ],
)
def test_numbers_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=f"speech: {message}"):
        check(resolved(Config(**settings)))
    check(resolved(Config()))
