import json
import types

import growth
import numpy as np
import pytest
import structured
import structured_report as report
from peers import structured as peers
from peers.structured.case import ITERATIONS, path_scores, read_history


def row(model="crf", work="viterbi", size=(2, 3, 4), **ratios):
    """A row with the given medians."""
    return {
        "model": model,
        "work": work,
        "size": list(size),
        "rounds": 2,
        "times": {name: [0.9, 1.0, 1.1] for name in ("jaxseq", *ratios)},
        "ratios": {name: [0.9 * one, one, 1.1 * one] for name, one in ratios.items()},
        "memory": {
            name: {"growth": 2_000_000, "temporary": 500_000 if name == "jaxseq" else None}
            for name in ("jaxseq", *ratios)
        },
        "off": {},
        "missing": {},
        "disagree": [],
    }


FOUND = {
    "device": "a machine that is not there",
    "threads": {"XLA": 2},
    "versions": {"jax": "1.2", "dynamax": "not installed"},
    "tolerances": [1e-4, 5e-3],
    "rows": [
        row(**{"pytorch-crf": 0.5}),
        row("hmm", "gradient", dynamax=2.0)
        | {"missing": {"hmmlearn-log": "has no gradient", "dynamax-parallel": "not installed"}},
    ],
}


@pytest.mark.parametrize("model", peers.WORKS)
def test_data_depend_on_model_and_size_alone(model):
    size = structured.QUICK_SIZES[model][0]
    works = list(peers.WORKS[model])
    one, other = (peers.draw(peers.Case(model, work, size)) for work in (works[0], works[-1]))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_ragged_rows_have_half_of_the_steps_at_least_and_the_first_has_all():
    data = peers.draw(peers.Case("ctc", "loss", (300, 20, 5, 6)))
    assert (data.lengths.min(), data.lengths[0], data.lengths.max()) == (10, 20, 20)
    assert (data.label_lengths.min(), data.label_lengths[0]) == (3, 6)
    assert data.labels.min() == 1  # 0 is the blank


def test_one_chain_of_two_states_reads_the_genome():
    case = peers.Case("hmm", "viterbi", (1, 7, 2))
    assert case.is_genome and not peers.Case("hmm", "viterbi", (2, 7, 2)).is_genome
    symbols = peers.draw(peers.Case("em", "iteration", (1, 7, 2))).symbols
    assert symbols.tolist() == [2, 2, 2, 1, 2, 2, 1]  # GGGCGGC
    log_obs = peers.draw(case).log_obs
    assert log_obs.shape == (1, 7, 2)
    np.testing.assert_allclose(np.exp(log_obs[0, 0]), [0.4, 0.1], rtol=1e-6)


def test_the_score_of_a_path_ends_with_its_row():
    data = peers.draw(peers.Case("crf", "viterbi", (2, 3, 2)))._replace(
        emissions=np.array([[[1, 0], [0, 2], [4, 0]]] * 2, np.float32),
        transitions=np.array([[0, 8], [16, 0]], np.float32),
        initial=np.array([32, 0], np.float32),
        final=np.array([64, 128], np.float32),
        lengths=np.array([3, 2], np.int32),
    )
    scores = path_scores(data, [[0, 1, 0], [0, 1, 1]])
    assert scores.tolist() == [1 + 2 + 4 + 8 + 16 + 32 + 64, 1 + 2 + 8 + 32 + 128]


def test_em_that_ends_early_is_not_divided_by_iterations_that_did_not_run():
    assert read_history([1.0] * ITERATIONS)[0].shape == (ITERATIONS,)
    with pytest.raises(RuntimeError, match=f"EM ran 3 iterations, not {ITERATIONS}"):
        read_history([1.0] * 3)


def test_a_library_that_is_not_installed_says_so(monkeypatch):
    missing = peers.Peer("Missing", "missing", "no_such_package", "no-such-package", ("crf",))
    monkeypatch.setitem(peers.PEERS, "missing", missing)
    case = peers.Case("crf", "viterbi", (1, 2, 2))
    assert peers.build("missing", case, None) == "not installed"
    assert peers.versions()["no-such-package"] == "not installed"


def test_rows_are_chosen_by_model_or_by_work():
    chosen = structured.cases(("crf:viterbi", "em"), structured.SIZES)
    assert [(case.model, case.work) for case in chosen] == [
        ("crf", "viterbi"),
        ("crf", "viterbi"),
        ("em", "iteration"),
    ]


def test_a_row_that_there_is_not_ends_with_those_that_there_are():
    with pytest.raises(SystemExit, match="error: there is no row 'crf:loss': crf, hmm"):
        structured.cases(("crf:loss",), structured.SIZES)


def test_a_difference_is_by_the_largest_of_ours():
    ours, theirs = np.array([4.0, -8.0]), np.array([4.0, -7.0])
    assert structured.difference(ours, theirs) == 1 / 8
    assert structured.difference(ours, theirs[:1]) == float("inf")


def test_values_and_all_else_have_limits_of_their_own():
    ones = np.ones(2)
    near, far = ones * (1 + 1e-3), ones * 2
    found = {"jaxseq": [ones, ones], "a": [ones, near], "b": [near, ones], "c": [ones, far]}
    assert structured.disagree(structured.differences(found)) == ["b", "c"]
    assert structured.disagree({"nan": [float("nan")]}) == ["nan"]


