# CI and people call the same targets. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-print-directory
# A service takes twice as long to start when its modules are compiled each time.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
SETUP := infra/setup
ARGS ?=
# Tests wait for brokers and processes more than they compute: three workers for a core. Each fleet
# is one worker's, and so are a file's tests (conftest.py).
WORKERS ?= 6
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist loadfile
UV_COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[1mmake %-16s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Run

.PHONY: demo
demo: ## Start the fleet with a simulated market and show its events; ARGS="--edges 2 --engine compose"
	@$(SETUP) demo
	@$(BIN)/tapewire up $(ARGS)

.PHONY: stop
stop: ## Stop the fleet
	@if [ -x $(BIN)/tapewire ]; then $(BIN)/tapewire down; fi

.PHONY: doctor
doctor: ## Say what is installed, reachable, declared, and what to do about the rest
	@$(SETUP) python
	@$(BIN)/tapewire doctor

.PHONY: dashboard
dashboard: ## Build the dashboard, if its sources changed
	@$(SETUP) web

##@ Check

.PHONY: test
test: dev ## Run the tests, on both engines where this machine has both; ARGS="-k inbox"
	TAPEWIRE_TEST_ENGINES=process,containers $(PYTEST) -m "not long" $(ARGS)
	@$(MAKE) test-web

.PHONY: test-process
test-process: dev ## Run the tests with RabbitMQ and the fleet as local processes; ARGS="-k inbox"
	TAPEWIRE_TEST_ENGINES=process $(PYTEST) -m "not containers and not long" $(ARGS)

.PHONY: test-containers
test-containers: dev ## Run the tests that use containers: RabbitMQ 4, PostgreSQL, the fleet's images
	$(PYTEST) -m "containers and not long" libs services $(ARGS)
	TAPEWIRE_TEST_ENGINES=containers $(PYTEST) -m "not long" tests-integration $(ARGS)

.PHONY: test-web
test-web: dev ## Run the tests of the TypeScript SDK and the dashboard
	@if [ -d node_modules ]; then npm test; else echo "NOT TESTED: there is no npm"; fi

.PHONY: test-long
test-long: dev ## Run the tests that `make test` leaves out: kills at every point, the auditor's own, the page and faults on containers
	TAPEWIRE_TEST_ENGINES=process,containers $(PYTEST) -m long $(ARGS)

.PHONY: test-faults
test-faults: dev ## Strike a fleet under load, audit every critical alert (long); ARGS="--seed 7 --only 'edge kill -9'"
	PYTHONPATH=tests-integration $(BIN)/python -m faults $(ARGS)
	@if [ -n "$(ARGS)" ]; then :; elif docker info >/dev/null 2>&1; then \
	PYTHONPATH=tests-integration $(BIN)/python -m faults --cluster; \
	else echo "NOT TESTED: a cluster of three brokers needs Docker"; fi

.PHONY: check
check: dev ## Lint, format check, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	@if [ -d node_modules ]; then set -ex; npx pyright; npm run --silent typecheck; \
	else echo "NOT CHECKED: types need npm (Node.js 20.19 or later)"; fi

.PHONY: format
format: dev ## Format the code, mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

##@ Measure

.PHONY: bench
bench: dev bench-peers ## Measure every figure beside the peers (long; an idle machine); ARGS="--only fan-out"
	$(BIN)/python -m bench $(ARGS)

.PHONY: bench-quick
bench-quick: dev ## Measure what takes two minutes, as ratios to a plain broadcast; ARGS="--runs 5"
	$(BIN)/python -m bench --quick $(ARGS)

.PHONY: bench-peers
bench-peers: dev
	@$(SETUP) bench

##@ Keep

.PHONY: dev
dev:
	@$(SETUP) dev

.PHONY: lock
lock: dev ## Write the lock files anew from pyproject.toml; UPGRADE=1 takes the newest versions
	$(UV_COMPILE) $(if $(UPGRADE),--upgrade) --extra fleet -o requirements.lock pyproject.toml
	$(UV_COMPILE) $(if $(UPGRADE),--upgrade) --extra fleet --group dev -c requirements.lock -o requirements-dev.lock pyproject.toml
	$(UV_COMPILE) $(if $(UPGRADE),--upgrade) --group bench -c requirements-dev.lock -o requirements-bench.lock pyproject.toml
	$(UV_COMPILE) $(if $(UPGRADE),--upgrade) --group setup -o requirements-setup.lock

.PHONY: screenshots
screenshots: dev ## Take docs/screenshots anew: every state of the dashboard; ARGS="--only offline,stale"
	PYTHONPATH=tests-integration $(BIN)/python -m browser.gallery $(ARGS)

.PHONY: clean
clean: stop ## Stop the fleet and remove everything that was made: environments, data, caches
	rm -rf .venv .run node_modules .ruff_cache .pytest_cache .hypothesis .import_linter_cache test-results
	rm -rf services/dashboard/dist libs/client-web/dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
