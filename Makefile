# make run    the whole pocket study into results/pocket
# make test   the tests
# make check  lint, types, tests: what CI runs
# make docs   the documentation site, into site/
# make frontier   what buys back forgetting: the findings of docs/frontier.md
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run test check lint types setup lock docs reference frontier pocket clean

run: $(READY)
	$(BIN)/contrapeso run pocket --out results/pocket

# One process a core, one thread each: torch's own threads would fight over the cores.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile $(PYTEST)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

check: lint types test

setup: $(READY)

# torch goes first and alone: its pin decides which build the rest is resolved against.
$(READY): requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "contrapeso needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' requirements.txt)"
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $(READY)

# Offline and strict: a broken link or heading ends it. Open site/index.html.
docs: reference
	$(BIN)/python -m zensical build --strict --clean

# The pages made from the code: settings, command line, Python.
reference: $(READY)
	$(BIN)/python -m tools.docs_reference

# Five seeds x two rates x four ways to train, each scaled too: half an hour on two cores, and resumes.
frontier: $(READY)
	$(BIN)/python -m benchmarks.frontier --json results/frontier.json --figure results/frontier.png

# The exact set that is tested. What is pinned stays and what pyproject.toml asks for anew is added;
# `make lock PINS=--upgrade` takes the newest of everything.
PINS ?= --constraint requirements.txt
lock: $(READY)
	$(BIN)/python -m pip install --quiet $(PINS) --editable "$$($(BIN)/python -c 'from tools.lock import EXTRAS; print(".[" + ",".join(EXTRAS) + "]")')"
	$(BIN)/python -m pip check
	$(BIN)/python -m tools.lock > requirements.txt.new
	mv requirements.txt.new requirements.txt

# Rewrites the pocket data sets; the pocket model is made by tools/pocket/make_model.py (docs/pocket-model.md).
pocket: $(READY)
	$(BIN)/python -m tools.pocket.make_spider
	$(BIN)/python -m tools.pocket.make_mmlu

clean:
	rm -rf $(VENV) build site .cache src/*.egg-info .pytest_cache .mypy_cache .ruff_cache
