# Two commands on a fresh machine: `make demo` and `make test`. `make check` is what CI runs.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# auto: a CPU build of torch where there is no NVIDIA GPU and pip can find one; cpu; default
TORCH_BUILD ?= auto
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)

.PHONY: demo docs toolchains faults lint test test-all check format clean

demo: $(INSTALLED)
	$(BIN)/nas demo

# the documents as a site, docs/_build/index.html; a broken link or heading fails
docs: $(INSTALLED)
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build

# compilers whose packages need an environment of their own, and torchvision's transforms, of whose
# operators there is no build beside a CPU build of torch; tests of them skip without it
toolchains: $(INSTALLED)
	$(BIN)/nas toolchains install litert
	$(PIP) --no-deps --upgrade --target $(VENV)/torchvision torchvision

# files of tests side by side: most of them wait for processes that compute on one core
test: $(INSTALLED)
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# with every runtime in every test of converters: before a change to compilers or passes is merged
test-all: export NAS_TEST_MATRIX = 1
test-all: test

# every call of a search failing in turn, many kills: hours. NAS_TEST_CALLS=100:200 tries some of the
# calls, NAS_TEST_KILLS=50 kills less often
faults: export NAS_TEST_FAULTS = 1
faults: $(INSTALLED)
	$(BIN)/pytest -n $(WORKERS) --dist load -o timeout=0 tests/faults

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# torch comes first and alone: resolved together with others, pip may take a build with CUDA, which
# is 2.7 GB more
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	@build=$(TORCH_BUILD); \
	if [ "$$build" = auto ]; then \
	  if [ -e /proc/driver/nvidia/version ] || command -v nvidia-smi > /dev/null; then build=default; fi; \
	fi; \
	case $$build in \
	  default) $(PIP) torch ;; \
	  auto | cpu) $(PIP) "torch==$(TORCH)+cpu" 2> /dev/null \
	    || { echo "pip finds no CPU build of torch $(TORCH): taking its default build"; $(PIP) torch; } ;; \
	  *) echo "TORCH_BUILD is auto, cpu or default, not $$build" >&2; exit 2 ;; \
	esac
	$(PIP) --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
