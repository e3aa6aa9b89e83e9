"""Losses over ragged batches: a sum and a count each, so that neither pads nor sizes distort."""

from jaxseq.losses._cross_entropy import cross_entropy
from jaxseq.losses._metrics import accuracy, bits_per_symbol, perplexity
from jaxseq.losses._sum_count import SumCount, mean

__all__ = ["SumCount", "accuracy", "bits_per_symbol", "cross_entropy", "mean", "perplexity"]
