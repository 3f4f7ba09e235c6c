# Needs Python 3.11 or newer, pip and make; everything else goes into a virtual environment of its own.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OTHER ?= python3.13
# Tests wait more than they compute: for sockets, for processes, for the next second.
WORKERS ?= $(shell getconf _NPROCESSORS_ONLN)
SCIMMY := tests/peers/scimmy

# Tests and benchmarks start the command some hundred times: compiled modules spare each half a second.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test check lint types layers docs wheel test-other bench bench-quick clean

help:
	@echo "make demo         export a simulated account (no KnowBe4 account needed)"
	@echo "make test         run the tests"
	@echo "make check        everything CI checks: lint, types, layers, tests, documentation, wheel"
	@echo "make docs         build the documentation into build/docs"
	@echo "make bench        measure everything, in under 15 minutes, and write benchmarks/results.md"
	@echo "make bench-quick  a part of it, in under two minutes"
	@echo "make clean        remove the virtual environments and everything built"

# --group, which reads the dependency groups, came with pip 25.1.
$(VENV)/.run: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --editable ".[cli]"
	@touch $@

$(VENV)/.test: $(VENV)/.run
	@$(BIN)/python -m pip install --quiet --group test
	@touch $@

$(VENV)/.check: $(VENV)/.test
	@$(BIN)/python -m pip install --quiet --group check
	@touch $@

$(VENV)/.docs: $(VENV)/.run
	@$(BIN)/python -m pip install --quiet --group docs
	@touch $@

demo: $(VENV)/.run
	@rm -rf demo-export
	$(BIN)/kb4 demo demo-export
	@echo "Look at it:  head -c 400 demo-export/users.jsonl; cat demo-export/manifest.json"

# One of the servers that SCIM is tested against is an npm package.
$(SCIMMY)/node_modules/.package-lock.json: $(SCIMMY)/package.json $(SCIMMY)/package-lock.json
	@if command -v npm > /dev/null; then \
		cd $(SCIMMY) && npm ci --loglevel=error --no-audit --no-fund > /dev/null && \
		touch node_modules/.package-lock.json; \
	else \
		echo "npm is not installed: SCIM is not tested against scimmy"; \
	fi

test: $(VENV)/.test $(SCIMMY)/node_modules/.package-lock.json
	$(BIN)/python -m pytest -q --dist loadfile --tx "$(WORKERS)*popen//python=$(BIN)/python -X dev"

lint: $(VENV)/.check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.check
	$(BIN)/mypy

layers: $(VENV)/.check
	$(BIN)/lint-imports --no-logo

# Built anew each time: pages taken over from an earlier build would hide their warnings.
docs: $(VENV)/.docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --fresh-env --quiet \
		--doctree-dir build/doctrees docs build/docs
	@echo "built: build/docs/index.html"

# The wheel, and the command from it, in an environment that holds nothing else.
wheel: $(VENV)/.check
	rm -rf dist $(VENV)-wheel
	$(BIN)/python -m build --wheel --outdir dist . > /dev/null
	$(PYTHON) -m venv $(VENV)-wheel
	$(VENV)-wheel/bin/python -m pip install --quiet "$$(ls dist/*.whl)[cli]"
	cd / && $(CURDIR)/$(VENV)-wheel/bin/kb4 --help > /dev/null
	$(VENV)-wheel/bin/python -m pip uninstall --quiet --yes typer rich
	cd / && $(CURDIR)/$(VENV)-wheel/bin/python -c "from kb4_async import *; import kb4_async.testing"
	rm -rf $(VENV)-wheel

# The tests on another Python, where one is installed.
test-other:
	@if command -v $(OTHER) > /dev/null && $(OTHER) -c "" 2> /dev/null; then \
		$(MAKE) --no-print-directory test PYTHON=$(OTHER) VENV=.venv-other; \
	else \
		echo "$(OTHER) is not installed: tested on $$($(PYTHON) --version) alone"; \
	fi

check: lint types layers docs test test-other wheel
	@echo "all checks passed"

bench: $(VENV)/.run
	$(BIN)/python -m benchmarks

bench-quick: $(VENV)/.run
	$(BIN)/python -m benchmarks --quick

clean:
	rm -rf $(VENV) $(VENV)-wheel .venv-other dist build demo-export .pytest_cache .mypy_cache \
		.ruff_cache .hypothesis .import_linter_cache $(SCIMMY)/node_modules benchmarks/.envs
