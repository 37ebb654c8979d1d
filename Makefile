# make demo   install into .venv and solve a PDE
# make test   the whole test suite
# make lint   style and types
#
# PYTHON=/path/to/python3.12 chooses another Python; PIP_FLAGS="--index-url ..." is handed to pip.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PIP_FLAGS ?=
WORKERS ?= 2
DEMO ?= problem=poisson training.max_seconds=40

# A Python that answers, is new enough and can make virtual environments: on some systems the name
# is there and one of the three is not.
USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	"$$p" -c '$(USABLE)' >/dev/null 2>&1 && { command -v "$$p"; break; }; done)

.PHONY: help demo install test lint format clean

help:
	@sed -n 's/^# \(make .*\)/  \1/p' Makefile

$(BIN)/python:
	@if [ -z "$(PYTHON)" ] || ! "$(PYTHON)" -c '$(USABLE)'; then \
		echo "pinnderiv needs Python 3.11 or newer with the venv module. None was found on PATH."; \
		echo "Install one (Debian: apt-get install python3 python3-venv), or name it:"; \
		echo "  make $(MAKECMDGOALS) PYTHON=/path/to/python3.12"; \
		exit 1; \
	fi
	@echo "Making $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv $(VENV)

# torch stands first, and pinned: asked for as a mere range, pip may fetch a newer build with
# gigabytes of CUDA libraries where the pinned one is already at hand.
TORCH = $$(grep '^torch==' constraints.txt)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing pinnderiv and what it needs into $(VENV)"
	@$(BIN)/python -m pip install -q $(PIP_FLAGS) -c constraints.txt "$(TORCH)" -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing pinnderiv and its development tools into $(VENV)"
	@$(BIN)/python -m pip install -q $(PIP_FLAGS) -c constraints.txt "$(TORCH)" -e ".[dev]"
	@touch $(VENV)/.installed $@

install: $(VENV)/.installed

demo: install
	@$(BIN)/pinnderiv $(DEMO)

# One thread a worker: two processes that each start a thread per core slow each other down.
test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
