"""The bundled corpora: what their README counts, how they are split, and that they are intact."""

import functools
import hashlib
import importlib.resources
import re
from collections import Counter
from itertools import chain

import numpy as np
import pytest

from jaxseq._checks import InputError
from jaxseq.data import load, names

FOLDER = importlib.resources.files("jaxseq.data").joinpath("corpora")


# Reading is most of the time of these tests; the last of them read anew.
opened = functools.cache(load)


def parts_of(name):
    corpus = opened(name)
    return [part for part in (corpus.train, corpus.valid, corpus.test) if part is not None]


def sizes(name):
    corpus = opened(name)
    parts = (corpus.train, corpus.valid, corpus.test)
    return tuple(
        None if part is None else len(part) if isinstance(part, list | str) else len(part[0])
        for part in parts
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("co2_weekly", (1710, 261, 313)),
        ("earthquakes_yearly", (107, None, None)),
        ("gnp_growth", (135, None, None)),
        ("hkcancor", (13844, 1096, 1222)),
        ("home_assistant_en_ko", (10811, 645, 616)),
        ("japanese_vowels", (270, None, 370)),
        ("korean_constitution", (16995, 944, 945)),
        ("lambda_phage", (48502, None, None)),
        ("moby_dick", (1071285, 59516, 59516)),
        ("names", (31358, 1796, 1794)),
        ("nile", (100, None, None)),
        ("seattle_weather", (731, 365, 365)),
        ("stocks", (8778, 2016, 1360)),
        ("sunspots_yearly", (221, 35, 53)),
        ("udhr", (820, None, 367)),
        ("usaddress", (912, 298, 303)),
    ],
)
def test_the_parts_have_these_sizes(name, expected):
    assert sizes(name) == expected


def test_cmudict_is_split_by_word():
    corpus = opened("cmudict")
    rows = corpus.train + corpus.valid + corpus.test
    assert len(rows) == 133_971
    words = [{row.word for row in part} for part in (corpus.train, corpus.valid, corpus.test)]
    assert [len(part) for part in words] == [112_542, 6_208, 6_176]
    assert len(set.union(*words)) == 124_926
    phones = {phone for row in rows for phone in row.phones}
    assert len(phones) == 69
    assert len({phone.rstrip("012") for phone in phones}) == 39
    assert max(len(row.phones) for row in rows) == max(len(row.word) for row in rows) == 28
    assert rows[0] == ("'bout", ("B", "AW1", "T"))


def test_moby_dick_has_its_characters():
    text = "".join(parts_of("moby_dick"))
    assert (len(text), len(set(text)), text.count("\n")) == (1_190_317, 83, 21_424)
    assert set(opened("moby_dick").test) <= set(opened("moby_dick").train)


def test_the_constitution_has_its_syllables():
    corpus = opened("korean_constitution")
    text = corpus.train + corpus.valid + corpus.test
    assert (len(text), len(set(text))) == (18_884, 380)
    assert sum("가" <= letter <= "힣" for letter in text) == 12_996
    assert text.startswith("대한민국헌법\n")
    assert len(set(corpus.test) - set(corpus.train)) <= 3


def test_the_phage_has_its_bases():
    assert Counter(opened("lambda_phage").train) == {"A": 12334, "C": 11362, "G": 12820, "T": 11986}


def test_translations_are_pairs():
    rows = list(chain.from_iterable(parts_of("home_assistant_en_ko")))
    assert len(rows) == len(set(rows)) == 12_072
    assert len({row.english for row in rows}) == 11_849
    assert sum(len(row.korean) for row in rows) == 241_319


def test_the_declaration_has_twenty_languages():
    corpus = opened("udhr")
    rows = corpus.train + corpus.test
    languages = Counter(row.language for row in rows)
    assert (len(rows), len(languages)) == (1_187, 20)
    assert (languages["kor"], languages["ces"]) == (60, 62)
    assert {row.article for row in rows} == set(range(31))
    assert {row.article % 5 for row in corpus.test} == {0}
    assert {row.article % 5 for row in corpus.train} == {1, 2, 3, 4}
    korean = sum(len(row.text) for row in rows if row.language == "kor")
    assert korean == 4_439


def test_names_belong_to_one_language():
    rows = list(chain.from_iterable(parts_of("names")))
    assert len(rows) == len({row.name for row in rows}) == 34_948
    languages = Counter(row.language for row in rows)
    assert len(languages) == 21
    assert (languages["en"], languages["da"]) == (5_967, 195)
    assert len(set("".join(row.name for row in rows))) == 140


def test_addresses_are_labelled():
    rows = list(chain.from_iterable(parts_of("usaddress")))
    tokens = [token for row in rows for token in row]
    assert (len(rows), len(tokens)) == (1_513, 10_722)
    assert len({tuple(token.token for token in row) for row in rows}) == 1_488
    labels = Counter(token.label for token in tokens)
    assert (len(labels), min(labels.values())) == (29, 2)
    assert sum(token.token.startswith("#") for token in tokens) == 147


def test_cantonese_words_are_tagged():
    rows = list(chain.from_iterable(parts_of("hkcancor")))
    tokens = [token for row in rows for token in row]
    assert (len(rows), len(tokens)) == (16_162, 153_656)
    labels = Counter(token.label for token in tokens)
    assert (len(labels), labels["PUNCT"]) == (95, 28_262)
    assert len({token.token for token in tokens}) == 7_221


