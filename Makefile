# One command proves the tree: `make check`. It makes its own virtual environment.
VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= python3

.PHONY: check lint types test docs fix demo clean help

check: lint types test docs ## everything that must hold, as CI runs it

lint: $(VENV)/.installed ## formatting and style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.installed ## static types, strict
	$(BIN)/mypy

test: $(VENV)/.installed ## the test suite, with coverage
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --cov --cov-report=term --cov-fail-under=90

docs: $(VENV)/.installed ## the documentation, warnings are errors
	NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict --quiet

fix: $(VENV)/.installed ## format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

demo: $(VENV)/.installed ## the main job on the bundled picture
	$(BIN)/vlkit demo

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

clean: ## remove what was made
	rm -rf $(VENV) site .mypy_cache .pytest_cache .ruff_cache .coverage

help: ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'
