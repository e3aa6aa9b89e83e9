"""Training: a pure, compiled step, a loop around it, and checkpoints that resume to the bit."""

from jaxseq.training._checkpoints import Checkpoints
from jaxseq.training._clip import Clipped, clip_by_global_norm
from jaxseq.training._evaluate import Evaluation, make_evaluate
from jaxseq.training._fit import FitResult, fit
from jaxseq.training._history import EvaluationRecord, History, StepRecord
from jaxseq.training._loggers import CSVLogger, Logger, TensorBoardLogger
from jaxseq.training._plots import learning_curve
from jaxseq.training._run import Best, DivergedError
from jaxseq.training._state import TrainState, init_state
from jaxseq.training._step import Metrics, make_step

__all__ = [
    "Best",
    "CSVLogger",
    "Checkpoints",
    "Clipped",
    "DivergedError",
    "Evaluation",
    "EvaluationRecord",
    "FitResult",
    "History",
    "Logger",
    "Metrics",
    "StepRecord",
    "TensorBoardLogger",
    "TrainState",
    "clip_by_global_norm",
    "fit",
    "init_state",
    "learning_curve",
    "make_evaluate",
    "make_step",
]
