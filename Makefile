# The commands of this house. `make` alone lists them.
.PHONY: help demo capstan test soak live lint bench lock clean
.DEFAULT_GOAL := help
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
# Keep compiled byte code even where the machine says not to: a dozen processes start from it.
export PYTHONDONTWRITEBYTECODE :=

# The port of `make demo`, and what `make bench` runs.
PORT ?= 8000
BENCH ?= ingest queries
PY := .venv/bin/python

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-7s %s\n", $$1, $$2}' Makefile

demo: .venv/run.stamp ## Run Capstan with an invented company on http://localhost:8000 (PORT=… for another)
	@exec $(PY) manage.py up --demo --port $(PORT)

capstan: .venv/run.stamp ## Install .venv/bin/capstan, which runs the gateway alone: capstan gateway --init
	@echo "  Installed: $(CURDIR)/.venv/bin/capstan"

test: .venv/dev.stamp .venv-litellm/litellm.stamp .venv-clients/clients.stamp ## Every check and test, cheapest first (under 15 minutes on two cores)
	@exec $(PY) -m tests.everything

soak: .venv/dev.stamp .venv-litellm/litellm.stamp ## The long fault and scale tests
	@exec $(PY) -m pytest -m soak --timeout 3600

live: .venv/dev.stamp ## What is fetched of real providers, whose keys are set as CAPSTAN_LIVE_<ACCOUNT>
	@exec $(PY) -m pytest -m live -rPs tests/live

lint: .venv/dev.stamp ## Format, style, layers and types, without tests
	@exec $(PY) -m tests.everything --lint

bench: .venv/dev.stamp ## The benchmarks (BENCH="ingest queries")
	@for name in $(BENCH); do $(PY) manage.py bench $$name --json || exit 1; done

lock: .venv/dev.stamp ## Resolve requirements/*.lock anew from pyproject.toml, with hashes and without index addresses
	@$(PY) -m pip install --quiet --disable-pip-version-check uv
	@$(PY) -m uv pip compile pyproject.toml $(LOCK) --output-file requirements/run.lock
	@$(PY) -m uv pip compile pyproject.toml --group dev $(LOCK) --output-file requirements/dev.lock
	@$(PY) -m uv pip compile integrations/litellm/pyproject.toml --extra test $(LOCK) --output-file requirements/litellm.lock
	@for name in clients aider; do \
		$(PY) -m uv pip compile requirements/$$name.in $(LOCK) --output-file requirements/$$name.lock || exit 1; done
LOCK := --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

clean: ## Remove what was made here; the data folder stays
	@rm -rf .venv .venv-litellm .venv-clients .venv-aider tests/clients/node/node_modules staticfiles .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# One environment serves both: dev.lock holds all of run.lock, in the same versions.
.venv/run.stamp: requirements/run.lock requirements/install.sh
	@sh requirements/install.sh run

.venv/dev.stamp: requirements/dev.lock requirements/install.sh
	@sh requirements/install.sh dev

# The proxy that integrations/litellm is tested in.
.venv-litellm/litellm.stamp: requirements/litellm.lock requirements/install.sh integrations/litellm/pyproject.toml
	@sh requirements/install.sh litellm

# Clients that the gateway is tried with. Tests install Aider and the Node client when they first need them.
.venv-clients/clients.stamp: requirements/clients.lock requirements/install.sh
	@sh requirements/install.sh clients
