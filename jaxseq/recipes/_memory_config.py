"""The settings of a memory run."""

import dataclasses
from pathlib import Path
from typing import Literal

from jaxseq._checks import InputError, error
from jaxseq.recipes._memory_tasks import TASKS
from jaxseq.recipes._run import check_seed, check_settings

TASK = "memory"
CELLS = ("elman", "lstm", "gru")


@dataclasses.dataclass(frozen=True)
class Config:
    """Lets networks remember over longer and longer times: the adding problem and copy memory.

    For each task a network of each cell begins at the shortest length, and the same network goes on
    to the next one as soon as it solves a length, or has had its steps there. All cells get the
    same examples in the same order, as many steps, and the same size.

    Attributes:
      out: the directory for checkpoints, report, tables and pictures.
      tasks: which tasks.
      cells: which cells.
      lengths: T, growing: steps of a sequence (adding), blanks before the recall (copy).
      hidden_size: units of a network, which has one layer.
      batch_size: sequences in a step of training; none is seen twice.
      steps: of training at most at each length, rounded up to whole evaluate_every.
      evaluate_every: steps between looks at whether a length is solved.
      learning_rate: of Adam, for LSTM and GRU; it falls along a cosine to a tenth over the first
        so many steps, and stays there.
      elman_learning_rate: the same for the Elman network, which does best at a lower one.
      max_norm: what the gradient's global norm is clipped to.
      seed: of the first network of each kind, and of its examples.
      seeds: networks of each kind; each has the seed after the one before.
      resume: whether to go on with the run in that directory, if there is one.

    Example:
      >>> Config(lengths=(10, 20)).lengths
      (10, 20)
    """

    out: Path = Path("runs/memory")
    tasks: tuple[Literal["adding", "copy"], ...] = ("adding", "copy")
    cells: tuple[Literal["elman", "lstm", "gru"], ...] = CELLS
    lengths: tuple[int, ...] = (10, 25, 50, 100, 200)
    hidden_size: int = 128
    batch_size: int = 32
    steps: int = 2000
    evaluate_every: int = 50
    learning_rate: float = 2e-2
    elman_learning_rate: float = 3e-3
    max_norm: float = 1.0
    seed: int = 0
    seeds: int = 1
    resume: bool = False


def check(config: Config) -> None:
    """Raises unless the settings make sense.

    Raises:
      InputError: if one does not.
    """
    for name, known in (("tasks", tuple(TASKS)), ("cells", CELLS)):
        asked = getattr(config, name)
        if not asked or len({*asked}) < len(asked) or not {*asked} <= {*known}:
            problem = f"`{name}` must be some of {', '.join(known)}, each once, but it is {asked}"
            raise error(TASK, problem, kind=InputError)
    lengths = config.lengths
    if not lengths or lengths[0] < 2 or list(lengths) != sorted({*lengths}):
        problem = f"`lengths` must be numbers that grow, from 2 on, but it is {lengths}"
        raise error(TASK, problem, kind=InputError)
    for name, least in (("seeds", 1), ("hidden_size", 1), ("elman_learning_rate", None)):
        value = getattr(config, name)
        if not (value > 0 if least is None else value >= least):
            bound = "above 0" if least is None else f"at least {least}"
            raise error(TASK, f"`{name}` must be {bound}, but it is {value}", kind=InputError)
    check_settings(TASK, config)
    check_seed(TASK, config.seed + config.seeds - 1)
