.PHONY: install demo test check docs bench drill format lock

PYTHON ?= python3
BIN := .venv/bin
OLDEST := $(CURDIR)/.venv/oldest
NEEDS := footfall needs Python 3.11 to 3.13; name one that you have: make PYTHON=python3.12 …

install: .venv/.installed ## make .venv from the hashed lock; nothing is installed outside of it

.venv/.installed: requirements-dev.txt requirements-oldest.txt pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "$(NEEDS)")'
	test -x $(BIN)/uv || { $(PYTHON) -m venv .venv && $(BIN)/python -m pip --disable-pip-version-check install -q uv; }
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements-dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	rm -rf $(OLDEST)
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --target $(OLDEST) --require-hashes -r requirements-oldest.txt
	@touch $@

demo: install ## everything up, sample data flowing, addresses printed; Ctrl-C stops it
	$(BIN)/footfall demo

test: install ## all tests; then those of the DuckDB side with the oldest DuckDB that pyproject.toml allows
	$(BIN)/pytest $(AT_ONCE)
	PYTHONPATH=$(OLDEST) $(BIN)/pytest $(AT_ONCE) -k "not ($(SAME_ON_BOTH))" $(DUCKDB_TESTS)

# as tests/conftest.py orders them: xdist's own order begins with the files of most tests, and leaves the longest for last
AT_ONCE := -n 3 --dist loadfile --no-loadscope-reorder
DUCKDB_TESTS := tests/contract/test_duckdb_range.py tests/sql/test_marts_equal_seed_sql.py \
	$(addprefix tests/integration/,test_load.py archive/test_seal.py test_publish.py test_readers.py test_query.py)
SAME_ON_BOTH := Berlin or New_York or no_rows or hundred

check: install ## format, lint, types, imports, SQL lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --processes 2 transforms

docs: install ## the models as a site with their lineage, and docs/data-dictionary.md; prints where both are
	$(BIN)/python -m pipelines.docs

bench: install ## the figures that are worth knowing, measured here
	$(BIN)/python -m benchmarks

DRILL_ROUNDS ?= 300
DRILL_SEED ?= $(shell date +%s)
drill: install ## kill processes under load and try random histories, DRILL_ROUNDS times; a DRILL_SEED repeats them
	DRILL_ROUNDS=$(DRILL_ROUNDS) DRILL_SEED=$(DRILL_SEED) $(BIN)/pytest tests/system/test_kills.py tests/integration/test_load_race.py \
		tests/sql/test_small_worlds.py tests/sql/test_any_history.py \
		tests/integration/test_ledger_machine.py tests/system/test_ledger_storm.py -v -rP

format: install ## mend what `check` would complain of, where a machine can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/sqlfluff fix transforms

LOCK := $(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --no-annotate --python-version 3.11
lock: ## take the newest versions that pyproject.toml allows
	$(LOCK) pyproject.toml -o requirements.txt
	$(LOCK) pyproject.toml --extra spark -c requirements.txt -o requirements-spark.txt
	$(LOCK) pyproject.toml --extra spark --group dev -c requirements-spark.txt -o requirements-dev.txt
	sed -n 's/^ *"\(duckdb>=.*\)",$$/\1/p' pyproject.toml | $(LOCK) --resolution lowest - -o requirements-oldest.txt
