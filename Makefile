# make demo: train on handwritten digits and watch. make test: everything. Both build .venv first.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# One module, two distributions: on Linux x86-64 the CPU build is half the download.
TENSORFLOW ?= $(if $(filter Linux-x86_64,$(shell uname -s)-$(shell uname -m)),tensorflow-cpu,tensorflow)

# Tests start hundreds of processes, each of which would compile all it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test quick lint pictures clean

demo: $(VENV)/installed
	$(BIN)/tbgrad demo

# In two processes, as most tests keep one core busy; a process stays below 4 GB.
test: $(VENV)/installed-for-tests $(if $(shell command -v npm),node_modules/installed)
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

# The tests that need neither TensorFlow nor a browser: seconds.
quick: $(VENV)/installed-for-tests
	$(BIN)/python -m pytest -m "not tensorflow and not browser"

lint: $(VENV)/installed-for-tests $(if $(shell command -v npm),node_modules/installed)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(if $(shell command -v npm),npm run --silent types && npm run --silent test)

# The pictures of the README, from a real training.
pictures: $(VENV)/installed-for-tests
	PYTHONPATH=tui $(BIN)/python -m tests.pictures

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[$(TENSORFLOW),demo]"
	touch $@

$(VENV)/installed-for-tests: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

# Tools that check the tab's modules: nothing of them is shipped, and nothing is built.
node_modules/installed: package.json
	npm install --silent --no-audit --no-fund --no-package-lock
	touch $@

clean:
	rm -rf $(VENV) node_modules build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
