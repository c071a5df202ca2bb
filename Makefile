# make demo and make test do all the set-up on a fresh Debian or Ubuntu; `make help` lists the rest.

VENV := .venv
PYTHON := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
# Processes that run the tests. Each is held to one thread, or they would get in one another's way.
JOBS ?= 2

.PHONY: help demo test lint format bench picture setup toolchain clean

help:            ## this list
	@sed -n 's/^\([a-z]*\): .*## /  make \1 \t/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(INSTALLED)      ## find the faces in two portraits, draw them into demo-out/
	$(PYTHON) -m rnnpool demo

test: $(INSTALLED) toolchain  ## run the tests (those that need a missing tool are skipped, with the reason)
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n $(JOBS) --dist worksteal $(ARGS)

lint: $(INSTALLED)      ## ruff and mypy
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

format: $(INSTALLED)    ## let ruff lay out the code
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

bench: $(INSTALLED)     ## time and memory of the layer beside its rivals
	$(PYTHON) benchmarks/operator.py

picture: demo           ## make the README's picture anew
	$(PYTHON) scripts/demo_picture.py

setup: $(INSTALLED) toolchain  ## what the other targets need, and nothing else

toolchain:
	@sh scripts/toolchain.sh $(VENV)

clean:           ## remove what the targets above made, the virtual environment too
	rm -rf $(VENV) demo-out .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist

$(INSTALLED): pyproject.toml scripts/venv.sh
	@sh scripts/venv.sh $(VENV)
	@echo "installing rnnpool and what it needs (torch is large: this may take some minutes)"
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@
