# Two commands do everything, set-up included: `make quickstart` and `make test`.
# Neither needs root, a GPU, an account or a key.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: quickstart test lint check wheel clean

quickstart: $(READY)  ## the main job on the reference agent: table, guard.json, report.html
	$(BIN)/foreword quickstart

test: $(READY)  ## the tests, with the coverage gate
	$(BIN)/python -m pytest --cov --cov-report=term

lint: $(READY)  ## style, types and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: $(READY)  ## replay every oracle and counter-example of the suite in the sandbox
	$(BIN)/foreword check files

wheel: $(READY)  ## build the wheel, install it into an empty environment, import it there
	rm -rf dist $(VENV)-wheel
	$(BIN)/python -m build --wheel .
	$(PYTHON) -m venv $(VENV)-wheel
	$(VENV)-wheel/bin/pip install --quiet -c constraints.txt dist/*.whl
	cd / && $(abspath $(VENV)-wheel)/bin/python -c "import foreword; print(foreword.__version__)"
	cd / && $(abspath $(VENV)-wheel)/bin/foreword models --json > /dev/null
	rm -rf $(VENV)-wheel

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "foreword needs Python 3.11 or newer; say which with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -c "import ensurepip" || \
		{ echo "this Python has no venv; on Debian: apt install python3-venv"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt -e '.[all,dev]'
	@touch $@

clean:  ## remove the environment and build products (runs/ and the model cache stay)
	rm -rf $(VENV) $(VENV)-wheel dist build .mypy_cache .ruff_cache .pytest_cache .coverage
