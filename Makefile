# make book · make test · make help.  Everything that is built lies in _build/ and .venv/, and nowhere else.
SHELL := bash
PYTHON ?= python3
JOBS ?= 2
SOURCE := _build/source
HTML := _build/html/index.html

# Inside an environment that has the package, use that one; otherwise make .venv once, and use it.
ifneq ($(VIRTUAL_ENV)$(CONDA_PREFIX),)
  ACTIVE := $(shell python -I -c "import importlib.util as u; print(*[u.find_spec(m) and 1 for m in ('bnlib', 'jupyter_book', 'papermill')])" 2>/dev/null)
endif
ifneq ($(ACTIVE),1 1 1)
  READY := .venv/ready
  export PATH := $(CURDIR)/.venv/bin:$(PATH)
endif

# Those that take long come first: two that train, and one that measures times.
LONG := notebooks/own_network.ipynb notebooks/quickstart.ipynb notebooks/beyond_pruning.ipynb
NOTEBOOKS := $(patsubst %,$(SOURCE)/%,$(LONG) $(filter-out $(LONG),$(wildcard notebooks/*.ipynb)))
PAGES := $(patsubst %,$(SOURCE)/%,_toc.yml $(shell find book -type f ! -name '*.pyc'))
# What the notebooks read, and the list of it: without a run that was there before, the pages are other ones.
$(shell mkdir -p _build; find bnlib results benchmarks runs -type f ! -name '*.pyc' ! -path 'runs/.*' ! -path 'runs/digits*' \
  2>/dev/null | LC_ALL=C sort > _build/inputs.new; \
  cmp -s _build/inputs.new _build/inputs && rm _build/inputs.new || mv _build/inputs.new _build/inputs)
INPUTS := $(shell cat _build/inputs) _build/inputs

.PHONY: help book test bench figure address clean
help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' Makefile

book: $(READY)  ## run the notebooks whose inputs changed, build the book, print where it is
	@$(MAKE) -s --no-print-directory -j$(JOBS) $(HTML)
	@echo "The book is built. Open $(CURDIR)/$(HTML)"

# The first page is written anew, as it may be another one by now; what a page of an earlier state was is no page of the book.
$(HTML): $(NOTEBOOKS) $(PAGES) $(SOURCE)/_config.yml
	@rm -f $@; for page in $$(cd $(@D) 2>/dev/null && ls book/*.html notebooks/*.html 2>/dev/null); do \
	  ls $${page%.html}.* > /dev/null 2>&1 || rm -f $(@D)/$$page; done
	@jupyter-book build $(SOURCE) --path-output . -n -W --keep-going -q > /dev/null || \
	  { rm -rf _build/.doctrees; exit 1; }  # else the next build would not read the page with the warning again
	@touch $@  # also where this page stayed as it was

# passive: else threads that wait for each other keep a machine busy that has other things to do, and take many times as long.
$(NOTEBOOKS): $(SOURCE)/%: % $(INPUTS) | $(READY)
	@mkdir -p $(@D) _build/running
	@echo "running $<"
	@OMP_WAIT_POLICY=passive papermill --cwd notebooks --no-progress-bar --log-level ERROR $< _build/running/$(@F) 2> _build/running/$(@F).log || \
	  { cat _build/running/$(@F).log; echo "$< failed; as far as it came: _build/running/$(@F)"; exit 1; }
	@mv _build/running/$(@F) $@

$(PAGES): $(SOURCE)/%: %
	@mkdir -p $(@D) && cp $< $@

$(SOURCE)/_config.yml: _config.yml  # the notebooks there have been run
	@mkdir -p $(@D) && sed 's/execute_notebooks: auto/execute_notebooks: "off"/' $< > $@

# Pages of the book that have a sentence of nearly every other one: run once more, they must come out the same.
AGAIN := $(patsubst %,$(SOURCE)/notebooks/%.ipynb,claims learned fig2_depth)

# pytest: two processes of one thread each take half the time of one with two; a notebook stays with one of them.
test: $(READY)  ## lint, the book if it is not up to date, which runs every notebook, unit tests
	ruff check .
	ruff format --check .
	@$(MAKE) --no-print-directory book
	OMP_NUM_THREADS=1 pytest -n 2
	OMP_NUM_THREADS=1 pytest -n 2 --dist loadfile --nbval --nbval-current-env $(AGAIN)

bench: $(READY)  ## measure speed and memory here, half an hour without a GPU; the table goes into benchmarks/
	bnlib bench --all --scaling --save benchmarks

figure: $(READY)  ## redraw the README's figure from the stored runs
	python -c "from bnlib import experiments; from bnlib.report import analysis, figures, paper; \
	  figures.front(analysis.on_front(analysis.summarise(experiments.runs('fig2_depth'))), paper.accuracies()) \
	  .savefig('book/_static/front.png', dpi=120)"

address: $(READY)  ## after a change of the repository's address in _config.yml: write it wherever else it must stand
	python book/address.py

clean:  ## remove what was built, but not the environment
	rm -rf _build

.venv/ready: pyproject.toml constraints.txt
	@echo "installing the package and its tools into .venv: a few minutes, about 6 GB with PyTorch"
	@test -x .venv/bin/pip || $(PYTHON) -m venv .venv
	@.venv/bin/pip install -qq --disable-pip-version-check --no-compile -c constraints.txt -e '.[book,test]'
	@touch $@
