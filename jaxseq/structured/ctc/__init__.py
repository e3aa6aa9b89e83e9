"""Connectionist temporal classification: labels without their times, learnt and found.

A network says at each frame how likely each symbol is, the blank among them. :func:`loss` trains it
on the labels alone; :func:`greedy` and :func:`beam_search` read labels off, :func:`segment` does so
while the frames still come in, and :func:`align` says when given labels were heard. All take
log-probabilities ``[*batch, T, V]``, ragged by ``lengths``; what stands in the pads never matters.
"""

from jaxseq.structured.ctc._align import Alignment, align
from jaxseq.structured.ctc._beam import Beams, LanguageModel, beam_search
from jaxseq.structured.ctc._collapse import (
    Greedy,
    SegmentCarry,
    Segments,
    flush,
    greedy,
    segment,
)
from jaxseq.structured.ctc._loss import Loss, loss

__all__ = [
    "Alignment",
    "Beams",
    "Greedy",
    "LanguageModel",
    "Loss",
    "SegmentCarry",
    "Segments",
    "align",
    "beam_search",
    "flush",
    "greedy",
    "loss",
    "segment",
]
