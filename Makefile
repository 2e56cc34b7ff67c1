# Everything runs in .venv, which is made anew whenever pyproject.toml changes.
# Needs Python 3.11 or newer and make, nothing else. `make test PYTHON=/path/to/python3` takes another Python,
# ARGS is handed on: `make test ARGS="-k lane -x"`, `make demo ARGS="--leads 500"`.

BIN := .venv/bin
READY := .venv/.ready

# The newest that runs: a version manager may have put a python3.13 on PATH that only says it is not installed.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; \
	done)

# Three on two cores: system tests wait more than they work. A file stays together, because its tests share servers.
PYTEST := $(BIN)/pytest -n 3 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help install demo up test test-all compose-test lint types bench chaos clean

help:  ## what there is to make
	@sed -n 's/^\([a-z-]*\):.*  ## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name what; do \
		printf '  make %-13s %s\n' "$$name" "$$what"; done

install: $(READY)  ## the environment only: .venv with leadlane (editable) and its tools

demo: $(READY)  ## the main job from end to end: server, sandbox, workers, an import, its report
	@$(BIN)/leadlane demo $(ARGS)

up: $(READY)  ## a fleet that stays: server with its data, workers, beat, Flower; Ctrl-C ends it
	@$(BIN)/leadlane up $(ARGS)

test: $(READY)  ## all tests but the slow ones
	@$(PYTEST) -m "not slow" $(ARGS)

test-all: $(READY)  ## all tests
	@$(PYTEST) $(ARGS)

compose-test:  ## the compose stack for real: build, up, an import, down; skipped where no docker engine is
	@.ci/compose-test

lint: $(READY)  ## ruff: rules and format
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(READY)  ## mypy, strict
	@$(BIN)/mypy

bench: $(READY)  ## how fast, beside the references, in a quarter of an hour; lines of JSON, also in bench-results
	@$(BIN)/python -m leadlane.ops.bench $(ARGS)

MINUTES := 10
chaos: $(READY)  ## workers, producers and Redis die for MINUTES=10: nothing lost, nothing twice, no rule broken
	@$(BIN)/python -m leadlane.ops.chaos --minutes $(MINUTES) $(ARGS)

clean:  ## remove .venv and all that was built or cached
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer with ensurepip found; name one: make PYTHON=..." >&2; exit 1; }
	@echo "making .venv with $(PYTHON)"
	@"$(PYTHON)" -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --quiet --upgrade "pip>=25.1"  # the first with --group
	@$(BIN)/python -m pip install --quiet --quiet --editable ".[local]" --group dev
	@$(BIN)/python -m compileall -q leadlane ops schemas tasks workers tests  # as an installed wheel is
	@touch $@
