# Everything runs in .venv, which the first target that needs it makes. PYTHON chooses the interpreter.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: train test test-full lint conformance bench clean

train: .venv/installed          ## fetch the ORL faces, train a small ResNet on them, show the result
	$(BIN)/minicnn train

test: .venv/installed-test      ## every test; whole grids only with test-full
	$(BIN)/python -m pytest -q -n 2

test-full: .venv/installed-test
	$(BIN)/python -m pytest -q -n 2 --full

conformance: .venv/installed-test  ## PyTorch's and ONNX's own samples, as a table
	$(BIN)/python -m tests.conformance

bench: .venv/installed-test     ## against PyTorch; in a quiet minute
	$(BIN)/minicnn bench step

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/installed: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/pip install --quiet --editable '.[test,dev]'
	touch $@
