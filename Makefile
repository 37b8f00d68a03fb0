# custkit: every command of the workbook. `make` lists them.
#
# Two stamps stand for the two environments: what a reader needs (requirements.lock) and what the tests
# need on top of it (requirements-test.lock). A target names the one it needs; a changed lock or
# pyproject.toml brings the environment up to date on the next call.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

VENV := .venv
PY := $(VENV)/bin/python
READER := $(VENV)/.ready-reader
TESTER := $(VENV)/.ready-tester
COURSE := notebooks/_course/workbook.py

# Compiled modules are kept, whatever the surroundings say: compiling pandas and its like anew takes every
# kernel four seconds.
export PYTHONDONTWRITEBYTECODE :=

# One thread per process where notebooks run side by side; sums come out alike everywhere.
run test refresh answers datasets: export OMP_NUM_THREADS := 1

# Strict comparison of stored outputs; a notebook stays on one worker.
NBVAL := --nbval --nbval-current-env --nbval-sanitize-with tests/nbval_sanitize.cfg --nbval-cell-timeout 300
OFFLINE := PYTHONPATH=$(CURDIR)/tests/offline

# Locks hold for Python 3.11 and newer on every system, and name no host.
COMPILE := pip compile pyproject.toml --quiet --universal --python-version 3.11 --fork-strategy fewest \
  --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)

# Notebooks whose stored outputs must come out again.
STORED = $(wildcard notebooks/*.ipynb solutions/*/*.ipynb custkit/reports/*.ipynb)

.PHONY: help setup lab run report test bench rules refresh exercises answers datasets recovery locks clean

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READER)  ## create .venv with everything a reader needs (about two minutes, once)
	@echo "Ready: $(VENV). Next: make lab"

lab: $(READER)  ## copy the exercises to work/ (once) and open JupyterLab at the start page [LAB=--no-browser]
	@$(PY) $(COURSE) copy-exercises
	@echo "Opening JupyterLab; stop it with Ctrl-C."
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB) notebooks/00_start_here.ipynb

run: $(READER)  ## run the whole workbook, build its pages, then the CDNOW report, all under build/
	@$(PY) $(COURSE) run
	@echo "Writing the customer report on the CDNOW orders ..."
	@$(VENV)/bin/custkit report rfm-forecast --demo --out build/reports
	@echo "Workbook pages: build/book/00_start_here.html"
	@echo "Report:         build/reports/rfm-forecast.html"

report: $(READER)  ## the customer report on your own orders: make report ORDERS=my_orders.csv [COLUMNS=...]
	@test -n "$(ORDERS)" || { echo "Say which file: make report ORDERS=my_orders.csv" >&2; exit 2; }
	@$(VENV)/bin/custkit report rfm-forecast --orders "$(ORDERS)" $(if $(COLUMNS),--columns "$(COLUMNS)") --out build/reports

test: $(TESTER)  ## style, tests and house rules, then every stored notebook re-run and compared
	@echo "1 of 3: style (ruff)"
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@echo "2 of 3: tests and house rules (pytest)"
	@$(OFFLINE) $(PY) -m pytest -n 2
	@echo "3 of 3: stored notebooks against a fresh run (nbval, strict)"
	@$(OFFLINE) $(PY) -m pytest $(NBVAL) -n 2 --dist loadfile $(STORED)

bench: $(TESTER)  ## measure speed beside other libraries and print one table (build/bench.md)
	@$(PY) tests/benchmarks

# For authors ------------------------------------------------------------------------------------------

rules: $(TESTER)  ## authors: cell budget of each notebook, and what the house rules find
	@PYTHONPATH=notebooks/_course $(PY) tests/house_rules.py

refresh: $(TESTER)  ## authors: re-run notebooks in place, keeping unchanged outputs [NB="a.ipynb b.ipynb"]
	@$(PY) $(COURSE) refresh $(or $(NB),$(STORED))

exercises: $(TESTER)  ## authors: build exercises/ from solutions/
	@$(PY) -m custkit.checks build

answers: $(TESTER)  ## authors: record the reference answers that the solutions compute
	@$(PY) -m custkit.checks record

datasets: $(TESTER)  ## authors: draw the course's company again and write datasets/ (about half a minute)
	@rm -rf build/datasets
	@$(VENV)/bin/custkit simulate --out build/datasets
	@rm -rf datasets/juniper_lane datasets/truth datasets/practice
	@cp -R build/datasets/. datasets/

recovery: $(TESTER)  ## authors: recover every planted effect on many companies, write datasets/RECOVERY.md [SEEDS=40]
	@$(PY) tests/recovery --seeds $(or $(SEEDS),40)

locks: | $(PY)  ## authors: compile both lock files from pyproject.toml [UPGRADE=1]
	@test -x build/uv/bin/uv || { echo "Fetching uv, which compiles the locks ..."; \
	  $(PY) -m venv build/uv && build/uv/bin/pip install --quiet --disable-pip-version-check uv; }
	@echo "Compiling requirements.lock and requirements-test.lock ..."
	@printf 'hatchling\neditables\n' | build/uv/bin/uv $(COMPILE) - --output-file requirements.lock
	@build/uv/bin/uv $(COMPILE) --extra dev --extra instructor --extra spark --constraint requirements.lock \
	  --output-file requirements-test.lock

clean:  ## remove build/ (never work/, never .venv)
	@rm -rf build

# Environments -----------------------------------------------------------------------------------------

# The first Python of at least 3.11 on the path; PYTHON=... chooses another.
$(PY):
	@for python in $(PYTHON) python3.11 python3 python3.12 python3.13 python; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Creating $(VENV) with $$($$python --version) ..."; \
	    $$python -m venv $(VENV) && exit 0; \
	    rm -rf $(VENV); \
	    echo "$$python cannot create an environment. On Debian or Ubuntu: sudo apt install python3-venv" >&2; exit 1; \
	  fi; \
	done; \
	echo "Python 3.11 or newer is needed, and none was found ($$(python3 --version 2>&1 || true))." >&2; \
	echo "Install one from python.org, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1

$(READER): requirements.lock pyproject.toml | $(PY)
	@echo "Installing what a reader needs (requirements.lock, about 150 packages, one to three minutes) ..."
	@$(PY) -m pip install --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	@$(PY) -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(TESTER): requirements-test.lock $(READER)
	@echo "Installing what the tests need on top (requirements-test.lock; PySpark alone is 430 MB, one to three minutes) ..."
	@$(PY) -m pip install --disable-pip-version-check --no-compile --require-hashes -r requirements-test.lock
	@touch $@
