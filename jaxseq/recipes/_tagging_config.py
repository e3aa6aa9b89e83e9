"""The settings of a tagger, and what suits the bundled data."""

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from jaxseq._checks import InputError, error
from jaxseq.losses import spans

TASK = "tagging"

Scheme = Literal["none", "bio", "bioes", "bmes", "runs"]


@dataclasses.dataclass(frozen=True)
class Config:
    """Trains a recurrent tagger of words or characters, alone or under a CRF.

    A setting left out is the one that suits the data: one for each of the bundled usaddress,
    hkcancor and korean_spacing; of a file of your own the one for taggers in general.

    Attributes:
      data: a file, or the name of a bundled corpus (usaddress, hkcancor, korean_spacing). A file
        has CoNLL columns, token first and label last, and blank lines between; plain or gzipped.
      valid: a file whose sequences choose the best weights; without it, some of the data do.
      out: the directory for checkpoints, report and pictures.
      hold_out: without a validation part, every so-manieth sequence, by its checksum, chooses the
        best weights; 0 to train on all and take the last weights.
      output: whether each label is chosen by itself, or all as one path of a CRF.
      scheme: how labels make spans: BIO, BIOES or BMES prefixes, which a CRF then keeps to; runs of
        one label; none. Left out, it is read off the labels.
      affixes: up to how many characters the beginnings and endings are that are read of each word,
        and its shape with them; 0 for the word alone.
      spelling: whether a layer reads the characters of each word.
      max_letters: so many of them, from the first on.
      min_count: how often a word must occur to be told from the unknown.
      cell: the recurrent cell.
      embed_size: the width of a word's vector.
      hidden_size: units in a direction of a layer.
      num_layers: recurrent layers.
      char_embed_size: the width of a character's vector.
      char_hidden_size: units in a direction over the characters.
      dropout: the share dropped from what the layers read, between them, and from what they give.
      word_dropout: the share of words that are hidden in training.
      batch_size: sequences in a batch.
      epochs: passes over the training sequences.
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

    data: str = "usaddress"
    valid: str | None = None
    out: Path = Path("runs/tagging")
    hold_out: int | None = None
    output: Literal["softmax", "crf"] | None = None
    scheme: Scheme | None = None
    affixes: int | None = None
    spelling: bool | None = None
    max_letters: int | None = None
    min_count: int | None = None
    cell: Literal["elman", "gru", "lstm"] | None = None
    embed_size: int | None = None
    hidden_size: int | None = None
    num_layers: int | None = None
    char_embed_size: int | None = None
    char_hidden_size: int | None = None
    dropout: float | None = None
    word_dropout: float | None = None
    batch_size: int | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    max_norm: float = 1.0
    patience: int = 0
    seed: int = 0
    resume: bool = False
    tensorboard: bool = False


GENERAL: dict[str, Any] = {
    "hold_out": 10,
    "output": "crf",
    "affixes": 0,
    "spelling": True,
    "max_letters": 20,
    "min_count": 2,
    "cell": "lstm",
    "embed_size": 64,
    "hidden_size": 128,
    "num_layers": 1,
    "char_embed_size": 24,
    "char_hidden_size": 48,
    "dropout": 0.4,
    "word_dropout": 0.05,
    "batch_size": 32,
    "epochs": 20,
    "learning_rate": 3e-3,
    "weight_decay": 1e-3,
}
BUNDLED: dict[str, dict[str, Any]] = {
    "usaddress": {
        "scheme": "runs",
        "affixes": 4,
        "embed_size": 96,
        "dropout": 0.5,
        "word_dropout": 0.15,
        "epochs": 40,
    },
    "hkcancor": {
        "scheme": "none",
        "output": "softmax",
        "affixes": 2,  # words of one to three characters: these are all of them
        "spelling": False,
        "embed_size": 96,
        "dropout": 0.35,
        "batch_size": 64,
        "epochs": 12,
    },
    "korean_spacing": {
        "scheme": "none",
        "spelling": False,
        "output": "softmax",
        "batch_size": 64,
        "epochs": 12,
    },
}


def resolved(config: Config, labels: set[str]) -> Config:
    """Returns the settings with those left out filled in for the data.

    Args:
      config: the settings asked for.
      labels: of the data.

    Example:
      >>> resolved(Config(epochs=3, data="my.conll"), {"O", "B-PER", "I-PER"}).scheme
      'bio'
    """
    suited = GENERAL | {"scheme": scheme_of(labels)} | BUNDLED.get(config.data, {})
    left = {name: value for name, value in suited.items() if getattr(config, name) is None}
    return dataclasses.replace(config, **left)


def scheme_of(labels: set[str]) -> Scheme:
    """Returns the scheme that the prefixes of labels follow: BIO, BIOES, BMES or none.

    Example:
      >>> scheme_of({"O", "B-PER", "I-PER"}), scheme_of(set("BMES")), scheme_of(set("ABC"))
      ('bio', 'bmes', 'none')
    """
    letters = {label.partition("-")[0] for label in labels if label != "O"}
    bare = not any("-" in label for label in labels)
    # A letter alone may be any label: it takes more of them to be sure.
    for scheme, least, inside in (("bio", "B", "I"), ("bioes", "S", "IBE"), ("bmes", "S", "MBE")):
        if {*least} <= letters <= {*least, *inside} and (not bare or {*inside} <= letters):
            return scheme
    return "none"


def check(config: Config, labels: Collection[str]) -> None:
    """Raises unless the numbers that this task alone has are in range, and labels of the scheme.

    Args:
      config: the settings, none of which is left out.
      labels: of the data.

    Raises:
      InputError: naming the number.
      ValueError: naming the label.
    """
    for name, text, holds in (
        ("hold_out", "0, or at least 2", lambda value: value == 0 or value >= 2),
        ("affixes", "at least 0", lambda value: value >= 0),
        ("max_letters", "at least 1", lambda value: value >= 1),
        ("word_dropout", "in [0, 1)", lambda value: 0 <= value < 1),
    ):
        value = getattr(config, name)
        if not holds(value):
            problem = f"`{name}` must be {text}, but it is {value}"
            raise error(TASK, problem, kind=InputError)
    if config.scheme not in (None, "none"):
        spans(sorted(labels), scheme=config.scheme)
