"""What a recogniser hears of sound: the logarithm of its energy in mel bands, frame by frame."""

import functools
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxseq._arrays import accumulator
from jaxseq._checks import error
from jaxseq._types import Array, ArrayLike, Lengths
from jaxseq.sequence._arguments import check_lengths, check_positive
from jaxseq.sequence._frames import Frames

Scale = Literal["htk", "slaney"]
WHERE = "log_mel"


def log_mel(
    samples: Float[ArrayLike, "*batch N"],
    *,
    sample_rate: int,
    lengths: Lengths | None = None,
    num_mels: int = 40,
    window: float = 0.025,
    hop: float = 0.01,
    low: float = 20.0,
    high: float | None = None,
    scale: Scale = "htk",
    floor: float = 1e-10,
) -> Frames:
    r"""Returns the logarithm of the energy of sound in mel bands, frame by frame.

    .. math::
        X_t = \mathrm{rFFT}(w \odot s_{tH : tH + W}), \qquad
        f_{t,m} = \log \max\Bigl(\sum_k M_{mk} \, |X_t(k)|^2, \; \epsilon\Bigr)

    with Hann's window :math:`w_n = \sin^2(\pi n / W)`, and the FFT of the next power of two. The
    bands :math:`M` are triangles of height 1, each from the centre of the band below to that of the
    band above. Centres are equally far apart in mel, which with ``"htk"`` is
    :math:`2595 \log_{10}(1 + f / 700)`, and with ``"slaney"`` :math:`3 f / 200` below 1000 Hz and
    :math:`15 + 27 \log_{6.4}(f / 1000)` above.

    A frame lies in the sound as a whole: there is no reflection at its ends, so a row of a ragged
    batch has the frames that it has alone. Bands of equal area instead of equal height would add
    a constant to each feature, which :func:`standardize` takes out again.

    Args:
      samples: ``[*batch, N]``, usually in [-1, 1]; what is in the pads never matters.
      sample_rate: samples a second.
      lengths: how many samples of each row are valid; under jit one outside 0..N counts as the
        nearer end.
      num_mels: M, the number of bands.
      window: W, the length of a frame in seconds, rounded to samples.
      hop: H, from the start of one frame to that of the next in seconds, rounded to samples.
      low: where the lowest band begins, in Hz.
      high: where the highest band ends, in Hz; half the sample rate if left out.
      scale: which mel scale.
      floor: the least energy; silence is its logarithm, and has gradient 0.

    Returns:
      Features ``[*batch, T, M]`` with ``T = 1 + floor((N - W) / H)``, or 0 if N < W, and of each
      row the frames that lie in its valid samples. In the pads the features are 0. Half precision
      is computed, and returned, in float32.

    Raises:
      ValueError: if a shape is wrong, a length is outside 0..N, a number is out of range, or the
        bands are so many that one of them lies between two frequencies of the FFT.
      TypeError: if ``samples`` are not floating, or ``lengths`` no integers.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.sequence import log_mel
      >>> time = jnp.linspace(0.0, 1.0, 16000, endpoint=False)
      >>> second = jnp.sin(2 * jnp.pi * 440 * time)  # of the chamber pitch
      >>> features, lengths = log_mel(second, sample_rate=16000)
      >>> features.shape, int(lengths), int(features[50].argmax())
      ((98, 40), 98, 7)

    References:
      Davis and Mermelstein, "Comparison of Parametric Representations for Monosyllabic Word
      Recognition in Continuously Spoken Sentences", 1980; Young et al., "The HTK Book", 2006
      (``"htk"``); Slaney, "Auditory Toolbox, Version 2", 1998 (``"slaney"``).
    """
    check_positive(WHERE, "sample_rate", sample_rate)
    check_positive(WHERE, "num_mels", num_mels)
    samples = jnp.asarray(samples)
    if not jnp.issubdtype(samples.dtype, jnp.floating):
        problem = f"`samples` must be floating, but they have dtype {samples.dtype}"
        hint = "divide integers of 16 bits by 32768"
        raise error(WHERE, problem, hint=hint, kind=TypeError)
    if samples.ndim < 1:
        raise error(WHERE, "`samples` must have shape (*batch, N), but they have shape ()")
    size, step = (
        _samples(name, seconds, sample_rate) for name, seconds in (("window", window), ("hop", hop))
    )
    bands = _bands(num_mels, size, sample_rate, low, high, scale)
    if lengths is None:
        counts = jnp.full(samples.shape[:-1], samples.shape[-1], jnp.int32)
    else:
        counts = check_lengths(WHERE, lengths, samples.shape[:-1], samples.shape[-1])
    if not 0 < floor < math.inf:
        raise error(WHERE, f"`floor` must be above 0 and finite, but it is {floor!r}")
    return _log_mel(samples, counts, jnp.asarray(bands), size=size, step=step, floor=floor)


