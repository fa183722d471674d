# Each target starts from nothing but Python >= 3.11 and make: it builds .venv where there is none.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready
# One more worker than cores: some tests wait. The longest file has few tests: it must not come last.
PYTEST := $(BIN)/python -m pytest --numprocesses $$(($$(getconf _NPROCESSORS_ONLN) + 1)) \
	--dist loadfile --no-loadscope-reorder

COUNT ?= 1000
SEED ?= 0

.DEFAULT_GOAL := help
.PHONY: help demo test coverage lint docs bench fuzz clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: $(READY) ## choose a codec and classify real photographs through five of them
	$(BIN)/codecframe demo --output demo-output

test: $(READY) ## everything that must pass: lint and types, while tests run
	@log=$$(mktemp); $(MAKE) --no-print-directory lint >"$$log" 2>&1 & lint=$$!; \
	$(PYTEST); tests=$$?; \
	wait $$lint; linted=$$?; cat "$$log"; rm -f "$$log"; \
	[ $$linted = 0 ] || echo 'make test: lint or types failed, see above' >&2; \
	exit $$((tests || linted))

coverage: $(READY) ## which lines the tests run; those that they do not as htmlcov/index.html
	$(PYTEST) --cov --cov-report=term --cov-report=html

lint: $(READY) ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY) ## build the documentation into site/
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/pictures.py
	$(BIN)/zensical build --strict

bench: $(READY) ## speed, memory and rate control on this machine; all but benchmarks/link.py, which needs root
	for script in encoder_symbols rate_control memory server cluster speed; do \
		$(BIN)/python benchmarks/$$script.py || exit 1; done
	$(BIN)/codecframe bench encoders -o recipes/results/encoders.json

fuzz: $(READY) ## damaged files and messages of every kind, a minute or two of each: COUNT=1000 SEED=0
	$(BIN)/python tests/hostile/fuzz.py --count $(COUNT) --seed $(SEED)

clean: ## remove .venv and everything that was built
	rm -rf .venv site demo-output fuzz-findings dist build .pytest_cache .mypy_cache .ruff_cache \
		.hypothesis .import_linter_cache .coverage .coverage.* htmlcov

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo 'no Python >= 3.11 found; set PYTHON=...' >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip # that of Python 3.11 resolves for minutes
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all,dev]'
	touch $@
