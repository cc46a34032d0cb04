# The daily commands. `make` prints this list from the ## comments.
# Rule: what a developer runs and what CI runs is the same list (`make check`, then `make test`).

.DEFAULT_GOAL := help
SHELL := /bin/sh
.SHELLFLAGS := -eu -c
MAKEFLAGS += --no-print-directory

export PYTHON
ARGS ?= --orders 300 --workers 3 --seed 7
JOBS ?= 2
RUNS ?= 20000
SEED ?= 7
FAULTS ?= 10
PROFILE ?=
DEPTH ?= 3
BENCH ?=
PYTEST := .venv/bin/python -m pytest -q
DEV_DB := embedded:.saga

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# Everything that needs the environment depends on its stamp. The stamp lives inside .venv and holds the directory's
# name: an environment that was moved with its checkout, or whose Python is gone, is not there for make.
ifneq ($(shell cat .venv/stamp 2>/dev/null && .venv/bin/python -c '' 2>/dev/null && echo works),$(CURDIR) works)
.PHONY: .venv/stamp
endif
.venv/stamp: pyproject.toml constraints.txt scripts/venv.sh hatch_build.py
	@sh scripts/venv.sh 1>&2

.PHONY: venv
venv: .venv/stamp ## make .venv and install the project into it (PYTHON= names the interpreter)

.PHONY: demo
demo: .venv/stamp ## a shop under fire: lost replies, killed workers, audited ledgers (ARGS= replaces the arguments)
	@.venv/bin/saga demo $(ARGS)

.PHONY: test
test: .venv/stamp ## the whole of the tests, in under five minutes on two cores (JOBS=2)
	@$(PYTEST) -n $(JOBS) --dist loadgroup tests

.PHONY: unit
unit: .venv/stamp ## the pure tests, in seconds
	@$(PYTEST) tests/unit

.PHONY: crash
crash: .venv/stamp ## the tests that kill real processes
	@$(PYTEST) tests/crash

.PHONY: sim
sim: .venv/stamp ## simulate RUNS sagas on the production worker under seeded faults (SEED= PROFILE= FAULTS= per cent)
	@.venv/bin/python -m tests.proof.sim --runs $(RUNS) --seed $(SEED) --faults $(FAULTS) --jobs $(JOBS) $(if $(PROFILE),--profile $(PROFILE))

.PHONY: exhaustive
exhaustive: .venv/stamp ## every path with up to DEPTH=3 faults, for every shape of up to three steps
	@.venv/bin/python -m tests.proof.exhaustive --jobs $(JOBS) --faults $(DEPTH)

.PHONY: mutants
mutants: .venv/stamp ## plant known bugs, one at a time: the simulation must catch each of them
	@.venv/bin/python -m tests.proof.mutants --jobs $(JOBS)

.PHONY: model
model: .venv/stamp ## check the formal model of the protocol, and its buggy twins
	@.venv/bin/python -m tests.model

.PHONY: chaos
chaos: .venv/stamp ## two minutes of kill -9, frozen workers, cut wires and failovers on real processes
	@.venv/bin/python -m tests.chaos --seconds 120 --seed $(SEED) --workers 3 --rate 30

.PHONY: soak
soak: .venv/stamp ## the same for half an hour, with at least 50,000 sagas
	@.venv/bin/python -m tests.chaos --seconds 1800 --seed $(SEED) --workers 3 --rate 28

.PHONY: bench-quick
bench-quick: .venv/stamp ## the engine beside the bare loop, on a Postgres of their own: a table, and one JSON line
	@.venv/bin/python -m benchmarks --quick $(BENCH)

.PHONY: bench
bench: .venv/stamp ## the same with a million finished sagas, sleepers, take-over, and the peers that `make peers` has installed
	@.venv/bin/python -m benchmarks

.PHONY: growth
growth: .venv/stamp ## what a saga costs as history, sleepers, steps and workers grow: measured, and drawn into docs/growth
	@.venv/bin/python -m benchmarks.growth docs/growth/figures.json
	@.venv-peers/bin/python -m benchmarks.peers.plots docs/growth/figures.json docs/growth

.PHONY: peers
peers: .venv/stamp ## what the peers of the benchmark need, in .venv-peers (and Restate's server, where there is npm)
	@sh scripts/peers.sh

.PHONY: check
check: lint types check-docs check-schema ## what CI runs before the tests: format, lint, imports, types, docs, schema

.PHONY: lint
lint: .venv/stamp ## formatting, lint rules, and who may import whom
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/ruff check --quiet .
	@.venv/bin/lint-imports --no-cache --no-logo

.PHONY: types mypy pyright
types: mypy pyright ## mypy strict and pyright strict
mypy: .venv/stamp
	@.venv/bin/mypy
pyright: .venv/stamp
	@.venv/bin/basedpyright

.PHONY: fmt
fmt: .venv/stamp ## format, and fix what can be fixed
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

.PHONY: check-docs
check-docs: .venv/stamp ## README, docs and examples, executed
	@$(PYTEST) tests/docs

.PHONY: check-schema
check-schema: .venv/stamp ## the migrations give exactly the tables of saga.store.schema
	@$(PYTEST) tests/integration -k schema

.PHONY: table
table: .venv/stamp ## write the table of legal transitions again; its diff is what a reviewer reads
	@.venv/bin/python -m saga.core.table > docs/transitions.md.new
	@mv docs/transitions.md.new docs/transitions.md

.PHONY: rules
rules: .venv/stamp ## write the table of which test holds which rule
	@.venv/bin/python scripts/rules.py > docs/rules.md.new
	@mv docs/rules.md.new docs/rules.md

.PHONY: migration
migration: .venv/stamp ## begin a migration: make migration NAME=verb_noun
	@test -n "$(NAME)" || { echo 'say what it does: make migration NAME=verb_noun' >&2; exit 2; }
	@.venv/bin/python scripts/new_migration.py "$(NAME)"

.PHONY: db-up
db-up: .venv/stamp ## a development database in .saga, migrated
	@.venv/bin/saga db upgrade --database $(DEV_DB)

.PHONY: db-reset
db-reset: .venv/stamp ## throw the development database away and make it anew
	@.venv/bin/python -m saga.dev.embedded stop .saga
	@rm -rf .saga
	@$(MAKE) db-up

.PHONY: fresh
fresh: ## clone HEAD into a new private directory and run `make demo` and `make test` there with a bare PATH
	@bash scripts/fresh.sh

.PHONY: constraints
constraints: ## resolve the newest versions again and pin them, names and versions only
	@python3 scripts/constraints.py

.PHONY: clean
clean: ## remove what can be made again (not .saga)
	@rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
