"""Recipes: one module a task, from the data to the report. The command line calls these.

:mod:`jaxseq.recipes.language_model` trains a recurrent language model on a text,
:mod:`jaxseq.recipes.classification` a classifier of texts or series,
:mod:`jaxseq.recipes.tagging` a tagger of words or characters,
:mod:`jaxseq.recipes.translation` a translator, of texts or of words to their sounds,
:mod:`jaxseq.recipes.speech` a recogniser of speech,
:mod:`jaxseq.recipes.forecasting` a forecaster of series,
:mod:`jaxseq.recipes.memory` networks that are to remember, and :mod:`jaxseq.recipes.address_crf` a
conditional random field on labelled addresses. What a report compares with is public too:
:func:`witten_bell_bits` and :func:`xz_bits`.
"""

from jaxseq.recipes import (
    address_crf,
    classification,
    forecasting,
    language_model,
    memory,
    speech,
    tagging,
    translation,
)
from jaxseq.recipes._baselines import XzBits, witten_bell_bits, xz_bits

__all__ = [
    "XzBits",
    "address_crf",
    "classification",
    "forecasting",
    "language_model",
    "memory",
    "speech",
    "tagging",
    "translation",
    "witten_bell_bits",
    "xz_bits",
]
