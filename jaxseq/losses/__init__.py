"""Losses and metrics over ragged batches: counts and sums, so that neither pads nor sizes distort.

- Losses: :func:`cross_entropy`, with :func:`perplexity` and :func:`bits_per_symbol`; a
  :class:`SumCount` each, of which :func:`mean` is taken once, at the end.
- Classes: :func:`accuracy`; :func:`confusion_matrix`, with :func:`precision_recall_f1` and
  :func:`macro_f1`.
- Forecasts: :func:`squared_error` and :func:`absolute_error`, :func:`quantile_loss`,
  :func:`student_t_loss` and :func:`gaussian_mixture_loss`; :func:`scaled_error` (MASE, with
  :func:`naive_scale`), :func:`root_mean_square`, :func:`relative_variance`, :func:`coverage`, and
  the CRPS: :func:`crps_quantiles`, :func:`crps_samples`, :func:`crps_student_t`,
  :func:`crps_gaussian_mixture`.
- Sequences of labels or words, on the host: :func:`spans` and :func:`span_f1`;
  :func:`edit_distance` and :func:`error_rate`.
"""

from jaxseq.losses._confusion import confusion_matrix
from jaxseq.losses._cross_entropy import cross_entropy
from jaxseq.losses._crps import (
    crps_gaussian_mixture,
    crps_quantiles,
    crps_samples,
    crps_student_t,
)
from jaxseq.losses._distributions import (
    absolute_error,
    gaussian_mixture_loss,
    quantile_loss,
    squared_error,
    student_t_loss,
)
from jaxseq.losses._edit_distance import ErrorRate, edit_distance, error_rate
from jaxseq.losses._f1 import PRF, macro_f1, precision_recall_f1
from jaxseq.losses._forecast_metrics import (
    coverage,
    naive_scale,
    relative_variance,
    root_mean_square,
    scaled_error,
)
from jaxseq.losses._metrics import accuracy, bits_per_symbol, perplexity
from jaxseq.losses._quantiles import gaussian_mixture_quantiles, student_t_quantiles
from jaxseq.losses._spans import PRFCounts, Span, SpanF1, span_f1, spans
from jaxseq.losses._sum_count import SumCount, mean

__all__ = [
    "ErrorRate",
    "PRF",
    "PRFCounts",
    "Span",
    "SpanF1",
    "SumCount",
    "absolute_error",
    "accuracy",
    "bits_per_symbol",
    "confusion_matrix",
    "coverage",
    "cross_entropy",
    "crps_gaussian_mixture",
    "crps_quantiles",
    "crps_samples",
    "crps_student_t",
    "edit_distance",
    "error_rate",
    "gaussian_mixture_loss",
    "gaussian_mixture_quantiles",
    "macro_f1",
    "mean",
    "naive_scale",
    "perplexity",
    "precision_recall_f1",
    "quantile_loss",
    "relative_variance",
    "root_mean_square",
    "scaled_error",
    "span_f1",
    "spans",
    "squared_error",
    "student_t_loss",
    "student_t_quantiles",
]
