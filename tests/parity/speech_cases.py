"""The sounds whose features are compared with librosa's, and where those are kept."""

from pathlib import Path

import numpy as np

FIXTURE = Path(__file__).parent / "fixtures" / "log_mel.npz"

CASES = {
    "htk_8k": {"sample_rate": 8000, "num_mels": 23, "scale": "htk"},
    "htk_16k": {"sample_rate": 16000, "num_mels": 40, "scale": "htk"},
    "slaney_16k": {"sample_rate": 16000, "num_mels": 40, "scale": "slaney"},
    "slaney_narrow": {
        **{"sample_rate": 8000, "num_mels": 12, "scale": "slaney"},
        **{"low": 300.0, "high": 3400.0, "window": 0.032, "hop": 0.0125},
    },
}


def sound(sample_rate: int) -> np.ndarray:
    """Half a second of tones that glide, with noise, as float64."""
    rng = np.random.default_rng(sample_rate)
    time = np.arange(sample_rate // 2) / sample_rate
    tones = sum(np.sin(2 * np.pi * f * (1 + time) * time) / f**0.3 for f in (180, 620, 1900))
    return 0.2 * tones * np.hanning(len(time)) + 0.01 * rng.standard_normal(len(time))
