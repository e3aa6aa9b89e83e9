"""Linear-chain conditional random fields: tag paths scored by emissions and transitions.

Emissions ``[*batch, T, K]`` come from a network or from hand features; transitions are ``[K, K]``.
All functions are pure, ragged (``lengths``), and differentiable to any order. What ``allowed``
forbids is forbidden in the partition as in decoding.
"""

from jaxseq.structured.crf._constraints import Allowed, bio, bioes, bmes
from jaxseq.structured.crf._decode import k_best, sample, viterbi
from jaxseq.structured.crf._likelihood import log_likelihood, log_partition, score
from jaxseq.structured.crf._posterior import entropy, marginals

__all__ = [
    "Allowed",
    "bio",
    "bioes",
    "bmes",
    "entropy",
    "k_best",
    "log_likelihood",
    "log_partition",
    "marginals",
    "sample",
    "score",
    "viterbi",
]
