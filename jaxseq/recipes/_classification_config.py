"""The settings of a classifier, and what suits the bundled data."""

import dataclasses
from pathlib import Path
from typing import Any, Literal

from jaxseq._checks import InputError, error

Pooling = Literal["last", "mean", "max", "attention", "mean+max", "last+max"]

TASK = "classification"


@dataclasses.dataclass(frozen=True)
class Config:
    """Trains a recurrent classifier of texts or of series of vectors.

    A setting left out is the one that suits the data: one for each of the bundled names, udhr and
    japanese_vowels; of a file of your own the one for texts, or for series, in general.

    Attributes:
      data: a file, or the name of a bundled corpus (names, udhr, japanese_vowels). TSV or CSV with
        the columns text and label; NPZ or .ts for series; plain or gzipped.
      valid: a file whose examples choose the best weights; without it, some of the data do.
      out: the directory for checkpoints, report and pictures.
      hold_out: without a validation part, every so-manieth example, by its checksum, chooses the
        best weights; 0 to train on all and take the last weights.
      units: what a symbol of a text is.
      lowercase: whether capital letters are read as small ones.
      ngrams: what is read at each place of a text: the symbol, and with it the runs of up to so
        many symbols that end there.
      max_length: symbols of a text that are read.
      min_count: how often a symbol must occur to be told from the unknown.
      cell: the recurrent cell.
      embed_size: the width of a symbol's vector.
      hidden_size: units in a direction of a layer.
      num_layers: recurrent layers.
      bidirectional: whether the layers read both ways.
      networks: how many networks there are, trained side by side, whose probabilities are averaged.
      pooling: how the steps become one vector.
      dropout: the share dropped from what the layers read, between them, and from what they give.
      symbol_dropout: the share of symbols of a text that are hidden in training.
      crop: in training, a text is a random piece of at most so many symbols; 0 for whole texts.
      noise: in training, the deviation of what is added to a series of deviation 1.
      label_smoothing: the share of each target that is spread over all classes.
      batch_size: sequences in a batch.
      epochs: passes over the training examples.
      learning_rate: at its highest; it rises over the first steps and falls along a cosine.
      weight_decay: of AdamW.
      max_norm: what the gradient's global norm is clipped to.
      patience: ends the run after so many epochs without an improvement; 0 for never.
      seed: of weights, order and dropout.
      resume: whether to go on with the run in that directory, if there is one.
      tensorboard: whether loss, norms and evaluations are also written into ``out/tensorboard``.

    Example:
      >>> Config(hidden_size=32).hidden_size
      32
    """

    data: str = "names"
    valid: str | None = None
    out: Path = Path("runs/classification")
    hold_out: int | None = None
    units: Literal["characters", "words"] = "characters"
    lowercase: bool | None = None
    ngrams: int | None = None
    max_length: int = 1000
    min_count: int = 1
    cell: Literal["elman", "gru", "lstm"] | None = None
    embed_size: int | None = None
    hidden_size: int | None = None
    num_layers: int | None = None
    bidirectional: bool = True
    networks: int | None = None
    pooling: Pooling | None = None
    dropout: float | None = None
    symbol_dropout: float | None = None
    crop: int | None = None
    noise: float | None = None
    label_smoothing: float | None = None
    batch_size: int | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    max_norm: float = 1.0
    patience: int = 0
    seed: int = 0
    resume: bool = False
    tensorboard: bool = False


TEXTS: dict[str, Any] = {
    "hold_out": 10,
    "lowercase": False,
    "ngrams": 1,
    "cell": "gru",
    "embed_size": 32,
    "hidden_size": 128,
    "num_layers": 1,
    "networks": 1,
    "pooling": "mean+max",
    "dropout": 0.3,
    "symbol_dropout": 0.0,
    "crop": 0,
    "noise": 0.0,
    "label_smoothing": 0.1,
    "batch_size": 64,
    "epochs": 20,
    "learning_rate": 3e-3,
    "weight_decay": 1e-3,
}
SERIES: dict[str, Any] = TEXTS | {
    "hidden_size": 64,
    "batch_size": 32,
    "epochs": 60,
    "noise": 0.1,
}
BUNDLED: dict[str, dict[str, Any]] = {
    "names": TEXTS,
    "udhr": TEXTS
    | {
        "hold_out": 0,
        "lowercase": True,
        "ngrams": 2,
        "crop": 48,
        "pooling": "mean",
        "label_smoothing": 0.02,
        "epochs": 150,
        "learning_rate": 5e-3,
    },
    "japanese_vowels": SERIES | {"hold_out": 0},
}


def resolved(config: Config, kind: Literal["text", "series"]) -> Config:
    """Returns the settings with those left out filled in for the data.

    Args:
      config: the settings asked for.
      kind: of the data.

    Example:
      >>> resolved(Config(epochs=3), "text").epochs, resolved(Config(data="a.ts"), "series").noise
      (3, 0.1)
    """
    general = TEXTS if kind == "text" else SERIES
    suited = general | BUNDLED.get(config.data, {})
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
        (("max_length",), "at least 1", lambda value: value >= 1),
        (("crop",), "at least 0", lambda value: value >= 0),
        (("noise",), "at least 0 and finite", lambda value: 0 <= value < float("inf")),
        (("symbol_dropout", "label_smoothing"), "in [0, 1)", lambda value: 0 <= value < 1),
    ):
        for name in names:
            value = getattr(config, name)
            if not holds(value):
                problem = f"`{name}` must be {text}, but it is {value}"
                raise error(TASK, problem, kind=InputError)
