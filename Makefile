# Every target is self-sufficient: it makes or renews the environment it needs, then does its job.
# Python 3.11 or newer; name another one with `make test PYTHON=python3.13`.

PYTHON ?= python3
BIN := .venv/bin
PIP := -m pip --disable-pip-version-check --quiet install --no-input --no-warn-conflicts

.DEFAULT_GOAL := help
.PHONY: help install serve migrate test check compat matrix imports integrations bench bench-growth bench-soak bench-import bench-ui lock

help:
	@echo "make install|serve|migrate|test|check|compat|matrix|imports|integrations|bench|bench-growth|bench-soak|bench-import|bench-ui|lock - see README.md"

install: .venv/.server

serve: .venv/.server
	$(BIN)/mlflow-shim serve $(ARGS)

migrate: .venv/.server
	$(BIN)/mlflow-shim db upgrade

test: .venv/.dev
	$(BIN)/python -m pytest $(ARGS)

check: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# MLflow's own server, to compare with; quoted, as the folder's name may hold spaces.
export MLFLOW_COMMAND ?= '$(CURDIR)/.venv-compat/bin/mlflow'

compat: .venv/.server .venv-compat/.locked .venv-compat-2/.locked
	.venv-compat/bin/python -m pytest compat_tests $(ARGS)
	.venv-compat-2/bin/python -m pytest compat_tests $(ARGS)

# The clients beside those two that docs/clients.md tells of, each in an environment of its own.
RELEASES := $(basename $(notdir $(wildcard compat_tests/releases/*.in)))

matrix: .venv/.server .venv-compat/.locked .venv-compat-2/.locked $(RELEASES:%=.venv-mlflow-%/.locked)
	$(BIN)/python -m compat_tests.matrix $(ARGS)

# The releases, beside the newest, whose stores are imported: all of MLflow, in an environment for each.
STORES := $(basename $(notdir $(wildcard compat_tests/releases/stores/*.in)))

imports: .venv/.server .venv-compat/.locked $(STORES:%=.venv-store-%/.locked)
	.venv-compat/bin/python -m pytest compat_tests/test_import.py compat_tests/test_export.py $(ARGS)

# PyTorch is in no lock, as its builds differ by machine; `make integrations TORCH=` goes without it and what stands on it.
TORCH ?= torch==2.13.0

integrations: MLFLOW_COMMAND = '$(CURDIR)/.venv-integrations/bin/mlflow'
integrations: .venv/.server .venv-integrations/.locked
	$(if $(TORCH),.venv-integrations/bin/python $(PIP) $(TORCH))
	.venv-integrations/bin/python -m pytest compat_tests/integrations compat_tests/test_models_round_trip.py $(ARGS)

# What to measure beside this server: any of mlflow, mlflow-1 (one worker), fasttrackml; or nothing.
PEERS ?= mlflow

bench: .venv/.dev .venv-compat/.locked $(if $(findstring fasttrackml,$(PEERS)),.venv-fasttrackml/.locked)
	$(BIN)/python -m benchmarks compare --peers "$(PEERS)" $(ARGS)

bench-growth bench-soak bench-import: bench-%: .venv/.dev $(if $(filter bench-import,$(MAKECMDGOALS)),.venv-compat/.locked)
	$(BIN)/python -m benchmarks $* $(ARGS)

# Beside MLflow with one worker, unless PEERS says otherwise; wants Chromium.
bench-ui: PEERS = mlflow-1
bench-ui: .venv/.dev .venv-compat/.locked
	$(BIN)/python -m benchmarks ui --peers "$(PEERS)" $(ARGS)

# One environment per lock file. A stamp inside it is older than its lock when the lock has changed.
.venv/.server: requirements.txt requirements-ui.txt pyproject.toml
	$(call environment,.venv)
	.venv/bin/python $(PIP) --require-hashes -r requirements.txt
	.venv/bin/python $(PIP) --no-deps --require-hashes -r requirements-ui.txt
	.venv/bin/python $(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.server
	.venv/bin/python $(PIP) --require-hashes -r requirements-dev.txt
	@touch $@

.venv-compat/.locked: requirements-compat.txt
	$(call environment,.venv-compat)
	.venv-compat/bin/python $(PIP) --require-hashes -r requirements-compat.txt
	@touch $@

.venv-compat-2/.locked: requirements-compat-2.txt
	$(call environment,.venv-compat-2)
	.venv-compat-2/bin/python $(PIP) --require-hashes -r requirements-compat-2.txt
	@touch $@

.venv-mlflow-%/.locked: compat_tests/releases/%.txt
	$(call environment,.venv-mlflow-$*)
	.venv-mlflow-$*/bin/python $(PIP) --require-hashes -r $<
	@touch $@

.venv-store-%/.locked: compat_tests/releases/stores/%.txt
	$(call environment,.venv-store-$*)
	.venv-store-$*/bin/python $(PIP) --require-hashes -r $<
	@touch $@

# Without what its packages ask for, as PyTorch is not in the lock.
.venv-integrations/.locked: requirements-integrations.txt
	$(call environment,.venv-integrations)
	.venv-integrations/bin/python $(PIP) --no-deps --require-hashes -r requirements-integrations.txt
	@touch $@

.venv-fasttrackml/.locked: requirements-fasttrackml.txt
	$(call environment,.venv-fasttrackml)
	.venv-fasttrackml/bin/python $(PIP) --no-deps --require-hashes -r requirements-fasttrackml.txt
	@touch $@

define environment
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
@test -x $(1)/bin/pip || $(PYTHON) -m venv $(1)
endef

# Renews the lock files from pyproject.toml; the only target that needs uv. `make lock ARGS=--upgrade` takes newer versions.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --custom-compile-command 'make lock'

lock:
	$(COMPILE) pyproject.toml --group build --output-file requirements.txt $(ARGS)
	$(COMPILE) pyproject.toml --group dev --constraint requirements.txt --output-file requirements-dev.txt $(ARGS)
	$(COMPILE) --group compat --output-file requirements-compat.txt $(ARGS)
	$(COMPILE) --group compat-2 --output-file requirements-compat-2.txt $(ARGS)
	$(COMPILE) --group integrations --constraint requirements-compat.txt --output-file requirements-integrations.txt $(ARGS)
	$(COMPILE) --no-deps --group ui --output-file requirements-ui.txt $(ARGS)
	$(COMPILE) --no-deps --group fasttrackml --output-file requirements-fasttrackml.txt $(ARGS)
	for release in $(RELEASES:%=compat_tests/releases/%) $(STORES:%=compat_tests/releases/stores/%); do \
		$(COMPILE) $$release.in --output-file $$release.txt $(ARGS) || exit; done
