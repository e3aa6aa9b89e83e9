"""Where data are from: corpora by name, files by path, and what an error says of both."""

import pytest

from jaxseq._checks import InputError
from jaxseq.recipes._sources import check_name, is_bundled, labels_hint

BUNDLED = ("names", "udhr")


def test_a_file_goes_before_a_corpus_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_bundled("names", BUNDLED) and not is_bundled("name", BUNDLED)
    (tmp_path / "names").write_text("text")
    assert not is_bundled("names", BUNDLED)


@pytest.mark.parametrize(
    ("source", "hint"),
    [("nmes", "did you mean 'names'"), ("zzz", "use one of names, udhr, or a file of your own")],
)
def test_a_name_of_nothing_is_answered_with_the_names_there_are(source, hint):
    problem = rf"task: there is no file and no bundled corpus for task '{source}'.\n  Hint: {hint}"
    with pytest.raises(InputError, match=problem):
        check_name("task", source, BUNDLED)


def test_a_path_is_left_to_what_reads_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").write_text("text")
    for source in ("mine", "no.tsv", "no/such"):
        check_name("task", source, BUNDLED)


def test_a_hint_names_twenty_labels_and_counts_the_others():
    assert labels_hint(["a"]) == "the labels are a"
    told = labels_hint([str(number) for number in range(23)])
    assert told.endswith(", 18, 19 and 3 more")
