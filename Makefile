# `make help` lists the targets. The environment is .venv; nothing is installed outside it but by `make peers`.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STUDY ?=
PLATFORM ?= grand-challenge

.DEFAULT_GOAL := help
.PHONY: help setup dev peers demo test lint canaries interop receive volumes bench-segment bench-convert bench-mesh bench-replay large oracles lint-docker contract faults startup docs pictures clean

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

demo: setup ## the whole way on this machine; STUDY=folder for your own DICOM, PLATFORM=virtual-patient-engine
	@$(BIN)/bridge demo --platform "$(PLATFORM)" $(if $(STUDY),"$(STUDY)",)

test: dev peers ## all tests
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: dev ## ruff, mypy, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

interop: dev peers ## storescu -> bridge -> sandbox -> Orthanc on real studies, with validators; a PACS that loops
	@$(BIN)/pytest -s -m "long or not long" tests/peers/test_thread.py tests/peers/test_loop.py tests/peers/test_ask.py \
	  tests/peers/test_forms.py tests/peers/test_head.py tests/peers/test_result_validity.py tests/peers/test_other_results.py \
	  tests/peers/test_variants.py tests/peers/test_hostile_headers.py tests/peers/test_deidentified_objects.py \
	  tests/property/test_dcmqi.py

receive: dev peers ## all real data arrives bit for bit, from a raw sender and from dcmsend beside storescp
	@$(BIN)/pytest -s -m "long or not long" tests/peers/test_receive_all.py

volumes: dev peers ## every series of the test data against its truth, dcm2niix and SimpleITK beside it
	@$(BIN)/python bench/volumes.py

bench-segment: dev ## SEG of 300 x 5 and 300 x 100 segments beside plain highdicom
	@$(BIN)/python bench/segment.py

bench-convert: dev ## conversion beside dcm2niix and SimpleITK
	@$(BIN)/python bench/convert.py

bench-mesh: dev ## voxels of a mesh of 360,000 faces beside VTK, which it installs below .oracles
	@scripts/oracles.sh vtk
	@$(BIN)/python bench/mesh.py

bench-replay: dev ## 10,000 recorded studies through other rules: time, memory, index
	@$(BIN)/python bench/replay.py

large: dev ## a 1.5 GB input with flat memory
	@$(BIN)/python bench/large_input.py

oracles: ## the official clients, each in an environment of its own
	@scripts/oracles.sh

lint-docker: dev ## Dockerfiles and compose file, offline
	@$(BIN)/hadolint docker/Dockerfile docker/orthanc/Dockerfile
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker/compose.yaml

contract: dev ## every platform through the same suite, killed at every step
	@$(BIN)/pytest tests/contract

canaries: dev ## marks in every attribute, on every way out, beside three public libraries: found 0
	@if scripts/oracles.sh anonymizers; then $(BIN)/python -m tests.canaries.other_libraries; else [ $$? -eq 3 ]; fi
	@$(BIN)/pytest tests/canaries/test_kept.py -m "long or not long"
	@$(BIN)/python -m tests.canaries.campaign

faults: dev ## SIGKILL at every exact point and 200 random ones: one job, one SEG, one SR, nothing lost
	@$(BIN)/pytest tests/faults tests/unit/cli/test_serve_outage.py -m "long or not long"
	@$(BIN)/python tests/faults/campaign.py --random 200

startup: dev ## `bridge --help` against `python -c pass`
	@$(BIN)/python bench/startup.py

docs: dev ## run every command and example of the docs
	@$(BIN)/pytest tests/docs -m "long or not long"

pictures: setup ## the pictures of the docs, from a demo; needs Chromium
	@$(BIN)/python scripts/pictures.py

clean: ## remove what the demo made
	@rm -rf demo
