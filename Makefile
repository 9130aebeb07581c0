# make demo                  real photographs through real weights: builds the demo index and serves it
# make demo IMAGES=DIR       the same network over your own folder of images (or of class folders)
# make test                  lint and tests (the slowest sweeps only with PYTEST_ARGS="-m slow")
# make docs                  the documentation as a site, in build/docs
# make bench                 speed, measured side by side
#
# Everything is installed into VENV. Where packages come from is up to the machine's own configuration of uv and pip.

PYTHON ?= python3
VENV   ?= .venv
OUT    ?= demo-data
HOST   ?= 127.0.0.1
PORT   ?= 8000
# Layers nearer to the input have larger maps: features.4 as well would take twice the time and the disk.
LAYERS ?= features.7,features.12,classifier
INDEX  ?= $(OUT)/indexes/$(if $(IMAGES),$(shell basename "$(IMAGES)"),demo)

# DEVICE=cpu leaves out the CUDA libraries (some GB), with torch's own CPU builds. Unset, the registry's builds are
# installed, which run with and without a GPU.
DEVICE ?=
# EDITABLE= (empty) copies the code into VENV instead of pointing to this folder.
EDITABLE ?= -e
# What else to install, as distributed,s3.
EXTRAS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -c constraints.txt
UV  := $(BIN)/uv pip install --python $(BIN)/python -c constraints.txt --build-constraints constraints.txt
ifeq ($(DEVICE),cpu)
UV += --torch-backend cpu --override cpu-overrides.txt faiss-cpu
install_packages = $(UV) $(1)
else
# pip is tried where only pip has been told how to reach a registry.
install_packages = $(UV) $(1) || $(PIP) $(1)
endif
export UV_SYSTEM_CERTS ?= true

.PHONY: help demo bench bench-growth bench-scale docs test lint style install dependencies constraints
.DEFAULT_GOAL := help

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

demo: $(VENV)/.installed-demo
	$(BIN)/python -m indexer.demo $(if $(IMAGES),--only weights) --out "$(OUT)"
	@# An index that is there already gets the images that are new; build then only checks that it fits.
	@test ! -e "$(INDEX)/manifest.json" || $(BIN)/python -m indexer add "$(INDEX)"
	$(BIN)/python -m indexer build "$(or $(IMAGES),$(OUT)/photos)" --model squeezenet1_1 \
	  --weights "$(OUT)/squeezenet1_1.pth" --layers $(LAYERS) --out "$(INDEX)"
	$(BIN)/python -m service "$(INDEX)" --host $(HOST) --port $(PORT)

# Figures about speed; never part of the tests. Needs the demo data (make demo) or IMAGES=DIR.
bench: $(VENV)/.installed-demo $(VENV)/.installed-distributed
	$(BIN)/python -m indexer.demo $(if $(IMAGES),--only weights) --out "$(OUT)"
	$(BIN)/python -m benchmarks.indexing --images "$(or $(IMAGES),$(OUT)/photos)" --weights "$(OUT)/squeezenet1_1.pth"
	$(BIN)/python -m benchmarks.forward --images "$(or $(IMAGES),$(OUT)/photos)" --weights "$(OUT)/squeezenet1_1.pth"
	$(BIN)/python -m benchmarks.engine --images "$(or $(IMAGES),$(OUT)/photos)" --weights "$(OUT)/squeezenet1_1.pth"
	$(BIN)/python -m benchmarks.growth --images "$(or $(IMAGES),$(OUT)/photos)" --weights "$(OUT)/squeezenet1_1.pth"

# Some gigabytes below OUT, removed at the end. Needs the demo index (make demo).
BENCH_IMAGES ?= 1000000
bench-scale: $(VENV)/.installed-demo
	$(BIN)/python -m benchmarks.generate --source "$(INDEX)" --images $(BENCH_IMAGES) --out "$(OUT)/generated"
	$(BIN)/python -m benchmarks.generate --source "$(INDEX)" --images 500 --side 13 --neurons 256 --out "$(OUT)/vectors"
	$(BIN)/python -m benchmarks.questions "$(OUT)/generated"
	$(BIN)/python -m benchmarks.beside "$(OUT)/generated" --real "$(INDEX)" --vectors "$(OUT)/vectors" \
		--weights "$(OUT)/squeezenet1_1.pth"
	rm -r "$(OUT)/generated" "$(OUT)/vectors"

# What an index costs as it grows, from generated maps. Needs the demo index (make demo), and 20 GB for a million images.
bench-growth: $(VENV)/.installed-demo
	$(BIN)/python -m benchmarks.growth --generated "$(INDEX)" --counts 10000 100000 $(BENCH_IMAGES) \
		--out benchmarks/results/generated.json

# Imports and types take a minute of one core: they are checked while the tests run, and told of when those end.
# Three on two cores, as those of browsers and of several processes wait for these a sixth of their time.
test: style
	@nice $(SHELL) -c '$(IMPORTS_AND_TYPES)' > $(VENV)/lint.log 2>&1 & lint=$$!; \
	scratch=$$(mktemp -d "$(SCRATCH)/tests.XXXXXX"); \
	TMPDIR=$$scratch $(BIN)/python -m pytest -n 3 --no-loadscope-reorder \
	  -o tmp_path_retention_policy=failed $(PYTEST_ARGS); tests=$$?; \
	rm -rf $$scratch; wait $$lint; lint=$$?; cat $(VENV)/lint.log; exit $$((tests ? tests : lint))

# What tests write lies in memory, where there are 8 GB of it: an index waits for the disk 26 times while it is built.
SCRATCH = $(shell test "$$(df --output=avail /dev/shm 2>&1 | tail -1)" -gt 8000000 2>&1 && echo /dev/shm || echo "$${TMPDIR:-/tmp}")

lint: style
	$(IMPORTS_AND_TYPES)

IMPORTS_AND_TYPES = $(BIN)/lint-imports --no-cache && $(BIN)/mypy

style: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Warnings are errors; a link between files, or to a heading, that leads nowhere is one. Nothing is asked of the network.
docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx --quiet --fresh-env --write-all --fail-on-warning --keep-going -c docs/site . build/docs
	@echo "build/docs/index.html"

install: $(VENV)/.installed

# The packages alone, for a layer of an image that outlives changes of the code.
dependencies: $(VENV)/.dependencies

# Pin everything anew, to the newest that pyproject.toml allows. Pins hold on every platform, so no markers are kept.
constraints: | $(BIN)/uv
	printf 'uv\nhatchling\n' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras \
	  --no-annotate --no-header pyproject.toml - | sed 's/ ;.*//' > constraints.new
	mv constraints.new constraints.txt

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "unitscope needs Python 3.11 or newer: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt uv

$(VENV)/.dependencies: pyproject.toml constraints.txt | $(BIN)/uv
	$(UV) -r pyproject.toml
	@touch $@

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/uv
	$(call install_packages,$(EDITABLE) '.$(if $(EXTRAS),[$(EXTRAS)])')
	@touch $@

$(VENV)/.installed-%: pyproject.toml constraints.txt | $(BIN)/uv
	$(call install_packages,$(EDITABLE) '.[$*]')
	@touch $@
