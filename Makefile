# attnviz: `make run` sets up and shows the founding example, `make test` checks everything.

PYTHON ?= python3
BIN := .venv/bin
SENTENCE := The animal didn't cross the street because it was too tired.

.PHONY: run test test-quick lint types tests docs-check docs samples bench clean tools

run: .venv/installed
	$(BIN)/attnviz run "$(SENTENCE)" --query it

test: lint types docs-check tests

# in a few minutes: all tests but those that train, measure, or start many processes
test-quick: lint .venv/developed
	$(BIN)/pytest -q -n auto -m "not slow"

lint: .venv/developed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/developed
	$(BIN)/mypy

docs-check: .venv/developed
	$(BIN)/python scripts/cli_reference.py --check
	$(BIN)/python scripts/api_reference.py --check

tests: .venv/developed tools
	$(BIN)/pytest -q -n auto

docs: .venv/developed
	$(BIN)/python scripts/cli_reference.py
	$(BIN)/python scripts/api_reference.py

samples: .venv/developed tools
	PATH="$(CURDIR)/$(BIN):$$PATH" samples/make.sh

bench: .venv/developed
	$(BIN)/python benchmarks/all.py

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

# samples/pipeline.sh reads JSON with jq
tools:
	@command -v jq >/dev/null || { apt-get -qq update && apt-get -qq install -y jq; } \
	  || { echo "make: jq is missing; install it, for instance with apt-get install jq"; exit 1; }

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/developed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@ .venv/installed
