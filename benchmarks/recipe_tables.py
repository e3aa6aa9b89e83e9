"""What the recipes reach, in Markdown: which recipes there are, and the tables of their figures."""

import statistics
from typing import Any, NamedTuple


class Row(NamedTuple):
    """What of the report of a run is told, in a line of a table.

    Attributes:
      task: of the command line.
      data: the bundled data.
      title: of the row, by language.
      measure: what is measured, by language.
      path: where the figure stands in a part of a report.
      part: of the report.
      scale: what the figure is multiplied by: 100 for a share in per cent.
      digits: behind the point.
    """

    task: str
    data: str
    title: dict[str, str]
    measure: dict[str, str]
    path: tuple[str | int, ...]
    part: str = "test"
    scale: float = 100.0
    digits: int = 2

    @property
    def key(self) -> str:
        """What the row is called in the results: no two of a run have the same."""
        return "/".join(map(str, (self.part, *self.path)))


ACCURACY = {"en": "accuracy, %", "ko": "정확도, %"}
WRONG_WORDS = {"en": "words wrong, %", "ko": "틀린 낱말, %"}


def _weather(ahead: int) -> Row:
    return Row(
        "forecasting",
        "seattle_weather",
        {
            "en": f"Seattle, highest temperature, {ahead} ahead",
            "ko": f"시애틀 최고 기온, {ahead}일 뒤",
        },
        {"en": "MASE", "ko": "MASE"},
        ("columns", "temp_max", "mase", ahead - 1),
        scale=1.0,
        digits=3,
    )


def _sunspots(part: str) -> Row:
    return Row(
        "forecasting",
        "sunspots_yearly",
        {"en": f"sunspots, {part}", "ko": f"태양 흑점, {part}"},
        {"en": "ARV", "ko": "ARV"},
        ("columns", "sunspots", "arv", 0),
        part=part,
        scale=1.0,
        digits=3,
    )


ROWS = (
    Row(
        "classification",
        "names",
        {"en": "names, 21 languages", "ko": "이름, 21개 언어"},
        ACCURACY,
        ("accuracy",),
    ),
    Row(
        "classification",
        "udhr",
        {"en": "paragraphs, 20 languages", "ko": "문단, 20개 언어"},
        ACCURACY,
        ("accuracy",),
    ),
    Row(
        "classification",
        "japanese_vowels",
        {"en": "JapaneseVowels, 9 speakers", "ko": "JapaneseVowels, 화자 9명"},
        ACCURACY,
        ("accuracy",),
    ),
    Row(
        "tagging",
        "usaddress",
        {"en": "US addresses, 29 labels", "ko": "미국 주소, 29개 표지"},
        {"en": "span F1, %", "ko": "구간 F1, %"},
        ("span_f1",),
    ),
    Row(
        "tagging",
        "hkcancor",
        {"en": "Cantonese, 95 parts of speech", "ko": "광둥어 품사, 95개"},
        ACCURACY,
        ("accuracy",),
    ),
    Row(
        "tagging",
        "korean_spacing",
        {"en": "Korean spacing", "ko": "한국어 띄어쓰기"},
        {"en": "F1 of spaces, %", "ko": "공백 F1, %"},
        ("by_label", "SPACE", "f1"),
    ),
    Row(
        "translation",
        "cmudict",
        {"en": "spelling to sound, CMUdict", "ko": "철자에서 발음으로, CMUdict"},
        WRONG_WORDS,
        ("word_error_rate",),
    ),
    Row(
        "translation",
        "home_assistant_en_ko",
        {"en": "English to Korean, short texts", "ko": "영어에서 한국어로, 짧은 글"},
        {"en": "chrF", "ko": "chrF"},
        ("chrf",),
        scale=1.0,
    ),
    Row(
        "translation",
        "home_assistant_en_ko",
        {"en": "the same", "ko": "위와 같음"},
        {"en": "BLEU", "ko": "BLEU"},
        ("bleu",),
        scale=1.0,
    ),
    _weather(1),
    _weather(7),
    _sunspots("1921-1955"),
    _sunspots("1956-1979"),
    Row(
        "forecasting",
        "stocks",
        {"en": "five stocks, log price, 1 ahead", "ko": "주가 다섯, 로그 가격, 1일 뒤"},
        {"en": "MASE", "ko": "MASE"},
        ("columns", "log_adj_close", "mase", 0),
        scale=1.0,
        digits=3,
    ),
    Row(
        "speech",
        "digits",
        {"en": "connected digits, unseen voices", "ko": "이어 말한 숫자, 처음 듣는 목소리"},
        WRONG_WORDS,
        ("word_error_rate",),
    ),
)

