# Everything a person or CI does here. `make` alone says what there is.

VENV ?= .venv
PYTEST_ARGS ?=
BENCH_ARGS ?=
PYTHON := $(VENV)/bin/python

.PHONY: help run demo test lint format docs bench peers build clean

help:
	@echo "make run    start the server with its default script: UDP and TCP port 5060"
	@echo "make demo   start it with two phones, place a call and print it"
	@echo "make test   all tests, lint included, on up to four cores; as root it installs the Debian packages they use"
	@echo "make docs   write docs/reference anew, from the modules"
	@echo "make bench  CPU time per call beside Kamailio's, into docs/performance.md"
	@echo "make lint   ruff, mypy, import-linter;  make format  applies ruff's format"

# The virtual environment with the project (editable) and its tools; made anew when they change.
$(VENV)/.made: pyproject.toml setup.py scripts/bootstrap
	scripts/bootstrap $(VENV)

# The compiled core, in place; a file that did not change is not compiled again.
build: $(VENV)/.made
	@$(PYTHON) setup.py -q build_ext --inplace

run: build
	$(VENV)/bin/kahea run

demo: build
	$(VENV)/bin/kahea demo

peers:
	@scripts/peers

# A worker per core, four at most; PYTEST_ARGS="-n 0" runs one test after the other.
test: build peers
	$(PYTHON) -m pytest -n auto --maxprocesses 4 $(PYTEST_ARGS)

lint: build
	$(PYTHON) -m pytest -q tests/project/test_lint.py

format: $(VENV)/.made
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

docs: build
	$(VENV)/bin/kahea reference -o docs/reference

bench: build peers
	BENCH_PYTHON="$$(scripts/bench-python $(VENV))" $(PYTHON) -m bench $(BENCH_ARGS)

clean:
	rm -rf build dist $(VENV) .venv-* .mypy_cache .ruff_cache .hypothesis
	find src -name '*.so' -delete -o -name '*.c' -delete
