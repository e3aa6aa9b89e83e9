"""Data: texts and vocabularies, padding, batches with a cursor, and the bundled corpora.

NumPy only: what comes out are arrays and named tuples of arrays, for the caller to put on a device.

- Text: :func:`read_text`, :func:`normalize_text`, :func:`split_text`, :class:`Vocabulary`.
- Batches: :class:`WindowBatches` of one long text, :class:`BucketBatches` of many sequences,
  :func:`pad` and :func:`unpad`.
- Corpora: :func:`names`, :func:`load`.
"""

from jaxseq.data._buckets import BucketBatch, BucketBatches, bucket_boundaries
from jaxseq.data._corpora import Corpus, load, names
from jaxseq.data._padding import Padded, pad, unpad
from jaxseq.data._records import (
    CO2,
    Earthquakes,
    GNPGrowth,
    Nile,
    Paragraph,
    PersonName,
    Pronunciation,
    SeattleWeather,
    Stocks,
    Sunspots,
    Token,
    Translation,
    Utterance,
)
from jaxseq.data._text import TextParts, normalize_text, read_text, split_text
from jaxseq.data._vocabulary import Vocabulary
from jaxseq.data._windows import WindowBatch, WindowBatches

__all__ = [
    "BucketBatch",
    "BucketBatches",
    "CO2",
    "Corpus",
    "Earthquakes",
    "GNPGrowth",
    "Nile",
    "Padded",
    "Paragraph",
    "PersonName",
    "Pronunciation",
    "SeattleWeather",
    "Stocks",
    "Sunspots",
    "TextParts",
    "Token",
    "Translation",
    "Utterance",
    "Vocabulary",
    "WindowBatch",
    "WindowBatches",
    "bucket_boundaries",
    "load",
    "names",
    "normalize_text",
    "pad",
    "read_text",
    "split_text",
    "unpad",
]
