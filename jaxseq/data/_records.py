"""The rows and columns of corpora and of users' own files, with the names of their fields."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64, Shaped


class Pronunciation(NamedTuple):
    """A row of ``cmudict``.

    Attributes:
      word: letters a to z and apostrophe.
      phones: ARPAbet phones; vowels end in their stress, 0, 1 or 2.

    Example:
      >>> Pronunciation("'bout", ("B", "AW1", "T")).phones
      ('B', 'AW1', 'T')
    """

    word: str
    phones: tuple[str, ...]


class Translation(NamedTuple):
    """A row of ``home_assistant_en_ko``.

    Attributes:
      english: a text of a user interface; ``{placeholders}`` stand for what a program fills in.
      korean: the same in Korean.

    Example:
      >>> Translation("Failed to connect", "연결하지 못했습니다").korean
      '연결하지 못했습니다'
    """

    english: str
    korean: str


class Pair(NamedTuple):
    """A row of a file that :func:`read_pairs` reads.

    Attributes:
      source: a text.
      target: what it becomes: its translation, its pronunciation.

    Example:
      >>> Pair("ox", "AA K S").target
      'AA K S'
    """

    source: str
    target: str


class Paragraph(NamedTuple):
    """A row of ``udhr``.

    Attributes:
      article: 0 is the preamble, 1 to 30 are the articles.
      text: the paragraph.
      language: ISO 639-3, such as ``"kor"``.

    Example:
      >>> Paragraph(article=4, text="No one shall be held in slavery", language="eng").article
      4
    """

    article: int
    text: str
    language: str


class PersonName(NamedTuple):
    """A row of ``names``.

    Attributes:
      name: a first or a family name.
      language: the language it is used in, ISO 639-1, such as ``"da"``.

    Example:
      >>> PersonName("Aksel", "da").language
      'da'
    """

    name: str
    language: str


class LabelledText(NamedTuple):
    """A row of a file that :func:`read_labelled_text` reads.

    Attributes:
      text: the text.
      label: its class.

    Example:
      >>> LabelledText("Turn the lights off", "home").label
      'home'
    """

    text: str
    label: str


class Token(NamedTuple):
    """A labelled word of ``usaddress`` or ``hkcancor``, or of a file of :func:`read_tagged`.

    Attributes:
      token: the word.
      label: its label: a part of an address, or a part of speech.

    Example:
      >>> Token("8128", "AddressNumber").label
      'AddressNumber'
    """

    token: str
    label: str


class Utterance(NamedTuple):
    """An utterance of ``japanese_vowels``.

    Attributes:
      values: float32 ``[T, 12]``: cepstrum coefficients, frame by frame.
      label: who speaks, 0 to 8.

    Example:
      >>> import numpy as np
      >>> Utterance(values=np.zeros((20, 12), np.float32), label=3).values.shape
      (20, 12)
    """

    values: Float32[np.ndarray, "T 12"]
    label: int


class Series(NamedTuple):
    """A case of a file that :func:`read_series` reads: ``T`` frames of ``I`` values.

    Attributes:
      values: float32 ``[T, I]``.
      label: its class.

    Example:
      >>> import numpy as np
      >>> Series(values=np.zeros((20, 12), np.float32), label="3").values.shape
      (20, 12)
    """

    values: Float32[np.ndarray, "T I"]
    label: str


class Stocks(NamedTuple):
    """The columns of ``stocks``, ``[N]`` each: one row a ticker and trading day.

    Attributes:
      ticker: AAPL, FB, GOOG, IBM or MSFT.
      date: datetime64[D].
      open: US dollars, not adjusted, as are high, low and close.
      high: the highest price of the day.
      low: the lowest price of the day.
      close: the last price of the day.
      volume: shares traded.
      adj_close: the last price, adjusted for splits and dividends: take returns from it.

    Example:
      >>> from jaxseq.data import load
      >>> train = load("stocks").train
      >>> apple = train.adj_close[train.ticker == "AAPL"]
      >>> apple.shape, apple.dtype
      ((2475,), dtype('float64'))
    """

    ticker: Shaped[np.ndarray, " N"]
    date: Shaped[np.ndarray, " N"]
    open: Float64[np.ndarray, " N"]
    high: Float64[np.ndarray, " N"]
    low: Float64[np.ndarray, " N"]
    close: Float64[np.ndarray, " N"]
    volume: Int64[np.ndarray, " N"]
    adj_close: Float64[np.ndarray, " N"]


class SeattleWeather(NamedTuple):
    """The columns of ``seattle_weather``, ``[N]`` each: one row a day, none missing.

    Attributes:
      date: datetime64[D].
      precipitation: mm.
      temp_max: °C.
      temp_min: °C.
      wind: m/s (the record of the package that it comes from says km/h).
      weather: rain, sun, fog, drizzle or snow.

    Example:
      >>> from jaxseq.data import load
      >>> load("seattle_weather").test.temp_max.shape
      (365,)
    """

    date: Shaped[np.ndarray, " N"]
    precipitation: Float64[np.ndarray, " N"]
    temp_max: Float64[np.ndarray, " N"]
    temp_min: Float64[np.ndarray, " N"]
    wind: Float64[np.ndarray, " N"]
    weather: Shaped[np.ndarray, " N"]


class Sunspots(NamedTuple):
    """The columns of ``sunspots_yearly``, ``[N]`` each.

    Attributes:
      year: int32.
      sunspots: the mean number of the year.

    Example:
      >>> from jaxseq.data import load
      >>> load("sunspots_yearly").train.sunspots[:3].tolist()
      [5.0, 11.0, 16.0]
    """

    year: Int32[np.ndarray, " N"]
    sunspots: Float64[np.ndarray, " N"]


class Earthquakes(NamedTuple):
    """The columns of ``earthquakes_yearly``, ``[N]`` each.

    Attributes:
      year: int32.
      count: earthquakes of magnitude 7 and more in the world, int32.

    Example:
      >>> from jaxseq.data import load
      >>> load("earthquakes_yearly").train.count[:3].tolist()
      [13, 14, 8]
    """

    year: Int32[np.ndarray, " N"]
    count: Int32[np.ndarray, " N"]


class GNPGrowth(NamedTuple):
    """The columns of ``gnp_growth``, ``[N]`` each.

    Attributes:
      quarter: such as ``"1951Q2"``.
      growth: of the real gross national product of the US, per cent a quarter.
      recession: whether the quarter is one of a recession.

    Example:
      >>> from jaxseq.data import load
      >>> int(load("gnp_growth").train.recession.sum())
      27
    """

    quarter: Shaped[np.ndarray, " N"]
    growth: Float64[np.ndarray, " N"]
    recession: Bool[np.ndarray, " N"]


class Nile(NamedTuple):
    """The columns of ``nile``, ``[N]`` each.

    Attributes:
      year: int32.
      volume: flow at Aswan, 10⁸ m³ a year.

    Example:
      >>> from jaxseq.data import load
      >>> load("nile").train.volume.mean().item()
      919.35
    """

    year: Int32[np.ndarray, " N"]
    volume: Float64[np.ndarray, " N"]


class CO2(NamedTuple):
    """The columns of ``co2_weekly``, ``[N]`` each: one row a week.

    Attributes:
      date: a Saturday, datetime64[D].
      co2: at Mauna Loa, parts per million by volume; NaN in a missing week.

    Example:
      >>> import numpy as np
      >>> from jaxseq.data import load
      >>> corpus = load("co2_weekly")
      >>> sum(int(np.isnan(part.co2).sum()) for part in (corpus.train, corpus.valid, corpus.test))
      59
    """

    date: Shaped[np.ndarray, " N"]
    co2: Float64[np.ndarray, " N"]
