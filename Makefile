# Recipes start Python; what is decided is decided there.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint lock upgrade clean bootstrap programs-demo programs-test

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1  -  /p' Makefile

demo: bootstrap programs-demo ## Build, push and release the example application on this machine
	$(BIN)/python -m demo

test: bootstrap programs-test lint ## Set everything up and run every check and test
	$(BIN)/python -m tests.standins.box $(BIN)/pytest -q

lint: bootstrap ## Check style, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: bootstrap ## Write requirements/*.txt after a change of pyproject.toml
	$(BIN)/python -m tools.lock

upgrade: bootstrap ## Write requirements/*.txt with the newest versions
	$(BIN)/python -m tools.lock --upgrade

clean: ## Remove what the other targets made
	rm -rf .venv .cache build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage

bootstrap:
	@$(PYTHON) -m tools.bootstrap

programs-demo:
	@$(PYTHON) -m tools.debian demo

programs-test:
	@$(PYTHON) -m tools.debian test
