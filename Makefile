# setup · demo · test · lint: the only commands a newcomer needs. No root, no Docker.
PYTHON ?= python3
PORT   ?= 3000
LOCK_ARGS ?= --upgrade
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed-dev

.PHONY: help setup demo test test-host lint format schemas reference screenshots bench lock clean

help:            ## What can be done here
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: $(STAMP)  ## Make .venv from the hash-locked requirements

$(STAMP): requirements/dev.txt pyproject.toml raxx_bcp_sandbox/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3,11) <= sys.version_info < (3,14) else "raxx-bcp needs Python 3.11 to 3.13; this is " + sys.version.split()[0] + ". Choose another: make setup PYTHON=python3.12")'
	@command -v gpg >/dev/null || { echo "raxx-bcp needs GnuPG: install it first (Debian: apt-get install gnupg; macOS: brew install gnupg)." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . -e raxx_bcp_sandbox
	@touch $@

demo: setup      ## The whole of it on this machine: sandbox, export, UI on 127.0.0.1:3000
	@$(BIN)/raxx-bcp demo --port $(PORT) $(DEMO_ARGS)

test: setup      ## Every test, on real parts
	$(BIN)/pytest -n $${PYTEST_WORKERS:-3} --dist loadgroup $(PYTEST_ARGS)

test-host: setup ## The copy guard on a real Debian under systemd; root, Linux and Debian's packages
	@sh raxx_bcp_tests/real_host/missing.sh && $(BIN)/pytest -n 0 $(PYTEST_ARGS) raxx_bcp_tests/real_host || [ $$? = 77 ]

lint: setup      ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup    ## Let ruff put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schemas: setup   ## Write the published JSON Schemas anew
	$(BIN)/python -m raxx_bcp.vault.schemas
	$(BIN)/python -m raxx_bcp.evidence.schemas

reference: setup ## Write docs/commands.md anew, from the command line itself
	$(BIN)/python -m raxx_bcp_tests.command_reference

screenshots: setup ## Take docs/screenshots anew, in headless Chromium
	$(BIN)/python -m raxx_bcp_tests.screenshots docs/screenshots

bench: setup     ## Measure each path beside the bare calls that it makes
	$(BIN)/python benchmarks/load.py
	$(BIN)/python benchmarks/export.py
	$(BIN)/python benchmarks/inventory.py
	$(BIN)/python benchmarks/verify_database.py
	$(BIN)/python benchmarks/drill_heroku.py
	$(BIN)/python benchmarks/evidence.py
	$(BIN)/python benchmarks/restore.py
	$(BIN)/python benchmarks/drill_freescout.py

lock: setup      ## Resolve the dependencies anew and write the hash locks: what runs is what was tested
	$(BIN)/uv pip compile pyproject.toml raxx_bcp_sandbox/pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --custom-compile-command "make lock" --quiet $(LOCK_ARGS) -o requirements/dev.txt
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --custom-compile-command "make lock" --quiet $(LOCK_ARGS) -c requirements/dev.txt -o requirements/prod.txt

clean:           ## Stop the sandbox and remove what was made here
	-@test ! -x $(BIN)/raxx-bcp || $(BIN)/raxx-bcp sandbox down --purge
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
