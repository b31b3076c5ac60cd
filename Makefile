# Uses the tools of the active environment: pip install -e '.[dev]'
PYTHON ?= python3

.PHONY: check test format docs site

check:  ## everything that answers within a minute or two
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	lint-imports --no-cache --no-logo
	$(PYTHON) -m pytest -q -n auto -m "not slow"

test:  ## all tests
	$(PYTHON) -m pytest -n auto

format:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

docs:  ## what is written from tables: of options, of losses, and of faults of environments
	$(PYTHON) docs/write_options.py
	$(PYTHON) docs/write_losses.py
	$(PYTHON) docs/write_environment_errors.py

site:  ## the documents as a site, in site/
	$(PYTHON) -m mkdocs build --strict
