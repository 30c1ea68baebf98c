# Everything here does its own set-up: Python 3.11 or newer and make are enough.

.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

##@ For everyone

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-zA-Z0-9_-]+:.*##/ {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(READY) ## Show the main job: real Pods rewritten by the real webhook
	@$(BIN)/python -m tests.demo

.PHONY: test
test: $(READY) ## Pass every test (some: ARGS='tests/core -k digest')
	@$(BIN)/python -m pytest $(or $(ARGS),--quiet --numprocesses 4 --dist worksteal)

.PHONY: coverage
coverage: $(READY) ## Pass every test, and see which lines none of them reaches
	@$(BIN)/python -m pytest --quiet --numprocesses 3 --dist worksteal --hypothesis-profile thorough --cov --cov-report term:skip-covered --cov-fail-under 95
	@$(BIN)/coverage report --include 'webhook/core/*,webhook/objects/*' --fail-under 100 >/dev/null

.PHONY: cluster-test
cluster-test: $(READY) ## Prove it on a real Kubernetes, which Go builds once
	@$(BIN)/python -m tests.cluster.packages
	@$(BIN)/python -m pytest --quiet $(or $(ARGS),tests/cluster)

.PHONY: cluster-demo
cluster-demo: $(READY) ## Show all of it on a real Kubernetes: chart, Pods, mirror
	@$(BIN)/python -m tests.cluster.packages
	@$(BIN)/python -m tests.cluster

##@ For developers

.PHONY: install
install: $(READY) ## Make the virtual environment in .venv with the locked dependencies

$(READY): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"mirrorhook needs Python 3.11 or newer, and $(PYTHON) is {sys.version.split()[0]}: call make with PYTHON=python3.11")'
	@echo "Setting up $(VENV) (once, about a minute) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.txt
	@PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	@touch $@

.PHONY: fmt
fmt: $(READY) ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --quiet --fix .

.PHONY: lint
lint: $(READY) ## Check style, types and import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

.PHONY: generate
generate: $(READY) ## Make the files that are made from others
	@$(BIN)/python -m tests.generate

.PHONY: verify
verify: $(READY) ## Find generated files that are stale
	@$(BIN)/python -m tests.generate --check

.PHONY: image
image: ## Build the container image (ENGINE=podman, IMAGE=name, BASE=image with Python)
	@$(ENGINE) build --tag $(IMAGE) $(if $(BASE),--build-arg BASE=$(BASE)) .

ENGINE ?= docker
IMAGE ?= mirrorhook:dev

.PHONY: bench
bench: $(READY) ## Measure the figures that the documentation quotes
	@$(BIN)/python -m tests.bench

.PHONY: cluster-bench
cluster-bench: $(READY) ## Measure what a call adds to the creation of a Pod
	@$(BIN)/python -m tests.cluster.packages
	@$(BIN)/python -m tests.cluster.timing

.PHONY: image-check
image-check: $(READY) ## Build the image twice without Docker, compare and run it
	@$(BIN)/python -m tests.image

.PHONY: lock
lock: $(READY) ## Resolve the dependencies anew into requirements*.txt
	@$(BIN)/pip-compile $(LOCK) --extra cluster --extra tracing --output-file requirements.txt pyproject.toml
	@$(BIN)/pip-compile $(LOCK) --extra cluster --extra tracing --extra dev --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml

LOCK := --quiet --upgrade --generate-hashes --no-strip-extras --allow-unsafe --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host
