# Uses the tools of the active environment: pip install -e '.[dev]'
PYTHON ?= python3

# Folders whose tests need neither Ray nor a build of the algorithm.
QUICK = agent/losses agent/math checkpoints portable replay spaces

.PHONY: check test test-long format docs site

check:  ## within two minutes: style, types, contracts of imports, and tests of what is only computed
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	lint-imports --no-cache --no-logo
	$(PYTHON) -m pytest -q -n auto $(addprefix tests/,$(QUICK))

test:  ## all tests but the long ones
	$(PYTHON) -m pytest -n auto

test-long:  ## whole runs, sweeps, commands and the site
	$(PYTHON) -m pytest -n auto -m long

format:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

docs:  ## what is written from tables: of options, of losses, of faults of environments, and of kept curves
	$(PYTHON) docs/write_options.py
	$(PYTHON) docs/write_losses.py
	$(PYTHON) docs/write_environment_errors.py
	$(PYTHON) docs/write_results.py

site:  ## the documents as a site, in site/
	$(PYTHON) -m mkdocs build --strict
