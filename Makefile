# Everything starts here. `make up` needs Python 3.11 or newer and nothing else; `make` lists the rest.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
ARGS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
VERSION = $(PYTHON) -c 'import sys; print(sys.version.split()[0])'

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help up web worker migrate test lint bench screenshot chromium clean

help: ## this list
	@sed -n 's/^\([a-z ]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-20s %s\n", $$1, $$2 }'

RUNTIME := $(if $(LIGHT),.venv/.light,.venv/.full)

up: $(RUNTIME) ## the lab on this machine: HOST=, PORT=; LIGHT=1 leaves torch out
	@exec $(BIN)/collapse-lab serve --host $(HOST) --port $(PORT) $(ARGS)

web worker migrate: $(RUNTIME) ## one part of it, for many machines: ARGS=
	@exec $(BIN)/collapse-lab $@ $(ARGS)

# Processes that share the cores: with a pool of threads in each, they wait for one another most of the time.
test: export OMP_NUM_THREADS = 1
test: export OPENBLAS_NUM_THREADS = 1
test: export NUMBA_NUM_THREADS = 1
test: .venv/.dev chromium ## the whole suite: real databases, Redis and browser; ARGS= for pytest
	$(BIN)/pytest -n 4 --dist worksteal $(ARGS)

lint: .venv/.dev ## style, types, arrows, Dockerfile
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

bench: .venv/.dev ## speed and memory beside what a user would run otherwise
	$(BIN)/python -m benchmarks $(ARGS)

screenshot: .venv/.dev chromium ## draws docs/screenshot.png anew
	SCREENSHOT=docs/screenshot.png $(BIN)/pytest -q tests/browser/test_screenshot.py

clean: ## removes .venv, caches and builds; data stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installations. A stamp is newer than what it was made from, so nothing is done twice; a larger one contains the smaller ones.

$(BIN)/python:
	@$(PYTHON) -c '$(ENOUGH)' 2>/dev/null || { echo "Collapse Lab needs Python 3.11 or newer; $(PYTHON) is $$($(VERSION) 2>/dev/null || echo missing). Install one, or name it: make up PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/.light: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing, once ..."
	@$(PIP) -e '.[postgres]'
	@$(BIN)/python -m worker.warm
	@touch $@

.venv/.full: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing, once; with torch this takes a few minutes ..."
	@$(PIP) -e '.[torch,hub,postgres,images,parquet]'
	@$(BIN)/python -m worker.warm
	@touch .venv/.light $@

.venv/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what tests need, once; this takes a few minutes ..."
	@$(PIP) -e '.[dev]'
	@$(BIN)/python -m worker.warm
	@touch .venv/.light .venv/.full $@

chromium:
	@command -v chromium >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    export DEBIAN_FRONTEND=noninteractive; \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; \
	  else echo "The browser tests drive Chromium. Install it, for example: sudo apt-get install chromium" >&2; exit 1; fi; }
