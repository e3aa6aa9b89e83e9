"""The settings of a translator, and what suits the bundled data."""

import dataclasses
from pathlib import Path
from typing import Any, Literal

from jaxseq._checks import InputError, error

TASK = "translation"

Units = Literal["characters", "words", "pieces", "spaces"]


@dataclasses.dataclass(frozen=True)
class Config:
    """Trains a recurrent translator with attention: of texts, or of words to their sounds.

    A setting left out is the one that suits the data: one for each of the bundled cmudict (English
    words to phones, stress left out) and home_assistant_en_ko (English to Korean); of a file of
    your own the one for translators in general.

    Attributes:
      data: a file, or the name of a bundled corpus (cmudict, home_assistant_en_ko). A file is TSV
        or CSV with a header, and has the columns source and target; plain or gzipped. A source may
        have several rows, and each of its targets is right.
      valid: a file whose pairs choose the best weights; without it, some of the data do.
      out: the directory for checkpoints, report and pictures.
      full: whether to train longer, and larger or more networks, where the data have such settings.
      hold_out: without a validation part, every so-manieth source, by its checksum, chooses the
        best weights; 0 to train on all and take the last weights.
      source_units: what the symbols of a source are: its characters, its words and punctuation,
        frequent pieces of these, or what stands between its spaces. A {placeholder} is always one.
      target_units: the same of a target.
      pieces: how often two pieces are joined to one while they are learnt, on either side.
      max_length: pairs with more symbols than that on either side, or words where symbols are
        pieces of them, are not trained on.
      min_count: how often a symbol must occur to be told from the unknown.
      cell: the recurrent cell.
      embed_size: the width of a symbol's vector.
      hidden_size: units of the decoder, and half as many in each direction of the encoder.
      num_layers: recurrent layers on each side.
      networks: how many networks there are, trained side by side, whose probabilities are averaged
        in the search.
      attention: how the decoder compares its state with the states of the encoder.
      input_feeding: whether a step of the decoder also reads what the one before it attended to.
      tied: whether the target's vectors are also the weights of the output.
      dropout: the share dropped from what the layers read, between them, and from what they give.
      label_smoothing: the share of each target that is spread over all symbols.
      sampling: the share of a target's symbols that the decoder has from itself, not from the data,
        while it learns.
      batch_size: pairs in a batch.
      epochs: passes over the training pairs.
      learning_rate: at its highest; it rises over the first steps and falls along a cosine.
      weight_decay: of AdamW.
      max_norm: what the gradient's global norm is clipped to; of several networks, the quadratic
        mean of theirs.
      patience: ends the run after so many epochs without an improvement; 0 for never.
      beam: how many translations are kept while one is searched; 1 is greedy.
      length_penalty: the power of its length by which the log-probability of a translation is
        divided before it is compared with others; 0 for none.
      memory: how much the translations of the nearest training sources count, all together, in the
        choice of a translation; those of the network count as much as it is certain, 1 at most. 0
        for none.
      seed: of weights, order and dropout.
      resume: whether to go on with the run in that directory, if there is one.
      tensorboard: whether loss, norms and evaluations are also written into ``out/tensorboard``.

    Example:
      >>> Config(hidden_size=32).hidden_size
      32
    """

    data: str = "cmudict"
    valid: str | None = None
    out: Path = Path("runs/translation")
    full: bool = False
    hold_out: int | None = None
    source_units: Units | None = None
    target_units: Units | None = None
    pieces: int | None = None
    max_length: int | None = None
    min_count: int | None = None
    cell: Literal["elman", "gru", "lstm"] | None = None
    embed_size: int | None = None
    hidden_size: int | None = None
    num_layers: int | None = None
    networks: int | None = None
    attention: Literal["dot", "general", "additive"] | None = None
    input_feeding: bool | None = None
    tied: bool | None = None
    dropout: float | None = None
    label_smoothing: float | None = None
    sampling: float | None = None
    batch_size: int | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    max_norm: float = 1.0
    patience: int = 0
    beam: int | None = None
    length_penalty: float | None = None
    memory: float | None = None
    seed: int = 0
    resume: bool = False
    tensorboard: bool = False


GENERAL: dict[str, Any] = {
    "hold_out": 10,
    "source_units": "characters",
    "target_units": "characters",
    "pieces": 2000,
    "max_length": 200,
    "min_count": 1,
    "cell": "gru",
    "embed_size": 64,
    "hidden_size": 256,
    "num_layers": 1,
    "networks": 1,
    "attention": "general",
    "input_feeding": False,
    "tied": False,
    "dropout": 0.3,
    "label_smoothing": 0.1,
    "sampling": 0.0,
    "batch_size": 64,
    "epochs": 20,
    "learning_rate": 3e-3,
    "weight_decay": 1e-3,
    "beam": 5,
    "length_penalty": 1.0,
    "memory": 0.0,
}
BUNDLED: dict[str, dict[str, Any]] = {
    "cmudict": {
        "target_units": "spaces",
        "dropout": 0.0,  # every letter counts: a tenth of them dropped costs 3 words in 100
        "batch_size": 128,
        "epochs": 6,
    },
    "home_assistant_en_ko": {
        "source_units": "pieces",
        "target_units": "pieces",
        "embed_size": 128,
        "batch_size": 32,
        "epochs": 22,
        "learning_rate": 2e-3,
        "memory": 1.0,
    },
}
FULL: dict[str, dict[str, Any]] = {
    "cmudict": {"networks": 4, "epochs": 8},
}


def resolved(config: Config) -> Config:
    """Returns the settings with those left out filled in for the data.

    Example:
      >>> resolved(Config(epochs=3, data="my.tsv")).source_units
      'characters'
    """
    suited = GENERAL | BUNDLED.get(config.data, {})
    if config.full:
        suited |= FULL.get(config.data, {})
    left = {name: value for name, value in suited.items() if getattr(config, name) is None}
    return dataclasses.replace(config, **left)


def as_begun(config: Config) -> Config:
    """Returns the settings of a run, which has one network if it is older than the number of them.

    Example:
      >>> as_begun(Config(full=True)).networks
      1
    """
    return dataclasses.replace(config, networks=1) if config.networks is None else config


def check(config: Config) -> None:
    """Raises unless the numbers that this task alone has are in range.

    Args:
      config: the settings, none of which is left out.

    Raises:
      InputError: naming the number.
    """
    for name, text, holds in (
        ("hold_out", "0, or at least 2", lambda value: value == 0 or value >= 2),
        ("max_length", "at least 1", lambda value: value >= 1),
        ("pieces", "at least 0", lambda value: value >= 0),
        ("beam", "at least 1", lambda value: value >= 1),
        ("length_penalty", "at least 0", lambda value: value >= 0),
        ("label_smoothing", "in [0, 1)", lambda value: 0 <= value < 1),
        ("memory", "at least 0", lambda value: value >= 0),
        ("sampling", "in [0, 1]", lambda value: 0 <= value <= 1),
    ):
        value = getattr(config, name)
        if not holds(value):
            problem = f"`{name}` must be {text}, but it is {value}"
            raise error(TASK, problem, kind=InputError)
    if config.full and config.data not in FULL:
        problem = f"there are no larger settings for {config.data}"
        hint = f"there are some for {', '.join(FULL)}; of your own data set the sizes yourself"
        raise error(TASK, problem, hint=hint, kind=InputError)
