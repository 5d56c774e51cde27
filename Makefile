.PHONY: install demo test check bench lock format

PYTHON ?= python3
BIN := .venv/bin
PACKAGES := admin_app footfall ingest_app pipelines warehouse

install: .venv/.installed ## make .venv from the hashed lock

# uv where it is, else fetched into the .venv itself: nothing is installed outside of it
.venv/.installed: requirements-dev.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	command -v uv >/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	PATH="$$PATH:$(CURDIR)/$(BIN)" uv pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.txt
	PATH="$$PATH:$(CURDIR)/$(BIN)" uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

demo: install ## everything up, sample data flowing, addresses printed; Ctrl-C stops it
	$(BIN)/footfall demo

test: install ## all tests
	$(BIN)/pytest

check: install ## format, lint, types, imports, SQL lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --processes 2 transforms

bench: install ## the figures of the docs, measured here
	$(BIN)/python -m benchmarks

format: install ## what `check` would ask for, where a machine can do it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/sqlfluff fix transforms

LOCK := uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --no-annotate --python-version 3.11
lock: ## take the newest versions that pyproject.toml allows
	$(LOCK) pyproject.toml -o requirements.txt
	$(LOCK) pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt
