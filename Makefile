# One word for each thing one does here. `make` alone lists them.
# A fresh machine needs Python 3.11 or newer, git and make; `make test-node` needs Node too.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
NODE_TESTS := tests/compat/node

# The interpreter that makes the environment. Without PYTHON=... the first that is new enough.
PYTHON ?=
# Every load and a million threads: make bench FULL=1
FULL ?=
# How long make soak takes.
MINUTES ?= 10
# Further arguments for the program that a target runs: make serve ARGS="--port 9000"
ARGS ?=

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: serve
serve: $(VENV)/.serve.stamp ## Install what the server needs and start it (ARGS="--port 9000")
	@exec $(BIN)/ragen-actor serve $(ARGS)

.PHONY: test
test: $(VENV)/.dev.stamp ## Run every test that needs nothing but Python (ARGS="-k threads", ARGS=--cov)
	$(BIN)/python -m pytest $(ARGS)

.PHONY: check
check: $(VENV)/.dev.stamp ## Check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

.PHONY: test-node
test-node: $(VENV)/.dev.stamp ## Test with the official Node client (needs node and npm)
	@command -v node >/dev/null || { echo "make test-node needs Node: apt-get install nodejs" >&2; exit 1; }
	@command -v npm >/dev/null || { echo "make test-node needs npm: apt-get install npm" >&2; exit 1; }
	cd $(NODE_TESTS) && npm ci --no-audit --no-fund
	$(BIN)/python -m tests.compat.node.run $(ARGS)

.PHONY: test-faults
test-faults: $(VENV)/.dev.stamp ## Test with real faults (needs Linux, root, strace, rsync, e2fsprogs)
	@command -v strace >/dev/null || { echo "make test-faults needs strace: apt-get install strace" >&2; exit 1; }
	@command -v rsync >/dev/null || { echo "make test-faults needs rsync: apt-get install rsync" >&2; exit 1; }
	@command -v mkfs.ext4 >/dev/null || { echo "make test-faults needs mkfs.ext4: apt-get install e2fsprogs" >&2; exit 1; }
	@test "$$(id -u)" = 0 || { echo "make test-faults needs root, to mount small file systems" >&2; exit 1; }
	$(BIN)/python -m pytest tests/faults $(ARGS)

.PHONY: test-upstream
test-upstream: $(VENV)/.upstream.stamp ## Test generation with llama.cpp's server and llmock (Python packages of 60 MB)
	$(BIN)/python -m pytest tests/upstream $(ARGS)

.PHONY: test-dashboard
test-dashboard: $(VENV)/.dev.stamp ## Test the dashboard in a real browser (needs chromium)
	@command -v chromium >/dev/null || { echo "make test-dashboard needs Chromium: apt-get install chromium" >&2; exit 1; }
	$(BIN)/python -m pytest tests/dashboard/browser $(ARGS)

.PHONY: screenshot
screenshot: $(VENV)/.dev.stamp ## Make docs/dashboard.png anew (needs chromium)
	@command -v chromium >/dev/null || { echo "make screenshot needs Chromium: apt-get install chromium" >&2; exit 1; }
	$(BIN)/python -m tests.dashboard.screenshot docs/dashboard.png

.PHONY: crash
crash: $(VENV)/.dev.stamp ## Replay 10,000 random histories of crashes and faults (minutes)
	$(BIN)/python -m tests.crash --histories 10000 $(ARGS)

.PHONY: bench
bench: $(VENV)/.dev.stamp ## Compare with a bare handler and SQLite, 3 minutes (FULL=1; needs wrk, strace)
	$(BIN)/python -m bench $(if $(FULL),--full) $(ARGS)

.PHONY: bench-micro
bench-micro: $(VENV)/.dev.stamp ## Time the steps of a request, each by itself
	$(BIN)/python -m pytest bench/micro --benchmark-sort=fullname \
		--benchmark-columns=min,median,iqr,ops $(ARGS)

.PHONY: bench-growth
bench-growth: $(VENV)/.dev.stamp ## Show how costs grow with threads and messages (ARGS=--quick; needs wrk)
	$(BIN)/python -m bench.growth $(ARGS)

.PHONY: bench-memory
bench-memory: $(VENV)/.dev.stamp ## Touch a million threads in turn (minutes, 5 GB of disk; ARGS="--threads 20000")
	$(BIN)/python -m bench.memory $(ARGS)

.PHONY: bench-readme
bench-readme: $(VENV)/.dev.stamp ## Put the newest results into README.md
	$(BIN)/python -m bench.readme $(ARGS)

.PHONY: soak
soak: $(VENV)/.dev.stamp ## Look for leaks under a mix of requests (MINUTES=10; needs wrk)
	$(BIN)/python -m bench.soak $(MINUTES) $(ARGS)

# The stamps are remade when the pinned versions change, and an environment made by hand is kept.
$(VENV)/.serve.stamp: pyproject.toml constraints.txt | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --editable .
	@touch $@

$(VENV)/.dev.stamp: pyproject.toml constraints.txt | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --editable ".[dev]"
	@touch $@ $(VENV)/.serve.stamp

$(VENV)/.upstream.stamp: pyproject.toml constraints.txt | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --editable ".[dev,upstream]"
	@touch $@ $(VENV)/.dev.stamp $(VENV)/.serve.stamp

# pip is the last thing that a new environment gets, so a half-made one is made again.
$(BIN)/pip:
	@set -e; \
	new_enough='import sys; sys.exit(sys.version_info < (3, 11))'; \
	for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
		if "$$candidate" -c "$$new_enough" 2>/dev/null; then python="$$candidate"; break; fi; \
		found="$$("$$candidate" --version 2>/dev/null || true)"; \
		if [ -n "$$found" ]; then seen="$${seen:+$$seen, }$$candidate is $$found"; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "Python 3.11 or newer is needed, and $${seen:-no Python 3 was found}." >&2; \
		echo "Install it with:  apt-get install python3 python3-venv" >&2; \
		echo "Where python3 is older than 3.11:  apt-get install python3.11 python3.11-venv" >&2; \
		exit 1; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$$python has no venv module. Install it with:  apt-get install python3-venv" >&2; \
		exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$python" --version)" >&2; \
	"$$python" -m venv --clear $(VENV)
