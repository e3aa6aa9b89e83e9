"""Records librosa's log-mel features: ``python tests/parity/make_log_mel_fixture.py``.

Needs librosa and NumPy only; with which version the fixture that is kept was made, it says. It goes
into ``fixtures/log_mel.npz`` beside this script.
"""

from importlib.metadata import version

import librosa
import numpy as np
from speech_cases import CASES, FIXTURE, sound


def features(case: dict) -> np.ndarray:
    """Returns the features of the case's sound, ``[T, M]``.

    librosa's frames are as long as its FFT, with the window in their middle. So much silence is put
    before and after the sound that the windows begin where ours do.
    """
    rate = case["sample_rate"]
    window = round(case.get("window", 0.025) * rate)
    fft = 2 ** int(np.ceil(np.log2(window)))
    before = (fft - window) // 2
    samples = np.pad(sound(rate), (before, fft - window - before))
    energy = librosa.feature.melspectrogram(
        y=samples,
        sr=rate,
        n_fft=fft,
        win_length=window,
        hop_length=round(case.get("hop", 0.01) * rate),
        window="hann",
        center=False,
        power=2.0,
        n_mels=case["num_mels"],
        fmin=case.get("low", 20.0),
        fmax=case.get("high", rate / 2),
        htk=case["scale"] == "htk",
        norm=None,
    )
    return np.log(np.maximum(energy, 1e-10)).T


if __name__ == "__main__":
    found = {name: features(case).astype(np.float32) for name, case in CASES.items()}
    np.savez_compressed(FIXTURE, librosa=version("librosa"), **found)
    print(f"{FIXTURE}: {FIXTURE.stat().st_size} bytes, librosa {version('librosa')}")
