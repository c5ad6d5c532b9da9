# One environment, built from the lock, serves everything. PYTHON is any Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
# One process more than there are cores: many tests wait, for a cluster, a timeout or a kill.
WORKERS = $$(python -c 'import os; print(min(os.cpu_count() + 1, 5))')
QUICK := tests/docs/test_layers.py $(addprefix tests/whole_in_parts/,config augment models) tests/workflow/provenance
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Neither tool needs to phone home, and Great Expectations is told so before it is imported.
export DVC_NO_ANALYTICS := 1

.PHONY: docs help study demo plan grid papers check test lint format bench contracts evidence verify licences schema lock

help:  ## the commands of this file
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/\1\t\2/' | expand -t 10

study: $(VENV)/ready  ## build the study of params.yaml, or a ready one: make study STUDY=cifar10
	$(if $(STUDY),python -m workflow.study $(STUDY))
	snakemake --cores all

demo: $(VENV)/ready  ## a small study with its report, in 2 to 3 minutes
	python -m workflow.study demo
	snakemake --cores all

plan: $(VENV)/ready  ## what the study of params.yaml will cost: make plan HARDWARE=h200
	python -m workflow.plan --hardware $(or $(HARDWARE),here)

grid: $(VENV)/ready  ## write the runs of the grids of params.yaml
	python -m workflow.grid

papers: $(VENV)/ready  ## write the pages of the papers from the ready studies
	python -m workflow.papers

check: $(VENV)/ready lint  ## format, lint, types and the quick tests
	OMP_NUM_THREADS=1 pytest --numprocesses logical --maxprocesses 4 --quiet $(QUICK)

test: $(VENV)/ready lint  ## everything that CI checks
	OMP_NUM_THREADS=1 pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/ready  ## format, lint and types
	ruff format --check .
	ruff check .
	mypy
	snakefmt --check Snakefile

format: $(VENV)/ready  ## mend what a formatter can mend
	ruff format .
	ruff check --fix .
	snakefmt Snakefile

bench: $(VENV)/ready  ## speed, as ratios measured in one run
	python -m bench

evidence: $(VENV)/ready  ## a slice of evidence on the accelerator that is here; again until nothing is left
	python -m workflow.evidence_slice --minutes $(or $(MINUTES),9)

contracts: $(VENV)/ready  ## check models, features and metrics that are there
	python -m workflow.contracts

licences: $(VENV)/ready  ## after a change of requirements.lock
	python -m workflow.licences

verify: $(VENV)/ready  ## check the bytes of every result, and evaluate one of each kind again
	python -m workflow.verify

schema: $(VENV)/ready  ## after a change of whole_in_parts/config/
	python -m workflow.schema
	python -m workflow.reference

docs: $(VENV)/ready  ## the documentation as a static site: build/docs/index.html
	sphinx-build --quiet --fail-on-warning --keep-going docs build/docs

lock:  ## new versions for requirements.lock, from the ranges of pyproject.toml
	$(PYTHON) -m venv $(VENV)/lock && $(VENV)/lock/bin/pip install --quiet uv
	$(VENV)/lock/bin/uv pip compile pyproject.toml --extra study --group dev --universal --python-version 3.11 --generate-hashes \
		--upgrade --quiet --no-emit-index-url --no-emit-find-links --no-annotate --no-header --output-file requirements.lock

$(VENV)/ready: requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	touch $@
