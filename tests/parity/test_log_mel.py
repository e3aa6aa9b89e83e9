"""Log-mel features are those of librosa, recorded, and live where it is installed."""

import importlib.util

import jax.numpy as jnp
import numpy as np
import pytest
from speech_cases import CASES, FIXTURE, sound

from jaxseq.sequence import log_mel

every_case = pytest.mark.parametrize("name", CASES)


@every_case
def test_features_are_those_that_librosa_made(name):
    with np.load(FIXTURE) as recorded:
        theirs = recorded[name]
    case = CASES[name]
    ours, frames = log_mel(jnp.asarray(sound(case["sample_rate"]), jnp.float32), **case)
    assert ours.shape == theirs.shape and int(frames) == len(theirs)
    np.testing.assert_allclose(ours, theirs, atol=2e-4)


@pytest.mark.skipif(not importlib.util.find_spec("librosa"), reason="librosa is not installed")
@every_case
def test_what_was_recorded_is_what_librosa_makes(name):
    from make_log_mel_fixture import features

    with np.load(FIXTURE) as recorded:
        np.testing.assert_allclose(features(CASES[name]), recorded[name], atol=1e-5)
