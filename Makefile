# Everything from a fresh clone: Python >= 3.11, git, make and a C compiler are all that a machine needs.
# `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
STAMP := $(VENV)/.installed
LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--no-emit-index-url --system-certs --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test coverage check audit bench lock clean
MAKEFLAGS += --no-print-directory

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(STAMP)  ## create .venv with the locked dependencies and this package (PYTHON=python3.12 to choose one)

$(STAMP): requirements/runtime.txt requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Tacit needs Python 3.11 or newer; try make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@echo "installing the locked dependencies into $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --no-deps --require-hashes --requirement requirements/dev.txt  # the lock is whole: nothing is left to resolve
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

run: setup  ## import TRACES=path (DOMAIN=name, TASK_TYPE=name) and report on it, or show the live example; STORE=path instead of tacit.db
	@$(BIN)/tacit run $(if $(TRACES),--traces "$(TRACES)") $(if $(DOMAIN),--domain "$(DOMAIN)") \
		$(if $(TASK_TYPE),--task-type "$(TASK_TYPE)") $(if $(STORE),--store "$(STORE)")

test: export PYTHONDONTWRITEBYTECODE :=  # hundreds of processes are started: each would compile everything anew
test: setup  ## the whole suite on all processors, measuring branch coverage (TESTS="tests/test_canonical.py -x" for a part)
	@$(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist worksteal --cov --cov-report= --cov-fail-under=0 $(TESTS)

coverage: setup  ## what the last `make test` did not reach; fails below the floor in pyproject.toml
	@$(BIN)/coverage report

check: setup  ## lint, format, types, structure
	@$(PIP) check
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/python -m pytest --quiet tests/test_structure.py

audit: setup  ## look the locked dependencies up in the advisory database (needs the network)
	@$(BIN)/pip-audit --requirement requirements/dev.txt --require-hashes --disable-pip --progress-spinner off

bench: setup  ## run all benches and hold their ratios against bench/baseline.json (BENCH=name: run that one)
	@rm -rf build/bench && mkdir -p build/bench
	@$(BIN)/tacit bench $(BENCH) --output build/bench
	@$(if $(BENCH),,$(BIN)/python -m tacit.bench.gate build/bench/*.json --baseline bench/baseline.json)

lock: setup  ## rewrite requirements/*.txt from pyproject.toml (UPGRADE=yes for newer versions)
	@$(LOCK) --output-file requirements/runtime.txt
	@$(LOCK) --extra postgres --group dev --constraint requirements/runtime.txt --output-file requirements/dev.txt

clean:  ## remove everything that make has made
	@rm -rf $(VENV) build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find src tests bench -type d -name __pycache__ -prune -exec rm -rf {} +
