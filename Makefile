# Two commands to know: `make demo` and `make test`. Each makes .venv if it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Of its own: what others need is no dependency of noria.
PEERS := .venv-peers
# More than most machines have cores, for most tests mostly wait. 0: one after another, in more than twice the time.
PROCESSES ?= 4

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench peers reliability clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(BIN)/noria ## watch a real topology process real input
	$(BIN)/noria run examples/census --publish census:files=examples/census/input.jsonl --until-idle

test: $(VENV)/installed ## run every test, four at a time
	$(BIN)/pytest --numprocesses $(PROCESSES) --dist loadscope

lint: $(VENV)/installed ## ruff, mypy strict, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=.ci/typing $(BIN)/lint-imports --no-cache

format: $(VENV)/installed ## let ruff format and fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/installed ## ratios against limits measured in the same run; each driver against its raw client
	$(BIN)/python tests/bench/run.py
	$(BIN)/python tests/bench/brokers.py

peers: $(PEERS)/installed ## noria beside Celery, Dramatiq, Huey, RQ and Taskiq on one Redis and one RabbitMQ; some minutes
	$(PEERS)/bin/python tests/bench/peers.py

reliability: $(VENV)/installed ## kill workers under load, again and again; prints what was lost and doubled
	$(BIN)/python tests/reliability/run.py

clean: ## remove what was built
	rm -rf $(VENV) $(PEERS) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# What the demo needs; the rest of .venv is for who changes noria.
$(BIN)/noria:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .

$(VENV)/installed: pyproject.toml | $(BIN)/noria
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

$(PEERS)/installed: tests/bench/contenders/requirements.txt pyproject.toml
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --editable '.[amqp,redis]' --requirement $<
	touch $@
