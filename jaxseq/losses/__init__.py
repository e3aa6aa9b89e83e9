"""Losses and metrics over ragged batches: counts and sums, so that neither pads nor sizes distort.

- Losses: :func:`cross_entropy`, with :func:`perplexity` and :func:`bits_per_symbol`; a
  :class:`SumCount` each, of which :func:`mean` is taken once, at the end.
- Classes: :func:`accuracy`; :func:`confusion_matrix`, with :func:`precision_recall_f1` and
  :func:`macro_f1`.
- Sequences of labels or words, on the host: :func:`spans` and :func:`span_f1`;
  :func:`edit_distance` and :func:`error_rate`.
"""

from jaxseq.losses._confusion import confusion_matrix
from jaxseq.losses._cross_entropy import cross_entropy
from jaxseq.losses._edit_distance import ErrorRate, edit_distance, error_rate
from jaxseq.losses._f1 import PRF, macro_f1, precision_recall_f1
from jaxseq.losses._metrics import accuracy, bits_per_symbol, perplexity
from jaxseq.losses._spans import PRFCounts, Span, SpanF1, span_f1, spans
from jaxseq.losses._sum_count import SumCount, mean

__all__ = [
    "ErrorRate",
    "PRF",
    "PRFCounts",
    "Span",
    "SpanF1",
    "SumCount",
    "accuracy",
    "bits_per_symbol",
    "confusion_matrix",
    "cross_entropy",
    "edit_distance",
    "error_rate",
    "macro_f1",
    "mean",
    "perplexity",
    "precision_recall_f1",
    "span_f1",
    "spans",
]
