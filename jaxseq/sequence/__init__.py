"""A cell over time: the scan with its padding contract, both directions, truncated BPTT."""

from jaxseq.sequence._bidirectional import Directions, bidirectional
from jaxseq.sequence._scan import scan
from jaxseq.sequence._truncated_bptt import truncated_bptt

__all__ = ["Directions", "bidirectional", "scan", "truncated_bptt"]
