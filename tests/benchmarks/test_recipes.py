"""What the recipes reach, as a table: its figures from reports, its rows, its place in a page."""

import json
import statistics

import pytest
import recipe_tables
import recipes

REPORT = {
    "test": {"accuracy": 0.87654, "span_f1": 0.9, "by_label": {"SPACE": {"f1": 0.96789}}},
    "others": {
        "test": {
            "naive Bayes of character 1-3-grams": {"accuracy": 0.7057},
            "the largest class": {"accuracy": 0.1},
        }
    },
    "versions": {"jax": "1.2"},
    "device": "cpu",
}


def rows_of(data):
    return [row for row in recipe_tables.ROWS if row.data == data]


def told(data, value=87.65, seeds=(87.65, 87.95, 88.1), seconds=150.0, machine="a machine"):
    others = {"naive Bayes": 70.57, "HMM": 9.0}
    page = {"value": value, "seeds": list(seeds), "others": others}
    rows = {row.key: page for row in rows_of(data)}
    return {"rows": rows, "seconds": seconds, "machine": machine}


def test_figures_are_in_per_cent_and_beside_them_those_worth_a_word():
    found = recipes.figures(rows_of("names"), REPORT)
    assert found == {
        "rows": {"test/accuracy": {"value": 87.65, "others": {"naive Bayes": 70.57}}},
        "versions": {"jax": "1.2"},
        "device": "cpu",
    }


def test_a_figure_may_stand_deep_in_a_report():
    (row,) = rows_of("korean_spacing")
    assert row.path == ("by_label", "SPACE", "f1")
    assert recipes.figure(row, REPORT["test"]) == 96.79
    with pytest.raises(KeyError):
        recipes.figure(row._replace(path=("by_label", "NONE", "f1")), REPORT["test"])
    mase = {"columns": {"temp_max": {"mase": [0.81234, *[0.9] * 5, 1.1]}}}
    assert [recipes.figure(row, mase) for row in rows_of("seattle_weather")] == [0.812, 1.1]


def test_a_run_is_the_command_line_with_its_default_settings(tmp_path):
    words = recipes.command("tagging", tmp_path, "--data", "usaddress")
    assert words[1:] == [
        *("-m", "jaxseq", "train", "tagging", "--data", "usaddress", "--out", str(tmp_path))
    ]


def test_a_run_that_is_there_is_not_run_again(tmp_path, monkeypatch):
    (tmp_path / "names-0").mkdir()
    (tmp_path / "names-0" / "told.json").write_text(json.dumps(told("names", seconds=400.0)))
    monkeypatch.setattr(recipes.subprocess, "run", None)
    assert recipes.run("names", 0, tmp_path)["seconds"] == 400.0
    found = recipes.measure("names", tmp_path)["rows"]["test/accuracy"]
    assert found["seeds"] == [87.65]  # too long to be repeated


def test_a_run_that_is_not_there_is_run_from_the_beginning(tmp_path, monkeypatch):
    commands = []

    def run(words, *, check):
        out = tmp_path / words[-1]
        commands.append(words)
        assert check and not (out / "half a run").exists()
        out.mkdir(exist_ok=True)
        (out / "report.json").write_text(json.dumps(REPORT))

    (tmp_path / "names-0").mkdir()
    (tmp_path / "names-0" / "half a run").touch()
    monkeypatch.setattr(recipes.subprocess, "run", run)
    found = recipes.measure("names", tmp_path)
    row = found["rows"]["test/accuracy"]
    assert row["value"] == 87.65 and row["seeds"] == [87.65] * 3 and found["seconds"] >= 0
    assert [words[-1] for words in commands] == [str(tmp_path / f"names-{n}") for n in range(3)]


def test_the_table_has_a_line_for_each_row_of_the_runs_that_are_there():
    found = {"udhr": told("udhr", seeds=[87.65]), "names": told("names")}
    text = recipe_tables.table(found, "en")
    lines = text.split("\n")
    assert lines[0].startswith("| data | measure on the test part | this model |")
    assert {line.count("|") for line in lines[:4]} == {7}
    spread = f"{statistics.mean((87.65, 87.95, 88.1)):.2f} ± 0.23"
    assert lines[2] == (
        "| names, 21 languages: `classification`, `names` | accuracy, % | **87.65** | "
        f"{spread} | naive Bayes 70.57; HMM 9.00 | 2.5 min |"
    )
    assert "`udhr` | accuracy, % | **87.65** | – |" in lines[3]
    assert lines[4] == "" and "mean ± standard deviation" in text and text.endswith("a machine.")
    two = recipe_tables.table({"home_assistant_en_ko": told("home_assistant_en_ko")}, "en")
    assert two.count("`home_assistant_en_ko`") == 2 and "| BLEU | **87.65** |" in two


