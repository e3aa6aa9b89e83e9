"""The settings of a recogniser, and what suits the data that it learns from."""

import dataclasses
from pathlib import Path
from typing import Any, Literal

from jaxseq._checks import InputError, error

TASK = "speech"


@dataclasses.dataclass(frozen=True)
class Config:
    """Trains a recurrent recogniser of speech, by CTC.

    A setting left out is the one that suits the data: one for each of digits and letters, which are
    synthesised; of a file of your own the one for speech in general.

    Attributes:
      data: a TSV or CSV file with the columns path, of WAV files, and transcript, and speaker if
        there is one; plain or gzipped. Or digits, or letters: connected ones in many voices, made
        by espeak-ng at the beginning of each run.
      valid: a file whose recordings choose the best weights; without it, some of the data do.
      out: the directory for checkpoints, report and pictures.
      hold_out: of a file without a validation part, every so-manieth recording, by the checksum of
        its path, chooses the best weights; 0 to train on all and take the last weights.
      utterances: of digits or letters, so many to train on; a tenth as many choose the best
        weights, and a fifth as many are the test part, each in voices of its own.
      labels: whether words are found, of which there must be few, or characters.
      sample_rate: what recordings are brought to, in samples a second.
      num_mels: bands of the features.
      stack: so many frames of 10 ms are read as one.
      noise: in training, white noise is added to every recording, from so many dB below it up to 40
        dB; 0 or below for strong noise, 40 or more for none.
      warp: in training, the bands of each recording are stretched or squeezed by a factor up to so
        far from 1, as if the speaker were smaller or taller.
      time_mask: in training, so many frames are hidden, twice in a recording, at most.
      mel_mask: in training, so many bands are hidden at most.
      cell: the recurrent cell.
      hidden_size: units in a direction of a layer.
      num_layers: recurrent layers.
      dropout: the share dropped from what the layers read, between them, and from what they give.
      beam: how many hypotheses a beam search keeps.
      batch_size: recordings in a batch.
      epochs: passes over the training recordings.
      learning_rate: at its highest; it rises over the first steps and falls along a cosine.
      weight_decay: of AdamW.
      max_norm: what the gradient's global norm is clipped to.
      patience: ends the run after so many epochs without an improvement; 0 for never.
      seed: of what is said, of weights, order, noise and dropout.
      resume: whether to go on with the run in that directory, if there is one.
      tensorboard: whether loss, norms and evaluations are also written into ``out/tensorboard``.

    Example:
      >>> Config(hidden_size=32).hidden_size
      32
    """

    data: str = "digits"
    valid: str | None = None
    out: Path = Path("runs/speech")
    hold_out: int = 10
    utterances: int = 3000
    labels: Literal["words", "characters"] | None = None
    sample_rate: int | None = None
    num_mels: int = 40
    stack: int | None = None
    noise: float | None = None
    warp: float = 0.15
    time_mask: int = 20
    mel_mask: int = 8
    cell: Literal["elman", "gru", "lstm"] = "lstm"
    hidden_size: int | None = None
    num_layers: int | None = None
    dropout: float = 0.2
    beam: int = 8
    batch_size: int = 32
    epochs: int | None = None
    learning_rate: float = 3e-3
    weight_decay: float = 1e-3
    max_norm: float = 1.0
    patience: int = 0
    seed: int = 0
    resume: bool = False
    tensorboard: bool = False


GENERAL: dict[str, Any] = {
    "labels": "characters",
    "sample_rate": 16000,
    "stack": 3,
    "noise": 40.0,
    "hidden_size": 192,
    "num_layers": 2,
    "epochs": 40,
}
SYNTHESISED: dict[str, dict[str, Any]] = {
    "digits": {
        "labels": "words",
        "sample_rate": 8000,
        "stack": 3,
        "noise": 10.0,
        "hidden_size": 128,
        "num_layers": 1,
        "epochs": 15,
    },
    "letters": {
        "labels": "words",
        "noise": 10.0,
        "hidden_size": 128,
        "epochs": 20,
    },
}


def resolved(config: Config) -> Config:
    """Returns the settings with those left out filled in for the data.

    Args:
      config: the settings asked for.

    Example:
      >>> resolved(Config()).labels, resolved(Config(data="my.tsv")).labels
      ('words', 'characters')
    """
    suited = GENERAL | SYNTHESISED.get(config.data, {})
    left = {name: value for name, value in suited.items() if getattr(config, name) is None}
    return dataclasses.replace(config, **left)


def check(config: Config) -> None:
    """Raises unless the numbers that this task alone has are in their ranges.

    Args:
      config: the settings, none of which is left out.

    Raises:
      InputError: naming the number.
    """
    for names, text, holds in (
        (("hold_out",), "0, or at least 2", lambda value: value == 0 or value >= 2),
        (("utterances",), "at least 10", lambda value: value >= 10),
        (("sample_rate",), "at least 1000", lambda value: value >= 1000),
        (("beam",), "at least 1", lambda value: value >= 1),
        (("time_mask", "mel_mask"), "at least 0", lambda value: value >= 0),
        (("warp",), "in [0, 1)", lambda value: 0 <= value < 1),
        (("noise",), "a finite number", lambda value: abs(value) < float("inf")),
    ):
        for name in names:
            value = getattr(config, name)
            if not holds(value):
                problem = f"`{name}` must be {text}, but it is {value}"
                raise error(TASK, problem, kind=InputError)
