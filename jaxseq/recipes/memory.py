"""How long a recurrent network remembers: the adding problem and copy memory over growing T.

The textbook's claim that an Elman network forgets, and that gates mend it, as a table. For each
task a network of each cell begins at a short length, and the same network goes on to ever longer
ones: as soon as it solves a length, or when its steps there are used up. What differs between the
cells is said in :class:`Config` and nothing else: the learning rate, and that LSTM and GRU begin
with gates that remember (:func:`jaxseq.recipes._memory_network.chrono`), where Elman's has none.
"""

import itertools
import math
from importlib import metadata
from typing import Any

import jax

from jaxseq._types import PyTree
from jaxseq._version import __version__
from jaxseq.recipes._directory import settings_of_run, write_settings
from jaxseq.recipes._memory_config import TASK, Config, check
from jaxseq.recipes._memory_course import THRESHOLD, Network, follow
from jaxseq.recipes._memory_report import curves_of, leave, rows_of, summary
from jaxseq.recipes._memory_tasks import Examples, Task, adding, copy_memory
from jaxseq.recipes._run import check_drawing

__all__ = [
    "Config",
    "Examples",
    "TASK",
    "Task",
    "adding",
    "copy_memory",
    "summary",
    "train",
]


def train(config: Config) -> dict[str, Any]:
    """Trains a network of each cell for each task, and leaves what came of it in ``config.out``.

    There are then ``config.json``, ``checkpoints/`` (one for each network), ``report.json``,
    ``table.md`` and ``table.csv`` (a row for each network and length), ``history.json`` (errors on
    the validation set over the steps), ``error_over_length.png`` and ``learning_curve.png``.
    SIGTERM and Ctrl-C end the run after the step under way, with a checkpoint; ``resume`` goes on
    from there to the same numbers, bit for bit.

    Args:
      config: the settings.

    Returns:
      The report; where the run was interrupted, only how it can go on.

    Raises:
      InputError: if the settings or the directory cannot be used.
      OSError: if something cannot be written; what was there before stays.
      DivergedError: if loss or gradient are no longer finite.
      ImportError: if matplotlib, which draws the pictures, is not installed.

    Example:
      >>> import pathlib, tempfile
      >>> from jaxseq.recipes import memory
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     config = memory.Config(
      ...         out=pathlib.Path(directory), tasks=("adding",), cells=("elman",), lengths=(3,),
      ...         hidden_size=2, batch_size=2, steps=2)
      ...     report = memory.train(config)
      >>> report["rows"][0]["solved"], report["rows"][0]["steps"]
      (False, 2)
    """
    config, page = settings_of_run(config, TASK)
    check(config)
    check_drawing()
    if page is None:
        write_settings(config.out, TASK, config)
    seeds = range(config.seed, config.seed + config.seeds)
    networks = [
        Network(task, cell, seed)
        for seed, task, cell in itertools.product(seeds, config.tasks, config.cells)
    ]
    rows, curves, parameters = [], [], {}
    for number, network in enumerate(networks):
        course, params = follow(network, config)
        if not course.over:
            return {
                "outcome": "interrupted",
                "finished": number,
                "networks": len(networks),
                "step": course.steps,
                "out": str(config.out),
            }
        rows += rows_of(course)
        curves += curves_of(course)
        parameters[f"{network.task}-{network.cell}"] = _size(params)
    report = {
        "task": TASK,
        "outcome": "finished",
        "threshold": THRESHOLD,
        "rows": rows,
        "parameters": parameters,
        "seconds": round(math.fsum(row["seconds"] for row in rows), 1),
        "versions": {"jaxseq": __version__}
        | {name: metadata.version(name) for name in ("jax", "flax", "optax")},
        "device": jax.devices()[0].device_kind,
    }
    leave(config.out, report, curves)
    return report


def _size(params: PyTree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(params))
