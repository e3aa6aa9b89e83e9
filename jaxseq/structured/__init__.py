"""Hidden Markov models, conditional random fields and CTC on one masked core.

All three sum, or maximise, over paths through a lattice of steps and states. They share the masked
recursions (:mod:`jaxseq.structured._messages`), which are the specification, and two faster ways
to run them; :func:`plan` says which one runs.
"""

from jaxseq.structured import crf, ctc, hmm
from jaxseq.structured._plan import Plan, plan

__all__ = ["Plan", "crf", "ctc", "hmm", "plan"]