WORDS = {
    "en": {
        "head": ["data", "measure on the test part", "this model", "three seeds", "others", "time"],
        "note": "Each row is `python -m jaxseq train TASK --data NAME` with its default settings; "
        "all are made by `make recipes`. Seed 0, and mean ± standard deviation over the "
        "seeds 0, 1 and 2 of runs under three minutes; the others are of the same run. Time is the "
        "whole command, on {device}.",
    },
    "ko": {
        "head": ["데이터", "시험 부분에서 잰 것", "이 모형", "시드 셋", "비교 대상", "시간"],
        "note": "각 행은 기본 설정의 `python -m jaxseq train TASK --data NAME`이며, 모두 "
        "`make recipes`가 만듭니다. 시드 0의 값, 그리고 3분 안에 끝나는 실행은 시드 0, "
        "1, 2의 평균 ± 표준편차입니다. 비교 대상은 같은 실행에서 계산했습니다. 시간은 명령 전체의 "
        "시간이며 {device}에서 쟀습니다.",
    },
}

MEMORY = "memory"
CELLS = {"elman": "Elman", "gru": "GRU", "lstm": "LSTM"}
MEMORY_WORDS = {
    "en": {
        "head": "memory over {length} steps",
        "adding": "adding problem, mean squared error",
        "copy": "copy memory, symbols recalled wrong",
        "time": "time",
        "solved": "solved",
        "not": "not solved",
        "note": "One run of `python -m jaxseq train memory`, seed 0, all cells with the same "
        "examples and steps; solved is an error below {threshold} on the test set.",
    },
    "ko": {
        "head": "{length}단계에 걸친 기억",
        "adding": "덧셈 문제, 평균 제곱 오차",
        "copy": "기억 복사, 잘못 떠올린 기호의 비율",
        "time": "시간",
        "solved": "풀림",
        "not": "풀지 못함",
        "note": "`python -m jaxseq train memory`를 시드 0으로 한 번 돌린 결과로, 모든 셀이 "
        "같은 예와 같은 단계 수로 배웁니다. 시험 집합의 오차가 {threshold}보다 작으면 푼 것입니다.",
    },
}


def table(found: dict[str, Any], language: str) -> str:
    """Returns the rows in Markdown."""
    words = WORDS[language]
    lines = [
        "| " + " | ".join(words["head"]) + " |",
        "| --- | --- |" + 2 * " ---: |" + " --- | ---: |",
    ]
    for row in ROWS:
        figures = found.get(row.data, {}).get("rows", {}).get(row.key)
        if figures is None:
            continue
        seeds = figures["seeds"]
        spread = "–"
        if len(seeds) > 1:
            mean, deviation = statistics.mean(seeds), statistics.stdev(seeds)
            spread = f"{mean:.{row.digits}f} ± {deviation:.{row.digits}f}"
        others = "; ".join(
            f"{name} {value:.{row.digits}f}" for name, value in figures["others"].items()
        )
        cells = [
            *(f"{row.title[language]}: `{row.task}`, `{row.data}`", row.measure[language]),
            *(f"**{figures['value']:.{row.digits}f}**", spread, others),
            f"{found[row.data]['seconds'] / 60:.1f} min",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    devices = sorted({page["machine"] for page in found.values()})
    return "\n".join([*lines, "", words["note"].format(device=", ".join(devices))])


def memory_table(row: dict[str, Any], language: str) -> str:
    """Returns the errors of the memory tasks in Markdown."""
    words = MEMORY_WORDS[language]
    head = [words["head"].format(length=row["length"]), *CELLS.values(), words["time"]]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + 4 * " ---: |"]
    for task, found in row["tasks"].items():
        shown = "{:.2%}" if task == "copy" else "{:.4f}"
        cells = [
            f"{shown.format(found[cell]['error'])}, "
            + (f"**{words['solved']}**" if found[cell]["solved"] else words["not"])
            for cell in CELLS
        ]
        lines.append(
            "| " + " | ".join([words[task], *cells, f"{row['seconds'] / 60:.1f} min"]) + " |"
        )
    return "\n".join([*lines, "", words["note"].format(threshold=row["threshold"])])


def page_text(found: dict[str, Any], language: str) -> str:
    """Returns all tables in Markdown."""
    rows = {name: row for name, row in found.items() if name != MEMORY}
    pieces = [table(rows, language)] if rows else []
    if MEMORY in found:
        pieces.append(memory_table(found[MEMORY], language))
    return "\n\n".join(pieces)
