# Everything needs only Python >= 3.11 and make; the environment is built on first use and again when its recipe changes.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
NEWEST_PYTHON ?= $(PYTHON)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install

.PHONY: help demo docs dist test test-slow test-no-posix test-oldest test-newest test-installs lint typed time results
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "motionlift needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | head -n 1). Try: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (a few minutes the first time)"
# torch first and alone: pip then takes the build this machine is set up for (docs/decisions/0009).
	@$(PIP) "$$(grep '^torch==' constraints.txt)"
	@$(PIP) -e ".[dev]" -c constraints.txt
	@touch $@

demo: $(READY) ## transfer motion to new prompts, into demo-output/
	$(BIN)/motionlift demo

test: $(READY) ## the quick tests
	$(BIN)/pytest -q -n auto --dist worksteal -m "not slow and not network"

test-slow: $(READY) ## the tests that take their time; with MINUTES=20 none begins after so many
	$(BIN)/pytest -q -n auto --dist worksteal -m slow $(if $(MINUTES),--minutes $(MINUTES))

test-no-posix: $(READY) ## the quick tests where the package finds nothing that POSIX alone has
	WITHOUT_POSIX=1 $(BIN)/pytest -q -n auto -m "not slow and not network"

# Environments of their own, each of some gigabytes: the package index has torch for GPUs alone (docs/versions.md).
test-oldest: $(READY) ## the quick tests with the oldest versions that are allowed
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(VENV)-oldest
	$(BIN)/uv pip install --quiet --python $(VENV)-oldest --resolution lowest-direct --upgrade -e ".[dev]"
	$(VENV)-oldest/bin/python -m pytest -q -n auto -m "not slow and not network"

test-newest: $(READY) ## the quick tests with the newest versions that are allowed; NEWEST_PYTHON names another Python
	$(BIN)/uv venv --quiet --allow-existing --python $(NEWEST_PYTHON) $(VENV)-newest
	$(BIN)/uv pip install --quiet --python $(VENV)-newest --upgrade -e ".[dev]"
	$(VENV)-newest/bin/python -m pytest -q -n auto -m "not slow and not network"

test-installs: $(READY) ## whether the package can be installed beside others, on every system; asks the package index
	$(BIN)/pytest -q -m network

lint: $(READY) ## style, types, and which floor imports which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

typed: $(READY) ## a user's program against the wheel, by mypy
	@rm -rf build/typed
	@$(BIN)/python -m venv --without-pip build/typed
	@$(BIN)/python -m pip --quiet wheel --no-deps --wheel-dir build/typed .
	@$(BIN)/python -m pip --quiet --python build/typed/bin/python install --no-deps build/typed/*.whl
	@$(BIN)/python -c 'import site; print(site.getsitepackages()[0])' > "$$(build/typed/bin/python -c 'import site; print(site.getsitepackages()[0])')/others.pth"
	$(BIN)/mypy --config-file tests/typed/mypy.ini --cache-dir build/mypy --python-executable build/typed/bin/python tests/typed/program.py

docs: $(READY) ## the site, into build/site; warnings and dead links are errors
	$(BIN)/python -m lab.site.compose build/site-source
	$(BIN)/zensical build --strict --clean

dist: $(READY) ## wheel and source archive, into dist/
	@rm -rf dist
	$(BIN)/python -m build

time: $(READY) ## time and memory, one table for each file of benchmarks/
	@set -e; for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python -m "benchmarks.$$(basename "$$file" .py)"; done

results: $(READY) ## measure what docs/results.md shows, and write it (hours; goes on where it was stopped)
	$(BIN)/python -m lab.experiments
# Written elsewhere first: the tables beside a report are not kept.
	@mkdir -p build/reports
	for run in world things; do \
	  $(BIN)/motionlift report docs/results/$$run --output build/reports/$$run.html --overwrite && cp build/reports/$$run.html docs/results/$$run/report.html || exit; \
	done
