"""A cell over time: the scan with its padding contract, both directions, truncated BPTT, pools."""

from jaxseq.sequence._bidirectional import Directions, bidirectional
from jaxseq.sequence._plan import Plan, Work, plan
from jaxseq.sequence._pooling import attention_pool, last_pool, max_pool, mean_pool
from jaxseq.sequence._runner import Layer
from jaxseq.sequence._scan import scan
from jaxseq.sequence._schedule import Schedule, Schedules
from jaxseq.sequence._truncated_bptt import truncated_bptt

__all__ = [
    "Directions",
    "Layer",
    "Plan",
    "Schedule",
    "Schedules",
    "Work",
    "attention_pool",
    "bidirectional",
    "last_pool",
    "max_pool",
    "mean_pool",
    "plan",
    "scan",
    "truncated_bptt",
]
