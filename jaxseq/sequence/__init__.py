"""A cell over time: the scan with its padding contract, both directions, pools, attention.

What is heard is turned into frames by :func:`log_mel`, :func:`standardize`, :func:`stack_frames`.
"""

from jaxseq.sequence._attention import Attention, additive_attention, dot_attention
from jaxseq.sequence._bidirectional import Directions, bidirectional
from jaxseq.sequence._frames import Frames, stack_frames, standardize
from jaxseq.sequence._log_mel import log_mel, mel_edges
from jaxseq.sequence._plan import Plan, Work, plan
from jaxseq.sequence._pooling import attention_pool, last_pool, max_pool, mean_pool
from jaxseq.sequence._runner import Layer
from jaxseq.sequence._scan import scan
from jaxseq.sequence._schedule import Schedule, Schedules
from jaxseq.sequence._taps import Tap, nudged, taps
from jaxseq.sequence._truncated_bptt import truncated_bptt

__all__ = [
    "Attention",
    "Directions",
    "Frames",
    "Layer",
    "Plan",
    "Schedule",
    "Schedules",
    "Tap",
    "Work",
    "additive_attention",
    "attention_pool",
    "bidirectional",
    "dot_attention",
    "last_pool",
    "log_mel",
    "max_pool",
    "mean_pool",
    "mel_edges",
    "nudged",
    "plan",
    "scan",
    "stack_frames",
    "standardize",
    "taps",
    "truncated_bptt",
]
