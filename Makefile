# Each target starts from a machine that has Python 3.10 or later and nothing else: the environment is made once,
# in .venv, and again when pyproject.toml or constraints.txt change.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1 && { echo "$$p"; break; }; done)
BIN := .venv/bin
RAW := data/demo/raw
MUSIC := data/demo/music
FACES := data/demo/faces
SHELL := /bin/bash

.DEFAULT_GOAL := help
.PHONY: help demo test lint types check install wheel clean
.DELETE_ON_ERROR:

help:  ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 10

demo: .venv/.demo $(MUSIC)/dataset.json $(FACES)/dataset.json  ## a small corpus, packed, and trained on through Ray with 2 workers
	$(BIN)/descant train demo

$(RAW)/faces/training.txt: | .venv/.demo
	rm -rf $(RAW)
	$(BIN)/descant data demo $(RAW)

$(MUSIC)/dataset.json: $(RAW)/faces/training.txt
	$(BIN)/descant pack fma $(RAW)/music $(MUSIC) --mels --overwrite

$(FACES)/dataset.json: $(RAW)/faces/training.txt
	$(BIN)/descant pack mtfl $(RAW)/faces $(FACES) --overwrite

test: .venv/.dev  ## all tests, fast first, in two processes
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: .venv/.dev  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev  ## mypy, strict
	$(BIN)/mypy

check: lint types test  ## lint, types, tests

install: .venv/.dev  ## the environment, with what development needs

wheel: .venv/.dev  ## dist/*.whl
	$(BIN)/uv build --wheel --python $(BIN)/python --build-constraints constraints.txt

clean:  ## takes away the environment and what builds and tests leave; runs and data stay
	rm -rf .venv dist build .pytest_cache .hypothesis .mypy_cache .ruff_cache

$(BIN)/uv:
	@test -n "$(PYTHON)" || { echo "Descant needs Python 3.10 or later and found none: install one," \
		"or name it: make PYTHON=/path/to/python3"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "$(PYTHON) has no venv module: install it (on Debian and Ubuntu: apt-get install python3-venv)"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@echo "installing into .venv: the first time this downloads PyTorch and Ray, which takes some minutes"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv

.venv/.demo: pyproject.toml constraints.txt | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable .
	@touch $@

.venv/.dev: pyproject.toml constraints.txt | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	@touch $@ .venv/.demo
