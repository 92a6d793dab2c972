# Everything a checkout can do. The first run makes .venv and, on Debian and Ubuntu, installs
# missing system libraries; later runs start at once.
#
#   make demo [SIZE=16384]   stain, segment and compare real neurons; opens napari
#   make test [TESTS=...]    the test suite, in several processes, but for the tests marked slow
#   make slow                those: kills, clusters, whole sessions, every variant, notebooks, the documentation's code
#   make lint                ruff and mypy
#   make bench               speed, memory and exactness beside raw torch and MONAI
#   make notebooks           runs the notebooks
#   make docs                the documentation, docs/_build/index.html
#   make pictures            takes the pictures that it shows again: panels, tutorials, models
#   make wheel [OLDEST=1]   builds and tries the wheel where nothing else is installed
#   make starters DATA=...   trains the shipped models again; DATA holds the images (see NOTICE)
#   make table-staining DATA=... [ITERATIONS=2000]
#                            five families at equal width, data and iterations; goes on if stopped
#   make table-synthesis DATA=... [MINUTES=90]
#                            images of label maps by steps, design and method, and their use
#   make clean               removes what the targets above made

# Tests start a hundred processes, each of which would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
comma := ,
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal
SIZE ?=
TESTS ?= tests
DATA ?= data
ITERATIONS ?= 2000
MINUTES ?= 90
OLDEST ?=

.PHONY: demo test slow lint bench notebooks docs pictures wheel starters table-staining table-segmentation table-synthesis clean setup system browser

demo: setup
	$(BIN)/python -m napari_tincture.demo --out demo $(if $(SIZE),--size $(SIZE))

test: setup browser
	$(PYTEST) $(if $(filter tests,$(TESTS)),-m "not slow") $(TESTS)

slow: setup browser
	$(PYTEST) -m slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.bench system
	$(BIN)/python -m benchmarks

notebooks: setup
	$(BIN)/python -m pytest tests/test_notebooks.py

docs: $(VENV)/.docs system
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build
	@echo "docs/_build/index.html"

pictures: setup
	$(BIN)/python tools/page_pictures.py
	$(BIN)/python tools/model_pictures.py
	$(BIN)/python tools/panel_pictures.py

wheel: setup
	$(BIN)/python tools/try_wheel.py build/try$(if $(OLDEST),-oldest --oldest)

starters: setup
	$(BIN)/python -m napari_tincture.training.starters --data $(DATA)

table-staining: setup
	$(BIN)/python -m benchmarks.staining_table --data $(DATA) --iterations $(ITERATIONS)

table-segmentation: setup
	$(BIN)/python -m benchmarks.segmentation_table --data $(DATA)

table-synthesis: setup
	$(BIN)/python -m benchmarks.synthesis_table --data $(DATA) --minutes $(MINUTES)

clean:
	rm -rf $(VENV) demo build dist docs/_build docs/reference .pytest_cache .mypy_cache .ruff_cache

setup: system $(VENV)/.dev

system:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found: install Python 3.11 or newer, or name one: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "%s is Python %d.%d; napari-tincture needs 3.11 or newer: make PYTHON=python3.11" % ((sys.executable,) + sys.version_info[:2]))'
	@sh tools/system_packages.sh $(PYTHON)

browser:
	@sh tools/system_packages.sh $(PYTHON) browser

$(VENV)/.%: pyproject.toml constraints.txt tools/bootstrap.py | system
	$(PYTHON) tools/bootstrap.py $(VENV) dev$(if $(filter-out dev,$*),$(comma)$*)
	@touch $@ $(VENV)/.dev
