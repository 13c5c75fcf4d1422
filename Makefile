# Two commands for a newcomer: `make docs` and `make test`. Both set up what they need first.
.PHONY: data docs test lint serve check-site records readme clean help
.DEFAULT_GOAL := help

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
export NO_MKDOCS_2_WARNING := 1
# What mkdocs and pathspec have to say to each other is not for our readers.
MKDOCS := PYTHONWARNINGS=ignore::DeprecationWarning $(BIN)/mkdocs

# PyTorch's own index has builds without CUDA, several gigabytes smaller. Used only where it answers.
CPU_WHEELS := https://download.pytorch.org/whl/cpu
PROBE := import urllib.request as u; u.urlopen("$(CPU_WHEELS)/torch/", timeout=5)

help: ## List the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt
	@echo "Installing into $(VENV) (about 2.5 GB, a few minutes; only when pyproject.toml or constraints.txt change)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@if $(PYTHON) -c '$(PROBE)' 2>/dev/null; then export PIP_EXTRA_INDEX_URL=$(CPU_WHEELS); fi; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

data: $(STAMP)
	@$(BIN)/backbones data

docs: data ## Build the site into site/, with every notebook rerun
	$(MKDOCS) build --strict

serve: $(STAMP) ## Serve the site on http://127.0.0.1:8000 and rebuild on change
	$(MKDOCS) serve

lint: $(STAMP) ## Check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

test: lint data ## Lint and run all tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

check-site: $(STAMP) ## Open the built site in a headless browser and check it
	$(BIN)/python -m pytest tests/browser/check_*.py

records: data ## Run what docs/results/records lacks (hours from nothing), then refresh the README
	$(BIN)/python -m benchmarks.records

readme: $(STAMP) ## Refresh the README's results table from the records
	$(BIN)/python -m benchmarks.records --readme-only

clean: ## Remove what was built, not the data
	rm -rf site .site-building .cache .mypy_cache .pytest_cache .ruff_cache