def test_vowels_are_utterances():
    corpus = opened("japanese_vowels")
    for part, frames, shortest, longest in (
        (corpus.train, 4274, 7, 26),
        (corpus.test, 5687, 7, 29),
    ):
        lengths = [len(utterance.values) for utterance in part]
        assert (sum(lengths), min(lengths), max(lengths)) == (frames, shortest, longest)
        assert {u.values.shape[1:] for u in part} == {(12,)}
        assert {u.values.dtype for u in part} == {np.dtype("float32")}
        assert {u.label for u in part} == set(range(9))
    assert set(Counter(u.label for u in corpus.train).values()) == {30}


def test_stocks_are_split_in_time():
    train, valid, test = parts_of("stocks")
    assert train.date.max() < np.datetime64("2010-01-01") <= valid.date.min()
    assert valid.date.max() < np.datetime64("2012-01-01") <= test.date.min()
    ticker = np.concatenate([train.ticker, valid.ticker, test.ticker])
    assert Counter(ticker.tolist()) == {
        **{"AAPL": 3270, "IBM": 3270, "MSFT": 3270},
        **{"GOOG": 2148, "FB": 196},
    }
    close = np.concatenate([part.adj_close[part.ticker == "AAPL"] for part in (train, valid, test)])
    assert np.diff(np.log(close)).std() == pytest.approx(0.0303, abs=5e-5)
    assert train.volume.dtype == np.int64


def test_the_weather_of_seattle_is_split_by_year():
    parts = parts_of("seattle_weather")
    years = [set((part.date.astype("datetime64[Y]").astype(int) + 1970).tolist()) for part in parts]
    assert years == [{2012, 2013}, {2014}, {2015}]
    weather = Counter(np.concatenate([part.weather for part in parts]).tolist())
    assert weather == {"rain": 641, "sun": 640, "fog": 101, "drizzle": 53, "snow": 26}
    before = np.concatenate([parts[1].temp_max[-1:], parts[2].temp_max[:-1]])
    error = np.sqrt(np.mean((parts[2].temp_max - before) ** 2))
    assert error == pytest.approx(2.907, abs=5e-4)


def test_sunspots_are_split_where_the_literature_does():
    train, valid, test = parts_of("sunspots_yearly")
    ends = [(int(part.year[0]), int(part.year[-1])) for part in (train, valid, test)]
    assert ends == [(1700, 1920), (1921, 1955), (1956, 2008)]
    assert train.year.dtype == np.int32


def test_co2_has_missing_weeks():
    parts = parts_of("co2_weekly")
    assert sum(int(np.isnan(part.co2).sum()) for part in parts) == 59
    dates = np.concatenate([part.date for part in parts])
    assert (np.diff(dates) == np.timedelta64(7, "D")).all()
    assert str(parts[1].date[0])[:4] == "1991"
    assert str(parts[2].date[0])[:4] == "1996"


def test_series_without_a_split_are_whole():
    quakes = opened("earthquakes_yearly").train
    assert quakes.count.mean() == pytest.approx(19.36, abs=5e-3)
    assert quakes.count.var(ddof=1) == pytest.approx(51.57, abs=5e-3)
    growth = opened("gnp_growth").train
    assert (growth.quarter[0], growth.quarter[-1]) == ("1951Q2", "1984Q4")
    assert (growth.recession.dtype, growth.recession.sum()) == (np.bool_, 27)
    nile = opened("nile").train
    assert (nile.year[0], nile.year[-1], nile.volume.mean()) == (1871, 1970, 919.35)


def test_names_lists_every_corpus_and_every_file_belongs_to_one():
    assert names() == tuple(sorted(names()))
    files = {file.name.split(".")[0] for file in FOLDER.iterdir()}
    assert files - {"LICENSES", "README", "SHA256SUMS"} == set(names())


@pytest.mark.parametrize("name", names())
def test_every_corpus_says_what_it_is(name):
    corpus = opened(name)
    assert corpus.name == name
    assert all((corpus.licence, corpus.source, corpus.description))
    readme = FOLDER.joinpath("README.md").read_text(encoding="utf-8")
    assert f"`{name}." in readme or f"`{name}/" in readme


def test_a_corpus_shows_sizes_and_not_its_data():
    shown = "Corpus(name='udhr', train=<list of 820>, valid=None, test=<list of 367>)"
    assert repr(opened("udhr")) == shown
    assert "train=<Nile of 100>" in repr(opened("nile"))


def test_what_was_loaded_may_be_changed():
    load("nile").train.volume[:] = 0
    assert load("nile").train.volume.all()


def test_a_near_miss_is_recognised():
    message = "load: there is no corpus 'mobydick'.\n  Hint: did you mean 'moby_dick'."
    with pytest.raises(InputError, match=re.escape(message)):
        load("mobydick")


def test_an_unknown_corpus_is_refused():
    message = "load: there is no corpus 'zzz'.\n  Hint: names() lists them."
    with pytest.raises(InputError, match=re.escape(message)):
        load("zzz")


def test_the_files_are_those_of_the_checksums():
    lines = FOLDER.joinpath("SHA256SUMS").read_text(encoding="utf-8").splitlines()
    sums = dict(reversed(line.split("  ")) for line in lines)
    for path, expected in sums.items():
        assert (
            hashlib.sha256(FOLDER.joinpath(*path.split("/")).read_bytes()).hexdigest() == expected
        )

    def walk(folder, prefix=""):
        for file in folder.iterdir():
            if file.is_dir():
                yield from walk(file, f"{prefix}{file.name}/")
            else:
                yield prefix + file.name

    assert set(walk(FOLDER)) - {"SHA256SUMS"} == set(sums)


def test_every_licence_file_is_named_in_the_readme():
    readme = FOLDER.joinpath("README.md").read_text(encoding="utf-8")
    assert all(file.name in readme for file in FOLDER.joinpath("LICENSES").iterdir())