def test_the_korean_table_has_the_same_figures():
    found = {
        "korean_spacing": told("korean_spacing"),
        "usaddress": told("usaddress", machine="another one"),
    }
    english, korean = (recipe_tables.table(found, language) for language in ("en", "ko"))
    assert "| 한국어 띄어쓰기: `tagging`, `korean_spacing` | 공백 F1, % | **87.65** |" in korean
    assert "미국 주소" in korean and "구간 F1" in korean and "this model" not in korean
    assert english.count("\n") == korean.count("\n")
    for text in (english, korean):
        assert "a machine, another one" in text


def test_every_row_has_its_words_in_both_languages_and_a_place_of_its_own():
    rows = recipe_tables.ROWS
    for row in rows:
        assert row.title.keys() == row.measure.keys() == recipe_tables.WORDS.keys()
    assert len({(row.data, row.key) for row in rows}) == len(rows)
    assert len(recipe_tables.WORDS["en"]["head"]) == len(recipe_tables.WORDS["ko"]["head"]) == 6


def test_a_page_keeps_all_but_what_stands_between_the_comments(tmp_path):
    page = tmp_path / "README.ko.md"
    page.write_text(f"# 제목\n\n{recipes.BEGIN}\nold\n{recipes.END}\n\nend\n", encoding="utf-8")
    for text in ("new", "newer"):
        recipes.replace(page, text)
        expected = f"# 제목\n\n{recipes.BEGIN}\n\n{text}\n\n{recipes.END}\n\nend\n"
        assert page.read_text(encoding="utf-8") == expected


def test_a_page_without_the_comments_is_left_alone(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("# title\n")
    with pytest.raises(ValueError, match="not enough values to unpack"):
        recipes.replace(page, "new")
    assert page.read_text() == "# title\n"


def test_the_table_alone_is_told_without_a_run(tmp_path, monkeypatch, capsys):
    results, page = tmp_path / "recipes.json", tmp_path / "README.ko.md"
    results.write_text(json.dumps({"names": told("names")}))
    page.write_text(recipes.BEGIN + recipes.END)
    monkeypatch.setattr(recipes.subprocess, "run", None)
    recipes.main(recipes.Options(only_table=True, results=results, write=(page,)))
    assert recipe_tables.table({"names": told("names")}, "ko") in page.read_text()
    assert capsys.readouterr().out == recipe_tables.table({"names": told("names")}, "en") + "\n"


MEMORY_REPORT = {
    "rows": [
        {"task": task, "cell": cell, "length": length, "error": error, "solved": error < 0.01}
        for task in ("adding", "copy")
        for cell, error in (("elman", 0.5), ("lstm", 0.001), ("gru", 0.002))
        for length in (10, 200)
    ],
    "threshold": 0.01,
    "versions": {"jax": "1.2"},
    "device": "cpu",
}


def test_of_the_memory_tasks_the_greatest_length_is_told():
    found = recipes.memory_figures(MEMORY_REPORT)
    assert found["length"] == 200 and list(found["tasks"]) == ["adding", "copy"]
    text = recipe_tables.page_text({"memory": found | {"seconds": 330.0}}, "en").split("\n")
    assert text[0] == "| memory over 200 steps | Elman | GRU | LSTM | time |"
    assert text[2] == (
        "| adding problem, mean squared error | 0.5000, not solved | 0.0020, **solved** "
        "| 0.0010, **solved** | 5.5 min |"
    )
    assert "| 50.00%, not solved | 0.20%, **solved** |" in text[3]
    assert "below 0.01" in text[-1]
    korean = recipe_tables.page_text({"memory": found | {"seconds": 330.0}}, "ko")
    assert "0.5000, 풀지 못함" in korean and korean.count("\n") == len(text) - 1


def test_both_tables_stand_on_a_page_one_below_the_other():
    found = recipes.memory_figures(MEMORY_REPORT) | {"seconds": 1.0}
    text = recipe_tables.page_text({"names": told("names"), "memory": found}, "en")
    assert text.startswith(
        recipe_tables.table({"names": told("names")}, "en") + "\n\n| memory over"
    )
