# Everything that a person or CI does here starts with one of these.
#   make demo   set up, then speak, recognise, edit and undo; writes one page to open
#   make test   set up with the test extras, then run the whole suite
#   make browser  the page of `uniaudio serve` in a real Chromium (which must be installed)
#   make lint   ruff, pyright and the import contracts
#   make docs   the documentation as one site in out/site; a broken link or anchor is an error
#   make release-check   build sdists and wheels, check what is in them, install each alone
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PACKAGES := mingtok-audio uniaudio-lm uniaudio-edit audio-eval
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
EDITABLE := $(foreach p,$(PACKAGES),-e packages/$(p))

.PHONY: demo test test-slow browser lint docs release-check clean

demo: $(VENV)/.demo
	$(BIN)/python examples/demo.py out/demo

test: $(VENV)/.test
	$(BIN)/python -m pytest

test-slow: $(VENV)/.test
	$(BIN)/python -m pytest -m slow

browser: $(VENV)/.browser
	$(BIN)/python -m pytest -m browser tests/browser

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

docs: $(VENV)/.test
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

release-check: $(VENV)/.test
	$(BIN)/python tests/release_check.py

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python constraints.txt $(wildcard packages/*/pyproject.toml)
	$(PIP) $(foreach p,mingtok-audio uniaudio-lm uniaudio-edit,-e packages/$(p))
	@touch $@

$(VENV)/.test: $(BIN)/python constraints.txt requirements-dev.txt $(wildcard packages/*/pyproject.toml)
	$(PIP) $(EDITABLE) -r requirements-dev.txt
	-$(PIP) pesq  # needs a C compiler; its comparison is skipped without one
	@touch $@ $(VENV)/.demo

$(VENV)/.browser: $(VENV)/.test requirements-browser.txt
	$(PIP) -r requirements-browser.txt
	@touch $@

clean:
	rm -rf $(VENV) out dist
