# make run    install what the app needs into .venv and start it
# make test   install everything into .venv and run the tests (ARGS="-k alpha" passes options on)
# make check  lint, format, types and layers        make format   let ruff rewrite
# make lock   write the lock files anew (ARGS=--upgrade takes the newest versions)
# make tables write the measured results into the README and docs
# make comparison  run every method, then write its tables and figures (an hour on two cores)
# make screenshots  take the README's images of the page anew (needs Chromium)
# PYTHON=...  choose the interpreter (3.10 to 3.13)

.DEFAULT_GOAL := help
.PHONY: help run test test-slow check lint types layers format lock tables comparison screenshots clean
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
SUPPORTED := import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))
CANDIDATES := $(PYTHON) python3 python3.12 python3.11 python3.13 python3.10
# Two processes of one thread each are faster than one with two, even on two cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder \
	--durations 10
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCKED := $(PIP) install --require-hashes --no-deps --only-binary :all:
# One lock serves every system and every supported Python. Excluded packages are not locked.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
	--only-binary :all: --no-annotate --no-header --excludes $(VENV)/unlocked.txt

help:
	@sed -n '1,8s/^# //p' Makefile

run: $(VENV)/.app-installed
	$(BIN)/python app.py

test: $(VENV)/.dev-installed
	$(PYTEST) $(ARGS)

test-slow: $(VENV)/.dev-installed
	$(PYTEST) --runslow $(ARGS)

.PHONY: fuzz  # ten minutes of generated inputs (ARGS="--seed 7 --seconds 300" passes options on)
fuzz: $(VENV)/.dev-installed
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz $(ARGS)

check: lint types layers

lint: $(VENV)/.dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev-installed
	$(BIN)/mypy

layers: $(VENV)/.dev-installed
	$(BIN)/python -m pytest -q tests/test_layering.py

format: $(VENV)/.dev-installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# torch is left to the machine, so it is in no lock. The second lock holds what the first does not.
lock: $(VENV)/.dev-installed
	grep '^torch' requirements.txt > $(VENV)/unlocked.txt
	$(COMPILE) $(ARGS) requirements.txt --output-file requirements.lock
	$(COMPILE) $(ARGS) pyproject.toml --all-extras --excludes requirements.lock \
		--output-file requirements-dev.lock

tables: $(VENV)/.dev-installed
	$(BIN)/python -m tmsa_core.evaluation.tables

comparison: $(VENV)/.dev-installed
	$(BIN)/python -m tmsa_core evaluate --images 64
	$(BIN)/python -m tmsa_core evaluate --images 4 --curve-images 0 --kept-images 4 \
		--methods tmsa,styleclip_global --prompts docs/prompts/figure-6.json -o results/figure-6.jsonl
	$(BIN)/python -m tmsa_core evaluate --images 4 --curve-images 0 --kept-images 4 \
		--methods tmsa --inversion hfgi -o results/figure-10.jsonl
	$(BIN)/python -m tmsa_core.evaluation.tables
	$(BIN)/python -m tmsa_core figures figure-5 -o docs/figure-5.webp
	$(BIN)/python -m tmsa_core figures figure-6 -o docs/figure-6.webp
	$(BIN)/python -m tmsa_core figures figure-10 -o docs/figure-10.webp
	$(BIN)/python -m tmsa_core figures pareto -o docs/pareto.webp

screenshots: $(VENV)/.dev-installed
	PYTHONPATH=. $(BIN)/python docs/screenshots.py

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache

# A stamp file says that the requirements it is newer than are installed; a second run is then quick.
# The lock comes first, checked by hash; then requirements.txt adds torch, which is in no lock.
$(VENV)/.app-installed: requirements.txt requirements.lock | $(BIN)/python
	@echo "Installing the app's requirements into $(VENV) (a few minutes the first time) ..."
	$(LOCKED) -r requirements.lock
	$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/.dev-installed: pyproject.toml requirements-dev.lock $(VENV)/.app-installed
	@echo "Installing the tools for development into $(VENV) ..."
	$(LOCKED) -r requirements-dev.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	$(PIP) check
	@touch $@

$(BIN)/python:
	@for python in $(CANDIDATES); do \
		if $$python -c '$(SUPPORTED)' 2>/dev/null; then exec $$python -m venv $(VENV); fi; \
	done; \
	echo "No Python 3.10 to 3.13 with the venv module was found; install one and run: make PYTHON=/path/to/python" >&2; \
	exit 1
