# attnviz: `make run` sets up and shows the founding example, `make test` checks everything.

PYTHON ?= python3
BIN := .venv/bin
NODE := node_modules
SENTENCE := The animal didn't cross the street because it was too tired.

.PHONY: run test test-quick lint types tests docs-check docs samples bench clean tools

run: .venv/installed
	$(BIN)/attnviz run "$(SENTENCE)" --query it

test: lint types docs-check tests

# in a few minutes: all tests but those that train, measure, or start many processes
test-quick: lint .venv/developed tools
	$(BIN)/pytest -q -n auto -m "not slow"

lint: .venv/developed $(NODE)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(NODE)/.bin/biome check --error-on-warnings

types: .venv/developed $(NODE)/installed
	$(BIN)/mypy
	$(NODE)/.bin/tsc

docs-check: .venv/developed
	$(BIN)/python scripts/cli_reference.py --check
	$(BIN)/python scripts/api_reference.py --check

tests: .venv/developed $(NODE)/installed tools
	$(BIN)/pytest -q -n auto

docs: .venv/developed
	$(BIN)/python scripts/cli_reference.py
	$(BIN)/python scripts/api_reference.py

samples: .venv/developed tools
	PATH="$(CURDIR)/$(BIN):$$PATH" samples/make.sh

bench: .venv/developed
	$(BIN)/python benchmarks/all.py
	$(BIN)/python benchmarks/scale.py

clean:
	rm -rf .venv $(NODE) .mypy_cache .ruff_cache .pytest_cache .hypothesis

# samples/pipeline.sh reads JSON with jq, the page is tested in Chromium and in Firefox
tools:
	@$(call need,jq,jq)
	@test -n "$$ATTNVIZ_CHROMIUM" || { $(call need,chromium,chromium); }
	@test -n "$$ATTNVIZ_FIREFOX" || { $(call need,firefox-esr,firefox-esr); }

# a program, and Debian's packages that have it
need = command -v $(1) >/dev/null \
  || { echo "make: $(1) is missing, installing it"; apt-get -qq update && apt-get -qq install -y --no-install-recommends $(2) >/dev/null; } \
  || { echo "make: $(1) is missing; install it, for instance with apt-get install $(2)"; exit 1; }

# what checks the page's scripts and style
$(NODE)/installed: package.json package-lock.json .npmrc
	@$(call need,npm,nodejs npm)
	npm ci --silent
	touch $@

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/developed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@ .venv/installed