@functools.partial(jax.jit, static_argnames=("size", "step", "floor"))
def _log_mel(
    samples: Array, lengths: Array, bands: Array, *, size: int, step: int, floor: float
) -> Frames:
    dtype = accumulator(samples.dtype)
    valid = jax.lax.broadcasted_iota(jnp.int32, samples.shape, samples.ndim - 1)
    samples = jnp.where(valid < lengths[..., None], samples, 0).astype(dtype)
    total = max(0, 1 + (samples.shape[-1] - size) // step)
    at = step * np.arange(total)[:, None] + np.arange(size)
    cut = samples[..., at]
    window = jnp.broadcast_to(jnp.asarray(hann(size), dtype), cut.shape)
    spectrum = jnp.fft.rfft(cut * window, 2 * (bands.shape[0] - 1))
    power = spectrum.real**2 + spectrum.imag**2
    energy = jnp.einsum("...tk,km->...tm", power, bands.astype(dtype))
    features = jnp.log(jnp.maximum(energy, jnp.asarray(floor, dtype)))
    frames = jnp.maximum(0, 1 + (lengths - size) // step)
    frame = jax.lax.broadcasted_iota(jnp.int32, features.shape[:-1], features.ndim - 2)
    inside = frame < frames[..., None]
    return Frames(jnp.where(inside[..., None], features, 0), frames.astype(jnp.int32))


def hann(size: int) -> Float[np.ndarray, " W"]:
    """Returns Hann's window, periodic as spectra take it."""
    return np.sin(np.pi * np.arange(size) / size) ** 2


def mel_of(hertz: Any, scale: Scale) -> Any:
    """Returns where frequencies lie on a mel scale."""
    hertz = np.asarray(hertz, np.float64)
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + hertz / 700.0)
    above = 15.0 + 27.0 * np.log(np.maximum(hertz, 1000.0) / 1000.0) / np.log(6.4)
    return np.where(hertz < 1000.0, 3.0 * hertz / 200.0, above)


def hertz_of(mel: Any, scale: Scale) -> Any:
    """Returns the frequencies that lie at places of a mel scale."""
    mel = np.asarray(mel, np.float64)
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    return np.where(mel < 15.0, 200.0 * mel / 3.0, 1000.0 * 6.4 ** ((mel - 15.0) / 27.0))


def mel_edges(
    num_mels: int, *, low: float, high: float, scale: Scale = "htk"
) -> Float[np.ndarray, " E"]:
    """Returns the frequencies that bound the bands of :func:`log_mel`, equally far apart in mel.

    Args:
      num_mels: M, the number of bands.
      low: where the lowest band begins, in Hz.
      high: where the highest band ends, in Hz.
      scale: which mel scale.

    Returns:
      ``low``, the centres of the M bands, and ``high``: band m rises from edge m to edge m + 1, and
      falls to edge m + 2.

    Example:
      >>> mel_edges(2, low=0.0, high=4000.0).round().tolist()
      [0.0, 621.0, 1791.0, 4000.0]
    """
    ends = mel_of([low, high], scale)
    return hertz_of(np.linspace(ends[0], ends[1], num_mels + 2), scale)


@functools.cache
def _bands(
    num_mels: int, size: int, sample_rate: int, low: float, high: float | None, scale: Scale
) -> Float[np.ndarray, "F M"]:
    """Returns the weight of each frequency of the FFT in each band, or raises."""
    if scale not in ("htk", "slaney"):
        raise error(WHERE, f'`scale` must be "htk" or "slaney", but it is {scale!r}')
    top = sample_rate / 2 if high is None else high
    if not 0 <= low < top <= sample_rate / 2:
        raise error(
            WHERE,
            "`low` and `high` must lie between 0 and half the sample rate, "
            f"{sample_rate / 2:g}, one above the other, but they are {low:g} and {top:g}",
        )
    fft = 2 ** math.ceil(math.log2(size))
    frequency = np.arange(fft // 2 + 1) * (sample_rate / fft)
    edges = mel_edges(num_mels, low=low, high=top, scale=scale)
    rise = (frequency[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    fall = (edges[2:] - frequency[:, None]) / np.diff(edges)[1:]
    weights = np.maximum(0.0, np.minimum(rise, fall))
    empty = np.flatnonzero(weights.sum(0) == 0)
    if empty.size:
        raise error(
            WHERE,
            f"`num_mels` = {num_mels} bands are too many for frames of {size} samples: band "
            f"{empty[0]} lies between two frequencies of the FFT",
            hint="take fewer bands, or a longer window",
        )
    return weights


def _samples(name: str, seconds: float, sample_rate: int) -> int:
    """Returns a time in samples, at least one, or raises."""
    count = round(seconds * sample_rate) if math.isfinite(seconds) else 0
    if count < 1:
        raise error(
            WHERE,
            f"`{name}` must be at least one sample, 1 / {sample_rate} s, but it is {seconds!r} s",
        )
    return count
