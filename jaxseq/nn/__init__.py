"""Flax modules (NNX): they own the weights, call the functional core, and add no mathematics.

:class:`Elman`, :class:`LSTM` and :class:`GRU` are layers over time, stacked, in one direction or
both. :class:`LanguageModel`, :class:`Seq2Seq`, :class:`SequenceClassifier`,
:class:`SequenceTagger`, :class:`SpeechRecognizer` and :class:`Forecaster` are models made of them;
:class:`CRF` is a last layer. :func:`pure` takes any module apart into a plain tree of arrays and a
pure function, so that what trains or decodes it need not know Flax; :func:`with_params` puts
weights back.
"""

from jaxseq.nn._crf import CRF
from jaxseq.nn._forecaster import Forecaster
from jaxseq.nn._forecaster_heads import (
    MixtureForecast,
    PointForecast,
    QuantileForecast,
    StudentTForecast,
)
from jaxseq.nn._language_model import LanguageModel
from jaxseq.nn._pure import Pure, pure, with_params
from jaxseq.nn._recurrent import GRU, LSTM, Elman
from jaxseq.nn._seq2seq import Seq2Seq
from jaxseq.nn._seq2seq_attention import Memory
from jaxseq.nn._seq2seq_decoder import Seq2SeqCarry
from jaxseq.nn._sequence_classifier import SequenceClassifier
from jaxseq.nn._sequence_tagger import SequenceTagger
from jaxseq.nn._speech_recognizer import Recognized, SpeechRecognizer

__all__ = [
    "CRF",
    "Elman",
    "Forecaster",
    "GRU",
    "LSTM",
    "LanguageModel",
    "Memory",
    "MixtureForecast",
    "PointForecast",
    "Pure",
    "QuantileForecast",
    "Recognized",
    "Seq2Seq",
    "Seq2SeqCarry",
    "SequenceClassifier",
    "SequenceTagger",
    "SpeechRecognizer",
    "StudentTForecast",
    "pure",
    "with_params",
]
