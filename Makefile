# Every target works on a fresh machine with Python >= 3.11: the virtual environment is made first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-network test-slow clients lint format docs clean

demo: .venv/demo.stamp
	$(BIN)/aeonnx demo

test: .venv/test.stamp
	$(BIN)/pytest

# Needs a package registry: the built wheel in a clean environment without torch.
test-network: .venv/test.stamp
	$(BIN)/pytest -n 0 -m network

# Every part in other ONNX engines; tract, and the Rust client on it, are built where there is cargo.
test-slow: .venv/test.stamp
	$(BIN)/pip install --quiet --group engines
	-$(BIN)/python -m clients.proof tract
	$(BIN)/pytest -n 0 -m slow

# Needs package registries: builds every client, runs its linters and its own tests, and runs it
# against fresh bundles of all models.
clients: .venv/test.stamp
	clients/setup.sh
	$(BIN)/pip install --quiet --group clients
	$(BIN)/python -m clients.proof
	AEONNX_REQUIRE_CLIENTS=1 $(BIN)/pytest -m 'clients and not slow' --basetemp build/clients/tests tests/clients
	$(BIN)/python benchmarks/languages.py --rounds 3 -o build/clients/table.md

lint: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate_architecture.py --check

format: .venv/test.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Writes docs/cli.md from the commands' own help, and docs/architecture.md from the imports.
docs: .venv/test.stamp
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/generate_architecture.py

clean:
	rm -rf .venv aeonnx-demo build .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/pip:
	$(PYTHON) -m venv .venv

.venv/demo.stamp: pyproject.toml | .venv/bin/pip
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet --editable ".[train,gpu]"
	touch $@

.venv/test.stamp: pyproject.toml | .venv/bin/pip
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet --editable ".[train,gpu]" --group dev
	touch $@ .venv/demo.stamp