def test_a_new_row_takes_the_place_of_the_old_one():
    old = [row(**{"pytorch-crf": 0.5}), row("ctc", "loss", (1, 2, 3, 4), optax=1.0)]
    merged = structured.merge(old, [row("hmm", "viterbi"), row(**{"pytorch-crf": 0.7})])
    assert [one["model"] for one in merged] == ["crf", "hmm", "ctc"]
    assert merged[0]["ratios"]["pytorch-crf"][1] == 0.7


def test_what_is_quick_stays_out_of_the_documentation(tmp_path):
    out, page = structured.paths(structured.Options(quick=True), "a machine")
    assert out == structured.BUILD / "structured-a-machine.json"
    assert page.parent == structured.BUILD
    out, page = structured.paths(structured.Options(out=tmp_path / "x.json"), "a machine")
    assert (out, page) == (tmp_path / "x.json", report.PAGE)


def test_a_row_is_measured_with_all_that_is_installed():
    options = structured.Options(quick=True, peers=("optax",), memory=False)
    found = structured.measure(options, peers.Case("ctc", "gradient", (2, 6, 4, 2)))
    assert set(found["times"]) == {"jaxseq", "optax"}
    assert found["disagree"] == [] and found["missing"] == {}
    assert found["memory"]["jaxseq"]["growth"] is None
    assert found["memory"]["jaxseq"]["temporary"] > 0


def test_a_peer_that_fails_is_left_out_with_what_it_said(monkeypatch):
    def build(name, case, data, real=peers.build):
        if name == "optax":
            raise RuntimeError("no memory\nand more")
        return real(name, case, data)

    monkeypatch.setattr(peers, "build", build)
    case = peers.Case("ctc", "loss", (2, 6, 4, 2))
    programs, found, missing = structured.build(case, ("optax",))
    assert list(programs) == list(found) == ["jaxseq"]
    assert missing == {"optax": "failed: no memory"}


def test_memory_is_measured_in_a_process_that_gives_everything_back(monkeypatch):
    def run(command, env, **_):
        assert command[1].endswith("growth.py") and "MALLOC_MMAP_THRESHOLD_" in env
        model, work, size = json.loads(command[2])[0]
        assert (model, work, size) == ("ctc", "loss", [2, 6, 4, 2])
        return types.SimpleNamespace(stdout='a library says hello\n{"jaxseq": 5, "optax": 7}\n')

    monkeypatch.setattr(growth.subprocess, "run", run)
    case = peers.Case("ctc", "loss", (2, 6, 4, 2))
    assert growth.in_a_process(case, ["jaxseq", "optax"]) == {"jaxseq": 5, "optax": 7}


def test_the_median_of_processes_is_taken_and_each_begins_with_another_program(monkeypatch):
    orders, values = [], iter([5, 90, 7])

    def in_a_process(case, names):
        orders.append(names)
        return {"jaxseq": next(values), "optax": None}

    monkeypatch.setattr(growth, "in_a_process", in_a_process)
    case = peers.Case("ctc", "loss", (2, 6, 4, 2))
    assert growth.in_processes(case, ["jaxseq", "optax"]) == {"jaxseq": 7, "optax": None}
    assert orders == [["jaxseq", "optax"], ["optax", "jaxseq"], ["jaxseq", "optax"]]


def test_the_process_prints_the_growth_of_each_program(capsys):
    growth.main('[["ctc", "loss", [2, 6, 4, 2]], ["jaxseq"]]')
    assert set(json.loads(capsys.readouterr().out)) == {"jaxseq"}


def test_the_growth_of_memory_is_that_of_the_call():
    taken = growth.of(lambda: np.ones(4_000_000))
    assert taken is None or 30e6 < taken < 40e6


def test_where_the_system_counts_no_pages_there_is_no_growth(monkeypatch, tmp_path):
    monkeypatch.setattr(growth, "PROCESS", tmp_path)
    assert growth.of(int) is None


def test_the_page_has_a_line_for_every_program_and_says_who_is_ahead():
    text = report.page([FOUND])
    assert "may differ by 1e-04 of the largest, gradients and probabilities by 5e-03" in text
    assert (
        "| Viterbi | 2, 3, 4 | jaxseq | 1.00 (0.900–1.10) | – | 2.0 | 0.5 |\n"
        "|  |  | pytorch-crf | 1.00 (0.900–1.10) | 0.50 (0.45–0.55) | 2.0 | – |"
    ) in text
    assert "| dynamax | 2.00 (2.00–2.00) | 0 of 1 |" in text
    assert "### Hidden Markov model" in text and "### Expectation" not in text


def test_the_page_says_what_was_not_measured():
    text = report.page([FOUND])
    assert "- dynamax, parallel: not installed\n" in text
    gradient = "log-likelihood and its gradient at 2, 3, 4"
    assert f"- hmmlearn, log, float64: has no gradient ({gradient})" in text
    assert "Threads: XLA 2; jax 1.2." in text


def test_every_model_and_kind_of_work_has_sizes_and_words():
    for words in (report.MODELS, report.NOTES, peers.AXES, structured.SIZES):
        assert list(words) == list(peers.WORKS)
    for model, sizes in structured.SIZES.items():
        assert {len(size) for size in sizes} == {len(peers.AXES[model].split(", "))}


@pytest.mark.parametrize(
    ("value", "text"), [(0.0042, "0.0042"), (0.05, "0.05"), (0.123, "0.12"), (12.345, "12.35")]
)
def test_a_ratio_has_two_digits_also_where_it_is_tiny(value, text):
    assert report.ratio_text(value) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0.0123, "0.012"), (0.5, "0.500"), (1.234, "1.23"), (12.34, "12.3"), (1234.4, "1234")],
)
def test_a_time_has_three_digits(milliseconds, text):
    assert report.number(milliseconds) == text
