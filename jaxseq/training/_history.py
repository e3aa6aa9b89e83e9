"""What happened in training, step by step."""

import dataclasses
from typing import Any, NamedTuple


class StepRecord(NamedTuple):
    """One training step.

    Attributes:
      step: its number, from 1.
      loss: the mean loss of its batch.
      norm: the gradient's global norm before clipping.
      clipped_norm: the one after.
      count: how many terms the loss had (tokens, say).
      seconds: of training until its end, without evaluations and checkpoints; results are fetched
        some at a time, and between two fetches the time is interpolated.

    Example:
      >>> StepRecord(1, 2.0, 0.5, 0.5, 32.0, 0.1).loss
      2.0
    """

    step: int
    loss: float
    norm: float
    clipped_norm: float
    count: float
    seconds: float


class EvaluationRecord(NamedTuple):
    """One evaluation.

    Attributes:
      step: how many steps were taken before it.
      value: what ``evaluate`` returned; lower is better.

    Example:
      >>> EvaluationRecord(100, 1.7).value
      1.7
    """

    step: int
    value: float


@dataclasses.dataclass
class History:
    """What happened in training; appended to while it runs.

    Attributes:
      steps: a record for every step.
      evaluations: a record for every evaluation.

    Example:
      >>> history = History()
      >>> history.steps.append(StepRecord(1, 2.0, 0.5, 0.5, 32.0, 0.1))
      >>> History.from_json(history.to_json()) == history
      True
    """

    steps: list[StepRecord] = dataclasses.field(default_factory=list)
    evaluations: list[EvaluationRecord] = dataclasses.field(default_factory=list)

    def to_json(self) -> dict[str, dict[str, list[Any]]]:
        """Returns the records as columns, ready for :func:`json.dumps`.

        Example:
          >>> History([], [EvaluationRecord(100, 1.7)]).to_json()["evaluations"]
          {'step': [100], 'value': [1.7]}
        """
        return {
            "steps": _columns(StepRecord, self.steps),
            "evaluations": _columns(EvaluationRecord, self.evaluations),
        }

    @classmethod
    def from_json(cls, columns: dict[str, dict[str, list[Any]]]) -> "History":
        """Returns the history that :meth:`to_json` wrote.

        Args:
          columns: what it returned.

        Example:
          >>> History.from_json(History().to_json())
          History(steps=[], evaluations=[])
        """
        return cls(
            _rows(StepRecord, columns["steps"]), _rows(EvaluationRecord, columns["evaluations"])
        )


def _columns(kind: Any, rows: list[Any]) -> dict[str, list[Any]]:
    return {name: [getattr(row, name) for row in rows] for name in kind._fields}


def _rows(kind: Any, columns: dict[str, list[Any]]) -> list[Any]:
    return [kind(*row) for row in zip(*(columns[name] for name in kind._fields), strict=True)]
