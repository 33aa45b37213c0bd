# Every target works on a fresh machine with Python >= 3.11: the virtual environment is made first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test coverage test-network test-slow build-clients clients lint format docs constraints clean

# The versions that CI runs on; other versions that pyproject.toml allows work too: docs/dependencies.md.
INSTALL := $(BIN)/pip install --quiet --constraint constraints.txt

# Percent that the default tests must run.
COVERED := 93

demo: .venv/demo.stamp
	$(BIN)/aeonnx demo

test: .venv/test.stamp
	$(BIN)/pytest

# The default tests, with the share of lines and branches of aeonnx that they run; what runs only in
# child processes is not counted.
coverage: .venv/test.stamp
	$(BIN)/pytest --cov --cov-report=term:skip-covered --cov-fail-under=$(COVERED)

# Needs a package registry: the built wheel in a clean environment without torch.
test-network: .venv/test.stamp
	$(BIN)/pytest -n 0 -m network

# Every part in other ONNX engines; tract, and the Rust client on it, are built where there is cargo.
test-slow: .venv/test.stamp
	$(INSTALL) --group engines
	-$(BIN)/python -m clients.proof tract
	$(BIN)/pytest -n 0 -m slow

# Needs package registries: fetches and builds every client, with onnxruntime from its Python package.
build-clients: .venv/runtime.stamp
	clients/setup.sh
	$(BIN)/python -m clients.proof $(CLIENTS)

# Needs package registries: builds every client, runs its linters and its own tests, and runs it
# against fresh bundles of all models; with CLIENTS="rust tract" only these. Speeds are for
# benchmarks/languages.py.
CLIENTS ?=
TESTS_OF = $(wordlist 2,99,$(foreach client,$(CLIENTS),or [$(client) or test_$(client)))
clients: .venv/test.stamp build-clients
	$(INSTALL) --group clients
	AEONNX_REQUIRE_CLIENTS=1 $(BIN)/pytest -m 'clients$(if $(CLIENTS),, and not slow)' $(if $(CLIENTS),-k "$(TESTS_OF)") --basetemp build/clients/tests tests/clients

lint: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate_architecture.py --check
	$(BIN)/python docs/generate_cli.py --check

format: .venv/test.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Writes docs/cli.md from the commands' own help and docs/architecture.md from the imports, and builds
# the site in build/site. A broken link, a missing anchor, or a page without a place in it is an error.
docs: .venv/docs.stamp
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/generate_architecture.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Needs a package registry: the newest versions that work together, without installing them.
constraints: .venv/test.stamp
	$(BIN)/python .ci/constraints.py

clean:
	rm -rf .venv aeonnx-demo build .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/pip:
	$(PYTHON) -m venv .venv

.venv/runtime.stamp: pyproject.toml constraints.txt | .venv/bin/pip
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(INSTALL) --editable ".[gpu]"
	touch $@

.venv/demo.stamp: .venv/runtime.stamp
	$(INSTALL) --editable ".[train,gpu]"
	touch $@

.venv/test.stamp: .venv/runtime.stamp
	$(INSTALL) --editable ".[train,gpu]" --group dev --group zoo
	touch $@ .venv/demo.stamp

.venv/docs.stamp: .venv/test.stamp
	$(INSTALL) --group docs
	touch $@
