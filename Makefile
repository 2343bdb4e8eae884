# Every door makes the environment it needs first, so each works on a bare machine and is quick the second time.
# Where there is no make (Windows), README.md has the same steps as plain commands.

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?=
VENV ?= .venv
WORKERS ?= 2
WORK ?= my_work
LAB_ARGS ?=
BENCH_ARGS ?=
GPU_PYTHON ?= python3
LESSONS ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ROOT_FLAG := $(shell [ "$$(id -u)" != 0 ] || echo --allow-root)

# Runs in Python 2 too: it must be able to tell an old Python what is wrong. Prints nothing when all is well.
define PROBE
import sys
v = "%d.%d" % sys.version_info[:2]
if sys.version_info < (3, 11):
    print("Python " + v + " is too old")
else:
    try:
        import ensurepip, venv
    except ImportError:
        print("Python " + v + " has no venv module (Debian and Ubuntu: apt install python" + v + "-venv)")
endef
export PROBE

# Cuts pip's talk down to the packages that take a while.
define PROGRESS
while read -r verb first second rest; do
    [ "$$verb" != Using ] || first=$$second
    case "$$verb $${first##*/}" in
        "Installing collected") set -- $$rest; echo "        installing $$# packages" ;;
        *\ torch-*|*\ triton-*|*\ nvidia_*|*\ jupyterlab-*|*\ transformers-*|*\ playwright-*) echo "        $${first##*/}" ;;
    esac
done
endef
export PROGRESS

.PHONY: help lab test lessons bench gpu

help:
	@echo 'make lab      open JupyterLab on your own copy of lesson 00, in my_work/'
	@echo 'make test     run the unit tests, and every lesson against its stored outputs'
	@echo 'make lessons  run and clean the stored lessons again (for authors)'
	@echo 'make bench    measure this machine and write a record'
	@echo 'make gpu      GPU tests and benchmarks with the Python already here, offline'
	@echo
	@echo 'Each makes $(VENV) first if it must. To choose the Python: make test PYTHON=/path/to/python3.12'

lab: $(STAMP)
	@$(BIN)/python -m minillm.lab.lessons copy '$(WORK)'
	@echo 'JupyterLab opens on lesson 00; stop it with Ctrl-C'
	@$(BIN)/python -m jupyterlab --ServerApp.root_dir='$(if $(filter /%,$(WORK)),$(WORK),$(CURDIR))' \
	    --LabApp.default_url='/lab/tree/$(if $(filter /%,$(WORK)),,$(WORK)/)00_start_here.ipynb' --LabApp.news_url=None \
	    --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate $(ROOT_FLAG) $(LAB_ARGS)

test: $(STAMP)
	@echo 'tests: the rooms and every lesson, on $(WORKERS) processes'
	@$(BIN)/pytest tests notebooks --nbval --nbval-current-env --nbval-cell-timeout=120 \
	    -n $(WORKERS) --dist loadfile --durations=5 -q $(TEST_ARGS)

lessons: $(STAMP)
	@$(BIN)/python -m minillm.lab.lessons refresh $(LESSONS)

bench: $(STAMP)
	@$(BIN)/minillm bench $(BENCH_ARGS)

# A GPU machine has its own torch and Triton, and may have no network: nothing is fetched, nothing of it is replaced.
# Python's -P keeps this folder off sys.path. A failed test does not keep the benchmarks from running: each of them holds
# what it times to float64 itself, and a GPU may not be there tomorrow. BENCH_ARGS='--quick --out FOLDER' is theirs.
gpu:
	@echo '[1/3] installing this checkout into $(GPU_PYTHON), without its dependencies'
	@$(GPU_PYTHON) -m pip install -q --no-deps --no-build-isolation --disable-pip-version-check -e .
	@echo '[2/3] GPU tests'
	@failed=0; \
	$(GPU_PYTHON) -P -m pytest tests -m gpu -q || [ $$? -eq 5 ] || failed=1; \
	echo '[3/3] benchmarks'; \
	$(GPU_PYTHON) -P -m minillm bench $(BENCH_ARGS) || failed=1; \
	exit $$failed

$(STAMP): pyproject.toml constraints.txt
	@set -eu; if [ ! -x $(BIN)/python ]; then \
	    reasons=''; chosen=''; \
	    for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python); do \
	        command -v "$$python" > /dev/null || { reasons+="  $$python: not found"$$'\n'; continue; }; \
	        problem=$$("$$python" -c "$$PROBE" 2>&1) || problem="does not run ($${problem##*$$'\n'})"; \
	        [ -n "$$problem" ] || { chosen=$$python; break; }; \
	        reasons+="  $$python: $$problem"$$'\n'; \
	    done; \
	    if [ -z "$$chosen" ]; then \
	        printf 'minillm needs Python 3.11 or newer with its venv module; looked at:\n%s' "$$reasons" >&2; \
	        echo 'Install one (python.org, your package manager, conda or uv), then: make PYTHON=/path/to/python3' >&2; \
	        exit 1; \
	    fi; \
	    echo "[1/3] making $(VENV) with $$("$$chosen" --version)"; \
	    "$$chosen" -m venv $(VENV); \
	fi
	@$(BIN)/python -c "$$PROBE" > /dev/null 2>&1 || { \
	    echo '$(VENV) no longer works (was its Python removed?). Delete the folder and run make again.' >&2; exit 1; }
	@$(BIN)/python -c 'import pip; raise SystemExit(int(pip.__version__.split(".")[0]) < 22)' 2> /dev/null || { \
	    echo 'The pip in $(VENV) is missing or older than 22. Delete the folder and run make again with a newer Python,' >&2; \
	    echo 'or run: $(BIN)/python -m ensurepip --upgrade && $(BIN)/python -m pip install --upgrade pip' >&2; exit 1; }
	@echo '[2/3] installing packages (torch is the big one: minutes the first time, seconds after a change)'
	@set -o pipefail; $(BIN)/python -m pip install --no-input --disable-pip-version-check -c constraints.txt -e '.[test]' | bash -c "$$PROGRESS" || { \
	    echo 'pip could not install the packages: its last lines above say which. Run make again to go on from there.' >&2; exit 1; }
	@echo '[3/3] checking that the pieces fit'
	@$(BIN)/python -m pip check --disable-pip-version-check > /dev/null || $(BIN)/python -m pip check
	@touch $@
