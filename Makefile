# `make help` lists the targets. The environment is .venv; nothing is installed outside it but by `make peers`.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STUDY ?=

.DEFAULT_GOAL := help
.PHONY: help setup dev peers demo test lint interop contract faults startup docs clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready ## the environment for `demo` and `serve`

$(VENV)/.ready: pyproject.toml scripts/environment.sh
	@scripts/environment.sh "$(PYTHON)" "$(VENV)"

dev: $(VENV)/.dev ## the environment for tests and linters

$(VENV)/.dev: $(VENV)/.ready
	@$(BIN)/pip install --quiet --group dev
	@touch $@

peers: ## install the peers that tests talk to (Debian, as root), or say what is missing
	@scripts/peers.sh

demo: setup ## the whole way on this machine; STUDY=folder for your own DICOM
	@$(BIN)/bridge demo $(if $(STUDY),"$(STUDY)",)

test: dev peers ## all tests
	@$(BIN)/pytest

lint: dev ## ruff, mypy, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

interop: dev peers ## storescu -> bridge -> sandbox -> Orthanc on real studies, with validators
	@$(BIN)/pytest tests/peers/test_thread.py -s

contract: dev ## every platform through the same suite, killed at every step
	@$(BIN)/pytest tests/contract

faults: dev ## SIGKILL at every exact point and 50 random ones: one job, one SEG, one SR, nothing lost
	@$(BIN)/python tests/faults/campaign.py --random 50

startup: dev ## `bridge --help` against `python -c pass`
	@$(BIN)/python bench/startup.py

docs: dev ## run every command and example of the docs
	@$(BIN)/pytest tests/docs

clean: ## remove what the demo made
	@rm -rf demo
