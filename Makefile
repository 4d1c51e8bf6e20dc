# What a person types and what CI runs; both are the same commands.
.DEFAULT_GOAL := help
.PHONY: setup demo serve test soak check format bench bench-setup docs lock clean help
python := .venv/bin/python
# `make test ARGS='tests/unit -k leg'`, `make bench ARGS='--rate 100'`, ...
ARGS :=
# Processes the tests run in: they mostly wait for peers and timers, so more than there are cores. A selection of tests
# runs in one process, which starts sooner.
WORKERS := $(if $(ARGS),0,4)
# Sanitized modules run in an interpreter that is not: `make test ENGINE_SANITIZE=address,undefined`.
export ENGINE_DEBUG ENGINE_SANITIZE ENGINE_COVERAGE
sanitizer := $(if $(findstring address,$(ENGINE_SANITIZE)),env ASAN_OPTIONS=detect_leaks=0 \
  LD_PRELOAD="$(shell cc -print-file-name=libasan.so) $(shell cc -print-file-name=libstdc++.so)")

setup: ## install what is needed, build pjproject and the compiled modules
	@bash scripts/setup.sh

demo: setup ## a quickcall between two real softphones, proven by its audio
	@$(python) scripts/demo.py $(ARGS)

serve: setup ## run the engine in the foreground
	@.venv/bin/quickcall serve $(ARGS)

test: setup ## all tests
	@$(sanitizer) $(python) -m pytest -q -n $(WORKERS) --dist worksteal $(ARGS)

soak: setup ## ten minutes of calls while broker, webhook target, database and engine die (ARGS='--chaos-seconds 60')
	@$(python) -m pytest -q -s tests/chaos --chaos-seconds 600 --chaos-rate 40 $(ARGS)

check: setup ## formatting, lint, types, stubs, boundaries, a minute of fuzzing; changes no file
	@bash scripts/check.sh

format: setup ## rewrite the Python files as `make check` wants them
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

bench: setup ## calls per second, CPU and memory per call, latency
	@$(python) benchmarks/bench_calls.py $(ARGS)

bench-setup: setup ## install what the benchmarks compare and draw with
	@bash scripts/install_packages.sh scripts/debian-packages-bench.txt
	@.venv/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements-bench.lock

docs: setup ## write the generated pages of docs/
	@$(python) scripts/make_docs.py $(ARGS)

lock: ## write requirements*.lock from pyproject.toml (ARGS=--upgrade for newer versions)
	@bash scripts/lock.sh $(ARGS)

clean: ## remove everything that was built here; the pjproject cache stays
	@rm -rf .deps .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	@find engine -name '*.so' -delete

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14
