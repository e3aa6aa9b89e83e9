"""What keeps the repository around the code true: version, pages, words, sizes, corpora."""

import hashlib
import os
import re
import tomllib
from pathlib import Path

import pages
import pytest

import jaxseq
from jaxseq._version import __version__

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "jaxseq"
CORPORA = PACKAGE / "data" / "corpora"
SOURCES = sorted(PACKAGE.rglob("*.py"))
WORDS = """demo demo-full native native-check test test-all test-matrix check doctest notebooks
keep-notebooks docs bench bench-fused bench-quick ci""".split()

# Files without a test file of their name, and the one that tests them. A private helper of one
# public function is tested through it.
TESTED_IN = {
    "_types.py": "test_surface.py",  # aliases; every annotated call in any test checks them
    "_version.py": "test_project.py",
    "data/_catalogue.py": "data/test_corpora.py",
    "data/_read.py": "data/test_corpora.py",
    "data/_records.py": "data/test_corpora.py",
    "decoding/_generate.py": "decoding/test_sample.py",
    "diagnostics/_arguments.py": "diagnostics/test_gradient_flow.py",
    "nn/_seq2seq_attention.py": "nn/test_seq2seq.py",
    "nn/_seq2seq_call.py": "nn/test_seq2seq.py",
    "nn/_seq2seq_decoder.py": "nn/test_seq2seq.py",
    "nn/_seq2seq_encoder.py": "nn/test_seq2seq.py",
    "nn/_seq2seq_loop.py": "nn/test_seq2seq.py",
    "recipes/_memory_course.py": "recipes/test_memory.py",
    "recipes/_memory_pictures.py": "recipes/test_memory.py",
    "recipes/_memory_report.py": "recipes/test_memory.py",
    "sequence/_taps.py": "diagnostics/test_gradient_flow.py",
    "structured/_arguments.py": "structured/hmm/test_inference.py",
    "structured/_backend.py": "structured/test_plan.py",
    "structured/_backtrack.py": "structured/hmm/test_inference.py",
    "structured/_exact.py": "structured/test_groups.py",
    "structured/_k_best.py": "structured/crf/test_decode.py",
    "structured/_messages.py": "structured/hmm/test_inference.py",
    "structured/_partition.py": "structured/hmm/test_inference.py",
    "structured/_scaled.py": "structured/crf/test_likelihood.py",
    "structured/crf/_arguments.py": "structured/crf/test_likelihood.py",
    "structured/ctc/_lattice.py": "structured/ctc/test_loss.py",
    "structured/ctc/_partition.py": "structured/ctc/test_loss.py",
    "structured/ctc/_prefixes.py": "structured/ctc/test_beam.py",
    "structured/hmm/_arguments.py": "structured/hmm/test_inference.py",
    "structured/hmm/_data.py": "structured/hmm/test_fit.py",
    "structured/hmm/_decode.py": "structured/hmm/test_inference.py",
    "structured/hmm/_descent.py": "structured/hmm/test_gradient.py",
    "structured/hmm/_em.py": "structured/hmm/test_fit.py",
    "structured/hmm/_gaussian_diagonal.py": "structured/hmm/test_gaussian.py",
    "structured/hmm/_gaussian_full.py": "structured/hmm/test_gaussian.py",
    "structured/hmm/_restarts.py": "structured/hmm/test_fit.py",
    "structured/hmm/_vectors.py": "structured/hmm/test_gradient.py",
    "training/_leaves.py": "training/test_checkpoints.py",
    "training/_promotion.py": "training/test_step.py",
    "training/_run.py": "training/test_fit.py",
    "training/_store.py": "training/test_checkpoints.py",
}


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_newest_changelog_heading_is_the_version():
    headings = re.findall(r"^## \[(\S+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == project()["version"]


def test_the_package_knows_its_version():
    assert __version__ in (project()["version"], "0+uninstalled")
    assert jaxseq.__version__ == __version__


def code(block):
    """The lines of a block, without comments, which may be translated."""
    lines = (line.split("#")[0].rstrip() for line in block.text.splitlines())
    return block.language, [line for line in lines if line]


def test_the_korean_readme_keeps_step():
    english, korean = ROOT / "README.md", ROOT / "README.ko.md"
    assert pages.levels(korean) == pages.levels(english)
    for block, block_ko in zip(pages.blocks(english), pages.blocks(korean), strict=True):
        if block.language in ("python", "sh"):
            assert code(block_ko) == code(block)


@pytest.mark.parametrize("page", ["README.md", "README.ko.md"])
def test_the_links_of_the_readme_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", (ROOT / page).read_text()):
        assert target.startswith("https://") or (ROOT / target).exists(), target


@pytest.mark.parametrize("page", ["README.md", "README.ko.md"])
def test_the_python_blocks_of_the_readme_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pages.run(ROOT / page)


@pytest.mark.parametrize("word", WORDS)
def test_the_makefile_has_the_word(word):
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(rf"^{word}:.* ## ", makefile, re.MULTILINE)
    assert re.search(rf"^\.PHONY:.* {word}\b", makefile, re.MULTILINE)


def test_ci_runs_the_words_of_the_makefile():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    words = re.search(r"^for word in (.+); do$", script.read_text(), re.MULTILINE)
    assert words is not None
    assert set(words[1].split()) <= set(WORDS)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_source_file_has_a_test_file(source):
    relative = source.relative_to(PACKAGE)
    if source.name == "__init__.py":
        return
    name = str(relative.with_name(f"test_{source.stem.strip('_')}.py"))
    twin = TESTED_IN.get(str(relative), name)
    assert (ROOT / "tests" / twin).exists(), f"{relative} has no tests/{twin}"


def test_no_exception_outlives_its_reason():
    for source, twin in TESTED_IN.items():
        assert (PACKAGE / source).exists()
        own = (ROOT / "tests" / source).with_name(f"test_{Path(source).stem.strip('_')}.py")
        assert not own.exists(), f"{own.name} exists: take {source} out of TESTED_IN"
        assert (ROOT / "tests" / twin).exists()


@pytest.mark.parametrize("folder", ["jaxseq", "tests", "benchmarks", "tools", "docs"])
def test_no_file_is_longer_than_400_lines(folder):
    for path in (ROOT / folder).rglob("*.py"):
        lines = path.read_text().count("\n")
        assert lines <= 400, f"{path.relative_to(ROOT)} has {lines} lines"


def test_the_corpora_are_what_they_were():
    sums = dict(
        reversed(line.split(maxsplit=1))
        for line in (CORPORA / "SHA256SUMS").read_text().splitlines()
    )
    files = {str(path.relative_to(CORPORA)) for path in CORPORA.rglob("*") if path.is_file()}
    # The sums do not sum themselves up; what explains the folder may change.
    unsummed = {"SHA256SUMS", "README.md", "__init__.py"}
    assert files - unsummed <= set(sums)
    for name, digest in sums.items():
        assert hashlib.sha256((CORPORA / name).read_bytes()).hexdigest() == digest, name


def test_every_page_of_design_says_what_was_rejected():
    pages = sorted((ROOT / "docs" / "design").glob("*.md"))
    assert [page.name[:4] for page in pages] == [f"{n:04d}" for n in range(1, len(pages) + 1)]
    for page in pages:
        assert "## Decision" in page.read_text() and "## What was rejected" in page.read_text()
