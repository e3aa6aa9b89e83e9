"""Flax modules (NNX): they own the weights, call the functional core, and add no mathematics.

:class:`Elman`, :class:`LSTM` and :class:`GRU` are layers over time, stacked, in one direction or
both. :class:`LanguageModel`, :class:`SequenceClassifier` and :class:`SequenceTagger` are models
made of them; :class:`CRF` is a last layer. :func:`pure` takes any module apart into a plain tree of
arrays and a pure function, so that what trains or decodes it need not know Flax;
:func:`with_params` puts weights back.
"""

from jaxseq.nn._crf import CRF
from jaxseq.nn._language_model import LanguageModel
from jaxseq.nn._pure import Pure, pure, with_params
from jaxseq.nn._recurrent import GRU, LSTM, Elman
from jaxseq.nn._sequence_classifier import SequenceClassifier
from jaxseq.nn._sequence_tagger import SequenceTagger

__all__ = [
    "CRF",
    "Elman",
    "GRU",
    "LSTM",
    "LanguageModel",
    "Pure",
    "SequenceClassifier",
    "SequenceTagger",
    "pure",
    "with_params",
]
