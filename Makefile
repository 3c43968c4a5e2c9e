# make demo: the main job on the sample data. make test: everything is checked. Both set themselves up.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# uv is quicker where it is there; pip does the same.
UV := $(shell command -v uv 2>/dev/null)
INSTALL := $(if $(UV),uv pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip install --quiet --disable-pip-version-check)
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: demo test test-pandas2 lint bench docs notebooks lock clean help

help:
	@echo "make demo | test | lint | bench | docs | notebooks | lock | clean"

demo: $(VENV)/core.stamp
	@$(BIN)/spareplan demo --out out

test: $(VENV)/dev.stamp lint
	$(BIN)/python -m pytest -n logical --maxprocesses=4 --dist loadfile --no-loadscope-reorder --nbmake --nbmake-timeout=300 notebooks tests

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/mypy

# Once in a while: the oldest pandas that is promised to work.
test-pandas2:
	$(PYTHON) -m venv $(VENV)-pandas2
	grep -viE '^(pandas|pandas-stubs)==' requirements-dev.lock > $(VENV)-pandas2/lock.txt
	$(VENV)-pandas2/bin/pip install --quiet -r $(VENV)-pandas2/lock.txt 'pandas==2.3.3'
	$(VENV)-pandas2/bin/pip install --quiet --no-deps -e .
	$(VENV)-pandas2/bin/python -m pytest -n 2 --dist loadfile tests

bench: $(VENV)/dev.stamp
	@for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

docs: $(VENV)/dev.stamp
	$(BIN)/python -m spareplan.tables.reference docs/tables.md
	$(BIN)/sphinx-build -q -W -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

notebooks: $(VENV)/dev.stamp
	$(BIN)/jupyter lab notebooks

lock: $(VENV)/dev.stamp
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet .
	(head -n 1 requirements.lock; $(VENV)-lock/bin/pip freeze | grep -vi '^spareplan' | sort -f) > requirements.new && mv requirements.new requirements.lock
	$(VENV)-lock/bin/pip install --quiet '.[dev]'
	(head -n 1 requirements-dev.lock; $(VENV)-lock/bin/pip freeze | grep -vi '^spareplan' | sort -f) > requirements.new && mv requirements.new requirements-dev.lock
	rm -rf $(VENV)-lock

clean:
	rm -rf $(VENV) out build dist docs/_build .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@echo "Building the environment in $(VENV) (once; a minute or two) ..."
	@$(if $(UV),uv venv --quiet --python $(PYTHON) $(VENV),$(PYTHON) -m venv $(VENV))

$(VENV)/core.stamp: $(BIN)/python requirements.lock pyproject.toml
	@$(INSTALL) -r requirements.lock
	@$(INSTALL) --no-deps -e .
	@touch $@

$(VENV)/dev.stamp: $(BIN)/python requirements-dev.lock pyproject.toml
	@$(INSTALL) -r requirements-dev.lock
	@$(INSTALL) --no-deps -e .
	@touch $@ $(VENV)/core.stamp
