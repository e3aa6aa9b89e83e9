"""Log-mel features: their definition, the padding contract, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq.sequence import log_mel, mel_edges

RATE = 1000  # a frame of 20 ms has 20 samples, so that a test is small
SETTINGS = {"sample_rate": RATE, "num_mels": 5, "window": 0.02, "hop": 0.007, "low": 10.0}
SAMPLES = np.random.default_rng(0).normal(size=(4, 61)).astype(np.float32)
LENGTHS = np.array([61, 0, 19, 34], np.int32)
PADDED = np.arange(61) >= LENGTHS[:, None]
SPOILT = np.where(PADDED, np.float32(np.nan), SAMPLES)


def twin(samples, *, size=20, step=7, fft=32, floor=1e-10):
    """The definition in float64: frames, Hann's window, FFT, triangles, logarithm."""

    def mel(hertz):
        return 2595 * np.log10(1 + hertz / 700)

    centres = np.linspace(mel(10.0), mel(RATE / 2), 7)
    frames = []
    for begin in range(0, len(samples) - size + 1, step):
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
        power = np.abs(np.fft.rfft(np.float64(samples[begin : begin + size]) * window, fft)) ** 2
        energies = []
        for band in range(5):
            hertz = 700 * (10 ** (centres[band : band + 3] / 2595) - 1)
            weights = np.interp(np.arange(fft // 2 + 1) * RATE / fft, hertz, [0, 1, 0])
            energies.append(weights @ power)
        frames.append(np.log(np.maximum(energies, floor)))
    return np.array(frames).reshape(-1, 5)


def test_features_are_those_of_the_definition():
    found = log_mel(SAMPLES, **SETTINGS)
    assert found.lengths.tolist() == [6] * 4
    np.testing.assert_allclose(found.features, [twin(row) for row in SAMPLES], atol=1e-4)


def test_a_row_has_the_frames_that_it_has_alone():
    found = log_mel(SPOILT, lengths=LENGTHS, **SETTINGS)
    assert found.lengths.tolist() == [6, 0, 0, 3]
    for row, features, length in zip(SAMPLES, np.asarray(found.features), LENGTHS, strict=True):
        alone = twin(row[:length])
        np.testing.assert_allclose(features[: len(alone)], alone, atol=1e-4)
        assert (features[len(alone) :] == 0).all()


def test_gradients_are_those_of_differences_and_never_see_the_pads():
    def loss(samples):
        return jnp.square(log_mel(samples, lengths=jnp.asarray(LENGTHS), **SETTINGS).features).sum()

    slope = np.asarray(jax.jit(jax.grad(loss))(jnp.asarray(SPOILT)))
    assert np.isfinite(slope).all() and (slope[PADDED] == 0).all()
    for row, at in ((0, 0), (0, 30), (3, 12)):
        aside = np.zeros(61)
        aside[at] = 1e-6
        up, down = (
            (twin((np.float64(SAMPLES[row]) + way)[: LENGTHS[row]]) ** 2).sum()
            for way in (aside, -aside)
        )
        np.testing.assert_allclose(slope[row, at], (up - down) / 2e-6, rtol=1e-3, atol=1e-3)


def test_silence_is_the_floor_and_has_gradient_0():
    def loss(samples):
        return log_mel(samples, floor=1e-3, **SETTINGS).features.sum()

    value, slope = jax.value_and_grad(loss)(jnp.zeros(27))
    np.testing.assert_allclose(value, 2 * 5 * np.log(1e-3), rtol=1e-6)
    assert (np.asarray(slope) == 0).all()


def test_more_batch_axes_vmap_and_jit_change_nothing():
    lengths = jnp.asarray(LENGTHS)
    plain = log_mel(SAMPLES, lengths=lengths, **SETTINGS)
    folded = log_mel(SAMPLES.reshape(2, 2, 61), lengths=lengths.reshape(2, 2), **SETTINGS)
    np.testing.assert_allclose(folded.features.reshape(plain.features.shape), plain.features)

    def one(row, length):
        return log_mel(row, lengths=length, **SETTINGS)

    mapped = jax.jit(jax.vmap(one))(jnp.asarray(SAMPLES), lengths)
    np.testing.assert_allclose(mapped.features, plain.features, atol=1e-5)
    np.testing.assert_array_equal(mapped.lengths, plain.lengths)


def test_half_precision_is_computed_in_float32():
    found = log_mel(jnp.asarray(SAMPLES[0], jnp.bfloat16), **SETTINGS).features
    assert found.dtype == jnp.float32
    rounded = np.float32(jnp.asarray(SAMPLES[0], jnp.bfloat16))
    np.testing.assert_allclose(found, twin(rounded), atol=1e-4)


def test_a_sound_shorter_than_a_frame_has_none():
    found = log_mel(SAMPLES[:, :19], **SETTINGS)
    assert found.features.shape == (4, 0, 5) and found.lengths.tolist() == [0] * 4


def test_the_two_scales_are_those_of_their_formulas():
    htk = mel_edges(3, low=0.0, high=4000.0)
    np.testing.assert_allclose(np.diff(2595 * np.log10(1 + htk / 700), 2), 0, atol=1e-9)
    slaney = mel_edges(41, low=0.0, high=6400.0, scale="slaney")  # an edge a mel
    np.testing.assert_allclose(slaney[:16], 200 * np.arange(16) / 3, rtol=1e-9)
    np.testing.assert_allclose(slaney[15:], 1000 * 6.4 ** (np.arange(28) / 27), rtol=1e-9)


def test_what_is_no_sound_is_refused(untyped):
    with pytest.raises(TypeError, match=r"floating, but .* int16\.\n  Hint: divide .* 32768"):
        log_mel(np.zeros(50, np.int16), sample_rate=RATE)
    with pytest.raises(ValueError, match=r"`samples` must have shape \(\*batch, N\), but .* \(\)"):
        log_mel(np.float32(1.0), sample_rate=RATE)
    with pytest.raises(ValueError, match=r"`lengths` must lie in \[0, T\] = \[0, 61\]"):
        log_mel(SAMPLES, lengths=np.array([62, 1, 1, 1]), **SETTINGS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample_rate": 0}, "`sample_rate` must be a positive integer, but it is 0"),
        ({"num_mels": 0}, "`num_mels` must be a positive integer, but it is 0"),
        ({"window": 0.0}, "`window` must be at least one sample, 1 / 1000 s, but it is 0.0 s"),
        ({"hop": float("nan")}, "`hop` must be at least one sample, 1 / 1000 s, but it is nan s"),
        (
            {"high": 501.0},
            "sample rate, 500, one above the other, but they are 10 and 501",
        ),
        (
            {"low": 600.0},
            "sample rate, 500, one above the other, but they are 600 and 500",
        ),
        ({"scale": "bark"}, '`scale` must be "htk" or "slaney", but it is \'bark\''),
        ({"floor": 0.0}, "`floor` must be above 0 and finite, but it is 0.0"),
        ({"num_mels": 40}, "bands are too many for frames of 20 samples: band 0 lies between two"),
    ],
)
def test_numbers_out_of_range_are_refused(untyped, change, message):
    with pytest.raises(ValueError, match=f"log_mel: .*{message}"):
        log_mel(SAMPLES, **SETTINGS | change)
