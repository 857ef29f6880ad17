# The commands of this project; each sets up .venv first and needs nothing else.
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-cls test test-fast lint format docs docs-check lock
# Waiting threads sleep instead of spinning: on a shared machine that is 10 times faster, with the same numbers.
export OMP_WAIT_POLICY ?= PASSIVE
# the packages to run on: upstream, or onedl for the maintained forks
STACK ?= upstream
export STACK
VENV_PYTHON := $(if $(filter onedl,$(STACK)),.venv-onedl,.venv)/bin/python
# how many processes run the tests, each on one core; the tests of a file stay together
WORKERS ?= 2
PYTEST := $(VENV_PYTHON) -m pytest -q -n $(WORKERS) --dist loadfile
# Trainings of a demo side by side; each takes a core and a gigabyte.
JOBS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 4 ? n : 4)))
# upstream still imports it, and says so many times
demo demo-cls: export PYTHONWARNINGS = ignore:pkg_resources,ignore:Deprecated call to
# when it is used, as the set-up may fetch it
UV = $(shell test -x .uv/bin/uv && echo .uv/bin/uv || echo uv)

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## make .venv, the tested environment (STACK=onedl: .venv-onedl, with the maintained forks)
	@bash tools/setup.sh

demo: setup work_dirs/demo/data/val.json  ## distil a small detector on the CPU: a table and pictures
	$(VENV_PYTHON) tools/compare.py demo/detection/compare.py --work-dir work_dirs/demo --jobs $(JOBS)
	$(VENV_PYTHON) tools/analysis_tools/plot_ratio.py work_dirs/demo/runs/student_with_DPK-0 --out work_dirs/demo/ratio.png
	$(VENV_PYTHON) demo/draw_detections.py work_dirs/demo

demo-cls: setup work_dirs/demo_cls/teacher/epoch_2.pth  ## the same with a small classifier, three seeds
	$(VENV_PYTHON) tools/compare.py demo/classification/compare.py --work-dir work_dirs/demo_cls --jobs $(JOBS)
	$(VENV_PYTHON) tools/analysis_tools/plot_ratio.py work_dirs/demo_cls/runs/student_with_DPK-0 --out work_dirs/demo_cls/ratio.png

work_dirs/demo/data/val.json: demo/make_data.py | setup
	$(VENV_PYTHON) demo/make_data.py detection $(@D)

work_dirs/demo_cls/data/test.txt: demo/make_data.py | setup
	$(VENV_PYTHON) demo/make_data.py classification $(@D)

work_dirs/demo_cls/teacher/epoch_2.pth: work_dirs/demo_cls/data/test.txt | setup
	OMP_NUM_THREADS=1 $(VENV_PYTHON) tools/train.py demo/classification/configs/resnet14_digits.py --work-dir $(@D)

test: setup  ## run the tests (ARGS='tests/test_tools -x' picks some, WORKERS=1 runs one at a time, STACK=onedl on the forks)
	@$(PYTEST) $(ARGS)

test-fast: setup  ## the same without those marked slow, in 3 minutes
	@$(PYTEST) -m 'not slow' $(ARGS)

lint: setup  ## check style, changing nothing
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m ruff format --check .

format: setup  ## put the code in style
	@$(VENV_PYTHON) -m ruff check --fix .
	@$(VENV_PYTHON) -m ruff format .

docs: setup  ## build the site into work_dirs/site; a broken link fails
	@NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true \
	  $(UV) run --quiet --no-project --with-requirements requirements/docs.txt mkdocs build --quiet

docs-check: setup  ## check that the result pages state what the files in experiments/ give
	@$(VENV_PYTHON) experiments/report/make_results.py --check

# torch and its companions are pinned in build.txt; the rest is what was newest when this was run and then tested.
# What the two stacks share has one version.
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.10 --no-annotate --upgrade \
  --custom-compile-command 'make lock' $(addprefix requirements/,build.txt runtime.txt demo.txt tests.txt)
lock: setup  ## resolve requirements/lock.txt and lock-onedl.txt anew
	@$(COMPILE) requirements/upstream.txt requirements/det.txt requirements/cls.txt requirements/seg.txt \
	  --output-file requirements/lock.txt
	@$(COMPILE) requirements/onedl.txt requirements/onedl-det.txt requirements/onedl-cls.txt requirements/onedl-seg.txt \
	  --constraint requirements/lock.txt --output-file requirements/lock-onedl.txt
