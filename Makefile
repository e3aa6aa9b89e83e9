# The words that a person and CI type. Needs only make and Python 3.11 or newer; the rest lands in .venv.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# The first Python that really runs: a shim named python3.12 may exist and still refuse to.
PROBE := import sys, venv, ensurepip; raise SystemExit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c '$(PROBE)' >/dev/null 2>&1 && { command -v $$p; break; }; done)

VENV := .venv
PY := $(VENV)/bin/python
# Compiling only what is imported, when it is, makes a fresh install a quarter faster.
PIP := $(PY) -m pip --disable-pip-version-check install -qq --no-compile
RUN := $(VENV)/.installed-run
DEV := $(VENV)/.installed-dev
PEERS := $(VENV)/.installed-peers
STRUCTURED := $(VENV)/.installed-structured-peers
NATIVE := $(VENV)/.installed-native
ifeq ($(origin CXX),default)
CXX := c++
endif
export CXX

# Compiled functions are kept between runs: most of a test's time is XLA.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0

# pip leaves compiling Python to the first import (above), so what that compiles must be kept.
unexport PYTHONDONTWRITEBYTECODE

# Test processes; WORKERS=0 runs the tests in this one. A file stays in one of them, with its fixtures.
WORKERS ?= 2
export WORKERS

SOURCES := $(shell find jaxseq -name '*.py')
NATIVE_SOURCES := $(shell find native -name '*.h' -o -name '*.cc' -o -name '*.py' -o -name '*.t*t' -o -name '*.toml')
NOTEBOOKS := $(patsubst notebooks/%.py,build/notebooks/%.ipynb,$(sort $(wildcard notebooks/*.py)))
DEMO := runs/demo

help: ## these words
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

# ----------------------------------------------------------------------------- the environment

$(PY):
	@test -n "$(PYTHON)" || { \
		echo "error: no Python 3.11 or newer with venv was found. Install one, or name it: make PYTHON=/path/to/python3"; \
		exit 1; }
	@echo "making $(VENV) with $(PYTHON)"
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(RUN): pyproject.toml | $(PY)
	@echo "installing what a run needs"
	@$(PIP) --editable '.[plot]'
	@touch $@

$(DEV): pyproject.toml | $(PY)
	@echo "installing what development needs"
	@$(PIP) --editable '.[dev]'
	@touch $@ $(RUN)

$(PEERS): pyproject.toml | $(PY)
	@echo "installing what the benchmarks compare with"
	@$(PIP) --editable '.[dev,peers]'
	@touch $@ $(DEV) $(RUN)

$(STRUCTURED): $(PEERS)
	@echo "installing what the structured models are compared with"
	@$(PIP) --editable '.[dev,peers,structured-peers]'
	@touch $@ $(DEV) $(RUN)

# The CPU kernels, where there is a compiler for them; without, everything runs on the fused path.
$(NATIVE): $(NATIVE_SOURCES) | $(RUN)
	@if command -v $(CXX) >/dev/null 2>&1; then \
		echo "building the CPU kernels" && \
		$(PIP) 'scikit-build-core>=0.10' 'cmake>=3.20' ninja && \
		$(PIP) --no-build-isolation --no-deps --force-reinstall ./native && \
		touch $@; \
	else \
		echo "no C++ compiler ($(CXX)) was found: jaxseq runs without its CPU kernels"; \
	fi

native: $(NATIVE) ## build the CPU kernels and install them; demo and test do so too

native-check: ## the kernels by themselves under the sanitizers of the compiler
	sh native/tests/check.sh build/native

# ---------------------------------------------------------------------------------- the main job

demo: $(RUN) $(NATIVE) ## train a small language model on Moby-Dick, measure it, let it write
	@rm -rf $(DEMO)
	$(PY) -m jaxseq train language-model --out $(DEMO)
	$(PY) -m jaxseq evaluate $(DEMO)
	$(PY) -m jaxseq generate $(DEMO) --prompt "Call me "

demo-full: $(RUN) ## the same with a larger model and more time; goes on where it was stopped
	$(PY) -m jaxseq train language-model --out $(DEMO)-full --hidden-size 512 --embed-size 64 \
		--batch-size 16 --dropout 0.2 --learning-rate 2e-3 --steps 10000 --resume
	$(PY) -m jaxseq evaluate $(DEMO)-full
	$(PY) -m jaxseq generate $(DEMO)-full --prompt "Call me "

# ------------------------------------------------------------------------------------ the checks

test: $(DEV) $(NATIVE) ## the tests, without the slow ones
	$(PY) -m pytest -n $(WORKERS) --dist loadfile

test-all: $(DEV) $(NATIVE) ## all tests
	$(PY) -m pytest -n $(WORKERS) --dist loadfile -m ""

test-matrix: ## the tests on every other Python that is found
	sh tools/test_matrix.sh

check: $(DEV) ## lint, format, types, floors, docstring coverage
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(VENV)/bin/pyrefly check
	$(VENV)/bin/lint-imports
	$(VENV)/bin/interrogate jaxseq

# The examples hold under the strict rules of the tests.
doctest: export JAX_NUMPY_DTYPE_PROMOTION := strict
doctest: export JAX_NUMPY_RANK_PROMOTION := raise
doctest: export JAXSEQ_NATIVE := 0
doctest: $(DEV) ## every example in a docstring, and on a page of the documentation
	$(PY) -m pytest --doctest-modules jaxseq
	$(PY) -m pytest -m slow tests/docs

notebooks: $(DEV) $(NOTEBOOKS) ## every notebook, executed, into build/notebooks; those in notebooks/ must be the same
	@for n in $(NOTEBOOKS); do $(PY) tools/notebook.py --drift $$n notebooks/$${n##*/} || exit 1; done

keep-notebooks: $(DEV) $(NOTEBOOKS) ## the same, and notebooks/ has them from then on
	cp $(NOTEBOOKS) notebooks/

build/notebooks/%.ipynb: notebooks/%.py tools/notebook.py $(SOURCES) | $(DEV) $(NATIVE)
	$(PY) tools/notebook.py $< $@

docs: $(DEV) $(NOTEBOOKS) ## the documentation, into docs/_build/html
	@rm -rf docs/notebooks docs/_build && mkdir -p docs/notebooks
	@for n in $(NOTEBOOKS); do cp "$$n" docs/notebooks/; done
	$(PY) -m sphinx -b html -W --keep-going -q docs docs/_build/html
	$(PY) tools/links.py docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(PEERS) $(NATIVE) ## jaxseq as installed beside its peers, timed: 25 minutes on two cores, and nothing else should run
	$(PY) benchmarks/compare.py --seconds 2 --extras --streaming
	$(PY) benchmarks/table.py --write README.md README.ko.md --page docs/benchmarks.md

bench-fused: $(PEERS) ## the same without the kernels, the fused path alone: 25 minutes
	JAXSEQ_NATIVE=0 $(PY) benchmarks/compare.py --seconds 2 --extras
	$(PY) benchmarks/table.py --write README.md README.ko.md --page docs/benchmarks.md

bench-quick: $(PEERS) ## a part of it, in about three minutes; shown, and kept out of the documentation
	$(PY) benchmarks/compare.py --cases single ragged --sizes 32,128,64,128 1,256,256,256 \
		--peers flax torch --seconds 2 --out build/benchmark.json --image build/benchmark.png

bench-structured: $(STRUCTURED) ## HMM, CRF and CTC beside their peers: about 25 minutes, and nothing else should run
	$(PY) benchmarks/structured.py

recipes: $(DEV) ## train every recipe with its default settings, and write what they reach into the README
	$(PY) benchmarks/recipes.py --write README.md README.ko.md

ci: ## what CI runs
	bash .ci/run

format: $(DEV) ## lay the code out, and mend what can be mended
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

clean: ## remove what was built; environments and runs stay
	rm -rf build dist docs/_build docs/notebooks .pytest_cache .ruff_cache .import_linter_cache .benchmarks .hypothesis
	rm -rf .cache
	find jaxseq tests benchmarks tools -name __pycache__ -prune -exec rm -rf {} +

.PHONY: help native native-check demo demo-full test test-all test-matrix check doctest notebooks keep-notebooks docs bench bench-fused bench-quick bench-structured recipes ci format clean
