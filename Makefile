# One target per habit. Each sets up what it needs first: python3 and make are enough, a C compiler
# makes the producer fast. PYTHON=python3.12 picks the interpreter, ARGS="-k name" goes to pytest.

VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
ARGS ?=

# A compiler that was installed or removed since the last build means another build.
COMPILER := $(shell command -v cc >/dev/null 2>&1 && echo cc || { command -v gcc >/dev/null 2>&1 && echo gcc; } || echo none)
DEPS := $(VENV)/.stamp-deps
FUZZ := $(VENV)/.stamp-fuzz
GSSAPI := $(VENV)/.stamp-gssapi
READY := $(VENV)/.stamp-built-with-$(COMPILER)
EXTENSION_SOURCES := $(shell find pyproducer -name '*.pyx' -o -name '*.pxi' -o -name '*.pxd') \
	$(shell sed -n 's/.*sources = \["\(.*\.py\)"\].*/\1/p' pyproject.toml)

.PHONY: help setup demo test test-pure lint format types docs docs-serve bench bench-quick counts conformance fuzz sanitize test-lowest audit sbom lock clean

help:
	@echo "make demo         real data through every format and codec, read back and compared"
	@echo "make test         the tests; needs nothing but what this Makefile sets up"
	@echo "make test-pure    the same without the accelerator"
	@echo "make lint         ruff, its formatter, and the import rules"
	@echo "make types        mypy --strict and pyright, also on programs as users write them"
	@echo "make docs         the documentation site, into build/site"
	@echo "make bench        beside other clients, in half an hour; writes the documentation's page of performance"
	@echo "make bench-quick  the table of goals alone, in a few minutes"
	@echo "make counts       instructions, allocations and memory per record beside those expected; needs valgrind"
	@echo "make conformance  against Apache Kafka, librdkafka and other peers; needs java, mvn, kcat, krb5-kdc"
	@echo "make fuzz         a million inputs for each place where strangers' bytes come in, for hours"
	@echo "make sanitize     the tests of what is compiled, over AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make test-lowest  the tests with the oldest dependencies that pyproject.toml allows"
	@echo "make audit        known vulnerabilities in what requirements.lock pins"
	@echo "make sbom         the wheel's bill of materials, in CycloneDX's form, into dist"
	@echo "make lock         requirements.lock anew from pyproject.toml"
	@echo "make clean        remove everything that was built, the virtual environment too"

setup: $(READY)

$(DEPS): requirements.lock
	@sh .ci/setup deps
	@touch $@

$(READY): $(DEPS) pyproject.toml setup.py $(EXTENSION_SOURCES)
	@sh .ci/setup build
	@rm -f $(VENV)/.stamp-built-with-*
	@touch $@

demo: $(READY)
	$(BIN)/pyproducer demo

test: $(READY)
	PYPRODUCER_ACCELERATOR=$$(cat $(VENV)/accelerator) $(PYTEST) -m "not conformance" $(ARGS)

test-pure: $(READY)
	PYPRODUCER_PURE=1 $(PYTEST) -m "not conformance" $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(READY)
	$(BIN)/mypy
	MYPYPATH=examples $(BIN)/mypy --config-file pyproject.toml $(wildcard examples/*.py)
	PYPRODUCER_PYRIGHT=required $(PYTEST) tests/typing $(ARGS)

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --config-file docs/mkdocs.yml --site-dir ../build/site
	@echo "the site is in build/site, open build/site/index.html"

docs-serve: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --config-file docs/mkdocs.yml

bench: $(READY)
	$(BIN)/python -m tests.bench --page $(ARGS)

bench-quick: $(READY)
	$(BIN)/python -m tests.bench --quick $(ARGS)

# The tests of the counting first: a guard that finds nothing would pass.
counts: $(READY)
	$(PYTEST) tests/bench/counts $(ARGS)
	$(BIN)/python -m tests.bench.counts

conformance: $(READY) $(GSSAPI)
	PYTHONPATH=.cache/gssapi/site $(PYTEST) -m conformance tests/conformance tests/statements $(ARGS)

# Made by the script alone: where there is no Kerberos it is not, and conformance does without.
$(GSSAPI): .ci/gssapi.lock $(READY)
	@sh .ci/setup gssapi

# ARGS="--inputs 10000" shortens it, ARGS=frames picks; make fuzz ARGS="--keep" writes the corpus anew.
fuzz: $(READY) $(FUZZ)
	PYTHONPATH=.cache/fuzz/site $(BIN)/python -m tests.fuzz $(ARGS)

$(FUZZ): .ci/fuzz.lock $(DEPS)
	@sh .ci/setup fuzz
	@touch $@

# ARGS picks the tests.
sanitize: $(READY)
	@sh .ci/sanitize $(ARGS)

test-lowest: $(READY)
	@sh .ci/setup lowest
	.venv-lowest/bin/python -m pytest -m "not conformance" $(ARGS)

# ARGS="--database DIR" looks into a checkout of the advisory database; status 3: nobody could be asked.
audit: $(READY)
	$(BIN)/python .ci/audit $(ARGS)

# The time of the last commit, so that the same commit gives the same archives.
sbom: $(READY)
	rm -rf build/lib build/bdist.* dist && mkdir -p dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m pip wheel --quiet --no-deps \
		--no-build-isolation --disable-pip-version-check --wheel-dir dist .
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python .ci/sbom dist/*.whl >dist/pyproducer.cdx.json
	@echo "dist has the wheel and its bill of materials, pyproducer.cdx.json"

lock:
	@sh .ci/setup lock

clean:
	rm -rf $(VENV) .venv-lock .venv-lowest build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .cache
	find pyproducer serializers tests examples docs -name __pycache__ -prune -exec rm -rf {} +
	find pyproducer -name '*.so' -delete
	find pyproducer -name '*.c' -delete
