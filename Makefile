# All targets set up what they need. Only Python 3.11 or newer and make are required.

.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

##@ For users

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-zA-Z0-9_-]+:.*##/ {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(READY) ## Show how the webhook rewrites real Pods
	@$(BIN)/python -m tests.demo

.PHONY: test
test: $(READY) ## Run all tests (or some: ARGS='tests/core -k digest')
	@$(BIN)/python -m pytest $(or $(ARGS),--quiet --numprocesses 4 --dist worksteal)

.PHONY: coverage
coverage: $(READY) ## Run all tests and report lines that are not covered
	@$(BIN)/python -m pytest --quiet --numprocesses 3 --dist worksteal --hypothesis-profile thorough --cov --cov-report term:skip-covered --cov-fail-under 95
	@$(BIN)/coverage report --include 'webhook/core/*,webhook/objects/*' --fail-under 100 >/dev/null

.PHONY: cluster-test
cluster-test: $(READY) ## Run the tests on a real Kubernetes (Go builds it once)
	@$(BIN)/python -m tests.cluster.packages
	@$(BIN)/python -m pytest --quiet $(or $(ARGS),tests/cluster)

.PHONY: cluster-demo
cluster-demo: $(READY) ## Show the chart, Pods and a mirror on a real Kubernetes
	@$(BIN)/python -m tests.cluster.packages
	@$(BIN)/python -m tests.cluster

##@ For developers

.PHONY: install
install: $(READY) ## Create the virtual environment .venv with the locked dependencies

$(READY): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"mirrorhook needs Python 3.11 or newer, but $(PYTHON) is {sys.version.split()[0]}: run make with PYTHON=python3.11")'
	@echo "Setting up $(VENV) (once, about a minute) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.txt
	@PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
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
	@$(BIN)/python -m tests.lint

.PHONY: generate
generate: $(READY) ## Update the generated files
	@$(BIN)/python -m tests.generate

.PHONY: verify
verify: $(READY) ## Check that the generated files are up to date
	@$(BIN)/python -m tests.generate --check

.PHONY: docs
docs: $(READY) ## Build the documentation site in build/site, and check its links and words
	@$(BIN)/codespell *.md docs charts webhook manifests
	@$(BIN)/proselint --config .proselintrc.json check *.md docs/*.md docs/howto docs/reference charts/mirrorhook/README.md
	@$(BIN)/python -m tests.site $(if $(VERSION),--version $(VERSION)) $(if $(SITE),--output $(SITE))

.PHONY: screenshots
screenshots: $(READY) ## Take the pictures of the console and the dashboard in the documentation
	@$(BIN)/python -m tests.cluster.packages chromium prometheus docker-registry util-linux
	@$(BIN)/python -m tests.site.screenshots
	@$(BIN)/python -m tests.cluster.dashboard

.PHONY: image
image: ## Build the container image (options: ENGINE=podman, IMAGE=name, BASE and BUILDER=image with Python)
	@$(ENGINE) build --tag $(IMAGE) $(if $(BASE),--build-arg BASE=$(BASE)) $(if $(BUILDER),--build-arg BUILDER=$(BUILDER)) .

ENGINE ?= docker
IMAGE ?= mirrorhook:dev

.PHONY: bench
bench: $(READY) ## Measure the figures in docs/performance.md
	@$(BIN)/python -m tests.bench

.PHONY: attack
attack: $(READY) ## Attack the webhook as hostile Pod authors and clients would
	@$(BIN)/python -m pytest --quiet $(or $(ARGS),tests/attack)

.PHONY: fuzz
fuzz: $(READY) ## Fuzz all that reads what others write (options: SECONDS=60, ARGS='reference --executions 1000000')
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --requirement requirements-fuzz.txt || echo "Without coverage: there is no atheris for this platform" >&2
	@$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60) $(ARGS)

.PHONY: chaos
chaos: $(READY) ## Strike the webhook with faults while Pods are created (options: ARGS='disk clock')
	@$(BIN)/python -m tests.cluster.packages openssl util-linux faketime
	@$(BIN)/python -m tests.chaos $(ARGS)

.PHONY: soak
soak: $(READY) ## Run the webhook for an hour, and fail if it grows (options: SECONDS=3600, ARGS='--picture FILE')
	@$(BIN)/python -m tests.soak --seconds $(or $(SECONDS),3600) $(ARGS)

.PHONY: scale
scale: $(READY) ## Measure a cluster of 5,000 namespaces, 100,000 Pods, 10,000 rules and 50 replicas (options: ARGS='--pods 5000')
	@$(BIN)/python -m tests.cluster.packages openssl util-linux iproute2
	@$(BIN)/python -m tests.scale $(ARGS)

.PHONY: audit
audit: $(READY) ## Check the licences and known vulnerabilities of the dependencies (options: ARGS=--required)
	@$(BIN)/python -m tests.dependencies $(ARGS)

.PHONY: cluster-bench
cluster-bench: $(READY) ## Measure how much the webhook adds to the creation of a Pod
	@$(BIN)/python -m tests.cluster.packages
	@$(BIN)/python -m tests.cluster.timing

.PHONY: image-check
image-check: $(READY) ## Build the image twice without Docker, compare the results and run it
	@$(BIN)/python -m tests.image

.PHONY: release
release: $(READY) ## Build a release in dist/ (VERSION=1.2.3, and PUSH=registry/path, KEY=cosign.key or IDENTITY=1)
	@$(BIN)/python -m tests.cluster.packages buildah mmdebstrap debian-archive-keyring
	@$(BIN)/python -m tests.release $(VERSION) $(if $(PUSH),--push=$(PUSH)) $(if $(KEY),--key=$(KEY)) $(if $(IDENTITY),--identity)

.PHONY: release-check
release-check: $(READY) ## Build a release twice, publish it to a local registry, install and verify it
	@$(BIN)/python -m tests.cluster.packages
	@$(BIN)/python -m pytest --quiet $(or $(ARGS),tests/release)

.PHONY: lock
lock: $(READY) ## Update the locked dependencies in requirements*.txt
	@$(BIN)/pip-compile $(LOCK) --extra cluster --extra tracing --output-file requirements.txt pyproject.toml
	@$(BIN)/pip-compile $(LOCK) --extra cluster --extra tracing --extra dev --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml
	@$(BIN)/pip-compile $(LOCK) --extra fuzz --constraint requirements.txt --output-file requirements-fuzz.txt pyproject.toml

LOCK := --quiet --upgrade --generate-hashes --no-strip-extras --allow-unsafe --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host
