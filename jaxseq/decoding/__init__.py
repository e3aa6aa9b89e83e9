"""Decoding: a model run forward on its own output."""

from jaxseq.decoding._beam_search import Beams, beam_search
from jaxseq.decoding._filters import filter_top_k, filter_top_p
from jaxseq.decoding._generate import Generated
from jaxseq.decoding._greedy import greedy
from jaxseq.decoding._sample import sample

__all__ = ["Beams", "Generated", "beam_search", "filter_top_k", "filter_top_p", "greedy", "sample"]
