"""Data: texts and vocabularies, padding, batches with a cursor, and the bundled corpora.

NumPy only: what comes out are arrays and named tuples of arrays, for the caller to put on a device.

- Text: :func:`read_text`, :func:`normalize_text`, :func:`split_text`, :class:`Vocabulary`.
- Labelled files of your own: :func:`read_labelled_text`, :func:`read_series`, :func:`read_tagged`,
  and to be labelled :func:`read_texts`, :func:`read_tokens`; :func:`hold_out` for validation.
- Pairs of your own: :func:`read_pairs`, and to be translated :func:`read_sources`.
- Speech of your own: :func:`read_speech`, and to be transcribed :func:`read_recordings`;
  :func:`read_wav`, :func:`resample`.
- Batches: :class:`WindowBatches` of one long text, :class:`BucketBatches` of many sequences,
  :func:`map_batches`, :func:`pad` and :func:`unpad`.
- Series over time: :func:`read_time_series`, :func:`series_windows`, :func:`times_after`.
- Corpora: :func:`names`, :func:`load`.
"""

from jaxseq.data._buckets import BucketBatch, BucketBatches, bucket_boundaries
from jaxseq.data._corpora import Corpus, load, names
from jaxseq.data._hold_out import HeldOut, hold_out
from jaxseq.data._labelled import read_labelled_text, read_texts
from jaxseq.data._map import map_batches
from jaxseq.data._padding import Padded, pad, unpad
from jaxseq.data._pairs import read_pairs, read_sources
from jaxseq.data._records import (
    CO2,
    Earthquakes,
    GNPGrowth,
    LabelledText,
    Nile,
    Pair,
    Paragraph,
    PersonName,
    Pronunciation,
    SeattleWeather,
    Series,
    Stocks,
    Sunspots,
    Token,
    Translation,
    Utterance,
)
from jaxseq.data._series import SeriesParts, read_series
from jaxseq.data._speech import Recording, read_recordings, read_speech
from jaxseq.data._tagged import read_tagged, read_tokens
from jaxseq.data._text import TextParts, normalize_text, read_text, split_text
from jaxseq.data._time_series import (
    TimeSeries,
    read_time_series,
    series_windows,
    times_after,
)
from jaxseq.data._vocabulary import Vocabulary
from jaxseq.data._wav import Sound, read_wav, resample
from jaxseq.data._windows import WindowBatch, WindowBatches

__all__ = [
    "BucketBatch",
    "BucketBatches",
    "CO2",
    "Corpus",
    "Earthquakes",
    "GNPGrowth",
    "HeldOut",
    "LabelledText",
    "Nile",
    "Padded",
    "Pair",
    "Paragraph",
    "PersonName",
    "Pronunciation",
    "Recording",
    "SeattleWeather",
    "Series",
    "SeriesParts",
    "Sound",
    "Stocks",
    "Sunspots",
    "TextParts",
    "TimeSeries",
    "Token",
    "Translation",
    "Utterance",
    "Vocabulary",
    "WindowBatch",
    "WindowBatches",
    "bucket_boundaries",
    "hold_out",
    "load",
    "map_batches",
    "names",
    "normalize_text",
    "pad",
    "read_labelled_text",
    "read_pairs",
    "read_recordings",
    "read_series",
    "read_sources",
    "read_speech",
    "read_tagged",
    "read_text",
    "read_texts",
    "read_time_series",
    "read_tokens",
    "read_wav",
    "resample",
    "series_windows",
    "split_text",
    "times_after",
    "unpad",
]
