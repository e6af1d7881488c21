# The only entry: `make run` to talk, `make test` to be sure.
SHELL := /bin/sh
BIN := .venv/bin
NODE := PATH="$(CURDIR)/$(BIN):$$PATH"
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: run install test check format bench dist clean

run: .venv/run.stamp
	@$(BIN)/offhook serve

install: .venv/dev.stamp

test: .venv/dev.stamp tests/browser/node_modules/stamp check
	$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m pytest -n 2 --dist worksteal # waits much, so two at a time

check: .venv/dev.stamp tests/browser/node_modules/stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PYTHONPATH=server $(BIN)/lint-imports
	$(NODE) tests/browser/node_modules/.bin/tsc -p tests/static/tsconfig.json

format: .venv/dev.stamp
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/dev.stamp tests/browser/node_modules/stamp
	$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m tests.benchmarks

dist: .venv/dev.stamp
	$(BIN)/python -m build --outdir dist

clean:
	rm -rf .venv dist tests/browser/node_modules

# What `make run` needs: the package with every extra, once.
.venv/run.stamp: pyproject.toml
	@python=$$(for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	    && echo $$p && break; done); \
	if [ -z "$$python" ] || ! $$python -c 'import ensurepip' 2>/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    package=$${python:-python3.11}; \
	    apt-get update -q && apt-get install -y -q $$package $$package-venv; \
	    python=$$package; \
	  else \
	    echo "Offhook needs Python 3.11 or newer with its venv module."; \
	    echo "Install it (Debian, Ubuntu: apt install python3-venv), then try again."; \
	    exit 1; \
	  fi; \
	fi; \
	test -x $(BIN)/python || $$python -m venv .venv
	@echo "Installing Offhook into .venv: once, less than a minute …"
	@$(BIN)/python -m pip install -q --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install -q -e '.[all]'
	@touch $@

# What the tests need on top of it; node and npm come from a wheel.
.venv/dev.stamp: .venv/run.stamp
	@echo "Installing what the tests need …"
	@$(BIN)/python -m pip install -q --group dev
	@$(BIN)/python -m pip install -q --no-deps pipecat-ai==1.14.0 # for one file: ending.py
	@$(BIN)/python -m pip install -q pesq==0.0.4 \
	  || echo "PESQ, which judges speech, needs a C compiler: its tests are skipped."
	@touch $@

tests/browser/node_modules/stamp: .venv/dev.stamp tests/browser/package.json
	@$(NODE) npm install --prefix tests/browser --no-package-lock --no-audit \
	  --no-fund --loglevel error
	@touch $@
